"""The order in which people read metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["COUNTS", "ordered"]

FIRST = (
    "auc",
    "gini",
    "ks",
    "lift_10",
    "average_precision",
    "balanced_accuracy",
    "f1_macro",
    "auc_ovr",
    "accuracy",
    "brier",
    "log_loss",
    "mase",
    "skill",
    "silhouette",
    "anomaly_share",
    "n_clusters",
    "r2",
    "rmse",
    "mae",
    "smape",
    "mape",
    "bias",
    "coverage",
    "score_p50",
    "score_p95",
    "score_p99",
    "rows_scored",
    "matched_share",
    "feature_psi_max",
)
"""The metrics to show first."""
COUNTS = ("n", "n_classes", "n_positive", "base_rate")
"""Numbers of rows, which say nothing about how good a model is."""


def ordered(names: Iterable[str]) -> list[str]:
    """Sort metric names: important ones first, counts last, `lift_5` before `lift_10`."""

    def sort_key(name: str) -> tuple[int, int, list[tuple[int, str]]]:
        if name in FIRST:
            return 0, FIRST.index(name), []
        parts = re.split(r"([0-9]{1,9})", name)  # every second part is a number
        natural = [(int(x), "") if at % 2 else (-1, x) for at, x in enumerate(parts)]
        return (2 if name in COUNTS else 1), 0, natural

    return sorted(dict.fromkeys(names), key=sort_key)
