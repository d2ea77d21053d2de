"""Tables of a page: cells that people read, and the same rows as CSV and JSON."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mfprefect.console.answers import Answer, attachment
from mfprefect.console.page import Page
from mfprefect.report.blocks import Badge, Key
from mfprefect.report.drawing import Picture
from mfprefect.report.formats import day, number, present, text

__all__ = [
    "FORMATS",
    "PAGE_ROWS",
    "Cell",
    "Check",
    "Column",
    "Link",
    "Listing",
    "When",
    "cell",
    "exported",
]

FORMATS = ("csv", "json")
PAGE_ROWS = 50
"""Rows of a page of a listing."""
LONGEST_CELL = 300
FORMULA = ("=", "+", "-", "@", "\t", "\r")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Link:
    """A text that leads to another page."""

    text: str
    url: str
    below: str = ""
    """A smaller text below it."""


@dataclass(frozen=True)
class When:
    """An instant: in UTC, and in the reader's zone where scripts run."""

    at: dt.datetime

    @property
    def iso(self) -> str:
        """The instant for programs."""
        return self.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def text(self) -> str:
        """The instant for people."""
        return self.at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


@dataclass(frozen=True)
class Check:
    """A box that chooses a row."""

    name: str
    """Of the parameter."""
    value: str
    label: str
    """What a screen reader says."""


Cell = str | Badge | Key | Picture | Link | When | Check | tuple[Any, ...]


@dataclass(frozen=True)
class Column:
    """A column of a listing."""

    key: str
    """Of the row; the name of the column in CSV and JSON."""
    title: str
    kind: str = "text"
    """`text`, `number` (aligned to the right), `code`, `short` (not broken) or `picture`."""
    show: Callable[[Any], Cell] | None = None
    """Makes the cell of a row; by default from its value."""
    sort: str | None = None
    """The address of the same listing, sorted by this column."""


@dataclass(frozen=True)
class Listing:
    """Rows of a page, with what leads to the next ones."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str
    empty: str = ""
    """What to do where there are no rows."""
    older: str | None = None
    """The address of the rows after these."""
    newest: str | None = None
    """The address of the first rows, on a later page."""
    note: str = ""
    exports: Mapping[str, str] | None = None
    """Addresses of the same rows, by format."""

    def cells(self) -> list[list[tuple[Column, Cell]]]:
        """Return the cells of each row, with their columns."""
        return [
            [(c, c.show(row) if c.show else cell(row.get(c.key))) for c in self.columns]
            for row in self.rows
        ]


def cell(value: Any) -> Cell:
    """Return the cell of a value of any type."""
    if not present(value):
        return ""
    if isinstance(value, dt.datetime):
        return When(value)
    if isinstance(value, dt.date):
        return day(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number(value)
    return text(value, LONGEST_CELL)


def exported(page: Page, listing: Listing, name: str) -> Answer | None:
    """Return the rows in the format that the parameter `format` asks for, None without it.

    Args:
        page: the request.
        listing: the rows; each column's key is a name in the file.
        name: the name of the file, without ending.
    """
    wanted = page.query.choice("format", FORMATS)
    if wanted is None:
        return None
    names = [column.key for column in listing.columns]
    if wanted == "json":
        rows = [{key: _plain(row.get(key)) for key in names} for row in listing.rows]
        document = {"rows": rows, "older": listing.older}
        body = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        return Answer(body, "application/json", headers={})
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(map(_field, names))
    writer.writerows([_field(_plain(row.get(key))) for key in names] for row in listing.rows)
    headers = {"content-disposition": attachment(f"{name}.csv")}
    if listing.older is not None:
        headers["link"] = f'<{listing.older}>; rel="next"'
    return Answer(
        file.getvalue().encode("utf-8", "replace"), "text/csv; charset=utf-8", 200, headers
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if not present(value) and value != "":
        return None
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "item"):  # a number of numpy
        return _plain(value.item())
    if isinstance(value, (str, int, float, bool, list, dict)):
        return value
    return str(value)


def _field(value: Any) -> Any:
    """Return a field that no spreadsheet takes for a formula."""
    if isinstance(value, (list, dict)):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
