"""Rows that a transaction holds before it decides by them.

Where selects see what others have not committed (Teradata's access locks), a row is certain only
while its row hash is locked. All transactions lock in one order, so that none waits for one that
waits for it: the model, the session, the session's tables in the schema's order, the last seal of
the model, the last audit event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.backend import HOLD_OPTION, NO_LOCK_OPTION, WRITE_OPTION
from mfprefect.store.database import Database

__all__ = ["HOLD", "WITHOUT_LOCK", "delete_of_sessions", "is_committed", "last_of_chain"]

WITHOUT_LOCK = {NO_LOCK_OPTION: True}
"""The execution option of a select that needs no lock of its own: a row that the transaction holds
vouches for what it reads, or a unique index refuses what it decides wrongly."""
HOLD = {HOLD_OPTION: True}
"""That of a select by a unique index that holds its row until the transaction ends."""


def is_committed(
    db: Database, connection: sa.Connection, column: sa.Column[Any], value: Any
) -> bool:
    """Return whether a row that a select has just seen is committed; wait for who is changing it.

    Until the transaction ends, nobody changes it. Needs a statement where selects see uncommitted
    rows and the transaction will write.

    Args:
        db: the database.
        connection: in the transaction.
        column: a column with a unique index.
        value: its value.
    """
    if not (db.backend.reads_uncommitted and connection.get_execution_options().get(WRITE_OPTION)):
        return True
    return connection.scalar(sa.select(column).where(column == value)) is not None


def last_of_chain(
    db: Database,
    connection: sa.Connection,
    number: sa.Column[int],
    digest: sa.Column[str],
    *of_chain: sa.ColumnElement[bool],
    seen: int | None = None,
    recheck: bool = True,
) -> sa.Row[*tuple[Any, ...]] | None:
    """Return number and digest of a chain's last row, None if it is empty.

    Where selects see uncommitted rows, holds that row: whoever appends to the chain waits. The
    first row of a chain is left to the unique index.

    Args:
        db: the database.
        connection: in the transaction.
        number: the column with the numbers of the chain.
        digest: the column with the digests.
        of_chain: the conditions for rows of the chain.
        seen: the last number as a select without locks just saw it; by default it is read.
        recheck: whether to look, once the row is held, if another one follows it. Without, a
            statement less, and the unique index refuses what the caller appends to a longer chain.
    """
    newest = sa.select(number, digest).where(*of_chain).order_by(number.desc()).limit(1)
    if seen is None:
        last = connection.execute(newest, execution_options=WITHOUT_LOCK).first()
        if last is None or not db.backend.reads_uncommitted:
            return last
        seen = last[0]
    while True:
        this = sa.select(number, digest).where(*of_chain, number == seen)
        held = connection.execute(this, execution_options=HOLD).first()
        if held is not None and not recheck:
            return held
        # Who held it may have appended the next one, or rolled back.
        last = connection.execute(newest, execution_options=WITHOUT_LOCK).first()
        if last is None or (held is not None and last[0] == held[0]):
            return held if last is not None else None
        seen = last[0]


def delete_of_sessions(
    db: Database, connection: sa.Connection, table: sa.Table, numbers: Sequence[int]
) -> None:
    """Delete the rows of sessions, locking no others where the database can.

    Args:
        db: the database.
        connection: in a transaction that holds the sessions.
        table: `sessions`, or a table of what they produced.
        numbers: at least one `session_no`.
    """
    column = table.c.session_no
    # Equality where it is one: a database may lock the rows of that value only.
    of_sessions = column == numbers[0] if len(numbers) == 1 else column.in_(numbers)
    if not (db.backend.reads_uncommitted and table is db.schema.artifact_chunks):
        connection.execute(table.delete().where(of_sessions))
        return
    # By their keys: chunks are spread, so that a session alone does not say where they are.
    key = {f"key_{c.name}": c for c in table.primary_key}
    select = sa.select(*key.values()).where(of_sessions)
    if rows := connection.execute(select, execution_options=WITHOUT_LOCK).all():
        same = (c == sa.bindparam(name) for name, c in key.items())
        keys = [dict(zip(key, row, strict=True)) for row in rows]
        connection.execute(table.delete().where(*same), keys)
