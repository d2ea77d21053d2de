"""Rows that a transaction holds before it decides by them.

Where selects see what others have not committed (Teradata's access locks), a row is certain only
while its row hash is locked. All transactions lock in one order, so that none waits for one that
waits for it: the model, the session, the session's tables in the schema's order, the last seal of
the model, the last audit event.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mfprefect.backend import HOLD_OPTION, NO_LOCK_OPTION, WRITE_OPTION
from mfprefect.store.database import Database

__all__ = ["WITHOUT_LOCK", "is_committed", "last_of_chain"]

WITHOUT_LOCK = {NO_LOCK_OPTION: True}
"""The execution option of a select that needs no lock of its own: a row that the transaction holds
vouches for what it reads, or a unique index refuses what it decides wrongly."""
_HOLD = {HOLD_OPTION: True}


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
        held = connection.execute(this, execution_options=_HOLD).first()
        if held is not None and not recheck:
            return held
        # Who held it may have appended the next one, or rolled back.
        last = connection.execute(newest, execution_options=WITHOUT_LOCK).first()
        if last is None or (held is not None and last[0] == held[0]):
            return held if last is not None else None
        seen = last[0]
