"""A static export: the overview, models and their last reports as plain files.

For an intranet or an object store: nothing runs, nothing is asked for, and links lead to what was
exported alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfprefect.console import rendering
from mfprefect.console.application import Console
from mfprefect.console.logon import Person, Role
from mfprefect.console.options import ConsoleOptions
from mfprefect.console.page import Page
from mfprefect.console.pages import model as model_page
from mfprefect.console.pages import overview
from mfprefect.console.params import Params
from mfprefect.store import Store
from mfprefect.store.browse.overview import ModelState, model_states
from mfprefect.util.files import atomic_file

__all__ = ["SitePage", "write_site"]

READER = Person("site", Role.VIEWER, "proxy")


@dataclass
class SitePage(Page):
    """A page of the export: it links what was exported, by relative addresses."""

    up: str = ""
    """What leads from its folder to the root."""
    targets: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    """Files by the segments of the console's paths."""
    site: bool = True

    def url(self, *segments: str, **query: Any) -> str:
        """Return the file of a page; empty, for no link, if it was not exported."""
        target = self.targets.get(segments)
        return "" if target is None or query else self.up + target


def write_site(store: Store, folder: Path) -> list[Path]:
    """Write the export into a folder; files of the same names are replaced, one by one.

    Args:
        store: what to read.
        folder: made if it is missing; other files in it stay.

    Returns:
        The written files.

    Raises:
        ConfigurationError: the extra `console` is not installed.
        OSError: a file cannot be written.
    """
    console = Console(store, ConsoleOptions())
    states = model_states(store.database)
    reports = {
        session_id: f"reports/{_file(session_id)}"
        for state in states
        for session_id in _sessions(state)
    }
    targets: dict[tuple[str, ...], str] = {("",): "index.html"}
    targets |= {("sessions", session_id): file for session_id, file in reports.items()}
    targets |= {("models", x.model_id): f"models/{_file(x.model_id)}" for x in states}
    written = [*_static(folder), *_reports(store, folder, reports)]

    def page(up: str, *path: str) -> SitePage:
        parts = {"model": path[1]} if len(path) > 1 else {}
        reads = (console, store, READER, parts, Params(""), path)
        return SitePage(*reads, up=up, targets=targets)

    written.append(_write(folder / "index.html", overview.page(page("")).body))
    for state in states:
        answer = model_page.page(page("../", "models", state.model_id))
        written.append(_write(folder / targets["models", state.model_id], answer.body))
    return written


def _sessions(state: ModelState) -> Iterator[str]:
    """Yield the sessions of a model whose reports are exported."""
    rows = (state.production, state.candidate, state.scoring, state.monitoring)
    yield from dict.fromkeys(str(row["session_id"]) for row in rows if row is not None)


def _reports(store: Store, folder: Path, reports: Mapping[str, str]) -> Iterator[Path]:
    for session_id, file in reports.items():
        yield _write(folder / file, store.report(session_id).encode("utf-8", "replace"))


def _static(folder: Path) -> Iterator[Path]:
    for name, (_, content) in rendering.static_files().items():
        yield _write(folder / "static" / name, content)


def _file(name: str) -> str:
    """Return a file name for an id, which may hold anything."""
    plain = re.sub(r"[^0-9A-Za-z_-]+", "-", name).strip("-")[:80]
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}.html"


def _write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, force=True) as file:
        file.write(content)
    return path
