"""Calibration: compare predicted scores with observed shares, from a stored test curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality.metrics.curve import _points

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["calibration", "wilson"]

Z = 1.959963984540054
"""The quantile of the normal distribution for a 95 % interval."""


def calibration(curve: pd.DataFrame, groups: int = 10) -> pd.DataFrame | None:
    """Return mean score and share of positives in groups of about equal size.

    Columns: `predicted`, the mean score; `observed`, the share of positives; `lower` and `upper`,
    its 95 % interval (Wilson 1927, JASA 22); `rows`; lowest scores first. Rows with the same score
    stay together, so there may be fewer groups. Counts are exact. If the curve has fewer points
    than there were scores, rows between two points count with the mean of both scores.

    Args:
        curve: from `test_curve` or `Store.curve`.
        groups: 2 to 100.

    Returns:
        None if a score lies outside 0 to 1 and is not a probability.

    Raises:
        InvalidValue: `groups` is out of range, or `curve` is not a test curve.
    """
    import pandas as pd

    if isinstance(groups, bool) or not isinstance(groups, int) or not 2 <= groups <= 100:
        raise InvalidValue(f"groups is {groups!r}; choose a whole number from 2 to 100")
    points = _points(curve)
    score, population = points["score"], points["population"]
    if score[-1] < 0 or score[0] > 1:
        return None
    rows = np.diff(population, prepend=0)
    positives = np.diff(points["tp"], prepend=0)
    total = score * rows if _complete(score) else _between(score) * rows
    # A point belongs to the group that the middle of its rows falls into.
    middle = population - rows / 2
    group = np.minimum((middle * groups / population[-1]).astype(np.int64), groups - 1)
    n, hits, sums = (np.bincount(group, weights=x) for x in (rows, positives, total))
    n, hits, sums = n[n > 0], hits[n > 0], sums[n > 0]
    lower, upper = wilson(hits, n)
    columns = (sums / n, hits / n, lower, upper, n.astype(np.int64))
    names = ("predicted", "observed", "lower", "upper", "rows")
    return pd.DataFrame({k: v[::-1] for k, v in zip(names, columns, strict=True)})


def _complete(score: NDArray[np.float64]) -> bool:
    from mfprefect.quality.metrics.curve import MAX_POINTS

    return len(score) < MAX_POINTS


def _between(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean score of the rows that each point adds; its own score is the lowest."""
    above: NDArray[np.float64] = np.r_[score[:1], score[:-1]]
    return np.asarray((score + above) / 2)


def wilson(hits: NDArray[Any], n: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % intervals of the shares hits / n."""
    share = hits / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
