"""Which attempt of which session is writing, and whether it still may.

Every write begins with an UPDATE of the session's row that only its running attempt can match. This
one statement sends the heartbeat, locks out a second writer and stops a superseded attempt.
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
from mfprefect.store.held_rows import is_committed
from mfprefect.store.states import Status
from mfprefect.util import values
from mfprefect.util.processes import Process

__all__ = [
    "TAKEN_OVER",
    "SessionHandle",
    "begin_write",
    "closed_reason",
    "find",
    "handles",
    "heartbeat_bounds",
    "null_flow_run_seq",
    "outside_heartbeats",
    "require_running",
    "session_closed_error",
    "status_without_index",
    "touch_if_running",
]

TAKEN_OVER = "another process has taken it over to deliver it"
"""Why a session is closed to the second of two processes that deliver it."""
MISSED = 1.5
"""A heartbeat is missed after this many heartbeat intervals."""


@dataclass(frozen=True)
class SessionHandle:
    """The session and the attempt of it that is writing."""

    session_no: int
    session_id: str
    model_id: str
    purpose: str
    attempt: int
    as_of: dt.date | None = None
    parent_session_id: str | None = None
    status: str = Status.RUNNING
    holder: Process | None = None
    """The only process that may write; None: every process that has the handle."""


def handles(
    db: Database, connection: sa.Connection, *where: Any, no_lock: bool = False
) -> list[SessionHandle]:
    """Return the matching sessions, oldest first; with `no_lock`, without locking them."""
    s, parent = db.schema.sessions, db.schema.sessions.alias("parent")
    names = ("session_no", "session_id", "model_id", "purpose", "attempt", "status", "as_of")
    select = (
        sa.select(*(s.c[name] for name in names), parent.c.session_id.label("parent_session_id"))
        .join_from(s, parent, parent.c.session_no == s.c.parent_session_no, isouter=True)
        .where(*where)
        .order_by(s.c.session_no)
    )
    rows = connection.execute(select, execution_options={NO_LOCK_OPTION: no_lock})
    return [SessionHandle(**row._mapping) for row in rows]


def find(
    db: Database, connection: sa.Connection, session_id: str, *, no_lock: bool = False
) -> SessionHandle | None:
    """Return the handle of a session, None if there is no such session."""
    c = db.schema.sessions.c
    if not no_lock and not is_committed(db, connection, c.session_id, session_id):
        return None
    no_lock = no_lock or db.backend.reads_uncommitted  # its parent's row needs no lock
    return next(iter(handles(db, connection, c.session_id == session_id, no_lock=no_lock)), None)


def touch_if_running(
    db: Database,
    connection: sa.Connection,
    handle: SessionHandle,
    changes: Mapping[str, Any] = {},
    unchanged: Mapping[str, Any] = {},
) -> bool:
    """Mark the session alive and apply changes; return False if it may not be written.

    That is, if this attempt is not running, or a column differs from its value in `unchanged`.
    """
    s = db.schema.sessions
    conditions = (
        s.c.session_no == handle.session_no,
        s.c.session_id == handle.session_id,
        s.c.attempt == handle.attempt,
        status_without_index(s) == Status.RUNNING,
        *(s.c[name] == value for name, value in unchanged.items()),
    )
    if handle.holder is not None:
        held = (s.c[name] == value for name, value in handle.holder.columns().items())
        conditions = (*conditions, *held)
    beat = {"heartbeat_at": values.utc_now(), "suspected_at": None} | dict(changes)
    return connection.execute(s.update().where(*conditions).values(beat)).rowcount == 1


def status_without_index(sessions: sa.FromClause) -> sa.ColumnElement[str]:
    """Return the status, for conditions of an UPDATE that finds its session by the primary key.

    The expression keeps the database from using the index on status and heartbeat: each heartbeat
    moves the row in that index, and InnoDB may miss it while another write moves it.
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
    """Refuse early what `begin_write` would refuse at the end of a long write.

    Takes no lock: heartbeats and other parts of the session must not wait for this write.
    """
    stored = find(db, connection, handle.session_id, no_lock=True)
    if stored is None or (stored.attempt, stored.status) != (handle.attempt, Status.RUNNING):
        raise closed_reason(db, connection, handle)


def heartbeat_bounds(db: Database) -> tuple[dt.datetime, dt.datetime]:
    """Return between which times the last heartbeat of a session is that missed none.

    A future heartbeat counts as missed (clock skew).
    """
    now = values.utc_now()
    missed = dt.timedelta(seconds=MISSED * db.settings.heartbeat_seconds)
    return now - missed, now + missed


def outside_heartbeats(
    sessions: sa.Table, earliest: Any, latest: Any
) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions for running sessions whose last heartbeat is outside of two times."""
    s = sessions.c
    outside = (s.heartbeat_at < earliest) | (s.heartbeat_at > latest)
    return s.status == Status.RUNNING, outside


def closed_reason(db: Database, connection: sa.Connection, handle: SessionHandle) -> SessionClosed:
    """Return the error that says why this attempt can no longer write."""
    stored = find(db, connection, handle.session_id, no_lock=True)
    if stored is None:
        return SessionClosed(handle.session_id, "it was deleted")
    if stored.attempt != handle.attempt:
        reason = f"attempt {stored.attempt} took over from this attempt {handle.attempt}"
        return SessionClosed(handle.session_id, reason)
    if handle.holder is not None and stored.status == Status.RUNNING:
        return SessionClosed(handle.session_id, TAKEN_OVER)
    return session_closed_error(stored)


def session_closed_error(handle: SessionHandle) -> SessionClosed:
    """Return the error for a session that has ended."""
    return SessionClosed(handle.session_id, f"it is {handle.status}; open a new session instead")


def null_flow_run_seq(db: Database, session_no: Any) -> Any:
    """Return the `flow_run_seq` of a session without a flow run; a unique index covers it."""
    return None if db.backend.unique_allows_nulls else session_no
