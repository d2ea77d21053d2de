"""Deleting the scores of a large session: batch by batch, each a short transaction of its own.

A batch first updates the session's row under the condition that makes the deletion right. Whoever
else deletes the same session waits for that row, and nobody deletes rows of a later session that
was given the number meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.store.database import Database

__all__ = ["LARGE", "clear_scores", "score_rows", "take"]

LARGE = 100_000
"""Rows above which a session's scores are deleted in batches."""
BATCH_ROWS = 50_000
LONGEST_PAUSE = 0.1
"""Seconds between two batches. SQLite's other writers look ten times a second for their turn."""


def score_rows(db: Database, connection: sa.Connection, session_no: int) -> int:
    """Return how many scores a session has, by its parts."""
    parts = db.schema.score_parts
    total = sa.select(sa.func.sum(parts.c.rows)).where(parts.c.session_no == session_no)
    return int(connection.scalar(total) or 0)


def take(db: Database, connection: sa.Connection, still: Sequence[Any]) -> bool:
    """Lock the session that meets the conditions to the end of the transaction; False: none."""
    s = db.schema.sessions
    return connection.execute(s.update().where(*still), {"suspected_at": None}).rowcount == 1


def clear_scores(db: Database, session_no: int, still: Sequence[Any]) -> None:
    """Delete a session's scores in key ranges, for as long as it meets the conditions `still`."""
    after: str | None = None
    while True:
        began = time.monotonic()
        after = _clear_some(db, session_no, still, after)
        if after is None:
            return
        # Other writers get their turn, and replicas keep up.
        time.sleep(min(time.monotonic() - began, LONGEST_PAUSE))


def _clear_some(
    db: Database, session_no: int, still: Sequence[Any], after: str | None
) -> str | None:
    """Delete one batch; return its last entity, None where there was nothing left."""
    c = db.schema.scores.c
    # From the last batch on: what it deleted would have to be skipped, entry by entry.
    rest = [c.session_no == session_no, *([] if after is None else [c.entity_id > after])]
    some = sa.select(c.entity_id).where(*rest).order_by(c.entity_id).limit(BATCH_ROWS).subquery()

    def work(connection: sa.Connection, _: bool) -> str | None:
        if not take(db, connection, still):
            return None
        last: str | None = connection.scalar(sa.select(sa.func.max(some.c.entity_id)))
        if last is not None:
            rows = (*rest, c.entity_id <= last)
            connection.execute(db.schema.scores.delete().where(*rows))
        return last

    return db.write_transaction(work)
