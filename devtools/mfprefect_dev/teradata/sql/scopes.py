"""The names that expressions can use, and the values that they become."""

from __future__ import annotations

from typing import NamedTuple

from mfprefect_dev.teradata.types import LOBS

__all__ = ["Field", "Scope", "Source", "Value", "meant", "wider"]


class Field(NamedTuple):
    """A column that an expression can name: its name, type and place in SQLite's statement."""

    name: str
    type: str
    sql: str


class Source(NamedTuple):
    """A table, view or subquery that a FROM clause names."""

    alias: str
    table: str
    """The qualified name, for columns of a source without an alias."""
    fields: dict[str, Field]
    """The columns by their names in capitals."""


class Scope:
    """The names that the expressions of one SELECT can use and have used."""

    def __init__(self, outer: Scope | None) -> None:
        self.outer = outer
        self.sources: list[Source] = []
        self.aliases: dict[str, Value] = {}
        self.free: list[str] = []
        """Columns named outside of aggregates."""
        self.within = 0
        """The depth of nested aggregates at this position."""
        self.aggregated = False
        self.windowed = False


class Value(NamedTuple):
    """An expression in SQLite's SQL."""

    sql: str
    type: str = ""
    cond: bool = False
    column: str | None = None
    """The column's name if the expression is only a column."""
    null: bool = False

    @property
    def lob(self) -> bool:
        """Whether it is a CLOB or BLOB."""
        return self.type in LOBS


def meant(source: Source, of: list[str], database: str) -> bool:
    """Return whether a column's qualifier names a source."""
    if not of:
        return True
    wanted = ".".join(of).upper()
    if len(of) > 1:
        return source.table.upper() == wanted
    alias = source.alias or source.table.rsplit(".", 1)[-1]
    return alias.upper() == wanted


def wider(left: str, right: str) -> str:
    """Return the type of a calculation with two numbers."""
    if "FLOAT" in (left, right):
        return "FLOAT"
    return left or right
