"""What a training records of its estimator: its class, its parameters and the source of scores."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.model import Model
from mfprefect.quality.predictions import score_source
from mfprefect.schema import NAME_LENGTH

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["SCORES", "at_default", "described", "score_source_of", "source_of_scores"]

SCORES = ("model", "scores")
"""Metadata group and name: which method gives the scores."""
LABELS = "predict: 0 and 1 only"
MOST_PARAMETERS = 200
MOST_CHARACTERS = 1_000
MOST_ITEMS = 50
MOST_DEPTH = 4


def source_of_scores(model: Model, estimator: Any, predicted: Any) -> str:
    """Return which method gives a model's scores, such as `predict_proba` or `Churn.predict`.

    Scores of an overridden `predict` of a binary model that are all 0 or 1 may be labels; the
    text says so.
    """
    if type(model).predict is Model.predict:
        return score_source(model.model_type, estimator)
    if model.model_type == "binary" and np.isin(predicted, (0.0, 1.0)).all():
        return f"{type(model).__name__}.{LABELS}"
    return f"{type(model).__name__}.predict"


def score_source_of(store: Store, session_id: str) -> str:
    """Return which method gives the scores of a training session; empty if it is unknown."""
    metadata = store.metadata(session_id)
    rows = metadata[(metadata["meta_group"] == SCORES[0]) & (metadata["meta_name"] == SCORES[1])]
    return str(rows["value"].iloc[0]) if len(rows) else ""


def described(estimator: Any) -> dict[str, Any]:
    """Return an estimator's `class` and its parameters by name, as values that JSON can hold.

    The parameters are those of `get_params`, with the steps of a pipeline and what a search has
    found (`best_params_`): at most 200, of at most 1,000 characters each. What is no plain value
    is described by its type.
    """
    facts: dict[str, Any] = {"class": _type_name(estimator)}
    for name, value in sorted(_parameters(estimator).items()):
        if len(name) <= NAME_LENGTH and "\0" not in name:
            facts[name] = _recorded(value)
        if len(facts) > MOST_PARAMETERS:
            break
    return facts


def at_default(estimator: Any) -> list[str]:
    """Return the names of the parameters that have the default value of their class, sorted.

    Of a pipeline or a search, also those of its steps. A parameter whose class says no default
    is not among them.
    """
    parameters = _parameters(estimator)
    return sorted(
        name
        for name, value in parameters.items()
        if _is_default(parameters.get(name.rpartition("__")[0], estimator), name, value)
    )


def _is_default(owner: Any, name: str, value: Any) -> bool:
    """Return whether a value is what the class of its estimator says for the last part of a name.

    Classes that pass `**kwargs` on, as XGBoost's do, leave defaults to those they inherit from.
    """
    key = name.rpartition("__")[2]
    for base in type(owner).__mro__:
        try:
            parameter = inspect.signature(vars(base)["__init__"]).parameters.get(key)
        except (KeyError, TypeError, ValueError):  # it has none, or is written in C
            continue
        if parameter is not None and parameter.default is not parameter.empty:
            return bool(_recorded(value) == _recorded(parameter.default))
    return False


def _parameters(estimator: Any) -> dict[str, Any]:
    parameters: Any = {}
    if not isinstance(estimator, type) and hasattr(estimator, "get_params"):
        try:
            parameters = estimator.get_params()
        except Exception:  # noqa: BLE001 - a record of parameters must not end a training
            return {}
    elif isinstance(getattr(estimator, "params", None), Mapping):  # a LightGBM booster
        parameters = estimator.params
    if not isinstance(parameters, Mapping):
        return {}
    by_name = {str(name): value for name, value in parameters.items()}
    best = getattr(estimator, "best_params_", None)
    if isinstance(best, Mapping):
        by_name |= {f"best_params_.{name}": value for name, value in best.items()}
    return by_name


def _recorded(value: Any) -> Any:
    try:
        return _bounded(_plain(value))
    except Exception:  # noqa: BLE001 - a record of parameters must not end a training
        return _type_name(value)


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value that JSON can hold; numbers that are not finite, and objects, as text."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "")
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if np.isfinite(float(value)) else str(float(value))
    if isinstance(getattr(value, "shape", None), tuple):
        return f"{_type_name(value)} of shape {value.shape}"
    if depth < MOST_DEPTH and isinstance(value, Mapping):
        items = list(value.items())[:MOST_ITEMS]
        return {str(_plain(key)): _plain(item, depth + 1) for key, item in items}
    if depth < MOST_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else list(value)
        return [_plain(item, depth + 1) for item in items[:MOST_ITEMS]]
    return _type_name(value)


def _type_name(value: Any) -> str:
    # A repr may hold an address in memory, which differs in every run.
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(named, '__module__', type(value).__module__)}.{named.__qualname__}"


def _bounded(value: Any) -> Any:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 2]}.."
