"""How the backend of a URL is found: by entry point, loaded on first use."""

from __future__ import annotations

import functools
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mfprefect.backend.base import Backend
from mfprefect.errors import BackendNotFound, ConfigurationError
from mfprefect.settings import Settings

__all__ = ["ENTRY_POINT_GROUP", "backend_for", "installed_backends", "parse_url"]

ENTRY_POINT_GROUP = "mfprefect.backends"


# Cached by sys.path: it reads the metadata of every installed package.
@functools.lru_cache(maxsize=1)
def _entry_points(_: tuple[str, ...]) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def installed_backends() -> list[str]:
    """Return the names that a URL can start with."""
    return sorted(_entry_points(tuple(sys.path)))


def parse_url(text: str) -> URL:
    """Return the parsed URL; refuse a malformed one without showing it, or its password."""
    try:
        url = make_url(text)
        text.encode()
    except (ArgumentError, ValueError):
        url = None
    if url is None or "\0" in text or "@" in (url.host or ""):  # an unencoded @ in the password
        # Outside the except block: the cause could show part of the password in the traceback.
        raise ConfigurationError(
            "the database URL is malformed (not shown: it may hold a password); it has the form "
            "postgresql://user:password@host:5432/database, with special characters of the "
            "password percent-encoded, or sqlite:///file.db. It comes from the argument, "
            "MFPREFECT_URL or mfprefect.toml."
        )
    return url


def backend_for(settings: Settings) -> Backend:
    """Return the backend of the settings' URL, loading no other backend's module.

    Raises:
        ConfigurationError: the URL is malformed.
        BackendNotFound: no backend is installed for it, or the backend's driver is missing.
    """
    url = parse_url(settings.url.get_secret_value())
    scheme = url.get_backend_name()
    point = _entry_points(tuple(sys.path)).get(scheme)
    if point is None:
        raise BackendNotFound(
            f"no backend for {scheme!r} URLs; installed: {', '.join(installed_backends())}. "
            f"A package for {scheme!r} registers an entry point of that name in the group "
            f"{ENTRY_POINT_GROUP!r}; `pip install 'mfprefect[all]'` installs the drivers of our "
            "backends, except Teradata's."
        )
    try:
        kind: type[Backend] = point.load()
    except ModuleNotFoundError as exc:
        name = str(exc.name).partition(".")[0]
        raise BackendNotFound(
            f"the backend for {scheme!r} URLs needs the package {name!r}, which is not "
            "installed; docs/databases.md names the extra that installs it."
        ) from exc
    if importlib.util.find_spec(kind.driver) is None:
        raise BackendNotFound(
            f"the {kind.name} backend needs the driver {kind.driver!r}, which is not installed; "
            f"pip install 'mfprefect[{kind.name}]'."
        )
    return kind(url, settings)
