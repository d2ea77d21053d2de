"""Labels and scores of a multiclass model, validated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.quality._arrays import _column, _examples, _is_null

__all__ = ["ClassScores", "class_positions", "class_scores", "top_class"]

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
        weighted = values if self.weight is None else values * self.weight
        return float(math.fsum(weighted) / self.total)

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
    positions = class_positions(observed, classes)
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


def class_positions(observed: NDArray[Any], classes: Sequence[Any]) -> NDArray[np.intp]:
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
