"""Output of commands: tables on a terminal, aligned text in a pipe, or one JSON document.

Data goes to stdout, messages and progress to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from mfprefect.cli.escape import escape, escape_lines, width
from mfprefect.cli.formats import plain, show

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "Output"]

RIGHT = {"number", "seconds", "bytes", "signed"}
STYLES = {
    **dict.fromkeys(("ok", "passed", "succeeded"), "green"),
    **dict.fromkeys(("failed", "crashed"), "red"),
    **dict.fromkeys(("warning", "accepted", "cancelled"), "yellow"),
    "running": "cyan",
}
GAP = "  "
MIN_WIDTH = 12
# People copy ids, so ids stay on one line.
UNBROKEN = {"session_id", "entity_id", "production"}


class Column(NamedTuple):
    """One column of a table."""

    key: str
    """The key of the cell in a row."""
    header: str
    kind: str = "text"
    """The format: see `mfprefect.cli.formats.show`."""
    drop: int = 0
    """Order in which a narrow terminal leaves columns out; 0 is never left out."""


class Output:
    """Writes a command's data and messages."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.fancy = not as_json and _terminal(sys.stdout)
        self._first = True

    def document(self, value: Any) -> None:
        """Write the JSON document; without `--json`, nothing."""
        if self.as_json:
            # ASCII only, so that an escape sequence in the data stays text.
            click.echo(json.dumps(plain(value), indent=2, allow_nan=False))

    def note(self, text: str) -> None:
        """Write a message to stderr; with `--json`, nothing."""
        if not self.as_json:
            click.echo(escape_lines(text), err=True)

    def line(self, text: str = "") -> None:
        """Write a line of data; with `--json`, nothing."""
        if not self.as_json:
            self._first = False
            click.echo(escape(text))

    def heading(self, text: str) -> None:
        """Write a section's heading, after an empty line unless it is the first."""
        if self.as_json:
            return
        if not self._first:
            click.echo()
        self._first = False
        if self.fancy:
            from rich.text import Text

            _console().print(Text(escape(text), style="bold"))
        else:
            click.echo(escape(text))

    def table(
        self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], title: str = ""
    ) -> None:
        """Write a table of JSON values; with `--json`, nothing."""
        if self.as_json:
            return
        if title:
            self.heading(title)
        self._first = False
        cells = [[show(row.get(c.key), c.kind) for c in columns] for row in rows]
        if not self.fancy:
            _print_aligned(cells, columns)
            return
        room = _console().width
        cells, columns_shown = _drop_columns(cells, columns, room)
        _print_table(cells, columns_shown, room)
        if left_out := [c.header for c in columns if c not in columns_shown]:
            self.note(f"(no room for {', '.join(left_out)}; --json has all columns)")

    def pairs(self, values: Mapping[str, Any], title: str = "") -> None:
        """Write names with their values, leaving out missing values."""
        if self.as_json:
            return
        if title:
            self.heading(title)
        self._first = False
        filled = {name: value for name, value in values.items() if value not in (None, "")}
        longest = max((width(escape(name)) for name in filled), default=0)
        for name, value in filled.items():
            label = escape(name)
            self._pair(label + " " * (longest - width(label)), show(value))

    def _pair(self, label: str, text: str) -> None:
        if not self.fancy:
            click.echo(f"{GAP}{label}{GAP}{text}")
            return
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(overflow="fold")
        grid.add_row(Text("  " + label), Text(text, style=STYLES.get(text, "")))
        _console().print(grid)

    @contextmanager
    def working(self, text: str, *, keep: bool = True) -> Iterator[None]:
        """Show a message with a spinner on stderr while the block runs.

        Args:
            text: the message.
            keep: whether the message stays afterwards; if not, only a terminal shows it.
        """
        if self.as_json or not _terminal(sys.stderr):
            if keep:
                self.note(text)
            yield
            return
        from rich.text import Text

        with _console(sys.stderr).status(Text(escape(text))):
            yield
        if keep:
            self.note(text)

    @contextmanager
    def progress(self, text: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a bar on stderr if that is a terminal; yield a function that takes each step.

        Args:
            text: what is done.
            total: the sum of all steps, if it is known.
        """
        if self.as_json or not _terminal(sys.stderr):
            yield lambda step: None
            return
        from rich.progress import Progress

        with Progress(console=_console(sys.stderr), transient=True) as bar:
            task = bar.add_task(text, total=total)
            yield lambda step: bar.advance(task, step)

    @contextmanager
    def progress_of(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """Show a bar for work of unknown size; yield a function that takes done and total."""
        if self.as_json or not _terminal(sys.stderr):
            yield lambda done, total: None
            return
        from rich.progress import Progress

        with Progress(console=_console(sys.stderr), transient=True) as bar:
            task = bar.add_task(text, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _terminal(stream: Any) -> bool:
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def _console(stream: Any = None, width: int | None = None) -> Console:
    from rich.console import Console

    # Stored text is never markup, and emoji names such as :bug: stay as they are.
    return Console(
        file=stream or sys.stdout, highlight=False, markup=False, emoji=False, width=width
    )


def _print_table(cells: list[list[str]], columns: Sequence[Column], room: int) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    widths = _narrow(_widths(cells, columns), columns, room)
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for column, column_width in zip(columns, widths, strict=True):
        side: Literal["left", "right"] = "right" if column.kind in RIGHT else "left"
        table.add_column(Text(column.header), justify=side, overflow="fold", width=column_width)
    for row in cells:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    # Wider than the terminal if it must be: nothing is cut off.
    _console(width=max(room, _total(widths) + len(GAP))).print(table)


def _widths(cells: list[list[str]], columns: Sequence[Column]) -> list[int]:
    lines = [[column.header for column in columns], *cells]
    return [max(width(line[position]) for line in lines) for position in range(len(columns))]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _drop_columns(
    cells: list[list[str]], columns: Sequence[Column], room: int
) -> tuple[list[list[str]], list[Column]]:
    """Leave out optional columns until the rest fits into the terminal."""
    positions = list(range(len(columns)))
    widths = _widths(cells, columns)
    optional = sorted((p for p in positions if columns[p].drop), key=lambda p: columns[p].drop)
    for position in optional:
        if _total([widths[p] for p in positions]) <= room:
            break
        positions.remove(position)
    return [[row[p] for p in positions] for row in cells], [columns[p] for p in positions]


def _narrow(widths: list[int], columns: Sequence[Column], room: int) -> list[int]:
    """Narrow the widest text columns; their cells then take several lines."""
    widths = list(widths)
    texts = [p for p, c in enumerate(columns) if c.kind == "text" and c.key not in UNBROKEN]
    while _total(widths) > room and texts:
        widest = max(texts, key=lambda position: widths[position])
        if widths[widest] <= MIN_WIDTH:
            break
        widths[widest] -= 1
    return widths


def _print_aligned(cells: list[list[str]], columns: Sequence[Column]) -> None:
    widths = _widths(cells, columns)
    lines = []
    for line in [[column.header for column in columns], *cells]:
        parts = []
        for text, room, column in zip(line, widths, columns, strict=True):
            pad = " " * (room - width(text))
            parts.append(pad + text if column.kind in RIGHT else text + pad)
        lines.append(GAP.join(parts).rstrip())
    click.echo("\n".join(lines))
