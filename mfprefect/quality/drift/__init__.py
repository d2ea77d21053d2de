"""Drift: how far the distribution of a variable or a score has moved from a reference.

Do not confuse `ks_drift`, which compares one variable in two samples, with the metric `ks`, which
compares the positives and negatives of one model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import _is_null
from mfprefect.quality.drift.sampling import ks_sampling_threshold, sampling_threshold
from mfprefect.quality.drift.score_counts import ScoreCounts

__all__ = [
    "ALARM",
    "FLOOR",
    "NULL_SHARE",
    "OK",
    "THRESHOLD",
    "UNKNOWN",
    "VERDICTS",
    "WARNING",
    "WARNING_SHARE",
    "Limits",
    "categorical_psi",
    "drift_row",
    "ks_drift",
    "ks_threshold",
    "psi",
    "psi_edges",
    "psi_of_counts",
    "psi_ranks",
    "score_drift",
]

FLOOR = 1e-4
"""The smallest share of a bin: an empty bin would make PSI infinite."""
THRESHOLD = 0.25
"""The PSI above which a variable has drifted; a rule of thumb (Siddiqi 2006)."""
WARNING_SHARE = 0.4
"""A warning starts at this share of the threshold: at 0.1 for 0.25."""

NULL_SHARE = 0.1
"""The difference of NULL shares above which a variable has drifted."""

OK, WARNING, ALARM, UNKNOWN = "ok", "warning", "alarm", "unknown"
VERDICTS = (OK, WARNING, ALARM, UNKNOWN)
"""The verdicts of a drift row; `unknown`: its value could not be computed."""


@dataclass(frozen=True)
class Limits:
    """Thresholds for an alarm, unless sampling alone explains the drift."""

    psi: float = THRESHOLD
    """The PSI of a variable or of scores."""
    ks: float | None = None
    """Their KS drift; None: the equivalent of `psi`, see `ks_threshold`."""
    null_share: float = NULL_SHARE
    """The difference of NULL shares, in either direction."""
    performance: float | None = None
    """The drop in performance; None: the default of `performance.DROPS`."""
    variables: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Thresholds of single variables: `psi`, `ks` and `null_share` by name of the variable."""

    @property
    def ks_limit(self) -> float:
        """The threshold of KS drift."""
        return ks_threshold(self.psi) if self.ks is None else self.ks

    def of_variable(self, variable: str) -> Limits:
        """Return the limits of one variable; what it does not set is that of all variables."""
        return replace(self, **self.variables.get(variable, {}), variables={})

    @classmethod
    def of(cls, limits: Limits | float) -> Limits:
        """Return limits; a number is the threshold of PSI."""
        return limits if isinstance(limits, Limits) else cls(limits)


def psi(reference: Any, current: Any, bins: int = 10) -> float:
    """Return the population stability index, Σ (aᵢ - eᵢ)·ln(aᵢ / eᵢ).

    e and a are the shares of reference and current rows in each bin, at least 1e-4. The bins end
    at the distinct quantiles of the finite reference values at 1/bins, 2/bins, ..; a value on an
    edge belongs to the bin below, the outer bins are open, and NULLs have a separate bin.

    Args:
        reference: numbers and NULLs, shape (n,).
        current: the same, shape (m,).
        bins: 2 to 100.

    Raises:
        InvalidValue: a sample is empty or holds something other than numbers, or `bins` is out of
            range.
    """
    expected, actual = _binned(
        ScoreCounts.of(reference, "the reference values"),
        ScoreCounts.of(current, "the current values"),
        bins,
    )
    return psi_of_counts(expected, actual)


def categorical_psi(reference: Iterable[Any], current: Iterable[Any]) -> float:
    """Return the PSI of categories: a bin per level of the reference, one for unseen levels.

    Levels are compared as text; NULLs (None, NaN, pandas.NA) have a separate bin.

    Raises:
        InvalidValue: a sample is empty.
    """
    expected, actual = _levels(reference), _levels(current)
    levels = [*expected.keys() - {None}, None]
    unseen = sum(count for level, count in actual.items() if level not in levels)
    return psi_of_counts(
        [*(expected[level] for level in levels), 0], [*(actual[level] for level in levels), unseen]
    )


def _levels(values: Iterable[Any]) -> Counter[str | None]:
    return Counter(None if _is_null(value) else str(value) for value in values)


def psi_of_counts(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the PSI of two samples counted in the same bins.

    Args:
        expected: rows of the reference in each bin, shape (bins,).
        actual: rows of the current sample in each bin.

    Raises:
        InvalidValue: unequal numbers of bins, a count that is negative or not a number, or no
            rows.
    """
    e, a = _shares(expected, "expected"), _shares(actual, "actual")
    if len(e) != len(a):
        raise InvalidValue(
            f"{len(e)} expected bins but {len(a)} actual bins; count both in the same bins"
        )
    # An exact sum does not depend on the order of the bins.
    return math.fsum((a - e) * np.log(a / e))


def _shares(counts: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all() or (array < 0).any():
        raise InvalidValue(
            f"the {name} counts are {array.tolist()}; pass the rows in each bin, 0 or more"
        )
    total = array.sum()
    if total == 0:
        raise InvalidValue(f"the {name} counts hold no rows; drift needs rows on both sides")
    shares: NDArray[np.float64] = np.maximum(array / total, FLOOR)
    return shares


def ks_drift(reference: Any, current: Any) -> float:
    """Return the largest difference of the two empirical distributions, max |F_ref - F_cur|.

    NULLs are ignored; infinite values are the smallest and the largest.

    Raises:
        InvalidValue: a sample holds only NULLs.
    """
    return _ks(
        ScoreCounts.of(reference, "the reference values"),
        ScoreCounts.of(current, "the current values"),
    )


def ks_threshold(threshold: float = THRESHOLD) -> float:
    """Return the KS drift equivalent to a PSI: 0.197 for 0.25.

    For two normal distributions of equal variance whose means are δ deviations apart, PSI tends to
    δ² with fine bins, and KS is 2·Φ(δ / 2) - 1.
    """
    return math.erf(math.sqrt(threshold / 8))


def drift_row(
    variable: str, measure: str, value: float | None, threshold: float, noise: float = 0.0
) -> dict[str, Any]:
    """Return a row of the `drift` table with its verdict.

    Args:
        variable: a variable or `score`.
        measure: how it is compared, and with what.
        value: None if it could not be computed; the verdict is then `unknown`.
        threshold: `alarm` above it, `warning` above 0.4 of it; the absolute value counts.
        noise: what sampling alone explains; smaller values are not drift.
    """
    alarm, warning = max(threshold, noise), max(WARNING_SHARE * threshold, noise)
    if value is None:
        verdict = UNKNOWN
    else:
        verdict = ALARM if abs(value) > alarm else WARNING if abs(value) > warning else OK
    return {
        "variable": variable,
        "measure": measure,
        "value": value,
        "threshold": alarm,
        "verdict": verdict,
    }


def score_drift(
    reference: ScoreCounts,
    current: ScoreCounts,
    comparison: str,
    threshold: Limits | float = THRESHOLD,
) -> list[dict[str, Any]]:
    """Return the rows `psi_<comparison>` and `ks_<comparison>` of the variable `score`."""
    limits = Limits.of(threshold)
    psi_name, ks_name, limit = f"psi_{comparison}", f"ks_{comparison}", limits.ks_limit
    threshold = limits.psi
    if not reference.n or not current.n:
        unknown = ((psi_name, threshold), (ks_name, limit))
        return [drift_row("score", name, None, at) for name, at in unknown]
    expected, actual = _binned(reference, current, 10)
    noise = ks_sampling_threshold(reference.n, current.n)
    return [
        drift_row(
            "score",
            psi_name,
            psi_of_counts(expected, actual),
            threshold,
            sampling_threshold(expected, actual),
        ),
        drift_row("score", ks_name, _ks(reference, current), limit, noise),
    ]


def _binned(
    reference: ScoreCounts, current: ScoreCounts, bins: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count both samples in the bins of the reference, NULLs last."""
    _check_bins(bins)
    bits = min(reference.bits, current.bits)
    edges = _edges(*reference.points(bits), bins)
    return _counts(reference, edges, bits), _counts(current, edges, bits)


def _counts(counts: ScoreCounts, edges: NDArray[np.float64], bits: int) -> NDArray[np.int64]:
    value, count = counts.points(bits)
    rows = np.zeros(len(edges) + 2, np.int64)
    np.add.at(rows, np.searchsorted(edges, value, side="left"), count)
    rows[-1] = counts.n_null
    return rows


def _edges(value: NDArray[np.float64], count: NDArray[np.int64], bins: int) -> NDArray[np.float64]:
    """Return the distinct inner quantiles of counted values, interpolated as in numpy.quantile."""
    finite = np.isfinite(value)
    value, rank = value[finite], np.cumsum(count[finite])
    if not len(value):
        return np.empty(0)
    below, above, share = psi_ranks(int(rank[-1]), bins)
    low = value[np.searchsorted(rank, below, side="right")]
    high = value[np.searchsorted(rank, above, side="right")]
    return psi_edges(low, high, share)


def psi_ranks(
    n: int, bins: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the positions in n ordered values that the inner quantiles of `psi` lie between.

    Returns:
        The positions below and above, from 0, and how far the quantile lies from the first to the
        second, as a share; each of shape (bins - 1,).

    Raises:
        InvalidValue: `bins` is out of range.
    """
    _check_bins(bins)
    position = np.arange(1, bins) / bins * (n - 1)
    below = np.floor(position).astype(np.int64)
    return below, np.ceil(position).astype(np.int64), position - below


def psi_edges(
    low: NDArray[np.float64], high: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate the values at `psi_ranks`; return the distinct edges of `psi`, ascending."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = high - low
        edges = np.where(share < 0.5, low + step * share, high - step * (1 - share))
    return np.unique(np.where(np.isfinite(edges), edges, low))


def _check_bins(bins: Any) -> None:
    if isinstance(bins, bool) or not isinstance(bins, int) or not 2 <= bins <= 100:
        raise InvalidValue(f"bins is {bins!r}; choose a whole number from 2 to 100")


def _ks(reference: ScoreCounts, current: ScoreCounts) -> float:
    if not reference.n or not current.n:
        raise InvalidValue(
            f"{reference.n} reference and {current.n} current values are not NULL; KS drift needs "
            "values on both sides"
        )
    bits = min(reference.bits, current.bits)
    (v, c), (w, d) = reference.points(bits), current.points(bits)
    every = np.union1d(v, w)
    below = np.r_[0, np.cumsum(c)][np.searchsorted(v, every, side="right")]
    under = np.r_[0, np.cumsum(d)][np.searchsorted(w, every, side="right")]
    # Counts of pairs are whole numbers, so the gap is exact.
    gap = np.abs(below * current.n - under * reference.n)
    return int(gap.max()) / (reference.n * current.n)
