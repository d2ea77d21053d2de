"""Rows under the number of no session: somebody added them by hand.

Where the database lets them in, the next session to get that number would inherit them. It removes
them, and the audit trail says what they were.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mfprefect.audit import Problem
from mfprefect.backend import NO_LOCK_OPTION, Backend
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.row_numbers import LARGEST

__all__ = [
    "ACTION",
    "newest_session",
    "orphan_problems",
    "orphans_ahead",
    "remove_orphans",
    "unguarded",
]

ACTION = "remove_orphans"
"""The action in the audit trail."""
PAGE = 10_000
NEWEST = "newest"


def newest_session(db: Database) -> sa.Subquery:
    """Return the derived table `newest` of one row: `last_no`, and the `next_no` after it.

    `next_no` is NULL after `LARGEST`: see `next_session_no`.
    """
    last = sa.func.max(db.schema.sessions.c.session_no)
    zero, largest = (sa.literal_column(str(number), sa.Integer()) for number in (0, LARGEST))
    following = sa.func.nullif(sa.func.coalesce(last, zero), largest) + sa.literal_column("1")
    return sa.select(last.label("last_no"), following.label("next_no")).subquery(NEWEST)


def orphans_ahead(db: Database) -> sa.ColumnElement[int]:
    """Return the expression for `next_no` if it has rows, else NULL; for selects from `newest`.

    Opening a session asks it in a statement of its own needs.
    """
    return sa.literal_column(_orphans_ahead(db.backend), sa.Integer())


# Text, and cached: SQLAlchemy would take longer over it than the database.
@functools.lru_cache(maxsize=8)
def _orphans_ahead(backend: Backend) -> str:
    following: sa.ColumnClause[int] = sa.literal_column(f"{NEWEST}.next_no")
    numbers = [
        # Without the tables of large sessions, which hold no other number. Equality, because
        # Teradata, where no index has the highest number, then reads one partition.
        sa.select(sa.func.max(table.c.session_no))
        .where(table.c.session_no == following)
        .with_hint(table, "ONLY", "postgresql")
        .scalar_subquery()
        for table in unguarded(backend).values()
    ]
    # With a NULL more, because some backends have one table, and COALESCE takes no less than two.
    return str(sa.func.coalesce(*numbers, sa.null()).compile(dialect=backend.dialect()))


def unguarded(backend: Backend) -> dict[str, sa.Table]:
    """Return the tables that may hold rows of no session."""
    of_sessions = backend.schema.session_tables()
    return {
        name: table
        for name, table in backend.schema.tables.items()
        if table in of_sessions and (name == "scores" or not backend.enforces_sessions)
    }


def remove_orphans(db: Database, connection: sa.Connection, handle: SessionHandle) -> None:
    """Remove the rows that a session would inherit, and record them in the audit trail.

    Args:
        db: the database.
        connection: in the transaction that has just inserted the session.
        handle: the session.
    """
    number = handle.session_no
    tables = {name: db.schema.tables[name] for name in _tables_with(db, connection, number)}
    if not tables:
        return
    rows = {name: _summary(connection, table, number) for name, table in tables.items()}
    facts = {"model": handle.model_id, "session_no": number, "tables": rows}
    record(db, connection, ACTION, handle.session_id, **facts)
    for table in tables.values():
        connection.execute(table.delete().where(table.c.session_no == number))


def _tables_with(db: Database, connection: sa.Connection, number: int) -> list[str]:
    tables = unguarded(db.backend)
    counts = [
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.session_no == number)
        .scalar_subquery()
        .label(f"rows_of_{name}")
        for name, table in tables.items()
    ]
    row = connection.execute(sa.select(*counts), execution_options={NO_LOCK_OPTION: True}).one()
    return [name for name, count in zip(tables, row, strict=True) if count]


def _summary(connection: sa.Connection, table: sa.Table, number: int) -> dict[str, Any]:
    """Return the number of rows and their SHA-256: of a line of JSON for each, by key."""
    rows, sha = 0, hashlib.sha256()
    for row in _rows(connection, table, number):
        line = json.dumps(list(row), default=_text)
        sha.update(f"{line}\n".encode())
        rows += 1
    return {"rows": rows, "sha256": sha.hexdigest()}


def _rows(
    connection: sa.Connection, table: sa.Table, number: int
) -> Iterator[sa.Row[*tuple[Any, ...]]]:
    """Yield the rows, page by page where there may be many."""
    # As the driver gives them: they need not be what their columns promise.
    plain = {c.name: sa.type_coerce(c, sa.types.NullType()) for c in table.c}
    key = [plain[c.name] for c in table.primary_key if c.name != "session_no"]
    columns = [*key, *(plain[c.name] for c in table.c if not c.primary_key)]
    select = sa.select(*columns).where(table.c.session_no == number).order_by(*key)
    if len(key) > 1:
        yield from connection.execute(select)
        return
    page = list(connection.execute(select.limit(PAGE)))
    while page:
        yield from page
        page = list(connection.execute(select.where(key[0] > page[-1][0]).limit(PAGE)))


def _text(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def orphan_problems(db: Database) -> list[Problem]:
    """Return a problem for each table and number under which there are rows of no session."""
    # A database without snapshots may have read rows of a session that was just deleted.
    problems = _problems(db)
    return [problem for problem in _problems(db) if problem in problems] if problems else []


def _problems(db: Database) -> list[Problem]:
    s, of_sessions = db.schema.sessions.c, db.schema.session_tables()
    names = [name for name, table in db.schema.tables.items() if table in of_sessions]
    # One statement, and tables by position: Teradata cuts a text off at the length of the first.
    selects = []
    for position, name in enumerate(names):
        number = db.schema.tables[name].c.session_no
        counts = sa.select(sa.literal_column(str(position)), number, sa.func.count())
        orphaned = [~sa.exists().where(s.session_no == number)]
        if (misfit := db.backend.misfit(number)) is not None:
            orphaned.append(
                sa.literal_column(misfit).is_(None)
            )  # named as what they are: see `cell_types`
        selects.append(counts.where(*orphaned).group_by(number))
    ordered = sa.union_all(*selects).order_by(sa.text("1"), sa.text("2"))
    problems = []
    for position, number, count in db.fetch_all(ordered):
        name = names[position]
        text = f"{name}: {count} rows were added under the number {number}, which no session has"
        problems.append(Problem("added", text, table=name, key=(number,)))
    return problems
