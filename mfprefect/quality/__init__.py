"""Agreed-upon figures: checks, input summary, metrics, curves, drift, importance and gates.

Everything here is pure: it takes frames and arrays and returns frames, rows or text. Names load on
first use, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfprefect.quality.checks import run_checks
    from mfprefect.quality.checks.result import failures
    from mfprefect.quality.drift import categorical_psi, ks_drift, psi, psi_of_counts, score_drift
    from mfprefect.quality.drift.features import feature_drift
    from mfprefect.quality.drift.sampling import ks_sampling_threshold, sampling_threshold
    from mfprefect.quality.drift.score_counts import ScoreCounts
    from mfprefect.quality.gates import Gate, failed_gates, judge
    from mfprefect.quality.gates.paired import (
        Difference,
        auc_difference,
        bootstrap_difference,
        metric_difference,
    )
    from mfprefect.quality.gates.verdicts import Champion, GateInputs, GateResult
    from mfprefect.quality.importance import coefficients, impurity, permutation
    from mfprefect.quality.metrics.binary import METRICS, binary_metrics, outcome_metrics
    from mfprefect.quality.metrics.class_scores import class_scores
    from mfprefect.quality.metrics.curve import (
        Ranking,
        accuracy,
        confusion_matrix,
        lift,
        rank,
        roc,
        test_curve,
    )
    from mfprefect.quality.metrics.definitions import MODEL_TYPES, Metric
    from mfprefect.quality.metrics.evaluation import Evaluation, evaluate
    from mfprefect.quality.metrics.multiclass import class_metrics, multiclass_metrics
    from mfprefect.quality.metrics.performance import performance_drift, performance_metrics
    from mfprefect.quality.metrics.registry import CUSTOM, definition_version, metric
    from mfprefect.quality.metrics.regression import REGRESSION_METRICS, regression_metrics
    from mfprefect.quality.metrics.time_series import forecast, series_metrics
    from mfprefect.quality.summary import input_summary

__all__ = [
    "CUSTOM",
    "METRICS",
    "MODEL_TYPES",
    "REGRESSION_METRICS",
    "Champion",
    "Difference",
    "Evaluation",
    "Gate",
    "GateInputs",
    "GateResult",
    "Metric",
    "Ranking",
    "ScoreCounts",
    "accuracy",
    "auc_difference",
    "binary_metrics",
    "bootstrap_difference",
    "categorical_psi",
    "class_metrics",
    "class_scores",
    "coefficients",
    "confusion_matrix",
    "definition_version",
    "evaluate",
    "failed_gates",
    "failures",
    "feature_drift",
    "forecast",
    "impurity",
    "input_summary",
    "judge",
    "ks_drift",
    "ks_sampling_threshold",
    "lift",
    "metric",
    "metric_difference",
    "multiclass_metrics",
    "outcome_metrics",
    "performance_drift",
    "performance_metrics",
    "permutation",
    "psi",
    "psi_of_counts",
    "rank",
    "regression_metrics",
    "roc",
    "run_checks",
    "sampling_threshold",
    "score_drift",
    "series_metrics",
    "test_curve",
]

_MODULES = {
    "checks": ("run_checks",),
    "checks.result": ("failures",),
    "metrics.curve": (
        "Ranking",
        "accuracy",
        "confusion_matrix",
        "lift",
        "rank",
        "roc",
        "test_curve",
    ),
    "metrics.registry": ("CUSTOM", "definition_version", "metric"),
    "metrics.definitions": ("MODEL_TYPES", "Metric"),
    "drift": ("categorical_psi", "ks_drift", "psi", "psi_of_counts", "score_drift"),
    "metrics.evaluation": ("Evaluation", "evaluate"),
    "drift.features": ("feature_drift",),
    "gates": ("Gate", "failed_gates", "judge"),
    "importance": ("coefficients", "impurity", "permutation"),
    "metrics.binary": ("METRICS", "binary_metrics", "outcome_metrics"),
    "metrics.class_scores": ("class_scores",),
    "metrics.multiclass": ("class_metrics", "multiclass_metrics"),
    "gates.paired": ("Difference", "auc_difference", "bootstrap_difference", "metric_difference"),
    "metrics.performance": ("performance_drift", "performance_metrics"),
    "metrics.regression": ("REGRESSION_METRICS", "regression_metrics"),
    "drift.sampling": ("ks_sampling_threshold", "sampling_threshold"),
    "metrics.time_series": ("forecast", "series_metrics"),
    "summary": ("input_summary",),
    "drift.score_counts": ("ScoreCounts",),
    "gates.verdicts": ("Champion", "GateInputs", "GateResult"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
