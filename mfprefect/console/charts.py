"""Charts of the console: small SVGs without styles of their own, which a strict policy allows.

Drawn here and not by matplotlib: a page draws them on each request.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mfprefect.report.drawing import Picture
from mfprefect.report.formats import brief

__all__ = ["Point", "Series", "line_chart", "scatter_chart"]

WIDTH, HEIGHT = 460.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 14.0, 12.0, 26.0
ROLES = ("a", "b", "c", "good", "warn", "info")
DASHES = {"solid": "", "dashed": "6 3", "dotted": "2 2"}
MOST_MARKERS = 80


@dataclass(frozen=True)
class Point:
    """A point of a series."""

    x: float
    y: float
    label: str
    """What a reader sees on pointing at it."""


@dataclass(frozen=True)
class Series:
    """A line of a chart."""

    name: str
    points: Sequence[Point]
    role: str = "a"
    style: str = "solid"


def line_chart(
    title: str,
    series: Sequence[Series],
    ends: tuple[str, str],
    caption: str = "",
    limits: tuple[float, float] | None = None,
) -> Picture | None:
    """Draw lines over a shared axis; None without a finite point.

    Args:
        title: the title of the chart.
        series: lines, whose points are sorted by x.
        ends: the texts of the first and the last x.
        caption: a sentence below it.
        limits: of the axis of values; by default those of the values, with some room.
    """
    finite = [
        Series(s.name, [p for p in s.points if math.isfinite(p.y)], s.role, s.style) for s in series
    ]
    finite = [s for s in finite if s.points]
    if not finite:
        return None
    points = [point for line in finite for point in line.points]
    scale = _Scale(points, limits)
    body = [*_grid(scale), *(_line(line, scale) for line in finite), *_ends(ends)]
    first, last = finite[0].points[0].y, finite[0].points[-1].y
    values = [point.y for point in points]
    description = f"One value of {finite[0].name}: {brief(first)}."
    if len(values) > 1:
        description = (
            f"{len(finite[0].points)} values of {finite[0].name}, from {brief(first)} to "
            f"{brief(last)}; the lowest of all is {brief(min(values))}, the highest "
            f"{brief(max(values))}."
        )
    legend = tuple((s.role, s.style, s.name) for s in finite) if len(finite) > 1 else ()
    return Picture("".join(body), WIDTH, HEIGHT, title, description, legend, caption)


def scatter_chart(title: str, points: Sequence[Point], names: tuple[str, str]) -> Picture | None:
    """Draw one figure against another; None without a finite pair.

    Args:
        title: the title of the chart.
        points: the pairs.
        names: of the axis to the right, and of the one upwards.
    """
    finite = [p for p in points if math.isfinite(p.x) and math.isfinite(p.y)]
    if not finite:
        return None
    scale = _Scale(finite, None)
    ends = (f"{_short(scale.low_x)} {names[0]}", _short(scale.high_x))
    marks = [_mark(point, (scale.x(point.x), scale.y(point.y)), "a") for point in finite]
    best = max(finite, key=lambda point: point.y)
    description = (
        f"{len(finite)} sessions by {names[0]}, and upwards {names[1]}: from "
        f"{brief(min(p.y for p in finite))} to {brief(best.y)}, the highest at {brief(best.x)}."
    )
    body = [*_grid(scale), *marks, *_ends(ends)]
    return Picture("".join(body), WIDTH, HEIGHT, title, description)


class _Scale:
    """Maps values to the picture."""

    def __init__(self, points: Sequence[Point], limits: tuple[float, float] | None) -> None:
        xs, ys = [p.x for p in points], [p.y for p in points]
        self.low_x, self.high_x = min(xs), max(xs)
        low, high = min(ys), max(ys)
        # Spreads of very large numbers overflow; halves do not.
        room = (high / 2 - low / 2) * 0.16 or abs(high) * 0.05 or 0.5
        self.low, self.high = limits or (_finite(low - room), _finite(high + room))
        self.places = (0, 2, 4) if limits else (0.5, 2, 3.5)

    def x(self, value: float) -> float:
        span = self.high_x - self.low_x
        share = (value - self.low_x) / span if span else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        span = self.high / 2 - self.low / 2
        share = (value / 2 - self.low / 2) / span if span else 0.5
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def ticks(self) -> list[float]:
        """Return three values that the axis names."""
        step = self.high / 4 - self.low / 4
        return [self.low + step * at for at in self.places]


def _finite(value: float) -> float:
    return max(min(value, 1.7e308), -1.7e308)


def _grid(scale: _Scale) -> list[str]:
    parts = []
    for value in scale.ticks():
        y = scale.y(value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="var(--line)"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" '
            f'font-size="11">{_text(_short(value))}</text>'
        )
    return parts


def _short(value: float) -> str:
    return brief(float(f"{value:.3g}"))


def _line(series: Series, scale: _Scale) -> str:
    places = [(scale.x(p.x), scale.y(p.y)) for p in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dashes = DASHES[series.style]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    line = (
        f'<polyline points="{path}" fill="none" stroke="var(--{series.role})" '
        f'stroke-width="2"{dashed}/>'
    )
    if len(places) > MOST_MARKERS:
        return line
    marks = zip(series.points, places, strict=True)
    return line + "".join(_mark(point, place, series.role) for point, place in marks)


def _mark(point: Point, place: tuple[float, float], role: str) -> str:
    x, y = place
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="var(--{role})">'
        f"<title>{_text(point.label)}</title></circle>"
    )


def _ends(ends: tuple[str, str]) -> list[str]:
    y = HEIGHT - 6
    return [
        f'<text x="{LEFT}" y="{y}" font-size="11">{_text(ends[0])}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end" font-size="11">'
        f"{_text(ends[1])}</text>",
    ]


def _text(value: str) -> str:
    from mfprefect.report.formats import visible

    return html.escape(visible(value))
