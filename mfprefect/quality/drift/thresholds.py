"""Drift thresholds of single variables, as a model's class declares them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Protocol

from mfprefect.errors import ConfigurationError

__all__ = ["MEASURES", "check_thresholds", "of_variable", "require_known_variables"]

MEASURES = ("psi", "ks", "null_share")


class _Declared(Protocol):
    drift_thresholds: ClassVar[Mapping[str, float | Mapping[str, float]]]


def of_variable(declared: float | Mapping[str, float]) -> dict[str, float]:
    """Return the thresholds of a variable by measure; a number is that of PSI."""
    return dict(declared) if isinstance(declared, Mapping) else {"psi": declared}


def check_thresholds(cls: type[_Declared]) -> None:
    """Refuse thresholds that are no numbers above 0, or of an unknown measure.

    Raises:
        ConfigurationError: the message names the variable, the value and the choices.
    """
    thresholds: Any = cls.drift_thresholds
    if not isinstance(thresholds, Mapping):
        raise ConfigurationError(
            f"{cls.__name__} has drift_thresholds = {thresholds!r}; use a dict by variable: "
            '{"income": 0.4}.'
        )
    for variable, declared in thresholds.items():
        for measure, value in of_variable(declared).items():
            if measure not in MEASURES:
                raise ConfigurationError(
                    f"{cls.__name__} has {measure!r} in drift_thresholds[{variable!r}]; choose "
                    f"from {', '.join(MEASURES)}."
                )
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 < value < math.inf:
                raise ConfigurationError(
                    f"{cls.__name__} has {value!r} as {measure} in drift_thresholds"
                    f"[{variable!r}]; use a number above 0."
                )


def require_known_variables(cls: type[_Declared], features: Collection[str]) -> None:
    """Refuse a threshold of what is no feature, which would never count.

    Raises:
        ConfigurationError: the message names the variable and the features.
    """
    if unknown := [name for name in cls.drift_thresholds if name not in features]:
        raise ConfigurationError(
            f"{cls.__name__} has {unknown[0]!r} in drift_thresholds, which is not one of its "
            f"features: {', '.join(map(str, features))}. Correct the name, or remove it."
        )
