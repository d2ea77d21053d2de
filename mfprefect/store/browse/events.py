"""Leafing through the audit trail, and the ends of the chains."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.audit import NOTICE
from mfprefect.store.audit.events import record
from mfprefect.store.browse import keyed
from mfprefect.store.database import Database

__all__ = ["EventPage", "chain_ends", "list_events", "record_event"]

SEARCHED = 20_000
SHOWN = ("event_no", "at", "actor", "action", "subject", "detail", "key_id")


@dataclass(frozen=True)
class EventPage:
    """Some audit events, newest first, and where the next ones begin."""

    rows: list[dict[str, Any]]
    next_before: int | None = None
    searched: int | None = None
    """How many events this page looked at, if it stopped before the last."""


def list_events(
    db: Database,
    limit: int,
    *,
    before: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    since: dt.date | None = None,
) -> EventPage:
    """Return audit events, newest first; notices only with `action`.

    Args:
        db: the database.
        limit: at most this many.
        before: only events numbered lower.
        actor: only events by this person.
        action: only this action.
        subject: only events about this model or session.
        since: only events of this day (UTC) and later ones.
    """
    c = db.schema.audit_events.c
    newest = sa.select(sa.func.max(c.event_no))
    top = db.fetch_all(newest if before is None else newest.where(c.event_no < before))[0][0]
    if top is None:
        return EventPage([])
    low = 0 if subject is not None else max(top - SEARCHED + 1, 0)
    select = sa.select(*(c[name] for name in SHOWN)).where(c.event_no <= top, c.event_no >= low)
    select = select.where(c.action != NOTICE if action is None else c.action == action)
    if actor is not None:
        select = select.where(c.actor == actor)
    if subject is not None:
        select = select.where(c.subject == subject)
    if since is not None:
        day = dt.datetime(since.year, since.month, since.day, tzinfo=dt.UTC)
        select = select.where(c.at >= day)
    rows = keyed.mappings(db.fetch_all(select.order_by(c.event_no.desc()).limit(limit + 1)), SHOWN)
    for row in rows:
        row["detail"] = _document(row["detail"])
    if len(rows) > limit:
        return EventPage(rows[:limit], rows[limit - 1]["event_no"])
    older = low > 1
    return EventPage(rows, low if older else None, SEARCHED if older else None)


def _document(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:  # forged, which a verification reports
        return {"text": text}
    return document if isinstance(document, dict) else {"text": text}


def chain_ends(db: Database) -> list[dict[str, Any]]:
    """Return the last seal of the chain of each registered model: number, seal, when, session."""
    m, c = db.schema.models.c, db.schema.seals.c
    keys = ("model_id", "seal_no", "seal", "sealed_at", "session_id", "key_id")
    last = (
        sa.select(sa.func.max(c.seal_no))
        .where(c.model_id == m.model_id)
        .correlate(db.schema.models)
        .scalar_subquery()
    )
    select = (
        sa.select(*(c[key] for key in keys))
        .join_from(
            db.schema.models, db.schema.seals, sa.and_(c.model_id == m.model_id, c.seal_no == last)
        )
        .order_by(m.model_id)
    )
    return keyed.mappings(db.fetch_all(select), keys)


def record_event(db: Database, action: str, subject: str, **detail: Any) -> None:
    """Append an audit event that belongs to no other change, such as a look-up of scores."""
    db.write_transaction(lambda connection, _: record(db, connection, action, subject, **detail))
