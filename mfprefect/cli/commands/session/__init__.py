"""`mfprefect session`: R, SQL or shell steps report results under one session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.commands.session.guards import check_part, refuse_closing, refuse_superseded
from mfprefect.cli.commands.session.model import model
from mfprefect.cli.lookup import ENVIRONMENT, resolve_id, resolve_training
from mfprefect.cli.output import Output
from mfprefect.vocabulary import Purpose, Status

if TYPE_CHECKING:
    from mfprefect.session import Session

__all__ = ["session"]

UNSUPERVISED = "unsupervised"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SESSION_ARGUMENT = click.argument(
    "session_id", metavar="[SESSION]", required=True, envvar=ENVIRONMENT
)


class Assignment(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """`name=value`; the first `=` splits."""

    name = "name=value"

    def __init__(self, *, numbers: bool = False) -> None:
        self.numbers = numbers

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Split the text, and convert the value of a metric to a number."""
        name, sign, text = value.partition("=")
        if not (name and sign):
            self.fail(f"{value!r} is not of the form name=value", param, ctx)
        if not self.numbers:
            return name, text
        try:
            return name, float(text)
        except ValueError:
            self.fail(f"{text!r}, the value of {name!r}, is not a number", param, ctx)


def scalar(text: str) -> Any:
    """Return the value of a JSON scalar, and any other text unchanged."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)  # NaN and Infinity are not JSON

    try:
        value = json.loads(text, parse_constant=refuse)
    except ValueError:
        return text
    return text if isinstance(value, (dict, list, str)) else value


@click.group()
def session() -> None:
    """Open, fill and close a session from a shell script.

    \b
    export MFPREFECT_SESSION_ID=$(mfprefect session open churn --register)
    mfprefect session log --metric auc=0.83
    mfprefect session close
    """  # noqa: D301 - click wants the backspace character, not a backslash and a b


session.add_command(model)


@session.command("open")
@click.argument("model")
@click.option("--purpose", type=click.Choice([*map(str, Purpose)]), default=Purpose.ADHOC.value)
@click.option("--param", "params", type=Assignment(), multiple=True, help="A parameter of the run.")
@click.option("--as-of", metavar="DATE", help="The date of the data.")
@click.option("--parent", metavar="SESSION", help="The training session whose model is used.")
@click.option("--register", is_flag=True, help="Register MODEL first if it is unknown.")
@common
def open_(
    out: Output,
    url: str | None,
    model: str,
    purpose: str,
    params: tuple[tuple[str, str], ...],
    as_of: str | None,
    parent: str | None,
    register: bool,
) -> None:
    """Open a session of MODEL and print its id and nothing else."""
    import mfprefect

    values = {name: scalar(text) for name, text in params}
    with mfprefect.connect(url) as store:
        if register and model not in set(store.models()["model_id"]):
            store.add_model(model)
        training = None if parent is None else resolve_training(store, parent, model)
        opened = store.session(model, purpose, params=values, as_of=as_of, parent=training)
        opened.leave_open()
        if out.as_json:
            out.document({"session_id": opened.session_id, "model_id": model})
        elif out.fancy:
            out.line(opened.session_id)
        else:
            click.echo(opened.session_id)  # unescaped, for scripts


@session.command("log")
@SESSION_ARGUMENT
@click.option(
    "--metric", "metrics", type=Assignment(numbers=True), multiple=True, help="A metric's value."
)
@click.option("--segment", help="The segment of the metrics, such as region=north.")
@click.option(
    "--step", type=click.IntRange(min=0), help="The step of the metrics, such as an epoch's number."
)
@click.option("--metadata", type=Assignment(), multiple=True, help="A name and its value.")
@click.option("--group", default="run", show_default=True, help="The group of the metadata.")
@click.option("--test-results", type=FILE, help="Actual and predicted values of the test rows.")
@click.option("--actual", metavar="COLUMN", help="For --test-results: the actual values.")
@click.option(
    "--model-type",
    type=click.Choice(["binary", "multiclass", "regression", "time_series", UNSUPERVISED]),
    help="For --test-results; by default binary, or multiclass with --class.",
)
@click.option(
    "--class",
    "classes",
    metavar="COLUMN",
    multiple=True,
    help="For --test-results: the scores of the class with this name.",
)
@click.option(
    "--segment-by",
    metavar="COLUMN",
    multiple=True,
    help="For --test-results: each level is a segment.",
)
@click.option("--importance", type=FILE, help="Columns variable, importance, std, coefficient.")
@click.option("--kind", help="For --importance: impurity, permutation, coefficient, ..")
@click.option("--backtest", type=FILE, help="Columns period, predicted, actual, optionally series.")
@click.option("--input-summary", type=FILE, help="The input data, to be summarised.")
@click.option("--scores", type=FILE, help="Scores of entities.")
@click.option("--entity-id", metavar="COLUMN", help="For --scores: the ids.")
@click.option("--score", metavar="COLUMN", help="For --scores or --test-results: the scores.")
@click.option(
    "--score-class",
    metavar="COLUMN",
    help="For --scores: the classes; or the clusters of test rows.",
)
@click.option(
    "--part", type=click.IntRange(min=1), help="For --scores: the part to write or replace."
)
@click.option("--model", type=FILE, help="A model file of any language, stored unchanged.")
@click.option("--model-name", default="model", show_default=True)
@click.option("--file", "files", type=FILE, multiple=True, help="A file of any kind, by its name.")
@common
def log(out: Output, url: str | None, session_id: str, **options: Any) -> None:
    """Store results under SESSION, by default $MFPREFECT_SESSION_ID.

    FILEs of rows are CSV or Parquet, by their ending.
    """
    import mfprefect

    _check_options(options)
    with mfprefect.connect(url) as store:
        session_id = str(resolve_id(store, session_id))
        if options["scores"]:
            check_part(session_id, options["part"])
        attached = store.attach(session_id)
        refuse_superseded(attached)
        counts = _log_figures(attached, options) | _log_files(attached, options)
        if options["scores"]:
            counts["scores"] = _log_scores(attached, options)
        if options["model"]:
            attached.save_model(options["model"], options["model_name"])
            counts["model"] = options["model"].stat().st_size
        if options["files"]:
            counts["files"] = len({attached.log_file(path) for path in options["files"]})
        attached.flush()
    spooled = f" (in the spool: {attached.spool_place})" if attached.spooled else ""
    out.note(", ".join(f"{name}: {count}" for name, count in counts.items()) + spooled)
    out.document({"session_id": session_id, "logged": counts})


_REQUIRED = {"test_results": ("actual",), "importance": ("kind",), "scores": ("entity_id", "score")}
"""An option on the left needs every option on the right."""
_BELONGS_TO = {
    "segment": ("metrics", "test_results"),
    "step": ("metrics",),
    "actual": ("test_results",),
    "model_type": ("test_results",),
    "classes": ("test_results",),
    "segment_by": ("test_results",),
    "kind": ("importance",),
    "entity_id": ("scores",),
    "score": ("scores", "test_results"),
    "score_class": ("scores", "test_results"),
    "part": ("scores",),
}
"""An option on the left needs one of the options on the right."""
_RESULTS = ("metrics", "metadata", *_REQUIRED, "backtest", "input_summary", "model", "files")


def _option(name: str) -> str:
    return "--" + {"metrics": "metric", "classes": "class", "files": "file"}.get(
        name, name
    ).replace("_", "-")


def _check_options(options: dict[str, Any]) -> None:
    if not any(options[name] for name in _RESULTS):
        raise click.UsageError(f"nothing to log; give one of {', '.join(map(_option, _RESULTS))}.")
    for name, required in _REQUIRED.items():
        if name == "test_results" and options["model_type"] == UNSUPERVISED:
            required = ()  # nothing is known of what was right
        missing = [_option(other) for other in required if options[name] and not options[other]]
        if missing:
            raise click.UsageError(f"{_option(name)} requires {missing[0]}.")
    if options["test_results"] and not (options["score"] or options["classes"]):
        raise click.UsageError("--test-results requires --score or --class.")
    for name, owners in _BELONGS_TO.items():
        if options[name] not in (None, ()) and not any(options[owner] for owner in owners):
            choices = " or ".join(map(_option, owners))
            raise click.UsageError(f"{_option(name)} belongs to {choices}.")


def _log_figures(attached: Session, options: dict[str, Any]) -> dict[str, int]:
    counts = {}
    if options["metrics"]:
        metrics, segment = dict(options["metrics"]), options["segment"]
        attached.log_metrics(metrics, segment, step=options["step"])
        counts["metrics"] = len(dict(options["metrics"]))
    if options["metadata"]:
        attached.log_metadata(dict(options["metadata"]), options["group"])
        counts["metadata"] = len(dict(options["metadata"]))
    return counts


def _log_files(attached: Session, options: dict[str, Any]) -> dict[str, int]:
    from mfprefect.inputs.result_files import read_frame

    counts = {}
    if options["test_results"]:
        counts["test rows"] = _log_test_results(attached, options)
    if options["importance"]:
        frame = read_frame(options["importance"], text=["variable"])
        attached.log_variable_importance(frame, options["kind"])
        counts["variables"] = len(frame)
    if options["backtest"]:
        frame = read_frame(options["backtest"], text=["series", "period"])
        attached.log_backtest(frame)
        counts["periods"] = len(frame)
    if options["input_summary"]:
        summary = attached.log_input_summary(read_frame(options["input_summary"]))
        counts["summarised columns"] = len(summary)
    return counts


def _log_test_results(attached: Session, options: dict[str, Any]) -> int:
    from mfprefect.inputs.result_files import column, read_frame

    frame = read_frame(options["test_results"])
    score: Any
    if options["classes"]:
        for name in options["classes"]:
            column(frame, name, "--class")
        score = frame[list(options["classes"])]
    else:
        score = column(frame, options["score"], "--score")
    if options["score_class"] and options["model_type"] == UNSUPERVISED:
        labels = column(frame, options["score_class"], "--score-class")
        score = score.to_frame("score").assign(score_class=labels)
    actual = column(frame, options["actual"], "--actual") if options["actual"] else None
    segments = {name: column(frame, name, "--segment-by") for name in options["segment_by"]}
    attached.log_test_results(
        actual,
        score,
        options["segment"],
        model_type=options["model_type"] or ("multiclass" if options["classes"] else None),
        segments=segments or None,
    )
    return len(frame)


def _log_scores(attached: Session, options: dict[str, Any]) -> int:
    from mfprefect.inputs.result_files import score_batches

    names = (options["entity_id"], options["score"], options["score_class"])
    batches = score_batches(options["scores"], *names)
    return attached.write_scores(batches, *names, part=options["part"])


@session.command()
@SESSION_ARGUMENT
@click.option(
    "--status",
    type=click.Choice(
        [str(status) for status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)]
    ),
    default=Status.SUCCEEDED.value,
    show_default=True,
)
@click.option("--kind", help="The kind of failure, such as an error's name.")
@click.option("--reason", help="Why it failed or was cancelled.")
@common
def close(
    out: Output, url: str | None, session_id: str, status: str, kind: str | None, reason: str | None
) -> None:
    """End SESSION, by default $MFPREFECT_SESSION_ID; scores become visible if it succeeded."""
    import mfprefect
    from mfprefect.store.sessions.writing import Outcome
    from mfprefect.util.values import name, text

    if status == Status.SUCCEEDED and (kind or reason):
        raise click.UsageError("--kind and --reason belong to --status failed or cancelled.")
    with mfprefect.connect(url) as store:
        session_id = str(resolve_id(store, session_id))
        refuse_closing(session_id)
        attached = store.attach(session_id)
        if status == Status.SUCCEEDED:
            attached.close()
        else:
            failure_kind = name(kind or status.capitalize(), "the kind", 255)
            attached.end(Outcome(status, failure_kind, text(reason or "", "the reason")))
    out.note(f"session {session_id}: {attached.status}")
    out.document({"session_id": session_id, "status": attached.status})
