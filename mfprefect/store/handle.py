"""Which attempt of which session is writing, and whether it still may.

Every write begins with an UPDATE of the session's row that only its running attempt can match. It
is the heartbeat, the lock against a second writer and the fence against a superseded one, in one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.backend import NO_LOCK_OPTION
from mfprefect.errors import SessionClosed
from mfprefect.store.database import Database
from mfprefect.store.states import Status
from mfprefect.util import values

__all__ = [
    "TAKEN_OVER",
    "SessionHandle",
    "begin_write",
    "closed_reason",
    "find",
    "handles",
    "missed_heartbeat",
    "null_flow_run_seq",
    "require_running",
    "session_closed_error",
    "status_without_index",
    "touch_if_running",
]

TAKEN_OVER = "another process has taken it over to deliver it"
"""Why a session is closed to whoever delivers it, where two do."""
MISSED = 1.5
"""Heartbeats, after which one has been missed."""


@dataclass(frozen=True)
class SessionHandle:
    """Which session, and which attempt of it, is writing."""

    session_no: int
    session_id: str
    model_id: str
    purpose: str
    attempt: int
    as_of: dt.date | None = None
    parent_session_id: str | None = None
    status: str = Status.RUNNING
    holder: tuple[str, int] | None = None
    """Host and process that alone may write; None: every one that has the handle."""


def handles(
    db: Database, connection: sa.Connection, *where: Any, glance: bool = False
) -> list[SessionHandle]:
    """Return the sessions that match, oldest first; with `glance`, without locking them."""
    s, parent = db.schema.sessions, db.schema.sessions.alias("parent")
    names = ("session_no", "session_id", "model_id", "purpose", "attempt", "status", "as_of")
    select = (
        sa.select(*(s.c[name] for name in names), parent.c.session_id.label("parent_session_id"))
        .join_from(s, parent, parent.c.session_no == s.c.parent_session_no, isouter=True)
        .where(*where)
        .order_by(s.c.session_no)
    )
    rows = connection.execute(select, execution_options={NO_LOCK_OPTION: glance})
    return [SessionHandle(**row._mapping) for row in rows]


def find(
    db: Database, connection: sa.Connection, session_id: str, *, glance: bool = False
) -> SessionHandle | None:
    """Return a session's handle, None where there is none."""
    mine = db.schema.sessions.c.session_id == session_id
    found = handles(db, connection, mine, glance=glance)
    return found[0] if found else None


def touch_if_running(
    db: Database,
    connection: sa.Connection,
    handle: SessionHandle,
    changes: Mapping[str, Any] = {},
    unchanged: Mapping[str, Any] = {},
) -> bool:
    """Mark the session alive and apply changes; False unless this attempt of it is running.

    Nor if a column does not hold what it is said to hold, `unchanged`.
    """
    s = db.schema.sessions
    mine = (
        s.c.session_no == handle.session_no,
        s.c.session_id == handle.session_id,
        s.c.attempt == handle.attempt,
        status_without_index(s) == Status.RUNNING,
        *(s.c[name] == value for name, value in unchanged.items()),
    )
    if handle.holder is not None:
        host, process_id = handle.holder
        mine = (*mine, s.c.host == host, s.c.process_id == process_id)
    beat = {"heartbeat_at": values.utc_now(), "suspected_at": None} | dict(changes)
    return connection.execute(s.update().where(*mine).values(beat)).rowcount == 1


def status_without_index(sessions: sa.FromClause) -> sa.ColumnElement[str]:
    """Return the status, for the conditions of an UPDATE that finds its session by the key.

    Written so that no index of it can be used: in that of status and heartbeat the row moves with
    each beat, and InnoDB may pass it by while another write of the session moves it.
    """
    return sa.func.coalesce(sessions.c.status, "")


def begin_write(db: Database, connection: sa.Connection, handle: SessionHandle) -> None:
    """Begin a write of this attempt.

    Raises:
        SessionClosed: the session has ended, was deleted, or a later attempt took it over.
    """
    if not touch_if_running(db, connection, handle):
        raise closed_reason(db, connection, handle)


def require_running(db: Database, connection: sa.Connection, handle: SessionHandle) -> None:
    """Refuse early what `hold` would refuse at the end of a long write.

    Without a lock: hearts go on beating meanwhile, and parts are written side by side.
    """
    found = find(db, connection, handle.session_id, glance=True)
    if found is None or (found.attempt, found.status) != (handle.attempt, Status.RUNNING):
        raise closed_reason(db, connection, handle)


def missed_heartbeat(db: Database) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that running sessions meet which missed a heartbeat.

    A beat of the future counts as none: a clock was set back since, or is wrong over there.
    """
    s, now = db.schema.sessions.c, values.utc_now()
    missed = dt.timedelta(seconds=MISSED * db.settings.heartbeat_seconds)
    return s.status == Status.RUNNING, (s.heartbeat_at < now - missed) | (
        s.heartbeat_at > now + missed
    )


def closed_reason(db: Database, connection: sa.Connection, handle: SessionHandle) -> SessionClosed:
    """Return the error that says why this attempt may not write any more."""
    found = find(db, connection, handle.session_id)
    if found is None:
        return SessionClosed(handle.session_id, "it was deleted")
    if found.attempt != handle.attempt:
        reason = f"attempt {found.attempt} took over from this attempt {handle.attempt}"
        return SessionClosed(handle.session_id, reason)
    if handle.holder is not None and found.status == Status.RUNNING:
        return SessionClosed(handle.session_id, TAKEN_OVER)
    return session_closed_error(found)


def session_closed_error(handle: SessionHandle) -> SessionClosed:
    """Return the error that says that a session has ended."""
    return SessionClosed(handle.session_id, f"it is {handle.status}; open a new session instead")


def null_flow_run_seq(db: Database, session_no: Any) -> Any:
    """Return the `flow_run_seq` of a session of no flow run; a unique index goes over it."""
    return None if db.backend.unique_allows_nulls else session_no
