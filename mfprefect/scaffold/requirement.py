"""How a new repository installs mfprefect: from where this installation came.

A bare `mfprefect` is never written: on an index that lacks this package, anybody could register the
name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mfprefect.backend import ENTRY_POINT_GROUP, parse_url
from mfprefect.provenance import strip_credentials

__all__ = ["FILL_IN", "Requirement", "driver_extra", "installed_requirement"]

FILL_IN = "git+https://fill-in.invalid/mfprefect.git@COMMIT"
"""Nobody can register a host under `.invalid` (RFC 2606), so pip fails here and names it."""
_MARKERS = (("dir_info", "this folder"), ("archive_info", "this file"))


@dataclass(frozen=True)
class Requirement:
    """A line of requirements.txt, and what people need to know about it."""

    line: str
    note: str
    """One sentence; empty for a pinned URL that every machine can reach."""
    complete: bool = True
    """Whether pip can install the line; False: somebody must fill it in."""


def installed_requirement(extras: Iterable[str]) -> Requirement:
    """Return the line that installs this mfprefect with these extras.

    pip and uv note the origin of what they install from a URL or a path (PEP 610). Without such a
    note the line has a place to fill in.
    """
    name = f"mfprefect[{','.join(sorted(set(extras)))}]"
    origin = _origin()
    url = _url(origin)
    if url is None:
        note = (
            f"it is unknown where mfprefect was installed from: replace {FILL_IN} by the URL of "
            "its repository and a commit, or by the path of a wheel."
        )
        return Requirement(f"{name} @ {FILL_IN}", note, complete=False)
    return Requirement(f"{name} @ {url}", _note(origin))


def driver_extra(url: str) -> str | None:
    """Return the extra with the driver of a URL's database; None if it needs none of ours.

    Raises:
        ConfigurationError: the URL is malformed.
    """
    scheme = parse_url(url).get_backend_name()
    modules = {
        point.module.rpartition(".")[2]
        for point in metadata.entry_points(group=ENTRY_POINT_GROUP, name=scheme)
    }
    extras = metadata.metadata("mfprefect").get_all("Provides-Extra") or ()
    return next(iter(modules.intersection(extras)), None)


def _origin() -> dict[str, Any]:
    """Return `direct_url.json` of this installation, {} without one."""
    try:
        text = metadata.distribution("mfprefect").read_text("direct_url.json")
        origin = json.loads(text or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    return origin if isinstance(origin, dict) and isinstance(origin.get("url"), str) else {}


def _url(origin: dict[str, Any]) -> str | None:
    """Return the URL to install from, None if it is unknown or no longer there."""
    if not origin or _is_gone(origin["url"]):
        return None
    url = strip_credentials(origin["url"])
    vcs = origin.get("vcs_info")
    if isinstance(vcs, dict):
        # pip refuses a requirement `git+file:///..`: its URL names no host.
        url = re.sub(r"^file:///", "file://localhost/", url)
        url = f"{vcs.get('vcs', 'git')}+{url}@{vcs['commit_id']}" if vcs.get("commit_id") else ""
    if not re.fullmatch(r"\S+://\S+", url):
        return None
    fragments = [_sha256(origin), _subdirectory(origin)]
    return "#".join(filter(None, [url, "&".join(filter(None, fragments))]))


def _is_gone(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "file" and not Path(url2pathname(parts.path)).exists()


def _sha256(origin: dict[str, Any]) -> str:
    info = origin.get("archive_info") or {}
    digest = (info.get("hashes") or {}).get("sha256", "")
    return f"sha256={digest}" if re.fullmatch(r"[0-9a-f]{64}", str(digest)) else ""


def _subdirectory(origin: dict[str, Any]) -> str:
    folder = str(origin.get("subdirectory") or "")
    return f"subdirectory={folder}" if folder else ""


def _note(origin: dict[str, Any]) -> str:
    if not origin["url"].startswith("file:"):
        return ""
    what = next((text for key, text in _MARKERS if key in origin), "this local repository")
    return (
        f"other machines, CI and workers do not have {what}: for them, name a git URL with a "
        "commit, or commit a wheel and name its path in this repository."
    )
