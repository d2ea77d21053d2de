"""Compare two sessions' scores of the same entities in the database.

Plain Core SQL: one join and two window functions for each session; one row comes back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.schema import Double
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.lookup import require_session
from mfprefect.store.states import Status

__all__ = ["compare_scores", "rank_correlation", "rank_products", "ranked_scores"]


@dataclass(frozen=True)
class _Threshold:
    value: float
    kind: str

    def meets(self, score: Any, rank: Any, n: int) -> sa.ColumnElement[bool]:
        """Return the condition that a row is acted on; `rank` is 1 for the lowest score."""
        if self.kind == "probability":
            acted: sa.ColumnElement[bool] = score >= sa.literal(self.value, Double)
            return acted
        # The top ⌈value·n⌉ without a tie that the cut would split, as in the confusion matrix.
        top = math.ceil(Decimal(repr(self.value)) * n)
        acted = rank >= n + 1 - top
        return acted


def compare_scores(db: Database, a: str, b: str) -> dict[str, Any]:
    """Return the agreement of two sessions' scores and decisions; see `Store.compare_scores`."""

    def work(connection: sa.Connection) -> dict[str, Any]:
        sides = [_side(db, connection, session_id) for session_id in (a, b)]
        rows = [_rows(db, connection, side) for side in sides]
        joined = _joined(db, *sides)
        n = int(connection.scalar(sa.select(sa.func.count()).select_from(joined)) or 0)
        if not n:
            raise InvalidValue(
                f"sessions {a!r} ({rows[0]} scores) and {b!r} ({rows[1]} scores) have no entity in "
                "common."
            )
        thresholds = [_threshold(db, connection, side) for side in sides]
        figures = _figures(connection, joined, n, thresholds)
        sessions = {"a": a, "b": b, "rows_a": rows[0], "rows_b": rows[1], "rows": n}
        decision_thresholds = {
            f"threshold_{side}": None if t is None else {"value": t.value, "kind": t.kind}
            for side, t in zip("ab", thresholds, strict=True)
        }
        return {
            **sessions,
            **decision_thresholds,
            **figures,
            "metrics": _metrics(db, connection, sides),
        }

    return db.read_snapshot(work)


def _side(db: Database, connection: sa.Connection, session_id: str) -> SessionHandle:
    handle = require_session(db, connection, session_id)
    if handle.status != Status.SUCCEEDED:
        raise InvalidValue(
            f"session {session_id!r} is {handle.status}; compare sessions that succeeded, "
            "published or not."
        )
    return handle


def _rows(db: Database, connection: sa.Connection, side: SessionHandle) -> int:
    parts = db.schema.score_parts.c
    total = sa.select(sa.func.sum(parts.rows)).where(parts.session_no == side.session_no)
    rows = int(connection.scalar(total) or 0)
    if not rows:
        raise InvalidValue(f"session {side.session_id!r} has no scores.")
    return rows


def _joined(db: Database, a: SessionHandle, b: SessionHandle) -> sa.Subquery:
    one, other = db.schema.scores.alias("one"), db.schema.scores.alias("other")
    return (
        sa.select(one.c.score.label("score_a"), other.c.score.label("score_b"))
        .join_from(one, other, one.c.entity_id == other.c.entity_id)
        .where(one.c.session_no == a.session_no, other.c.session_no == b.session_no)
        .subquery("joined")
    )


def _threshold(db: Database, connection: sa.Connection, side: SessionHandle) -> _Threshold | None:
    t = db.schema.model_thresholds.c
    select = sa.select(t.value, t.kind).where(t.model_id == side.model_id)
    row = connection.execute(select.order_by(t.set_at.desc()).limit(1)).first()
    return None if row is None else _Threshold(row.value, row.kind)


def _figures(
    connection: sa.Connection, joined: sa.Subquery, n: int, thresholds: list[_Threshold | None]
) -> dict[str, Any]:
    ranked = ranked_scores(joined)
    r, decided = ranked.c, None not in thresholds
    difference = r.score_b - r.score_a
    sums = [
        *rank_products(ranked, n),
        sa.func.sum(difference),
        sa.func.sum(sa.func.abs(difference)),
        sa.func.max(sa.func.abs(difference)),
        *(_decisions(ranked, n, thresholds) if decided else ()),
    ]
    row = connection.execute(sa.select(*sums)).one()
    total, size, largest = (float(x) for x in row[3:6])
    decisions: list[int | None] = [int(x) for x in row[6:]] or [None] * 4
    return {
        "agreement": (int(row[6]) + int(row[9])) / n if decided else None,
        **dict(zip(("both", "only_a", "only_b", "neither"), decisions, strict=True)),
        "spearman": rank_correlation(*row[:3]),
        "mean_difference": total / n,
        "mean_abs_difference": size / n,
        "max_abs_difference": largest,
    }


def ranked_scores(joined: sa.FromClause) -> sa.Subquery:
    """Return score_a and score_b of rows, and of each its rank and the number of its ties."""
    columns: list[sa.ColumnElement[Any]] = [joined.c.score_a, joined.c.score_b]
    for side in "ab":
        score = joined.c[f"score_{side}"]
        columns.append(sa.func.rank().over(order_by=score).label(f"rank_{side}"))
        columns.append(sa.func.count().over(partition_by=score).label(f"ties_{side}"))
    return sa.select(*columns).subquery("ranked")


def rank_products(ranked: sa.Subquery, n: int) -> list[sa.ColumnElement[Any]]:
    """Return the sums that `rank_correlation` takes, of `ranked_scores` with n rows."""
    r = ranked.c
    # Twice the mean rank of ties, minus twice the mean of all ranks: 0 on average. Adding
    # score * 0 makes it a double, whose sum does not overflow.
    a, b = (
        score * 0 + 2 * rank + ties - (n + 2)
        for score, rank, ties in ((r.score_a, r.rank_a, r.ties_a), (r.score_b, r.rank_b, r.ties_b))
    )
    return [sa.func.sum(a * a), sa.func.sum(a * b), sa.func.sum(b * b)]


def rank_correlation(aa: Any, ab: Any, bb: Any) -> float | None:
    """Return the rank correlation with mean ranks of ties; None if one side is all ties."""
    x, xy, y = float(aa), float(ab), float(bb)
    return max(-1.0, min(1.0, xy / math.sqrt(x * y))) if x and y else None


def _decisions(ranked: sa.Subquery, n: int, thresholds: list[_Threshold | None]) -> list[Any]:
    """Return the counts of rows that both act on, only a, only b, and neither."""
    a, b = (
        sa.case((t.meets(ranked.c[f"score_{side}"], ranked.c[f"rank_{side}"], n), 1), else_=0)
        for side, t in zip("ab", thresholds, strict=True)
        if t is not None
    )
    return [sa.func.sum(x) for x in (a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b))]


def _metrics(
    db: Database, connection: sa.Connection, sides: list[SessionHandle]
) -> list[dict[str, Any]]:
    """Return the metrics that both sessions' models have, each on its own test rows."""
    s, m = db.schema.sessions, db.schema.metrics
    figures = []
    for side in sides:
        training = sa.func.coalesce(s.c.parent_session_no, s.c.session_no)
        select = (
            sa.select(m.c.metric_name, m.c.value)
            .join_from(s, m, m.c.session_no == training)
            .where(s.c.session_no == side.session_no, m.c.segment == "")
            .order_by(m.c.metric_name)
        )
        figures.append({row.metric_name: row.value for row in connection.execute(select)})
    a, b = figures
    return [
        {"metric_name": name, "a": a[name], "b": b[name], "difference": b[name] - a[name]}
        for name in a
        if name in b
    ]
