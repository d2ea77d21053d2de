"""What a request asks for, worked out."""

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
    """One request, worked out: what SQLite is to do, and what Teradata would lock for it."""

    kind: str
    steps: tuple[str, ...] = ()
    """SQLite's statements, run one after the other for each set of parameters."""
    fields: tuple[tuple[str, str], ...] = ()
    parameters: int = 0
    access: bool = True
    """Whether all that is read is read FOR ACCESS, or nothing is."""
    writes: tuple[str, ...] = ()
    """The files that are written to."""
    targets: tuple[str, ...] = ()
    """The tables that are written to, in the catalog."""
    locks: frozenset[str] = frozenset()
    """The tables that LOCKING asks to lock for writing."""
    nowait: bool = False
    looked_up: frozenset[str] = frozenset()
    by_row: bool = False
    """Whether it locks rows by their hash, one a set of parameters, and not the table."""
    types: dict[int, Type] = field(default_factory=dict)
    """Of the parameters that are nothing but the value of a column."""
    change: Change | None = None
    setting: Callable[[Any], None] | None = None
    """What it does to the session."""
