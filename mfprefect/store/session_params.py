"""Parameters of sessions as rows of `session_params`, by which sessions are found.

What a session ran with is the JSON text in `sessions.params`, which is sealed. The rows follow from
it, so that those of sessions sealed before there was this table can be added, and verified.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidValue
from mfprefect.schema import PARAM_LENGTH
from mfprefect.store.database import Database
from mfprefect.store.states import Status
from mfprefect.util import values

__all__ = ["TABLE", "add_missing", "insert", "param_rows", "replace"]

TABLE = "session_params"
BATCH = 500
"""Sessions whose rows are added in one transaction: on Teradata, each row locks a hash."""


def param_rows(db: Database, params: str) -> list[dict[str, Any]]:
    """Return the rows, without `session_no`, of parameters as JSON text.

    Names that are empty, longer than 255 characters, or that the database cannot compare exactly
    have none: no session is found by them.
    """
    try:
        document = json.loads(params)
    except ValueError:
        return []
    if not isinstance(document, dict):
        return []
    name_column = db.schema.session_params.c.param_name
    return [
        {"param_name": name, **_typed(db, value)}
        for name, value in document.items()
        if name and _fits(db, name_column, name)
    ]


def _fits(db: Database, column: sa.Column[Any], text: str) -> bool:
    try:
        values.text(text, "a parameter")
    except InvalidValue:
        return False
    return len(text) <= PARAM_LENGTH and not db.backend.why_not_storable(column, text)


def _typed(db: Database, value: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("number", "text", "json"))
    if isinstance(value, bool):
        return {"type": "boolean", **row, "number": float(value)}
    if isinstance(value, (int, float)) and (number := _double(value)) is not None:
        exact = number == value
        return {"type": "number", **row, "number": number, "json": None if exact else str(value)}
    column = db.schema.session_params.c
    if isinstance(value, str):
        if _fits(db, column.text, value):
            return {"type": "text", **row, "text": value}
        return {"type": "text", **row, "json": _json(db, value)}
    return {"type": "json", **row, "json": _json(db, value)}


def _double(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _json(db: Database, value: Any) -> str | None:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return None if db.backend.why_not_storable(db.schema.session_params.c.json, text) else text


def insert(db: Database, connection: sa.Connection, session_no: int, params: str) -> None:
    """Insert the rows of a session that has none."""
    if rows := _of_session(session_no, param_rows(db, params)):
        connection.execute(db.schema.session_params.insert(), rows)


def replace(
    db: Database, connection: sa.Connection, session_no: int, rows: Sequence[dict[str, Any]]
) -> None:
    """Replace all rows of a session that this transaction has locked."""
    table = db.schema.session_params
    connection.execute(table.delete().where(table.c.session_no == session_no))
    if rows:
        connection.execute(table.insert(), _of_session(session_no, rows))


def _of_session(session_no: int, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"session_no": session_no, **row} for row in rows]


def add_missing(db: Database) -> int:
    """Add the rows of ended sessions that have none; return how many sessions got some.

    Versions before there was the table left none, and so do runs of theirs that end later. Works
    in short transactions, so that nobody waits, and goes on where an interruption stopped it.
    """
    added = last = 0
    while True:
        work = functools.partial(_add_batch, db, last)
        # Another process may just have added some.
        batch = db.write_transaction(work, also_retry=IntegrityError)
        if batch is None:
            return added
        last, sessions = batch
        added += sessions


def _add_batch(
    db: Database, last: int, connection: sa.Connection, _: bool
) -> tuple[int, int] | None:
    """Add rows of sessions after `last`; return the last one looked at, and how many got some."""
    s, p = db.schema.sessions.c, db.schema.session_params.c
    lacking = (
        sa.select(s.session_no, s.params)
        .where(
            s.session_no > last,
            s.status != Status.RUNNING,
            ~sa.exists().where(p.session_no == s.session_no),
        )
        .order_by(s.session_no)
        .limit(BATCH)
    )
    sessions = connection.execute(lacking).all()
    if not sessions:
        return None
    rows = [_of_session(row.session_no, param_rows(db, row.params)) for row in sessions]
    if full := [row for group in rows for row in group]:
        connection.execute(db.schema.session_params.insert(), full)
    return sessions[-1].session_no, sum(map(bool, rows))
