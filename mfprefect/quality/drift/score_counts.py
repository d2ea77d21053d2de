"""Distinct values with their counts: a distribution in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.quality._arrays import _column

__all__ = ["MOST", "ScoreCounts"]

MOST = 1_000_000
"""The most distinct values to keep."""
EXACT = 53
"""The bits of a double's significand."""

Points = tuple[NDArray[np.float64], NDArray[np.int64]]


class ScoreCounts:
    """The distribution of any number of values, in bounded memory.

    Exact up to `most` distinct values. With more, values are rounded towards zero to fewer
    significant bits, four bits at a time, until they fit: a million distinct values between 0 and
    1 keep about 16 bits, a relative error of 1.5e-5.
    """

    def __init__(self, most: int = MOST) -> None:
        self.n_null = 0
        """How many values were NULL (None, NaN, pandas.NA)."""
        self.bits = EXACT
        """Significant bits of each value; 53: all of them."""
        self._most = most
        self._value = np.empty(0)
        self._count = np.empty(0, np.int64)
        self._pending: list[NDArray[np.float64]] = []

    @classmethod
    def of(cls, values: Any, name: str = "the values") -> ScoreCounts:
        """Count the values of a column, keeping every distinct value."""
        array = _doubles(values, name)
        counts = cls(max(len(array), 1))
        counts.add(array)
        return counts

    @classmethod
    def of_points(cls, value: Any, count: Any) -> ScoreCounts:
        """Build a distribution from values and their counts."""
        counts = cls(max(len(value), 1))
        counts._value, position = np.unique(np.asarray(value, np.float64), return_inverse=True)
        counts._count = np.zeros(len(counts._value), np.int64)
        np.add.at(counts._count, position.reshape(-1), np.asarray(count, np.int64))
        return counts

    def thinned(self, points: int) -> dict[str, list[Any]]:
        """Return at most `points` values and counts, as `score` and `rows`; see `of_points`.

        A dropped value counts at the next larger remaining one, so the cumulative count of each
        remaining value is exact.
        """
        value, count = self.points()
        total = np.cumsum(count)
        positions = np.arange(len(value))
        if len(value) > points:
            targets = np.arange(1, points + 1) / points * total[-1]
            positions = np.unique(np.searchsorted(total, targets - 0.5))
        rows = np.diff(total[positions], prepend=0)
        return {"score": value[positions].tolist(), "rows": rows.tolist()}

    def add(self, values: Any) -> None:
        """Count more values: numbers and NULLs, shape (n,)."""
        doubles = _doubles(values, "the values")
        present = doubles[~np.isnan(doubles)] + 0.0  # -0.0 and 0.0 are one value
        self.n_null += len(doubles) - len(present)
        self._pending.append(present)
        if sum(map(len, self._pending)) >= self._most:
            self._merge()

    @property
    def n(self) -> int:
        """How many values were not NULL."""
        return int(self._count.sum()) + sum(map(len, self._pending))

    def points(self, bits: int = EXACT) -> Points:
        """Return the distinct values, ascending, rounded to at most `bits`, and their counts."""
        self._merge()
        if bits >= self.bits:
            return self._value, self._count
        return _distinct(_rounded(self._value, bits), self._count)

    def _merge(self) -> None:
        new = np.concatenate([np.empty(0), *self._pending])
        self._pending = []
        if not len(new):
            return
        value = np.concatenate([self._value, _rounded(new, self.bits)])
        count = np.concatenate([self._count, np.ones(len(new), np.int64)])
        self._value, self._count = _distinct(value, count)
        while len(self._value) > self._most and self.bits > 1:
            self.bits = max(1, self.bits - 4)
            self._value, self._count = _distinct(_rounded(self._value, self.bits), self._count)


def _distinct(value: NDArray[np.float64], count: NDArray[np.int64]) -> Points:
    distinct, position = np.unique(value, return_inverse=True)
    total = np.zeros(len(distinct), np.int64)
    np.add.at(total, position.reshape(-1), count)
    return distinct, total


def _rounded(value: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    if bits >= EXACT:
        return value
    fraction, exponent = np.frexp(value)
    # Round towards zero: the largest doubles would otherwise become infinite.
    return np.asarray(np.ldexp(np.trunc(fraction * 2.0**bits) / 2.0**bits, exponent))


def _doubles(values: Any, name: str) -> NDArray[np.float64]:
    array = _column(values, name)
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    return np.array([_double(value, name) for value in array], dtype=np.float64)


def _double(value: Any, name: str) -> float:
    # Recognise pandas.NA by name: comparing it gives neither true nor false.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return float("nan")
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError) as exc:
        raise InvalidValue(
            f"{name} hold {value!r}, which is not a number; compare categories with "
            "categorical_psi(..)"
        ) from exc
