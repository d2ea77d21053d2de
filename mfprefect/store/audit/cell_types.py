"""Cells that are not of their column's type, where a database lets anybody store such: SQLite.

Reading one would end in an error of Python, and some would pass for the value that was sealed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mfprefect.audit import Problem
from mfprefect.schema import Blob
from mfprefect.store.database import Database

__all__ = ["IllTyped", "find_ill_typed"]

WHAT = "ill-typed"
SHOWN_BYTES = 40
MOST_SESSIONS = 1_000
"""Of more sessions than this, the verification says that it cannot read the tables."""


@dataclass
class IllTyped:
    """The cells of a database that are not of their column's type."""

    problems: list[Problem] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)
    """The sessions that have some: they cannot be read, and so not compared with their seals."""
    elsewhere: bool = False
    """Whether a table has some that verifying any session needs."""


def find_ill_typed(db: Database, sessions: sa.CompoundSelect[*tuple[Any, ...]] | None) -> IllTyped:
    """Look at every cell, except where the database looks itself at what is stored.

    Args:
        db: the database.
        sessions: selects the numbers of the sessions to look at; None for all.
    """
    cells = IllTyped()
    for name in _tables_with(db, sessions):
        table = db.schema.tables[name]
        for row in db.fetch_all(_rows(db, table).where(*_conditions(db, table, sessions))):
            cells.problems += _problems(db, name, row._asdict())
            if not _is_of_sessions(db, table):
                cells.elsewhere = True
            elif row.session is not None:
                cells.sessions.add(row.session)
    if cells.elsewhere or len(cells.sessions) > MOST_SESSIONS:
        cells.elsewhere = True
        text = "nothing else was verified: repair these cells first, which cannot be read"
        cells.problems.append(Problem(WHAT, text))
    return cells


def _is_of_sessions(db: Database, table: sa.Table) -> bool:
    return table is db.schema.sessions or table in db.schema.session_tables()


def _conditions(
    db: Database, table: sa.Table, sessions: sa.CompoundSelect[*tuple[Any, ...]] | None
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of rows with such cells; none if the database stores none."""
    misfits = [misfit for column in table.c if (misfit := db.backend.misfit(column)) is not None]
    if not misfits:
        return []
    conditions = [sa.or_(*(sa.literal_column(f"{misfit} IS NOT NULL") for misfit in misfits))]
    if sessions is not None and _is_of_sessions(db, table):
        conditions.append(table.c.session_no.in_(sa.select(sessions.subquery().c.session_no)))
    return conditions


def _tables_with(db: Database, sessions: sa.CompoundSelect[*tuple[Any, ...]] | None) -> list[str]:
    """Return the names of the tables that have such cells, by one statement."""
    names, selects = list(db.schema.tables), list[sa.Select[*tuple[Any, ...]]]()
    for position, table in enumerate(db.schema.tables.values()):
        if conditions := _conditions(db, table, sessions):
            row = sa.exists().select_from(table).where(*conditions)
            selects.append(sa.select(sa.literal_column(str(position))).where(row))
    return [names[row[0]] for row in db.fetch_all(sa.union_all(*selects))] if selects else []


def _rows(db: Database, table: sa.Table) -> sa.Select[*tuple[Any, ...]]:
    """Select of each row its session, the first bytes of its cells, and what is wrong with each."""
    s, number = db.schema.sessions.alias("its_session"), table.c.get("session_no")
    same = sa.false() if number is None else s.c.session_no == number
    columns: dict[str, Any] = {
        "session": sa.select(s.c.session_no).where(same).scalar_subquery(),
        "session_id": sa.select(_bytes(s.c.session_id)).where(same).scalar_subquery(),
        "model_id": sa.select(_bytes(s.c.model_id)).where(same).scalar_subquery(),
    }
    for column in table.c:
        columns[f"cell {column.name}"] = _bytes(column)
        columns[f"type {column.name}"] = sa.literal_column(db.backend.misfit(column) or "NULL")
    select = sa.select(*(value.label(name) for name, value in columns.items()))
    return select.select_from(table).order_by(*table.primary_key)


def _bytes(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bytes]:
    # Not as text, which need not be valid either.
    return sa.func.substr(sa.cast(column, Blob), 1, SHOWN_BYTES, type_=Blob)


def _problems(db: Database, name: str, row: dict[str, Any]) -> Iterator[Problem]:
    table, dialect = db.schema.tables[name], db.backend.dialect()
    place = _text(row["model_id"]), _text(row["session_id"]), name
    columns = [c for c in table.primary_key if c.name != "session_no"] or [*table.primary_key]
    key = tuple(_shown(row, column) for column in columns)
    for column in table.c:
        stored = row[f"type {column.name}"]
        if stored is not None:
            what = f"{column.name} is {stored} {_text(row[f'cell {column.name}'])!r}"
            kind = column.type.compile(dialect)
            text = f"{name}: the row ({', '.join(map(repr, key))}): {what}, no {kind} of ours"
            yield Problem(WHAT, text, *place, key, (column.name,))


def _shown(row: dict[str, Any], column: sa.Column[Any]) -> Any:
    """Return a cell of a key as text, or as a number if it is one as it should be."""
    text = _text(row[f"cell {column.name}"]) or ""
    number = isinstance(column.type, sa.Integer) and row[f"type {column.name}"] is None
    return int(text) if number else text


def _text(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode(errors="backslashreplace")
