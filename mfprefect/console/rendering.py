"""Templates: the console's own, and the blocks and styles of the report."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import jinja2
import markupsafe

from mfprefect.console.listing import Check, Link, When
from mfprefect.console.logon import Right
from mfprefect.report.blocks import Badge, Key
from mfprefect.report.drawing import Picture
from mfprefect.report.drawing.palette import DARK, LIGHT
from mfprefect.report.formats import brief, duration, number, percent, size, visible
from mfprefect.report.page import SHADES, SYMBOLS, shade

__all__ = ["Pictures", "environment", "pieces", "static_files"]

MARK = "\0"
"""What a template writes where the reader should get what is there so far."""
STYLE = re.compile(r' style="([^"]*)"')


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates, with what they need."""
    templates = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("mfprefect.console"),
                jinja2.PrefixLoader({"report": jinja2.PackageLoader("mfprefect.report")}),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals.update(light=LIGHT, dark=DARK, symbols=SYMBOLS, flush=MARK, shades=SHADES)
    templates.globals.update(static=static_names, places=places, current=current)
    templates.filters.update(
        inner=_inner, brief=brief, number=number, percent=percent, size=size, duration=duration
    )
    templates.filters["shade"] = shade
    templates.tests.update(
        badge=_is(Badge), key=_is(Key), picture=_is(Picture), link=_is(Link), when=_is(When)
    )
    templates.tests.update(several=_is(tuple), check=_is(Check))
    return templates


def _is(kind: type[Any]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _finalize(value: Any) -> Any:
    """Make hidden characters visible in all text, but for our mark."""
    return visible(value) if type(value) is str and value != MARK else value


def places(page: Any) -> list[tuple[str, str]]:
    """Return the pages that a person can begin with: name and path."""
    shown = [("Models", "/"), ("Sessions", "/sessions"), ("Operations", "/operations")]
    if page.may(Right.AUDIT):
        shown += [("Audit", "/audit"), ("Database", "/database")]
    return shown


def current(page: Any, path: str) -> bool:
    """Return whether a page is the one that a path leads to, or below it."""
    first = page.path[0] if page.path else ""
    if path == "/":
        return first in ("", "models", "promote", "scores")
    return path == f"/{first}" or (path == "/sessions" and first == "compare")


class Pictures:
    """Number the pictures of a page, so that the ids inside their SVGs stay distinct."""

    def __init__(self) -> None:
        self._count = 0

    def number(self) -> str:
        """Return the id prefix of the next picture."""
        self._count += 1
        return f"p{self._count}"


def _inner(picture: Picture, prefix: str) -> markupsafe.Markup:
    """Return the SVG of a picture with prefixed ids, and attributes in place of styles."""
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", picture.svg)
    return markupsafe.Markup(STYLE.sub(_attributes, svg))  # noqa: S704 - drawn by us


def _attributes(style: re.Match[str]) -> str:
    """Return a style as presentation attributes, which a policy without inline styles allows."""
    pairs = (pair.partition(":") for pair in style[1].split(";"))
    return "".join(f' {k.strip()}="{v.strip()}"' for k, _, v in pairs if v.strip())


def pieces(template: jinja2.Template, **values: Any) -> Iterator[str]:
    """Yield the text of a template, up to each `{{ flush }}` and to its end."""
    waiting: list[str] = []
    for text in template.generate(**values):
        head, mark, tail = text.partition(MARK)
        waiting.append(head)
        if mark:
            yield "".join(waiting)
            waiting = [tail]
    yield "".join(waiting)


@functools.cache
def static_files() -> dict[str, tuple[str, bytes]]:
    """Return the media type and content of each file, by its name."""
    style = environment().get_template("console.css").render(light=LIGHT, dark=DARK, shades=SHADES)
    from importlib.resources import files

    script = files("mfprefect.console").joinpath("static", "console.js").read_bytes()
    icon = files("mfprefect.console").joinpath("static", "icon.svg").read_bytes()
    return {
        "console.css": ("text/css; charset=utf-8", style.encode()),
        "console.js": ("text/javascript; charset=utf-8", script),
        "icon.svg": ("image/svg+xml", icon),
    }


@functools.cache
def static_names() -> dict[str, str]:
    """Return the address of each file below `static/`: it changes with the content."""
    return {
        name: f"{hashlib.sha256(content).hexdigest()[:12]}/{name}"
        for name, (_, content) in static_files().items()
    }
