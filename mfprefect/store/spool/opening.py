"""Sessions that begin in the spool, and those that are found there while the database is away."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mfprefect.errors import SpoolRefused
from mfprefect.spool.entry import Entry
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.sessions.opening import SessionRequest, new_session_id
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.states import NOT_IN_DATABASE, Status, is_shadow
from mfprefect.util import values

__all__ = ["attach_spooled", "attached_handle", "open_in_spool"]


def open_in_spool(
    db: Database, opening: SessionRequest, tries: Sequence[SessionHandle]
) -> SessionHandle | None:
    """Return a session that begins in the spool, None where there is no spool.

    A retry of a flow run goes on with what an earlier try left there, or with one of `tries`: the
    sessions of its flow run that it saw before the database went away.
    """
    spool, place = spool_of(db.settings), place_of(db)
    if spool is None or place is None:
        return None
    handle = SessionHandle(
        session_no=NOT_IN_DATABASE,
        session_id=opening.session_id or new_session_id(opening.model_id, values.utc_now()),
        model_id=opening.model_id,
        purpose=opening.purpose,
        attempt=1,
        as_of=opening.as_of,
        parent_session_id=opening.parent_session_id,
    )
    if opening.flow_run is not None:
        for entry in reversed(spool.entries(place)):
            if (head := _unfinished(entry, opening)) is not None:
                return _handle_of(head, attempt=head["attempt"] + 1, session_no=NOT_IN_DATABASE)
    for earlier in tries:
        # What of it is in the spool and was not taken just now is no attempt to go on with.
        waits = any(entry.exists for entry in spool.attempts(place, earlier.session_id))
        if earlier.status != Status.SUCCEEDED and not waits:
            # The delivery begins the attempt, or finds that its commit was only not heard of.
            attempt = earlier.attempt + 1
            return replace(
                earlier, session_no=NOT_IN_DATABASE, attempt=attempt, status=Status.RUNNING
            )
    return handle


def _unfinished(entry: Entry, opening: SessionRequest) -> dict[str, Any] | None:
    """Return the head of what an earlier try of the same flow run left unfinished."""
    try:
        head, ending = entry.head(), entry.ending()
    except SpoolRefused:
        return None
    mine = {
        "flow_run_id": opening.flow_run.flow_run_id if opening.flow_run else None,
        "model_id": opening.model_id,
        "purpose": opening.purpose,
        "shadow": is_shadow(opening.params),
    }
    if entry.alive or (ending or {}).get("status") == Status.SUCCEEDED:
        return None
    same = head["session_id"] not in opening.siblings and mine.items() <= head.items()
    return head if same else None


def _handle_of(head: Mapping[str, Any], **changes: Any) -> SessionHandle:
    kept = ("session_no", "session_id", "model_id", "purpose", "attempt", "parent_session_id")
    as_of = None if head["as_of"] is None else dt.date.fromisoformat(head["as_of"])
    return SessionHandle(**({name: head[name] for name in kept} | {"as_of": as_of} | changes))


def attach_spooled(db: Database, session_id: str) -> SessionHandle | None:
    """Return the handle of a running session that is in the spool, None where there is none."""
    spool, place = spool_of(db.settings), place_of(db)
    entries = spool.attempts(place, session_id) if spool and place else []
    running = [entry for entry in entries if entry.exists and not entry.complete]
    return _handle_of(running[-1].head()) if running else None


def attached_handle(session_id: str) -> SessionHandle | None:
    """Return the handle of the session that this command's environment was handed.

    For a database that is away: it knows the session, and this process cannot ask it.
    """
    names = ("SESSION_ID", "MODEL_ID", "PURPOSE", "ATTEMPT")
    own = [os.environ.get(f"MFPREFECT_{name}", "") for name in names]
    if own[0] != session_id or not all(own) or not own[3].isdecimal():
        return None
    return SessionHandle(NOT_IN_DATABASE, session_id, own[1], own[2], int(own[3]))
