"""Charts of characters, for terminals and pipes: points of up to eight series on a grid."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["MARKS", "chart"]

MARKS = "*o+x#@%&"
"""The marks of the series, in their order."""


def chart(
    series: Sequence[Sequence[tuple[float, float]]], *, width: int = 72, height: int = 16
) -> list[str]:
    """Return the lines of a chart, with the ends of both axes.

    Args:
        series: points of x and y, all finite; a series after the eighth has the last mark.
        width: characters of the grid, without the labels of the axis.
        height: lines of the grid.
    """
    points = [point for each in series for point in each]
    (left, right), (low, high) = (_ends([p[axis] for p in points]) for axis in (0, 1))
    grid = [[" "] * width for _ in range(height)]
    for place, each in enumerate(series):
        mark = MARKS[min(place, len(MARKS) - 1)]
        for x, y in each:
            column = round((x - left) / (right - left) * (width - 1))
            row = round((high - y) / (high - low) * (height - 1))
            grid[row][column] = mark
    labels = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    margin = max(map(len, labels.values()))
    lines = [
        f"{labels.get(row, ''):>{margin}} |{''.join(cells).rstrip()}"
        for row, cells in enumerate(grid)
    ]
    start, end = f"{left:.4g}", f"{right:.4g}"
    lines.append(f"{'':>{margin}} +{'-' * width}")
    lines.append(f"{'':>{margin}}  {start}{end:>{max(width - len(start), len(end) + 1)}}")
    return lines


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return two different ends of an axis around some values."""
    low, high = min(values), max(values)
    if low < high:
        return low, high
    room = abs(low) / 2 or 1.0
    return low - room, high + room
