"""Parameters that a model declares with their defaults, and the values of one run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.util import values
from mfprefect.vocabulary import is_of_training

__all__ = ["check_declared", "form", "recorded", "run_params"]

_RESERVED = {"as_of", "parts", "reproduces", "shadow_of", "training_session_id"}
"""Names of what flows record as parameters themselves."""
_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
"""The types of values as JSON has them, with their names in JSON Schema."""
_WORDS = {"boolean": "true or false", "string": "text", "array": "a list", "object": "a dict"}


def check_declared(owner: str, declared: Any) -> None:
    """Refuse parameters of a class that no run could record.

    Raises:
        ConfigurationError: names the parameter.
    """
    if not isinstance(declared, Mapping):
        raise ConfigurationError(
            f'{owner} has params = {declared!r}; use a dict of defaults by name: {{"depth": 6}}.'
        )
    for name, default in declared.items():
        try:
            values.name(name, "the parameter's name", 255)
            values.json_text(default, "its default")
        except InvalidValue as exc:
            raise ConfigurationError(f"{owner} has a wrong parameter {name!r}: {exc}") from exc
        if name in _RESERVED or is_of_training(name):
            raise ConfigurationError(
                f"{owner} has the parameter {name!r}, which sessions record themselves; choose "
                "another name."
            )


def run_params(
    owner: str, declared: Mapping[str, Any], given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the parameters of a run: the defaults, replaced by what was given.

    Args:
        owner: the name of the class, for messages.
        declared: its defaults by name. A value must be of its default's type; a default of None
            takes any.
        given: values by name, from Python, numpy or JSON.

    Raises:
        InvalidValue: a name was not declared, or a value is of another type.
    """
    if given is not None and not isinstance(given, Mapping):
        raise InvalidValue(f"params is {given!r}; pass a dict of values by name.")
    if unknown := [name for name in given or {} if name not in declared]:
        choices = ", ".join(map(repr, declared)) or 'none: set params = {"depth": 6} in the class'
        raise InvalidValue(
            f"{owner} declares no parameter {unknown[0]!r}; its parameters are {choices}."
        )
    plain = {name: _plain(name, value) for name, value in {**declared, **(given or {})}.items()}
    return {name: _typed(owner, name, declared[name], value) for name, value in plain.items()}


def _plain(name: str, value: Any) -> Any:
    """Return a value as a session records it."""
    return json.loads(values.json_text(value, f"the parameter {name!r}"))


def _typed(owner: str, name: str, default: Any, value: Any) -> Any:
    kind = type(_plain(name, default))
    if kind is float and type(value) is int:
        return float(value)
    if kind is type(None) or type(value) is kind:
        return value
    word = _TYPES[kind]
    article = "an" if word[0] in "aeiou" else "a"
    raise InvalidValue(
        f"the parameter {name!r} of {owner} is {value!r}, and must be "
        f"{_WORDS.get(word, f'{article} {word}')}, as its default {default!r} is."
    )


def recorded(declared: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a session's parameters that a model declares."""
    return {name: params[name] for name in declared if name in params}


def form(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of the parameters, from which Prefect draws a form."""
    fields = {name: _plain(name, default) for name, default in declared.items()}
    return {
        "type": "object",
        "properties": {
            name: {
                "title": name,
                "default": default,
                **({} if default is None else {"type": _TYPES[type(default)]}),
            }
            for name, default in fields.items()
        },
        "additionalProperties": False,
    }
