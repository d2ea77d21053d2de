"""What the class of a model without a target may and may not say. Imports nothing heavy."""

from __future__ import annotations

from typing import Any

from mfprefect.errors import ConfigurationError

__all__ = ["needs_no_target", "require_no_target"]


def needs_no_target(model_class: type[Any], base: type[Any]) -> bool:
    """Say whether a class with a `fit` of its own names neither a target nor a model type.

    Args:
        model_class: the class.
        base: the class that defines the defaults.
    """
    classes = [kind for kind in model_class.__mro__ if kind not in (base, object)]
    named = {name for kind in classes for name in vars(kind)}
    return "fit" in named and not named & {"target", "model_type"}


def require_no_target(model_class: type[Any]) -> None:
    """Refuse what needs a target in the class of a model without one.

    Raises:
        ConfigurationError: it has a target, or a gate that compares errors.
    """
    name = model_class.__name__
    if model_class.target is not None:
        raise ConfigurationError(
            f"{name} has target = {model_class.target!r} and model_type = "
            f"{model_class.model_type!r}, which has none; remove one."
        )
    for gate in model_class.gates:
        if getattr(gate, "not_worse_than_production_by", None) is not None:
            raise ConfigurationError(
                f"{name} has the gate {gate!r}, which compares errors on test rows, and no target "
                "to be wrong about; use at_least, at_most or Gate.drift(..)."
            )
