"""The digest: what has run since the last one, for one target."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from mfprefect.notifications.notice import Notice
from mfprefect.settings import Target
from mfprefect.store.database import Database
from mfprefect.store.notifications import content
from mfprefect.store.states import Status

__all__ = ["FIRST_DIGEST", "compose", "summary_rows"]

FIRST_DIGEST = dt.timedelta(days=1)
"""How far back the first digest looks."""


def _last_summary(db: Database, channel: str, before: int | None = None) -> int | None:
    """Return the number of the session that a channel's last digest reached to."""
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
    upto: content.Row | None = None,
    since: dt.datetime | None = None,
) -> list[content.Row]:
    """Return the sessions of a digest, oldest first: those since the last one on the channel.

    Args:
        db: the database.
        channel: whose digest.
        target: which models and tags it is told of.
        upto: the last session; by default the newest one.
        since: where there was no digest yet, from when on; by default a day before `upto`.
    """
    s = db.schema.sessions
    last = _last_summary(db, channel, upto.session_no if upto else None)
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
    )
    if upto is not None:
        select = select.where(s.c.session_no <= upto.session_no)
        since = since or upto.started_at - FIRST_DIGEST
    if last is not None:
        select = select.where(s.c.session_no > last)
    elif since is not None:
        select = select.where(s.c.started_at >= since)
    return [x for x in db.fetch_all(select.order_by(s.c.session_no)) if content.matches(target, x)]


def compose(rows: Sequence[content.Row]) -> Notice:
    """Return the notice that tells how many sessions ended how, and which not well."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(f"{row.model_id}, {row.purpose}", Counter())[row.status] += 1
    failures = [
        (row.session_id, f"{row.status}: {row.failure_kind or ''}: {row.failure_text or ''}")
        for row in rows
        if row.status not in (Status.SUCCEEDED, Status.RUNNING)
    ]
    labelled = {
        name: ", ".join(f"{count} {status}" for status, count in sorted(by_status.items()))
        for name, by_status in sorted(counts.items())
    }
    return Notice(
        event="digest",
        count=len(rows),
        started_at=rows[0].started_at if rows else None,
        counts=tuple(labelled.items()),
        failures=tuple(failures),
    )
