"""Sessions that open in the spool, or are found there, while the database is away."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import replace

from mfprefect.errors import SpoolRefused
from mfprefect.spool.documents import Head
from mfprefect.spool.entry import Entry
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.sessions.opening import SessionRequest, new_session_id
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.states import NOT_IN_DATABASE, Status, is_shadow
from mfprefect.util import values

__all__ = ["attach_spooled", "attached_handle", "open_in_spool"]


def open_in_spool(
    db: Database, request: SessionRequest, earlier: Sequence[SessionHandle]
) -> SessionHandle | None:
    """Return a session that opens in the spool, None if there is no spool.

    A retry of a flow run continues what an earlier try left there, or one of `earlier`: the
    sessions of its flow run that it read before the database went away.
    """
    spool, place = spool_of(db.settings), place_of(db)
    if spool is None or place is None:
        return None
    if request.flow_run is not None:
        for entry in reversed(spool.entries(place)):
            if (head := _unfinished(entry, request)) is not None:
                return replace(_handle(head, NOT_IN_DATABASE), attempt=head.attempt + 1)
    for handle in earlier:
        # An entry that was not delivered just now would be delivered as this very attempt.
        in_spool = any(entry.exists for entry in spool.attempts(place, handle.session_id))
        if handle.status != Status.SUCCEEDED and not in_spool:
            # The delivery begins the attempt, or sees that the lost commit had succeeded.
            attempt = handle.attempt + 1
            return replace(
                handle, session_no=NOT_IN_DATABASE, attempt=attempt, status=Status.RUNNING
            )
    return SessionHandle(
        session_no=NOT_IN_DATABASE,
        session_id=request.session_id or new_session_id(request.model_id, values.utc_now()),
        model_id=request.model_id,
        purpose=request.purpose,
        attempt=1,
        as_of=request.as_of,
        parent_session_id=request.parent_session_id,
    )


def _unfinished(entry: Entry, request: SessionRequest) -> Head | None:
    """Return the head of what an earlier try of the same flow run left unfinished."""
    try:
        head, ending = entry.head(), entry.ending()
    except SpoolRefused:
        return None
    if entry.alive or (ending is not None and ending[0].status == Status.SUCCEEDED):
        return None
    flow_run_id = request.flow_run.flow_run_id if request.flow_run else None
    wanted = (flow_run_id, request.model_id, request.purpose, is_shadow(request.params))
    same = (head.flow_run_id, head.model_id, head.purpose, head.shadow) == wanted
    return head if same and head.session_id not in request.siblings else None


def _handle(head: Head, session_no: int) -> SessionHandle:
    return SessionHandle(
        session_no=session_no,
        session_id=head.session_id,
        model_id=head.model_id,
        purpose=head.purpose,
        attempt=head.attempt,
        as_of=None if head.as_of is None else dt.date.fromisoformat(head.as_of),
        parent_session_id=head.parent_session_id,
    )


def attach_spooled(db: Database, session_id: str) -> SessionHandle | None:
    """Return the handle of a running session in the spool, None if it is not there."""
    spool, place = spool_of(db.settings), place_of(db)
    entries = spool.attempts(place, session_id) if spool and place else []
    running = [entry for entry in entries if entry.exists and not entry.complete]
    if not running:
        return None
    head = running[-1].head()
    return _handle(head, head.session_no)


def attached_handle(session_id: str) -> SessionHandle | None:
    """Return the handle of the session that the environment of this command names.

    For a database that is away: the session is in it, and cannot be looked up.
    """
    names = ("SESSION_ID", "MODEL_ID", "PURPOSE", "ATTEMPT")
    env = [os.environ.get(f"MFPREFECT_{name}", "") for name in names]
    if env[0] != session_id or not all(env) or not env[3].isdecimal():
        return None
    return SessionHandle(NOT_IN_DATABASE, session_id, env[1], env[2], int(env[3]))
