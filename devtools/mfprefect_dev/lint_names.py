"""Refuse local names that say nothing about the values they hold: `found`, `told`, `mine`, ..

Run as `python -m mfprefect_dev.lint_names [FOLDER ...]`; by default it reads all code. A line that
ends with `# public name` passes: callers write that name as a keyword.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["BANNED", "BannedName", "banned_names", "main"]

BANNED = frozenset({"found", "kept", "known", "mine", "own", "told"})
PUBLIC = "# public name"
FOLDERS = ("mfprefect", "backends", "devtools", "flows", "benchmarks", "tests")


class BannedName(NamedTuple):
    """One place that binds a banned name."""

    path: Path
    line: int
    name: str

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}: {self.name!r} says nothing about the value; "
            "name it after what it holds: rows, entry, session_ids, .."
        )


def _bound(node: ast.AST) -> str | None:
    """Return the name that a node binds, None if it binds none."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            return name
        case ast.arg(arg=name) | ast.ExceptHandler(name=name):
            return name
        case ast.MatchAs(name=name) | ast.MatchStar(name=name) | ast.MatchMapping(rest=name):
            return name
        case ast.alias(asname=name):
            return name
    return None


def banned_names(path: Path) -> Iterator[BannedName]:
    """Yield the banned names that a file binds: variables, arguments, `as` names."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text, path)):
        name = _bound(node)
        if name in BANNED:
            line = getattr(node, "lineno", 1)
            if not lines[line - 1].endswith(PUBLIC):
                yield BannedName(path, line, name)


def main(arguments: Sequence[str]) -> int:
    """Print every banned name below the folders; return the exit code."""
    paths = (path for folder in arguments or FOLDERS for path in sorted(Path(folder).rglob("*.py")))
    problems = [problem for path in paths for problem in sorted(banned_names(path))]
    for problem in problems:
        print(problem)  # noqa: T201 - the output of a command
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
