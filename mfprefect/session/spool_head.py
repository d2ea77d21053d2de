"""What the spool says of a session that it takes, and the notice about one that waits there."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from mfprefect.notifications.notice import Notice
from mfprefect.spool import Place
from mfprefect.store.audit.events import actor
from mfprefect.store.database import migrate
from mfprefect.store.handle import SessionHandle
from mfprefect.store.sessions.opening import SessionRequest, to_document
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.states import NOT_IN_DATABASE, SPOOLED, is_shadow
from mfprefect.util import values
from mfprefect.util.processes import this_process

__all__ = ["head_of", "waiting_notice"]


def head_of(
    handle: SessionHandle,
    opening: SessionRequest | None,
    model: Mapping[str, Any] | None,
    began: dt.datetime,
    place: Place | None,
) -> dict[str, Any]:
    """Return the head of a session's entry in the spool.

    Args:
        handle: the attempt of the session.
        opening: what was asked for, if this process opened it.
        model: the model's row, if the database was away at the opening.
        began: when this process began.
        place: the session's database.
    """
    run = opening.flow_run if opening else None
    head = {
        "version": metadata.version("mfprefect"),
        "revision": migrate.expected_revision(),
        "database": place.shown if place else "",
        "fingerprint": place.fingerprint if place else None,
        **{n: value for n, value in vars(handle).items() if n not in ("status", "holder")},
        "flow_run_id": run.flow_run_id if run else None,
        "shadow": is_shadow(opening.params) if opening else False,
        "tags": opening.tags if opening else None,
        **this_process().columns(),
        "run_by": actor(),
        "began_at": began,
    }
    if opening is not None and handle.session_no == NOT_IN_DATABASE:
        head |= to_document(opening, handle.session_id, handle.attempt)
        head["model"] = model
    return head


def waiting_notice(
    head: Mapping[str, Any],
    opening: SessionRequest | None,
    ending: Outcome,
    began: dt.datetime,
    folder: str,
) -> tuple[Notice, list[str]]:
    """Return the notice about a session that ended and waits in the spool, and its tags.

    Args:
        head: the head of its entry.
        opening: what was asked for, if this process opened it.
        ending: how it ended.
        began: when this process began.
        folder: the entry's folder.
    """
    notice = Notice(
        event=SPOOLED,
        **{name: head[name] for name in ("model_id", "session_id", "purpose", "attempt")},
        status=f"{SPOOLED}, {ending.status}",
        started_at=began,
        ended_at=values.utc_now(),
        run_by=head["run_by"],
        host=head["host"],
        as_of=head["as_of"],
        cause_kind=ending.failure_kind or "the database is away",
        cause_text=f"It waits in {folder}; `mfprefect spool push` delivers it."
        + (f"\n{ending.failure_text}" if ending.failure_text else ""),
    )
    return notice, json.loads(opening.tags) if opening and opening.tags else []
