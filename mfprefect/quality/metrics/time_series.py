"""The agreed-upon metrics of forecasts, in addition to those of predicted numbers.

The rows of a series are in time order, as is its history: the values known at the time of the
forecast. MASE and the seasonal naive forecast use the history; prediction intervals are optional.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality.metrics.definitions import MetricRegistry
from mfprefect.quality.metrics.regression import finite, mean

__all__ = [
    "INTERVAL_METRICS",
    "SERIES_METRICS",
    "Context",
    "Forecast",
    "forecast",
    "series_metrics",
]

_Numbers = NDArray[np.float64]
SERIES_METRICS = MetricRegistry()
"""Definitions by name, in report order."""
INTERVAL_METRICS = MetricRegistry()
"""Metrics of prediction intervals; regressions have them, too."""


class Context(TypedDict, total=False):
    """Optional data on predicted numbers: history, season and prediction intervals."""

    series: Any
    """The series of each row, shape (n,); by default one series, `all`."""
    history: Any
    """Earlier actual values in time order; for several series, a mapping of series to values."""
    season: int
    """Periods per season, such as 12; 1, the default, means no season."""
    naive: Any
    """The baseline forecast, shape (n,); by default the last season of the history, repeated."""
    lower: Any
    """The lower end of each prediction interval, shape (n,)."""
    upper: Any
    """The upper end of each prediction interval, shape (n,)."""
    level: float
    """The share of actuals that the intervals should contain, such as 0.9."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Rows of actual and predicted values with the baselines to compare with; NaN: unknown."""

    actual: _Numbers
    predicted: _Numbers
    scale: _Numbers
    """The mean absolute error of the seasonal naive forecast in the series' history."""
    naive: _Numbers
    lower: _Numbers | None = None
    upper: _Numbers | None = None
    level: float | None = None

    def take(self, rows: NDArray[np.bool_]) -> Forecast:
        """Return some of the rows."""
        names = ("actual", "predicted", "scale", "naive", "lower", "upper")
        columns = {name: getattr(self, name) for name in names}
        selected: Any = {k: None if v is None else v[rows] for k, v in columns.items()}
        return replace(self, **selected)


def forecast(actual: Any, predicted: Any, context: Context | None = None) -> Forecast:
    """Validate rows and add the scale and naive forecast of each.

    Raises:
        InvalidValue: no rows, unequal lengths, a value that is not a finite number, only one end
            of the intervals, an interval with swapped ends, or a season or level out of range.
    """
    context = context or {}
    if unknown := context.keys() - Context.__annotations__.keys():
        names = ", ".join(Context.__annotations__)
        raise InvalidValue(f"unknown argument {min(unknown)!r}; choose from {names}")
    y = finite(actual, "actual")
    p = _same_length(y, predicted, "predicted")
    if len(y) == 0:
        raise InvalidValue("no rows to compare; pass at least one actual and its prediction")
    scale, naive = _from_history(len(y), context)
    if context.get("naive") is not None:
        naive = _same_length(y, context["naive"], "naive")
    return Forecast(y, p, scale, naive, *_intervals(y, context))


def _same_length(actual: _Numbers, values: Any, name: str) -> _Numbers:
    numbers = finite(values, name)
    if len(numbers) != len(actual):
        raise InvalidValue(
            f"{len(actual)} actuals but {len(numbers)} {name} values; pass one of each for "
            "every row"
        )
    return numbers


def _from_history(n: int, context: Context) -> tuple[_Numbers, _Numbers]:
    """Return the scale and the naive forecast of each row, NaN without enough history."""
    scale, naive = np.full(n, np.nan), np.full(n, np.nan)
    season = context.get("season", 1)
    if isinstance(season, bool) or not isinstance(season, int) or season < 1:
        raise InvalidValue(f"season is {season!r}; choose a whole number of periods, 1 or more")
    history = context.get("history")
    if history is None:
        return scale, naive
    series = context.get("series")
    names = np.full(n, "all", object) if series is None else np.asarray(series).astype(object)
    if len(names) != n:
        raise InvalidValue(f"{n} actuals but {len(names)} series; pass one of each for every row")
    for name, values in _by_series(history, names).items():
        rows = np.flatnonzero(names == name)
        past = finite(values, f"history of {name!r}")
        if len(past) > season:
            scale[rows] = mean(np.abs(past[season:] - past[:-season]))
        if len(past) >= season:
            naive[rows] = past[-season:][np.arange(len(rows)) % season]
    return scale, naive


def _by_series(history: Any, names: NDArray[Any]) -> Mapping[Any, Any]:
    if isinstance(history, Mapping):
        return history
    distinct = set(names)
    if len(distinct) > 1:
        raise InvalidValue(
            f"{len(distinct)} series but one history; pass a mapping of each series to its history"
        )
    return dict.fromkeys(distinct, history)


def _intervals(y: _Numbers, context: Context) -> tuple[_Numbers | None, _Numbers | None, Any]:
    ends = [context.get(name) for name in ("lower", "upper")]
    level = context.get("level")
    if all(end is None for end in ends) and level is None:
        return None, None, None
    if any(end is None for end in ends):
        raise InvalidValue("intervals need both ends; pass lower and upper")
    lower, upper = _same_length(y, ends[0], "lower"), _same_length(y, ends[1], "upper")
    wrong = np.flatnonzero(lower > upper)
    if len(wrong):
        at = wrong[0]
        raise InvalidValue(
            f"{len(wrong)} intervals end before they begin, such as [{lower[at]}, {upper[at]}] at "
            f"position {at}; swap lower and upper"
        )
    if level is not None and not (isinstance(level, float) and 0 < level < 1):
        raise InvalidValue(f"level is {level!r}; choose a share between 0 and 1, such as 0.9")
    return lower, upper, level


def series_metrics(rows: Forecast, *, intervals_only: bool = False) -> dict[str, float]:
    """Compute every metric that is defined for these rows, by name.

    Args:
        rows: from `forecast`.
        intervals_only: leave out the metrics of time series.
    """
    tables = (INTERVAL_METRICS,) if intervals_only else (SERIES_METRICS, INTERVAL_METRICS)
    with np.errstate(over="ignore", invalid="ignore"):
        figures = {name: m.compute(rows) for table in tables for name, m in table.items()}
    return {k: float(v) for k, v in figures.items() if v is not None and math.isfinite(v)}


@SERIES_METRICS.define("smape", source="Makridakis (1993), IJF 9(4), as a share: 0 to 2")
def _smape(rows: Forecast) -> float:
    """Mean of 2 · |predicted - actual| / (|actual| + |predicted|); 0 if both are 0."""
    size = np.abs(rows.actual) + np.abs(rows.predicted)
    gap = 2 * np.abs(rows.predicted - rows.actual)
    return mean(np.divide(gap, size, out=np.zeros_like(gap), where=size > 0))


@SERIES_METRICS.define("mase", source="Hyndman and Koehler (2006), IJF 22(4)")
def _mase(rows: Forecast) -> float | None:
    """Mean of |predicted - actual| / the mean |y_t - y_(t - season)| in the history of its series.

    Undefined without a history longer than a season, or if the history only repeats itself.
    """
    if not (rows.scale > 0).all():
        return None
    return mean(np.abs(rows.predicted - rows.actual) / rows.scale)


@SERIES_METRICS.define("naive_mae", source="Hyndman and Athanasopoulos (2021), section 5.2")
def _naive_mae(rows: Forecast) -> float | None:
    """Mean of |naive - actual|; naive: the last season of the history, repeated, or as given.

    Undefined without a history of at least one season.
    """
    return None if np.isnan(rows.naive).any() else mean(np.abs(rows.naive - rows.actual))


@SERIES_METRICS.define("skill", source="Hyndman and Athanasopoulos (2021), section 5.8")
def _skill(rows: Forecast) -> float | None:
    """1 - mae / naive_mae; below 0, the model is worse than the naive forecast.

    Undefined if the naive forecast makes no error.
    """
    naive = _naive_mae(rows)
    return 1 - mean(np.abs(rows.predicted - rows.actual)) / naive if naive else None


@INTERVAL_METRICS.define("coverage", source="the share that the intervals' level promises")
def _coverage(rows: Forecast) -> float | None:
    """Rows with lower <= actual <= upper / all rows."""
    if rows.lower is None or rows.upper is None:
        return None
    inside = (rows.lower <= rows.actual) & (rows.actual <= rows.upper)
    return int(np.count_nonzero(inside)) / len(inside)


@INTERVAL_METRICS.define("interval_width", source="the sharpness of intervals")
def _interval_width(rows: Forecast) -> float | None:
    """Mean of upper - lower."""
    if rows.lower is None or rows.upper is None:
        return None
    return mean(rows.upper - rows.lower)


@INTERVAL_METRICS.define("interval_score", source="Gneiting and Raftery (2007), JASA 102(477)")
def _interval_score(rows: Forecast) -> float | None:
    """Mean of upper - lower + 2 / (1 - level) · distance to the interval; needs a level."""
    if rows.lower is None or rows.upper is None or rows.level is None:
        return None
    below = np.maximum(rows.lower - rows.actual, 0)
    above = np.maximum(rows.actual - rows.upper, 0)
    return mean(rows.upper - rows.lower + 2 / (1 - rows.level) * (below + above))
