"""A metric of resampled rows: what a bootstrap computes again and again, prepared once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import labels, scores
from mfprefect.quality.metrics.binary import METRICS
from mfprefect.quality.metrics.curve import Ranking, rows_of
from mfprefect.quality.metrics.definitions import Metric, MetricRegistry
from mfprefect.quality.metrics.multiclass import MULTICLASS_METRICS, ClassScores, class_scores
from mfprefect.quality.metrics.registry import CUSTOM
from mfprefect.quality.metrics.regression import REGRESSION_METRICS, finite

__all__ = ["same_length", "statistics"]

_Numbers = NDArray[np.float64]
_Statistic = Callable[[NDArray[np.int64]], float]
"""Takes how often each row was drawn."""
_OF_TYPE: dict[str, MetricRegistry] = {
    "binary": METRICS,
    "multiclass": MULTICLASS_METRICS,
    "regression": REGRESSION_METRICS,
    "time_series": REGRESSION_METRICS,
}


def statistics(
    metric: str, model_type: str, actual: Any, said: Sequence[Any]
) -> tuple[list[NDArray[np.intp]], list[_Statistic]]:
    """Return which rows are to be drawn by themselves, and the metric of each model.

    Raises:
        InvalidValue: no such metric of this type of model, unequal lengths, or no rows.
    """
    wanted = _definition(metric, model_type)
    if model_type == "multiclass":
        class_scores_of = [class_scores(actual, score) for score in said]
        return [np.arange(class_scores_of[0].n)], [_classes(wanted, x) for x in class_scores_of]
    if model_type != "binary":
        happened, numbers = finite(actual, "actual"), [finite(x, "score") for x in said]
        same_length(happened, numbers)
        return [np.arange(len(happened))], [_numbers(wanted, happened, x) for x in numbers]
    positive, ranked = labels(actual), [scores(x) for x in said]
    same_length(positive, ranked)
    strata = [np.arange(len(positive))]
    if metric in METRICS and not wanted.one_class:
        strata = [np.flatnonzero(positive), np.flatnonzero(~positive)]
        if not min(map(len, strata)):
            raise InvalidValue(f"{metric!r} needs rows of both classes")
    return strata, [_ranked(wanted, positive, x) for x in ranked]


def _definition(metric: str, model_type: str) -> Metric:
    built_in = _OF_TYPE.get(model_type, MetricRegistry())
    if metric in built_in:
        return built_in[metric]
    custom = CUSTOM.get(metric)
    if custom is None or model_type not in custom.model_types:
        available = [*built_in, *(m.name for m in CUSTOM.values() if model_type in m.model_types)]
        raise InvalidValue(
            f"{metric!r} of two {model_type} models cannot be computed from their rows; choose one "
            f"of {', '.join(available) or 'none'}"
        )
    return custom


def same_length(actual: Sized, said: Sequence[Sized]) -> None:
    """Refuse columns of different lengths, and none."""
    if {len(actual)} != {len(x) for x in said}:
        raise InvalidValue(
            f"{len(actual)} actuals, but {' and '.join(str(len(x)) for x in said)} scores; pass "
            "one of each for every row"
        )
    if not len(actual):
        raise InvalidValue("no rows to compare")


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _classes(wanted: Metric, scored: ClassScores) -> _Statistic:
    def statistic(drawn: NDArray[np.int64]) -> float:
        rows: Any = np.repeat(np.arange(len(drawn)), drawn)
        taken = scored.take(rows)
        if wanted.name in MULTICLASS_METRICS:
            return _number(wanted.compute(taken))
        import pandas as pd

        names = list(taken.classes)
        actual = np.array(names, dtype=object)[taken.actual]
        return _number(wanted.compute(actual, pd.DataFrame(taken.score, columns=names)))

    return statistic


def _numbers(wanted: Metric, actual: _Numbers, predicted: _Numbers) -> _Statistic:
    def statistic(drawn: NDArray[np.int64]) -> float:
        figure = _number(wanted.compute(np.repeat(actual, drawn), np.repeat(predicted, drawn)))
        return abs(figure) if wanted.name == "bias" else figure

    return statistic


def _ranked(wanted: Metric, positive: NDArray[np.bool_], score: _Numbers) -> _Statistic:
    """Sort once: a resample is counts of the same distinct scores."""
    distinct, group = np.unique(-score, return_inverse=True)
    group, hit_group = group.reshape(-1), group.reshape(-1)[positive]
    if wanted.probabilities_only and not (score.min() >= 0 and score.max() <= 1):
        raise InvalidValue(f"{wanted.name!r} needs scores from 0 to 1")

    def statistic(drawn: NDArray[np.int64]) -> float:
        rows = np.bincount(group, weights=drawn, minlength=len(distinct))
        hits = np.bincount(hit_group, weights=drawn[positive], minlength=len(distinct))
        present = rows > 0
        population = np.cumsum(rows[present]).astype(np.int64)
        target = np.cumsum(hits[present]).astype(np.int64)
        ranking = Ranking(
            -distinct[present], population, target, int(population[-1]), int(target[-1])
        )
        if wanted.name in METRICS:
            return _number(wanted.compute(ranking))
        return _number(wanted.compute(*rows_of(ranking)))

    return statistic
