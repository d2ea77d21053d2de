"""How far two samples of one distribution differ by chance; smaller differences are not drift."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "CONFIDENCE",
    "auc_error",
    "chi2_quantile",
    "ks_sampling_threshold",
    "sampling_threshold",
    "share_threshold",
]

CONFIDENCE = 0.99
"""Drift has to exceed what sampling alone exceeds once in 100 times."""
Z_ONE_SIDED, Z_TWO_SIDED = 2.3263478740408408, 2.5758293035489004
"""The quantiles of the normal distribution at 0.99 and 0.995."""


def sampling_threshold(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the PSI that two samples of one distribution exceed once in 100 times.

    χ²(B - 1, 0.99)·(1/n + 1/m), B: the number of bins with a row in either sample (Yurdakul 2018,
    Statistical properties of the population stability index). 0 for a single bin.

    Args:
        expected: rows of the reference in each bin, n in total.
        actual: rows of the current sample in each bin, m in total.
    """
    e, a = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    used = int(np.count_nonzero(e + a))
    return chi2_quantile(max(used - 1, 0)) * float(1 / e.sum() + 1 / a.sum())


@lru_cache(maxsize=256)
def chi2_quantile(degrees: int, probability: float = CONFIDENCE) -> float:
    """Return the quantile of the chi-square distribution, to a relative 1e-9.

    The tail is a finite sum for a whole number of degrees (Abramowitz and Stegun, 26.4.4 and
    26.4.5); bisection finds the quantile.
    """
    if degrees == 0:
        return 0.0
    low, high = 0.0, 1.0
    while _chi2_tail(high, degrees) > 1 - probability:
        low, high = high, high * 2
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        if _chi2_tail(middle, degrees) > 1 - probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _chi2_tail(x: float, degrees: int) -> float:
    """Return P(χ² > x)."""
    half = x / 2
    odd = degrees % 2
    powers = (i + odd / 2 for i in range(degrees // 2))
    # Logarithms, because the factors of a term overflow long before the term does.
    terms = (math.exp(p * math.log(half) - half - math.lgamma(p + 1)) for p in powers)
    return math.fsum(terms) + (math.erfc(math.sqrt(half)) if odd else 0.0)


def ks_sampling_threshold(n: int, m: int) -> float:
    """Return the KS drift that samples of one distribution exceed at most once in 100 times.

    √(-ln(0.01 / 2) / 2)·√(1/n + 1/m) (Smirnov 1948).
    """
    return math.sqrt(-math.log((1 - CONFIDENCE) / 2) / 2 * (1 / n + 1 / m))


def share_threshold(expected: tuple[int, int], actual: tuple[int, int]) -> float:
    """Return the difference that two samples with one true share exceed once in 100 times.

    2.576·√(p·(1 - p)·(1/n + 1/m)), p: the share in both samples together.

    Args:
        expected: matching rows and all rows of the reference.
        actual: the same for the current sample.
    """
    n, m = expected[1], actual[1]
    p = (expected[0] + actual[0]) / (n + m)
    return Z_TWO_SIDED * math.sqrt(p * (1 - p) * (1 / n + 1 / m))


def auc_error(auc: float, n_positive: float, n_negative: float) -> float:
    """Return the standard error of an AUC (Hanley and McNeil 1982, Radiology 143(1))."""
    both = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    variance = auc * (1 - auc) + (n_positive - 1) * both[0] + (n_negative - 1) * both[1]
    return math.sqrt(max(variance, 0.0) / (n_positive * n_negative))
