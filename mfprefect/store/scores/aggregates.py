"""Aggregates of a session's published scores, computed in the database.

A query returns one row for each bin, quantile or cut-off, never the scores. Plain Core SQL:
aggregates over a CASE, and ROW_NUMBER for order statistics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality.drift import psi_edges, psi_of_counts, psi_ranks
from mfprefect.store import views
from mfprefect.store.database import Database
from mfprefect.store.lookup import require_session

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MAX_EDGES",
    "Published",
    "bin_no",
    "histogram",
    "order_statistics",
    "psi",
    "quantiles",
    "summary",
]

MAX_EDGES = 100
"""The edges in one CASE, at most; it compares a row with at most seven of them."""
# Squares of smaller numbers do not count beside 1, and PostgreSQL refuses products that underflow.
_TINY = 2.0**-500


@dataclass(frozen=True)
class Published:
    """The published scores of one session, as a table with the column `score`."""

    session_id: str
    scores: sa.Subquery
    n: int
    lowest: float
    highest: float

    @classmethod
    def of(cls, db: Database, connection: sa.Connection, session_id: str) -> Published:
        """Return a session's published scores.

        Raises:
            UnknownSession: the session does not exist.
            InvalidValue: it has no published scores.
        """
        rows = _published_rows(db, connection, session_id).subquery("published")
        score = rows.c.score
        counted = sa.select(
            sa.func.count().label("row_total"),
            sa.func.min(score).label("lowest"),
            sa.func.max(score).label("highest"),
        ).select_from(rows)
        n, lowest, highest = connection.execute(counted).one()
        if not n:
            raise InvalidValue(
                f"session {session_id!r} has no published scores; scores are published when their "
                "session succeeds: see published_at in store.sessions(). If they were deleted, "
                "store.metadata() says so."
            )
        return cls(session_id, rows, n, lowest + 0.0, highest + 0.0)

    def require(self, counted: int, expected: int) -> None:
        """Raise InvalidValue if statements saw different rows: somebody is deleting the scores."""
        if counted != expected:
            raise InvalidValue(
                f"the scores of session {self.session_id!r} changed while they were read: they "
                "were deleted or replaced; list sessions with store.sessions()."
            )


def _published_rows(
    db: Database, connection: sa.Connection, session_id: str
) -> sa.Select[*tuple[Any, ...]]:
    """Return the select of a session's entity ids and scores; it is empty before publication."""
    if db.views_only:
        views.require_sessions(db, [session_id])
        c = views.published_scores(db).c
        return sa.select(c.entity_id, c.score).where(c.session_id == session_id)
    session_no = require_session(db, connection, session_id).session_no
    scores, s = db.schema.scores, db.schema.sessions
    # Check publication in the same statement: a reader sees all of a session or nothing.
    published = sa.exists().where(s.c.session_no == session_no, s.c.published_at.is_not(None))
    columns = (scores.c.entity_id, scores.c.score)
    return sa.select(*columns).where(scores.c.session_no == session_no, published)


def bin_no(tests: Sequence[sa.ColumnElement[bool]], first: int = 0) -> sa.ColumnElement[int]:
    """Return how many tests fail for a row, as a balanced CASE.

    Args:
        tests: conditions, each of which implies the next one, as `score <= edge` of rising edges.
        first: the number of the first bin.
    """
    if not tests:
        return sa.literal_column(str(first), sa.Integer)
    middle = len(tests) // 2
    below, above = bin_no(tests[:middle], first), bin_no(tests[middle + 1 :], first + middle + 1)
    return sa.case((tests[middle], below), else_=above)


def _binned(
    connection: sa.Connection, rows: sa.FromClause, tests: Sequence[sa.ColumnElement[bool]]
) -> NDArray[np.int64]:
    """Return the row count of each bin, 0 for empty ones; shape (tests + 1,)."""
    inner = sa.select(bin_no(tests).label("bin_no")).select_from(rows).subquery("numbered")
    counted = sa.select(inner.c.bin_no, sa.func.count().label("row_total"))
    counts = np.zeros(len(tests) + 1, np.int64)
    for number, count in connection.execute(counted.group_by(inner.c.bin_no)):
        counts[number] = count
    return counts


def summary(db: Database, session_id: str, distinct: bool) -> dict[str, Any]:
    """Return n, mean, sd, min, max and, on request, distinct."""

    def work(connection: sa.Connection) -> dict[str, Any]:
        published = Published.of(db, connection, session_id)
        mean, sd = _moments(connection, published)
        row = {
            "n": published.n,
            "mean": mean,
            "sd": sd,
            "min": published.lowest,
            "max": published.highest,
        }
        if distinct:
            count = sa.func.count(published.scores.c.score.distinct())
            row["distinct"] = int(connection.execute(sa.select(count)).scalar_one())
        return row

    return db.read_snapshot(work)


def _moments(connection: sa.Connection, published: Published) -> tuple[float, float | None]:
    """Return mean and sd by the corrected two-pass algorithm (Chan, Golub and LeVeque 1983).

    Scores are divided by a power of two near the largest, so that nothing over- or underflows.
    sd is None for a single score.
    """
    if published.lowest == published.highest:
        return published.lowest, 0.0 if published.n > 1 else None
    n, score = published.n, published.scores.c.score
    scale = math.ldexp(1.0, math.frexp(max(abs(published.lowest), abs(published.highest)))[1] - 1)
    scaled = sa.select(_or_zero(score, score / scale, scale * _TINY).label("share"))
    share = scaled.subquery("scaled").c.share
    count, total = connection.execute(sa.select(sa.func.count(), sa.func.sum(share))).one()
    published.require(count, n)
    centre = total / n
    gap = sa.select((share - centre).label("gap")).subquery("centred").c.gap
    sums = sa.select(
        sa.func.count(), sa.func.sum(gap), sa.func.sum(_or_zero(gap, gap * gap, _TINY))
    )
    count, rest, squares = connection.execute(sums).one()
    published.require(count, n)
    mean = min(max((centre + rest / n) * scale, published.lowest), published.highest)
    sd = math.sqrt(max(squares - rest * rest / n, 0.0) / (n - 1)) * scale
    return mean, sd if math.isfinite(sd) else None


def _or_zero(
    value: sa.ColumnElement[float], then: sa.ColumnElement[Any], least: float
) -> sa.ColumnElement[float]:
    """Return `then`, or 0 if |value| is below `least`."""
    return sa.case((sa.func.abs(value) < least, sa.literal(0.0, value.type)), else_=then)


def histogram(
    db: Database, session_id: str, edges: Sequence[float] | None, bins: int
) -> pd.DataFrame:
    """Return lower, upper and count of each bin.

    Args:
        db: the database.
        session_id: a published session.
        edges: rising inner edges, at most MAX_EDGES; bins include their upper edge.
        bins: without edges, the number of bins of equal width; bins include their lower edge.

    Raises:
        UnknownSession: the session does not exist.
        InvalidValue: it has no published scores, or edges or bins are not as above.
    """
    import pandas as pd

    inner = None if edges is None else _check_edges(edges)
    if isinstance(bins, bool) or not isinstance(bins, int) or not 1 <= bins <= MAX_EDGES:
        raise InvalidValue(f"bins is {bins!r}; choose a whole number from 1 to {MAX_EDGES}")

    def work(connection: sa.Connection) -> pd.DataFrame:
        published = Published.of(db, connection, session_id)
        score = published.scores.c.score
        if inner is not None:
            ends = [-math.inf, *inner, math.inf]
            tests = [score <= edge for edge in inner]
        else:
            ends = _even_edges(published, bins)
            tests = [score < edge for edge in ends[1:-1]]
        counts = _binned(connection, published.scores, tests)
        published.require(int(counts.sum()), published.n)
        return pd.DataFrame({"lower": ends[:-1], "upper": ends[1:], "count": counts})

    return db.read_snapshot(work)


def _check_edges(edges: Sequence[float]) -> list[float]:
    given = list(edges)
    numbers = all(isinstance(x, int | float | np.number) and not isinstance(x, bool) for x in given)
    if not numbers or not all(math.isfinite(x) for x in given):
        raise InvalidValue(f"the edges are {given[:5]!r}, ..; pass finite numbers")
    inner = [float(x) + 0.0 for x in given]
    if len(inner) > MAX_EDGES or any(a >= b for a, b in pairwise(inner)):
        raise InvalidValue(
            f"{len(inner)} edges {inner[:5]!r}, ..; pass at most {MAX_EDGES}, in rising order"
        )
    return inner


def _even_edges(published: Published, bins: int) -> list[float]:
    ends = np.array([published.lowest, published.highest])
    try:
        with np.errstate(all="raise", under="ignore"):
            return [float(x) for x in np.histogram_bin_edges(ends, bins)]
    except (ValueError, FloatingPointError) as exc:
        raise InvalidValue(
            f"cannot make {bins} bins of equal width between {published.lowest!r} and "
            f"{published.highest!r}: {exc}; pass edges instead"
        ) from exc


def quantiles(db: Database, session_id: str, probabilities: Sequence[float]) -> pd.DataFrame:
    """Return probability and value: the inverse of the empirical distribution function."""
    import pandas as pd

    levels = [_probability(p) for p in probabilities]

    def work(connection: sa.Connection) -> pd.DataFrame:
        published = Published.of(db, connection, session_id)
        # The first place whose share is not below p, computed in doubles as numpy does.
        places = [min(max(math.ceil(published.n * p - 1), 0), published.n - 1) for p in levels]
        value = order_statistics(connection, published, published.scores, published.n, places)
        values = np.array([value[place] for place in places], dtype=np.float64)
        return pd.DataFrame({"probability": np.array(levels, dtype=np.float64), "value": values})

    return db.read_snapshot(work)


def _probability(p: Any) -> float:
    if isinstance(p, bool) or not isinstance(p, int | float | np.number) or not 0 <= p <= 1:
        raise InvalidValue(f"the probability is {p!r}; pass numbers from 0 to 1")
    return float(p)


def order_statistics(
    connection: sa.Connection,
    published: Published,
    rows: sa.FromClause,
    n: int,
    places: Sequence[int],
) -> dict[int, float]:
    """Return the scores at places in ascending order, by one sort in the database.

    Args:
        connection: the transaction.
        published: the session.
        rows: what to sort: a table with the column `score`.
        n: its number of rows.
        places: from 0 on.

    Returns:
        Place to score.

    Raises:
        InvalidValue: the scores changed meanwhile.
    """
    distinct = sorted(set(places))
    if not distinct:
        return {}
    number = sa.func.row_number().over(order_by=rows.c.score).label("row_no")
    ordered = sa.select(rows.c.score, number).subquery("ordered")
    select = sa.select(ordered.c.row_no, ordered.c.score)
    select = select.where(ordered.c.row_no.in_([place + 1 for place in distinct]))
    value = {row_no - 1: score + 0.0 for row_no, score in connection.execute(select)}
    published.require(len(value), len(distinct))
    return value


def psi(db: Database, reference_id: str, session_id: str, bins: int) -> dict[str, Any]:
    """Return the PSI of two sessions' scores: value, edges, expected and actual (rows by bin)."""

    def work(connection: sa.Connection) -> dict[str, Any]:
        reference = Published.of(db, connection, reference_id)
        current = Published.of(db, connection, session_id)
        low, high, share = psi_ranks(reference.n, bins)
        places = [*low.tolist(), *high.tolist()]
        value = order_statistics(connection, reference, reference.scores, reference.n, places)
        at = np.array([value[place] for place in places]).reshape(2, -1)
        edges = psi_edges(at[0], at[1], share).tolist()
        counts = []
        for published in (reference, current):
            tests = [published.scores.c.score <= edge for edge in edges]
            counts.append(_binned(connection, published.scores, tests))
            published.require(int(counts[-1].sum()), published.n)
        return {
            "value": psi_of_counts(*counts),
            "edges": edges,
            "expected": counts[0].tolist(),
            "actual": counts[1].tolist(),
        }

    return db.read_snapshot(work)
