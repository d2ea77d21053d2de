"""Two models on the same rows: how far a metric differs, and how much of that may be chance.

The rows are shared, so most of what chance does to one model it does to the other as well: an
interval of the difference is much narrower than the two models' own intervals suggest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import labels, scores
from mfprefect.quality.curve import Ranking
from mfprefect.quality.metrics import METRICS
from mfprefect.quality.regression import REGRESSION_METRICS, finite

__all__ = [
    "CONFIDENCE",
    "REPEATS",
    "SEED",
    "Difference",
    "auc_difference",
    "bootstrap_difference",
    "comparable",
    "lower_is_better",
    "metric_difference",
]

CONFIDENCE = 0.95
"""The interval's; each of its ends is passed by chance once in 40 times."""
REPEATS = 1_000
"""Resamples of a bootstrap."""
MANY_ROWS, FEW_REPEATS = 20_000, 200
"""Of more rows than that, so many resamples: the interval is narrow, and each costs time."""
SEED = 20_240_601
"""What resamples are drawn with: the same rows give the same interval."""
_INTERVAL = f"{100 * CONFIDENCE:g} % interval"
_Z = 1.959963984540054
_LOWER = {"brier", "log_loss", "ece", "mae", "rmse", "mape", "bias"}
_NEITHER = {"n", "n_positive", "base_rate"}

_Numbers = NDArray[np.float64]
_Statistic = Callable[[NDArray[np.int64]], float]
"""Takes how often each row was drawn."""


@dataclass(frozen=True)
class Difference:
    """A metric of two models on the same rows."""

    value: float
    """That of the first less that of the second."""
    low: float
    """Lower end of the interval of the difference."""
    high: float
    """Its upper end."""
    first: float
    second: float
    method: str
    """How the interval was computed, with all that it takes to do so again."""


def lower_is_better(metric: str) -> bool:
    """Return whether less of a metric is better, as of an error; of `bias`, what is nearer 0."""
    return metric in _LOWER


def comparable(metric: str) -> bool:
    """Return whether a metric is known and one of its values can be better than another."""
    return metric not in _NEITHER and (metric in METRICS or metric in REGRESSION_METRICS)


def metric_difference(
    metric: str, actual: ArrayLike, first: ArrayLike, second: ArrayLike
) -> Difference:
    """Compare a metric of two models: AUC and Gini by DeLong, others by a paired bootstrap.

    The difference of `bias` is that of its absolute values.

    Args:
        metric: one of `METRICS` or `REGRESSION_METRICS`.
        actual: what happened, one a row.
        first: what the first model said, by position.
        second: what the second one said.

    Raises:
        InvalidValue: not comparable, unequal lengths, or too few rows for an interval.
    """
    if metric == "auc":
        return auc_difference(actual, first, second)
    if metric == "gini":
        return _doubled(auc_difference(actual, first, second))
    return bootstrap_difference(metric, actual, first, second)


def _doubled(auc: Difference) -> Difference:
    figures = (2 * auc.value, 2 * auc.low, 2 * auc.high, 2 * auc.first - 1, 2 * auc.second - 1)
    return Difference(*figures, auc.method)


def auc_difference(actual: ArrayLike, first: ArrayLike, second: ArrayLike) -> Difference:
    """Compare the AUCs of two models on the same rows, with DeLong's interval.

    Of each positive, the share of negatives below it (half of those level with it), of each
    negative the share of positives above it; the variance of the difference of AUCs is the
    variance of the differences of these shares, each over its count (DeLong, DeLong and
    Clarke-Pearson 1988, Biometrics 44(3)). Costs a sort a model.

    Raises:
        InvalidValue: unequal lengths, or fewer than two rows of a class.
    """
    positive, both = labels(actual), (scores(first), scores(second))
    _same_length(positive, both)
    if min(int(positive.sum()), int((~positive).sum())) < 2:
        raise InvalidValue("an interval of AUC needs at least two rows of each class")
    shares = [_placements(positive, score) for score in both]
    aucs = [float(np.mean(of_positives)) for of_positives, _ in shares]
    variance = sum(
        float(np.var(one - other, ddof=1)) / len(one)
        for one, other in zip(shares[0], shares[1], strict=True)
    )
    value, half = aucs[0] - aucs[1], _Z * math.sqrt(variance)
    return Difference(value, value - half, value + half, aucs[0], aucs[1], f"DeLong, {_INTERVAL}")


def _placements(positive: NDArray[np.bool_], score: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Return of each positive the share of negatives below it, of each negative the reverse."""
    above, below = score[positive], score[~positive]
    return _share_below(above, below), 1 - _share_below(below, above)


def _share_below(values: _Numbers, others: _Numbers) -> _Numbers:
    ordered = np.sort(others)
    twice = np.searchsorted(ordered, values) + np.searchsorted(ordered, values, side="right")
    return np.asarray(twice / (2 * len(others)))


def bootstrap_difference(
    metric: str,
    actual: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    repeats: int | None = None,
    seed: int = SEED,
) -> Difference:
    """Compare a metric of two models on the same rows, with the interval of a paired bootstrap.

    Rows are drawn with replacement, the same for both models, and the interval lies between the
    quantiles of the differences (Efron and Tibshirani 1993, chapter 13). For metrics that need
    both classes, positives and negatives are drawn by themselves.

    Args:
        metric: as `metric_difference` takes it.
        actual: what happened, one a row.
        first: what the first model said.
        second: what the second one said.
        repeats: how often; by default 1,000, of more than 20,000 rows 200.
        seed: for the same interval again.

    Raises:
        InvalidValue: not comparable, unequal lengths, no rows, or a metric that is not defined
            for the rows.
    """
    if not comparable(metric):
        known = ", ".join(name for name in (*METRICS, *REGRESSION_METRICS) if comparable(name))
        raise InvalidValue(
            f"{metric!r} of two models cannot be compared on their rows; choose one of {known}"
        )
    strata, statistics = _statistics(metric, actual, first, second)
    n = sum(map(len, strata))
    repeats = repeats or (REPEATS if n <= MANY_ROWS else FEW_REPEATS)
    once = np.ones(n, np.int64)
    figures = [statistic(once) for statistic in statistics]
    random, found = np.random.default_rng(seed), np.empty(repeats)
    with np.errstate(invalid="ignore", divide="ignore"):
        for repeat in range(repeats):
            drawn = _draw(random, strata, n)
            found[repeat] = statistics[0](drawn) - statistics[1](drawn)
    found = found[np.isfinite(found)]
    if len(found) < repeats / 2 or not np.isfinite(figures).all():
        raise InvalidValue(f"{metric!r} is not defined for these rows")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    method = f"paired bootstrap of {repeats} repeats, seed {seed}, {_INTERVAL}"
    return Difference(
        figures[0] - figures[1], float(low), float(high), figures[0], figures[1], method
    )


def _draw(random: np.random.Generator, strata: list[NDArray[np.intp]], n: int) -> NDArray[np.int64]:
    rows = [stratum[random.integers(len(stratum), size=len(stratum))] for stratum in strata]
    return np.bincount(np.concatenate(rows), minlength=n)


def _statistics(
    metric: str, actual: ArrayLike, first: ArrayLike, second: ArrayLike
) -> tuple[list[NDArray[np.intp]], list[_Statistic]]:
    """Return which rows are drawn by themselves, and the metric of each model."""
    if metric not in METRICS:
        happened, said = finite(actual, "actual"), [finite(x, "score") for x in (first, second)]
        _same_length(happened, said)
        return [np.arange(len(happened))], [_numbers(metric, happened, x) for x in said]
    positive, ranked = labels(actual), [scores(x) for x in (first, second)]
    _same_length(positive, ranked)
    both = [np.flatnonzero(positive), np.flatnonzero(~positive)]
    if METRICS[metric].one_class:
        both = [np.arange(len(positive))]
    elif not min(map(len, both)):
        raise InvalidValue(f"{metric!r} needs rows of both classes")
    return both, [_ranked(metric, positive, x) for x in ranked]


def _same_length(actual: NDArray[np.generic], said: tuple[_Numbers, ...] | list[_Numbers]) -> None:
    if {len(actual)} != {len(x) for x in said}:
        raise InvalidValue(
            f"{len(actual)} actuals, but {' and '.join(str(len(x)) for x in said)} scores; pass "
            "one of each for every row"
        )
    if not len(actual):
        raise InvalidValue("no rows to compare")


def _numbers(metric: str, actual: _Numbers, predicted: _Numbers) -> _Statistic:
    compute = REGRESSION_METRICS[metric].compute

    def statistic(drawn: NDArray[np.int64]) -> float:
        found = compute(np.repeat(actual, drawn), np.repeat(predicted, drawn))
        if found is None:
            return math.nan
        return abs(found) if metric == "bias" else found

    return statistic


def _ranked(metric: str, positive: NDArray[np.bool_], score: _Numbers) -> _Statistic:
    """Sort once: a resample is counts of the same distinct scores."""
    distinct, group = np.unique(-score, return_inverse=True)
    group, hit_group = group.reshape(-1), group.reshape(-1)[positive]
    compute = METRICS[metric].compute
    if METRICS[metric].probabilities_only and not (score.min() >= 0 and score.max() <= 1):
        raise InvalidValue(f"{metric!r} needs scores from 0 to 1")

    def statistic(drawn: NDArray[np.int64]) -> float:
        rows = np.bincount(group, weights=drawn, minlength=len(distinct))
        hits = np.bincount(hit_group, weights=drawn[positive], minlength=len(distinct))
        kept = rows > 0
        population = np.cumsum(rows[kept]).astype(np.int64)
        target = np.cumsum(hits[kept]).astype(np.int64)
        ranking = Ranking(-distinct[kept], population, target, int(population[-1]), int(target[-1]))
        value = compute(ranking)
        return math.nan if value is None else value

    return statistic
