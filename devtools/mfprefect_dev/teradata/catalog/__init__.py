"""The emulated data dictionary: tables, views, columns and indexes."""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.types import Type

__all__ = ["Catalog", "Column", "ForeignKey", "Index", "Name", "Table", "quoted"]


def quoted(name: str) -> str:
    """Quote a name for SQLite."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    type: Type
    nullable: bool = True
    default: str | None = None
    """The literal, which SQLite and Teradata write alike."""


@dataclass(frozen=True)
class Index:
    """An index; `kind` is P (primary), Q (primary, partitioned), K, U or S as in DBC.IndicesV."""

    name: str | None
    columns: tuple[str, ...]
    unique: bool
    kind: str


@dataclass(frozen=True)
class ForeignKey:
    """A reference to another table; the database may not check it (WITH NO CHECK OPTION)."""

    name: str | None
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    checked: bool


@dataclass(frozen=True)
class Table:
    """A table or view."""

    name: str
    kind: str = "T"
    """T: table; V: view; D: database."""
    key: str = ""
    """Its name in the catalog."""
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[tuple[str | None, str], ...] = ()
    multiset: bool = True
    partition: str | None = None
    text: str = ""
    """The request that created it; the SELECT of a view."""
    loading: bool = False
    """Whether a FastLoad is running."""
    view_columns: tuple[str, ...] = field(default=())
    comments: tuple[tuple[str | None, str], ...] = ()
    """Of its columns by name; None is its own."""

    def column(self, name: str) -> Column:
        """Return a column by its name, ignoring case."""
        for column in self.columns:
            if column.name.upper() == name.upper():
                return column
        raise Refused(5628, name, self.name)

    @property
    def primary(self) -> Index:
        """The primary index."""
        return next(index for index in self.indexes if index.kind in "PQ")

    @property
    def lob(self) -> bool:
        """Whether a column is a CLOB or BLOB."""
        return any(column.type.lob for column in self.columns)

    def in_sqlite(self) -> str:
        """Return the table's name in SQLite."""
        return quoted(self.key)


@functools.lru_cache(maxsize=2048)
def _decoded(text: str) -> Table:
    raw = json.loads(text)
    raw["columns"] = tuple(Column(**c | {"type": Type(**c["type"])}) for c in raw["columns"])
    raw["indexes"] = tuple(Index(**i | {"columns": tuple(i["columns"])}) for i in raw["indexes"])
    raw["foreign_keys"] = tuple(
        ForeignKey(
            **f | {"columns": tuple(f["columns"]), "parent_columns": tuple(f["parent_columns"])}
        )
        for f in raw["foreign_keys"]
    )
    raw["checks"] = tuple((name, text) for name, text in raw["checks"])
    raw["view_columns"] = tuple(raw["view_columns"])
    raw["comments"] = tuple((name, text) for name, text in raw.get("comments", ()))
    return Table(**raw)


class Catalog:
    """A snapshot of the tables of one emulated database system.

    Names leave out the session's own database: a request parsed for one throwaway database serves
    the next one too.
    """

    def __init__(self, database: str, definitions: Mapping[str, str], version: int) -> None:
        self.database = database
        self.tables = {key: _decoded(text) for key, text in definitions.items()}
        self.version = version
        self.fingerprint = hash(tuple(sorted(definitions.items())))

    @classmethod
    def read(cls, connection: sqlite3.Connection, database: str) -> Catalog:
        """Return the content of a catalog file."""
        connection.execute("BEGIN")
        try:
            return cls.inside(connection, database)
        finally:
            connection.execute("COMMIT")

    @classmethod
    def inside(cls, connection: sqlite3.Connection, database: str) -> Catalog:
        """Return the content of a catalog file, inside a transaction of the connection."""
        version = connection.execute("SELECT n FROM version").fetchone()[0]
        rows = connection.execute("SELECT name, definition FROM tables").fetchall()
        return cls(database, dict(rows), version)

    def key(self, name: Name) -> str:
        """Return a name's key in the catalog."""
        if name.database is None or name.database.lower() == self.database.lower():
            return name.name.lower()
        database = name.database.lower()
        if f"{database}." not in self.tables:
            raise Refused(3802, name.database)
        return f"{database}.{name.name.lower()}"

    def find(self, name: Name) -> Table | None:
        """Return a table or view, None if it does not exist."""
        return self.tables.get(self.key(name))

    def table(self, name: Name, *, view: bool = False) -> Table:
        """Return a table, or with `view=True` a table or view.

        Raises:
            Refused: it does not exist, or is a view.
        """
        table = self.find(name)
        if table is None:
            raise Refused(3807, str(name))
        if table.kind == "V" and not view:
            raise Refused(3823, str(name))
        return table

    def real(self) -> Iterable[Table]:
        """Return the tables and views, without the databases."""
        return (table for table in self.tables.values() if table.kind != "D")


def encoded(table: Table) -> str:
    """Return a definition as stored in the catalog file."""
    return json.dumps(table, default=vars)  # asdict copies, which takes ten times as long


def column_names(columns: Iterable[str]) -> str:
    """Return quoted names, separated by commas, for SQLite."""
    return ", ".join(quoted(name.lower()) for name in columns)


class Name(NamedTuple):
    """A possibly qualified name of a table, view or index."""

    database: str | None
    name: str

    def __str__(self) -> str:
        return self.name if self.database is None else f"{self.database}.{self.name}"
