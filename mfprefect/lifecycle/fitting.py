"""Fitting: what `fit` is given, and what it may return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.artifacts.extras import Extras
from mfprefect.errors import InvalidValue
from mfprefect.lifecycle.unsupervised import refuse_supervised
from mfprefect.quality.learning import row_weights
from mfprefect.util.declared_params import recorded, run_params

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from mfprefect.model import Model
    from mfprefect.store import Store

__all__ = [
    "Trained",
    "fitted",
    "load_trained",
    "params_of",
    "target_of",
    "weights_of",
    "with_trained",
]


class Trained(NamedTuple):
    """A fitted estimator, and what belongs to it."""

    estimator: Any
    extras: Mapping[str, Any]
    """What `fit` returned beside it."""
    params: Mapping[str, Any]
    """The parameters that `fit` had."""


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
    trained = _split(result, model.params)
    if trained.estimator is None:
        raise InvalidValue(
            f"{type(model).__name__}.fit returned None; end it with `return` and the fitted "
            "estimator."
        )
    refuse_supervised(model, trained.estimator)
    Extras(trained.extras).check(f"{type(model).__name__}.fit")
    model.extras = trained.extras
    return trained


def _split(result: Any, params: Mapping[str, Any]) -> Trained:
    # An estimator may be a tuple itself; its second member is then hardly ever a dict.
    if type(result) is tuple and len(result) == 2 and isinstance(result[1], Mapping):
        return Trained(result[0], dict(result[1]), params)
    return Trained(result, {}, params)


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
    """Return a training session's model, verified, its extras and its parameters."""
    estimator = store.load_model(session_id, model=model)
    params = params_of(store, type(model), session_id)
    return Trained(estimator, store.load_extras(session_id), params)


def params_of(store: Store, model_class: type[Model], session_id: str) -> dict[str, Any]:
    """Return the declared parameters as a session recorded them, or else their defaults.

    A value that today's class would refuse is returned as it is: the model learned with it.
    """
    declared = run_params(model_class.__name__, model_class.params, None)
    if not declared:
        return {}
    text = store.get_sessions(session_id)["params"].iloc[0]
    return declared | recorded(declared, json.loads(text))


def with_trained(model: Model, trained: Trained) -> Model:
    """Return a copy of a model that has the extras and the parameters of another training."""
    import copy

    other = copy.copy(model)
    other.extras, other.params = trained.extras, dict(trained.params)
    return other
