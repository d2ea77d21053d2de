"""Send notifications for sessions closed by a process that died before notifying."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from mfprefect.provenance import flow_run
from mfprefect.provenance.flow_run import TERMINAL, States
from mfprefect.store.database import Database
from mfprefect.store.notifications import send
from mfprefect.store.notifications.send import CLAIM_TIMEOUT
from mfprefect.store.states import Status
from mfprefect.util import values

__all__ = ["LOOK_BACK", "send_missed"]

LOOK_BACK = dt.timedelta(hours=1)
"""How far back to look: a target new in the settings must not get days of old sessions."""


def send_missed(db: Database, *, states: States = flow_run.flow_run_states) -> None:
    """Send missing notifications for sessions that ended in the last hour; safe to repeat.

    Args:
        db: the database.
        states: returns the states of flow runs. A failed session is skipped while Prefect may
            still retry its flow run.
    """
    if not db.settings.notify:
        return
    s, now = db.schema.sessions.c, values.utc_now()
    # Skip sessions that ended a moment ago: their process is about to notify.
    recent = s.ended_at.between(now - LOOK_BACK, now - CLAIM_TIMEOUT)
    rows = db.fetch_all(
        sa.select(s.session_no, s.status, s.flow_run_id).where(recent).order_by(s.session_no)
    )
    ids = {row.flow_run_id for row in rows if row.status == Status.FAILED and row.flow_run_id}
    run_states = (states(ids) if ids else None) or {}
    for row in rows:
        final = row.flow_run_id is None or run_states.get(row.flow_run_id) in TERMINAL
        send.session_ended(db, row.session_no, final=final)
