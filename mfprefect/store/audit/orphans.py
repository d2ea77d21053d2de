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

__all__ = ["ACTION", "last_number", "orphan_problems", "remove_orphans"]

ACTION = "remove_orphans"
"""The action in the audit trail."""
PAGE = 10_000


def last_number(db: Database) -> sa.ColumnElement[int]:
    """Return the subselect of the highest session number that any row has.

    NULL if the database could only tell by reading its tables.
    """
    return sa.literal_column(_last_number(db.backend), sa.Integer())


# Text, and cached: SQLAlchemy would take longer over it than the database.
@functools.lru_cache(maxsize=8)
def _last_number(backend: Backend) -> str:
    if not backend.finds_last_session:
        return "NULL"
    numbers = sa.union_all(
        *(
            # Without the tables of large sessions, which hold no other number.
            sa.select(sa.func.max(table.c.session_no).label("n")).with_hint(
                table, "ONLY", "postgresql"
            )
            for _, table in _unguarded(backend)
        )
    ).subquery("numbers")
    return f"({sa.select(sa.func.max(numbers.c.n)).compile(dialect=backend.dialect())})"


def _unguarded(backend: Backend) -> Iterator[tuple[str, sa.Table]]:
    """Yield the tables that may hold rows of no session."""
    of_sessions = backend.schema.session_tables()
    for name, table in backend.schema.tables.items():
        if table in of_sessions and (name == "scores" or not backend.enforces_sessions):
            yield name, table


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
    counts = [
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.session_no == number)
        .scalar_subquery()
        .label(f"rows_of_{name}")
        for name, table in _unguarded(db.backend)
    ]
    row = connection.execute(sa.select(*counts), execution_options={NO_LOCK_OPTION: True}).one()
    names = (name for name, _ in _unguarded(db.backend))
    return [name for name, count in zip(names, row, strict=True) if count]


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
    s, problems = db.schema.sessions.c, []
    of_sessions = db.schema.session_tables()
    for name, table in db.schema.tables.items():
        if table not in of_sessions:
            continue
        number = table.c.session_no
        orphaned = ~sa.exists().where(s.session_no == number)
        select = sa.select(number, sa.func.count()).where(orphaned)
        for no, count in db.fetch_all(select.group_by(number).order_by(number)):
            text = f"{name}: {count} rows were added under the number {no}, which no session has"
            problems.append(Problem("added", text, table=name, key=(no,)))
    return problems
