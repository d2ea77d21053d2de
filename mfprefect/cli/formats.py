"""Values as text for people, and as JSON."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from typing import Any

from mfprefect.cli.escape import escape
from mfprefect.report.formats import duration, size
from mfprefect.util.json_rows import plain, records

__all__ = ["MISSING", "duration", "number", "plain", "records", "seconds_between", "show", "size"]

MISSING = "-"


def number(value: float) -> str:
    """Return a number with six significant digits, a whole number with all digits."""
    if isinstance(value, int):
        return str(value)
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}"


def show(value: Any, kind: str = "text") -> str:
    """Return a JSON value as text on one line; `kind` is a key of `_FORMATS`."""
    if value is None or value == "":
        return MISSING
    return _FORMATS[kind](value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number(value)
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _signed(value: float) -> str:
    return f"{value:+.6g}" if value else "0"


def _time(value: str) -> str:
    return value[:19].replace("T", " ")


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Return the seconds between two ISO 8601 instants, None if one is missing."""
    if start is None or end is None:
        return None
    return (dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(start)).total_seconds()


_FORMATS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "number": _text,
    "time": _time,
    "seconds": duration,
    "bytes": size,
    "signed": _signed,
}
