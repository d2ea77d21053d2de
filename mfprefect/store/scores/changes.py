"""What changes between the scores of two models, computed by the database that has them.

Plain Core SQL: aggregates, and window functions for order and ranks. Rows come back by bin,
decision and segment, never by entity. The figures are those of `quality.score_changes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.quality.score_changes import (
    ACTED,
    NOT_ACTED,
    Cut,
    OperatingThreshold,
    ScoreChanges,
    SegmentChanges,
    Side,
    bins_of,
    largest,
    order_places,
    score_changes,
    segment_level,
    segment_name,
)
from mfprefect.schema import Double
from mfprefect.store.scores.aggregates import bin_no
from mfprefect.store.scores.comparison import rank_correlation, rank_products, ranked_scores

__all__ = ["Pairs", "changes_in_database", "changes_of_rows"]

ROWS = 50_000
"""Rows that are fetched at a time."""
Exact = Callable[[sa.ColumnElement[Any]], sa.ColumnElement[Any]]


class Pairs:
    """Rows with the scores of two models, in the database that computes or holds them.

    Args:
        rows: the columns score_a and score_b, of the models in production and of the candidate;
            perhaps class_a and class_b; and segment_1, segment_2, ..
        segments: the names of the segment columns, in that order.
        exact: makes a column of text one to group by: see `Backend.exact`.
    """

    def __init__(
        self, rows: sa.FromClause, segments: Sequence[str] = (), exact: Exact = lambda cell: cell
    ) -> None:
        self.rows, self.segments, self.exact = rows, segments, exact

    @property
    def classes(self) -> list[sa.ColumnElement[Any]]:
        """The columns of classes, to group by; empty if there are none."""
        names = [name for name in ("class_a", "class_b") if name in self.rows.c]
        return [self.exact(self.rows.c[name]) for name in names]


def changes_of_rows(
    connection: sa.Connection,
    selects: Iterable[sa.Select[Any]],
    segments: Sequence[str],
    threshold: OperatingThreshold | None,
) -> ScoreChanges:
    """Compare scores that the database computes, each row once, and sends with the segments.

    Each statement of `changes_in_database` would compute both models anew.

    Args:
        connection: prepared for scoring.
        selects: of the rows of each part: score_a and score_b, of the models in production and of
            the candidate; perhaps score_class_a and score_class_b; and segment_1, segment_2, ..
        segments: the names of the segment columns, in that order.
        threshold: the operating threshold; None: classes decide, if there are any.

    Raises:
        InvalidValue: there are no rows, or a score is NULL.
    """
    scores: dict[str, list[Any]] = {"score_a": [], "score_b": []}
    texts: dict[str, list[Any]] = {}
    # Rows have few levels and classes: keep one value of each. By column: 1 and True are equal.
    distinct: dict[str, dict[Any, Any]] = {}
    for select in selects:
        names = select.selected_columns.keys()
        # No cache: computing the key of a forest takes as long as rendering it.
        options = {"compiled_cache": None}
        with connection.execute(select, execution_options=options) as result:
            for rows in result.partitions(ROWS):
                for name, values in zip(names, zip(*rows, strict=True), strict=True):
                    if name in scores:
                        scores[name].append(np.array(values, np.float64))
                    else:
                        once = distinct.setdefault(name, {}).setdefault
                        texts.setdefault(name, []).extend(once(value, value) for value in values)
    a, b = (np.concatenate([np.empty(0), *side]) for side in scores.values())
    classes = [texts[name] for name in ("score_class_a", "score_class_b") if name in texts]
    return score_changes(
        a,
        b,
        threshold=threshold,
        classes=(classes[0], classes[1]) if len(classes) == 2 else None,
        segments={
            name: texts.get(f"segment_{number}", []) for number, name in enumerate(segments, 1)
        },
    )


def changes_in_database(
    connection: sa.Connection, pairs: Pairs, threshold: OperatingThreshold | None
) -> ScoreChanges:
    """Compare two models' scores, as `score_changes` does; the rows must not change meanwhile.

    Raises:
        InvalidValue: there are no rows, or a score is NULL.
    """
    joined, c = pairs.rows, pairs.rows.c
    gap = sa.func.abs(c.score_b - c.score_a)
    totals: list[sa.ColumnElement[Any]] = [
        sa.func.count(),
        sa.func.count(c.score_a),
        sa.func.count(c.score_b),
    ]
    totals += [sa.func.sum(c.score_a), sa.func.sum(c.score_b), sa.func.sum(gap), sa.func.max(gap)]
    totals += [sa.func.count(cell) for cell in pairs.classes]
    row = connection.execute(sa.select(*totals).select_from(joined)).one()
    n, *counts = row[:3]
    a, b, size, widest = row[3:7]
    if not n or min(counts) < n:
        raise InvalidValue(
            f"of {n} rows, {counts[0]} have a score of the model in production and {counts[1]} of "
            "the candidate; compare two scores of each row, of at least one."
        )
    values = _order_statistics(connection, joined, order_places(n, threshold))
    sides = Side(a / n, values[0]), Side(b / n, values[1])
    expected, actual = _bins(connection, joined, bins_of(n, sides[0].value))
    products = rank_products(ranked := ranked_scores(joined), n)
    spearman = rank_correlation(*connection.execute(sa.select(*products).select_from(ranked)).one())
    # Models without classes have stored NULL.
    classes = pairs.classes if min(row[7:], default=0) == n else []
    decisions = _decisions(pairs, threshold, sides, classes, n)
    return ScoreChanges(
        n,
        sides,
        expected,
        actual,
        spearman,
        size / n,
        float(widest),
        _counted(connection, joined, decisions),
        [
            segment
            for number, name in enumerate(pairs.segments, 1)
            for segment in _by_level(connection, pairs, decisions, number, name)
        ],
    )


def _order_statistics(
    connection: sa.Connection, joined: sa.FromClause, places: Sequence[int]
) -> list[dict[int, float]]:
    """Return the scores of each side at places in ascending order, from 0 on."""
    scores = joined.c.score_a, joined.c.score_b
    numbers = [sa.func.row_number().over(order_by=score) for score in scores]
    ordered = sa.select(
        *scores, *(no.label(f"no_{side}") for no, side in zip(numbers, "ab", strict=True))
    ).subquery("ordered")
    at = [place + 1 for place in places]
    wanted = sa.or_(ordered.c.no_a.in_(at), ordered.c.no_b.in_(at))
    values: list[dict[int, float]] = [{}, {}]
    for score_a, score_b, no_a, no_b in connection.execute(sa.select(ordered).where(wanted)):
        values[0][no_a - 1], values[1][no_b - 1] = score_a + 0.0, score_b + 0.0
    return values


def _bins(
    connection: sa.Connection, joined: sa.FromClause, edges: Sequence[float]
) -> tuple[list[int], list[int]]:
    """Return the rows in each bin of PSI by score_a, and by score_b."""
    numbered = sa.select(
        *(
            bin_no([score <= _number(edge) for edge in edges]).label(f"bin_{side}")
            for score, side in ((joined.c.score_a, "a"), (joined.c.score_b, "b"))
        )
    ).subquery("numbered")
    bins = numbered.c.bin_a, numbered.c.bin_b
    rows: tuple[list[int], list[int]] = ([0] * (len(edges) + 1), [0] * (len(edges) + 1))
    select = sa.select(*bins, sa.func.count().label("row_total")).group_by(*bins)
    for a, b, count in connection.execute(select):
        rows[0][a] += count
        rows[1][b] += count
    return rows


def _number(value: float) -> sa.ColumnElement[float]:
    return sa.literal(value, Double())


Decisions = list[sa.ColumnElement[Any]]
"""Of each side the decision on a row: 1 and 0, or a class; empty if there are none."""


def _decisions(
    pairs: Pairs,
    threshold: OperatingThreshold | None,
    sides: Sequence[Side],
    classes: Decisions,
    n: int,
) -> Decisions:
    c = pairs.rows.c
    if threshold is None:
        return classes
    acts: Decisions = []
    for score, side in zip((c.score_a, c.score_b), sides, strict=True):
        cut = Cut.of(threshold, n, side.value)
        least = _number(cut.value)
        acts.append(sa.case((score >= least if cut.inclusive else score > least, 1), else_=0))
    return acts


def _counted(
    connection: sa.Connection, joined: sa.FromClause, decisions: Decisions
) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    if decisions:
        decided = _decided(joined, decisions)
        d = decided.c.decision_a, decided.c.decision_b
        select = sa.select(*d, sa.func.count().label("row_total")).group_by(*d)
        for a, b, count in connection.execute(select):
            counts[_word(a), _word(b)] += count
    return counts


def _decided(joined: sa.FromClause, decisions: Decisions, *more: Any) -> sa.Subquery:
    named = [decision.label(f"decision_{x}") for decision, x in zip(decisions, "ab", strict=False)]
    return sa.select(*named, *more).select_from(joined).subquery("decided")


def _word(decision: Any) -> str:
    if isinstance(decision, bytes):  # of a binary collation
        return decision.decode()
    return decision if isinstance(decision, str) else ACTED if decision else NOT_ACTED


def _by_level(
    connection: sa.Connection, pairs: Pairs, decisions: Decisions, number: int, name: str
) -> list[SegmentChanges]:
    c = pairs.rows.c
    level: sa.ColumnElement[Any] = c[f"segment_{number}"]
    if isinstance(level.type, (sa.String, sa.types.NullType)):
        level = pairs.exact(level)
    decided = _decided(pairs.rows, decisions, level.label("level_value"), c.score_a, c.score_b)
    d = decided.c
    keys = [d.level_value, *([d.decision_a, d.decision_b] if decisions else [])]
    sums = [sa.func.count(), sa.func.sum(d.score_a), sa.func.sum(d.score_b)]
    counts: dict[str, Counter[tuple[str, str]]] = {}
    totals: dict[str, list[float]] = {}
    for value, *words, rows, a, b in connection.execute(sa.select(*keys, *sums).group_by(*keys)):
        text = segment_level(value.decode() if isinstance(value, bytes) else value)
        if words:
            counts.setdefault(text, Counter())[_word(words[0]), _word(words[1])] += rows
        total = totals.setdefault(text, [0, 0.0, 0.0])
        totals[text] = [total[0] + rows, total[1] + a, total[2] + b]
    return [
        SegmentChanges(
            segment_name(name, text),
            rows,
            (totals[text][1] / rows, totals[text][2] / rows),
            counts.get(text, {}),
        )
        for text, rows in largest((text, int(total[0])) for text, total in totals.items())
    ]
