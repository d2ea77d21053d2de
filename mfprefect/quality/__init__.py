"""Agreed-upon figures: checks, input summary, metrics, curves, importance and gates.

Everything here is pure: it takes frames and arrays and returns frames, rows or text. The names are
loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfprefect.quality.checks import failures, run_checks
    from mfprefect.quality.curve import (
        Ranking,
        accuracy,
        confusion_matrix,
        lift,
        rank,
        roc,
        test_curve,
    )
    from mfprefect.quality.gates import Gate, failed_gates
    from mfprefect.quality.importance import coefficients, impurity, permutation
    from mfprefect.quality.metrics import METRICS, Metric, binary_metrics, definition_version
    from mfprefect.quality.summary import input_summary

__all__ = [
    "METRICS",
    "Gate",
    "Metric",
    "Ranking",
    "accuracy",
    "binary_metrics",
    "coefficients",
    "confusion_matrix",
    "definition_version",
    "failed_gates",
    "failures",
    "impurity",
    "input_summary",
    "lift",
    "permutation",
    "rank",
    "roc",
    "run_checks",
    "test_curve",
]

_MODULES = {
    "checks": ("failures", "run_checks"),
    "curve": ("Ranking", "accuracy", "confusion_matrix", "lift", "rank", "roc", "test_curve"),
    "gates": ("Gate", "failed_gates"),
    "importance": ("coefficients", "impurity", "permutation"),
    "metrics": ("METRICS", "Metric", "binary_metrics", "definition_version"),
    "summary": ("input_summary",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
