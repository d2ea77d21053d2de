"""The summary (event `digest`): sessions since a target's last one."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from mfprefect.notifications.notice import Notice
from mfprefect.notifications.wording import scores_of
from mfprefect.settings import Target
from mfprefect.store.database import Database
from mfprefect.store.notifications import content
from mfprefect.store.notifications.readers import readers_of
from mfprefect.store.states import Purpose, Status

__all__ = ["FIRST_PERIOD", "build_summary", "summary_rows"]

FIRST_PERIOD = dt.timedelta(days=1)
"""The period that the first summary covers."""
MAX_MODELS = 10
"""Of how many models the summary says which scores readers see."""


def _last_summary(db: Database, channel: str, before: int | None = None) -> int | None:
    """Return the number of the last session that a channel's last summary covered."""
    n = db.schema.notifications.c
    conditions = [n.channel == channel, n.event == "digest"]
    if before is not None:
        conditions.append(n.session_no < before)
    number: int | None = db.fetch_all(sa.select(sa.func.max(n.session_no)).where(*conditions))[0][0]
    return number


def summary_rows(
    db: Database,
    channel: str,
    target: Target,
    *,
    newest: content.Row | None = None,
    since: dt.datetime | None = None,
) -> list[content.Row]:
    """Return the sessions of a summary, oldest first: those since the channel's last one.

    Args:
        db: the database.
        channel: the target's name.
        target: its models and tags.
        newest: the last session to cover; by default all.
        since: the start of the channel's first summary; by default a day before `newest`.
    """
    s = db.schema.sessions
    last = _last_summary(db, channel, newest.session_no if newest else None)
    select = sa.select(
        s.c.session_no,
        s.c.session_id,
        s.c.model_id,
        s.c.purpose,
        s.c.status,
        s.c.tags,
        s.c.started_at,
        s.c.failure_kind,
        s.c.failure_text,
    ).where(s.c.purpose != Purpose.TRIAL)
    if newest is not None:
        select = select.where(s.c.session_no <= newest.session_no)
        since = since or newest.started_at - FIRST_PERIOD
    if last is not None:
        select = select.where(s.c.session_no > last)
    elif since is not None:
        select = select.where(s.c.started_at >= since)
    rows = db.fetch_all(select.order_by(s.c.session_no))
    return [row for row in rows if content.matches(target, row)]


def build_summary(db: Database, rows: Sequence[content.Row]) -> Notice:
    """Return the notice with counts by model, purpose and status, and the sessions that failed."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(f"{row.model_id}, {row.purpose}", Counter())[row.status] += 1
    failures = [
        (row.session_id, ": ".join(filter(None, [row.status, row.failure_kind, row.failure_text])))
        for row in rows
        if row.status not in (Status.SUCCEEDED, Status.RUNNING)
    ]
    labelled = {
        name: ", ".join(f"{count} {status}" for status, count in sorted(by_status.items()))
        for name, by_status in sorted(counts.items())
    }
    models = sorted({row.model_id for row in rows})
    return Notice(
        event="digest",
        environment=db.settings.environment or "",
        count=len(rows),
        started_at=rows[0].started_at if rows else None,
        counts=tuple(labelled.items()),
        scores=tuple((name, scores_of(readers_of(db, name))) for name in models[:MAX_MODELS]),
        failures=tuple(failures),
    )
