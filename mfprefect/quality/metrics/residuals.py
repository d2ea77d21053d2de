"""How predictions of numbers miss: actual values by predicted ones, and how errors are spread."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.quality.metrics.regression import mean

__all__ = ["prediction_errors"]

GROUPS = 20
LEAST_ROWS = 10
"""Rows below which there is nothing to group, and the fewest of a group but for the last one."""
BINS = 20
"""The most bins of errors, but for one at either end."""
TAILS = (0.01, 0.99)
"""Errors outside these quantiles are in no bin: a few would squeeze all others."""
SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)


def prediction_errors(
    actual: NDArray[np.float64], predicted: NDArray[np.float64]
) -> dict[str, Any] | None:
    """Return what is needed to see how predictions miss, however many rows there are.

    * `groups`: up to 20 of about as many rows each, lowest predictions first; rows of one
      prediction are never parted. `predicted` and `actual` are means; between `low` and `high`,
      the 10th and the 90th percentile, lie four of five actual values; `rows`.
    * `errors`: predicted - actual; `quantiles` at `probabilities`, and `counts` between `edges` of
      equal width, of which 0 is one if errors lie on both sides of it. The outer hundredths may
      lie outside; where nearly all errors are the same there are no bins.

    None where there are fewer than 10 rows, or an error exceeds the range of a double.
    """
    if len(actual) < LEAST_ROWS:
        return None
    # No figure depends on the order of rows.
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
    _, place, rows = np.unique(predicted, return_inverse=True, return_counts=True)
    middle = np.cumsum(rows) - rows / 2
    which = np.minimum((middle * count / n).astype(np.int64), count - 1)[place]
    columns: dict[str, list[Any]] = {
        name: [] for name in ("rows", "predicted", "actual", "low", "high")
    }
    for group in np.unique(which):
        y, p = actual[which == group], predicted[which == group]
        low, high = np.quantile(y, (0.1, 0.9)).tolist()
        for name, value in zip(columns, (len(y), mean(p), mean(y), low, high), strict=True):
            columns[name].append(value)
    return columns


def _errors(ordered: NDArray[np.float64]) -> dict[str, Any]:
    low, high = np.quantile(ordered, TAILS).tolist()
    summary = {
        "probabilities": list(SHOWN),
        "quantiles": np.quantile(ordered, SHOWN).tolist(),
        "edges": [],
        "counts": [],
    }
    bins = min(BINS, math.ceil(2 * len(ordered) ** (1 / 3)))  # Rice's rule
    width = (high - low) / bins
    # Nearly all may be the same, or lie closer together than doubles of their size do.
    if not np.isfinite(width) or not width > 1e-12 * max(abs(low), abs(high)):
        return summary
    edges = np.linspace(low, high, bins + 1)
    if low <= 0 <= high:
        edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
    counts = np.histogram(ordered, edges)[0]
    return summary | {"edges": edges.tolist(), "counts": counts.tolist()}
