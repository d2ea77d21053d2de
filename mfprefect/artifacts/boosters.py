"""XGBoost and LightGBM models in their native formats, which hold data and no code.

The state of a wrapper such as `LGBMClassifier` (its class, parameters and target classes) is a note
in the same file, in a place that the library ignores. XGBoost and LightGBM can therefore read the
file from any language.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from mfprefect.errors import ArtifactCorrupt, ConfigurationError

__all__ = [
    "BOOSTED_TYPES",
    "BOOSTERS",
    "WRAPPERS",
    "boosted_format",
    "dump_boosted",
    "load_boosted",
]

WRAPPERS = {
    "xgboost": ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor"),
    "lightgbm": ("LGBMClassifier", "LGBMRegressor", "LGBMRanker"),
}
"""The only classes that a file may name to be rebuilt."""

BOOSTERS = frozenset({"xgboost.core.Booster", "lightgbm.basic.Booster"})
"""The classes that hold the trees; a skops file holds their state in the native format."""

BOOSTED_TYPES = BOOSTERS | {
    f"{library}.sklearn.{name}" for library, names in WRAPPERS.items() for name in names
}

_NOTE = "mfprefect"
_CATEGORIES = "pandas_categorical:"
_REBUILT = ("_Booster", "_le", "_classes", "_class_map")
"""Attributes of a LightGBM wrapper that are not plain values; `_load_lightgbm` rebuilds them."""


def boosted_format(estimator: Any) -> str | None:
    """Return the format of an XGBoost or LightGBM model, None for any other."""
    kind = type(estimator)
    library = kind.__module__.partition(".")[0]
    supported = kind.__name__ in ("Booster", *WRAPPERS.get(library, ()))
    return library if supported and library in WRAPPERS else None


def dump_boosted(kind: str, estimator: Any, file: BinaryIO) -> None:
    """Write a model to an empty file.

    Raises:
        ConfigurationError: the class is not one of the library's, the model is not fitted, or the
            format cannot hold it.
    """
    library = _library(kind)
    if boosted_format(estimator) != kind:
        raise ConfigurationError(
            f"format={kind!r} takes {kind}.Booster, {', '.join(WRAPPERS[kind])}, not a "
            f"{type(estimator).__module__}.{type(estimator).__qualname__}."
        )
    wrapped = not isinstance(estimator, library.Booster)
    if wrapped and callable(getattr(estimator, "objective", None)):
        raise ConfigurationError(
            f"the objective of this {type(estimator).__name__} is a function, and a {kind} file "
            "holds no code. Choices: store its booster, and apply the objective's inverse "
            'yourself; or format="pickle", which loads only with trusted=True or a signature.'
        )
    try:
        _DUMP[kind](estimator, file, wrapped)
    except (ValueError, AttributeError, _error(library)) as exc:
        raise ConfigurationError(
            f"this {type(estimator).__name__} cannot be stored ({type(exc).__name__}: {exc}). "
            "Is it fitted?"
        ) from exc


def load_boosted(kind: str, file: BinaryIO) -> Any:
    """Return the booster or the wrapper that `dump_boosted` wrote.

    Raises:
        ArtifactCorrupt: the note in the file is not one that `dump_boosted` writes.
        ConfigurationError: the library is not installed.
        Exception: any error of the library.
    """
    _library(kind)
    return _LOAD[kind](file)


def _library(kind: str) -> Any:
    try:
        return importlib.import_module(kind)
    except ImportError as exc:
        raise ConfigurationError(
            f"{kind} models need {kind} ({exc}): pip install 'mfprefect[{kind}]'"
        ) from exc


def _error(library: Any) -> type[Exception]:
    module = library.core if library.__name__ == "xgboost" else library.basic
    error: type[Exception] = getattr(module, f"{_NAMES[library.__name__]}Error")
    return error


_NAMES = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}


def _dump_xgboost(estimator: Any, file: BinaryIO, wrapped: bool) -> None:
    booster = estimator.get_booster() if wrapped else estimator
    note = (
        json.dumps({"class": type(estimator).__name__, "params": _plain(estimator.get_params())})
        if wrapped
        else None
    )
    before = booster.attr(_NOTE)
    booster.set_attr(**{_NOTE: note})
    try:
        file.write(booster.save_raw("ubj"))
    finally:
        booster.set_attr(**{_NOTE: before})


def _load_xgboost(file: BinaryIO) -> Any:
    library, content = _library("xgboost"), bytearray(file.read())
    booster = library.Booster(model_file=content)
    if (note := booster.attr(_NOTE)) is None:
        return booster
    name, params, _ = _wrapper("xgboost", note)
    model = getattr(library, name)(**params)
    model.load_model(content)
    vars(model).update(params)  # load_model has overwritten some with values from the trees
    model.get_booster().set_attr(**{_NOTE: None})
    return model


def _dump_lightgbm(estimator: Any, file: BinaryIO, wrapped: bool) -> None:
    booster = estimator.booster_ if wrapped else estimator
    note: dict[str, Any] = {"best_iteration": booster.best_iteration}
    if wrapped:
        state = {k: v for k, v in vars(estimator).items() if k not in _REBUILT}
        note |= {
            "class": type(estimator).__name__,
            "params": _plain(estimator.get_params()),
            "state": _plain(state),
        }
        if (classes := getattr(estimator, "_classes", None)) is not None:
            note |= {"classes": _class_list(classes), "classes_type": classes.dtype.str}
    # After early stopping, only the trees up to the best iteration, which are used to predict.
    trees, _, categories = booster.model_to_string().rpartition(_CATEGORIES)
    file.write(trees.encode())
    file.write(f"{_NOTE}:{json.dumps(note)}\n\n{_CATEGORIES}{categories}".encode())


def _load_lightgbm(file: BinaryIO) -> Any:
    library, text = _library("lightgbm"), file.read().decode()
    booster = library.Booster(model_str=text)
    _, separator, rest = text.rpartition(f"\n{_NOTE}:")
    if not separator:
        return booster
    note = _parsed(rest.partition("\n")[0])
    booster.best_iteration = note.get("best_iteration", -1)
    if "class" not in note:
        return booster
    name, params, state = _wrapper("lightgbm", note)
    model = getattr(library, name)(**params)
    vars(model).update({k: v for k, v in state.items() if k not in _REBUILT})
    model._Booster = booster
    if "classes" in note:
        _set_classes(model, note)
    return model


def _set_classes(model: Any, note: Mapping[str, Any]) -> None:
    """Set the target classes as `LGBMClassifier.fit` does."""
    import numpy as np
    from sklearn.preprocessing import LabelEncoder

    classes = np.array(note["classes"], dtype=note["classes_type"])
    model._le = LabelEncoder().fit(classes)
    model._classes = model._le.classes_
    model._class_map = dict(zip(model._classes, range(len(classes)), strict=True))


def _class_list(classes: Any) -> list[Any]:
    values = classes.tolist()
    if not all(isinstance(value, bool | int | float | str) for value in values):
        raise ValueError(f"the format cannot hold classes of type {classes.dtype}")
    return list(values)


def _wrapper(
    kind: str, note: str | Mapping[str, Any]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return class name, parameters and state of a wrapper; refuse classes of other modules."""
    document = _parsed(note) if isinstance(note, str) else note
    name, params, state = document.get("class"), document.get("params"), document.get("state", {})
    if name not in WRAPPERS[kind] or not isinstance(params, dict) or not isinstance(state, dict):
        raise ArtifactCorrupt(
            f"the {kind} file names the class {name!r}, not one of {', '.join(WRAPPERS[kind])}."
        )
    return name, params, state


def _parsed(note: str) -> dict[str, Any]:
    try:
        document = json.loads(note)
    except ValueError as exc:
        raise ArtifactCorrupt(f"the note in the model file is not JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise ArtifactCorrupt("the note in the model file is not a JSON object.")
    return document


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that JSON can restore exactly; drop callbacks and the like."""
    plain = {}
    for name, value in values.items():
        value = value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value
        if _is_plain(value):
            plain[name] = value
    return plain


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


_DUMP: dict[str, Callable[[Any, BinaryIO, bool], None]] = {
    "xgboost": _dump_xgboost,
    "lightgbm": _dump_lightgbm,
}
_LOAD: dict[str, Callable[[BinaryIO], Any]] = {"xgboost": _load_xgboost, "lightgbm": _load_lightgbm}
