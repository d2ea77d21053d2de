"""Cells that SQLite stores although they are not of their column's type: named by verification."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import mfprefect
from mfprefect import SealBroken
from mfprefect.audit import Problem
from mfprefect.cli import cli
from mfprefect.schema import Schema
from mfprefect.store.audit.cell_types import find_ill_typed
from mfprefect.testing.contract.helpers import fill

WRONG = ("7", "1.5", "'many'", "x'ff00'", "CAST(x'ff00fe' AS TEXT)")
FITTING = {
    "INTEGER": {"integer"},
    "BIGINT": {"integer"},
    "BOOLEAN": {"integer"},
    "DOUBLE_BLOB": {"real", "integer"},
    "BLOB": {"blob"},
    "VARCHAR": {"text"},
    "TEXT": {"text"},
    # A text that is a time fits, and none of the above is one.
    "DATETIME": set[str](),
    "DATE": set[str](),
}


EXAMPLES = {
    "INTEGER": "1",
    "BIGINT": "1",
    "BOOLEAN": "1",
    "DOUBLE_BLOB": "0.5",
    "BLOB": "x'00'",
    "VARCHAR": "'a'",
    "TEXT": "'a'",
    "DATETIME": "'2026-11-30 08:00:00.000000'",
    "DATE": "'2026-11-30'",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with sealed sessions, and a row in every table."""
    path = tmp_path_factory.mktemp("cells") / "s.db"
    with mfprefect.connect(f"sqlite:///{path}", spool="off") as store:
        store.create_schema()
        store.add_model("churn")
        for _ in range(2):
            with store.session("churn", "train") as session:
                fill(session)
        store.set_threshold("churn", 0.5, "probability")
        store.promote("churn", session.session_id, reason="good")
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in Schema().tables:
            values = ", ".join(EXAMPLES[kind] for kind in columns(connection, table).values())
            connection.execute(
                f"INSERT INTO {table} SELECT {values} WHERE NOT EXISTS "  # noqa: S608
                f"(SELECT 1 FROM {table})"
            )
    return path


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Path:
    """A copy of the database."""
    return Path(shutil.copy(filled, tmp_path / "s.db"))


def columns(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Map the columns of a table to their declared types, without lengths."""
    rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return {row[1]: row[2].partition("(")[0] for row in rows}


def plant(path: Path, table: str, column: str, value: str) -> str | None:
    """Change a cell of one row; return the storage class that SQLite gave it, None if refused."""
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
        key = ", ".join(row[1] for row in rows if row[5])
        change = f"""
            UPDATE {table} SET {column} = {value}
            WHERE ({key}) = (SELECT {key} FROM {table} LIMIT 1) RETURNING typeof({column})
        """  # noqa: S608 - ours
        try:
            ((stored,),) = connection.execute(change).fetchall()
        except sqlite3.IntegrityError:  # a rowid is always a number
            return None
    return str(stored)


def mend(path: Path, filled: Path, table: str) -> None:
    """Give a table the rows that it had."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("ATTACH ? AS whole", (str(filled),))
        with connection:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - ours
            connection.execute(f"INSERT INTO {table} SELECT * FROM whole.{table}")  # noqa: S608


def verify(path: Path, *arguments: str) -> list[dict[str, Any]]:
    """Return the problems that the command names."""
    command = ["audit", "verify", "--url", f"sqlite:///{path}", "--json", *arguments]
    result = CliRunner().invoke(cli, command)
    assert isinstance(result.exception, SystemExit), (result.exception, result.output)
    assert result.exit_code == 1, result.output
    problems: list[dict[str, Any]] = json.loads(result.stdout)["problems"]
    return problems


def ill_typed(store: mfprefect.Store, whole: bool) -> list[Problem]:
    """Return the problems with cells; by the whole verification, or by its part for them."""
    if not whole:
        return find_ill_typed(store.database, None).problems
    with pytest.raises(SealBroken) as caught:
        store.verify()
    return [problem for problem in caught.value.problems if problem.what == "ill-typed"]


@pytest.mark.parametrize("table", list(Schema().tables))
def test_each_ill_typed_cell_is_named(filled: Path, path: Path, table: str) -> None:
    with closing(sqlite3.connect(filled)) as connection:
        declared = columns(connection, table)
    planted = 0
    with mfprefect.connect(f"sqlite:///{path}", spool="off") as store:
        for column, kind in declared.items():
            for value in WRONG:
                stored = plant(path, table, column, value)
                if stored is not None and stored not in FITTING[kind]:
                    whole = value == WRONG[planted % len(WRONG)]  # not always: it takes longer
                    cell, planted = ill_typed(store, whole)[0], planted + 1
                    assert (cell.table, cell.columns) == (table, (column,))
                    assert f"{column} is {stored} " in cell.text
                    if planted == 1:
                        assert {"ill-typed"} <= {problem["what"] for problem in verify(path)}
                    mend(path, filled, table)
    assert planted >= len(declared)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("sessions", "started_at", "'2026-02-30 08:00:00.000000'"),
        ("sessions", "started_at", "'2026-11-30 24:00:00.000000'"),
        ("sessions", "started_at", "'0000-11-30 08:00:00.000000'"),
        ("sessions", "ended_at", "'2026-11-30 08:00:00+01:00'"),
        ("sessions", "heartbeat_at", "'2026-11-30T08:00:00.000000'"),
        ("sessions", "as_of", "'2026-02-30'"),
        ("sessions", "as_of", "'2026-11-30 08:00:00.000000'"),
        ("sessions", "git_dirty", "2"),
        ("check_results", "passed", "-1"),
        ("seals", "sealed_at", "'now'"),
    ],
)
def test_a_cell_that_only_looks_like_its_type_is_named(
    path: Path, table: str, column: str, value: str
) -> None:
    assert plant(path, table, column, value) in ("text", "integer")
    (*cells,) = (p for p in verify(path) if p["columns"] == [column] and p["what"] == "ill-typed")
    assert [cell["table"] for cell in cells] == [table]


def test_other_sessions_are_verified_all_the_same(path: Path) -> None:
    with mfprefect.connect(f"sqlite:///{path}", spool="off") as store:
        last, first = store.sessions()["session_id"]
    plant(path, "metrics", "metric_value", "'many'")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE metrics SET metric_value = 0.25 WHERE session_no = 2")
    named = {(p["session_id"], p["what"]) for p in verify(path) if p["table"] == "metrics"}
    assert named == {(first, "ill-typed"), (last, "changed")}
    cell = verify(path, "--session", first)[0]
    assert (cell["what"], cell["key"]) == ("ill-typed", ["auc", ""])
    assert {p["what"] for p in verify(path, "--session", last)} == {"changed"}


def test_what_cannot_be_read_at_all_ends_the_verification(path: Path) -> None:
    plant(path, "audit_events", "event_at", "x'00'")
    assert "nothing else was verified" in verify(path)[-1]["text"]
