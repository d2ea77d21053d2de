"""A parsed request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect_dev.teradata.types import Type

if TYPE_CHECKING:
    from mfprefect_dev.teradata.catalog.changes import Change

__all__ = ["ACCESS", "EXCLUSIVE", "MODES", "READ", "WRITE", "Given", "Request", "RowKey", "Want"]


ACCESS, READ, WRITE, EXCLUSIVE = range(4)
MODES = {"ACCESS": ACCESS, "READ": READ, "WRITE": WRITE, "EXCLUSIVE": EXCLUSIVE}
"""The modes of locks, the weakest first."""


class Given(NamedTuple):
    """A value that a request gives: of a parameter, or a literal."""

    parameter: int = 0
    """Its number, from 1; 0 for a literal."""
    literal: Any = None


@dataclass(frozen=True)
class RowKey:
    """The values of an index's columns, which say which row a request is about."""

    columns: tuple[str, ...]
    given: tuple[Given, ...]

    def of(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return the values for one row of parameters."""
        return tuple(row[one.parameter - 1] if one.parameter else one.literal for one in self.given)


@dataclass(frozen=True)
class Want:
    """What a request locks in one table."""

    table: str
    """Its key in the catalog."""
    mode: int
    rows: tuple[RowKey, ...] = ()
    """The rows to lock; without any, the whole table."""
    new: bool = False
    """Whether the rows are inserted."""
    counted: bool = False
    """Whether it counts against the row locks that a transaction may hold."""


@dataclass
class Request:
    """A parsed request: SQLite's statements, and the locks that Teradata would take."""

    kind: str
    steps: tuple[str, ...] = ()
    """SQLite's statements, run in order for each set of parameters."""
    fields: tuple[tuple[str, str], ...] = ()
    parameters: int = 0
    wants: tuple[Want, ...] = ()
    """The locks, in the order of tables; what is read before what is written."""
    nowait: bool = False
    looked_up: frozenset[str] = frozenset()
    types: dict[int, Type] = field(default_factory=dict)
    """The types of parameters that are exactly a column's value."""
    change: Change | None = None
    setting: Callable[[Any], None] | None = None
    """Sets something for the session."""
