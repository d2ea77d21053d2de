"""What runs, what broke, and which notices did not arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.store.browse import keyed
from mfprefect.store.database import Database
from mfprefect.store.states import Status

__all__ = ["PartProgress", "ended_badly", "notices", "progress_of", "running_sessions"]

NEWEST_NOTICES = 2_000
"""Sessions among which notices are listed."""
SHOWN = (
    "session_no", "session_id", "model_id", "purpose", "status", "attempt", "started_at",
    "ended_at", "heartbeat_at", "suspected_at", "run_by", "host", "process_id", "failure_kind",
    "failure_text", "flow_run_id", "deployment",
)  # fmt: skip


@dataclass(frozen=True)
class PartProgress:
    """What a scoring session has written so far."""

    parts: int
    rows: int


def running_sessions(db: Database, limit: int) -> list[dict[str, Any]]:
    """Return running sessions, those without a sign of life for the longest time first."""
    s = db.schema.sessions.c
    select = sa.select(*(s[key] for key in SHOWN)).where(s.status == Status.RUNNING)
    rows = db.fetch_all(select.order_by(s.heartbeat_at).limit(limit))
    return keyed.mappings(rows, SHOWN)


def ended_badly(db: Database, limit: int) -> list[dict[str, Any]]:
    """Return failed and crashed sessions, those that lived last first."""
    s = db.schema.sessions.c
    rows: list[dict[str, Any]] = []
    for status in (Status.CRASHED, Status.FAILED):
        select = sa.select(*(s[key] for key in SHOWN)).where(s.status == status)
        newest = select.order_by(s.heartbeat_at.desc()).limit(limit)
        rows += keyed.mappings(db.fetch_all(newest), SHOWN)
    return sorted(rows, key=lambda row: row["heartbeat_at"], reverse=True)[:limit]


def notices(db: Database, limit: int, *, undelivered: bool = False) -> list[dict[str, Any]]:
    """Return notices of the newest sessions, the last session first."""
    s, n = db.schema.sessions.c, db.schema.notifications.c
    low, _ = keyed.window(db, NEWEST_NOTICES, None, None)
    keys = ("event", "channel", "sent_at", "delivered", "failure")
    select = (
        sa.select(s.session_id, s.model_id, *(n[key] for key in keys))
        .join_from(db.schema.notifications, db.schema.sessions, s.session_no == n.session_no)
        .where(n.session_no >= low)
        .order_by(n.session_no.desc(), n.notice_no.desc())
        .limit(limit)
    )
    if undelivered:
        select = select.where(n.delivered == sa.literal(False))
    return keyed.mappings(db.fetch_all(select), ("session_id", "model_id", *keys))


def progress_of(db: Database, numbers: Sequence[int]) -> dict[int, PartProgress]:
    """Return what some sessions have written, by number."""
    p = db.schema.score_parts.c
    if not numbers:
        return {}
    select = (
        sa.select(p.session_no, sa.func.count(), sa.func.sum(p.rows))
        .where(p.session_no.in_(list(numbers)))
        .group_by(p.session_no)
    )
    return {
        number: PartProgress(int(parts), int(rows or 0))
        for number, parts, rows in db.fetch_all(select)
    }
