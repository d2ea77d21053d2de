"""Loading rows into MySQL and MariaDB: LOAD DATA LOCAL, or long INSERT statements without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from mfprefect.errors import DatabaseError, IntegrityError
from mfprefect_backends._csv import Pipe, encoded

__all__ = ["Loading", "allow_local_infile", "as_read", "insert", "load_data", "loading_of"]

DUPLICATE = 1062
DIVISION = "ERROR_FOR_DIVISION_BY_ZERO"
STRICT = "STRICT_ALL_TABLES"
NO_BACKSLASH_ESCAPES = 512
"""A flag of the server's status: SERVER_STATUS_NO_BACKSLASH_ESCAPES of the protocol."""
LONGEST_STATEMENT = 1024 * 1024
"""Bytes; longer ones measured no faster, and server and driver hold each several times."""
ENCODED_ROWS = 50_000
"""Rows that become SQL at once."""


class Loading(NamedTuple):
    """What a server allows for loading."""

    local_infile: bool
    max_allowed_packet: int
    """Bytes of its longest statement."""


def loading_of(connection: sa.Connection) -> Loading:
    """Ask the server what it allows."""
    row = connection.exec_driver_sql("SELECT @@local_infile, @@max_allowed_packet").one()
    return Loading(bool(row[0]), int(row[1]))


@contextmanager
def as_read(connection: sa.Connection) -> Iterator[None]:
    """Run what inserts rows of a query with the zone and the mode that a query alone has.

    Then `now()` and 1 / 0 give what they give when the rows are read; texts are never truncated.
    """
    driver: Any = connection.connection.dbapi_connection
    ours = connection.exec_driver_sql("SELECT @@time_zone, @@sql_mode").one()
    server = connection.exec_driver_sql("SELECT @@global.time_zone, @@global.sql_mode").one()
    modes = [mode for mode in str(server[1]).split(",") if mode and mode != DIVISION]
    _set_session(driver, server[0], ",".join([*modes, STRICT]))
    try:
        yield
    finally:
        if not connection.invalidated:
            _set_session(driver, *ours)


def _set_session(driver: Any, zone: str, mode: str) -> None:
    with driver.cursor() as cursor:
        cursor.execute("SET time_zone = %s, sql_mode = %s", (zone, mode))


def allow_local_infile(connection: Any, allowed: bool) -> None:
    """Let a server read files of this machine, or not."""
    connection._local_infile = allowed


def load_data(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
    """Load by LOAD DATA LOCAL from a pipe.

    Raises:
        IntegrityError: a key exists already.
        DatabaseError: the server changed or dropped a value.
    """
    name, columns = _names(connection, table, rows)
    driver: Any = connection.connection.dbapi_connection
    with Pipe(encoded(rows, null="NULL")) as pipe:
        allow_local_infile(driver, True)
        try:
            result = connection.exec_driver_sql(
                f"LOAD DATA LOCAL INFILE '{pipe.path}' INTO TABLE {name} "
                "CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' "
                f"ESCAPED BY '' LINES TERMINATED BY '\n' ({columns})"
            )
        finally:
            allow_local_infile(driver, False)
    # With LOCAL, the server drops duplicates and alters bad values, and only warns.
    warnings = connection.exec_driver_sql("SHOW WARNINGS LIMIT 3").all()
    if result.rowcount != rows.num_rows or warnings:
        duplicate = any(row[1] == DUPLICATE for row in warnings)
        raise (IntegrityError if duplicate else DatabaseError)(
            f"LOAD DATA took {result.rowcount} of {rows.num_rows} rows: "
            + "; ".join(str(row[2]) for row in warnings)
        )


def insert(connection: sa.Connection, table: sa.Table, rows: pa.Table, packet: int) -> None:
    """Insert by statements of many rows, each shorter than the server's `packet` bytes.

    Raises:
        IntegrityError: a key exists already.
    """
    name, columns = _names(connection, table, rows)
    statement = f"INSERT INTO {name} ({columns}) VALUES %s"  # noqa: S608 - quoted names only
    driver: Any = connection.connection.dbapi_connection
    driver.encoders[_Values] = lambda values, _: values.sql
    escapes = not driver.server_status & NO_BACKSLASH_ESCAPES
    longest = min(packet, LONGEST_STATEMENT) - len(statement.encode())
    for first in range(0, rows.num_rows, ENCODED_ROWS):
        for values in _packed(_tuples(rows.slice(first, ENCODED_ROWS), escapes), longest):
            connection.exec_driver_sql(statement, (_Values(values),))


class _Values:
    """Rows as SQL: a parameter, since the text of a statement reaches logs."""

    def __init__(self, sql: str) -> None:
        self.sql = sql


def _names(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> tuple[str, str]:
    preparer = connection.dialect.identifier_preparer
    columns = ", ".join(preparer.quote(name) for name in rows.column_names)
    return preparer.format_table(table), columns


def _tuples(rows: pa.Table, escapes: bool) -> pa.LargeStringArray:
    """Return each row as `(value, ..),`."""
    parts = [part for column in rows.columns for part in (",", _literals(column, escapes))]
    return _joined("(", *parts[1:], "),")


def _literals(column: pa.ChunkedArray, escapes: bool) -> pa.Array:
    """Return the SQL of each value, `NULL` for NULL."""
    kind = column.type
    text = column.combine_chunks().cast(pa.large_string())
    if pa.types.is_floating(kind):
        # without an exponent, MySQL would read an exact decimal first
        text = pc.if_else(pc.match_substring(text, "e"), text, _joined(text, "e0"))
    elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)):
        if escapes:
            text = pc.replace_substring(text, "\\", "\\\\")
        text = _joined("'", pc.replace_substring(text, "'", "''"), "'")
    return pc.fill_null(text, "NULL")


def _joined(*parts: str | pa.Array) -> pa.LargeStringArray:
    """Concatenate texts and columns of texts row by row; NULL makes NULL."""
    kind = pa.large_string()
    texts = [pa.scalar(part, kind) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*texts, pa.scalar("", kind))


def _packed(tuples: pa.LargeStringArray, longest: int) -> Iterator[str]:
    """Yield runs of rows up to `longest` bytes, without the last comma; a longer row alone."""
    _, offsets, text = tuples.buffers()
    ends = pa.Array.from_buffers(pa.int64(), len(tuples) + 1, [None, offsets]).to_numpy()
    data = memoryview(text)
    first = 0
    while first < len(tuples):
        last = max(first + 1, int(ends.searchsorted(ends[first] + longest + 1, side="right")) - 1)
        yield bytes(data[ends[first] : ends[last] - 1]).decode()
        first = last
