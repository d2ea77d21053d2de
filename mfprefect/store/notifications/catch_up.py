"""Send notifications for sessions closed by a process that died before notifying.

A target is notified of nothing from before it was added. Nothing but a run reads the settings, so
the first look at a target is when it was added: an event of the audit trail keeps the time.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection

import sqlalchemy as sa

from mfprefect.audit import ADD_TARGET
from mfprefect.errors import IntegrityError
from mfprefect.provenance import flow_run
from mfprefect.provenance.flow_run import TERMINAL, States
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.notifications import send
from mfprefect.store.notifications.send import CLAIM_TIMEOUT
from mfprefect.store.states import Status
from mfprefect.util import values

__all__ = ["LOOK_BACK", "send_missed"]

LOOK_BACK = dt.timedelta(hours=1)
"""How far back to look."""
SINCE = "since"


def send_missed(db: Database, *, states: States = flow_run.flow_run_states) -> None:
    """Send missing notifications for sessions that ended in the last hour; safe to repeat.

    Args:
        db: the database.
        states: returns the states of flow runs. A failed session is skipped while Prefect may
            still retry its flow run.
    """
    if not db.settings.notify:
        return
    since = _since(db, db.settings.notify)
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
        send.session_ended(db, row.session_no, final=final, since=since)


def _since(db: Database, channels: Collection[str]) -> dict[str, dt.datetime]:
    """Return when each target was added; add those that are new, as of now."""
    e = db.schema.audit_events.c
    subjects = {name: name[:255] for name in channels}
    added = sa.select(e.subject, e.detail).where(
        e.action == ADD_TARGET, e.subject.in_(sorted(set(subjects.values())))
    )
    times: dict[str, list[dt.datetime]] = {}
    for subject, detail in db.fetch_all(added):
        times.setdefault(subject, []).append(dt.datetime.fromisoformat(json.loads(detail)[SINCE]))
    since = {name: min(times[subjects[name]]) for name in channels if subjects[name] in times}
    if new := [name for name in channels if name not in since]:
        since |= _add(db, new)
    return since


def _add(db: Database, channels: Collection[str]) -> dict[str, dt.datetime]:
    """Record new targets; those that an earlier version notified are as old as their notices."""
    n, s = db.schema.notifications, db.schema.sessions
    ended = sa.func.min(sa.func.coalesce(s.c.ended_at, n.c.sent_at, type_=n.c.sent_at.type))
    notified = (
        sa.select(n.c.channel, ended)
        .join_from(n, s, s.c.session_no == n.c.session_no)
        .where(n.c.channel.in_(sorted(channels)))
        .group_by(n.c.channel)
    )
    first: dict[str, dt.datetime] = {channel: at for channel, at in db.fetch_all(notified)}
    since = {name: first.get(name, values.utc_now()) for name in channels}

    def work(connection: sa.Connection, _: bool) -> None:
        for name, at in since.items():
            record(db, connection, ADD_TARGET, name, **{SINCE: at.isoformat()})

    db.write_transaction(work, also_retry=IntegrityError)
    return since
