"""Prediction errors of numbers: actual by predicted values, and the distribution of errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.quality.metrics.regression import mean

__all__ = ["prediction_errors"]

GROUPS = 20
LEAST_ROWS = 10
"""The fewest rows to group at all, and the fewest rows in a group except the last."""
BINS = 20
"""The most bins of errors, plus one at each end."""
TAILS = (0.01, 0.99)
"""Errors outside these quantiles are in no bin: a few outliers would squeeze all others."""
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)


def prediction_errors(
    actual: NDArray[np.float64], predicted: NDArray[np.float64]
) -> dict[str, Any] | None:
    """Summarise prediction errors in a document of bounded size.

    * `groups`: up to 20 groups of about equal size, lowest predictions first; rows with the same
      prediction stay together. `predicted` and `actual` are means; `low` and `high` are the 10th
      and 90th percentile of the actual values; `rows` is the size.
    * `errors`: predicted - actual, as `quantiles` at `probabilities`, and `counts` between `edges`
      of equal width; 0 is an edge if errors lie on both sides of it. The outer 1 % on each side
      may lie outside the edges; there are no bins if nearly all errors are equal.

    None with fewer than 10 rows, or if an error exceeds the range of a double.
    """
    if len(actual) < LEAST_ROWS:
        return None
    # Sort, so that no figure depends on the order of rows.
    order = np.lexsort((actual, predicted))
    y, p = actual[order], predicted[order]
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.sort(p - y)
    if not np.isfinite(error).all():
        return None
    return {"groups": _groups(y, p), "errors": _errors(error)}


def _groups(actual: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, list[Any]]:
    n = len(actual)
    count = min(GROUPS, n // LEAST_ROWS)
    _, position, rows = np.unique(predicted, return_inverse=True, return_counts=True)
    middle = np.cumsum(rows) - rows / 2
    group_of_row = np.minimum((middle * count / n).astype(np.int64), count - 1)[position]
    columns: dict[str, list[Any]] = {
        name: [] for name in ("rows", "predicted", "actual", "low", "high")
    }
    for group in np.unique(group_of_row):
        y, p = actual[group_of_row == group], predicted[group_of_row == group]
        low, high = np.quantile(y, (0.1, 0.9)).tolist()
        for name, value in zip(columns, (len(y), mean(p), mean(y), low, high), strict=True):
            columns[name].append(value)
    return columns


def _errors(ordered: NDArray[np.float64]) -> dict[str, Any]:
    low, high = np.quantile(ordered, TAILS).tolist()
    summary = {
        "probabilities": list(PROBABILITIES),
        "quantiles": np.quantile(ordered, PROBABILITIES).tolist(),
        "edges": [],
        "counts": [],
    }
    bins = min(BINS, math.ceil(2 * len(ordered) ** (1 / 3)))  # Rice's rule
    width = (high - low) / bins
    # Nearly all errors may be equal, or differ by less than doubles of their size can.
    if not np.isfinite(width) or not width > 1e-12 * max(abs(low), abs(high)):
        return summary
    edges = np.linspace(low, high, bins + 1)
    if low <= 0 <= high:
        edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
    counts = np.histogram(ordered, edges)[0]
    return summary | {"edges": edges.tolist(), "counts": counts.tolist()}
