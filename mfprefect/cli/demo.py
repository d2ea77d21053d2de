"""`mfprefect demo`: a real model, trained and scored here."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output
from mfprefect.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

    from mfprefect.store import Store

__all__ = ["demo"]

MODEL = "breast_cancer"
DATABASE = "mfprefect-demo.db"
MAIN_METRICS = ("auc", "gini", "ks", "log_loss", "brier", "accuracy", "n")
TOP = 5
_NEEDED = ("sklearn", "skops")


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="Where the database and Prefect's files go.",
)
@common
def demo(out: Output, url: str | None, folder: Path) -> None:
    """Train and score a real model here, with no server, and show what is kept of it.

    The model finds malignant breast tumours in scikit-learn's data of 569 patients. Without --url
    the sessions go to an SQLite file in the folder.
    """
    import mfprefect

    _require_sklearn()
    folder.mkdir(parents=True, exist_ok=True)
    place = url or f"sqlite:///{(folder / DATABASE).resolve()}"
    _prepare(folder, place)
    with mfprefect.connect(place) as store:
        store.create_schema()
        out.note(f"database: {store.database.place}")
        before = {*store.sessions(MODEL, limit=None)["session_id"]} if _has_model(store) else set()
        try:
            trained, scored = _run(out)
        except Exception as exc:
            _explain(out, store, before, exc)
            raise
        facts = _facts(store, trained, scored, place)
    _write(out, facts)
    out.document(facts)


def _require_sklearn() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the demo's model needs {' and '.join(missing)}, not installed; "
            "pip install 'mfprefect[sklearn]'."
        )


def _prepare(folder: Path, url: str) -> None:
    """Set the environment, before Prefect is imported and reads it."""
    os.environ["MFPREFECT_URL"] = url
    for name, value in {
        "PREFECT_HOME": str((folder / "prefect").resolve()),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }.items():
        os.environ.setdefault(name, value)


def _has_model(store: Store) -> bool:
    return MODEL in set(store.models()["model_id"])


def _run(out: Output) -> tuple[str, str]:
    model = _load(_script())
    server = os.environ.get("PREFECT_API_URL")
    wait = "" if server else " (Prefect's temporary server takes 10 to 20 seconds to start)"
    with _quiet_loggers():
        with out.working(f"training the model {MODEL}{wait}"):
            trained: str = model.train()
        with out.working("scoring 569 patients"):
            scored: str = model.score(training_session_id=trained)
    return trained, scored


def _script() -> Path:
    import mfprefect

    package = Path(mfprefect.__file__).parent
    places = (
        package.parent / "flows" / f"{MODEL}.py",  # a checkout
        package / "_demo" / f"{MODEL}.py",  # an installed wheel
    )
    for place in places:
        if place.is_file():
            return place
    raise ConfigurationError(
        f"the demo's model is in neither of {', '.join(map(str, places))}; reinstall mfprefect."
    )


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODEL, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODEL] = module  # classes are looked up by their module's name
    spec.loader.exec_module(module)
    return module


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Keep Prefect's traceback of a failed flow back: the session tells what happened."""
    import logging

    logger = logging.getLogger("prefect.flow_runs")
    level = logger.level
    if os.environ.get("MFPREFECT_DEBUG") != "1":
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _explain(out: Output, store: Store, before: set[str], exc: Exception) -> None:
    from mfprefect.cli.formats import records

    rows = records(store.sessions(MODEL, limit=10)) if _has_model(store) else []
    for row in rows:
        if row["session_id"] not in before and row["failure_kind"]:
            out.note(
                f"session {row['session_id']} {row['status']}: {row['failure_kind']}: "
                f"{row['failure_text']}"
            )
            out.note(f"{_export(store, os.environ['MFPREFECT_URL'])}")
            out.note(f"{_program()} show {shlex.quote(row['session_id'])}")


def _facts(store: Store, trained: str, scored: str, url: str) -> dict[str, Any]:
    from mfprefect.cli.formats import records
    from mfprefect.cli.scores import first_scores

    metrics = records(store.metrics(trained), "session_id")
    importance = records(store.variable_importance(trained), "session_id")
    kinds = [row["kind"] for row in importance]
    kind = "permutation" if "permutation" in kinds else kinds[0] if kinds else None
    top = [row for row in importance if row["kind"] == kind][:TOP]
    main = [row for name in MAIN_METRICS for row in metrics if row["metric_name"] == name]
    trainings = [
        row["session_id"]
        for row in records(store.sessions(MODEL, "succeeded"))
        if row["purpose"] == "train"
    ]
    return {
        "database": store.database.place,
        "trained": trained,
        "scored": scored,
        "sessions": records(store.sessions(MODEL, limit=10)),
        "metrics": main or metrics[:10],
        "importance": top,
        "scores": first_scores(store, scored, TOP),
        "next": _next(store, url, trained, trainings),
    }


def _export(store: Store, url: str) -> str:
    parts = store.database.backend.url
    if parts.password or parts.query or "${" in url:
        return f"# export MFPREFECT_URL: the URL of {store.database.place}, with its password"
    return f"export MFPREFECT_URL={shlex.quote(url)}"


def _next(store: Store, url: str, trained: str, trainings: list[str]) -> list[str]:
    others = [name for name in trainings if name != trained]
    compare = [f"compare {others[0]} {trained}"] if others else []
    commands = [
        "sessions",
        f"show {trained}",
        *compare,
        f"scores latest:{MODEL} --limit 10",
        f"scores latest:{MODEL} --to scores.csv --force",
        "doctor",
    ]
    return [_export(store, url), *(f"{_program()} {command}" for command in commands)]


def _program() -> str:
    """Return what to type: the name where the shell finds it, else the path."""
    found = shutil.which("mfprefect")
    here = Path(sys.argv[0])
    if here.name != "mfprefect" or (found and Path(found).resolve() == here.resolve()):
        return "mfprefect"
    near = os.path.relpath(here)
    return shlex.quote(str(here) if near.startswith("..") else near)


def _write(out: Output, facts: dict[str, Any]) -> None:
    from mfprefect.cli.listings import SESSION_COLUMNS, session_rows
    from mfprefect.cli.scores import SCORE_COLUMNS
    from mfprefect.cli.show import METRIC_COLUMNS, importance_columns

    metric = [column for column in METRIC_COLUMNS if column.key != "segment"]
    out.table(session_rows(facts["sessions"]), SESSION_COLUMNS, "Sessions")
    out.table(facts["metrics"], metric, "How good the training is")
    if facts["importance"]:
        columns = importance_columns(facts["importance"])
        out.table(facts["importance"], columns, "The variables that matter most")
    out.table(facts["scores"], SCORE_COLUMNS, "The first scores")
    out.heading("Try next")
    for command in facts["next"]:
        out.line(f"  {command}")
