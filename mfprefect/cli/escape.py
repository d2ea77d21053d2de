"""Escaping of stored text, so that none of it controls the terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["escape", "escape_lines", "width"]

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Control, format (may reverse the direction of text), surrogate, line and paragraph separator.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def escape(text: str) -> str:
    r"""Return text on one line, with invisible and control characters as `\n`, `\x1b`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_lines(text: str) -> str:
    """Escape a message and keep its lines; indent later ones, so that none looks like ours."""
    return "\n  ".join(escape(line.replace("\t", " ").rstrip()) for line in text.split("\n"))


def width(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
