"""What a model learns from: the columns that are features, the weights of rows, the classes."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.quality._arrays import _as_double, _column, _count, _examples, _is_null

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "check_declarations",
    "effective_rows",
    "feature_names",
    "key_columns",
    "require_declared_classes",
    "row_weights",
    "takes_weight",
]

_LISTS = ("features", "not_features", "classes")
_MOST = 10


class _Declared(Protocol):
    """The part of a model's class that says what it learns from."""

    entity_id: ClassVar[str]
    target: ClassVar[Any]  # text, or None
    model_type: ClassVar[str]
    features: ClassVar[Sequence[str] | None]
    not_features: ClassVar[Collection[str]]
    weight: ClassVar[str | None]
    stratify: ClassVar[bool]
    classes: ClassVar[Sequence[Any] | None]

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any: ...


def check_declarations(cls: type[_Declared]) -> None:
    """Refuse a class whose features, weight, split or classes contradict each other.

    Raises:
        ConfigurationError: the message names the attribute, its value and the fix.
    """
    for name in _LISTS:
        _check_list(cls, name)
    if cls.features is not None and cls.not_features:
        raise ConfigurationError(
            f"{cls.__name__} has both features = {list(cls.features)!r} and not_features = "
            f"{list(cls.not_features)!r}; keep one of them."
        )
    if cls.features is not None and not cls.features:
        raise ConfigurationError(
            f"{cls.__name__} has features = []; name at least one column, or remove it."
        )
    if cls.weight is not None and (not isinstance(cls.weight, str) or not cls.weight):
        raise ConfigurationError(
            f"{cls.__name__} has weight = {cls.weight!r}; use the name of a column, or None."
        )
    roles = _roles(cls)
    if cls.weight is not None and [*roles].count(cls.weight) and roles[cls.weight] != "weight":
        raise ConfigurationError(
            f"{cls.__name__} has weight = {cls.weight!r}, which is its {roles[cls.weight]}; name "
            "the column that holds the weights of the rows."
        )
    for name in ("features", "not_features"):
        _check_roles(cls, name, roles)
    _check_fit(cls)
    _check_split(cls)


def takes_weight(cls: type[_Declared]) -> bool:
    """Return whether `fit` has a parameter for the weights of rows."""
    parameters = inspect.signature(cls.fit).parameters.values()
    return any(p.name == "weight" or p.kind is p.VAR_KEYWORD for p in parameters)


def _check_fit(cls: type[_Declared]) -> None:
    if cls.weight is not None and not takes_weight(cls):
        raise ConfigurationError(
            f"{cls.__name__} has weight = {cls.weight!r}, and its fit takes no weights, so they "
            "would not count. Write `def fit(self, features, target, weight=None)` and pass them "
            "on: estimator.fit(features, target, sample_weight=weight)."
        )
    parameter = inspect.signature(cls.fit).parameters.get("weight")
    if cls.weight is None and parameter is not None and parameter.default is parameter.empty:
        raise ConfigurationError(
            f"{cls.__name__}.fit needs a weight, and the class names no column of weights; set "
            'weight = "..", or give the parameter a default: weight=None.'
        )


def _check_list(cls: type[_Declared], name: str) -> None:
    value: Any = getattr(cls, name)
    if value is None or (name == "not_features" and value == ()):
        return
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{cls.__name__} has {name} = {value!r}; use a list: [{value!r}].")
    items = list(value)
    if name != "classes" and (wrong := [x for x in items if not isinstance(x, str)]):
        raise ConfigurationError(
            f"{cls.__name__} has {wrong[0]!r} in {name}; use names of columns, as text."
        )
    texts = list(map(str, items))
    if twice := [x for x in texts if texts.count(x) > 1]:
        raise ConfigurationError(f"{cls.__name__} has {twice[0]!r} twice in {name}; remove one.")


def _roles(cls: type[_Declared]) -> dict[str, str]:
    """Return the columns that are no features whatever is declared, with their roles."""
    roles = {} if cls.weight is None else {cls.weight: "weight"}
    if cls.target is not None:
        roles[cls.target] = "target"
    return roles | {cls.entity_id: "entity_id"}


def _check_roles(cls: type[_Declared], name: str, roles: Mapping[str, str]) -> None:
    columns = getattr(cls, name) or ()
    if wrong := [column for column in columns if column in roles]:
        fix = "it is never a feature" if name == "not_features" else "a model cannot learn from it"
        raise ConfigurationError(
            f"{cls.__name__} has {wrong[0]!r} in {name}, and it is the {roles[wrong[0]]}: {fix}. "
            f"Remove it from {name}."
        )


def _check_split(cls: type[_Declared]) -> None:
    if not isinstance(cls.stratify, bool):
        raise ConfigurationError(
            f"{cls.__name__} has stratify = {cls.stratify!r}; use True or False."
        )
    if cls.stratify and cls.model_type not in ("binary", "multiclass"):
        raise ConfigurationError(
            f"{cls.__name__} has stratify = True and model_type = {cls.model_type!r}; only a "
            "binary or multiclass model has classes to stratify by. Remove stratify."
        )
    if cls.classes is None:
        return
    if cls.model_type != "multiclass":
        raise ConfigurationError(
            f"{cls.__name__} has classes = {list(cls.classes)!r} and model_type = "
            f"{cls.model_type!r}; only a multiclass model has a list of classes. Remove classes, "
            'or set model_type = "multiclass".'
        )
    if len(cls.classes) < 2 or any(map(_is_null, cls.classes)):
        raise ConfigurationError(
            f"{cls.__name__} has classes = {list(cls.classes)!r}; list two classes or more, "
            "without NULL."
        )


def feature_names(
    cls: type[_Declared], columns: Iterable[Any], what: str = "training_data"
) -> list[Any]:
    """Return the columns that a model learns from, in the declared order or that of the frame.

    Args:
        cls: the model's class.
        columns: the columns of its data.
        what: where the data come from, for messages.

    Raises:
        InvalidValue: a declared column is missing, or no column is left.
    """
    available = list(columns)
    declared = [*(cls.features or ()), *cls.not_features]
    if missing := [name for name in declared if name not in available]:
        attribute = "features" if cls.features is not None else "not_features"
        raise InvalidValue(
            f"{cls.__name__} has {missing[0]!r} in {attribute}, and {what} lacks this column; it "
            f"has: {', '.join(map(str, available))}. Return it, or remove it from {attribute}."
        )
    if cls.features is not None:
        return list(cls.features)
    others = {*_roles(cls), *cls.not_features}
    if names := [name for name in available if name not in others]:
        return names
    raise InvalidValue(
        f"{what} has no column to learn from: each of {', '.join(map(str, available))} is the "
        "entity_id, the target, the weight or one of not_features. Return features, too."
    )


def key_columns(cls: type[_Declared], columns: Iterable[Any]) -> set[Any]:
    """Return the columns of a frame that are not features, with entity id, target and weight.

    Features that the frame lacks do not matter.
    """
    keys: set[Any] = {*_roles(cls), *cls.not_features}
    return keys if cls.features is None else keys | (set(columns) - set(cls.features))


def row_weights(values: ArrayLike, name: str = "weight") -> NDArray[np.float64]:
    """Return the weights of rows as doubles, shape (n,).

    Args:
        values: finite numbers from 0, not all of them 0.
        name: what they are called in messages.

    Raises:
        InvalidValue: a weight is NULL, infinite, negative or not a number; or all are 0.
    """
    column = _column(values, name)
    numeric = column.dtype.kind in "biuf"
    weights = (
        column.astype(np.float64) if numeric else np.array([_as_double(x) for x in column], float)
    )
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        raise InvalidValue(
            f"{name}: {_count(wrong)} not finite numbers from 0: {_examples(column, wrong)}; give "
            "each row a weight, 0 for rows that must not count"
        )
    if len(weights) and not weights.any():
        raise InvalidValue(f"{name}: each of {len(weights)} weights is 0; give rows a weight above")
    return weights


def effective_rows(weights: NDArray[np.float64]) -> float:
    """Return Kish's effective sample size, (Σw)² / Σw²."""
    scaled = weights / weights.max()
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def require_declared_classes(cls: type[_Declared], target: pd.Series[Any]) -> None:
    """Refuse a target with a value that is none of the declared classes.

    Raises:
        InvalidValue: the message names the value, its rows and the classes.
    """
    if cls.classes is None:
        return
    texts = {str(label) for label in cls.classes}
    counts = target.astype(object).map(str, na_action="ignore").value_counts()
    if unknown := [(label, int(n)) for label, n in counts.items() if label not in texts]:
        label, n = unknown[0]
        more = f" and {len(unknown) - 1} other values" if len(unknown) > 1 else ""
        raise InvalidValue(
            f"the column {target.name!r} of training_data has the value {label!r}{more} in {n} "
            f"rows, and {cls.__name__} declares the classes {_listed(cls.classes)}. Add it to "
            "classes, or leave these rows out."
        )


def _listed(items: Sequence[Any]) -> str:
    text = ", ".join(map(repr, list(items)[:_MOST]))
    return text if len(items) <= _MOST else f"{text} and {len(items) - _MOST} more"
