"""Loading rows into MySQL and MariaDB: LOAD DATA LOCAL, or INSERTs of many rows without it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from mfprefect.errors import DatabaseError, IntegrityError
from mfprefect_backends import _mysql_statements
from mfprefect_backends._csv import Pipe, encoded

__all__ = ["Loading", "allow_local_infile", "as_read", "insert", "load_data", "loading_of"]

DUPLICATE = 1062
DIVISION = "ERROR_FOR_DIVISION_BY_ZERO"
STRICT = "STRICT_ALL_TABLES"
ENCODED_ROWS = 50_000
"""Rows that are encoded at once."""
STATEMENT_ROWS = 500
"""Rows of an INSERT. MySQL 9 needed 20 % more processor time with 2,000, 40 % more with 4,000."""
MOST_PARAMETERS = 65_535
"""Of a prepared statement."""
# pymysql has these constants too, but it may be missing when this module is imported.
_DOUBLE, _LONGLONG, _VAR_STRING = 5, 8, 253
"""Types of the protocol."""
_MARKS = ((b"\xfc", 2), (b"\xfd", 3), (b"\xfe", 8))
"""What precedes the length of a text of 251 bytes or more, and the bytes of that."""
EMPTY = pa.scalar(b"", pa.large_binary())


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
    """Insert by a prepared statement of many rows, each shorter than the server's `packet` bytes.

    Prepared, because the server spends less time on values in binary than on parsing their texts,
    and because no log shows them.

    Raises:
        pymysql.err.MySQLError: the server's error, such as a key that exists already.
    """
    name, columns = _names(connection, table, rows)
    driver: Any = connection.connection.dbapi_connection
    insertion = f"INSERT INTO {name} ({columns}) VALUES "  # noqa: S608 - quoted names only
    insertion %= ()  # the names have %% for %
    row = f"({', '.join('?' * rows.num_columns)})"
    for first in range(0, rows.num_rows, ENCODED_ROWS):
        batch = _Batch.of(rows.slice(first, ENCODED_ROWS).combine_chunks())
        for count, parts in batch.statements(packet):
            statement = _mysql_statements.prepare(driver, insertion + ", ".join([row] * count))
            try:
                _mysql_statements.definitions(driver, statement.parameters)
                for values in parts:
                    _mysql_statements.execute(driver, statement, values)
                    driver._read_ok_packet()
            finally:
                _mysql_statements.close(driver, statement)


class _Batch(NamedTuple):
    """Rows as values of a prepared statement."""

    values: memoryview
    ends: np.ndarray[Any, np.dtype[np.int64]]
    """Where each row ends in the values, after the 0 of the first one's beginning."""
    nulls: np.ndarray[Any, np.dtype[np.bool_]]
    """Which values are NULL: a row of it for each row."""
    types: bytes
    """The types of a row's values."""

    @classmethod
    def of(cls, rows: pa.Table) -> _Batch:
        encoded = [_encoded(column.combine_chunks()) for column in rows.columns]
        cells = [pc.fill_null(cells, EMPTY) for _, cells in encoded]
        joined = pc.binary_join_element_wise(*cells, EMPTY)
        _, offsets, values = joined.buffers()
        ends = np.frombuffer(offsets, np.int64, len(joined) + 1, joined.offset * 8)
        nulls = np.column_stack(
            [pc.is_null(c).to_numpy(zero_copy_only=False) for c in rows.columns]
        )
        types = b"".join(struct.pack("<H", kind) for kind, _ in encoded)
        return cls(memoryview(values or b""), ends, nulls, types)

    def statements(self, packet: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield how many rows a statement has, and the values of each execution."""
        columns = self.nulls.shape[1]
        longest = int(np.diff(self.ends).max()) + 3 * columns  # with their types and NULLs
        most = min(STATEMENT_ROWS, MOST_PARAMETERS // columns, (packet - 1024) // longest)
        count = max(1, most)
        whole = len(self.nulls) // count * count
        if whole:
            yield count, (self._execution(n, n + count) for n in range(0, whole, count))
        if rest := len(self.nulls) - whole:
            yield rest, iter([self._execution(whole, len(self.nulls))])

    def _execution(self, first: int, last: int) -> bytes:
        nulls = np.packbits(self.nulls[first:last].reshape(-1), bitorder="little").tobytes()
        types = self.types * (last - first)
        # The types are sent with each.
        values = bytes(self.values[self.ends[first] : self.ends[last]])
        return nulls + b"\1" + types + values


def _encoded(column: pa.Array) -> tuple[int, pa.Array]:
    """Return the type of a column's values, and their bytes, NULL for NULL."""
    kind = column.type
    if pa.types.is_float64(kind):
        return _DOUBLE, _bytes_of(column)
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and not pa.types.is_uint64(kind)):
        return _LONGLONG, _bytes_of(column.cast(pa.int64()))
    text = column.cast(pa.large_string()).cast(pa.large_binary())
    return _VAR_STRING, pc.binary_join_element_wise(_prefixes(text), text, EMPTY)


def _bytes_of(numbers: pa.Array, width: int | None = None) -> pa.Array:
    """Return the bytes of numbers, lowest first; of each, the first `width` bytes."""
    size = numbers.type.bit_width // 8
    flat = np.frombuffer(numbers.buffers()[1], np.uint8)
    flat = flat[numbers.offset * size : (numbers.offset + len(numbers)) * size]
    cut = np.ascontiguousarray(flat.reshape(-1, size)[:, : width or size])
    fixed = pa.Array.from_buffers(
        pa.binary(cut.shape[1]), len(numbers), [_validity(numbers), pa.py_buffer(cut)]
    )
    return fixed.cast(pa.large_binary())


def _validity(numbers: pa.Array) -> pa.Buffer | None:
    return None if numbers.null_count == 0 else pc.is_valid(numbers).buffers()[1]


def _prefixes(text: pa.Array) -> pa.Array:
    """Return what precedes each text: its length in 1, 3, 4 or 9 bytes."""
    lengths = pc.binary_length(text).cast(pa.uint64())
    short = _bytes_of(lengths, 1)
    if (pc.max(lengths).as_py() or 0) < 251:
        return short
    longer = [
        pc.binary_join_element_wise(
            pa.scalar(mark, pa.large_binary()), _bytes_of(lengths, n), EMPTY
        )
        for mark, n in ((b"\xfc", 2), (b"\xfd", 3), (b"\xfe", 8))
    ]
    bounds = [pc.less(lengths, pa.scalar(n, pa.uint64())) for n in (251, 1 << 16, 1 << 24)]
    return pc.case_when(pc.make_struct(*bounds), short, *longer)


def _names(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> tuple[str, str]:
    preparer = connection.dialect.identifier_preparer
    columns = ", ".join(preparer.quote(name) for name in rows.column_names)
    return preparer.format_table(table), columns
