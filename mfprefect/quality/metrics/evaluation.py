"""Everything that test rows say of a model of any type: metrics, also by segment, and the curve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import labels, scores
from mfprefect.quality.drift.score_counts import ScoreCounts
from mfprefect.quality.metrics.binary import CALIBRATION, binary_metrics
from mfprefect.quality.metrics.curve import Ranking, both_classes, collapse, rows_of, test_curve
from mfprefect.quality.metrics.definitions import MODEL_TYPES
from mfprefect.quality.metrics.multiclass import (
    ClassScores,
    class_metrics,
    class_scores,
    label_metrics,
    multiclass_metrics,
)
from mfprefect.quality.metrics.registry import custom_metrics
from mfprefect.quality.metrics.regression import regression_metrics
from mfprefect.quality.metrics.residuals import prediction_errors
from mfprefect.quality.metrics.time_series import Context, Forecast, forecast, series_metrics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_LEVELS", "Evaluation", "evaluate", "evaluate_outcomes"]

MAX_LEVELS = 50
"""The most levels of a column that are segments: the most frequent ones."""
MAX_CLASSES = 50
"""The most classes of which a confusion matrix is kept."""
_POINTS = 200


@dataclass(eq=False)
class Evaluation:
    """What test rows say of a model."""

    model_type: str
    metrics: dict[str, dict[str, float]]
    """By segment, `` for all rows, and by name."""
    curve: dict[str, list[Any]] | None = None
    """The columns of the test curve, of a binary model."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What belongs to the figures: bins of calibration, confusion matrix, level of intervals, .."""


class _Rows(Protocol):
    """Checked rows of one type of model."""

    def take(self, rows: NDArray[np.bool_]) -> Any: ...
    def metrics(self) -> dict[str, float]: ...
    def __len__(self) -> int: ...


def evaluate(
    actual: Any,
    score: Any,
    model_type: str | None = None,
    *,
    classes: Sequence[Any] | None = None,
    segments: pd.DataFrame | Mapping[str, Any] | None = None,
    context: Context | None = None,
    curve: bool = True,
) -> Evaluation:
    """Compute what a type of model is judged by.

    Args:
        actual: what happened, one a row: 0/1 of a binary model, a label of a multiclass one, else
            a number.
        score: what the model said, one a row; of a multiclass model a column a class.
        model_type: one of `MODEL_TYPES`; by default `multiclass` for scores of three and more
            columns, else `binary`.
        classes: of a multiclass model whose scores are no DataFrame: the labels of the columns.
        segments: columns of equal length; each of their levels is a segment, `column=level`, the
            50 most frequent ones.
        context: of a regression or time series: see `Context`.
        curve: of a binary model; without it, rows of one class only have the metrics that exist.

    Raises:
        InvalidValue: an unknown type, an argument of another type of model, unequal lengths, no
            rows, or what the metrics of that type refuse.
    """
    kind = model_type or _guess(score, classes)
    _check_arguments(kind, classes, context or {})
    rows = _rows(kind, actual, score, classes, context)
    evaluation = Evaluation(kind, {}, notes={"model_type": kind})
    if isinstance(rows, _Binary) and curve:
        evaluation.curve = test_curve(both_classes(rows.ranking))
    evaluation.metrics[""] = rows.metrics()
    evaluation.notes |= _notes(rows, context or {})
    if isinstance(rows, _Classes):
        evaluation.metrics |= {f"class={k}": v for k, v in class_metrics(rows.scores).items()}
    for name, mask in _segments(
        {} if segments is None else dict(segments), len(rows), evaluation.notes
    ):
        evaluation.metrics[name] = rows.take(mask).metrics()
    return evaluation


def evaluate_outcomes(actual: Any, predicted: Any, model_type: str) -> dict[str, float]:
    """Compute the metrics that published scores have, where their outcomes are known.

    As `evaluate`, but one class only will do, and of a multiclass model the predicted classes.
    """
    _check_arguments(model_type, None, {})
    if model_type == "multiclass":
        return label_metrics(actual, predicted)
    return _rows(model_type, actual, predicted, None, None).metrics()


def _guess(score: Any, classes: Sequence[Any] | None) -> str:
    shape = getattr(score, "shape", None) or np.shape(score)
    return "multiclass" if len(shape) == 2 and (shape[1] > 2 or classes is not None) else "binary"


def _check_arguments(kind: str, classes: Any, context: Context) -> None:
    if kind not in MODEL_TYPES:
        raise InvalidValue(f"the model type {kind!r} is not one of {', '.join(MODEL_TYPES)}.")
    if classes is not None and kind != "multiclass":
        raise InvalidValue(f"classes are of a multiclass model, not of a {kind} one; leave them")
    allowed: set[str] = set()
    if kind == "time_series":
        allowed = set(Context.__annotations__)
    elif kind == "regression":
        allowed = {"lower", "upper", "level"}
    if wrong := [name for name in context if name not in allowed]:
        choices = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes none such"
        raise InvalidValue(f"{wrong[0]!r} does not belong to a {kind} model: {choices}")


def _rows(kind: str, actual: Any, score: Any, classes: Any, context: Context | None) -> _Rows:
    if kind == "binary":
        return _Binary(labels(actual), scores(score))
    if kind == "multiclass":
        return _Classes(class_scores(actual, score, classes))
    return _Numbers(forecast(actual, score, context), kind)


class _Binary:
    def __init__(self, actual: NDArray[np.bool_], score: NDArray[np.float64]) -> None:
        self.actual, self.score = actual, score

    def __len__(self) -> int:
        return len(self.actual)

    def take(self, rows: NDArray[np.bool_]) -> _Binary:
        return _Binary(self.actual[rows], self.score[rows])

    @cached_property
    def ranking(self) -> Ranking:
        return collapse(self.actual, self.score)

    def metrics(self) -> dict[str, float]:
        figures = binary_metrics(self.ranking)
        return figures | custom_metrics("binary", lambda: rows_of(self.ranking))


class _Classes:
    def __init__(self, scored: ClassScores) -> None:
        self.scores = scored

    def __len__(self) -> int:
        return self.scores.n

    def take(self, rows: NDArray[np.bool_]) -> _Classes:
        return _Classes(self.scores.take(rows))

    def metrics(self) -> dict[str, float]:
        return multiclass_metrics(self.scores) | custom_metrics("multiclass", self._frame)

    def _frame(self) -> tuple[Any, Any]:
        import pandas as pd

        names = list(self.scores.classes)
        actual = np.array(names, dtype=object)[self.scores.actual]
        return actual, pd.DataFrame(self.scores.score, columns=names)


class _Numbers:
    def __init__(self, forecast_rows: Forecast, kind: str) -> None:
        self.forecast, self.kind = forecast_rows, kind

    def __len__(self) -> int:
        return len(self.forecast.actual)

    def take(self, rows: NDArray[np.bool_]) -> _Numbers:
        return _Numbers(self.forecast.take(rows), self.kind)

    def metrics(self) -> dict[str, float]:
        forecast_rows = self.forecast
        return {
            **regression_metrics(forecast_rows.actual, forecast_rows.predicted),
            **series_metrics(forecast_rows, intervals_only=self.kind == "regression"),
            **custom_metrics(self.kind, lambda: (forecast_rows.actual, forecast_rows.predicted)),
        }


def _notes(rows: _Rows, context: Context) -> dict[str, Any]:
    """Return what a session records beside the figures."""
    notes: dict[str, Any] = {}
    if isinstance(rows, _Binary):
        notes["ece_bins"] = CALIBRATION
    elif isinstance(rows, _Classes):
        notes["ece_bins"] = CALIBRATION
        scored = rows.scores
        if len(scored.classes) <= MAX_CLASSES:
            notes["confusion_matrix"] = {
                "classes": list(scored.classes),
                "actual_by_predicted": scored.confusion().tolist(),
            }
        if scored.score is not None:
            notes["score_distribution"] = ScoreCounts.of(scored.score.max(axis=1)).thinned(_POINTS)
    elif isinstance(rows, _Numbers):
        numbers = rows.forecast
        notes["score_distribution"] = ScoreCounts.of(numbers.predicted).thinned(_POINTS)
        if (errors := prediction_errors(numbers.actual, numbers.predicted)) is not None:
            notes["prediction_errors"] = errors
        notes |= {k: context[k] for k in ("season", "level") if k in context}
    return notes


def _segments(
    columns: Mapping[str, Any], n: int, notes: dict[str, Any]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    import pandas as pd

    for column, given in columns.items():
        codes, uniques = pd.factorize(pd.Series(given).reset_index(drop=True))
        if len(codes) != n:
            raise InvalidValue(
                f"{n} rows but {len(codes)} values of the segment column {column!r}; pass one of "
                "each for every row"
            )
        # The last one is that of NULL, whose code is -1; two levels may have one text.
        levels, of_code = np.unique([*map(str, uniques), "<NULL>"], return_inverse=True)
        place = of_code[codes]
        counts = np.bincount(place, minlength=len(levels))
        order = [k for k in np.argsort(-counts, kind="stable").tolist() if counts[k]]
        for level in order[:MAX_LEVELS]:
            yield f"{column}={levels[level]}", place == level
        if rest := order[MAX_LEVELS:]:
            left = {"levels": len(rest), "rows": int(counts[rest].sum())}
            notes.setdefault("segments_left_out", {})[str(column)] = left
