"""Reflection from the dictionary's views; names compare without case."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.sql import sqltypes

__all__ = ["Lookups"]

# https://docs.teradata.com: Data Dictionary, ColumnsV.ColumnType
_TYPES: dict[str, Any] = {
    "I1": sa.SmallInteger,
    "I2": sa.SmallInteger,
    "I": sa.Integer,
    "I8": sa.BigInteger,
    "D": sa.Numeric,
    "N": sa.Numeric,
    "F": sa.Double,
    "CF": sa.String,
    "CV": sa.String,
    "CO": sa.Text,
    "BO": sa.LargeBinary,
    "BF": sa.LargeBinary,
    "BV": sa.LargeBinary,
    "DA": sa.Date,
    "TS": sa.DateTime,
    "SZ": sa.DateTime,
}
_TABLES, _VIEWS = ("T", "O", "Q"), ("V",)
_IN_DATABASE = "DatabaseName (NOT CASESPECIFIC) = ? (NOT CASESPECIFIC)"
_IS_TABLE = "TableName (NOT CASESPECIFIC) = ? (NOT CASESPECIFIC)"

_COLUMNS = (
    "SELECT ColumnName, ColumnType, ColumnLength, CharType, DecimalTotalDigits, "
    "DecimalFractionalDigits, Nullable, DefaultValue, CommentString FROM DBC.ColumnsV "
    "WHERE {of_table} ORDER BY ColumnId"
)
_INDEXES = (
    "SELECT IndexNumber, IndexType, UniqueFlag, IndexName, ColumnName FROM DBC.IndicesV "
    "WHERE {of_table} ORDER BY IndexNumber, ColumnPosition"
)


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


class Lookups:
    """The reflection methods of a dialect; `default_schema_name` is the session's database."""

    default_schema_name: str | None

    def _ask(self, connection: sa.Connection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        # Plain str: SQLAlchemy passes names as quoted_name, a subclass.
        rows = connection.exec_driver_sql(sql, tuple(map(str, values)))
        return [tuple(map(_stripped, row)) for row in rows]

    def _database(self, schema: str | None) -> Any:
        return self.default_schema_name if schema is None else schema

    def _names(self, connection: Any, schema: str | None, kinds: tuple[str, ...]) -> list[str]:
        marks = ", ".join(f"'{kind}'" for kind in kinds)
        sql = f"SELECT TableName FROM DBC.TablesV WHERE {_IN_DATABASE} AND TableKind IN ({marks})"  # noqa: S608
        return [row[0] for row in self._ask(connection, sql, self._database(schema))]

    def has_schema(self, connection: Any, schema_name: str, **_: Any) -> bool:
        """Return whether a database exists."""
        sql = f"SELECT DatabaseName FROM DBC.DatabasesV WHERE {_IN_DATABASE}"  # noqa: S608
        return bool(self._ask(connection, sql, schema_name))

    def get_schema_names(self, connection: Any, **_: Any) -> list[str]:
        """Return the names of databases."""
        sql = "SELECT DatabaseName FROM DBC.DatabasesV"
        return [row[0] for row in self._ask(connection, sql)]

    def get_table_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        """Return the names of a database's tables."""
        return self._names(connection, schema, _TABLES)

    def get_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        """Return the names of a database's views."""
        return self._names(connection, schema, _VIEWS)

    def has_table(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> bool:
        """Return whether a table or view exists."""
        sql = (
            f"SELECT TableName FROM DBC.TablesV WHERE {_IN_DATABASE} AND {_IS_TABLE} "  # noqa: S608
            "AND TableKind IN ('T', 'O', 'Q', 'V')"
        )
        return bool(self._ask(connection, sql, self._database(schema), table_name))

    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        """Return the columns of a table or view.

        Raises:
            NoSuchTableError: it does not exist.
        """
        sql = _COLUMNS.format(of_table=f"{_IN_DATABASE} AND {_IS_TABLE}")
        rows = self._ask(connection, sql, self._database(schema), table_name)
        if not rows:
            raise NoSuchTableError(table_name)
        return [
            {
                "name": name,
                "type": _type(kind, length, char, digits, fraction),
                "nullable": nullable != "N",
                "default": default,
                "autoincrement": False,
                "comment": comment,
            }
            for name, kind, length, char, digits, fraction, nullable, default, comment in rows
        ]

    def get_table_comment(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Return the comment of a table or view.

        Raises:
            NoSuchTableError: it does not exist.
        """
        sql = f"SELECT CommentString FROM DBC.TablesV WHERE {_IN_DATABASE} AND {_IS_TABLE}"  # noqa: S608
        rows = self._ask(connection, sql, self._database(schema), table_name)
        if not rows:
            raise NoSuchTableError(table_name)
        return {"text": rows[0][0]}

    def _indexes(self, connection: Any, table: str, schema: str | None) -> list[dict[str, Any]]:
        sql = _INDEXES.format(of_table=f"{_IN_DATABASE} AND {_IS_TABLE}")
        rows = self._ask(connection, sql, self._database(schema), table)
        indexes = []
        for (_, kind, unique, name), columns in groupby(rows, key=lambda row: row[:4]):
            names = [row[4] for row in columns]
            indexes.append(
                {"kind": kind, "name": name, "column_names": names, "unique": unique == "Y"}
            )
        return indexes

    def get_indexes(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        """Return the secondary indexes; a unique index without a name is a constraint only."""
        return [
            {key: index[key] for key in ("name", "column_names", "unique")}
            for index in self._secondary(connection, table_name, schema)
            if index["name"] or not index["unique"]
        ]

    def _secondary(self, connection: Any, table: str, schema: str | None) -> list[dict[str, Any]]:
        indexes = self._indexes(connection, table, schema)
        return [index for index in indexes if index["kind"] not in ("P", "Q", "K")]

    def get_unique_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        """Return the unique secondary indexes, including those that get_indexes returns."""
        return [
            {
                "name": index["name"],
                "column_names": index["column_names"],
                "duplicates_index": index["name"],
            }
            for index in self._secondary(connection, table_name, schema)
            if index["unique"]
        ]

    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Return the unique primary index as the key."""
        for index in self._indexes(connection, table_name, schema):
            if index["kind"] in ("P", "Q", "K") and index["unique"]:
                return {"constrained_columns": index["column_names"], "name": index["name"]}
        return {"constrained_columns": [], "name": None}

    def get_foreign_keys(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        """Return the references, which Teradata does not check."""
        sql = (
            "SELECT IndexID, IndexName, ChildKeyColumn, ParentDB, ParentTable, ParentKeyColumn "
            "FROM DBC.All_RI_ChildrenV "
            "WHERE ChildDB (NOT CASESPECIFIC) = ? (NOT CASESPECIFIC) "
            "AND ChildTable (NOT CASESPECIFIC) = ? (NOT CASESPECIFIC) ORDER BY IndexID"
        )
        rows = self._ask(connection, sql, self._database(schema), table_name)
        keys = []
        for _id, group in groupby(rows, key=lambda row: row[0]):
            columns = list(group)
            _, name, _, database, parent, _ = columns[0]
            keys.append(
                {
                    "name": name,
                    "constrained_columns": [row[2] for row in columns],
                    "referred_schema": None if schema is None else database,
                    "referred_table": parent,
                    "referred_columns": [row[5] for row in columns],
                }
            )
        return keys


def _type(kind: str | None, length: Any, char: Any, digits: Any, fraction: Any) -> Any:
    generic = _TYPES.get(kind or "", sqltypes.NullType)
    if generic is sa.String:
        # The dictionary counts bytes, two for each Unicode character.
        return sa.String(int(length) // (2 if char == 2 else 1)) if length else sa.String()
    if generic is sa.Numeric and kind == "D":
        return sa.Numeric(digits, fraction)
    return generic()
