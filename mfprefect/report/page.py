"""Render a report with the HTML template."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Badge, Heading, Key, Sheet
from mfprefect.report.drawing import Picture
from mfprefect.report.drawing.palette import DARK, LIGHT
from mfprefect.report.formats import day, moment, present, visible
from mfprefect.report.sections.gates import current_stage
from mfprefect.report.sections.provenance import elapsed

if TYPE_CHECKING:
    import jinja2

    from mfprefect.report.content import SessionReport

__all__ = ["SHADES", "SYMBOLS", "render", "session_heading", "shade"]

ACTIVITIES = {
    "train": "training",
    "score": "scoring",
    "monitor": "monitoring",
    "adhoc": "run",
    "trial": "trial",
}
SYMBOLS = {"good": "\u2713", "warn": "!", "bad": "\u2715", "info": "i"}
SHADES = 20
"""Steps of the tint of a cell: strict policies allow classes, and no style of a cell's own."""


def session_heading(report: SessionReport) -> Heading:
    """Return the header and footer of a session's report."""
    row = report.session
    facts = {
        "started": moment(row["started_at"]),
        "took": elapsed(row),
        "data as of": day(row["as_of"]) if present(row["as_of"]) else "",
        "attempt": str(row["attempt"]) if row["attempt"] > 1 else "",
        "stage": current_stage(report.stages),
        "run by": str(row["run_by"]),
        "model owner": str(report.model["owner"]),
    }
    ended = row["ended_at"] if present(row["ended_at"]) else row["heartbeat_at"]
    return Heading(
        title=f"{row['model_id']}: {ACTIVITIES.get(report.purpose, report.purpose)}",
        subtitle=str(report.model["description"] or ""),
        facts=[(name, value) for name, value in facts.items() if value],
        footer=f"Session {row['session_id']}, as of {moment(ended)}.",
        link=report.run_url,
    )


def render(sheet: Sheet) -> str:
    """Render a sheet as HTML."""
    text: str = _environment().get_template("page.html").render(sheet=sheet, pictures=_Pictures())
    return text


class _Pictures:
    """Number the pictures of a page, so that the ids inside their SVGs stay distinct."""

    def __init__(self) -> None:
        self._count = 0

    def number(self) -> str:
        """Return the id prefix of the next picture."""
        self._count += 1
        return f"p{self._count}"


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mfprefect.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(light=LIGHT, dark=DARK, symbols=SYMBOLS, shades=SHADES)
    environment.filters.update(inner=_inner, shade=shade)
    environment.tests.update(badge=_is(Badge), key=_is(Key), picture=_is(Picture))
    return environment


def shade(share: float) -> int:
    """Return the step of a tint from 0 to 1."""
    return round(min(max(share, 0.0), 1.0) * SHADES)


def _is(kind: type[Any]) -> Any:
    return lambda value: isinstance(value, kind)


def _finalize(value: Any) -> Any:
    """Make hidden characters visible in all text; the report's own markup has none."""
    return visible(value) if type(value) is str else value


def _inner(picture: Picture, prefix: str) -> Any:
    """Return the SVG of a picture with prefixed ids."""
    import markupsafe

    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", picture.svg)
    return markupsafe.Markup(svg)  # noqa: S704 - drawn by matplotlib, which escapes its texts
