"""`mfprefect.toml`: which file is in force, and what it says."""

from __future__ import annotations

import os
import re
import tomllib
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from mfprefect.errors import ConfigurationError
from mfprefect.util.ownership import other_writers

__all__ = ["CONFIG_FILE", "PREFIX", "find_config", "read_config"]

CONFIG_FILE = "mfprefect.toml"
# Not :memory:, file: URIs, drives of Windows, and what begins with a reference to a variable.
_RELATIVE_SQLITE = re.compile(
    r"(?P<driver>sqlite(\+\w+)?):///(?P<path>(?!:memory:|file:|\$\{|[A-Za-z]:[\\/])[^/?].*)", re.S
)
PREFIX = "MFPREFECT_"
"""How the names of environment variables begin."""


def find_config() -> Path | None:
    """Return the file of the settings, or None.

    `MFPREFECT_CONFIG`, or the nearest mfprefect.toml from this folder up to the repository's root;
    outside a repository, up to a folder that another user can write.

    Raises:
        ConfigurationError: `MFPREFECT_CONFIG` names no file, or somebody else could have written
            the file that was found.
    """
    configured = os.environ.get(f"{PREFIX}CONFIG")
    if configured:
        if not Path(configured).is_file():
            raise ConfigurationError(f"{PREFIX}CONFIG names {configured!r}, which is not a file.")
        return Path(configured)
    path = next((f / CONFIG_FILE for f in _folders() if (f / CONFIG_FILE).is_file()), None)
    if path is not None and (reason := other_writers(path)):
        raise ConfigurationError(
            f"{path} is not read, because it {reason}: it could send your passwords to another "
            f"server. If you trust it, set {PREFIX}CONFIG to its path; otherwise make it yours "
            "(chown, chmod go-w), or work in another folder."
        )
    return path


def _folders() -> list[Path]:
    """Return this folder and those above it, up to the root of the repository around it.

    Outside a repository, up to the first that another user can write, such as /tmp. None above one
    that this user may not look into: it may be the root of a repository.
    """
    here = Path.cwd()
    effective = os.access in os.supports_effective_ids
    may_enter = partial(os.access, mode=os.X_OK, effective_ids=effective)
    folders = list(takewhile(may_enter, (here, *here.parents)))
    for number, folder in enumerate(folders):
        if (folder / ".git").exists() or (folder / ".hg").exists():
            return folders[: number + 1]
    return [*folders[:1], *takewhile(lambda folder: other_writers(folder) is None, folders[1:])]


def read_config(path: Path, profile: str | None) -> dict[str, Any]:
    """Return the settings of a file; the profile overrides the top level."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not valid TOML: {exc}.") from exc
    profiles = values.pop("profiles", {})
    profile = profile or values.get("profile")
    values.pop("profile", None)
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise ConfigurationError(f"profiles in {path} must be tables: [profiles.name].")
    if profile is not None and profile not in list(profiles):
        names = ", ".join(profiles) or "none"
        raise ConfigurationError(
            f"unknown profile {profile!r} in {path}; its profiles: {names}. "
            f"Set {PREFIX}PROFILE to one of them, or unset it."
        )
    merged = _merge(values, profiles.get(profile, {}))
    _place_files(merged, path.absolute().parent)
    return merged if profile is None else {"environment": profile, **merged}


def _place_files(values: dict[str, Any], folder: Path) -> None:
    """Make the paths of SQLite URLs relative to the file's folder, wherever a run starts."""
    tables = (values.get(name) for name in ("sources", "exports"))
    named = (entry for table in tables if isinstance(table, dict) for entry in table.values())
    for entry in (values, *named):
        if isinstance(entry, dict) and isinstance(url := entry.get("url"), str):
            entry["url"] = _placed(url, folder)


def _placed(url: str, folder: Path) -> str:
    match = _RELATIVE_SQLITE.fullmatch(url)
    if match is None:
        return url
    # Not more than necessary: SQLAlchemy 2.1 decodes the path, 2.0 does not.
    place = folder.as_posix()
    for sign in ("%", "?", "$"):
        place = place.replace(sign, f"%{ord(sign):02X}")
    return f"{match['driver']}:///{place}/{match['path']}"


def _merge(top_level: dict[str, Any], profile: dict[str, Any]) -> dict[str, Any]:
    """Override the top level by a profile, table by table."""
    merged = dict(profile)
    for table in ("sources", "notify", "exports", "retention", "verify_keys"):
        if isinstance(top_level.get(table), dict) and isinstance(merged.get(table), dict):
            merged[table] = {**top_level[table], **merged[table]}
    if isinstance(top_level.get("drift"), dict) and isinstance(merged.get("drift"), dict):
        models = [x.get("models", {}) for x in (top_level["drift"], merged["drift"])]
        merged["drift"] = {**top_level["drift"], **merged["drift"]}
        if all(isinstance(x, dict) for x in models) and any(models):
            merged["drift"]["models"] = {**models[0], **models[1]}
    return {**top_level, **merged}
