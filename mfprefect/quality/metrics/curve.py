"""The ranked test curve of a binary model, and the figures derived from it.

Rows are collapsed to distinct scores before counting, so no figure depends on the order of rows
that share a score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import labels, scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MAX_POINTS",
    "Ranking",
    "accuracy",
    "both_classes",
    "collapse",
    "confusion_matrix",
    "lift",
    "rank",
    "roc",
    "rows_of",
    "test_curve",
    "weighted_ranking",
]

MAX_POINTS = 1001
"""The most points of a stored curve, for any number of test rows."""

_COUNTS = ("population", "target_population", "tp", "fp", "tn", "fn")


@dataclass(frozen=True, eq=False)
class Ranking:
    """The distinct scores of a test set, highest first, with cumulative counts.

    If rows have weights, counts are sums of weights, as doubles: see `weighted_ranking`.
    """

    score: NDArray[np.float64]
    """The distinct scores, descending."""
    population: NDArray[np.int64]
    """Rows with at least this score."""
    target_population: NDArray[np.int64]
    """Positive rows with at least this score."""
    n: int
    """All rows."""
    n_positive: int
    """All positive rows."""

    @property
    def n_negative(self) -> int:
        """All negative rows."""
        return self.n - self.n_positive


def rank(actual: ArrayLike, score: ArrayLike) -> Ranking:
    """Collapse labelled scores to their distinct scores.

    Args:
        actual: shape (n,), each 0, 1, False or True; matched with `score` by position, ignoring
            any index.
        score: shape (n,), finite; higher means more likely positive.

    Raises:
        InvalidValue: no rows, unequal lengths, an actual that is NULL or not 0/1, or rows of one
            class (which have no curve and no AUC).
        InvalidScores: a score that is NULL, NaN, infinite or not a number.
    """
    return both_classes(collapse(actual, score))


def both_classes(ranking: Ranking) -> Ranking:
    """Return the ranking; refuse rows of one class."""
    if ranking.n_positive in (0, ranking.n):
        present, missing = ("1", "0 (negative)") if ranking.n_positive else ("0", "1 (positive)")
        raise InvalidValue(
            f"all {ranking.n} actuals are {present}: class {missing} is missing; "
            "a curve and its metrics need rows of both classes"
        )
    return ranking


def collapse(actual: ArrayLike, score: ArrayLike) -> Ranking:
    """Collapse labelled scores as `rank` does, but accept rows of one class."""
    positive, value = labels(actual), scores(score)
    if len(positive) != len(value):
        raise InvalidValue(
            f"{len(positive)} actuals but {len(value)} scores; pass one of each for every row"
        )
    n = len(value)
    if n == 0:
        raise InvalidValue("no rows to rank; pass at least one positive and one negative row")
    # There may be millions of rows: free full-length arrays early.
    order = np.argsort(value)
    value, positive = value[order], positive[order]
    del order
    first = np.flatnonzero(np.r_[True, value[1:] != value[:-1]])
    distinct, above = value[first[::-1]], np.cumsum(positive, dtype=np.int64)
    del value
    n_positive = int(above[-1])
    np.subtract(n_positive, above, out=above)
    above += positive  # positives at this position and above
    return Ranking(distinct, n - first[::-1], above[first[::-1]], n, n_positive)


def weighted_ranking(
    positive: NDArray[np.bool_], value: NDArray[np.float64], weight: NDArray[np.float64]
) -> Ranking:
    """Collapse rows with weights, which count instead of rows.

    Args:
        positive: which rows are positive, shape (n,).
        value: their finite scores.
        weight: their weights, finite, 0 or more and not all 0; rows of weight 0 are left out.
    """
    rows = np.flatnonzero(weight > 0)
    rows = rows[np.argsort(-value[rows], kind="stable")]
    value, weight, positive = value[rows], weight[rows], positive[rows]
    first = np.flatnonzero(np.r_[True, value[1:] != value[:-1]])
    negatives: Any = np.cumsum(np.add.reduceat(np.where(positive, 0.0, weight), first))
    positives: Any = np.cumsum(np.add.reduceat(np.where(positive, weight, 0.0), first))
    total, n_positive = (positives + negatives)[-1].item(), positives[-1].item()
    return Ranking(value[first], positives + negatives, positives, total, n_positive)


def test_curve(ranking: Ranking, points: int = MAX_POINTS) -> dict[str, list[Any]]:
    """Return the curve to store, as columns of equal length, highest score first.

    Columns: `point_no` (from 0), `score`, `population` and `target_population` (rows and positives
    with at least this score), `tp`, `fp`, `tn`, `fn` (a row is predicted positive if its score is
    at least this score). All counts are exact.

    With more distinct scores than points, keep the first and last and choose the others evenly in
    TPR + FPR, with the smallest step that the points suffice for; only a single score can make a
    larger step. A step of s hides at most an area of s²/8, so the area under the stored points is
    within 1 / (points - 1) of the AUC of all rows, for any data.

    Args:
        ranking: from `rank`.
        points: the most points to return, 2 to 1,001.

    Raises:
        InvalidValue: `points` is out of range.
    """
    if isinstance(points, bool) or not isinstance(points, int) or not 2 <= points <= MAX_POINTS:
        raise InvalidValue(f"points is {points!r}; choose a whole number from 2 to {MAX_POINTS}")
    keep = _evenly(ranking, points)
    population, tp = ranking.population[keep], ranking.target_population[keep]
    fp = population - tp
    columns = {
        "point_no": np.arange(len(keep)),
        "score": ranking.score[keep],
        "population": population,
        "target_population": tp,
        "tp": tp,
        "fp": fp,
        "tn": ranking.n_negative - fp,
        "fn": ranking.n_positive - tp,
    }
    return {name: column.tolist() for name, column in columns.items()}


# Otherwise pytest collects the function in every module that imports it.
test_curve.__test__ = False  # type: ignore[attr-defined]


def _evenly(ranking: Ranking, points: int) -> NDArray[np.intp]:
    if len(ranking.score) <= points:
        return np.arange(len(ranking.score))
    tp = ranking.target_population
    # TPR + FPR in whole numbers: times positives times negatives.
    path = ranking.population - tp
    path *= ranking.n_positive
    path += tp * ranking.n_negative
    short, long = 0, int(path[-1] - path[0])
    positions = _walk(path, long, points)
    while long - short > max(1, long // 256):
        step = (short + long) // 2
        candidate = _walk(path, step, points)
        if candidate is None:
            short = step
        else:
            long, positions = step, candidate
    assert positions is not None  # noqa: S101 - a step as long as the whole path needs two points
    return np.array(positions, dtype=np.intp)


def _walk(path: NDArray[np.int64], step: int, points: int) -> list[int] | None:
    """Return the fewest points at most `step` apart, None if they exceed `points`."""
    positions, last = [0], len(path) - 1
    while positions[-1] < last:
        if len(positions) == points:
            return None
        current = positions[-1]
        reach = int(np.searchsorted(path, path[current] + step, side="right")) - 1
        positions.append(max(current + 1, reach))
    return positions


def roc(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the ROC curve of a stored curve: `threshold`, `fpr`, `tpr`, from (0, 0) to (1, 1).

    The first threshold is infinity, at which no row is predicted positive (as in scikit-learn).
    """
    import pandas as pd

    points = _points(curve)
    return pd.DataFrame(
        {
            "threshold": np.r_[np.inf, points["score"]],
            "fpr": np.r_[0.0, points["fp"] / (points["fp"] + points["tn"])],
            "tpr": np.r_[0.0, points["tp"] / (points["tp"] + points["fn"])],
        }
    )


def lift(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the lift chart of a stored curve, highest scores first.

    Columns: `threshold`; `population_share`, the share of rows with at least that score; `lift`,
    their positive rate divided by that of all rows; `capture`, their share of all positives.
    """
    import pandas as pd

    points = _points(curve)
    share = points["population"] / (points["population"] + points["tn"] + points["fn"])
    capture = points["tp"] / (points["tp"] + points["fn"])
    return pd.DataFrame(
        {
            "threshold": points["score"],
            "population_share": share,
            "lift": capture / share,
            "capture": capture,
        }
    )


def confusion_matrix(curve: pd.DataFrame, value: float, kind: str) -> dict[str, Any]:
    """Return `tp`, `fp`, `tn`, `fn` and the `threshold` used at an operating threshold.

    With kind `"probability"`, rows with a score of at least `value` are predicted positive; with
    kind `"population"` the top ⌈value·n⌉ rows, less those that would split a tie.

    If the curve has fewer points than there were scores, use the nearest stored point at or above
    the requested threshold, so that no lower row and no more than the requested share count.
    `threshold` is the score of that point. Without such a point, no row is predicted positive, and
    `threshold` is `value` (kind `"probability"`) or infinity.

    Raises:
        InvalidValue: an unknown kind, a value that is not a finite number, or a share outside
            (0, 1].
    """
    operating_value = _operating_value(value, kind)
    points = _points(curve)
    n_positive = int(points["tp"][0] + points["fn"][0])
    n_negative = int(points["fp"][0] + points["tn"][0])
    if kind == "probability":
        meets = points["score"] >= operating_value
    else:
        # Multiply the decimal text of the share: in binary, 0.07 * 100 is a little above 7.
        share = Decimal(repr(operating_value))
        meets = points["population"] <= math.ceil(share * (n_positive + n_negative))
    last = int(np.count_nonzero(meets)) - 1
    if last < 0:
        threshold = operating_value if kind == "probability" else math.inf
        return {"tp": 0, "fp": 0, "tn": n_negative, "fn": n_positive, "threshold": threshold}
    matrix: dict[str, Any] = {name: int(points[name][last]) for name in ("tp", "fp", "tn", "fn")}
    matrix["threshold"] = float(points["score"][last])
    return matrix


def accuracy(curve: pd.DataFrame, value: float, kind: str) -> float:
    """Return the share of correctly predicted rows at an operating threshold.

    Arguments and errors as in `confusion_matrix`.
    """
    matrix = confusion_matrix(curve, value, kind)
    right = matrix["tp"] + matrix["tn"]
    return float(right / (right + matrix["fp"] + matrix["fn"]))


def _operating_value(value: float, kind: str) -> float:
    if kind not in ("probability", "population"):
        raise InvalidValue(
            f"unknown kind of threshold {kind!r}; choose 'probability' (a score) or 'population' "
            "(the top share of rows)"
        )
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InvalidValue(f"the threshold is {value!r}; it takes a finite number")
    if kind == "population" and not 0 < value <= 1:
        raise InvalidValue(
            f"the threshold is {value!r}, but a share of the population is above 0 and at most 1; "
            "write 0.1 for the top 10 %, or use kind='probability'"
        )
    return float(value)


def _points(curve: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the columns as arrays, highest score first."""
    absent = [name for name in ("score", *_COUNTS) if name not in curve.columns]
    if absent or len(curve) == 0:
        problem = f"lacks the columns {absent}" if absent else "has no points"
        raise InvalidValue(
            f"the curve {problem}; pass pandas.DataFrame(test_curve(..)) or store.curve(..)"
        )
    score = curve["score"].to_numpy(dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    counts = {name: curve[name].to_numpy(dtype=np.int64)[order] for name in _COUNTS}
    return {"score": score[order], **counts}


def rows_of(ranking: Ranking) -> tuple[Any, Any]:
    """Return actual and score of each row, sorted by score and then by actual."""
    positives = np.diff(ranking.target_population, prepend=0)[::-1]
    negatives = np.diff(ranking.population, prepend=0)[::-1] - positives
    score = np.repeat(ranking.score[::-1], positives + negatives)
    pattern = np.stack([np.zeros(len(positives)), np.ones(len(positives))], axis=1).ravel()
    actual = np.repeat(pattern, np.stack([negatives, positives], axis=1).ravel())
    return actual, score
