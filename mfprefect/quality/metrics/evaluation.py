"""Evaluate a model of any type on test rows: metrics, metrics by segment, and the test curve."""

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
from mfprefect.quality.learning import effective_rows, row_weights
from mfprefect.quality.metrics.binary import CALIBRATION, METRICS, binary_metrics
from mfprefect.quality.metrics.class_scores import ClassScores, class_scores
from mfprefect.quality.metrics.curve import (
    Ranking,
    both_classes,
    collapse,
    rows_of,
    test_curve,
    weighted_ranking,
)
from mfprefect.quality.metrics.definitions import MODEL_TYPES, UNSUPERVISED, MetricRegistry
from mfprefect.quality.metrics.multiclass import (
    MULTICLASS_METRICS,
    class_metrics,
    label_metrics,
    multiclass_metrics,
)
from mfprefect.quality.metrics.registry import custom_metrics
from mfprefect.quality.metrics.regression import REGRESSION_METRICS, regression_metrics
from mfprefect.quality.metrics.residuals import prediction_errors
from mfprefect.quality.metrics.time_series import Context, Forecast, forecast, series_metrics
from mfprefect.quality.metrics.unsupervised import ScoredRows, unsupervised_metrics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_LEVELS", "UNWEIGHTED", "Evaluation", "evaluate", "evaluate_outcomes"]

MAX_LEVELS = 50
"""The most levels of a column to report as segments: the most frequent ones."""
MAX_CLASSES = 50
"""The most classes to store a confusion matrix of; of clusters, the largest are noted."""
UNWEIGHTED = "unweighted"
"""The segment of all rows in which each counts once, where metrics count weights."""
_POINTS = 200


@dataclass(eq=False)
class Evaluation:
    """The results of a model on test rows."""

    model_type: str
    metrics: dict[str, dict[str, float]]
    """By segment ('': all rows) and name."""
    curve: dict[str, list[Any]] | None = None
    """The columns of the test curve; binary models only."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Details of the figures: calibration bins, confusion matrix, interval level, .."""


class _Rows(Protocol):
    """Validated rows of one model type."""

    weight: NDArray[np.float64] | None

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
    probabilities: bool = True,
    weight: Any = None,
) -> Evaluation:
    """Compute the metrics, curve and details of a model type.

    Args:
        actual: actual values, one per row: 0/1 for a binary model, a label for a multiclass model,
            None for an unsupervised one, otherwise a number.
        score: predictions, one per row; for a multiclass model a column per class; for an
            unsupervised one also a DataFrame with `score` and `score_class`, or `ScoredRows`.
        model_type: one of `MODEL_TYPES`; by default `multiclass` for scores with three or more
            columns, otherwise `binary`.
        classes: multiclass only: the labels of the columns, unless the scores are a DataFrame.
        segments: columns of equal length; each of the 50 most frequent levels of a column is a
            segment, `column=level`.
        context: regression and time series only: see `Context`.
        curve: binary only: compute the curve; False accepts rows of one class and computes the
            metrics that are defined for them.
        probabilities: binary only: False leaves out the metrics of probabilities, even if all
            scores lie in [0, 1].
        weight: the weight of each row, as scikit-learn's `sample_weight`: the metrics that count
            weights do so, `notes` say which, and the segment `unweighted` has the metrics without.

    Raises:
        InvalidValue: an unknown model type, an argument of another model type, unequal lengths, no
            rows, values that the metrics of this type refuse, or weights that are no weights.
    """
    kind = model_type or _default_type(score, classes)
    _check_arguments(kind, classes, context or {})
    rows = _rows(kind, actual, score, classes, context, probabilities)
    if weight is not None:
        rows.weight = _weights(weight, kind, len(rows))
    evaluation = Evaluation(kind, {}, notes={"model_type": kind})
    if isinstance(rows, _Binary) and curve:
        evaluation.curve = test_curve(both_classes(rows.ranking))
    evaluation.metrics[""] = rows.metrics()
    evaluation.notes |= _notes(rows, context or {})
    if isinstance(rows, _Classes):
        by_class = class_metrics(rows.scores, rows.weighted)
        evaluation.metrics |= {f"class={k}": v for k, v in by_class.items()}
    if rows.weight is not None:
        evaluation.notes["weights"] = _weight_note(kind, evaluation.metrics[""], rows.weight)
        if curve:  # of all rows
            every = rows.take(np.ones(len(rows), np.bool_))
            every.weight = None
            evaluation.metrics[UNWEIGHTED] = every.metrics()
    for name, mask in _segments(
        {} if segments is None else dict(segments), len(rows), evaluation.notes
    ):
        evaluation.metrics[name] = rows.take(mask).metrics()
    return evaluation


def evaluate_outcomes(
    actual: Any, predicted: Any, model_type: str, *, probabilities: bool = True
) -> dict[str, float]:
    """Compute the metrics of published scores on rows with a known outcome.

    Like `evaluate`, but it accepts rows of one class, takes predicted classes of a multiclass
    model, and judges the ranking of an unsupervised one by outcomes of 0/1.
    """
    _check_arguments(model_type, None, {})
    if model_type == "multiclass":
        return label_metrics(actual, predicted)
    if model_type == UNSUPERVISED:  # a ranking: its scores are no probabilities
        return binary_metrics(collapse(labels(actual), scores(predicted)), probabilities=False)
    return _rows(model_type, actual, predicted, None, None, probabilities).metrics()


def _default_type(score: Any, classes: Sequence[Any] | None) -> str:
    shape = getattr(score, "shape", None) or np.shape(score)
    return "multiclass" if len(shape) == 2 and (shape[1] > 2 or classes is not None) else "binary"


def _check_arguments(kind: str, classes: Any, context: Context) -> None:
    if kind not in MODEL_TYPES:
        raise InvalidValue(f"the model type {kind!r} is not one of {', '.join(MODEL_TYPES)}.")
    if classes is not None and kind != "multiclass":
        raise InvalidValue(f"a {kind} model takes no classes; leave them out")
    allowed: set[str] = set()
    if kind == "time_series":
        allowed = set(Context.__annotations__)
    elif kind == "regression":
        allowed = {"lower", "upper", "level"}
    if wrong := [name for name in context if name not in allowed]:
        choices = f"choose {', '.join(sorted(allowed))}" if allowed else "pass no context"
        raise InvalidValue(f"a {kind} model takes no {wrong[0]!r}; {choices}")


def _rows(
    kind: str, actual: Any, score: Any, classes: Any, context: Context | None, probabilities: bool
) -> _Rows:
    if kind == "binary":
        return _Binary(labels(actual), scores(score), probabilities)
    if kind == "multiclass":
        return _Classes(class_scores(actual, score, classes))
    if kind == UNSUPERVISED:
        if actual is not None:
            raise InvalidValue("an unsupervised model takes no actual values; pass None")
        return _Scored(ScoredRows.of(score))
    return _Numbers(forecast(actual, score, context), kind)


def _weights(weight: Any, kind: str, n: int) -> NDArray[np.float64]:
    if kind == UNSUPERVISED:
        raise InvalidValue("the metrics of an unsupervised model count no weights; pass None")
    weights = row_weights(weight)
    if len(weights) != n:
        raise InvalidValue(f"{n} rows but {len(weights)} weights; pass one for every row")
    return weights


def _weight_note(
    kind: str, figures: Mapping[str, float], weight: NDArray[np.float64]
) -> dict[str, Any]:
    by_kind = {"binary": METRICS, "multiclass": MULTICLASS_METRICS}
    definitions = by_kind.get(kind, REGRESSION_METRICS)
    counted = [name for name in figures if name in definitions and definitions[name].weighted]
    return {
        "effective_rows": effective_rows(weight),
        "weighted": counted,
        "not_weighted": [name for name in figures if name not in counted],
    }


def _defined(
    figures: dict[str, float], metrics: MetricRegistry, weight: NDArray[np.float64] | None
) -> dict[str, float]:
    """Leave out the metrics that count weights if all weights are 0, as in a segment."""
    if weight is None or weight.any():
        return figures
    return {name: figure for name, figure in figures.items() if not metrics[name].weighted}


def _some(
    weight: NDArray[np.float64] | None, rows: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    return None if weight is None else weight[rows]


class _Binary:
    def __init__(
        self,
        actual: NDArray[np.bool_],
        score: NDArray[np.float64],
        probabilities: bool,
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        self.actual, self.score, self.probabilities = actual, score, probabilities
        self.weight = weight

    def __len__(self) -> int:
        return len(self.actual)

    def take(self, rows: NDArray[np.bool_]) -> _Binary:
        weight = _some(self.weight, rows)
        return _Binary(self.actual[rows], self.score[rows], self.probabilities, weight)

    @cached_property
    def ranking(self) -> Ranking:
        return collapse(self.actual, self.score)

    def metrics(self) -> dict[str, float]:
        weighted = None
        if self.weight is not None and self.weight.any():
            weighted = weighted_ranking(self.actual, self.score, self.weight)
        figures = binary_metrics(self.ranking, probabilities=self.probabilities, weighted=weighted)
        figures = _defined(figures, METRICS, self.weight)
        return figures | custom_metrics("binary", lambda: rows_of(self.ranking))


class _Classes:
    def __init__(self, scored: ClassScores, weight: NDArray[np.float64] | None = None) -> None:
        self.scores, self.weight = scored, weight

    def __len__(self) -> int:
        return self.scores.n

    def take(self, rows: NDArray[np.bool_]) -> _Classes:
        return _Classes(self.scores.take(rows), _some(self.weight, rows))

    @property
    def weighted(self) -> ClassScores | None:
        if self.weight is None or not self.weight.any():
            return None
        return self.scores.take(self.weight > 0, self.weight[self.weight > 0])

    def metrics(self) -> dict[str, float]:
        figures = multiclass_metrics(self.scores, self.weighted)
        figures = _defined(figures, MULTICLASS_METRICS, self.weight)
        return figures | custom_metrics("multiclass", self._frame)

    def _frame(self) -> tuple[Any, Any]:
        import pandas as pd

        names = list(self.scores.classes)
        actual = np.array(names, dtype=object)[self.scores.actual]
        return actual, pd.DataFrame(self.scores.score, columns=names)


class _Numbers:
    def __init__(
        self, forecast_rows: Forecast, kind: str, weight: NDArray[np.float64] | None = None
    ) -> None:
        self.forecast, self.kind, self.weight = forecast_rows, kind, weight

    def __len__(self) -> int:
        return len(self.forecast.actual)

    def take(self, rows: NDArray[np.bool_]) -> _Numbers:
        return _Numbers(self.forecast.take(rows), self.kind, _some(self.weight, rows))

    def metrics(self) -> dict[str, float]:
        forecast_rows = self.forecast
        weight = None if self.weight is None or not self.weight.any() else self.weight
        figures = regression_metrics(forecast_rows.actual, forecast_rows.predicted, weight=weight)
        return {
            **_defined(figures, REGRESSION_METRICS, self.weight),
            **series_metrics(forecast_rows, intervals_only=self.kind == "regression"),
            **custom_metrics(self.kind, lambda: (forecast_rows.actual, forecast_rows.predicted)),
        }


class _Scored:
    weight: NDArray[np.float64] | None = None

    def __init__(self, rows: ScoredRows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: NDArray[np.bool_]) -> _Scored:
        return _Scored(self.rows.take(rows))

    def metrics(self) -> dict[str, float]:
        columns = self.rows.labels, self.rows.score
        return unsupervised_metrics(self.rows) | custom_metrics(UNSUPERVISED, lambda: columns)


def _notes(rows: _Rows, context: Context) -> dict[str, Any]:
    """Return the details that a session records next to the metrics."""
    notes: dict[str, Any] = {}
    if isinstance(rows, _Binary):
        if rows.probabilities:
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
    elif isinstance(rows, _Scored):
        notes |= _notes_of_scored(rows.rows)
    return notes


def _notes_of_scored(rows: ScoredRows) -> dict[str, Any]:
    notes: dict[str, Any] = {"score_distribution": ScoreCounts.of(rows.score).thinned(_POINTS)}
    if sizes := rows.sizes:
        largest = dict(list(sizes.items())[:MAX_CLASSES])
        notes["cluster_sizes"] = {"cluster": list(largest), "rows": list(largest.values())}
        if rows.points is not None:
            notes["cluster_sample"] = {"rows": len(rows.points.positions), "of": len(rows)}
    return notes


def _segments(
    columns: Mapping[str, Any], n: int, notes: dict[str, Any]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    import pandas as pd

    for column, values in columns.items():
        codes, uniques = pd.factorize(pd.Series(values).reset_index(drop=True))
        if len(codes) != n:
            raise InvalidValue(
                f"{n} rows but {len(codes)} values of the segment column {column!r}; pass one of "
                "each for every row"
            )
        # NULL has code -1, so its text comes last; two levels may share a text.
        levels, level_of_code = np.unique([*map(str, uniques), "<NULL>"], return_inverse=True)
        level_of_row = level_of_code[codes]
        counts = np.bincount(level_of_row, minlength=len(levels))
        order = [k for k in np.argsort(-counts, kind="stable").tolist() if counts[k]]
        for level in order[:MAX_LEVELS]:
            yield f"{column}={levels[level]}", level_of_row == level
        if rest := order[MAX_LEVELS:]:
            omitted = {"levels": len(rest), "rows": int(counts[rest].sum())}
            notes.setdefault("segments_left_out", {})[str(column)] = omitted
