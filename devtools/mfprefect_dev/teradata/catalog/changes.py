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
    create_triggers,
    drop_index,
    drop_triggers,
)
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.types import Type

__all__ = ["Change"]

NO_TYPE = Type("")


class Change(ABC):
    """One DDL request; `apply` runs with the catalog locked."""

    @property
    def locked(self) -> str:
        """The table or view to lock; empty for none."""
        return str(getattr(self, "key", ""))

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

    def altered(
        self, sqlite: sqlite3.Connection, table: Table, text: str, columns: tuple[Column, ...]
    ) -> dict[str, Table | None]:
        """Alter a table, whose columns are others then."""
        drop_triggers(sqlite, table)
        sqlite.execute(f"ALTER TABLE {table.in_sqlite()} {text}")
        changed = replace(table, columns=columns)
        create_triggers(sqlite, changed)
        return {self.key: changed}


@dataclass
class AddTable(Change):
    """CREATE TABLE."""

    key: str
    table: Table

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
        text = f"ADD COLUMN {column_text(self.column)}"
        return self.altered(sqlite, table, text, (*table.columns, self.column))


@dataclass
class DropColumn(_OfTable):
    """ALTER TABLE .. DROP."""

    column: Column

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        rest = tuple(column for column in table.columns if column.name != self.column.name)
        return self.altered(sqlite, table, f"DROP COLUMN {quoted(self.column.name)}", rest)


@dataclass
class RenameColumn(_OfTable):
    """ALTER TABLE .. RENAME."""

    column: Column
    name: str

    def apply(self, catalog: Catalog, sqlite: sqlite3.Connection) -> dict[str, Table | None]:
        table = self.table(catalog)
        if any(self.column.name in index.columns for index in table.indexes):
            raise Refused(3706, f"column {self.column.name} is part of an index")
        old, new = quoted(self.column.name), quoted(self.name)
        renamed = tuple(
            replace(c, name=self.name) if c.name == self.column.name else c for c in table.columns
        )
        return self.altered(sqlite, table, f"RENAME COLUMN {old} TO {new}", renamed)
