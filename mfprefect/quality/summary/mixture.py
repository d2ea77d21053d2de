"""The distribution of all parts of a scoring, estimated from the summary of each part."""

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
    """The cumulative count of values up to x, linear between points: the sum over the parts.

    A point occurs twice if many rows share its value: with the rows below it, and the rows up to
    it. Times are microseconds since 1970.
    """

    def __init__(self) -> None:
        self.times = False
        """Whether the values are times."""
        self._x = np.empty(0)
        self._rows = np.empty(0)

    @property
    def has_values(self) -> bool:
        """Whether any part had values."""
        return bool(len(self._x))

    def add(self, quantiles: dict[str, Any], counts: dict[str, Any], finite: int) -> None:
        """Add the quantiles and counts of the finite values of a part."""
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
        self._add_points(at[order], np.maximum.accumulate(below[order]))

    def _doubles(self, values: Sequence[Any]) -> NDArray[Any]:
        if values and isinstance(values[0], str):
            self.times = True
            plain = [text.removesuffix(_UTC) for text in values]
            return np.array(plain, dtype="datetime64[us]").astype(np.int64)
        return np.asarray(values, dtype=np.float64)

    def _add_points(self, x: NDArray[Any], rows: NDArray[np.float64]) -> None:
        if not self.has_values:
            self._x, self._rows = x, rows
            return
        at = np.union1d(self._x, x)
        sides = [np.add(*both) for both in zip(self._at(at), _limits(x, rows, at), strict=True)]
        self._x, self._rows = np.repeat(at, 2), np.stack(sides, axis=1).ravel()
        if len(self._x) > MOST_POINTS:
            targets = np.linspace(0, self._rows[-1], MOST_POINTS // 2)
            positions = np.searchsorted(self._rows, targets)
            # Keep both points of a repeated value, and the ends.
            positions = np.unique(
                [0, *positions, *np.minimum(positions + 1, len(self._x) - 1), len(self._x) - 1]
            )
            self._x, self._rows = self._x[positions], self._rows[positions]

    def _at(self, at: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _limits(self._x, self._rows, at)

    def quantiles(self, at: NDArray[np.float64]) -> NDArray[Any]:
        """Return the quantiles at the shares `at`; a quantile of times is always a point."""
        if not self.has_values:
            return np.empty(0)
        targets = at * self._rows[-1]
        if self.times:
            return np.asarray(self._x[np.searchsorted(self._rows, targets - 1e-9)])
        values = np.interp(targets, self._rows, self._x)
        if np.isfinite(values).all():
            return np.asarray(values)
        # The slope between huge doubles overflows; a power of two takes no digit from them.
        x = self._x * DOWN
        scaled = np.interp(targets, self._rows, x).clip(x[0], x[-1])
        return np.asarray(np.where(np.isfinite(values), values, scaled / DOWN))

    def counts(self, edges: Sequence[Any]) -> list[int]:
        """Estimate the rows in each bin: up to the first edge, between edges, above the last."""
        up_to = np.round(self._at(self._doubles(edges))[1]).astype(np.int64)
        total = round(float(self._rows[-1])) if self.has_values else 0
        return [int(x) for x in np.diff(np.r_[0, up_to, total])]


def _limits(
    x: NDArray[Any], rows: NDArray[np.float64], at: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows below each value of `at`, and the rows up to it."""
    between = np.interp(at, x, rows, left=0.0, right=float(rows[-1]))
    first = np.searchsorted(x, at, side="left")
    last = np.searchsorted(x, at, side="right") - 1
    is_point = last >= first
    left, right = rows[np.maximum(last, 0)], rows[np.minimum(first, len(x) - 1)]
    # The slope between two neighbouring doubles can overflow: stay between their rows.
    between = np.where((last >= 0) & (first < len(x)), np.clip(between, left, right), between)
    low = np.where(is_point, right, between)
    high = np.where(is_point, left, between)
    return low, high
