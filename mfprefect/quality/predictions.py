"""What `predict` returns, checked and put into the order of the rows before anything uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.quality import unsupervised
from mfprefect.quality._arrays import _is_null
from mfprefect.quality.metrics.definitions import UNSUPERVISED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DECISION", "default_scores", "predictions", "score_source", "with_classes_of"]

DECISION = "decision_function"
"""The source of scores that are distances from a boundary, not probabilities."""
_EXAMPLES = 5


class _Predicts(Protocol):
    model_type: ClassVar[str]

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any: ...


def predictions(model: _Predicts, estimator: Any, features: pd.DataFrame) -> Any:
    """Return a model's predictions, one row per row of features and in their order.

    A Series or DataFrame whose index is that of the features in another order is aligned.

    Returns:
        Doubles of shape (n,); for a multiclass model a DataFrame of doubles, one column per class,
        with the index of the features; for clusters one with the columns `score` (doubles) and
        `score_class` (text).

    Raises:
        InvalidValue: another length, shape or index, or unknown classes.
        InvalidScores: a prediction is NULL, NaN, infinite or not a number.
    """
    by = f"{type(model).__name__}.predict"
    predicted = _aligned(model.predict(estimator, features), features, by)
    if model.model_type == "multiclass":
        return _by_class(predicted, estimator, features, by)
    if model.model_type == UNSUPERVISED and hasattr(predicted, "columns"):
        return _with_labels(predicted, features, by)
    if model.model_type == "binary" and np.asarray(predicted).dtype.kind == "b":
        raise InvalidValue(f"{by} returned booleans, which are labels; return scores.")
    values = _doubles(predicted, by)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InvalidValue(
            f"{by} returned shape {values.shape}; return one score per row, such as "
            "estimator.predict_proba(features)[:, 1]"
        )
    _require_finite(values, features, by)
    return values


def with_classes_of(predicted: Any, actual: Any, classes: Sequence[Any] | None = None) -> Any:
    """Return the scores of a multiclass model with a column for each class that it never learned.

    Such a class is never the predicted one. Other predictions are returned unchanged.

    Args:
        predicted: the predictions.
        actual: the actual classes.
        classes: further classes that may occur.
    """
    if not hasattr(predicted, "columns"):
        return predicted
    names = set(map(str, predicted.columns))
    occurring = np.asarray(actual, dtype=object).tolist()
    labels = {str(x): x for x in (*occurring, *(classes or ())) if not _is_null(x)}
    missing = sorted(labels.keys() - names)
    # The first of equal scores is the predicted class, and these columns come last.
    lowest = np.minimum(predicted.min(axis=1), 0.0)
    return predicted.assign(**{name: lowest for name in missing}) if missing else predicted


def default_scores(model_type: str, estimator: Any, features: pd.DataFrame) -> Any:
    """Return what an estimator gives as scores: probabilities where it has any, never labels.

    For an unsupervised model see `mfprefect.quality.unsupervised.default_scores`.

    Raises:
        InvalidValue: a classifier gives labels only, or has not learned the model's classes.
    """
    if model_type == UNSUPERVISED:
        return unsupervised.default_scores(estimator, features)
    name = type(estimator).__name__
    source = score_source(model_type, estimator)
    if source == "predict_proba":
        return _probabilities(model_type, estimator, features)
    if source == DECISION:
        return _decisions(estimator, features)
    scores = estimator.predict(features)
    if model_type == "multiclass" and np.ndim(scores) == 1:
        raise InvalidValue(
            f"{name} has no predict_proba, and its predict returns labels; a multiclass model "
            "needs a score for each class: override predict and return a DataFrame with a column "
            "per class."
        )
    if model_type == "binary" and _are_labels(estimator, scores):
        raise InvalidValue(
            f"{name} has neither predict_proba nor decision_function, and its predict returns "
            "labels, which are not scores; use an estimator that has one of the two, such as "
            "CalibratedClassifierCV around it, or override predict."
        )
    return scores


def score_source(model_type: str, estimator: Any) -> str:
    """Return the method of an estimator that gives the scores of a model type."""
    if model_type == UNSUPERVISED:
        return unsupervised.score_source(estimator)
    if model_type in ("binary", "multiclass"):
        if hasattr(estimator, "predict_proba"):
            return "predict_proba"
        if model_type == "binary" and hasattr(estimator, DECISION):
            return DECISION
    return "predict"


def _probabilities(model_type: str, estimator: Any, features: pd.DataFrame) -> Any:
    scores = np.asarray(estimator.predict_proba(features))
    classes = getattr(estimator, "classes_", None)
    if model_type == "multiclass":
        import pandas as pd

        return pd.DataFrame(scores, features.index, columns=classes)
    if scores.ndim == 2 and scores.shape[1] != 2:
        raise _other_classes(estimator, classes, scores.shape[1])
    return scores[:, 1]


def _decisions(estimator: Any, features: pd.DataFrame) -> Any:
    scores = np.asarray(estimator.decision_function(features))
    if scores.ndim != 1:
        raise _other_classes(estimator, getattr(estimator, "classes_", None), scores.shape[1])
    return scores


def _other_classes(estimator: Any, classes: Any, count: int) -> InvalidValue:
    learned = f"{count} classes" if classes is None else f"the classes {list(classes)!r}"
    fix = (
        "fit it on rows of both classes"
        if count < 2
        else 'set model_type = "multiclass", or fit it on a target of 0 and 1'
    )
    return InvalidValue(
        f"{type(estimator).__name__} has learned {learned}, and a binary model has two; {fix}."
    )


def _are_labels(estimator: Any, scores: Any) -> bool:
    # A booster has no classes_, and its predict gives probabilities.
    kind = np.asarray(scores).dtype.kind
    return hasattr(estimator, "classes_") or kind not in "f"


def _aligned(predicted: Any, features: pd.DataFrame, by: str) -> Any:
    if predicted is None:
        raise InvalidValue(f"{by} returned None; return one score per row of features.")
    if not hasattr(predicted, "__len__") and not hasattr(predicted, "__array__"):
        raise InvalidValue(f"{by} returned a {type(predicted).__name__}; return an array.")
    if not hasattr(predicted, "reindex"):
        predicted = predicted if hasattr(predicted, "shape") else np.asarray(predicted)
    count = (*predicted.shape, 1)[0] if predicted.shape else 0
    if count != len(features):
        raise InvalidValue(
            f"{by} returned {count} scores of shape {tuple(predicted.shape)} for {len(features)} "
            "rows; return one for each row."
        )
    return _in_order(predicted, features, by) if hasattr(predicted, "reindex") else predicted


def _in_order(predicted: Any, features: pd.DataFrame, by: str) -> Any:
    import pandas as pd

    index = features.index
    if predicted.index.equals(index):
        return predicted
    # The default index counts rows; it says nothing about which row of the features is meant.
    counted = isinstance(predicted.index, pd.RangeIndex)
    unique = index.is_unique and predicted.index.is_unique
    if counted or not unique or not predicted.index.isin(index).all():
        raise InvalidValue(
            f"{by} returned a {type(predicted).__name__} whose index is not that of the features: "
            f"{_some(predicted.index)} instead of {_some(index)}; return an array, or pass "
            "index=features.index."
        )
    return predicted.loc[index]


def _some(index: Any) -> str:
    return f"[{', '.join(map(repr, index[:3].tolist()))}{', ..' if len(index) > 3 else ''}]"


def _by_class(predicted: Any, estimator: Any, features: pd.DataFrame, by: str) -> pd.DataFrame:
    import pandas as pd

    values = _doubles(predicted, by)
    if values.ndim != 2 or values.shape[1] < 2:
        raise InvalidValue(
            f"{by} returned shape {values.shape}; a multiclass model has a column of scores for "
            "each class, such as estimator.predict_proba(features)"
        )
    named = hasattr(predicted, "columns")
    classes = list(predicted.columns) if named else getattr(estimator, "classes_", None)
    if classes is None or len(classes) != values.shape[1]:
        raise InvalidValue(
            f"the classes of the {values.shape[1]} columns of scores that {by} returned are "
            "unknown; return a DataFrame with a column per class"
        )
    _require_finite(values, features, by)
    return pd.DataFrame(values, features.index, columns=list(classes))


def _with_labels(predicted: Any, features: pd.DataFrame, by: str) -> pd.DataFrame:
    import pandas as pd

    names = (unsupervised.SCORE, unsupervised.LABEL)
    if missing := [name for name in names if name not in predicted.columns]:
        raise InvalidValue(
            f"{by} returned a DataFrame without the column {missing[0]!r}; return one with "
            f"{' and '.join(map(repr, names))}, or one score per row."
        )
    score = _doubles(predicted[unsupervised.SCORE], by)
    _require_finite(score, features, by)
    cells = predicted[unsupervised.LABEL].tolist()
    if n := sum(map(_is_null, cells)):
        raise InvalidValue(f"{by} returned no {unsupervised.LABEL} for {n} of {len(cells)} rows.")
    labels = np.array([str(cell) for cell in cells], dtype=object)
    return pd.DataFrame(dict(zip(names, (score, labels), strict=True)), features.index)


def _doubles(predicted: Any, by: str) -> NDArray[np.float64]:
    try:
        values = np.asarray(predicted)
        if values.dtype.kind in "biuf":
            return values.astype(np.float64)
        if any(isinstance(x, (str, bytes)) for x in values.ravel()):
            raise TypeError("text is no score")
        numbers = [np.nan if _is_null(x) else float(x) for x in values.ravel()]
        return np.array(numbers, dtype=np.float64).reshape(values.shape)
    except (TypeError, ValueError) as exc:
        raise InvalidScores(f"{by} returned what is not a number: {exc}.", examples=[]) from exc


def _require_finite(values: NDArray[np.float64], features: pd.DataFrame, by: str) -> None:
    wrong = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if not wrong.any():
        return
    positions = np.flatnonzero(wrong)[:_EXAMPLES].tolist()
    rows = ", ".join(f"{values[at].tolist()!r} in row {at}" for at in positions)
    raise InvalidScores(
        f"{by} returned no finite number for {int(wrong.sum())} of {len(values)} rows: {rows}; "
        "score these rows, or leave them out of the data.",
        examples=[values[at].tolist() for at in positions],
    )
