"""One model over time: its figures, its drift, and how often it runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from mfprefect.store.browse import keyed
from mfprefect.store.browse.sessions import RANKED, figures_of
from mfprefect.store.database import Database
from mfprefect.store.states import Purpose, Status

__all__ = ["DriftMap", "drift_map", "metric_history", "scoring_interval"]

CHARTED = 60
"""Sessions of a chart, of each purpose."""
MAPPED = 14
"""Sessions of a drift map."""


def metric_history(
    db: Database, model_id: str, purpose: str, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the last CHARTED successful sessions of a purpose, oldest first.

    Each has session_no, session_id, started_at and `figures`: these metrics over all rows.
    """
    s = db.schema.sessions.c
    low, _ = keyed.window(db, RANKED, model_id, None)
    keys = ("session_no", "session_id", "started_at")
    select = (
        sa.select(*(s[key] for key in keys))
        .where(
            s.model_id == model_id,
            s.session_no >= low,
            s.purpose == purpose,
            s.status == Status.SUCCEEDED,
        )
        .order_by(s.session_no.desc())
        .limit(CHARTED)
    )
    rows = keyed.mappings(db.fetch_all(select), keys)[::-1]
    figures = figures_of(db, [row["session_no"] for row in rows], names)
    return [row | {"figures": figures[row["session_no"]]} for row in rows]


@dataclass(frozen=True)
class DriftMap:
    """Drift of variables over sessions."""

    sessions: list[dict[str, Any]]
    """session_no, session_id and started_at, oldest first."""
    cells: dict[str, dict[int, dict[str, Any]]]
    """By variable, the worst first, and session: measure, value, threshold and verdict."""


ORDER = {"alarm": 3, "warning": 2, "ok": 1, "unknown": 0}


def drift_map(db: Database, model_id: str, most: int = 25) -> DriftMap:
    """Return the drift of the variables that drifted most, in the last MAPPED sessions with drift.

    Of several measures of a variable, the worst by its share of the threshold counts.
    """
    s, d = db.schema.sessions, db.schema.drift
    low, _ = keyed.window(db, RANKED, model_id, None)
    has_drift = sa.exists().where(d.c.session_no == s.c.session_no)
    keys = ("session_no", "session_id", "started_at", "purpose")
    sessions = (
        sa.select(*(s.c[key] for key in keys))
        .where(
            s.c.model_id == model_id,
            s.c.session_no >= low,
            s.c.purpose.in_([Purpose.SCORE, Purpose.MONITOR]),
            has_drift,
        )
        .order_by(s.c.session_no.desc())
        .limit(MAPPED)
    )
    rows = keyed.mappings(db.fetch_all(sessions), keys)[::-1]
    numbers = [row["session_no"] for row in rows]
    cells: dict[str, dict[int, dict[str, Any]]] = {}
    fields = ("session_no", "variable", "measure", "value", "threshold", "verdict")
    select = sa.select(*(d.c[key] for key in fields)).where(d.c.session_no.in_(numbers))
    for row in keyed.mappings(db.fetch_all(select) if numbers else [], fields):
        of_variable = cells.setdefault(row["variable"], {})
        worst = of_variable.get(row["session_no"])
        if worst is None or _rank(row) > _rank(worst):
            of_variable[row["session_no"]] = row
    ranked = sorted(sorted(cells), key=lambda name: max(map(_rank, cells[name].values())))[::-1]
    return DriftMap(rows, {name: cells[name] for name in ranked[:most]})


def _rank(cell: dict[str, Any]) -> tuple[int, float]:
    value, threshold = cell["value"], cell["threshold"]
    share = abs(value / threshold) if value is not None and threshold else 0.0
    return ORDER.get(cell["verdict"], 0), share


def scoring_interval(db: Database, model_id: str) -> tuple[dt.timedelta, dt.datetime] | None:
    """Return the usual time between scorings, and when the last one started.

    The median of the last ten distances; None with fewer than three scorings.
    """
    s = db.schema.sessions.c
    low, _ = keyed.window(db, RANKED, model_id, None)
    select = (
        sa.select(s.started_at)
        .where(s.model_id == model_id, s.session_no >= low, s.purpose == Purpose.SCORE)
        .order_by(s.session_no.desc())
        .limit(11)
    )
    times = sorted((row[0] for row in db.fetch_all(select)), reverse=True)
    gaps = sorted(newer - older for newer, older in pairwise(times))
    return (gaps[len(gaps) // 2], times[0]) if len(gaps) >= 2 else None
