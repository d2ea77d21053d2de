"""SQL for people: a line for each clause, none longer than the terminal is wide."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

__all__ = ["is_sql", "sql_lines"]

WIDTH = 96
_CLAUSES = (
    "WITH|SELECT|FROM|(?:(?:INNER|LEFT|RIGHT|FULL|CROSS|NATURAL|OUTER)\\s+)*JOIN|WHERE|AND|OR|"
    "GROUP\\s+BY|HAVING|QUALIFY|WINDOW|ORDER\\s+BY|LIMIT|OFFSET|FETCH|UNION(?:\\s+ALL)?|"
    "INTERSECT|EXCEPT|MINUS"
)
_INDENTED = re.compile(r"(?:AND|OR)\b", re.IGNORECASE)
_TOKEN = re.compile(
    rf"""(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/)
    |(?P<open>\()|(?P<close>\))
    |(?P<clause>\b(?:{_CLAUSES})\b)
    |(?P<between>\bBETWEEN\b)
    |(?P<space>\s+)
    |(?P<word>\w+|.)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


def is_sql(text: str) -> bool:
    """Return whether a text is SQL, and no name of a table or file."""
    return re.match(r"\s*(?:--|/\*|\(|SELECT\b|WITH\b|EXEC\b|CALL\b)", text, re.I) is not None


def sql_lines(text: str, width: int = WIDTH) -> list[str]:
    """Return the lines of a statement, at most `width` long where it has a blank to break at.

    Lines that the author broke stay as they are. A statement on one line is broken before each
    clause, and before AND and OR outside brackets. Texts in quotes stay whole.
    """
    lines = textwrap.dedent(text.expandtabs(4)).strip().splitlines()
    if len(lines) == 1:
        lines = list(_clauses(lines[0]))
    return [part for line in lines for part in _wrapped(line.rstrip(), width)]


def _clauses(line: str) -> Iterator[str]:
    current, depth, between = "", 0, False
    for token in _TOKEN.finditer(line):
        kind, text = token.lastgroup, token.group()
        depth += (kind == "open") - (kind == "close")
        if kind == "clause" and depth == 0:
            if between and text.upper() == "AND":
                between = False  # the AND of BETWEEN 1 AND 2
            else:
                yield from filter(None, [current.rstrip()])
                current = "  " if _INDENTED.match(text) else ""
        between = between or kind == "between"
        current += " " if kind == "space" else text
    yield from filter(None, [current.rstrip()])


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Yield a line in parts, broken at blanks outside quotes; later parts are indented."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    current = ""
    for piece in _pieces(line):
        if current.strip() and len(current) + len(piece.rstrip()) > width:
            yield current.rstrip()
            current = indent
        current += piece
    yield current.rstrip()


def _pieces(line: str) -> Iterator[str]:
    """Yield what must stay together: words and quoted texts, each with the blanks after it."""
    piece = ""
    for token in _TOKEN.finditer(line):
        piece += token.group()
        if token.lastgroup == "space" and piece.strip():
            yield piece
            piece = ""
    yield piece
