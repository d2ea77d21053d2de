"""Time zones by name."""

from __future__ import annotations

import datetime as dt
import os
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

__all__ = ["Zone", "local_day", "zone_of"]


def zone_of(name: str) -> ZoneInfo | None:
    """Return a zone by its IANA name, None if there is no such zone."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # malformed, a folder, unknown
        return None


def _checked(name: str) -> str:
    if zone_of(name) is None:
        raise ValueError("no such time zone; use a name such as Europe/Berlin or UTC")
    return name


Zone = Annotated[str, AfterValidator(_checked)]
"""A field of settings that names a time zone."""


def local_day(now: dt.datetime) -> dt.date:
    """Return the day of a moment in the zone of `TZ`, which may have any form that libc reads."""
    if not (name := os.environ.get("TZ", "").removeprefix(":")):
        return now.astimezone(dt.UTC).date()
    # None is libc's own reading, of a file's path or of a rule such as NZST-12NZDT.
    return now.astimezone(zone_of(name)).date()
