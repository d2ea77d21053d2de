"""The attempts of a session: what ran each of them, and how it ended.

A session's row describes the attempt that is running or ran last. The next attempt copies it to
`session_attempts` before it overwrites it. A session that was retried copies its last attempt, too,
when it ends; one that was not is its own only attempt, and costs no statement more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.store.database import Database
from mfprefect.store.held_rows import WITHOUT_LOCK
from mfprefect.store.lookup import find_session
from mfprefect.store.states import Status

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TABLE", "attempts_frame", "before_next", "begun", "of_session", "unrecorded"]

TABLE = "session_attempts"
_CODE = (
    *("vcs", "git_commit", "git_branch", "git_remote", "git_dirty", "git_diff_digest"),
    "git_author",
)
_ORIGIN = ("run_by", *_CODE, "environment_digest")
_ENDING = ("status", "ended_at", "failure_kind", "failure_text")
_COPIED = ("attempt", *_ENDING, "host", "process_id", *_ORIGIN)


def begun(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a session that its next attempt overwrites.

    Args:
        run: the session's row as this attempt would have opened it.
    """
    names = (*_ORIGIN, "host", "process_id", "process_key")
    return {**{name: run[name] for name in names}, "attempt_started_at": run["started_at"]}


def of_session(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of the attempt that a session's row describes, without `session_no`.

    Earlier versions recorded the code of the first attempt alone: of a later one it is NULL.
    """
    row = {name: session[name] for name in _COPIED}
    row["started_at"] = session["attempt_started_at"]
    if row["started_at"] is None and row["attempt"] == 1:
        row["started_at"] = session["started_at"]
    elif row["started_at"] is None:
        row |= dict.fromkeys(_ORIGIN)
    return row


def unrecorded(db: Database, connection: sa.Connection, session_no: int) -> dict[str, Any] | None:
    """Return the row of a session's last attempt, None if it is stored already."""
    s, a = db.schema.sessions, db.schema.session_attempts
    stored = sa.exists().where(a.c.session_no == s.c.session_no, a.c.attempt == s.c.attempt)
    names = (*_COPIED, "started_at", "attempt_started_at")
    select = sa.select(*(s.c[name] for name in names)).where(s.c.session_no == session_no, ~stored)
    session = connection.execute(select, execution_options=WITHOUT_LOCK).mappings().first()
    return None if session is None else of_session(dict(session))


def before_next(
    db: Database, connection: sa.Connection, session_no: int, began: dt.datetime
) -> list[dict[str, Any]]:
    """Return the row to insert when the next attempt begins; none if it is stored already.

    Args:
        db: the database.
        connection: in a transaction that holds the session's lock.
        session_no: the session.
        began: when the next attempt began, which ends one that still runs.
    """
    row = unrecorded(db, connection, session_no)
    if row is None:
        return []
    if row["status"] == Status.RUNNING:
        row |= {
            "status": Status.CRASHED,
            "ended_at": began,
            "failure_kind": "TakenOver",
            "failure_text": f"attempt {row['attempt'] + 1} of its flow run took the session over",
        }
    return [{"session_no": session_no, **row}]


def attempts_frame(db: Database, session_id: str) -> pd.DataFrame:
    """Return the attempts of a session, the first one first; see `Store.attempts`.

    Raises:
        UnknownSession: there is no such session.
    """
    import pandas as pd

    number = find_session(db, session_id).session_no
    a = db.schema.session_attempts
    stored = sa.select(a).where(a.c.session_no == number).order_by(a.c.attempt)

    def work(connection: sa.Connection) -> dict[int, Mapping[str, Any]]:
        # First, because the attempt may end in between.
        last = unrecorded(db, connection, number)
        rows = [*connection.execute(stored).mappings(), *([last] if last else [])]
        return {row["attempt"]: row for row in rows}

    names = [column.key for column in a.c if column.key != "session_no"]
    rows = db.read_transaction(work).values()
    frame = pd.DataFrame([[row.get(name) for name in names] for row in rows], columns=names)
    frame.insert(0, "session_id", session_id)
    return frame
