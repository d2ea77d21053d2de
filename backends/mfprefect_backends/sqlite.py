"""SQLite: the embedded default."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from mfprefect.backend import WRITE_OPTION, Backend
from mfprefect.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    IntegrityError,
    PermissionDenied,
)
from mfprefect.schema import Double, JsonRows
from mfprefect.settings import Settings

__all__ = ["SqliteBackend"]

CHUNK_ROWS = 50_000
ROWS_A_STATEMENT = 100


@compiles(Double, "sqlite")
def _double(element: Double, compiler: Any, **options: Any) -> str:
    # A REAL column turns -0.0 into 0.0; a name with BLOB in it leaves the eight bytes alone.
    return "DOUBLE_BLOB"


@compiles(JsonRows, "sqlite")
def _json_rows(element: JsonRows, compiler: Any, **options: Any) -> str:
    fields = (
        f"json_extract(listed.value, '$.{key}') AS {column.name}"
        for key, column in element.fields.items()
    )
    documents = compiler.process(element.documents, **options)
    return (
        f"SELECT documents.session_no, listed.key + 1 AS place, {', '.join(fields)} "  # noqa: S608
        f"FROM ({documents}) AS documents JOIN json_each(documents.document) AS listed"
    )


class SqliteBackend(Backend):
    """A file, or `sqlite://` for a store in memory that goes with its process."""

    name: ClassVar[str] = "sqlite"
    drivername: ClassVar[str] = "sqlite+pysqlite"
    driver: ClassVar[str] = "sqlite3"

    def __init__(self, url: sa.URL, settings: Settings) -> None:
        if url.database in (None, "", ":memory:"):
            self.writers = 0
        elif not str(url.database).startswith("file:"):
            url = url.set(database=str(Path(str(url.database)).absolute()))
        super().__init__(url, settings)
        self._was_there = False

    def engine_options(self) -> Mapping[str, Any]:
        """Wait for other writers; share the one connection of a store in memory."""
        options: dict[str, Any] = {"connect_args": {"timeout": self.settings.connect_timeout}}
        if self.url.database in (None, "", ":memory:"):
            options["poolclass"] = sa.StaticPool
            options["connect_args"]["check_same_thread"] = False
        return options

    def configure(self, engine: sa.Engine) -> None:
        """Take transactions into our own hands: the driver would commit before DDL."""
        event.listen(engine, "connect", self._on_connect)
        event.listen(engine, "begin", self._begin)

    def table_options(self, table: str) -> Mapping[str, Any]:
        """Keep scores in their key's order: 34 bytes a row instead of 57."""
        return {"sqlite_with_rowid": False} if table in ("scores", "exported_scores") else {}

    def exists(self) -> bool:
        """Return whether the file is there: connecting to a missing one would make it, empty."""
        path = self.url.database
        if path in (None, "", ":memory:") or str(path).startswith("file:"):
            return True
        return Path(str(path)).exists()

    def append(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Insert 100 rows a statement, with what is the same in all rows as part of its text."""
        names = ", ".join(map(connection.dialect.identifier_preparer.quote, rows.column_names))
        table_name = connection.dialect.identifier_preparer.format_table(table)
        into = f"INSERT INTO {table_name} ({names}) VALUES "  # noqa: S608
        for batch in rows.to_batches(max_chunksize=CHUNK_ROWS):
            fixed = [_fixed(column) for column in batch]
            if None not in fixed:  # without values to bind, nothing would be inserted
                fixed[0] = None
            lists = [_listed(c) for c, text in zip(batch, fixed, strict=True) if text is None]
            one = f"({', '.join(text or '?' for text in fixed)})"
            values: list[Any] = [None] * (batch.num_rows * len(lists))
            for number, column in enumerate(lists):
                values[number :: len(lists)] = column
            whole = batch.num_rows // ROWS_A_STATEMENT * ROWS_A_STATEMENT * len(lists)
            for several, part in ((ROWS_A_STATEMENT, values[:whole]), (1, values[whole:])):
                many = list(zip(*[iter(part)] * (several * len(lists)), strict=True))
                if many:
                    connection.exec_driver_sql(into + ", ".join([one] * several), many)

    def grants(self, role: str, user: str) -> str:
        """Say what there is in the place of rights."""
        return (
            "-- SQLite has no users and no rights: whoever may write the file may change all\n"
            "-- that is in it, and whoever may read it reads everything. The permissions of the\n"
            "-- file, of its -wal and -shm, and of its folder are all there is: chmod 640, and a\n"
            "-- group for those who read. `mfprefect audit verify` finds what was changed."
        )

    def lock(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Need nothing: the write transaction has locked the file."""
        return nullcontext()

    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Go by the driver's class and SQLite's result code."""
        cause = error.orig
        if isinstance(cause, sqlite3.IntegrityError):
            return IntegrityError
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return DatabaseConflict
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return PermissionDenied
        # A file that was there, and whose disk is away; one that never was is a wrong URL.
        away = code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR) and self._was_there
        # A disk that is full is cleared by somebody, as on the other databases.
        away = away or code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_PROTOCOL)
        return DatabaseUnavailable if away else DatabaseError

    def _on_connect(self, connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            # WAL: readers go on reading while somebody writes.
            connection.execute(f"PRAGMA {pragma}")
        self._was_there = True

    def _begin(self, connection: sa.Connection) -> None:
        # A writer takes the write lock at once: one that reads first may be refused later.
        write = connection.get_execution_options().get(WRITE_OPTION)
        statement = "BEGIN IMMEDIATE" if write else "BEGIN"
        driver: Any = connection.connection.dbapi_connection
        with self.driver_errors(connection, statement):
            driver.execute(statement)


def _fixed(column: pa.Array) -> str | None:
    """Return the SQL of the value that all rows have, where that is NULL or an integer."""
    if column.null_count == len(column):
        return "NULL"
    if not pa.types.is_integer(column.type) or column.null_count:
        return None
    ends = pc.min_max(column)
    return str(ends["min"]) if ends["min"] == ends["max"] else None


def _listed(column: pa.Array) -> list[Any]:
    if pa.types.is_temporal(column.type):
        # Dates are text in SQLite, as SQLAlchemy writes them; the driver's own way is deprecated.
        column = column.cast(pa.large_string())
    if column.null_count and not pa.types.is_large_string(column.type):
        values: list[Any] = column.to_pylist()
    else:  # several times as fast; but of numbers with NULLs it would make floats
        values = column.to_numpy(zero_copy_only=False).tolist()
    return values
