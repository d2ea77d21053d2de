"""`mfprefect session`: for steps in R, SQL or shell that report under one session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.commands.session.guards import check_part, refuse_closing, refuse_superseded
from mfprefect.cli.commands.session.model import model
from mfprefect.cli.lookup import ENVIRONMENT
from mfprefect.cli.output import Output
from mfprefect.vocabulary import Purpose, Status

if TYPE_CHECKING:
    from mfprefect.session import Session

__all__ = ["session"]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
THE_SESSION = click.argument("session_id", metavar="[SESSION]", required=True, envvar=ENVIRONMENT)


class Assignment(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """`name=value`; the first `=` splits."""

    name = "name=value"

    def __init__(self, *, numbers: bool = False) -> None:
        self.numbers = numbers

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Split, and turn metrics into numbers."""
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
    """Return what a JSON scalar means, and anything else as the text that it is."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)  # NaN and Infinity are no JSON

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
    """  # noqa: D301 - the character that click wants, not the two that spell it


session.add_command(model)


@session.command("open")
@click.argument("model")
@click.option("--purpose", type=click.Choice([*map(str, Purpose)]), default=Purpose.ADHOC.value)
@click.option("--param", "params", type=Assignment(), multiple=True, help="What it runs with.")
@click.option("--as-of", metavar="DATE", help="The date that the data is of.")
@click.option("--parent", metavar="SESSION", help="The training session whose model is used.")
@click.option("--register", is_flag=True, help="Register MODEL first, if it is unknown.")
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
    """Open a session of MODEL and print its id, and nothing else."""
    import mfprefect

    given = {name: scalar(text) for name, text in params}
    with mfprefect.connect(url) as store:
        if register and model not in set(store.models()["model_id"]):
            store.add_model(model)
        opened = store.session(model, purpose, params=given, as_of=as_of, parent=parent)
        opened.leave_open()
        if out.as_json:
            out.document({"session_id": opened.session_id, "model_id": model})
        elif out.fancy:
            out.line(opened.session_id)
        else:
            click.echo(opened.session_id)  # exactly, for whoever passes it on


@session.command("log")
@THE_SESSION
@click.option("--metric", "metrics", type=Assignment(numbers=True), multiple=True)
@click.option("--segment", help="Which rows the metrics are of, such as region=north.")
@click.option("--metadata", type=Assignment(), multiple=True, help="A key and its value.")
@click.option("--group", default="run", show_default=True, help="The group of the metadata.")
@click.option("--test-results", type=FILE, help="What happened and what the model said.")
@click.option("--actual", metavar="COLUMN", help="Of --test-results: what happened.")
@click.option(
    "--model-type",
    type=click.Choice(["binary", "multiclass", "regression", "time_series"]),
    help="Of --test-results; by default binary, or multiclass with --class.",
)
@click.option(
    "--class", "classes", metavar="COLUMN", multiple=True, help="Of --test-results: its scores."
)
@click.option(
    "--segment-by", metavar="COLUMN", multiple=True, help="Of --test-results: levels are segments."
)
@click.option("--importance", type=FILE, help="Columns variable, importance, std, coefficient.")
@click.option("--kind", help="Of --importance: impurity, permutation, coefficient, ..")
@click.option("--backtest", type=FILE, help="Columns period, predicted, actual and perhaps series.")
@click.option("--input-summary", type=FILE, help="The input data, to be summarised.")
@click.option("--scores", type=FILE, help="Scores of entities.")
@click.option("--entity-id", metavar="COLUMN", help="Of --scores: the ids.")
@click.option("--score", metavar="COLUMN", help="Of --scores or --test-results: the scores.")
@click.option("--score-class", metavar="COLUMN", help="Of --scores: the classes.")
@click.option("--part", type=click.IntRange(min=1), help="Of --scores: the part to (re)write.")
@click.option("--model", type=FILE, help="A model of any language, stored as it is.")
@click.option("--model-name", default="model", show_default=True)
@common
def log(out: Output, url: str | None, session_id: str, **given: Any) -> None:
    """Store results under SESSION, by default $MFPREFECT_SESSION_ID.

    FILEs are CSV or Parquet, by their ending.
    """
    import mfprefect

    _check_options(given)
    if given["scores"]:
        check_part(session_id, given["part"])
    with mfprefect.connect(url) as store:
        attached = store.attach(session_id)
        refuse_superseded(attached)
        done = _log_figures(attached, given) | _log_files(attached, given)
        if given["scores"]:
            done["scores"] = _log_scores(attached, given)
        if given["model"]:
            attached.save_model(given["model"], given["model_name"])
            done["model"] = given["model"].stat().st_size
        attached.flush()
    spooled = f" (in the spool: {attached.spool_place})" if attached.spooled else ""
    out.note(", ".join(f"{name}: {count}" for name, count in done.items()) + spooled)
    out.document({"session_id": session_id, "logged": done})


_NEEDED = {"test_results": ("actual",), "importance": ("kind",), "scores": ("entity_id", "score")}
_NEEDS = {
    "segment": ("metrics", "test_results"),
    "actual": ("test_results",),
    "model_type": ("test_results",),
    "classes": ("test_results",),
    "segment_by": ("test_results",),
    "kind": ("importance",),
    "entity_id": ("scores",),
    "score": ("scores", "test_results"),
    "score_class": ("scores",),
    "part": ("scores",),
}
_WHAT = ("metrics", "metadata", *_NEEDED, "backtest", "input_summary", "model")


def _option(name: str) -> str:
    return "--" + {"metrics": "metric", "classes": "class"}.get(name, name).replace("_", "-")


def _check_options(given: dict[str, Any]) -> None:
    if not any(given[name] for name in _WHAT):
        raise click.UsageError(f"nothing to log; give one of {', '.join(map(_option, _WHAT))}.")
    for name, needed in _NEEDED.items():
        missing = [_option(other) for other in needed if given[name] and not given[other]]
        if missing:
            raise click.UsageError(f"{_option(name)} needs {missing[0]} as well.")
    if given["test_results"] and not (given["score"] or given["classes"]):
        raise click.UsageError("--test-results needs --score as well.")
    for name, owners in _NEEDS.items():
        if given[name] not in (None, ()) and not any(given[owner] for owner in owners):
            choices = " or ".join(map(_option, owners))
            raise click.UsageError(f"{_option(name)} belongs to {choices}.")


def _log_figures(attached: Session, given: dict[str, Any]) -> dict[str, int]:
    done = {}
    if given["metrics"]:
        attached.log_metrics(dict(given["metrics"]), given["segment"])
        done["metrics"] = len(dict(given["metrics"]))
    if given["metadata"]:
        attached.log_metadata(dict(given["metadata"]), given["group"])
        done["metadata"] = len(dict(given["metadata"]))
    return done


def _log_files(attached: Session, given: dict[str, Any]) -> dict[str, int]:
    from mfprefect.cli.input_files import read_frame

    done = {}
    if given["test_results"]:
        done["test rows"] = _log_test_results(attached, given)
    if given["importance"]:
        frame = read_frame(given["importance"], text=["variable"])
        attached.log_variable_importance(frame, given["kind"])
        done["variables"] = len(frame)
    if given["backtest"]:
        frame = read_frame(given["backtest"], text=["series", "period"])
        attached.log_backtest(frame)
        done["periods"] = len(frame)
    if given["input_summary"]:
        done["summarised columns"] = len(
            attached.log_input_summary(read_frame(given["input_summary"]))
        )
    return done


def _log_test_results(attached: Session, given: dict[str, Any]) -> int:
    from mfprefect.cli.input_files import column, read_frame

    frame = read_frame(given["test_results"])
    score: Any
    if given["classes"]:
        for name in given["classes"]:
            column(frame, name, "--class")
        score = frame[list(given["classes"])]
    else:
        score = column(frame, given["score"], "--score")
    parts = {name: column(frame, name, "--segment-by") for name in given["segment_by"]}
    attached.log_test_results(
        column(frame, given["actual"], "--actual"),
        score,
        given["segment"],
        model_type=given["model_type"] or ("multiclass" if given["classes"] else None),
        segments=parts or None,
    )
    return len(frame)


def _log_scores(attached: Session, given: dict[str, Any]) -> int:
    from mfprefect.cli.input_files import score_batches

    names = (given["entity_id"], given["score"], given["score_class"])
    return attached.write_scores(score_batches(given["scores"], *names), *names, part=given["part"])


@session.command()
@THE_SESSION
@click.option(
    "--status",
    type=click.Choice(
        [str(status) for status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)]
    ),
    default=Status.SUCCEEDED.value,
    show_default=True,
)
@click.option("--kind", help="What kind of failure it was, such as an error's name.")
@click.option("--reason", help="What went wrong, or why it was cancelled.")
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
    refuse_closing(session_id)
    with mfprefect.connect(url) as store:
        attached = store.attach(session_id)
        if status == Status.SUCCEEDED:
            attached.close()
        else:
            named = name(kind or status.capitalize(), "the kind", 255)
            attached.end(Outcome(status, named, text(reason or "", "the reason")))
    out.note(f"session {session_id}: {attached.status}")
    out.document({"session_id": session_id, "status": attached.status})
