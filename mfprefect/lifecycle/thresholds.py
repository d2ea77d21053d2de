"""A model's alarm thresholds: its own settings, its class, the general settings, defaults."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from mfprefect.quality.drift import Limits

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.settings import Settings

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
    the model's code. Then come the class, `[drift]` and the default.
    """
    of_model = settings.drift.models.get(model_class.model_id)
    limits = {}
    for name in (field.name for field in fields(Limits)):
        candidates = (
            getattr(of_model, name, None),
            getattr(model_class, _ATTRIBUTES[name]),
            getattr(settings.drift, name),
        )
        limits[name] = next((value for value in candidates if value is not None), None)
    return Limits(**{name: value for name, value in limits.items() if value is not None})
