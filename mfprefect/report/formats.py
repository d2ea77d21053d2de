"""Format values for readers of a report."""

from __future__ import annotations

import datetime as dt
import json
import math
import unicodedata
from typing import Any

__all__ = [
    "MISSING",
    "brief",
    "change",
    "day",
    "duration",
    "moment",
    "number",
    "percent",
    "present",
    "size",
    "text",
    "visible",
]

MISSING = "\u2013"
MOST_CHARACTERS = 2_000
_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}
# These reverse the direction of all text after them, including the report's own.
_BIDIRECTIONAL = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(value: str) -> str:
    """Replace hidden characters by U+FFFD, except line ends and tabs."""
    if value.isascii() and value.isprintable():
        return value
    return "".join(_visible_character(character) for character in value)


def _visible_character(character: str) -> str:
    if character in "\n\t":
        return character
    hidden = character in _BIDIRECTIONAL or unicodedata.category(character) in _HIDDEN
    return "\ufffd" if hidden else character


def present(value: Any) -> bool:
    """Say whether a value is present: not None, NaN, NaT or an empty text."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return False
    return bool(value == value and value != "")


def number(value: Any) -> str:
    """Format a number for a table column: four decimals, fewer if it is large.

    Whole numbers keep all digits; small numbers get three significant digits.
    """
    if not present(value):
        return MISSING
    value = float(value)
    if not math.isfinite(value):
        return "\u221e" if value > 0 else "\u2212\u221e"
    if value == int(value) and abs(value) < 1e15:
        return _minus(f"{int(value):,}")
    if 1e-3 <= abs(value) < 1e15:
        return _minus(f"{value:,.{_decimals(value)}f}")
    return _minus(_tiny(value, 3))


def _decimals(value: float) -> int:
    return 4 if abs(value) < 10 else 2 if abs(value) < 1000 else 1


def brief(value: Any) -> str:
    """Format a number for a sentence: as few digits as possible, at most four."""
    if not present(value) or not math.isfinite(value) or float(value).is_integer():
        return number(value)
    plain = 1e-4 <= abs(value) < 1e15
    return _minus(f"{float(f'{value:.4g}'):,.15g}" if plain else _tiny(value, 4))


def _tiny(value: float, digits: int) -> str:
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    if int(power) in (-4, -5):
        return f"{value:.{digits - 1 - int(power)}f}"
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")


def change(before: Any, now: Any) -> str:
    """Format the difference of two numbers with its sign, or `0`.

    It has as many decimals as the larger number, or more if these would hide it.
    """
    if not present(before) or not present(now):
        return MISSING
    difference = float(now) - float(before)
    if difference == 0:
        return "0"
    if not math.isfinite(difference):
        return MISSING
    decimals = _decimals(max(abs(float(before)), abs(float(now)), abs(difference)))
    if abs(difference) < 10**-decimals or abs(difference) < 1e-3:
        result = _minus(_tiny(difference, 2) if abs(difference) < 1e-3 else f"{difference:.2g}")
    else:
        whole = difference.is_integer()
        result = number(difference) if whole else _minus(f"{difference:,.{decimals}f}")
    return ("+" if difference > 0 else "") + result


def percent(share: Any) -> str:
    """Format a share as a percentage; small shares never round to 0 %, nor large ones to 100 %."""
    if not present(share):
        return MISSING
    value = 100 * float(share)
    if value in (0, 100):
        return f"{value:.0f} %"
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.1f} %" if value < 99.95 else "> 99.9 %"


def moment(value: dt.datetime | None) -> str:
    """Format an instant as `2026-11-24 08:19 UTC`."""
    return f"{value:%Y-%m-%d %H:%M} UTC" if present(value) and value else MISSING


def day(value: dt.date | None) -> str:
    """Format the day of a date or an instant."""
    return f"{value:%Y-%m-%d}" if present(value) and value else MISSING


def duration(seconds: float) -> str:
    """Format seconds as `0.42 s`, `12 s`, `3m 12s` or `2h 05m`."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def size(count: float) -> str:
    """Format bytes as `812 B`, `3.4 KiB`, .."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def text(value: Any, most: int = MOST_CHARACTERS) -> str:
    """Format any JSON value as text; cut very long texts."""
    if value is None:
        return "null"
    full = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(full) <= most:
        return full
    return f"{full[:most].rstrip()} \u2026 ({len(full):,} characters)"
