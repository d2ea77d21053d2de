"""Which scores the readers of a model see."""

from __future__ import annotations

import sqlalchemy as sa

from mfprefect.notifications.facts import Readers
from mfprefect.schema import newest_first
from mfprefect.store.database import Database
from mfprefect.store.order import day_of
from mfprefect.store.results.monitoring import published

__all__ = ["readers_of"]


def readers_of(db: Database, model_id: str) -> Readers | None:
    """Return a model's newest complete scoring session; None if no scores are published."""
    s = db.schema.sessions.c
    select = (
        sa.select(s.session_id, s.as_of, s.started_at, s.published_at)
        .where(s.model_id == model_id, *published(db.schema.sessions))
        .order_by(*newest_first(s))
        .limit(1)
    )
    rows = db.fetch_all(select)
    return Readers(rows[0].session_id, day_of(rows[0]), rows[0].published_at) if rows else None
