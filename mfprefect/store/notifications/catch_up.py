"""Telling the ends of sessions whose process died between writing the end and telling it."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from mfprefect.provenance import flow_run
from mfprefect.provenance.flow_run import TERMINAL, States
from mfprefect.store.database import Database
from mfprefect.store.notifications import send
from mfprefect.store.notifications.send import BEING_SENT
from mfprefect.store.states import Status
from mfprefect.util import values

__all__ = ["LATELY", "send_missed"]

LATELY = dt.timedelta(hours=1)
"""How far back to look: a target that is new in the settings is not sent days of old ends."""


def send_missed(db: Database, *, states: States = flow_run.flow_run_states) -> None:
    """Tell how sessions of the last hour ended, where nobody has; harmless when repeated.

    Args:
        db: the database.
        states: what to ask for the states of flow runs: one that failed and may be tried again by
            Prefect is not told yet.
    """
    if not db.settings.notify:
        return
    s, now = db.schema.sessions.c, values.utc_now()
    # Who has just ended a session is about to tell it.
    lately = s.ended_at.between(now - LATELY, now - BEING_SENT)
    ended = db.fetch_all(
        sa.select(s.session_no, s.status, s.flow_run_id).where(lately).order_by(s.session_no)
    )
    ids = {x.flow_run_id for x in ended if x.status == Status.FAILED and x.flow_run_id}
    run_states = (states(ids) if ids else None) or {}
    for x in ended:
        final = x.flow_run_id is None or run_states.get(x.flow_run_id) in TERMINAL
        send.session_ended(db, x.session_no, final=final)
