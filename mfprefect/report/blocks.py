"""What a page is built of; the template knows these and nothing else."""

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
    """A name with something smaller below it."""

    text: str
    below: str = ""
    shade: float = 0.0
    """How strongly the cell is tinted, 0 to 1: what a heat map shows."""


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
    """Whether it is shown only when asked for; its caption then says what is in it."""
    kind = "table"


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, where there is room."""

    pictures: Sequence[Picture]
    kind = "gallery"


@dataclass(frozen=True)
class Note:
    """A paragraph of ours or of somebody else's."""

    text: str
    kind = "note"


@dataclass(frozen=True)
class Code:
    """Text whose lines and spaces count."""

    text: str
    caption: str = ""
    kind = "code"


Block = Table | Gallery | Note | Code


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Headline:
    """What a reader has to know first."""

    level: str
    headline: str
    reasons: Sequence[str] = ()
    cause: str = ""
    """The text of an error, its lines kept."""


@dataclass(frozen=True)
class Heading:
    """What stands above and below everything else."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    """What stands below the title: names and values."""
    footer: str
    link: str | None = None
    """Where Prefect shows the flow run."""


@dataclass(frozen=True)
class Sheet:
    """A whole report."""

    heading: Heading
    verdict: Headline
    figures: Sequence[tuple[str, str, str]]
    """Name, value and a word about it, of the figures that matter most."""
    sections: Sequence[Section]
