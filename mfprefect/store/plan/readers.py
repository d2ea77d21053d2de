"""Who reads the scores of a model: the views, exports on record, and recipients of notices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.store.database import Database
from mfprefect.store.notifications.content import matches_model
from mfprefect.store.notifications.readers import readers_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VIEWS", "exports_of", "notices_of", "readers_frame"]

NAMES = ["kind", "name", "session_id", "as_of", "at", "detail"]
VIEWS = ("published_scores", "latest_scores", "current_scores")
"""What people with the role reader see scores in."""
EXPORTED = 200
"""How many exported sessions are looked at, the newest ones."""


def readers_frame(db: Database, model_id: str) -> pd.DataFrame:
    """Return who reads a model's scores, as far as that is on record or in the settings."""
    import pandas as pd

    rows = [*_views(db, model_id), *exports_of(db, model_id), *notices_of(db, model_id)]
    return pd.DataFrame(rows, columns=NAMES)


def _views(db: Database, model_id: str) -> Iterator[tuple[Any, ...]]:
    if (readers := readers_of(db, model_id)) is not None:
        for name in VIEWS:
            yield "views", name, *readers, "users with the role reader"


def exports_of(db: Database, model_id: str) -> Iterator[tuple[Any, ...]]:
    """Yield the last export to each place, the newest first."""
    e, s = db.schema.audit_events.c, db.schema.sessions.c
    newest = (
        sa.select(s.session_id, s.as_of)
        .where(s.model_id == model_id, s.last_exported_at.is_not(None))
        .order_by(s.session_no.desc())
        .limit(EXPORTED)
    )
    days = dict(tuple(row) for row in db.fetch_all(newest))
    # By subject, which has an index: the trail of a large store is long.
    select = (
        sa.select(e.at, e.subject, e.detail)
        .where(e.action == "export_scores", e.subject.in_(list(days)))
        .order_by(e.event_no.desc())
    )
    places = set()
    for row in db.fetch_all(select) if days else ():
        detail = json.loads(row.detail)
        if (to := str(detail.get("to"))) not in places:
            places.add(to)
            text = f"table {detail.get('table')}, {detail.get('rows'):,} rows"
            yield "export", to, row.subject, days[row.subject], row.event_at, text


def notices_of(db: Database, model_id: str) -> Iterator[tuple[Any, ...]]:
    """Yield the recipients of notices about a model."""
    for name, target in db.settings.notify.items():
        if matches_model(target, model_id, target.tags):
            yield "notice", name, None, None, None, f"events {', '.join(target.events)}"
