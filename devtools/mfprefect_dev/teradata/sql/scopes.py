"""What expressions see: tables, columns, aliases; and what they become."""

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
    """The name that qualifies a column where there is no alias; with its database."""
    fields: dict[str, Field]
    """By name in capitals."""


class Scope:
    """What the expressions of one SELECT see, and what they have used."""

    def __init__(self, outer: Scope | None) -> None:
        self.outer = outer
        self.sources: list[Source] = []
        self.aliases: dict[str, Value] = {}
        self.free: list[str] = []
        """Columns that were named outside an aggregate."""
        self.within = 0
        """How many aggregates are being read."""
        self.aggregated = False
        self.windowed = False


class Value(NamedTuple):
    """An expression in SQLite's words."""

    sql: str
    type: str = ""
    cond: bool = False
    column: str | None = None
    """The name of the column, where it is nothing else."""
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
    """Return the type of what is computed of two numbers."""
    if "FLOAT" in (left, right):
        return "FLOAT"
    return left or right
