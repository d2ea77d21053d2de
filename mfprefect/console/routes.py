"""Which page a path leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from mfprefect.console import rendering
from mfprefect.console.answers import Answer
from mfprefect.console.logon import Right
from mfprefect.console.pages import (
    actions,
    audit,
    comparison,
    database,
    downloads,
    entity,
    experiments,
    model,
    openmetrics,
    operations,
    overview,
    promotion,
    session,
    sessions,
)
from mfprefect.console.params import Missing

__all__ = ["ROUTES", "Match", "Route", "find"]

GET = ("GET", "HEAD")
POST = ("POST",)


@dataclass(frozen=True)
class Route:
    """A page."""

    pattern: tuple[str, ...]
    """Segments of its path; `<name>` matches any one."""
    handler: Callable[[Any], Answer]
    right: Right = Right.READ
    methods: Sequence[str] = GET


@dataclass(frozen=True)
class Match:
    """A page, and the variable parts of its path."""

    route: Route
    parts: Mapping[str, str]
    segments: Sequence[str]


def _route(path: str, handler: Any, right: Right = Right.READ, *, post: bool = False) -> Route:
    pattern = tuple(segment for segment in path.split("/") if segment)
    return Route(pattern, handler, right, POST if post else GET)


ROUTES = (
    _route("/", overview.page),
    _route("/models/<model>", model.page),
    _route("/models/<model>/sessions", sessions.page),
    _route("/models/<model>/experiments", experiments.page),
    _route("/models/<model>/report", downloads.model_report),
    _route("/sessions", sessions.page),
    _route("/sessions/<session>", session.page),
    _route("/sessions/<session>/report", downloads.session_report),
    _route("/sessions/<session>/artifacts/<name>", downloads.artifact),
    _route("/sessions/<session>/files/<name>", downloads.file),
    _route("/compare", comparison.page),
    _route("/scores/<model>", entity.page, Right.LOOK_UP),
    _route("/promote/<model>", promotion.page),
    _route("/audit", audit.page, Right.AUDIT),
    _route("/operations", operations.page),
    _route("/database", database.page, Right.AUDIT),
    _route("/metrics", openmetrics.page),
    _route("/do/promote/<model>", actions.promote, Right.DEPLOY, post=True),
    _route("/do/rollback/<model>", actions.rollback, Right.DEPLOY, post=True),
    _route("/do/retire/<model>", actions.retire, Right.DEPLOY, post=True),
    _route("/do/threshold/<model>", actions.threshold, Right.DEPLOY, post=True),
    _route("/do/verify", actions.verify, Right.VERIFY, post=True),
    _route("/do/measure", actions.measure, Right.AUDIT, post=True),
)
"""All pages. Whatever changes something is below `/do`, and takes POST alone."""


def find(path: str) -> Match | Answer:
    """Return the page of a path, as it was sent, or a file of the pages.

    Raises:
        Missing: there is none.
    """
    if path.startswith("/static/"):
        return _static(path.removeprefix("/static/"))
    raw = path.strip("/")
    segments = [unquote(part, errors="replace") for part in raw.split("/")] if raw else []
    for route in ROUTES:
        if len(route.pattern) == len(segments) and (parts := _parts(route, segments)) is not None:
            return Match(route, parts, segments)
    raise Missing("There is no such page.")


def _parts(route: Route, segments: Sequence[str]) -> dict[str, str] | None:
    parts = {}
    for wanted, segment in zip(route.pattern, segments, strict=True):
        if wanted.startswith("<"):
            parts[wanted[1:-1]] = segment
        elif wanted != segment:
            return None
    return parts


def _static(name: str) -> Answer:
    for file, address in rendering.static_names().items():
        if address == name:
            media, content = rendering.static_files()[file]
            headers = {"cache-control": "public, max-age=31536000, immutable"}
            return Answer(content, media, headers=headers)
    raise Missing("There is no such file.")
