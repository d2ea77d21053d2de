"""The views of the data dictionary that mfprefect queries: DBC.TablesV and the like.

Each request that names one fills it from the catalog. Names compare case-insensitively.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mfprefect_dev.teradata.errors import Refused

if TYPE_CHECKING:
    from mfprefect_dev.teradata.catalog import Catalog, Table

__all__ = ["fill", "known", "source"]

_CODES = {
    "BYTEINT": ("I1", 1),
    "SMALLINT": ("I2", 2),
    "INTEGER": ("I", 4),
    "BIGINT": ("I8", 8),
    "FLOAT": ("F", 8),
    "DECIMAL": ("D", 8),
    "NUMBER": ("N", 18),
    "CHAR": ("CF", 0),
    "VARCHAR": ("CV", 0),
    "CLOB": ("CO", 0),
    "BLOB": ("BO", 0),
    "VARBYTE": ("BV", 0),
    "BYTE": ("BF", 0),
    "DATE": ("DA", 4),
    "TIMESTAMP": ("TS", 10),
    "TIME": ("AT", 8),
}
_CHARSETS = {"LATIN": 1, "UNICODE": 2}
Row = tuple[Any, ...]


def _place(catalog: Catalog, key: str) -> str:
    return key.rsplit(".", 1)[0] if "." in key else catalog.database


def _all(catalog: Catalog) -> Iterator[tuple[str, Table]]:
    for key, table in catalog.tables.items():
        if table.kind != "D":
            yield _place(catalog, key), table


def _tables(catalog: Catalog) -> Iterator[Row]:
    for database, table in _all(catalog):
        yield database, table.name, table.kind, None, table.text, dict(table.comments).get(None)


def _databases(catalog: Catalog) -> Iterator[Row]:
    yield (catalog.database,)
    yield ("DBC",)
    for table in catalog.tables.values():
        if table.kind == "D":
            yield (table.name,)


def _columns(catalog: Catalog) -> Iterator[Row]:
    for database, table in _all(catalog):
        comments = dict(table.comments)
        for number, column in enumerate(table.columns, 1):
            code, size = _CODES.get(column.type.name, (None, 0))
            charset = _CHARSETS.get(column.type.charset, 0)
            length = column.type.length * max(charset, 1) if size == 0 and code else size
            yield (
                database,
                table.name,
                column.name,
                code,
                length or None,
                charset if code else None,
                column.type.length or None if code in ("D", "N") else None,
                column.type.scale if code in ("D", "N", "TS") else None,
                ("Y" if column.nullable else "N") if code else None,
                column.default,
                number,
                comments.get(column.name),
            )


def _indices(catalog: Catalog) -> Iterator[Row]:
    for database, table in _all(catalog):
        for place, index in enumerate(table.indexes):
            number = 1 if index.kind in "PQ" else 4 * (place + 1)
            flag = "Y" if index.unique else "N"
            for position, column in enumerate(index.columns, 1):
                yield (database, table.name, number, index.kind, flag, index.name, column, position)


def _references(catalog: Catalog) -> Iterator[Row]:
    for database, table in _all(catalog):
        for number, key in enumerate(table.foreign_keys):
            parent = catalog.tables.get(key.parent)
            name = parent.name if parent else key.parent
            for column, other in zip(key.columns, key.parent_columns, strict=True):
                yield (
                    number,
                    key.name,
                    database,
                    table.name,
                    column,
                    _place(catalog, key.parent),
                    name,
                    other,
                )


def _sizes(sqlite: sqlite3.Connection, catalog: Catalog) -> Iterator[Row]:
    """Yield the pages of SQLite as the permanent space of the only AMP, indexes included."""
    pages = dict(
        sqlite.execute(
            "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat('main', 1) AS s "
            "JOIN sqlite_master AS m ON m.name = s.name GROUP BY m.tbl_name"
        )
    )
    for database, table in _all(catalog):
        if table.kind == "T":
            yield database, table.name, 0, pages.get(table.key, 0)


def _info(_: Catalog) -> Iterator[Row]:
    yield "VERSION", "20.00.00.00 (emulated)"
    yield "RELEASE", "20.00.00.00 (emulated)"
    yield "LANGUAGE SUPPORT MODE", "Standard"


_VIEWS: dict[str, tuple[tuple[str, ...], Callable[[Catalog], Iterator[Row]] | None]] = {
    "tablesv": (
        ("DatabaseName", "TableName", "TableKind", "TVMFlavor", "RequestText", "CommentString"),
        _tables,
    ),
    "databasesv": (("DatabaseName",), _databases),
    "columnsv": (
        (
            "DatabaseName",
            "TableName",
            "ColumnName",
            "ColumnType",
            "ColumnLength",
            "CharType",
            "DecimalTotalDigits",
            "DecimalFractionalDigits",
            "Nullable",
            "DefaultValue",
            "ColumnId",
            "CommentString",
        ),
        _columns,
    ),
    "indicesv": (
        (
            "DatabaseName",
            "TableName",
            "IndexNumber",
            "IndexType",
            "UniqueFlag",
            "IndexName",
            "ColumnName",
            "ColumnPosition",
        ),
        _indices,
    ),
    "all_ri_childrenv": (
        (
            "IndexID",
            "IndexName",
            "ChildDB",
            "ChildTable",
            "ChildKeyColumn",
            "ParentDB",
            "ParentTable",
            "ParentKeyColumn",
        ),
        _references,
    ),
    "dbcinfov": (("InfoKey", "InfoData"), _info),
    "tablesizev": (("DatabaseName", "TableName", "Vproc", "CurrentPerm"), None),
}


def known(name: str) -> bool:
    """Return whether an unqualified name is a dictionary view."""
    return name.lower() == "dbcinfov"


def source(name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the name of a dictionary view in SQLite, and its columns."""
    view = _VIEWS.get(name.lower())
    if view is None:
        raise Refused(3807, f"DBC.{name}")
    return f'temp."dbc.{name.lower()}"', tuple((column, "VARCHAR") for column in view[0])


def fill(sqlite: sqlite3.Connection, catalog: Catalog, name: str) -> None:
    """Fill a dictionary view in SQLite."""
    columns, rows = _VIEWS[name]
    listed_rows = rows(catalog) if rows else _sizes(sqlite, catalog)
    listed = ", ".join(f'"{column}" COLLATE NOCASE' for column in columns)
    sqlite.execute(f'CREATE TEMP TABLE IF NOT EXISTS "dbc.{name}" ({listed})')
    sqlite.execute(f'DELETE FROM temp."dbc.{name}"')
    marks = ", ".join("?" * len(columns))
    sqlite.executemany(f'INSERT INTO temp."dbc.{name}" VALUES ({marks})', listed_rows)
