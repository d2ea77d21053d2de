"""SQLite, the embedded default."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from mfprefect.backend import WRITE_OPTION, ArrowRows, Backend, TableBytes
from mfprefect.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    IntegrityError,
    PermissionDenied,
)
from mfprefect.schema import Double, Instant, JsonRows, UtcDay
from mfprefect.settings import Settings
from mfprefect_backends import _sqlite_rows, _statements

__all__ = ["SqliteBackend"]

CHUNK_ROWS = 50_000
STEPS = 100_000
"""Steps of SQLite's virtual machine after which it asks whether the time is over."""
ROWS_A_STATEMENT = 100
_DAY = f"{'[0-9]' * 4}-{'[0-9]' * 2}-{'[0-9]' * 2}"
_CLOCK = f"{'[0-9]' * 2}:{'[0-9]' * 2}:{'[0-9]' * 2}.{'[0-9]' * 6}"
# date() and datetime() let 30 February and 24:00 through unless they have to add to it.
_HAS_YEAR = "typeof({0}) = 'text' AND substr({0}, 1, 4) > '0000'"
_IS_DAY = f"{_HAS_YEAR} AND {{0}} GLOB '{_DAY}' AND date({{0}}, '+0 days') = {{0}}"
_IS_TIME = (
    f"{_HAS_YEAR} AND {{0}} GLOB '{_DAY} {_CLOCK}' "
    "AND datetime(substr({0}, 1, 19), '+0 days') = substr({0}, 1, 19)"
)
_FITS: dict[type[Any], str] = {
    Instant: _IS_TIME,
    sa.Date: _IS_DAY,
    sa.Boolean: "typeof({0}) = 'integer' AND {0} IN (0, 1)",
    sa.Integer: "typeof({0}) = 'integer'",
    Double: "typeof({0}) IN ('real', 'integer')",
    sa.LargeBinary: "typeof({0}) = 'blob'",
    sa.String: "typeof({0}) = 'text'",
}
"""The condition that a cell is as mfprefect writes it, by the type of its column."""
_HAS_DBSTAT = "SELECT count(*) FROM pragma_module_list WHERE name = 'dbstat'"
_SIZES = """
SELECT m.tbl_name, sum(s.pgsize), sum(CASE WHEN m.type = 'index' THEN s.pgsize ELSE 0 END)
FROM dbstat('main', 1) AS s JOIN sqlite_master AS m ON m.name = s.name GROUP BY m.tbl_name
"""


@compiles(Double, "sqlite")
def _double(element: Double, compiler: Any, **options: Any) -> str:
    # A REAL column turns -0.0 into 0.0; a type name with BLOB in it keeps all eight bytes.
    return "DOUBLE_BLOB"


@compiles(UtcDay, "sqlite")
def _utc_day(element: UtcDay, compiler: Any, **options: Any) -> str:
    return f"date({compiler.process(element.clauses, **options)})"  # CAST would give the year


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
    """A file, or with `sqlite://` a store in memory, lost at the end of its process."""

    name: ClassVar[str] = "sqlite"
    drivername: ClassVar[str] = "sqlite+pysqlite"
    driver: ClassVar[str] = "sqlite3"
    scores_in_sql: ClassVar[bool] = True
    # Its rows are at hand. And to prepare a statement takes it time that grows with the square of
    # the thresholds: 24 s for a forest of 59,000, which Python scores in less than 1 s.
    longest_plan: ClassVar[int] = 0
    longest_scoring: ClassVar[int | None] = 1_000_000

    def __init__(self, url: sa.URL, settings: Settings) -> None:
        if url.database in (None, "", ":memory:"):
            self.writers = 0
        elif not str(url.database).startswith("file:"):
            url = url.set(database=str(Path(str(url.database)).absolute()))
        super().__init__(url, settings)
        self._connected_before = False

    def engine_options(self) -> Mapping[str, Any]:
        """Wait for other writers; share the single connection of a store in memory."""
        options: dict[str, Any] = {"connect_args": {"timeout": self.settings.connect_timeout}}
        if self.url.database in (None, "", ":memory:"):
            options["poolclass"] = sa.StaticPool
            options["connect_args"]["check_same_thread"] = False
        return options

    def configure(self, engine: sa.Engine) -> None:
        """Begin transactions explicitly: the driver would commit before DDL."""
        event.listen(engine, "connect", self._on_connect)
        event.listen(engine, "begin", self._begin)

    def source_options(self) -> Mapping[str, Any]:
        """Wait for other writers of a source as long as for those of the store."""
        return {} if "timeout" in self.url.query else {"timeout": self.settings.connect_timeout}

    def read_arrow(
        self, connection: sa.Connection, statement: sa.TextClause, params: Mapping[str, Any]
    ) -> ArrowRows | str:
        """Read a query column by column; it runs again if its columns turn out to be mixed."""
        if not _statements.is_query(statement.text) or _sqlite_rows.is_writing(statement.text):
            return _statements.NO_QUERY
        result = connection.execute(statement, params)
        return _sqlite_rows.rows_of(result, partial(self.driver_errors, connection, statement.text))

    def table_options(self, table: str) -> Mapping[str, Any]:
        """Store scores in the order of their key: 34 bytes a row instead of 57."""
        return {"sqlite_with_rowid": False} if table in ("scores", "exported_scores") else {}

    def misfit(self, column: sa.Column[Any]) -> str:
        """Return `typeof` of a cell unless it is what mfprefect writes into such a column."""
        name = self.dialect().identifier_preparer.quote(column.name)
        fits = next(text for kind, text in _FITS.items() if isinstance(column.type, kind))
        return (
            f"CASE WHEN {name} IS NULL OR ({fits.format(name)}) THEN NULL ELSE typeof({name}) END"
        )

    def exists(self) -> bool:
        """Return whether the file exists: connecting would create an empty one."""
        path = self.url.database
        if path in (None, "", ":memory:") or str(path).startswith("file:"):
            return True
        return Path(str(path)).exists()

    def hint(self, error: DBAPIError) -> str | None:
        """Name the file's permissions: there are no users and no roles."""
        if self.classify(error) is PermissionDenied:
            return "The file or its folder is not writable for this user: see their permissions."
        return None

    def append(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Insert 100 rows a statement; values that all rows share are part of its text."""
        names = ", ".join(map(connection.dialect.identifier_preparer.quote, rows.column_names))
        table_name = connection.dialect.identifier_preparer.format_table(table)
        into = f"INSERT INTO {table_name} ({names}) VALUES "  # noqa: S608
        for batch in rows.to_batches(max_chunksize=CHUNK_ROWS):
            literals = [_literal(column) for column in batch]
            if None not in literals:  # a statement without parameters would insert nothing
                literals[0] = None
            lists = [_as_list(c) for c, text in zip(batch, literals, strict=True) if text is None]
            row = f"({', '.join(text or '?' for text in literals)})"
            values: list[Any] = [None] * (batch.num_rows * len(lists))
            for number, column in enumerate(lists):
                values[number :: len(lists)] = column
            split = batch.num_rows // ROWS_A_STATEMENT * ROWS_A_STATEMENT * len(lists)
            for rows_each, cells in ((ROWS_A_STATEMENT, values[:split]), (1, values[split:])):
                parameters = list(zip(*[iter(cells)] * (rows_each * len(lists)), strict=True))
                if parameters:
                    connection.exec_driver_sql(into + ", ".join([row] * rows_each), parameters)

    def insert_select(
        self,
        connection: sa.Connection,
        table: sa.Table,
        select: sa.Select[*tuple[Any, ...]],
        part: tuple[int, int],
    ) -> None:
        """Insert in the order of the key, which the table is stored in."""
        super().insert_select(connection, table, select.order_by("entity_id"), part)

    def shares_database(self, other: Backend) -> bool:
        """Compare the files; a store in memory shares its own with nobody."""
        if not isinstance(other, SqliteBackend):
            return False
        urls = self.url, other.url
        if any(url.database in (None, "", ":memory:") for url in urls):
            return False
        files = {Path(str(url.database)).resolve() for url in urls}
        return len(files) == 1 and self.url.query == other.url.query

    def exact(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Compare bytes, whatever collation the column has."""
        return sa.collate(column, "BINARY")

    def scored_id(
        self, connection: sa.Connection, column: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[str]:
        """Return NULL, which no score may have, for cells that are neither text nor integers."""
        fits = sa.func.typeof(column).in_(("text", "integer"))
        return sa.case((fits, sa.cast(column, sa.Text())))

    def sampled(
        self, connection: sa.Connection, column: sa.ColumnElement[Any], share: int
    ) -> sa.ColumnElement[bool]:
        """Take integers by a multiplicative hash, and texts by CRC-32, which the driver computes.

        SQLite has no hash, and calling Python for each row takes as long as reading it.
        """
        driver: Any = connection.connection.dbapi_connection
        driver.create_function("mfprefect_crc32", 1, _crc32, deterministic=True)
        number = sa.type_coerce(column, sa.BigInteger())
        low, high = number.op("&")(_31_BITS), number.op(">>")(31).op("&")(_31_BITS)
        # The sum has 32 bits, and the product fewer than 64: beyond, it would be a double.
        hashed = ((low + high) * _KNUTH).op(">>")(16)
        text = self.scored_id(connection, column)
        crc = sa.func.mfprefect_crc32(text, type_=sa.BigInteger())
        return sa.case((sa.func.typeof(column) == "integer", hashed), else_=crc) % share == 0

    @contextmanager
    def time_limit(self, connection: sa.Connection, seconds: float) -> Iterator[None]:
        """Interrupt the statement that runs when the time is over, and those after it."""
        ends = time.monotonic() + seconds
        driver: Any = connection.connection.dbapi_connection
        driver.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
        try:
            yield
        finally:
            driver.set_progress_handler(None, 0)

    def table_bytes(self, connection: sa.Connection) -> dict[str, TableBytes]:
        """Return the pages of each table, which reads the whole file; nothing without `dbstat`."""
        if not connection.exec_driver_sql(_HAS_DBSTAT).scalar():
            return {}
        rows = connection.exec_driver_sql(_SIZES)
        return {name: TableBytes(total, indexes) for name, total, indexes in rows}

    def grants(self, role: str, user: str) -> str:
        """Return a comment that says what replaces grants."""
        return (
            "-- SQLite has no users and no rights: everybody who can write the file can change\n"
            "-- everything in it, and everybody who can read it sees everything. Only the\n"
            "-- permissions of the file, of its -wal and -shm, and of its folder limit access:\n"
            "-- chmod 640, and a group for readers. `mfprefect audit verify` detects changes."
        )

    def lock(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Do nothing: the write transaction has already locked the file."""
        return nullcontext()

    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Decide by the driver's class and SQLite's result code."""
        cause = error.orig
        if isinstance(cause, sqlite3.IntegrityError):
            return IntegrityError
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return DatabaseConflict
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return PermissionDenied
        # The disk of a file opened before is away; a file never opened means a wrong URL.
        lost = code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR) and self._connected_before
        # Somebody will clear a full disk, as on the other databases.
        unavailable = lost or code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_PROTOCOL)
        return DatabaseUnavailable if unavailable else DatabaseError

    def _on_connect(self, connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            # WAL: readers can read during a write.
            connection.execute(f"PRAGMA {pragma}")
        self._connected_before = True

    def _begin(self, connection: sa.Connection) -> None:
        # A writer takes the lock at the start: after reading first, SQLite may refuse it.
        write = connection.get_execution_options().get(WRITE_OPTION)
        statement = "BEGIN IMMEDIATE" if write else "BEGIN"
        driver: Any = connection.connection.dbapi_connection
        with self.driver_errors(connection, statement):
            driver.execute(statement)


_31_BITS = 0x7FFFFFFF
_KNUTH = 1_640_531_527
"""2**32 by the square of the golden ratio: multiples spread evenly (Knuth, TAOCP 3, 6.4)."""


def _crc32(text: Any) -> int:
    return zlib.crc32(str(text).encode())


def _literal(column: pa.Array) -> str | None:
    """Return the SQL of a value that all rows share, if that is NULL or an integer."""
    if column.null_count == len(column):
        return "NULL"
    if not pa.types.is_integer(column.type) or column.null_count:
        return None
    ends = pc.min_max(column)
    return str(ends["min"]) if ends["min"] == ends["max"] else None


def _as_list(column: pa.Array) -> list[Any]:
    if pa.types.is_temporal(column.type):
        # Text, as SQLAlchemy writes dates in SQLite; the driver's own conversion is deprecated.
        column = column.cast(pa.large_string())
    if column.null_count and not pa.types.is_large_string(column.type):
        values: list[Any] = column.to_pylist()
    else:  # several times as fast, but it turns integers with NULLs into floats
        values = column.to_numpy(zero_copy_only=False).tolist()
    return values
