"""The agreed-upon metrics of a multiclass model, from its scores of each class.

The class with the highest score is the predicted one; of equal scores, the first in class order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import _column, _is_null
from mfprefect.quality.metrics.binary import METRICS, calibration_gap
from mfprefect.quality.metrics.class_scores import ClassScores, class_positions
from mfprefect.quality.metrics.curve import collapse, weighted_ranking
from mfprefect.quality.metrics.definitions import Metric, MetricRegistry

__all__ = [
    "CLASS_METRICS",
    "MULTICLASS_METRICS",
    "class_metrics",
    "label_metrics",
    "multiclass_metrics",
]

MULTICLASS_METRICS = MetricRegistry()
"""Definitions by name, in report order."""
CLASS_METRICS = MetricRegistry()
"""Metrics of one class against all others, stored under the segment `class=<class>`."""


def multiclass_metrics(
    scores: ClassScores, weighted: ClassScores | None = None
) -> dict[str, float]:
    """Compute every metric that is defined, by name.

    Leave out `log_loss`, `brier_multiclass` and `ece_top` unless the scores are probabilities (in
    [0, 1], with every row summing to 1), and all metrics of scores if only classes are known.
    Metrics that count weights are computed from `weighted`: the same rows with their weights.
    """
    figures = {m.name: m.compute(_of(m, scores, weighted)) for m in MULTICLASS_METRICS.values()}
    return {name: float(value) for name, value in figures.items() if value is not None}


def _of(metric: Metric, scores: ClassScores, weighted: ClassScores | None) -> ClassScores:
    return weighted if metric.weighted and weighted is not None else scores


def class_metrics(
    scores: ClassScores, weighted: ClassScores | None = None
) -> dict[str, dict[str, float]]:
    """Compute the defined metrics of each class against all others, by class and name."""
    by_class = {}
    for position, name in enumerate(scores.classes):
        figures = {
            m.name: m.compute(_of(m, scores, weighted), position) for m in CLASS_METRICS.values()
        }
        by_class[name] = {key: float(x) for key, x in figures.items() if x is not None}
    return by_class


def label_metrics(actual: Any, predicted: Any) -> dict[str, float]:
    """Compute the metrics that need only predicted classes, for published scores.

    Raises:
        InvalidValue: no rows, unequal lengths, or a label that is NULL.
    """
    observed, predictions = _column(actual, "actual"), _column(predicted, "predicted")
    if len(observed) != len(predictions) or len(observed) == 0:
        raise InvalidValue(
            f"{len(observed)} actuals and {len(predictions)} predicted classes; pass at least one "
            "row, and one of each per row"
        )
    classes = sorted({_text(x) for values in (observed, predictions) for x in values.tolist()})
    positions = [
        class_positions(np.array([_text(x) for x in values.tolist()], dtype=object), classes)
        for values in (observed, predictions)
    ]
    return multiclass_metrics(ClassScores(tuple(classes), positions[0], positions[1]))


def _text(label: Any) -> str:
    if _is_null(label):
        raise InvalidValue("a label is NULL; drop the rows without a known outcome")
    return str(label)


@MULTICLASS_METRICS.define("accuracy", source="sklearn.metrics.accuracy_score", weighted=True)
def _accuracy(scores: ClassScores) -> float:
    """Correctly predicted rows / all rows."""
    return float(scores.count(scores.actual == scores.predicted) / scores.total)


def _counts(scores: ClassScores) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Count correct, actual and predicted rows of each class that occurs or is predicted."""
    table = scores.confusion()
    right, actual, predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    occurs = actual + predicted > 0
    return right[occurs], actual[occurs], predicted[occurs]


@MULTICLASS_METRICS.define(
    "balanced_accuracy",
    source="sklearn.metrics.balanced_accuracy_score; Brodersen et al. (2010)",
    weighted=True,
)
def _balanced_accuracy(scores: ClassScores) -> float:
    """Mean recall of the classes that occur."""
    right, actual, _ = _counts(scores)
    return math.fsum(right[actual > 0] / actual[actual > 0]) / int(np.count_nonzero(actual))


@MULTICLASS_METRICS.define(
    "f1_macro", source="sklearn.metrics.f1_score, average='macro'", weighted=True
)
def _f1_macro(scores: ClassScores) -> float:
    """Mean of 2·TP / (2·TP + FP + FN) over the classes that occur or are predicted."""
    right, actual, predicted = _counts(scores)
    return math.fsum(2 * right / (actual + predicted)) / len(right)


@MULTICLASS_METRICS.define(
    "f1_weighted", source="sklearn.metrics.f1_score, average='weighted'", weighted=True
)
def _f1_weighted(scores: ClassScores) -> float:
    """Mean of 2·TP / (2·TP + FP + FN) over classes, weighted by their actual rows."""
    right, actual, predicted = _counts(scores)
    return float(math.fsum(actual * 2 * right / (actual + predicted)) / scores.total)


@MULTICLASS_METRICS.define(
    "kappa", source="Cohen (1960); sklearn.metrics.cohen_kappa_score", weighted=True
)
def _kappa(scores: ClassScores) -> float | None:
    """(accuracy - e) / (1 - e), e: the accuracy by chance; undefined if e is 1."""
    right, actual, predicted = _counts(scores)
    n = actual.sum().item()
    by_chance = np.sum(actual * predicted).item()
    if by_chance == n * n:
        return None
    return float((right.sum().item() * n - by_chance) / (n * n - by_chance))


@MULTICLASS_METRICS.define(
    "mcc", source="Gorodkin (2004); sklearn.metrics.matthews_corrcoef", weighted=True
)
def _mcc(scores: ClassScores) -> float | None:
    """Correlation of actual and predicted class; undefined if either is constant."""
    right, actual, predicted = _counts(scores)
    n = actual.sum().item()
    if 1 in (np.count_nonzero(actual), np.count_nonzero(predicted)):
        return None
    spread = (n * n - np.sum(predicted**2).item()) * (n * n - np.sum(actual**2).item())
    both = right.sum().item() * n - np.sum(actual * predicted).item()
    return both / math.sqrt(spread) if spread else None


@MULTICLASS_METRICS.define(
    "auc_ovr", source="sklearn.metrics.roc_auc_score, multi_class='ovr'", weighted=True
)
def _auc_ovr(scores: ClassScores) -> float | None:
    """Mean AUC of each class that occurs against all others; needs two classes that occur."""
    areas = [_class_auc(scores, position) for position in np.unique(scores.actual).tolist()]
    defined = [area for area in areas if area is not None]
    return math.fsum(defined) / len(defined) if defined else None


@MULTICLASS_METRICS.define("log_loss", source="sklearn.metrics.log_loss", weighted=True)
def _log_loss(scores: ClassScores) -> float | None:
    """-mean of ln p of the actual class; p clipped to [ε, 1 - ε], ε = 2⁻⁵² (of a double)."""
    if (p := scores.probabilities) is None:
        return None
    tiny = float(np.finfo(np.float64).eps)
    happened = np.clip(p[np.arange(scores.n), scores.actual], tiny, 1 - tiny)
    return -scores.mean(np.log(happened))


@MULTICLASS_METRICS.define(
    "brier_multiclass", source="Brier (1950), Monthly Weather Review 78(1)", weighted=True
)
def _brier(scores: ClassScores) -> float | None:
    """Mean over rows of Σ over classes of (p - y)²; for two classes, twice `brier`."""
    if (p := scores.probabilities) is None:
        return None
    happened = p[np.arange(scores.n), scores.actual]
    return scores.mean((p**2).sum(axis=1) - 2 * happened + 1)


@MULTICLASS_METRICS.define("ece_top", source="Guo et al. (2017), ICML", weighted=True)
def _ece_top(scores: ClassScores) -> float | None:
    """Σ (n_b / n) · |accuracy - mean p| over the bins of `ece`, p: of the predicted class."""
    if (p := scores.probabilities) is None:
        return None
    rows = np.ones(scores.n, np.int64) if scores.weight is None else scores.weight
    gaps = calibration_gap(p.max(axis=1), (scores.actual == scores.predicted) * rows, rows)
    return float(math.fsum(map(abs, gaps)) / scores.total)


@MULTICLASS_METRICS.define("n", source="count")
def _n(scores: ClassScores) -> float:
    """Number of rows."""
    return scores.n


@MULTICLASS_METRICS.define("n_classes", source="count")
def _n_classes(scores: ClassScores) -> float:
    """Number of classes that occur."""
    return len(np.unique(scores.actual))


def _of_class(scores: ClassScores, position: int) -> tuple[Any, Any, Any]:
    """Count how often a class was predicted correctly, occurred, and was predicted."""
    actual, predicted = scores.actual == position, scores.predicted == position
    return scores.count(actual & predicted), scores.count(actual), scores.count(predicted)


def _class_auc(scores: ClassScores, position: int) -> float | None:
    actual = scores.actual == position
    if scores.score is None or not 0 < actual.sum() < len(actual):
        return None
    score = scores.score[:, position]
    if scores.weight is not None:
        return METRICS["auc"].compute(weighted_ranking(actual, score, scores.weight))
    return METRICS["auc"].compute(collapse(actual, score))


_class_auc.__doc__ = METRICS["auc"].formula
CLASS_METRICS.define("auc", source=METRICS["auc"].source, weighted=True)(_class_auc)


@CLASS_METRICS.define("precision", source="sklearn.metrics.precision_score", weighted=True)
def _precision(scores: ClassScores, position: int) -> float | None:
    """TP / (TP + FP); undefined if the class is never predicted."""
    right, _, predicted = _of_class(scores, position)
    return right / predicted if predicted else None


@CLASS_METRICS.define("recall", source="sklearn.metrics.recall_score", weighted=True)
def _recall(scores: ClassScores, position: int) -> float | None:
    """TP / (TP + FN); undefined if the class does not occur."""
    right, occurred, _ = _of_class(scores, position)
    return right / occurred if occurred else None


@CLASS_METRICS.define("f1", source="sklearn.metrics.f1_score", weighted=True)
def _f1(scores: ClassScores, position: int) -> float | None:
    """2·TP / (2·TP + FP + FN); undefined if the class neither occurs nor is predicted."""
    right, occurred, predicted = _of_class(scores, position)
    return 2 * right / (occurred + predicted) if occurred + predicted else None


@CLASS_METRICS.define("n_positive", source="count")
def _n_positive(scores: ClassScores, position: int) -> float:
    """Number of rows of the class."""
    return float(_of_class(scores, position)[1])
