"""The agreed-upon metrics of forecasts, beside those of predicted numbers.

The rows of a series are in the order of time, as is its history: what was known when the forecasts
were made. MASE and the seasonal naive forecast come from the history; intervals are optional.
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
"""All definitions by name, in the order in which they are reported."""
INTERVAL_METRICS = MetricRegistry()
"""Those of prediction intervals, also of a regression."""


class Context(TypedDict, total=False):
    """What is known of predicted numbers beside them; everything is optional."""

    series: Any
    """Which series each row is of, shape (n,); by default all are one, `all`."""
    history: Any
    """What happened before: numbers in order of time; of several series, a mapping of them."""
    season: int
    """After how many periods a season comes again, such as 12; 1, the default: none does."""
    naive: Any
    """The forecast to hold the model against, shape (n,); by default the last season, repeated."""
    lower: Any
    """The lower end of each prediction interval, shape (n,)."""
    upper: Any
    """The upper end."""
    level: float
    """The share of actuals that the intervals promise to hold, such as 0.9."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Rows of actual and predicted, and what each is held against; NaN: not known."""

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
        some: Any = {k: None if v is None else v[rows] for k, v in columns.items()}
        return replace(self, **some)


def forecast(actual: Any, predicted: Any, context: Context | None = None) -> Forecast:
    """Return rows, checked, each with its scale and naive forecast.

    Raises:
        InvalidValue: no rows, unequal lengths, a value that is no finite number, one end of the
            intervals only, an interval whose lower end is the upper one, or a season or level out
            of range.
    """
    given: Context = context or {}
    if unknown := given.keys() - Context.__annotations__.keys():
        names = ", ".join(Context.__annotations__)
        raise InvalidValue(f"unknown argument {min(unknown)!r}; they are {names}")
    y = finite(actual, "actual")
    p = _like(y, predicted, "predicted")
    if len(y) == 0:
        raise InvalidValue("no rows to compare; pass at least one actual and its prediction")
    scale, naive = _from_history(len(y), given)
    if given.get("naive") is not None:
        naive = _like(y, given["naive"], "naive")
    return Forecast(y, p, scale, naive, *_intervals(y, given))


def _like(actual: _Numbers, values: Any, name: str) -> _Numbers:
    numbers = finite(values, name)
    if len(numbers) != len(actual):
        raise InvalidValue(
            f"{len(actual)} actuals but {len(numbers)} {name} values; pass one of each for "
            "every row"
        )
    return numbers


def _from_history(n: int, given: Context) -> tuple[_Numbers, _Numbers]:
    scale, naive = np.full(n, np.nan), np.full(n, np.nan)
    season = given.get("season", 1)
    if isinstance(season, bool) or not isinstance(season, int) or season < 1:
        raise InvalidValue(f"season is {season!r}; it is a whole number of periods, 1 or more")
    history = given.get("history")
    if history is None:
        return scale, naive
    series = given.get("series")
    names = np.full(n, "all", object) if series is None else np.asarray(series).astype(object)
    if len(names) != n:
        raise InvalidValue(f"{n} actuals but {len(names)} series; pass one of each for every row")
    by_name = history if isinstance(history, Mapping) else {name: history for name in set(names)}
    if not isinstance(history, Mapping) and len(by_name) > 1:
        raise InvalidValue(
            f"{len(by_name)} series but one history; pass a mapping of each series to its own"
        )
    for name, values in by_name.items():
        rows = np.flatnonzero(names == name)
        past = finite(values, f"history of {name!r}")
        if len(past) > season:
            scale[rows] = mean(np.abs(past[season:] - past[:-season]))
        if len(past) >= season:
            naive[rows] = past[-season:][np.arange(len(rows)) % season]
    return scale, naive


def _intervals(y: _Numbers, given: Context) -> tuple[_Numbers | None, _Numbers | None, Any]:
    ends = [given.get(name) for name in ("lower", "upper")]
    level = given.get("level")
    if all(end is None for end in ends) and level is None:
        return None, None, None
    if any(end is None for end in ends):
        raise InvalidValue("an interval has two ends and perhaps a level; pass lower and upper")
    lower, upper = _like(y, ends[0], "lower"), _like(y, ends[1], "upper")
    wrong = np.flatnonzero(lower > upper)
    if len(wrong):
        at = wrong[0]
        raise InvalidValue(
            f"{len(wrong)} intervals end before they begin, such as [{lower[at]}, {upper[at]}] at "
            f"position {at}; pass lower and upper the other way round"
        )
    if level is not None and not (isinstance(level, float) and 0 < level < 1):
        raise InvalidValue(f"level is {level!r}; it is a share between 0 and 1, such as 0.9")
    return lower, upper, level


def series_metrics(rows: Forecast, *, intervals_only: bool = False) -> dict[str, float]:
    """Compute every metric that is defined for these rows, by name.

    Args:
        rows: from `forecast`.
        intervals_only: leave out those of a time series.
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
