"""The numbers of new rows: one more than the highest, as far as the column goes."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from mfprefect.backend import NO_LOCK_OPTION
from mfprefect.errors import DatabaseError
from mfprefect.store.database import Database

__all__ = ["LARGEST", "next_number", "next_session_no"]

log = logging.getLogger(__name__)
LARGEST = 2**31 - 1


def next_number(last: int | None, what: str) -> int:
    """Return the number after the last one, 1 after None.

    Raises:
        DatabaseError: the last one is the largest that fits. No run gets there: somebody added it.
    """
    if (last or 0) >= LARGEST:
        raise DatabaseError(
            f"{what} has the number {last}, the largest that fits, and nothing can follow it. "
            "mfprefect did not write it: see `mfprefect audit verify`, and have the admin of the "
            "database delete that row."
        )
    return (last or 0) + 1


def next_session_no(db: Database, connection: sa.Connection, last: int | None) -> int:
    """Return the number of a new session.

    Where a row has the largest number, which no run reaches, it is the highest free one below:
    nobody should be able to stop all sessions by one row.

    Args:
        db: the database.
        connection: in the transaction that inserts the session.
        last: the highest number; None without any session.
    """
    if (last or 0) < LARGEST:
        return (last or 0) + 1
    s, above = db.schema.sessions, db.schema.sessions.alias("above")
    # As a big integer: the database may add 1 to the largest number as well.
    following = sa.cast(s.c.session_no, sa.BigInteger) + 1
    free = sa.select(sa.func.max(s.c.session_no)).where(
        s.c.session_no < LARGEST, ~sa.exists().where(above.c.session_no == following)
    )
    options = {NO_LOCK_OPTION: (db.schema.sessions,)}
    below: int | None = connection.scalar(free, execution_options=options)
    name = connection.scalar(
        sa.select(s.c.session_id).where(s.c.session_no == LARGEST), execution_options=options
    )
    log.warning(
        "session %r has session_no %d, the largest that fits, so a new session takes a free number "
        "below it. No run gets that far, so somebody added this row or one just below it: see "
        "`mfprefect audit verify`, and have the admin of the database delete it.",
        name,
        LARGEST,
    )
    return max(below or 0, 0) + 1
