"""Performance on real outcomes, and its drop since training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from mfprefect.quality.drift import drift_row
from mfprefect.quality.drift.sampling import Z_ONE_SIDED, auc_error
from mfprefect.quality.metrics.definitions import MODEL_TYPES
from mfprefect.quality.metrics.evaluation import evaluate_outcomes

__all__ = ["DROPS", "MODEL_TYPES", "performance_drift", "performance_metrics"]

DROPS = {
    "binary": 0.05,
    "multiclass": 0.05,
    "regression": 0.1,
    "time_series": 0.1,
    "unsupervised": 0.05,
}
"""The drop that raises an alarm: in AUC or accuracy, or in RMSE relative to training."""
_FIGURES = {
    "binary": "auc",
    "multiclass": "accuracy",
    "regression": "rmse",
    "time_series": "rmse",
    "unsupervised": "auc",
}


def performance_metrics(
    actual: ArrayLike,
    predicted: ArrayLike,
    model_type: str = "binary",
    *,
    probabilities: bool = True,
) -> dict[str, float]:
    """Compute the metrics of a model type that are defined for these rows.

    Raises:
        InvalidValue: an unknown model type, or values that its metrics refuse.
    """
    return evaluate_outcomes(actual, predicted, model_type, probabilities=probabilities)


def performance_drift(
    trained: Mapping[str, float],
    current: Mapping[str, float],
    model_type: str = "binary",
    threshold: float | None = None,
) -> dict[str, Any]:
    """Return the drift row of a model's performance: `auc`, `accuracy` or `rmse`, measure `drop`.

    Binary: AUC at training less AUC now; unsupervised: AUC of an earlier scoring less AUC now;
    multiclass: accuracy at training less accuracy now. Others: RMSE now / RMSE at training - 1.
    A drop has to exceed what sampling alone exceeds once in 100 times: for
    AUC, 2.326 standard errors of the difference (Hanley and McNeil 1982); for accuracy, those of
    two proportions; for RMSE, 2.326·√(1/2n + 1/2m), assuming roughly normal errors.

    Args:
        trained: the metrics of the training session, or of an earlier scoring, by name.
        current: the metrics on real outcomes.
        model_type: one of `MODEL_TYPES`.
        threshold: the drop that raises an alarm; by default that of `DROPS`.
    """
    limit = DROPS[model_type] if threshold is None else threshold
    name = _FIGURES[model_type]
    if not {name, "n"} <= trained.keys() & current.keys():
        return drift_row(name, "drop", None, limit)
    before, now = trained[name], current[name]
    if name == "auc":
        noise = Z_ONE_SIDED * math.hypot(_auc_error(trained), _auc_error(current))
        return _row(name, before - now, limit, noise)
    if name == "accuracy":
        n, m = trained["n"], current["n"]
        p = (before * n + now * m) / (n + m)
        noise = Z_ONE_SIDED * math.sqrt(p * (1 - p) * (1 / n + 1 / m))
        return _row(name, before - now, limit, noise)
    if before == 0:
        return drift_row(name, "drop", None, limit)
    noise = Z_ONE_SIDED * math.sqrt(1 / (2 * trained["n"]) + 1 / (2 * current["n"]))
    return _row(name, now / before - 1, limit, noise)


def _row(name: str, drop: float, limit: float, noise: float) -> dict[str, Any]:
    # Better performance is not drift, but the stored drop keeps its sign.
    return drift_row(name, "drop", max(drop, 0.0), limit, noise) | {"value": drop}


def _auc_error(metrics: Mapping[str, float]) -> float:
    positive = metrics.get("n_positive", 0.0)
    negative = metrics["n"] - positive
    return auc_error(metrics["auc"], positive, negative) if positive and negative else 0.0
