"""Texts that come from people and from errors, made fit to be shown: one line, short, visible."""

from __future__ import annotations

import datetime as dt
import math
import unicodedata

__all__ = ["block", "flat", "inert", "instant", "number", "pair", "percent", "plural"]

MAX_NAME = 130
MAX_MESSAGE = 300
MAX_CAUSE = 2_000
# Markdown dialects share no escape sequence; these lookalikes have no meaning in any of them.
_INERT = {ord(c): chr(ord(c) + 0xFEE0) for c in "<>`*[]|~\\@"}
_BIDIRECTIONAL = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def flat(text: str, most: int = MAX_MESSAGE) -> str:
    """Return a text on one line, at most `most` characters, with hidden characters replaced."""
    return _cut(_visible(" ".join(text.split())), most)


def block(text: str) -> str:
    """Return a text of several lines, at most 2,000 characters, without hidden characters."""
    lines = (_visible(line.expandtabs(4).rstrip()) for line in text.strip().splitlines())
    return _cut("\n".join(lines), MAX_CAUSE)


def inert(text: str, most: int = MAX_NAME) -> str:
    """Return a name on one line, with lookalikes for the characters that mean something."""
    return flat(text, most).translate(_INERT)


def _visible(text: str) -> str:
    hidden = ("Cc", "Cs", "Zl", "Zp")
    return "".join(
        "\ufffd" if c in _BIDIRECTIONAL or unicodedata.category(c) in hidden else c for c in text
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "\u2026"


def number(value: float | None, *others: float | None, digits: int = 3) -> str:
    """Return a figure in few digits, more where it would look equal to another one."""
    if value is None:
        return "unknown"
    distinct = [other for other in others if other is not None and other != value]
    for precision in range(digits, 17):
        text = _rounded(value, precision)
        if all(text != _rounded(other, precision) for other in distinct):
            return text
    return repr(value)


def _rounded(value: float, digits: int) -> str:
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if not -12 < decimals < 12:
        return f"{value:.{digits}g}"
    text = f"{round(value, decimals):,.{max(decimals, 0)}f}" if decimals > 0 else f"{value:,.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def pair(before: float, now: float) -> str:
    """Return two figures as `15.2 to 24.1`, with the digits that tell them apart."""
    return f"{number(before, now)} to {number(now, before)}"


def percent(value: float) -> str:
    """Return a share in percent, with a digit after the point where it is small."""
    return f"{value:.0%}" if abs(value) >= 0.1 or not value else f"{value:.1%}"


def plural(count: int, singular: str, form: str | None = None) -> str:
    """Return `1 gate` or `2 gates`."""
    return f"{count} {singular if count == 1 else form or singular + 's'}"


def instant(value: dt.datetime | None) -> str:
    """Return an instant in UTC to the second, '' if there is none."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else ""
