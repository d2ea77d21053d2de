"""What is an alarm for a model: settings of this model, its class, settings of all, defaults."""

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


def thresholds_for(kind: type[Model] | Model, settings: Settings) -> Limits:
    """Return the limits in force.

    A threshold of `[drift.models.<model>]` is first: whoever runs a model can change it without
    touching its code. Then come the class's own, `[drift]`, and the default.
    """
    of_model = settings.drift.models.get(kind.model_id)
    chosen = {}
    for name in (field.name for field in fields(Limits)):
        said = (
            getattr(of_model, name, None),
            getattr(kind, _ATTRIBUTES[name]),
            getattr(settings.drift, name),
        )
        chosen[name] = next((value for value in said if value is not None), None)
    return Limits(**{name: value for name, value in chosen.items() if value is not None})
