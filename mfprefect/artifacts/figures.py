"""Figures of matplotlib and plotly as the bytes of a file.

Neither library is imported: who passes a figure has done so.
"""

from __future__ import annotations

import io
from pathlib import PurePath
from typing import Any

from mfprefect.errors import InvalidValue

__all__ = ["figure_file"]

_MATPLOTLIB, _PLOTLY = (".png",), (".html", ".json")
"""The endings that a figure can have; the first one by default."""
_PICTURES = (".gif", ".jpeg", ".jpg", ".pdf", ".ps", ".svg", ".tiff", ".webp")


def figure_file(figure: Any, name: str) -> tuple[str, bytes]:
    """Return name and content of a figure's file; the same figure gives the same bytes.

    Args:
        figure: of matplotlib, also an Axes or what seaborn returns, or of plotly.
        name: the file's name; without one of the endings, that of the figure's kind is added.

    Raises:
        InvalidValue: it is no figure, or the name has the ending of another kind of file.
    """
    if hasattr(figure, "to_html") and hasattr(figure, "to_plotly_json"):
        name = _with_ending(name, _PLOTLY)
        return name, _plotly(figure, name)
    # Also an Axes, its container, and seaborn's grids.
    drawing = figure if hasattr(figure, "savefig") else getattr(figure, "figure", None)
    if not hasattr(drawing, "savefig"):
        raise InvalidValue(
            f"a {type(figure).__name__} is no figure; pass one of matplotlib or plotly, or store a "
            "picture that you have made with log_file."
        )
    return _with_ending(name, _MATPLOTLIB), _matplotlib(drawing)


def _with_ending(name: str, endings: tuple[str, ...]) -> str:
    if name.lower().endswith(endings):
        return name
    ending = PurePath(name).suffix.lower()
    if ending in {*_PICTURES, *_MATPLOTLIB, *_PLOTLY}:
        raise InvalidValue(
            f"the figure's name {name!r} ends in {ending}; this kind of figure is stored as "
            f"{' or '.join(endings)}."
        )
    return name + endings[0]


def _matplotlib(figure: Any) -> bytes:
    file = io.BytesIO()
    # The version of matplotlib would be in the file, and say nothing of the figure.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _plotly(figure: Any, name: str) -> bytes:
    if name.lower().endswith(".json"):
        text = figure.to_json()
    else:
        # With plotly.js inside, which loads nothing; and an id that is not a random one.
        text = figure.to_html(include_plotlyjs=True, full_html=True, div_id="figure")
    return bytes(text.encode())
