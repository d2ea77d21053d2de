"""Changes that DDL makes, in SQLite and in the catalog."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from mfprefect_dev.teradata.catalog import Catalog, Column, Index, Table, quoted
from mfprefect_dev.teradata.catalog.layout import (
    column_text,
    create_index,
    create_table,
    drop_index,
)
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.types import Type

__all__ = ["SIDES", "Change"]

NO_TYPE = Type("")
SIDES = tuple(f"s{n}" for n in range(1, 9))
"""Files for tables that FastLoad may fill while a transaction holds locks on other tables."""


class Change(ABC):
    """One DDL request; `apply` runs with the catalog locked."""

    def file(self, catalog: Catalog, free: list[str]) -> str | None:
        """Return the file to lock first; no session writes to the `free` ones."""
        return None

    @abstractmethod
    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        """Change SQLite's schema; return the entries of the catalog, None for removed ones."""


@dataclass
class Nothing(Change):
    """Statistics and rights, which have no effect here."""

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        return {}


@dataclass
class AddDatabase(Change):
    """CREATE DATABASE."""

    name: str

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        key = f"{self.name.lower()}."
        if key in catalog.tables or self.name.lower() == catalog.database.lower():
            raise Refused(5612, self.name)
        return {key: Table(self.name, "D")}


@dataclass
class DropDatabase(Change):
    """DROP DATABASE."""

    name: str

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        key = f"{self.name.lower()}."
        if key not in catalog.tables:
            raise Refused(3802, self.name)
        if any(name.startswith(key) and name != key for name in catalog.tables):
            raise Refused(3552, self.name)
        return {key: None}


@dataclass
class AddView(Change):
    """CREATE VIEW and REPLACE VIEW: stored as text, expanded in requests."""

    key: str
    view: Table
    replace: bool

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        existing = catalog.tables.get(self.key)
        if existing is not None and not (self.replace and existing.kind == "V"):
            raise Refused(3804 if existing.kind == "V" else 3803, self.view.name)
        return {self.key: self.view}


@dataclass
class DropView(Change):
    """DROP VIEW."""

    key: str

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        if self.key not in catalog.tables:
            raise Refused(3807, self.key)
        return {self.key: None}


@dataclass
class _OfTable(Change):
    key: str

    def table(self, catalog: Catalog) -> Table:
        table = catalog.tables.get(self.key)
        if table is None:
            raise Refused(3807, self.key)
        return table

    def file(self, catalog: Catalog, free: list[str]) -> str | None:
        return self.table(catalog).file


@dataclass
class AddTable(Change):
    """CREATE TABLE."""

    key: str
    table: Table

    def file(self, catalog: Catalog, free: list[str]) -> str | None:
        """Return the table's file: the least used side file if FastLoad could fill the table."""
        table = self.table
        loadable = not (
            table.lob
            or any(index.unique for index in table.indexes)
            or table.foreign_keys
            or table.checks
        )
        if not loadable:
            return "main"
        used = [other.file for other in catalog.real()]
        order = sorted(free or SIDES, key=used.count)
        return order[0]

    def set_file(self, file: str) -> None:
        """Set the file of the table."""
        self.table = replace(self.table, file=file)

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        existing = catalog.tables.get(self.key)
        if existing is not None:
            raise Refused(3804 if existing.kind == "V" else 3803, self.table.name)
        create_table(sqlite, self.table)
        return {self.key: self.table}


@dataclass
class DropTable(_OfTable):
    """DROP TABLE; also drops a table that is being loaded."""

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        for other in catalog.real():
            for key in other.foreign_keys:
                if key.parent == self.key and key.checked and other is not table:
                    raise Refused(3706, f"{table.name} is referenced by {other.name}")
        sqlite.execute(f"DROP TABLE IF EXISTS {table.in_sqlite()}")
        return {self.key: None}


@dataclass
class Comment(_OfTable):
    """COMMENT ON, which touches the dictionary alone."""

    column: str | None
    text: str

    def file(self, catalog: Catalog, free: list[str]) -> str | None:
        return None

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        comments = dict(table.comments) | {self.column: self.text}
        return {self.key: replace(table, comments=tuple(comments.items()))}


@dataclass
class AddIndex(_OfTable):
    """CREATE INDEX."""

    index: Index

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        name = self.index.name
        if any(index.columns == self.index.columns for index in table.indexes):
            raise Refused(3519)
        if name and any((i.name or "").upper() == name.upper() for i in table.indexes):
            raise Refused(5705, name)
        create_index(sqlite, table, self.index)
        return {self.key: replace(table, indexes=(*table.indexes, self.index))}


@dataclass
class DropIndex(_OfTable):
    """DROP INDEX."""

    index: Index

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        drop_index(sqlite, table, self.index)
        rest = tuple(index for index in table.indexes if index != self.index)
        return {self.key: replace(table, indexes=rest)}


@dataclass
class AddColumn(_OfTable):
    """ALTER TABLE .. ADD."""

    column: Column

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        if self.column.name.upper() in {column.name.upper() for column in table.columns}:
            raise Refused(3515)
        if not self.column.nullable and self.column.default is None:
            raise Refused(3559)
        place = table.in_sqlite()
        sqlite.execute(f"ALTER TABLE {place} ADD COLUMN {column_text(self.column)}")
        return {self.key: replace(table, columns=(*table.columns, self.column))}


@dataclass
class DropColumn(_OfTable):
    """ALTER TABLE .. DROP."""

    column: Column

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        place = table.in_sqlite()
        sqlite.execute(f"ALTER TABLE {place} DROP COLUMN {quoted(self.column.name)}")
        rest = tuple(column for column in table.columns if column.name != self.column.name)
        return {self.key: replace(table, columns=rest)}


@dataclass
class RenameColumn(_OfTable):
    """ALTER TABLE .. RENAME."""

    column: Column
    name: str

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        if any(self.column.name in index.columns for index in table.indexes):
            raise Refused(3706, f"column {self.column.name} is part of an index")
        place = table.in_sqlite()
        old, new = quoted(self.column.name), quoted(self.name)
        sqlite.execute(f"ALTER TABLE {place} RENAME COLUMN {old} TO {new}")
        renamed = tuple(
            replace(c, name=self.name) if c.name == self.column.name else c for c in table.columns
        )
        return {self.key: replace(table, columns=renamed)}
