"""Calibration: whether scores are what happens, from a stored test curve."""

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
"""The quantile of the normal distribution of a 95 % interval."""


def calibration(curve: pd.DataFrame, groups: int = 10) -> pd.DataFrame | None:
    """Return mean score and share of positives in groups of about as many rows each.

    Columns: `predicted`, the mean score; `observed`, the share of positives; `lower` and `upper`,
    its 95 % interval (Wilson 1927, JASA 22); `rows`; lowest scores first. Rows of one score are
    never parted, so that there may be fewer groups. Counts are exact. Where a curve holds fewer
    points than there were scores, the rows between two points count with the mean of both scores.

    Args:
        curve: from `test_curve` or `Store.curve`.
        groups: 2 to 100.

    Returns:
        None where a score is outside 0 to 1: it is no probability.

    Raises:
        InvalidValue: `groups` is out of range, or the curve is none.
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
    # The group of the middle of each point's rows.
    middle = population - rows / 2
    which = np.minimum((middle * groups / population[-1]).astype(np.int64), groups - 1)
    n, hits, sums = (np.bincount(which, weights=x) for x in (rows, positives, total))
    n, hits, sums = n[n > 0], hits[n > 0], sums[n > 0]
    lower, upper = wilson(hits, n)
    columns = (sums / n, hits / n, lower, upper, n.astype(np.int64))
    names = ("predicted", "observed", "lower", "upper", "rows")
    return pd.DataFrame({k: v[::-1] for k, v in zip(names, columns, strict=True)})


def _complete(score: NDArray[np.float64]) -> bool:
    from mfprefect.quality.metrics.curve import MAX_POINTS

    return len(score) < MAX_POINTS


def _between(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean score of the rows that each point adds: the point's own is the lowest."""
    above: NDArray[np.float64] = np.r_[score[:1], score[:-1]]
    return np.asarray((score + above) / 2)


def wilson(hits: NDArray[Any], n: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % intervals of shares, hits / n."""
    share = hits / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
