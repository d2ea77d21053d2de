"""Tokens of statements, for the lint and the grammar of the emulated Teradata."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import NamedTuple

from mfprefect_dev.teradata.errors import Refused

__all__ = ["RESERVED", "Token", "escapes", "tokens"]

RESERVED = frozenset(
    word.upper()
    for word in Path(__file__).with_name("reserved_words.txt").read_text().splitlines()
    if word and not word.startswith("#")
)

WORD, QUOTED, STRING, BYTES, NUMBER, PARAM, SIGN = (
    "word",
    "quoted",
    "string",
    "bytes",
    "number",
    "param",
    "sign",
)
_PATTERN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<bytes>'(?:[0-9A-Fa-f]{2})*'[Xx][Bb][VvFf]?)
  | (?P<string>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?)
  | (?P<word>[^\W\d][\w$\#]*)
  | (?P<param>\?)
  | (?P<sign><>|<=|>=|!=|\^=|\|\||\*\*|::|[-+*/%(),.;=<>{}\[\]:@`~&|^])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\s*\{fn\s+(teradata_\w+)\s*(?:\((.*?)\))?\s*\}", re.DOTALL | re.IGNORECASE)


class Token(NamedTuple):
    """One word, name, literal, parameter or sign of a statement."""

    kind: str
    text: str
    """Words in capitals, names and strings without quotes, anything else as written."""
    number: int = 0
    """The number of a parameter, from 1; 0 otherwise."""
    written: str = ""

    @property
    def name(self) -> str:
        """The name of a word or quoted name, as written."""
        return self.written if self.kind == WORD else self.text


def escapes(statement: str) -> tuple[list[tuple[str, str]], str]:
    """Return the leading `{fn teradata_..}` escapes of a statement, and the rest of it."""
    functions, at = [], 0
    while match := _ESCAPE.match(statement, at):
        functions.append((match[1].lower(), match[2] or ""))
        at = match.end()
    return functions, statement[at:].lstrip() if functions else statement


@functools.lru_cache(maxsize=4096)
def tokens(statement: str) -> tuple[Token, ...]:
    """Return a statement's tokens.

    Raises:
        Refused: a character belongs to no token.
    """
    listed, at, params = [], 0, 0
    while at < len(statement):
        match = _PATTERN.match(statement, at)
        if match is None:
            raise Refused(3706, f"unexpected {statement[at : at + 20]!r}")
        at = match.end()
        kind, text = match.lastgroup, match[0]
        if kind == "space":
            continue
        if kind == WORD:
            listed.append(Token(WORD, text.upper(), 0, text))
        elif kind == QUOTED:
            listed.append(Token(QUOTED, text[1:-1].replace('""', '"'), 0, text))
        elif kind == STRING:
            listed.append(Token(STRING, text[1:-1].replace("''", "'"), 0, text))
        elif kind == PARAM:
            params += 1
            listed.append(Token(PARAM, "?", params, text))
        else:
            listed.append(Token(str(kind), text, 0, text))
    return tuple(listed)
