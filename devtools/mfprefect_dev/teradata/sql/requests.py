"""A parsed request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mfprefect_dev.teradata.types import Type

if TYPE_CHECKING:
    from mfprefect_dev.teradata.catalog.changes import Change

__all__ = ["Request"]


@dataclass
class Request:
    """A parsed request: SQLite's statements, and the locks that Teradata would take."""

    kind: str
    steps: tuple[str, ...] = ()
    """SQLite's statements, run in order for each set of parameters."""
    fields: tuple[tuple[str, str], ...] = ()
    parameters: int = 0
    access: bool = True
    """Whether everything read is read FOR ACCESS; True if nothing is read."""
    writes: tuple[str, ...] = ()
    """The files to write to."""
    targets: tuple[str, ...] = ()
    """The catalog keys of the tables to write to."""
    locks: frozenset[str] = frozenset()
    """The tables that LOCKING locks for writing."""
    nowait: bool = False
    looked_up: frozenset[str] = frozenset()
    by_row: bool = False
    """Whether it locks one row hash for each set of parameters, rather than the table."""
    types: dict[int, Type] = field(default_factory=dict)
    """The types of parameters that are exactly a column's value."""
    change: Change | None = None
    setting: Callable[[Any], None] | None = None
    """Sets something for the session."""
