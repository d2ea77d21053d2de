"""Metrics of resampled rows, with everything that resamples share computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import labels, scores
from mfprefect.quality.metrics.binary import METRICS
from mfprefect.quality.metrics.class_scores import ClassScores, class_scores
from mfprefect.quality.metrics.curve import Ranking, rows_of
from mfprefect.quality.metrics.definitions import Metric, MetricRegistry
from mfprefect.quality.metrics.multiclass import MULTICLASS_METRICS
from mfprefect.quality.metrics.registry import CUSTOM
from mfprefect.quality.metrics.regression import REGRESSION_METRICS, finite

__all__ = ["same_length", "statistics"]

_Numbers = NDArray[np.float64]
_Statistic = Callable[[NDArray[np.int64]], float]
"""Computes a metric from how often each row was drawn."""
_OF_TYPE: dict[str, MetricRegistry] = {
    "binary": METRICS,
    "multiclass": MULTICLASS_METRICS,
    "regression": REGRESSION_METRICS,
    "time_series": REGRESSION_METRICS,
}


def statistics(
    metric: str, model_type: str, actual: Any, predictions: Sequence[Any]
) -> tuple[list[NDArray[np.intp]], list[_Statistic]]:
    """Return the strata to resample, as row positions, and the metric of each model.

    Raises:
        InvalidValue: the model type has no such metric, unequal lengths, or no rows.
    """
    definition = _definition(metric, model_type)
    if model_type == "multiclass":
        by_model = [class_scores(actual, score) for score in predictions]
        return [np.arange(by_model[0].n)], [_classes(definition, x) for x in by_model]
    if model_type != "binary":
        outcomes, numbers = finite(actual, "actual"), [finite(x, "score") for x in predictions]
        same_length(outcomes, numbers)
        return [np.arange(len(outcomes))], [_numbers(definition, outcomes, x) for x in numbers]
    positive, by_row = labels(actual), [scores(x) for x in predictions]
    same_length(positive, by_row)
    strata = [np.arange(len(positive))]
    if metric in METRICS and not definition.one_class:
        strata = [np.flatnonzero(positive), np.flatnonzero(~positive)]
        if not min(map(len, strata)):
            raise InvalidValue(f"{metric!r} needs rows of both classes")
    return strata, [_ranked(definition, positive, x) for x in by_row]


def _definition(metric: str, model_type: str) -> Metric:
    built_in = _OF_TYPE.get(model_type, MetricRegistry())
    if metric in built_in:
        return built_in[metric]
    custom = CUSTOM.get(metric)
    if custom is None or model_type not in custom.model_types:
        available = [*built_in, *(m.name for m in CUSTOM.values() if model_type in m.model_types)]
        raise InvalidValue(
            f"{metric!r} cannot be compared between two {model_type} models; choose one of "
            f"{', '.join(available) or 'none'}"
        )
    return custom


def same_length(actual: Sized, predictions: Sequence[Sized]) -> None:
    """Refuse columns of different lengths, and empty columns."""
    if {len(actual)} != {len(x) for x in predictions}:
        lengths = " and ".join(str(len(x)) for x in predictions)
        raise InvalidValue(
            f"{len(actual)} actuals, but {lengths} scores; pass one of each for every row"
        )
    if not len(actual):
        raise InvalidValue("no rows to compare")


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _classes(metric: Metric, scored: ClassScores) -> _Statistic:
    def statistic(draws: NDArray[np.int64]) -> float:
        rows: Any = np.repeat(np.arange(len(draws)), draws)
        resample = scored.take(rows)
        if metric.name in MULTICLASS_METRICS:
            return _number(metric.compute(resample))
        import pandas as pd

        names = list(resample.classes)
        actual = np.array(names, dtype=object)[resample.actual]
        return _number(metric.compute(actual, pd.DataFrame(resample.score, columns=names)))

    return statistic


def _numbers(metric: Metric, actual: _Numbers, predicted: _Numbers) -> _Statistic:
    def statistic(draws: NDArray[np.int64]) -> float:
        figure = _number(metric.compute(np.repeat(actual, draws), np.repeat(predicted, draws)))
        return abs(figure) if metric.name == "bias" else figure

    return statistic


def _ranked(metric: Metric, positive: NDArray[np.bool_], score: _Numbers) -> _Statistic:
    """Sort once; a resample only changes the counts of the same distinct scores."""
    distinct, group = np.unique(-score, return_inverse=True)
    group, hit_group = group.reshape(-1), group.reshape(-1)[positive]
    if metric.probabilities_only and not (score.min() >= 0 and score.max() <= 1):
        raise InvalidValue(f"{metric.name!r} needs scores from 0 to 1")

    def statistic(draws: NDArray[np.int64]) -> float:
        rows = np.bincount(group, weights=draws, minlength=len(distinct))
        hits = np.bincount(hit_group, weights=draws[positive], minlength=len(distinct))
        present = rows > 0
        population = np.cumsum(rows[present]).astype(np.int64)
        target = np.cumsum(hits[present]).astype(np.int64)
        ranking = Ranking(
            -distinct[present], population, target, int(population[-1]), int(target[-1])
        )
        if metric.name in METRICS:
            return _number(metric.compute(ranking))
        return _number(metric.compute(*rows_of(ranking)))

    return statistic
