"""Fitting: what `fit` is given, and what it may return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.artifacts.extras import Extras
from mfprefect.errors import InvalidValue
from mfprefect.lifecycle.unsupervised import refuse_supervised
from mfprefect.quality.learning import row_weights

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from mfprefect.model import Model
    from mfprefect.store import Store

__all__ = ["Trained", "fitted", "load_trained", "target_of", "weights_of", "with_extras"]


class Trained(NamedTuple):
    """A fitted estimator, and what `fit` returned beside it."""

    estimator: Any
    extras: Mapping[str, Any]


def fitted(model: Model, learn: pd.DataFrame, features: list[Any]) -> Trained:
    """Call `fit` on the rows to learn from; the model has the extras from then on.

    Raises:
        InvalidValue: it returned None.
        ConfigurationError: an extra cannot be stored; or a model without a target is a classifier
            or regressor.
    """
    target: Any = target_of(model, learn)
    weight = {} if model.weight is None else {"weight": learn[model.weight].astype("float64")}
    result = model.fit(learn[features], target, **weight)
    trained = _split(result)
    if trained.estimator is None:
        raise InvalidValue(
            f"{type(model).__name__}.fit returned None; end it with `return` and the fitted "
            "estimator."
        )
    refuse_supervised(model, trained.estimator)
    Extras(trained.extras).check(f"{type(model).__name__}.fit")
    model.extras = trained.extras
    return trained


def _split(result: Any) -> Trained:
    # An estimator may be a tuple itself; its second member is then hardly ever a dict.
    if type(result) is tuple and len(result) == 2 and isinstance(result[1], Mapping):
        return Trained(result[0], dict(result[1]))
    return Trained(result, {})


def target_of(model: Model | type[Model], rows: pd.DataFrame) -> pd.Series[Any] | None:
    """Return the target of rows, None for a model without one."""
    return None if model.target is None else rows[model.target]


def weights_of(model: Model | type[Model], rows: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return the weights of rows, None for a model without weights.

    Raises:
        InvalidValue: a weight is NULL, infinite or negative, or all are 0.
    """
    if model.weight is None:
        return None
    return row_weights(rows[model.weight], f"the column {model.weight!r} of training_data")


def load_trained(store: Store, model: Model, session_id: str) -> Trained:
    """Return a training session's model and extras, verified."""
    return Trained(store.load_model(session_id, model=model), store.load_extras(session_id))


def with_extras(model: Model, extras: Mapping[str, Any]) -> Model:
    """Return a copy of a model that has the extras of another training."""
    import copy

    other = copy.copy(model)
    other.extras = extras
    return other
