"""A model's alarm thresholds: its own settings, its class, the general settings, defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mfprefect.quality.drift import Limits
from mfprefect.quality.drift.thresholds import of_variable

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.settings import ModelThresholds, Settings

__all__ = ["thresholds_for"]

_ATTRIBUTES = {
    "psi": "drift_threshold",
    "ks": "ks_threshold",
    "null_share": "null_share_threshold",
    "performance": "performance_drop",
}


def thresholds_for(model_class: type[Model] | Model, settings: Settings) -> Limits:
    """Return the thresholds in force.

    `[drift.models.<model>]` comes first, so that operators can change a threshold without touching
    the model's code. Then come the class, `[drift]` and the default. A threshold of a single
    variable comes before those of all variables, from `[drift.models.<model>.variables.<variable>]`
    or the class.
    """
    of_model = settings.drift.models.get(model_class.model_id)
    limits: dict[str, Any] = {"variables": _variables(model_class, of_model)}
    for name in _ATTRIBUTES:
        candidates = (
            getattr(of_model, name, None),
            getattr(model_class, _ATTRIBUTES[name]),
            getattr(settings.drift, name),
        )
        limits[name] = next((value for value in candidates if value is not None), None)
    return Limits(**{name: value for name, value in limits.items() if value is not None})


def _variables(
    model_class: type[Model] | Model, of_model: ModelThresholds | None
) -> dict[str, dict[str, float]]:
    """Return the thresholds of single variables: the class's, overridden by the settings'."""
    by_variable = {name: of_variable(x) for name, x in model_class.drift_thresholds.items()}
    for name, thresholds in ({} if of_model is None else of_model.variables).items():
        chosen = thresholds.model_dump(exclude_none=True)
        by_variable[name] = by_variable.get(name, {}) | chosen
    return by_variable
