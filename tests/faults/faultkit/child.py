"""What is run, disturbed and killed: processes of their own, forked from one that knows the way.

A fork server imports once what a run needs, so that one costs a fifth of a second and every
statement of it can be disturbed in turn. The seams at which a child does harm to itself are in
`faultkit.seams`.

A child writes down in its *journal*, before each step, that it begins it, and after it that it is
done: what the journal calls done was acknowledged, and must not be lost. It survives SIGKILL.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pandas as pd

from faultkit.journal import Journal
from faultkit.script import MODEL, PARTS, model_bytes, scores
from faultkit.seams import NO_SEAMS, Seams
from mfprefect.util.processes import find_process

__all__ = ["Run", "frame", "kill", "start", "start_engine", "start_push", "write_session"]

PRELOADED = [
    "mfprefect.session",
    "mfprefect.lifecycle.flows",
    "mfprefect_backends.mysql",
    "mfprefect_backends.postgres",
    "mfprefect_backends.sqlite",
    "pandas",
    "prefect.flow_engine",
    "psycopg2",
    "pymysql",
    "pytest",
    "sklearn.linear_model",
]


@dataclass(frozen=True)
class Run:
    """One run of the script: all that it writes depends on its number."""

    number: int
    url: str
    journal: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    flow_run: tuple[str, str] | None = None
    """The id and the count of the flow run that it passes for: a later count resumes."""
    large: bool = False
    """Whether its parts count as large: PostgreSQL gives the session a table of its own."""
    seams: Seams = NO_SEAMS


def frame(number: int, part: int) -> pd.DataFrame:
    """Return the scores of a part of a run."""
    return pd.DataFrame(scores(number, part).items(), columns=["id", "score"])


def write_session(store: Any, number: int, journal: Journal) -> None:
    """Open a session, write to all kinds of tables, close it; tell the journal of each step."""
    journal.write("begin open")
    with store.session(MODEL, purpose="score", params={"number": number}) as session:
        journal.write(f"session {session.session_id}")
        journal.write("done open")
        journal.saw(session)
        journal.write("begin flush")
        session.log_metrics({"number": number})
        session.log_metadata({"number": str(number)})
        session.flush()
        journal.write("done flush")
        journal.saw(session)
        journal.write("begin model")
        session.save_model(model_bytes(number))
        journal.write("done model")
        journal.saw(session)
        for part in range(1, PARTS + 1):
            journal.write(f"begin part {part}")
            if session.keep_part(part) is None:
                session.write_scores(frame(number, part), entity_id="id", part=part)
            journal.write(f"done part {part}")
            journal.saw(session)
        session.log_metrics({"late": number})
        journal.write("begin close")
        journal.saw(session)
    journal.saw(session)
    journal.write("done spooled" if session.status == "spooled" else "done close")


def _run(run: Run) -> None:
    journal = Journal(run.journal)
    _redirect(run.journal.with_suffix(".log"))
    try:
        run.seams.install(journal)
        import mfprefect
        from mfprefect.provenance.flow_run import FlowRun
        from mfprefect.store.api import sessions as sessions_api
        from mfprefect.store.scores import write as scores_writer

        if run.flow_run is not None:
            flow_run = FlowRun(*run.flow_run, None, began=dt.datetime.now(dt.UTC))
            vars(sessions_api)["current_flow_run"] = lambda: flow_run
        if run.large:
            scores_writer.LARGE_PART = 1
        with mfprefect.connect(run.url, **run.settings) as store:
            write_session(store, run.number, journal)
    except BaseException as exc:  # noqa: BLE001 - whatever it is, it is said
        journal.write(f"failed {type(exc).__name__}: {exc}".replace("\n", " "))
        traceback.print_exc()
        sys.exit(1)


def _push(run: Run) -> None:
    """Deliver what is in the spool."""
    journal = Journal(run.journal)
    _redirect(run.journal.with_suffix(".log"))
    run.seams.install(journal)
    import mfprefect

    with mfprefect.connect(run.url, **run.settings) as store:
        journal.write("begin push")
        verdicts = store.push_spool()["verdict"].tolist()
        journal.write(f"pushed {verdicts}")


def _engine(
    run_id: str, folder: Path, env: Mapping[str, str], log: Path, seams: Seams, journal: Path
) -> None:
    """Execute a flow run as a Prefect worker's child does."""
    _redirect(log)
    seams.install(Journal(journal))
    os.environ.update(env)
    os.chdir(folder)
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    sys.argv = ["prefect.engine", run_id]
    sys.path.insert(0, str(folder))
    runpy.run_module("prefect.engine", run_name="__main__")


def _redirect(log: Path) -> None:
    """Send what is printed to a file."""
    opened = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    sys.stdout.flush()
    os.dup2(opened, 1)
    os.dup2(opened, 2)


def _context() -> multiprocessing.context.ForkServerContext:
    # A BLAS with threads would not survive the fork.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def start(run: Run) -> ForkServerProcess:
    """Start a run of the script."""
    process = _context().Process(target=_run, args=(run,), daemon=True)
    process.start()
    return process


def start_push(run: Run) -> ForkServerProcess:
    """Start a process that delivers what is in a spool."""
    process = _context().Process(target=_push, args=(run,), daemon=True)
    process.start()
    return process


def start_engine(
    run_id: str,
    folder: Path,
    env: Mapping[str, str],
    log: Path,
    seams: Seams = NO_SEAMS,
    journal: Path = Path(os.devnull),
) -> ForkServerProcess:
    """Start a process that executes a flow run."""
    arguments = (run_id, folder, env, log, seams, journal)
    process = _context().Process(target=_engine, args=arguments, daemon=True)
    process.start()
    return process


def kill(process: ForkServerProcess) -> None:
    """SIGKILL a process; return when it is gone."""
    assert process.pid is not None
    # Not by the object, for which another thread may be waiting.
    os.kill(process.pid, signal.SIGKILL)
    seen = dt.datetime.now(dt.UTC)
    while find_process(process.pid, seen) == "same":
        time.sleep(0.001)
