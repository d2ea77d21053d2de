"""Variable importance: coefficients, impurity and permutation.

The kinds differ in what they measure and must not be compared; store the kind next to the figures.
Every function returns `variable`, `importance`, `std` and `coefficient`, most important first;
what a kind does not have is None. `frame.attrs` holds the kind, and for a permutation the scorer,
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
from mfprefect.quality.metrics.curve import rank
from mfprefect.quality.metrics.multiclass import MULTICLASS_METRICS, class_scores
from mfprefect.quality.metrics.regression import REGRESSION_METRICS, finite

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["available", "coefficients", "impurity", "permutation"]

log = logging.getLogger(__name__)


def coefficients(
    estimator: Any, names: Sequence[str], features: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the coefficients of a fitted linear model; the importance is their size.

    The size means something only where the variables are on one scale. With `features`, the kind
    is `standardised_coefficient`: the importance is the size times the standard deviation of what
    reaches the last step, hence the change that one deviation of the variable makes (Gelman 2008
    compares scales). A model of several classes has a coefficient for each: the importance is then
    the mean of their sizes, and `coefficient` is None.

    Args:
        estimator: has `coef_` of shape (p,) or (k, p), or is a Pipeline whose last step has.
        names: the input variables; a Pipeline's earlier steps rename them to what they make. A
            step that does not tell is taken to keep them, if their number is right.
        features: rows, shape (n, p), n > 1, that the deviations are taken of.

    Raises:
        InvalidValue: no `coef_`, or other than one name a coefficient.
    """
    _, names, raw = _final(estimator, names, "coef_")
    values = np.asarray(raw.toarray() if hasattr(raw, "toarray") else raw, dtype=np.float64)
    values = values.reshape(-1, values.shape[-1])
    size = np.mean(np.abs(values), axis=0)
    coefficient = values[0] if len(values) == 1 else None
    if features is None:
        return _frame("coefficient", names, size, coefficient=coefficient)
    scale = _deviations(_reaching(estimator, features))
    return _frame("standardised_coefficient", names, size * scale, coefficient=coefficient)


def _reaching(estimator: Any, features: Any) -> Any:
    """Return the features as the last step gets them."""
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
            f"{n} rows have no standard deviation; pass two rows of features or more"
        )
    if not hasattr(features, "tocsc"):
        return np.asarray(np.std(np.asarray(features, dtype=np.float64), axis=0, ddof=1))
    mean = np.asarray(features.mean(axis=0)).ravel()
    square = np.asarray(features.multiply(features).mean(axis=0)).ravel()
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0) * n / (n - 1)))


def impurity(estimator: Any, names: Sequence[str]) -> pd.DataFrame:
    """Return the mean decrease in impurity of a fitted tree model (`feature_importances_`).

    It favours variables with many values and is measured on the training data. `std` is that over
    the trees of a forest (Breiman 2001), and None for a single tree and for boosting, in which the
    trees are no repetitions of each other.

    Args:
        estimator: has `feature_importances_`, or is a Pipeline whose last step has.
        names: the input variables; a Pipeline's earlier steps rename them to what they make. A
            step that does not tell is taken to keep them, if their number is right.

    Raises:
        InvalidValue: no `feature_importances_`, or other than one name a figure.
    """
    final, names, values = _final(estimator, names, "feature_importances_")
    trees = getattr(final, "estimators_", None)
    std = None
    # Boosters keep an array of trees, or weigh them.
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

    Give held-out rows: on training data it measures what the model memorised. `std` is that over
    the repeats. A negative importance means that shuffling helped.

    Args:
        estimator: fitted, also a Pipeline; scikit-learn asks that it has a method `fit`.
        features: shape (n, p), with named columns.
        target: shape (n,).
        scorer: a scikit-learn scorer's name, or a callable (estimator, features, target) -> float.
        repeats: how often each variable is shuffled, at least 1.
        seed: makes the shuffling repeatable.

    Raises:
        ConfigurationError: scikit-learn is not installed, or knows no such scorer.
        InvalidValue: no rows, another number of targets than rows, no repeats, or a scorer that
            gave no finite number, as of the AUC of rows of one class only.
    """
    inspection, metrics = _sklearn()
    rows = len(np.asarray(target))
    if len(features) == 0 or rows != len(features):
        raise InvalidValue(
            f"{len(features)} rows of features and {rows} targets; pass one target for every row, "
            "and at least one row"
        )
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise InvalidValue(f"repeats is {repeats!r}; choose a whole number from 1")
    if isinstance(scorer, str) and scorer not in metrics.get_scorer_names():
        scorers = ", ".join(metrics.get_scorer_names())
        raise ConfigurationError(
            f"unknown scorer {scorer!r}; choose a callable or one of: {scorers}"
        )
    result = inspection.permutation_importance(
        estimator, features, target, scoring=scorer, n_repeats=repeats, random_state=seed
    )
    names = [str(name) for name in features.columns]
    label = scorer if isinstance(scorer, str) else getattr(scorer, "__name__", repr(scorer))
    if not np.isfinite(result.importances).all():
        raise InvalidValue(
            f"the scorer {label!r} gave no finite number for {rows} rows; pass rows of every class"
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
    """Return the step that holds the figures, the names of what reaches it, and the figures.

    A forest computes its figures anew, and in parallel, whenever it is asked for them.
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
            f"{type(estimator).__name__} has no {attribute}: it is not fitted, or is another kind "
            "of model. Fit it first, or use permutation(..), which takes any model"
        )
    width = np.shape(values)[-1]
    if width != len(feature_names):
        raise InvalidValue(
            f"{type(estimator).__name__} has {width} figures in {attribute} but there are "
            f"{len(feature_names)} names: {feature_names[:5]}; pass the names of the columns it "
            "was fitted on"
        )
    return estimator, feature_names, values


def _renamed(pipeline: Any, names: list[str]) -> list[str]:
    if len(pipeline.steps) == 1:
        return names
    try:
        return [str(name) for name in pipeline[:-1].get_feature_names_out(names)]
    except (AttributeError, NotImplementedError):
        # A step that doesn't tell; if it keeps the number of columns, the names still hold.
        return names
    except ValueError as exc:
        raise InvalidValue(
            f"the names {names[:5]} are not those that the pipeline was fitted on: {exc}"
        ) from exc


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
    """What a model predicts, for scikit-learn, which asks for a method `fit`."""

    def __init__(self, estimator: Any, predict: Callable[[Any, Any], Any]) -> None:
        self.predict = lambda features: predict(estimator, features)
        self.classes = getattr(estimator, "classes_", None)

    def fit(self) -> None:
        raise AssertionError("it is fitted")


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
"""By type of model: scikit-learn's name, and the same by the agreed-upon definitions."""


def available(
    estimator: Any,
    features: pd.DataFrame,
    target: ArrayLike,
    model_type: str = "binary",
    predict: Callable[[Any, Any], Any] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the kinds of importance that an estimator has, by kind.

    `coefficient`, `standardised_coefficient` and `impurity` where it has them; `permutation` of
    what the model publishes, by AUC, accuracy or RMSE. What cannot be had is logged.

    Args:
        estimator: fitted.
        features: held-out rows.
        target: what happened, one a row.
        model_type: one of `MODEL_TYPES`.
        predict: takes the estimator and features; returns what the model publishes. Without it,
            no permutation.
    """
    names = [str(name) for name in features.columns]
    ways: dict[str, Callable[[], pd.DataFrame]] = {
        "coefficient": lambda: coefficients(estimator, names),
        "standardised_coefficient": lambda: coefficients(estimator, names, features),
        "impurity": lambda: impurity(estimator, names),
    }
    if predict is not None:
        label, scorer = _SCORERS[model_type]
        model = _Published(estimator, predict)
        ways["permutation"] = lambda: permutation(model, features, target, scorer=scorer)
    frames: dict[str, pd.DataFrame] = {}
    for kind, compute in ways.items():
        try:
            frames[kind] = compute()
        except InvalidValue as exc:
            log.info("no importance of the kind %s: %s", kind, exc)
    if "permutation" in frames:
        frames["permutation"].attrs["scorer"] = label
    return frames
