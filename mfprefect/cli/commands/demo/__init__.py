"""`mfprefect demo`: real models, trained and scored here."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mfprefect.cli.app import common
from mfprefect.cli.commands.demo.output import (
    MODELS,
    Demo,
    Run,
    export,
    gather,
    program,
    write,
    write_reports,
)
from mfprefect.cli.output import Output
from mfprefect.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

    from mfprefect.store import Store

__all__ = ["demo"]

DATABASE = "mfprefect-demo.db"
_NEEDED = ("sklearn", "skops")


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="Where the database, the reports and Prefect's files go.",
)
@common
def demo(out: Output, url: str | None, folder: Path) -> None:
    """Train and score real models here, without a server, and write their reports.

    One finds malignant breast tumours in scikit-learn's data of 569 patients, one predicts how
    far diabetes progresses in its data of 442, and one forecasts the airline passengers of 1960.
    Without --url the sessions go to an SQLite file in the folder.
    """
    import mfprefect

    _require_sklearn()
    folder.mkdir(parents=True, exist_ok=True)
    place = url or f"sqlite:///{(folder / DATABASE).resolve()}"
    _prepare(folder, place)
    with mfprefect.connect(place) as store:
        store.create_schema()
        out.note(_first_line())
        before = {*store.sessions(limit=None)["session_id"]}
        runs = []
        for demo_model in MODELS:
            try:
                runs.append(_run(out, demo_model))
            except Exception as exc:
                _explain(out, store, before, exc)
                raise
        facts = gather(store, runs, place, folder) | {"reports": _reports(out, store, runs, folder)}
    write(out, facts, folder)
    out.document(facts)


def _first_line() -> str:
    line = f"training and scoring {len(MODELS)} models"
    if os.environ.get("PREFECT_API_URL"):
        return line
    return f"{line}; Prefect's temporary server takes 10 to 20 seconds to start"


def _reports(out: Output, store: Store, runs: list[Run], folder: Path) -> dict[str, str]:
    try:
        with out.working("writing the reports", keep=False):
            return write_reports(store, runs, folder)
    except ConfigurationError as exc:  # an extra that the demo can do without
        out.note(f"no reports: {exc}")
        return {}


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
        "DO_NOT_TRACK": "1",  # else Prefect shows a notice of its telemetry on a terminal
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }.items():
        os.environ.setdefault(name, value)


def _run(out: Output, demo_model: Demo) -> Run:
    model = _load(demo_model.name, _script(demo_model.name))
    given = {} if demo_model.as_of is None else {"as_of": demo_model.as_of}
    monitored: str | None = None
    with _quiet_loggers():
        with out.working(f"training the model {demo_model.name}", keep=False):
            trained: str = model.train(**given)
        with out.working(demo_model.scoring, keep=False):
            scored: str = model.score(training_session_id=trained, **given)
        if demo_model.monitoring:
            with out.working(demo_model.monitoring, keep=False):
                monitored = model.monitor(**given)
    return Run(demo_model, trained, scored, monitored)


def _script(name: str) -> Path:
    import mfprefect

    package = Path(mfprefect.__file__).parent
    places = (
        package.parent / "flows" / f"{name}.py",  # a checkout
        package / "_demo" / f"{name}.py",  # an installed wheel
    )
    for place in places:
        if place.is_file():
            return place
    raise ConfigurationError(
        f"the demo's model is in neither of {', '.join(map(str, places))}; reinstall mfprefect."
    )


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes are looked up by their module's name
    spec.loader.exec_module(module)
    return module


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Hide Prefect's traceback of a failed flow: the session says what happened."""
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

    for row in records(store.sessions(limit=10)):
        if row["session_id"] not in before and row["failure_kind"]:
            out.note(
                f"session {row['session_id']} {row['status']}: {row['failure_kind']}: "
                f"{row['failure_text']}"
            )
            out.note(export(store, os.environ["MFPREFECT_URL"]))
            out.note(f"{program()} show {shlex.quote(row['session_id'])}")
