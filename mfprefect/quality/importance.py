"""Variable importance: coefficients, impurity and permutation.

The kinds differ in what they measure and must not be compared; store the kind next to the figures.
Every function returns `variable`, `importance`, `std` and `coefficient`, most important first;
what a kind does not have is None. `frame.attrs` holds the kind, and for a permutation the scorer,
the number of repeats and the seed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import ConfigurationError, InvalidValue

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["available", "coefficients", "impurity", "permutation"]


def coefficients(estimator: Any, names: Sequence[str]) -> pd.DataFrame:
    """Return the coefficients of a fitted linear binary model; the importance is their size.

    The size means something only where the variables are on one scale.

    Args:
        estimator: has `coef_` of shape (p,) or (1, p), or is a Pipeline whose last step has.
        names: the input variables; a Pipeline's earlier steps rename them to what they make.

    Raises:
        InvalidValue: no `coef_`, more than one row of it, or other than one name a coefficient.
    """
    final, names = _final(estimator, names, "coef_")
    raw = final.coef_
    values = np.asarray(raw.toarray() if hasattr(raw, "toarray") else raw, dtype=np.float64)
    if values.ndim == 2 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 1:
        raise InvalidValue(
            f"coef_ of {type(final).__name__} has shape {values.shape}; coefficients takes one "
            "row of them, as binary models have. Use permutation(..)"
        )
    return _frame("coefficient", names, np.abs(values), coefficient=values)


def impurity(estimator: Any, names: Sequence[str]) -> pd.DataFrame:
    """Return the mean decrease in impurity of a fitted tree model (`feature_importances_`).

    It favours variables with many values and is measured on the training data. `std` is that over
    the trees of a forest (Breiman 2001), and None for a single tree and for boosting, in which the
    trees are no repetitions of each other.

    Args:
        estimator: has `feature_importances_`, or is a Pipeline whose last step has.
        names: the input variables; a Pipeline's earlier steps rename them to what they make.

    Raises:
        InvalidValue: no `feature_importances_`, or other than one name a figure.
    """
    final, names = _final(estimator, names, "feature_importances_")
    trees = getattr(final, "estimators_", None)
    std = None
    # Boosters keep an array of trees, or weigh them.
    if isinstance(trees, list) and not hasattr(final, "estimator_weights_"):
        std = np.std([tree.feature_importances_ for tree in trees], axis=0)
    return _frame("impurity", names, np.asarray(final.feature_importances_), std=std)


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
        InvalidValue: no rows, another number of targets than rows, or no repeats.
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
        known = ", ".join(metrics.get_scorer_names())
        raise ConfigurationError(f"unknown scorer {scorer!r}; choose a callable or one of: {known}")
    found = inspection.permutation_importance(
        estimator, features, target, scoring=scorer, n_repeats=repeats, random_state=seed
    )
    names = [str(name) for name in features.columns]
    frame = _frame("permutation", names, found.importances_mean, std=found.importances_std)
    label = scorer if isinstance(scorer, str) else getattr(scorer, "__name__", repr(scorer))
    frame.attrs.update(scorer=label, repeats=repeats, seed=seed)
    return frame


def _sklearn() -> tuple[Any, Any]:
    try:
        return import_module("sklearn.inspection"), import_module("sklearn.metrics")
    except ImportError as exc:
        raise ConfigurationError(
            "permutation importance needs scikit-learn, which is not installed; "
            "run pip install 'mfprefect[sklearn]'"
        ) from exc


def _final(estimator: Any, names: Sequence[str], attribute: str) -> tuple[Any, list[str]]:
    """Return the step that holds the figures, and the names of what reaches it."""
    found = [str(name) for name in names]
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            found = _renamed(estimator, found)
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
    if width != len(found):
        raise InvalidValue(
            f"{type(estimator).__name__} has {width} figures in {attribute} but there are "
            f"{len(found)} names: {found[:5]}; give the names of the columns that it was fitted on"
        )
    return estimator, found


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


def available(estimator: Any, features: pd.DataFrame, target: ArrayLike) -> dict[str, pd.DataFrame]:
    """Return the kinds of importance that an estimator has: coefficients, impurity, permutation.

    Permutation importance is of the AUC, and needs an estimator with `predict_proba`.
    """
    found: dict[str, pd.DataFrame] = {}
    names = [str(name) for name in features.columns]
    for kind, compute in (("coefficient", coefficients), ("impurity", impurity)):
        # An estimator without them, or one that no longer tells which variable is which.
        with contextlib.suppress(InvalidValue):
            found[kind] = compute(estimator, names)
    if hasattr(estimator, "predict_proba"):
        found["permutation"] = permutation(estimator, features, target)
    return found
