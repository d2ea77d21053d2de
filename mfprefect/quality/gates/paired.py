"""Compare a metric of two models on the same rows, with an interval of the difference.

Both models see the same rows, so chance affects them alike: the interval of the difference is much
narrower than the intervals of the two metrics suggest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import labels, scores
from mfprefect.quality.gates.bootstrap import same_length, statistics

__all__ = [
    "BETTER",
    "CONFIDENCE",
    "REPEATS",
    "SEED",
    "Difference",
    "auc_difference",
    "bootstrap_difference",
    "metric_difference",
]

CONFIDENCE = 0.95
"""Of the interval: chance exceeds each of its ends once in 40 times."""
REPEATS = 1_000
"""Resamples of a bootstrap."""
MANY_ROWS, FEW_REPEATS = 20_000, 200
"""With more rows, fewer resamples: the interval is narrow, and each resample costs more."""
SEED = 20_240_601
"""Fixed, so that the same rows give the same interval."""
_INTERVAL = f"{100 * CONFIDENCE:g} % interval"
_Z = 1.959963984540054
_LOWER = {
    *("brier", "log_loss", "ece", "brier_multiclass", "ece_top"),
    *("mae", "rmse", "mape", "bias"),
}
_HIGHER = {
    *("auc", "gini", "ks", "average_precision", "auc_ovr"),
    *(f"{name}_{percent}" for name in ("lift", "capture") for percent in (1, 5, 10, 20)),
    *("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "kappa", "mcc", "r2"),
}
BETTER = {**dict.fromkeys(_HIGHER, "higher"), **dict.fromkeys(_LOWER, "lower")}
"""Whether a higher or a lower value of a metric is better; others cannot be compared."""

_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A metric of two models on the same rows."""

    value: float
    """The first model's metric less the second's."""
    low: float
    """Lower end of the interval of the difference."""
    high: float
    """Its upper end."""
    first: float
    second: float
    method: str
    """How the interval was computed, with everything needed to compute it again."""


def metric_difference(
    metric: str, actual: Any, first: Any, second: Any, model_type: str = "binary"
) -> Difference:
    """Compare a metric of two models: AUC and Gini by DeLong, others by a paired bootstrap.

    `bias` is compared by absolute value.

    Args:
        metric: a metric of the model type, or a registered custom metric.
        actual: actual values, one per row.
        first: predictions of the first model, matched by position; for a multiclass model a
            DataFrame with a column per class.
        second: predictions of the second model.
        model_type: `binary`, `multiclass`, `regression` or `time_series`.

    Raises:
        InvalidValue: no such metric, unequal lengths, or too few rows for an interval.
    """
    if model_type == "binary" and metric == "auc":
        return auc_difference(actual, first, second)
    if model_type == "binary" and metric == "gini":
        return _doubled(auc_difference(actual, first, second))
    return bootstrap_difference(metric, actual, first, second, model_type)


def _doubled(auc: Difference) -> Difference:
    figures = (2 * auc.value, 2 * auc.low, 2 * auc.high, 2 * auc.first - 1, 2 * auc.second - 1)
    return Difference(*figures, auc.method)


def auc_difference(actual: ArrayLike, first: ArrayLike, second: ArrayLike) -> Difference:
    """Compare the AUCs of two models on the same rows, with DeLong's interval.

    Take for each positive the share of negatives below it (ties count half), and for each negative
    the share of positives above it. The variance of the difference of AUCs is the variance of the
    differences of these shares, each divided by its count (DeLong, DeLong and Clarke-Pearson 1988,
    Biometrics 44(3)). Costs one sort per model.

    Raises:
        InvalidValue: unequal lengths, or fewer than two rows of a class.
    """
    positive, both = labels(actual), (scores(first), scores(second))
    same_length(positive, both)
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
    """Return each positive's share of negatives below, and each negative's of positives above."""
    above, below = score[positive], score[~positive]
    return _share_below(above, below), 1 - _share_below(below, above)


def _share_below(values: _Numbers, others: _Numbers) -> _Numbers:
    ordered = np.sort(others)
    twice = np.searchsorted(ordered, values) + np.searchsorted(ordered, values, side="right")
    return np.asarray(twice / (2 * len(others)))


def bootstrap_difference(
    metric: str,
    actual: Any,
    first: Any,
    second: Any,
    model_type: str = "binary",
    *,
    repeats: int | None = None,
    seed: int = SEED,
) -> Difference:
    """Compare a metric of two models on the same rows, with the interval of a paired bootstrap.

    Draw rows with replacement, the same for both models; the interval lies between the quantiles
    of the differences (Efron and Tibshirani 1993, chapter 13). For metrics that need both classes,
    positives and negatives are drawn separately.

    Args:
        metric: as in `metric_difference`, like `actual`, `first`, `second` and `model_type`.
        actual: actual values, one per row.
        first: predictions of the first model.
        second: predictions of the second model.
        model_type: the type of both models.
        repeats: the number of resamples; by default 1,000, or 200 above 20,000 rows.
        seed: makes the interval repeatable.

    Raises:
        InvalidValue: not comparable, unequal lengths, no rows, or the metric is not defined for
            these rows.
    """
    strata, models = statistics(metric, model_type, actual, (first, second))
    n = sum(map(len, strata))
    repeats = repeats or (REPEATS if n <= MANY_ROWS else FEW_REPEATS)
    once = np.ones(n, np.int64)
    figures = [statistic(once) for statistic in models]
    random, differences = np.random.default_rng(seed), np.empty(repeats)
    with np.errstate(invalid="ignore", divide="ignore"):
        for repeat in range(repeats):
            draws = _draw(random, strata, n)
            differences[repeat] = models[0](draws) - models[1](draws)
    differences = differences[np.isfinite(differences)]
    if len(differences) < repeats / 2 or not np.isfinite(figures).all():
        raise InvalidValue(f"{metric!r} is not defined for these rows")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    method = f"paired bootstrap of {repeats} repeats, seed {seed}, {_INTERVAL}"
    return Difference(
        figures[0] - figures[1], float(low), float(high), figures[0], figures[1], method
    )


def _draw(random: np.random.Generator, strata: list[NDArray[np.intp]], n: int) -> NDArray[np.int64]:
    rows = [stratum[random.integers(len(stratum), size=len(stratum))] for stratum in strata]
    return np.bincount(np.concatenate(rows), minlength=n)
