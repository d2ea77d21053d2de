"""Variable importance: coefficients, impurity and permutation.

The kinds measure different things and cannot be compared; store the kind next to the figures.
Every function returns `variable`, `importance`, `std` and `coefficient`, most important first;
figures that a kind lacks are None. `frame.attrs` holds the kind, and for a permutation the scorer,
the number of repeats, the seed and the number of rows; `log_variable_importance` records them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.quality.metrics.binary import METRICS
from mfprefect.quality.metrics.class_scores import class_scores
from mfprefect.quality.metrics.curve import rank
from mfprefect.quality.metrics.multiclass import MULTICLASS_METRICS
from mfprefect.quality.metrics.regression import REGRESSION_METRICS, finite

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["available", "coefficients", "impurity", "permutation"]

log = logging.getLogger(__name__)


def coefficients(
    estimator: Any, names: Sequence[str], features: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the coefficients of a fitted linear model; importance is the absolute value.

    Absolute values are comparable only if the variables share a scale. With `features`, the kind
    is `standardised_coefficient`: each absolute value is multiplied by the standard deviation of
    the variable as the last step sees it, the effect of one deviation (Gelman 2008 compares
    scales). A multiclass model has a coefficient per class: the importance is the mean of the
    absolute values, and `coefficient` is None.

    Args:
        estimator: has `coef_` of shape (p,) or (k, p), or is a Pipeline whose last step has.
        names: the input variables; the earlier steps of a Pipeline rename them to their output
            columns. A step that cannot name its output keeps the names if their number matches.
        features: rows to compute the deviations from, shape (n, p), n > 1.

    Raises:
        InvalidValue: no `coef_`, or the numbers of names and coefficients differ.
    """
    _, names, raw = _final(estimator, names, "coef_")
    values = np.asarray(raw.toarray() if hasattr(raw, "toarray") else raw, dtype=np.float64)
    values = values.reshape(-1, values.shape[-1])
    size = np.mean(np.abs(values), axis=0)
    coefficient = values[0] if len(values) == 1 else None
    if features is None:
        return _frame("coefficient", names, size, coefficient=coefficient)
    scale = _deviations(_last_step_input(estimator, features))
    return _frame("standardised_coefficient", names, size * scale, coefficient=coefficient)


def _last_step_input(estimator: Any, features: Any) -> Any:
    """Return the features as the last step of a pipeline sees them."""
    while hasattr(estimator, "best_estimator_") or hasattr(estimator, "steps"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
            continue
        if len(estimator.steps) > 1:
            features = estimator[:-1].transform(features)
        estimator = estimator.steps[-1][1]
    return features


def _deviations(features: Any) -> NDArray[np.float64]:
    """Return the standard deviation of each column, n - 1 in the denominator."""
    n = features.shape[0]
    if n < 2:
        raise InvalidValue(
            f"{n} rows have no standard deviation; pass at least two rows of features"
        )
    if not hasattr(features, "tocsc"):
        return np.asarray(np.std(np.asarray(features, dtype=np.float64), axis=0, ddof=1))
    mean = np.asarray(features.mean(axis=0)).ravel()
    square = np.asarray(features.multiply(features).mean(axis=0)).ravel()
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0) * n / (n - 1)))


def impurity(estimator: Any, names: Sequence[str]) -> pd.DataFrame:
    """Return the mean decrease in impurity of a fitted tree model (`feature_importances_`).

    It favours variables with many values and is measured on the training data. `std` is the
    deviation over the trees of a forest (Breiman 2001). It is None for a single tree and for
    boosting, whose trees are not repetitions of each other.

    Args:
        estimator: has `feature_importances_`, or is a Pipeline whose last step has.
        names: the input variables, renamed as in `coefficients`.

    Raises:
        InvalidValue: no `feature_importances_`, or the numbers of names and figures differ.
    """
    final, names, values = _final(estimator, names, "feature_importances_")
    trees = getattr(final, "estimators_", None)
    std = None
    # Boosters hold an array of trees, or weight them.
    if isinstance(trees, list) and not hasattr(final, "estimator_weights_"):
        std = np.std([tree.feature_importances_ for tree in trees], axis=0)
    return _frame("impurity", names, np.asarray(values), std=std)


def permutation(
    estimator: Any,
    features: pd.DataFrame,
    target: ArrayLike,
    *,
    scorer: str | Callable[..., float] = "roc_auc",
    repeats: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how much the score drops, on average, when a variable is shuffled (Breiman 2001).

    Pass held-out rows: on training data it measures what the model memorised. `std` is the
    deviation over the repeats. A negative importance means that shuffling helped.

    Args:
        estimator: fitted, also a Pipeline; scikit-learn requires a method `fit`.
        features: shape (n, p), with named columns.
        target: shape (n,).
        scorer: the name of a scikit-learn scorer, or a callable (estimator, features, target) ->
            float.
        repeats: how often to shuffle each variable, at least 1.
        seed: makes the shuffling repeatable.

    Raises:
        ConfigurationError: scikit-learn is not installed, or has no such scorer.
        InvalidValue: no rows, the numbers of rows and targets differ, `repeats` is below 1, or
            the scorer returned no finite number, such as the AUC of rows of one class.
    """
    inspection, metrics = _sklearn()
    rows = len(np.asarray(target))
    if len(features) == 0 or rows != len(features):
        raise InvalidValue(
            f"{len(features)} rows of features and {rows} targets; pass at least one row, and one "
            "target per row"
        )
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise InvalidValue(f"repeats is {repeats!r}; choose a whole number from 1")
    if isinstance(scorer, str) and scorer not in metrics.get_scorer_names():
        scorers = ", ".join(metrics.get_scorer_names())
        raise ConfigurationError(f"unknown scorer {scorer!r}; pass a callable or one of: {scorers}")
    result = inspection.permutation_importance(
        estimator, features, target, scoring=scorer, n_repeats=repeats, random_state=seed
    )
    names = [str(name) for name in features.columns]
    label = scorer if isinstance(scorer, str) else getattr(scorer, "__name__", repr(scorer))
    if not np.isfinite(result.importances).all():
        raise InvalidValue(
            f"the scorer {label!r} returned no finite number for {rows} rows; pass rows of every "
            "class"
        )
    frame = _frame("permutation", names, result.importances_mean, std=result.importances_std)
    frame.attrs.update(scorer=label, repeats=repeats, seed=seed, rows=rows)
    return frame


def _sklearn() -> tuple[Any, Any]:
    try:
        return import_module("sklearn.inspection"), import_module("sklearn.metrics")
    except ImportError as exc:
        raise ConfigurationError(
            "permutation importance needs scikit-learn, which is not installed; "
            "run pip install 'mfprefect[sklearn]'"
        ) from exc


def _final(estimator: Any, names: Sequence[str], attribute: str) -> tuple[Any, list[str], Any]:
    """Return the step that has the attribute, the names of its input columns, and the values.

    Read the attribute once: a forest recomputes it, in parallel, on every access.
    """
    feature_names = [str(name) for name in names]
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            feature_names = _renamed(estimator, feature_names)
            estimator = estimator.steps[-1][1]
        else:
            break
    values = getattr(estimator, attribute, None)
    if values is None:
        raise InvalidValue(
            f"{type(estimator).__name__} has no {attribute}: it is not fitted, or another kind of "
            "model. Fit it first, or use permutation(..), which takes any model"
        )
    width = np.shape(values)[-1]
    if width != len(feature_names):
        raise InvalidValue(
            f"{type(estimator).__name__} has {width} figures in {attribute}, but there are "
            f"{len(feature_names)} names: {feature_names[:5]}; pass the columns it was fitted on"
        )
    return estimator, feature_names, values


def _renamed(pipeline: Any, names: list[str]) -> list[str]:
    if len(pipeline.steps) == 1:
        return names
    try:
        return [str(name) for name in pipeline[:-1].get_feature_names_out(names)]
    except (AttributeError, NotImplementedError):
        # The step cannot name its output; if the number of columns is the same, so are the names.
        return names
    except ValueError as exc:
        raise InvalidValue(f"the pipeline was not fitted on columns {names[:5]}: {exc}") from exc


def _frame(
    kind: str,
    names: list[str],
    importance: NDArray[np.float64],
    *,
    std: NDArray[np.float64] | None = None,
    coefficient: NDArray[np.float64] | None = None,
) -> pd.DataFrame:
    import pandas as pd

    none = [None] * len(names)
    frame = pd.DataFrame(
        {
            "variable": names,
            "importance": np.asarray(importance, dtype=np.float64),
            "std": pd.Series(none if std is None else std, dtype=object if std is None else float),
            "coefficient": pd.Series(
                none if coefficient is None else coefficient,
                dtype=object if coefficient is None else float,
            ),
        }
    )
    frame = frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    frame.attrs["kind"] = kind
    return frame


class _Published:
    """Published predictions as an estimator; scikit-learn requires the method `fit`."""

    def __init__(self, estimator: Any, predict: Callable[[Any, Any], Any]) -> None:
        self.predict = lambda features: predict(estimator, features)
        self.classes = getattr(estimator, "classes_", None)

    def fit(self) -> None:
        raise AssertionError("the model is fitted already")


def _roc_auc(model: Any, features: Any, target: Any) -> float:
    value = METRICS["auc"].compute(rank(target, model.predict(features)))
    return math.nan if value is None else value


def _accuracy(model: Any, features: Any, target: Any) -> float:
    score = model.predict(features)
    classes = None if hasattr(score, "columns") else model.classes
    value = MULTICLASS_METRICS["accuracy"].compute(class_scores(target, score, classes))
    return math.nan if value is None else value


def _rmse(model: Any, features: Any, target: Any) -> float:
    predicted = finite(model.predict(features), "predicted")
    value = REGRESSION_METRICS["rmse"].compute(finite(target, "actual"), predicted)
    return math.nan if value is None else -value


_SCORERS = {
    "binary": ("roc_auc", _roc_auc),
    "multiclass": ("accuracy", _accuracy),
    "regression": ("neg_root_mean_squared_error", _rmse),
    "time_series": ("neg_root_mean_squared_error", _rmse),
}
"""By model type: scikit-learn's name of a metric, and mfprefect's own definition of it."""


def available(
    estimator: Any,
    features: pd.DataFrame,
    target: ArrayLike,
    model_type: str = "binary",
    predict: Callable[[Any, Any], Any] | None = None,
) -> dict[str, pd.DataFrame]:
    """Compute every kind of importance that an estimator supports; return frames by kind.

    `coefficient`, `standardised_coefficient` and `impurity` where the estimator has them;
    `permutation` of the published predictions, by AUC, accuracy or RMSE. Log the kinds that fail.

    Args:
        estimator: fitted.
        features: held-out rows.
        target: actual values, one per row.
        model_type: one of `MODEL_TYPES`.
        predict: takes the estimator and features; returns the published predictions. Without it,
            no permutation.
    """
    names = [str(name) for name in features.columns]
    methods: dict[str, Callable[[], pd.DataFrame]] = {
        "coefficient": lambda: coefficients(estimator, names),
        "standardised_coefficient": lambda: coefficients(estimator, names, features),
        "impurity": lambda: impurity(estimator, names),
    }
    if predict is not None:
        label, scorer = _SCORERS[model_type]
        model = _Published(estimator, predict)
        methods["permutation"] = lambda: permutation(model, features, target, scorer=scorer)
    frames: dict[str, pd.DataFrame] = {}
    for kind, compute in methods.items():
        try:
            frames[kind] = compute()
        except InvalidValue as exc:
            log.info("no %s importance: %s", kind, exc)
    if "permutation" in frames:
        frames["permutation"].attrs["scorer"] = label
    return frames
