"""Small histograms and bars for table cells, hundreds of them in one matplotlib figure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.report import drawing
from mfprefect.report.drawing.palette import stand_in

if TYPE_CHECKING:
    from mfprefect.report.drawing import Picture

__all__ = ["Bars", "bar", "draw", "histogram"]

WIDTH, HEIGHT = 120, 30
"""SVG units, shown as pixels."""
MOST_LEVELS = 12
THINNEST = 0.02
"""The smallest width of a bin: equal values would otherwise have no width."""

DISCRETE = 0.9
"""Draw each number separately if at least this share of rows takes a few distinct numbers."""

Box = tuple[float, float, float]


@dataclass(frozen=True)
class Bars:
    """Filled boxes and an outline over them: (left, right, height), all in 0 to 1."""

    title: str
    boxes: Sequence[Box] = ()
    outline: Sequence[Box] = ()
    whisker: tuple[float, float] | None = None
    apart: bool = False
    """Whether to draw the outline as separate lines, as for categories."""
    floor: float = 0.0
    """The height that boxes start at."""


def draw(strips: Sequence[Bars]) -> list[Picture]:
    """Return a picture of each strip, in their order."""
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
    for number, strip in enumerate(strips):
        for part, corners, codes, style in _paths(strip):
            path = Path(corners, codes)
            patch = PathPatch(path, transform=None, gid=f"strip{number}.{part}", **style)
            figure.add_artist(patch)
    bodies: dict[int, list[str]] = {}
    for number_text, body in re.findall(
        r'<g id="strip(\d+)\.\d"> (.*?) ?</g>', drawing.inner_svg(figure)
    ):
        bodies.setdefault(int(number_text), []).append(body)
    return [
        drawing.Picture("".join(bodies.get(number, [])), WIDTH, HEIGHT, strip.title, "")
        for number, strip in enumerate(strips)
    ]


def _paths(strip: Bars) -> Any:
    if strip.boxes:
        yield (
            0,
            *_boxes(strip.boxes, strip.floor),
            {"facecolor": stand_in("a"), "linewidth": 0, "alpha": 0.65},
        )
    if strip.outline:
        steps = _lines(strip.outline) if strip.apart else _steps(strip.outline)
        yield 1, *steps, {"edgecolor": stand_in("b"), "fill": False, "lw": 1.2}
    if strip.whisker:
        low, high = (x * WIDTH for x in strip.whisker)
        ends = [(low, HEIGHT / 2), (high, HEIGHT / 2)]
        yield 2, ends, [1, 2], {"edgecolor": stand_in("ink"), "fill": False, "linewidth": 1.2}


def _boxes(boxes: Sequence[Box], floor: float) -> tuple[Any, Any]:
    corners, codes = [], []
    for left, right, height in boxes:
        x, w, y, z = left * WIDTH, right * WIDTH, height * (HEIGHT - 1), floor * HEIGHT
        corners += [(x, z), (x, y), (w, y), (w, z), (x, z)]
        codes += [1, 2, 2, 2, 79]
    return corners, codes


def _lines(boxes: Sequence[Box]) -> tuple[Any, Any]:
    corners = [
        (x * WIDTH, height * (HEIGHT - 1)) for left, right, height in boxes for x in (left, right)
    ]
    return corners, [1, 2] * len(boxes)


def _steps(boxes: Sequence[Box]) -> tuple[Any, Any]:
    corners = [(boxes[0][0] * WIDTH, 0.0)]
    for left, right, height in boxes:
        y = height * (HEIGHT - 1)
        corners += [(left * WIDTH, y), (right * WIDTH, y)]
    corners.append((boxes[-1][1] * WIDTH, 0.0))
    return corners, [1, *(2 for _ in corners[1:])]


def bar(title: str, value: float, most: float, spread: float | None = None) -> Bars:
    """Return a horizontal bar of a value on a scale up to `most`, with its spread."""
    if not most > 0:
        return Bars(title)
    whisker = None
    if spread:
        whisker = (max(0.0, (value - spread) / most), min(1.0, (value + spread) / most))
    return Bars(title, [(0.0, max(value, 0.0) / most, 0.75)], whisker=whisker, floor=0.25)


def histogram(title: str, row: dict[str, Any], other: dict[str, Any] | None = None) -> Bars:
    """Return the histogram of a variable, with that of another session as outline.

    Args:
        title: the text alternative.
        row: the variable's row of `input_summary`.
        other: the same variable's row of another session.
    """
    levels = _levels(row)
    if levels is not None:
        names = list(levels)[:MOST_LEVELS]
        before = None if other is None else _levels(other)
        outline = _columns(before, names) if before else (None, None)
        return replace(_bars(title, *_columns(levels, names), *outline), apart=True)
    numbers, other_numbers = _discrete(row), None if other is None else _discrete(other)
    if numbers is not None and (other is None or other_numbers is not None):
        return _discrete_bars(title, numbers, other_numbers)
    bins = _bins(row)
    if bins is None:
        return Bars(title)
    other_bins = None if other is None else _bins(other)
    low, high = _range(row, bins[0])
    if other is not None and other_bins is not None:
        other_low, other_high = _range(other, other_bins[0])
        low, high = min(low, other_low), max(high, other_high)
    outline = _density(*other_bins, low, high) if other_bins else (None, None)
    return _bars(title, *_density(*bins, low, high), *outline)


def _bars(
    title: str,
    boxes: NDArray[np.float64],
    heights: NDArray[np.float64],
    other: NDArray[np.float64] | None = None,
    others: NDArray[np.float64] | None = None,
) -> Bars:
    most = max(float(heights.max(initial=0)), float(np.max(others)) if others is not None else 0)
    if not most > 0:
        return Bars(title)

    def scaled(sides: NDArray[np.float64], values: NDArray[np.float64]) -> list[Any]:
        return [
            (float(a), float(b), float(v / most)) for (a, b), v in zip(sides, values, strict=True)
        ]

    outline = [] if other is None or others is None else scaled(other, others)
    return Bars(title, scaled(boxes, heights), outline)


def _levels(row: dict[str, Any]) -> dict[str, int] | None:
    document = json.loads(row["bin_counts"]) if isinstance(row.get("bin_counts"), str) else {}
    levels = document.get("levels")
    return levels if isinstance(levels, dict) else None


def _columns(
    levels: dict[str, int], names: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total = sum(levels.values()) or 1
    count = max(len(names), 3)
    left = np.arange(len(names)) / count
    heights = np.array([levels.get(name, 0) / total for name in names])
    return np.c_[left + 0.08 / count, left + 0.92 / count], heights


def _discrete(row: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the values and shares of a variable with few distinct numbers, None for others."""
    if not isinstance(row.get("quantiles"), str) or not row.get("n"):
        return None
    quantiles, document = json.loads(row["quantiles"]), json.loads(row["bin_counts"])
    grid = quantiles.get("grid", ())
    if quantiles["kind"] != "numeric" or len(grid) < 2 or "grid_counts" not in document:
        return None
    counts = np.asarray(document["grid_counts"], dtype=np.float64)
    share = counts[1::2] / (counts.sum() or 1)
    occurs = share > 0  # quantiles interpolated between two values hold no row
    if share.sum() < DISCRETE or occurs.sum() < 2:
        return None
    return np.asarray(grid, dtype=np.float64)[occurs], share[occurs]


def _discrete_bars(
    title: str,
    numbers: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
) -> Bars:
    distinct = np.unique(np.concatenate([x[0] for x in (numbers, other) if x is not None]))
    low, span = float(distinct[0]), float(distinct[-1] - distinct[0])
    width = float(np.clip(0.8 * np.diff(distinct).min() / span, THINNEST, 0.2))

    def columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
        left = (values - low) / span * (1 - width)
        return np.asarray(np.c_[left, np.minimum(left + width, 1.0)])

    outline = (None, None) if other is None else (columns(other[0]), other[1])
    return replace(_bars(title, columns(numbers[0]), numbers[1], *outline), apart=True)


def _bins(row: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return edges and counts of the bins of a numeric or datetime variable."""
    if not isinstance(row.get("quantiles"), str) or not row.get("n"):
        return None
    quantiles, document = json.loads(row["quantiles"]), json.loads(row["bin_counts"])
    values = _doubles(quantiles.get("values", []))
    edges = _doubles(quantiles.get("edges", []))
    if not len(values):
        return None
    ends = np.r_[min(values[0], *edges[:1]), edges, max(values[-1], *edges[-1:])]
    return ends, np.asarray(document["counts"], dtype=np.float64)


def _doubles(values: Sequence[Any]) -> NDArray[np.float64]:
    if values and isinstance(values[0], str):
        plain = [text.removesuffix("+00:00") for text in values]
        return np.array(plain, dtype="datetime64[us]").astype(np.int64).astype(np.float64)
    return np.asarray(values, dtype=np.float64)


def _range(row: dict[str, Any], ends: NDArray[np.float64]) -> tuple[float, float]:
    """Return the visible range, without far tails that would squeeze the middle."""
    deciles = _doubles(json.loads(row["quantiles"])["values"])
    inner = deciles[min(9, len(deciles) - 1)] - deciles[min(1, len(deciles) - 1)]
    low = max(float(ends[0]), float(deciles[min(1, len(deciles) - 1)] - 1.5 * inner))
    high = min(float(ends[-1]), float(deciles[min(9, len(deciles) - 1)] + 1.5 * inner))
    return (low, high) if inner > 0 else (float(ends[0]), float(ends[-1]))


def _density(
    ends: NDArray[np.float64], counts: NDArray[np.float64], low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    span = (high - low) or 1.0
    sides = np.clip((ends - low) / span, 0, 1)
    if high == low:
        sides = np.linspace(0.4, 0.6, len(ends))
    boxes = np.c_[sides[:-1], sides[1:]]
    width = np.maximum(boxes[:, 1] - boxes[:, 0], THINNEST)
    thin = boxes[:, 1] - boxes[:, 0] < THINNEST
    centre = np.clip(boxes.mean(axis=1), THINNEST / 2, 1 - THINNEST / 2)
    boxes[thin] = np.c_[centre - THINNEST / 2, centre + THINNEST / 2][thin]
    share = counts / (counts.sum() or 1)
    return boxes, share / width
