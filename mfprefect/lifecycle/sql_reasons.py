"""Why a model cannot score in SQL, as far as its class tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mfprefect.lifecycle.part_checks import scoring_checks
from mfprefect.model import Model
from mfprefect.quality.checks.base import ModelCheck, Unique
from mfprefect.quality.checks.values import NewCategories

if TYPE_CHECKING:
    from mfprefect.settings import Settings

__all__ = ["class_reason", "is_computed"]


def class_reason(model_class: type[Model], settings: Settings) -> str | None:
    """Return why scores of a class need Python whatever its estimator, None if they may not."""
    name = model_class.__name__
    for method in ("predict", "score_class"):
        if getattr(model_class, method) is not getattr(Model, method):
            return f"{name} overrides {method}"
    each, joint = scoring_checks(model_class, settings)
    for check in each:
        if not is_computed(check):
            return f"{_described(check)} needs the rows"
    for check in joint:
        if isinstance(check, Unique) or not is_computed(check):
            return f"{_described(check)}, over all {model_class.parts} parts, needs the rows"
    return None


def is_computed(check: Any) -> bool:
    """Return whether the database that scores can compute a check."""
    return isinstance(check, NewCategories) or (isinstance(check, ModelCheck) and check.in_database)


def _described(check: Any) -> str:
    if isinstance(check, ModelCheck):
        return f"the check {check.name}"
    name = getattr(check, "__name__", None) or getattr(check, "name", None)
    kind = "schema" if hasattr(check, "columns") or hasattr(check, "to_schema") else "function"
    return f"the {kind} {name}" if name else f"a {kind} of the checks"
