"""Deleting the scores of a large session in batches, each a short transaction.

A batch first updates the session's row, if that still meets the conditions of the deletion. Other
processes that delete the same session wait for that row, and none deletes rows of a later session
that has got the same number.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.store.database import Database

__all__ = ["LARGE", "delete_in_batches", "lock_session", "score_rows"]

LARGE = 100_000
"""Rows; the scores of a session with more are deleted in batches."""
BATCH_ROWS = 50_000
LONGEST_PAUSE = 0.1
"""Seconds between two batches: SQLite's other writers try for the lock ten times a second."""


def score_rows(db: Database, connection: sa.Connection, session_no: int) -> int:
    """Return the number of scores of a session, as its parts record it."""
    parts = db.schema.score_parts
    total = sa.select(sa.func.sum(parts.c.rows)).where(parts.c.session_no == session_no)
    return int(connection.scalar(total) or 0)


def lock_session(db: Database, connection: sa.Connection, conditions: Sequence[Any]) -> bool:
    """Lock the session that meets the conditions until the transaction ends; False if none does."""
    s = db.schema.sessions
    return connection.execute(s.update().where(*conditions), {"suspected_at": None}).rowcount == 1


def delete_in_batches(db: Database, session_no: int, conditions: Sequence[Any]) -> None:
    """Delete a session's scores in ranges of keys, for as long as it meets the conditions."""
    after: str | None = None
    while True:
        began = time.monotonic()
        after = _delete_batch(db, session_no, conditions, after)
        if after is None:
            return
        # Let other writers in and replicas catch up.
        time.sleep(min(time.monotonic() - began, LONGEST_PAUSE))


def _delete_batch(
    db: Database, session_no: int, conditions: Sequence[Any], after: str | None
) -> str | None:
    """Delete one batch; return its last entity, None if there were no more scores."""
    c = db.schema.scores.c
    # Resume after the last deleted key, to avoid rescanning deleted entries.
    rest = [c.session_no == session_no, *([] if after is None else [c.entity_id > after])]
    batch = sa.select(c.entity_id).where(*rest).order_by(c.entity_id).limit(BATCH_ROWS).subquery()

    def work(connection: sa.Connection, _: bool) -> str | None:
        if not lock_session(db, connection, conditions):
            return None
        last: str | None = connection.scalar(sa.select(sa.func.max(batch.c.entity_id)))
        if last is not None:
            rows = (*rest, c.entity_id <= last)
            connection.execute(db.schema.scores.delete().where(*rows))
        return last

    return db.write_transaction(work)
