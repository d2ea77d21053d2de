"""The building blocks of a page, all that the templates know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mfprefect.report.drawing import Picture

__all__ = [
    "Badge",
    "Block",
    "Cell",
    "Code",
    "Column",
    "Gallery",
    "Heading",
    "Headline",
    "Key",
    "Note",
    "Section",
    "Sheet",
    "Table",
]


@dataclass(frozen=True)
class Badge:
    """A word with a level: `good`, `warn`, `bad` or `info`."""

    text: str
    level: str


@dataclass(frozen=True)
class Key:
    """A text with a smaller one below it."""

    text: str
    below: str = ""
    shade: float = 0.0
    """How strongly to tint the cell of a heat map, 0 to 1."""


Cell = str | Badge | Key | Picture


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    kind: str = "text"
    """`text`, `number` (aligned to the right), `code`, or `picture`."""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row is its heading."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str
    folded: bool = False
    """Whether the table starts collapsed, showing only its caption."""
    kind = "table"


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, if there is room."""

    pictures: Sequence[Picture]
    kind = "gallery"


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str
    kind = "note"


@dataclass(frozen=True)
class Code:
    """Text with its line breaks and spaces preserved."""

    text: str
    caption: str = ""
    kind = "code"


Block = Table | Gallery | Note | Code


@dataclass(frozen=True)
class Section:
    """A heading and the blocks below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Headline:
    """The overall result, at the top of the page."""

    level: str
    headline: str
    reasons: Sequence[str] = ()
    cause: str = ""
    """The text of an error, with its line breaks."""


@dataclass(frozen=True)
class Heading:
    """The header and footer of a page."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    """Names and values to show below the title."""
    footer: str
    link: str | None = None
    """The URL of the flow run in Prefect."""


@dataclass(frozen=True)
class Sheet:
    """A whole report."""

    heading: Heading
    verdict: Headline
    figures: Sequence[tuple[str, str, str]]
    """Name, value and comment of the most important figures."""
    sections: Sequence[Section]
