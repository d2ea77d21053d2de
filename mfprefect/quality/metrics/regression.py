"""The agreed-upon metrics of a model that predicts numbers: one definition each, versioned.

An error is predicted - actual: with a positive bias, the model predicts too much.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import _as_double, _column
from mfprefect.quality.metrics.definitions import MetricRegistry

__all__ = ["REGRESSION_METRICS", "finite", "mean", "regression_metrics"]

_Numbers = NDArray[np.float64]
_Weight = _Numbers | None

REGRESSION_METRICS = MetricRegistry()
"""Definitions by name, in report order."""


def regression_metrics(
    actual: Any, predicted: Any, *, weight: _Numbers | None = None
) -> dict[str, float]:
    """Compute every metric that is defined for these rows, by name.

    Leave out `r2` if all actuals are equal, `mape` if an actual is 0, and any metric that exceeds
    the range of a double.

    Args:
        actual: finite numbers, shape (n,).
        predicted: finite numbers, matched by position.
        weight: the weights of the rows, finite, 0 or more and not all 0; rows of weight 0 are left
            out.

    Raises:
        InvalidValue: no rows, unequal lengths, or a value that is NULL, NaN, infinite or not a
            number.
    """
    y, p = finite(actual, "actual"), finite(predicted, "predicted")
    if len(y) != len(p):
        raise InvalidValue(
            f"{len(y)} actuals but {len(p)} predictions; pass one of each for every row"
        )
    if len(y) == 0:
        raise InvalidValue("no rows to compare; pass at least one actual and its prediction")
    weighted: tuple[Any, ...] = (y, p)
    if weight is not None:
        rows = weight > 0
        weighted = (y[rows], p[rows], weight[rows])
    with np.errstate(over="ignore", invalid="ignore"):
        figures = {
            metric.name: metric.compute(*(weighted if metric.weighted else (y, p)))
            for metric in REGRESSION_METRICS.values()
        }
    return {k: float(v) for k, v in figures.items() if v is not None and math.isfinite(v)}


def finite(values: Any, name: str) -> _Numbers:
    """Return a column as doubles, shape (n,); refuse NULL, infinity and non-numbers."""
    array = _column(values, name)
    numeric = array.dtype.kind in "biuf"
    doubles = (
        array.astype(np.float64) if numeric else np.array([_as_double(x) for x in array], float)
    )
    wrong = np.flatnonzero(~np.isfinite(doubles))
    if len(wrong):
        examples = ", ".join(f"{array[i : i + 1].tolist()[0]!r} at position {i}" for i in wrong[:5])
        raise InvalidValue(
            f"{len(wrong)} of {len(array)} {name} values are not finite numbers: {examples}; "
            "leave these rows out of both columns"
        )
    return doubles


def mean(values: Any, weight: Any = None) -> float:
    """Return the exactly rounded mean, by weight; it does not depend on the order of rows."""
    try:
        if weight is not None:
            return math.fsum(values * weight) / math.fsum(weight)
        return math.fsum(values) / len(values)
    except (OverflowError, ValueError):  # the sum overflows, or holds infinities of both signs
        return math.inf


@REGRESSION_METRICS.define("mae", source="sklearn.metrics.mean_absolute_error", weighted=True)
def _mae(actual: _Numbers, predicted: _Numbers, weight: _Weight = None) -> float:
    """Mean of |predicted - actual|."""
    return mean(np.abs(predicted - actual), weight)


@REGRESSION_METRICS.define("rmse", source="sklearn.metrics.root_mean_squared_error", weighted=True)
def _rmse(actual: _Numbers, predicted: _Numbers, weight: _Weight = None) -> float:
    """√(mean of (predicted - actual)²)."""
    return math.sqrt(mean((predicted - actual) ** 2, weight))


@REGRESSION_METRICS.define("r2", source="sklearn.metrics.r2_score", weighted=True)
def _r2(actual: _Numbers, predicted: _Numbers, weight: _Weight = None) -> float | None:
    """1 - Σ (predicted - actual)² / Σ (actual - mean actual)²; undefined for constant actuals."""
    if actual.min() == actual.max():
        return None
    spread = mean((actual - mean(actual, weight)) ** 2, weight)
    return 1 - mean((predicted - actual) ** 2, weight) / spread if spread > 0 else None


@REGRESSION_METRICS.define(
    "bias", source="the mean error; Hyndman and Koehler (2006), IJF 22(4)", weighted=True
)
def _bias(actual: _Numbers, predicted: _Numbers, weight: _Weight = None) -> float:
    """Mean of predicted - actual."""
    return mean(predicted - actual, weight)


@REGRESSION_METRICS.define(
    "mape", source="sklearn.metrics.mean_absolute_percentage_error, as a share", weighted=True
)
def _mape(actual: _Numbers, predicted: _Numbers, weight: _Weight = None) -> float | None:
    """Mean of |predicted - actual| / |actual|, as a share; undefined if an actual is 0."""
    return mean(np.abs(predicted - actual) / np.abs(actual), weight) if actual.all() else None


@REGRESSION_METRICS.define("n", source="count")
def _n(actual: _Numbers, predicted: _Numbers) -> float:
    """Number of rows."""
    return len(actual)
