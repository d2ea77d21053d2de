"""Pictures by matplotlib as small pieces of SVG that stand in a page and take its colours."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mfprefect.report.drawing.palette import ROLES, stand_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Picture", "axes", "drawing", "inner_svg", "picture"]

WIDTH, HEIGHT = 5.0, 3.5
"""Inches of 72 units: what fills a phone, and half of a desktop's page, at a legible size."""
FONT = 11
_lock = threading.Lock()
_DROPPED = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>"
    r"|font-family: [^;\"]*;? ?| transform=\"rotate\(-?0 [^)]*\)\"|<defs>\s*</defs>",
    re.DOTALL,
)
_DECIMALS = re.compile(r"-?\d+\.\d{2,}")
_COLOUR = re.compile(r"#00fe([0-9a-f]{2})")


@dataclass(frozen=True)
class Picture:
    """A picture with what stands in its place for those who do not see it."""

    svg: str
    """What is inside the `<svg>` element; ours, and safe."""
    width: float
    height: float
    title: str
    description: str
    legend: tuple[tuple[str, str, str], ...] = ()
    """Role (`a`, `b`, `c`), style (`solid`, `dashed`, `dotted`) and name of each series."""
    caption: str = ""


@contextmanager
def drawing() -> Iterator[None]:
    """Give matplotlib its own defaults, whatever the process has set, and set that back.

    One thread at a time: matplotlib's settings are the process's.
    """
    import matplotlib

    with _lock, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "axes.edgecolor": stand_in("line"),
                "axes.facecolor": "none",
                "axes.labelcolor": stand_in("soft"),
                "axes.spines.right": False,
                "axes.spines.top": False,
                "figure.facecolor": "none",
                "font.size": FONT,
                "grid.color": stand_in("line"),
                "svg.fonttype": "none",  # text stays text: smaller, and the reader's own font
                "svg.hashsalt": "mfprefect",
                "text.parse_math": False,
                "xtick.bottom": False,
                "xtick.labelcolor": stand_in("soft"),
                "xtick.major.pad": 7.0,  # or the labels of both axes touch in the corner
                "ytick.labelcolor": stand_in("soft"),
                "ytick.left": False,
            }
        )
        yield


def axes(height: float = HEIGHT, *, left: float = 0.8, bottom: float = 0.55) -> tuple[Figure, Axes]:
    """Return a figure and its axes; `left` and `bottom` are the labels' room, all in inches."""
    from matplotlib.figure import Figure

    width = WIDTH
    figure = Figure(figsize=(width, height))
    box = (left / width, bottom / height, 1 - (left + 0.2) / width, 1 - (bottom + 0.15) / height)
    return figure, figure.add_axes(box)


def picture(figure: Figure, **words: Any) -> Picture:
    """Return a figure as a picture; see its fields."""
    width, height = figure.get_size_inches() * 72
    return Picture(inner_svg(figure), float(width), float(height), **words)


def inner_svg(figure: Figure) -> str:
    """Return what matplotlib draws, without the envelope, in colours that the page defines."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawn = _DROPPED.sub("", out.getvalue())
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")]
    body = re.sub("<[^>]*>", _shorter, body)
    body = re.sub(r'<g id="(?!strip)[^"]*">', "<g>", body)
    return re.sub(r"\s*\n\s*", " ", body).strip()


def _shorter(tag: re.Match[str]) -> str:
    """Return a tag with coordinates of one decimal, in colours of the page."""
    text = _DECIMALS.sub(lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), tag[0])
    return _COLOUR.sub(lambda match: f"var(--{ROLES[int(match[1], 16)]})", text)
