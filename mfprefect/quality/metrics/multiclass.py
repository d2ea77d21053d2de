"""The agreed-upon metrics of a multiclass model, from its scores of each class.

The class with the highest score is the predicted one; of equal scores, the first in class order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.quality._arrays import _column, _examples, _is_null
from mfprefect.quality.metrics.binary import METRICS, calibration_gap
from mfprefect.quality.metrics.curve import collapse, weighted_ranking
from mfprefect.quality.metrics.definitions import Metric, MetricRegistry

__all__ = [
    "CLASS_METRICS",
    "MULTICLASS_METRICS",
    "ClassScores",
    "class_metrics",
    "class_scores",
    "label_metrics",
    "multiclass_metrics",
    "top_class",
]

MULTICLASS_METRICS = MetricRegistry()
"""Definitions by name, in report order."""
CLASS_METRICS = MetricRegistry()
"""Metrics of one class against all others, stored under the segment `class=<class>`."""
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Actual and predicted classes, as positions in `classes`."""

    classes: tuple[str, ...]
    actual: NDArray[np.intp]
    predicted: NDArray[np.intp]
    score: NDArray[np.float64] | None = None
    """Scores, shape (n, classes); None if only the predicted class is known."""
    weight: NDArray[np.float64] | None = None
    """Weights above 0, shape (n,); None: each row counts once."""

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.actual)

    @property
    def total(self) -> Any:
        """The weight of all rows; without weights, their number."""
        return self.n if self.weight is None else math.fsum(self.weight)

    def count(self, rows: NDArray[np.bool_]) -> Any:
        """Return the weight of some rows; without weights, their number."""
        return int(rows.sum()) if self.weight is None else math.fsum(self.weight[rows])

    def mean(self, values: NDArray[np.float64]) -> float:
        """Return the mean over rows, by weight."""
        return math.fsum(values if self.weight is None else values * self.weight) / self.total

    def confusion(self) -> NDArray[Any]:
        """Return rows, or their weights, by actual class (first axis) and predicted class."""
        k = len(self.classes)
        counts = np.bincount(self.actual * k + self.predicted, self.weight, minlength=k * k)
        return counts.reshape(k, k)

    def take(self, rows: NDArray[np.bool_], weight: NDArray[Any] | None = None) -> ClassScores:
        """Return some of the rows, with the weights of these rows."""
        score = None if self.score is None else self.score[rows]
        return ClassScores(self.classes, self.actual[rows], self.predicted[rows], score, weight)

    @property
    def probabilities(self) -> NDArray[np.float64] | None:
        """The scores if they are probabilities: in [0, 1], and every row sums to 1."""
        if self.score is None or self.score.min() < 0 or self.score.max() > 1:
            return None
        return self.score if (abs(self.score.sum(axis=1) - 1) <= _ROUNDING).all() else None


def class_scores(actual: Any, score: Any, classes: Sequence[Any] | None = None) -> ClassScores:
    """Validate labels and scores.

    Args:
        actual: a label per row, shape (n,).
        score: shape (n, k): a DataFrame with a column per class, or an array.
        classes: the labels of the columns, such as `estimator.classes_`; by default the columns of
            the DataFrame, or for an array the labels that occur, ascending, if there are k.

    Raises:
        InvalidValue: no rows, unequal lengths, a single column, a label that is NULL or has no
            column, or the classes of the columns are unknown.
        InvalidScores: a score that is NULL, NaN, infinite or not a number.
    """
    values = _matrix(score)
    observed = _column(actual, "actual")
    if len(observed) != len(values):
        raise InvalidValue(
            f"{len(observed)} actuals but {len(values)} rows of scores; pass one of each for "
            "every row"
        )
    if len(observed) == 0:
        raise InvalidValue("no rows to compare; pass at least one label and its scores")
    if classes is None:
        has_names = hasattr(score, "columns")
        classes = list(score.columns) if has_names else _classes_of(observed, values)
    if len(classes) != values.shape[1] or len(set(map(str, classes))) != len(classes):
        raise InvalidValue(
            f"{values.shape[1]} columns of scores but the classes {list(classes)!r}; pass one "
            "distinct class per column"
        )
    positions = _positions(observed, classes)
    names = tuple(str(x) for x in classes)
    return ClassScores(names, positions, np.argmax(values, axis=1), values)


def top_class(score: Any, classes: Sequence[Any] | None = None) -> tuple[Any, list[str]]:
    """Return the highest score of each row and its class as text; the first class wins a tie.

    Args:
        score: shape (n, k): a DataFrame with a column per class, or an array.
        classes: the labels of the columns of an array.

    Raises:
        InvalidValue: a single column, or the classes of the columns are unknown.
        InvalidScores: a score that is NULL, NaN, infinite or not a number.
    """
    values = _matrix(score)
    names = list(score.columns) if hasattr(score, "columns") else classes
    if names is None or len(names) != values.shape[1]:
        raise InvalidValue(
            f"the classes of {values.shape[1]} columns of scores are unknown; have predict return "
            "a DataFrame with a column per class"
        )
    return values.max(axis=1), [str(names[position]) for position in values.argmax(axis=1)]


def _matrix(score: Any) -> NDArray[np.float64]:
    try:
        values = np.asarray(score, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise InvalidScores(f"a score is not a number: {exc}", examples=[]) from exc
    if values.ndim != 2 or values.shape[1] < 2:
        raise InvalidValue(
            f"score has shape {values.shape}; a multiclass model has a column of scores for each "
            "class, such as estimator.predict_proba(features)"
        )
    wrong = np.argwhere(~np.isfinite(values))[:5]
    if len(wrong):
        examples = ", ".join(
            f"{float(values[i, j])!r} in row {i}, column {j}" for i, j in wrong.tolist()
        )
        raise InvalidScores(
            f"scores are not finite numbers: {examples}; score these rows or leave them out",
            examples=[float(values[i, j]) for i, j in wrong.tolist()],
        )
    return values


def _classes_of(observed: NDArray[Any], values: NDArray[np.float64]) -> list[Any]:
    labels = {x for x in observed.tolist() if not _is_null(x)}
    if len(labels) != values.shape[1]:
        raise InvalidValue(
            f"{len(labels)} classes occur, but there are {values.shape[1]} columns of scores: "
            "their classes are unknown; pass classes=estimator.classes_, or a DataFrame with a "
            "column per class"
        )
    return sorted(labels)


def _positions(observed: NDArray[Any], classes: Sequence[Any]) -> NDArray[np.intp]:
    """Return the position of each label's class: an equal one, or else one of the same text."""
    texts = {str(label): position for position, label in enumerate(classes)}
    position_of = {label: position for position, label in enumerate(classes)}
    cache: dict[Any, int] = {}
    for label in set(observed.tolist()):
        cache[label] = -1 if _is_null(label) else position_of.get(label, texts.get(str(label), -1))
    positions = np.array([cache[label] for label in observed.tolist()], dtype=np.intp)
    wrong = positions < 0
    if wrong.any():
        raise InvalidValue(
            f"{np.count_nonzero(wrong)} of {len(positions)} labels are none of the classes "
            f"{', '.join(map(repr, list(classes)[:10]))}: {_examples(observed, wrong)}; drop the "
            "rows without a known outcome"
        )
    return positions


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
        _positions(np.array([_text(x) for x in values.tolist()], dtype=object), classes)
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
    return _of_class(scores, position)[1]
