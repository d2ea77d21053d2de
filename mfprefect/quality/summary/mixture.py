"""The distribution of several parts together, from what the summary of each says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixture"]

MOST_POINTS = 512
DOWN = 2.0**-256
_UTC = "+00:00"


class Mixture:
    """How many values are at most x, linear between points: the sum of the parts' functions.

    A point stands twice where values are heaped: rows below it, rows up to it. Times are
    microseconds since 1970.
    """

    def __init__(self) -> None:
        self.times = False
        """Whether the values are times."""
        self._x = np.empty(0)
        self._rows = np.empty(0)

    @property
    def known(self) -> bool:
        """Whether there are values."""
        return bool(len(self._x))

    def add(self, quantiles: dict[str, Any], counts: dict[str, Any], finite: int) -> None:
        """Take the quantiles and counts of a part's finite values."""
        deciles = self._doubles(quantiles.get("values", ()))
        if not len(deciles) or not finite:
            return
        x, rows = [deciles], [np.asarray(quantiles["probabilities"]) * finite]
        if quantiles.get("grid") and counts.get("grid_counts"):
            grid = self._doubles(quantiles["grid"])
            x.append(np.repeat(grid, 2))
            rows.append(np.cumsum(counts["grid_counts"])[:-1].astype(np.float64))
        at, below = np.concatenate(x), np.concatenate(rows)
        order = np.lexsort((below, at))
        # Interpolated deciles may contradict exact counts by a row.
        self._take(at[order], np.maximum.accumulate(below[order]))

    def _doubles(self, values: Sequence[Any]) -> NDArray[Any]:
        if values and isinstance(values[0], str):
            self.times = True
            plain = [text.removesuffix(_UTC) for text in values]
            return np.array(plain, dtype="datetime64[us]").astype(np.int64)
        return np.asarray(values, dtype=np.float64)

    def _take(self, x: NDArray[Any], rows: NDArray[np.float64]) -> None:
        if not self.known:
            self._x, self._rows = x, rows
            return
        at = np.union1d(self._x, x)
        sides = [np.add(*both) for both in zip(self._at(at), _limits(x, rows, at), strict=True)]
        self._x, self._rows = np.repeat(at, 2), np.stack(sides, axis=1).ravel()
        if len(self._x) > MOST_POINTS:
            wanted = np.linspace(0, self._rows[-1], MOST_POINTS // 2)
            positions = np.searchsorted(self._rows, wanted)
            # With its neighbour, so that a heap stays one; the ends stay.
            positions = np.unique(
                [0, *positions, *np.minimum(positions + 1, len(self._x) - 1), len(self._x) - 1]
            )
            self._x, self._rows = self._x[positions], self._rows[positions]

    def _at(self, at: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _limits(self._x, self._rows, at)

    def quantiles(self, at: NDArray[np.float64]) -> NDArray[Any]:
        """Return the values that shares of rows are at most; of times one of the points."""
        if not self.known:
            return np.empty(0)
        wanted = at * self._rows[-1]
        if self.times:
            return np.asarray(self._x[np.searchsorted(self._rows, wanted - 1e-9)])
        values = np.interp(wanted, self._rows, self._x)
        if np.isfinite(values).all():
            return np.asarray(values)
        # The slope between huge doubles overflows; a power of two takes no digit from them.
        x = self._x * DOWN
        scaled = np.interp(wanted, self._rows, x).clip(x[0], x[-1])
        return np.asarray(np.where(np.isfinite(values), values, scaled / DOWN))

    def counts(self, edges: Sequence[Any]) -> list[int]:
        """Return about how many rows lie up to each edge and above the one before; then above."""
        up_to = np.round(self._at(self._doubles(edges))[1]).astype(np.int64)
        total = round(float(self._rows[-1])) if self.known else 0
        return [int(x) for x in np.diff(np.r_[0, up_to, total])]


def _limits(
    x: NDArray[Any], rows: NDArray[np.float64], at: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows below each place, and up to it."""
    between = np.interp(at, x, rows, left=0.0, right=float(rows[-1]))
    first = np.searchsorted(x, at, side="left")
    last = np.searchsorted(x, at, side="right") - 1
    there = last >= first
    left, right = rows[np.maximum(last, 0)], rows[np.minimum(first, len(x) - 1)]
    # The slope between two neighbouring doubles can overflow: stay between their rows.
    between = np.where((last >= 0) & (first < len(x)), np.clip(between, left, right), between)
    low = np.where(there, right, between)
    high = np.where(there, left, between)
    return low, high
