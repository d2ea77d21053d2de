from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from mfprefect.errors import InvalidValue
from mfprefect.session.exit_handlers import Terminated, ending_for
from mfprefect.store import connect

HEADER = """
import os, signal, sys, time
from mfprefect import connect
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us may ignore it
store = connect("sqlite:///test.db")
"""
BLOCK = "with store.session('churn') as session:\n    session.log_metrics({'auc': 0.5})\n"
OPEN = "session = store.session('churn')\nsession.log_metrics({'auc': 0.5})\n"
SIGNAL = "os.kill(os.getpid(), signal.{}); time.sleep(60)"


class Ended(NamedTuple):
    """How a script's process ended, and its session in the database."""

    code: int
    errors: str
    session: pd.Series[Any]
    metrics: int


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("endings") / "test.db"
    with connect(f"sqlite:///{path}") as store:
        store.create_schema()
        store.add_model("churn")
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "test.db"))


def run(database: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = database.with_name("script.py")
    path.write_text(HEADER + script)
    return subprocess.run(
        [sys.executable, path.name],
        cwd=database.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def ended(database: Path, script: str) -> Ended:
    done = run(database, script)
    with connect(f"sqlite:///{database}") as store:
        sessions = store.sessions()
        assert len(sessions) == 1, done.stderr
        metrics = len(store.metrics(sessions.session_id[0]))
    return Ended(done.returncode, done.stderr, sessions.iloc[0], metrics)


def in_block(statements: str) -> str:
    return BLOCK + textwrap.indent(statements, "    ")


# Runs that end well


def test_leaving_the_block_is_success(database: Path) -> None:
    run = ended(database, BLOCK)
    assert (run.code, run.errors, run.session.status) == (0, "", "succeeded")
    assert run.metrics == 1
    assert pd.isna(run.session.failure_kind)


def test_closing_is_success_whatever_comes_later(database: Path) -> None:
    run = ended(database, OPEN + "session.close()\nraise ValueError('later')")
    assert (run.code, run.session.status, run.metrics) == (1, "succeeded", 1)
    assert "ValueError: later" in run.errors


# Exceptions

FAILURES = {
    "ValueError('no rows')": ("ValueError", "no rows"),
    "KeyError('x')": ("KeyError", "'x'"),
}


@pytest.mark.parametrize("how", [in_block, OPEN.__add__], ids=["with", "without"])
@pytest.mark.parametrize("error", FAILURES)
def test_an_exception_is_a_failure_of_its_kind(database: Path, how: Any, error: str) -> None:
    kind, text = FAILURES[error]
    run = ended(database, how(f"raise {error}"))
    assert (run.code, run.session.status) == (1, "failed")
    assert (run.session.failure_kind, run.session.failure_text) == (kind, text)
    assert f"{kind}: {text}" in run.errors
    assert run.metrics == 1


@pytest.mark.parametrize("how", [in_block, OPEN.__add__], ids=["with", "without"])
def test_a_text_that_no_database_holds_is_kept_as_far_as_it_goes(database: Path, how: Any) -> None:
    run = ended(database, how("raise ValueError('a\\0b\\ud800c' + 'x' * 1_000_000)"))
    assert (run.code, run.session.status) == (1, "failed")
    assert run.session.failure_kind == "ValueError"
    assert run.session.failure_text.startswith("a\\0b\\ud800cxxx")
    assert 1_000 < len(run.session.failure_text) < 100_000


def test_a_session_that_nobody_closed_is_a_failure(database: Path) -> None:
    run = ended(database, OPEN)
    assert (run.code, run.session.status) == (0, "failed")
    assert "without closing the session: use `with`, or session.close()" in run.session.failure_text
    assert run.metrics == 1


# Exits and signals


@pytest.mark.parametrize("how", [in_block, OPEN.__add__], ids=["with", "without"])
def test_an_exit_with_a_code_is_a_failure(database: Path, how: Any) -> None:
    run = ended(database, how("sys.exit(3)"))
    assert (run.code, run.session.status) == (3, "failed")


@pytest.mark.parametrize(
    ("script", "status"),
    [(in_block("sys.exit(0)"), "cancelled"), (OPEN + "sys.exit(0)", "failed")],
    ids=["with", "without"],
)
def test_an_early_exit_is_no_success(database: Path, script: str, status: str) -> None:
    run = ended(database, script)
    assert (run.code, run.session.status) == (0, status)


@pytest.mark.parametrize("how", [in_block, OPEN.__add__], ids=["with", "without"])
def test_sigterm_cancels(database: Path, how: Any) -> None:
    run = ended(database, how(SIGNAL.format("SIGTERM")))
    assert (run.code, run.session.status) == (128 + signal.SIGTERM, "cancelled")
    assert (run.session.failure_kind, run.metrics) == ("SIGTERM", 1)


@pytest.mark.parametrize("how", [in_block, OPEN.__add__], ids=["with", "without"])
def test_an_interrupt_cancels(database: Path, how: Any) -> None:
    run = ended(database, how(SIGNAL.format("SIGINT")))
    assert run.code in (-signal.SIGINT, 128 + signal.SIGINT)
    assert run.session.status == "cancelled"
    assert (run.session.failure_kind, run.metrics) == ("KeyboardInterrupt", 1)


def test_after_the_session_sigterm_is_the_default_again(database: Path) -> None:
    run = ended(database, BLOCK + SIGNAL.format("SIGTERM"))
    assert (run.code, run.session.status) == (-signal.SIGTERM, "succeeded")


def test_a_handler_of_the_script_stays(database: Path) -> None:
    handler = "signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))\n"
    run = ended(database, handler + in_block(SIGNAL.format("SIGTERM")))
    assert (run.code, run.session.status) == (7, "failed")


# Children and databases that are gone

CHILD = """
if not (child := os.fork()):
    {}
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), file=sys.stderr)
session.log_metrics({{"after": 1}})
"""


@pytest.mark.parametrize(
    ("way_out", "code"),
    [("sys.exit(5)", 5), ("raise ValueError('in the child')", 1), (SIGNAL.format("SIGTERM"), 143)],
)
@pytest.mark.parametrize("with_block", [True, False], ids=["with", "without"])
def test_a_forked_child_leaves_the_session_alone(
    database: Path, with_block: bool, way_out: str, code: int
) -> None:
    child = CHILD.format(way_out)
    run = ended(database, in_block(child) if with_block else f"{OPEN}{child}session.close()")
    assert (run.code, run.session.status, run.metrics) == (0, "succeeded", 2)
    assert run.errors.split()[-1] == str(code)


GONE = """
store.close()
for name in ("test.db", "test.db-wal", "test.db-shm"):
    open(name, "wb").write(b"this is no database" * 1_000)
raise LookupError("what really happened")
"""


@pytest.mark.parametrize("how", [in_block, OPEN.__add__], ids=["with", "without"])
def test_without_a_database_the_error_comes_out_all_the_same(database: Path, how: Any) -> None:
    done = run(database, how(GONE))
    assert done.returncode == 1
    assert "LookupError: what really happened" in done.stderr
    assert "could not be closed" in done.stderr
    assert "file is not a database" in done.stderr


def test_without_a_database_the_script_can_still_handle_its_error(database: Path) -> None:
    attempt = textwrap.indent(in_block(GONE), "    ")
    done = run(database, f"try:\n{attempt}\nexcept LookupError:\n    sys.exit(9)")
    assert done.returncode == 9, done.stderr


# The ending that an exception makes


class Outer:
    class Inner(Exception):
        pass


@pytest.mark.parametrize(
    ("error", "status", "kind", "text"),
    [
        (ValueError("x"), "failed", "ValueError", "x"),
        (InvalidValue("x"), "failed", "InvalidValue", "x"),
        (Outer.Inner("x"), "failed", f"{__name__}.Outer.Inner", "x"),
        (KeyboardInterrupt(), "cancelled", "KeyboardInterrupt", ""),
        (GeneratorExit(), "cancelled", "GeneratorExit", ""),
        (SystemExit(0), "cancelled", "SystemExit", "0"),
        (SystemExit(), "cancelled", "SystemExit", ""),
        (SystemExit(2), "failed", "SystemExit", "2"),
        (SystemExit("no rows"), "failed", "SystemExit", "no rows"),
        (Terminated(143), "cancelled", "SIGTERM", "the process received SIGTERM"),
    ],
)
def test_endings(error: BaseException, status: str, kind: str, text: str) -> None:
    outcome = ending_for(error)
    assert (outcome.status, outcome.failure_kind, outcome.failure_text) == (status, kind, text)


def test_a_kind_fits_its_column() -> None:
    kind = type("Deep" * 200, (Exception,), {})
    assert len(str(ending_for(kind("x")).failure_kind)) <= 255
