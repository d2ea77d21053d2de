"""Draw charts with matplotlib as small inline SVGs that use the colours of the page."""

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
"""Inches of 72 units: legible at the width of a phone and at half a desktop page."""
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
    """A picture with its text alternative."""

    svg: str
    """The content of the `<svg>` element; safe, because matplotlib escapes its texts."""
    width: float
    height: float
    title: str
    description: str
    legend: tuple[tuple[str, str, str], ...] = ()
    """Role (`a`, `b`, `c`), style (`solid`, `dashed`, `dotted`) and name of each series."""
    caption: str = ""


@contextmanager
def drawing() -> Iterator[None]:
    """Use matplotlib with this page's settings, and restore those of the process afterwards.

    One thread at a time: matplotlib's settings are global to the process.
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
                "svg.fonttype": "none",  # text instead of outlines: smaller, in the page's font
                "svg.hashsalt": "mfprefect",
                "text.parse_math": False,
                "xtick.bottom": False,
                "xtick.labelcolor": stand_in("soft"),
                "xtick.major.pad": 7.0,  # keeps the labels of both axes apart in the corner
                "ytick.labelcolor": stand_in("soft"),
                "ytick.left": False,
            }
        )
        yield


def axes(height: float = HEIGHT, *, left: float = 0.8, bottom: float = 0.55) -> tuple[Figure, Axes]:
    """Return a figure and its axes; `left` and `bottom` leave room for labels, all in inches."""
    from matplotlib.figure import Figure

    width = WIDTH
    figure = Figure(figsize=(width, height))
    box = (left / width, bottom / height, 1 - (left + 0.2) / width, 1 - (bottom + 0.15) / height)
    return figure, figure.add_axes(box)


def picture(figure: Figure, **texts: Any) -> Picture:
    """Convert a figure to a picture with these texts; see the fields of `Picture`."""
    width, height = figure.get_size_inches() * 72
    return Picture(inner_svg(figure), float(width), float(height), **texts)


def inner_svg(figure: Figure) -> str:
    """Return the content of matplotlib's `<svg>` element, in colours that the page defines."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = _DROPPED.sub("", out.getvalue())
    body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    body = re.sub("<[^>]*>", _compact, body)
    body = re.sub(r'<g id="(?!strip)[^"]*">', "<g>", body)
    return re.sub(r"\s*\n\s*", " ", body).strip()


def _compact(tag: re.Match[str]) -> str:
    """Round the coordinates of a tag to one decimal and use the colours of the page."""
    text = _DECIMALS.sub(lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), tag[0])
    return _COLOUR.sub(lambda match: f"var(--{ROLES[int(match[1], 16)]})", text)
