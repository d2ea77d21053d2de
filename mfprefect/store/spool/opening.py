"""Sessions that open in the spool, or are found there, while the database is away."""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Sequence
from dataclasses import replace

from mfprefect.errors import SpoolRefused
from mfprefect.provenance.flow_run import completed_before
from mfprefect.spool import Place, Spool
from mfprefect.spool.documents import Head
from mfprefect.spool.entry import Entry
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.sessions.earlier import Completed, Earlier, alike, choose, repeatable
from mfprefect.store.sessions.opening import SessionRequest, new_session_id
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.states import NOT_IN_DATABASE, SPOOLED, Status, is_shadow
from mfprefect.util import values

__all__ = ["attach_spooled", "attached_handle", "open_in_spool"]

log = logging.getLogger(__name__)


def open_in_spool(
    db: Database,
    request: SessionRequest,
    earlier: Sequence[Earlier] | None,
    *,
    completed: Completed = completed_before,
) -> SessionHandle | None:
    """Return a session that opens in the spool, None if it cannot.

    A retry of a flow run continues what an earlier try left there, or one of `earlier`.

    Args:
        db: the database.
        request: the run and its session.
        earlier: the sessions of its flow run that it read before the database went away; None if
            it read none. A retry that finds nothing in the spool then has to wait for the
            database, which alone knows whether it would repeat what is done.
        completed: tells what Prefect has as completed.

    Raises:
        SessionClosed: the session succeeded in an earlier attempt of the flow run.
    """
    spool, place, run = spool_of(db.settings), place_of(db), request.flow_run
    if spool is None or place is None:
        return None
    sessions = [] if run is None else _sessions(spool, place, earlier or (), request)
    handle = choose(sessions, repeatable(request, sessions, completed))
    if handle is not None:
        # The delivery begins the attempt, or sees that the lost commit had succeeded.
        attempt = handle.attempt + 1
        return replace(handle, session_no=NOT_IN_DATABASE, attempt=attempt, status=Status.RUNNING)
    if earlier is None and run is not None and not run.first:
        log.warning("attempt %s of a flow run waits for its database", run.run_count)
        return None
    return SessionHandle(
        session_no=NOT_IN_DATABASE,
        session_id=request.session_id or new_session_id(request.model_id, values.utc_now()),
        model_id=request.model_id,
        purpose=request.purpose,
        attempt=1,
        as_of=request.as_of,
        parent_session_id=request.parent_session_id,
    )


def _sessions(
    spool: Spool, place: Place, earlier: Sequence[Earlier], request: SessionRequest
) -> list[Earlier]:
    """Return what earlier attempts left, in the spool or, as far as that is known, elsewhere."""
    entries = (_left_by(entry, request) for entry in spool.entries(place))
    left = {session.handle.session_id: session for session in entries if session is not None}
    sessions = {}
    for session in earlier:
        name, in_spool = session.handle.session_id, left.get(session.handle.session_id)
        if in_spool is not None and in_spool.handle.attempt < session.handle.attempt:
            del left[name]
        if session.succeeded:
            left.pop(name, None)
        # An entry that nobody may continue would be delivered as the very attempt that begins now.
        if session.succeeded or not any(e.exists for e in spool.attempts(place, name)):
            sessions[name] = session
    return [*(sessions | left).values()]


def _left_by(entry: Entry, request: SessionRequest) -> Earlier | None:
    """Return the session of an entry if an earlier try of the same flow run left it."""
    try:
        head, ending = entry.head(), entry.ending()
    except SpoolRefused:
        return None
    flow_run_id = request.flow_run.flow_run_id if request.flow_run else None
    wanted = (flow_run_id, request.model_id, request.purpose, is_shadow(request.params))
    same = (head.flow_run_id, head.model_id, head.purpose, head.shadow) == wanted
    if entry.alive or not same or head.session_id in request.siblings:
        return None
    done = ending is not None and ending[0].status == Status.SUCCEEDED
    handle = replace(_handle(head, NOT_IN_DATABASE), status=SPOOLED if done else Status.FAILED)
    params = None if head.session is None else head.session["params"]
    began_at = dt.datetime.fromisoformat(head.began_at)
    return Earlier(handle, began_at, alike(request, params, handle.as_of))


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
