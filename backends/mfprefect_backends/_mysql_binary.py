"""Reading a query from MySQL or MariaDB as a prepared statement, decoded column by column.

The server sends the rows of a prepared statement in binary. In the text that it sends otherwise it
prints each number, which takes it longer than all the rest.
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa
from pymysql import err
from pymysql.connections import Connection
from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.protocol import FieldDescriptorPacket

from mfprefect.backend import ArrowRows, Unstreamable
from mfprefect_backends._mysql_packets import Rows
from mfprefect_backends._mysql_statements import Statement, close, definitions, execute, prepare
from mfprefect_backends._packed import Ints, Packed, fixed

__all__ = ["query_of", "rows_of"]

Present = npt.NDArray[np.bool_]
Decode = Callable[[Packed, Ints, Ints, Present], pa.Array]
"""Makes an array of a column's cells: where they start, how long they are, which are not NULL."""

BINARY = 63
"""The character set of what is not text."""
NOT_FIXED = 31
"""The decimals of a number that is printed with as many digits as it needs."""
FLOAT_DIGITS = 6
"""FLT_DIG of C: how many digits of a FLOAT the server prints."""
TEMPORAL_LENGTHS = {0, 4, 7, 8, 11, 12}
SECOND = 1_000_000
DAY = 86_400 * SECOND


class Column(NamedTuple):
    """A column of a prepared statement."""

    field: pa.Field
    size: int
    """Bytes of a cell; 0 if they precede it, as of texts, -1 if one byte does, as of times."""
    decode: Decode


class Query(NamedTuple):
    """A prepared statement that returns rows."""

    statement: Statement
    columns: list[Column]


# The types of a query


def query_of(driver: Connection[Any], text: bytes) -> Query | str:
    """Prepare a query and return it, or why it cannot be read; no row is computed."""
    if driver.encoding != "utf8":
        return f"the connection's encoding is {driver.encoding}, not utf8"
    try:
        statement = prepare(driver, text)
    except err.MySQLError:
        if not driver.open:
            raise
        return "the server does not prepare the statement"
    definitions(driver, statement.parameters)
    query = _columns(definitions(driver, statement.columns, FieldDescriptorPacket))
    if isinstance(query, str) or statement.parameters:
        close(driver, statement)
        return query if isinstance(query, str) else "the statement has a ? for a parameter"
    return Query(statement, query)


def _columns(fields: list[Any]) -> list[Column] | str:
    if not fields:
        return "the statement returns no rows"
    columns = []
    for field in fields:
        column = _column(field)
        if column is None:
            return f"only the driver converts the type of column {field.name!r} ({field.type_code})"
        columns.append(column)
    return columns


def _column(field: Any) -> Column | None:
    kind, unsigned = field.type_code, bool(field.flags & FLAG.UNSIGNED)
    if kind in _INTEGERS:
        dtype = _INTEGERS[kind].replace("i", "u") if unsigned else _INTEGERS[kind]
        wide = pa.uint64() if dtype == "<u8" else pa.int64()
        return Column(pa.field(field.name, wide), np.dtype(dtype).itemsize, _integer(dtype, wide))
    if kind == FIELD_TYPE.FLOAT and field.scale == NOT_FIXED:
        return Column(pa.field(field.name, pa.float64()), 4, _float)
    if kind == FIELD_TYPE.DOUBLE:
        decode = _double if field.scale >= NOT_FIXED else _printed(f"%.{field.scale}f")
        return Column(pa.field(field.name, pa.float64()), 8, decode)
    if kind in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
        return Column(pa.field(field.name, pa.float64()), 0, _decimal)
    if kind in _TIMES:
        arrow, decode = _TIMES[kind]
        return Column(pa.field(field.name, arrow), -1, decode)
    if kind == FIELD_TYPE.JSON or (kind in _TEXTS and field.charsetnr != BINARY):
        return Column(pa.field(field.name, pa.large_string()), 0, _text)
    if kind in _TEXTS or kind == FIELD_TYPE.BIT:
        return Column(pa.field(field.name, pa.large_binary()), 0, _bytes)
    return Column(pa.field(field.name, pa.null()), 0, _nothing) if kind == FIELD_TYPE.NULL else None


# Reading


def rows_of(
    connection: sa.Connection,
    query: Query,
    errors: Callable[[], AbstractContextManager[None]],
    *,
    reusable: bool = False,
) -> ArrowRows:
    """Return the rows of a prepared statement.

    Args:
        connection: which prepared it.
        query: the statement.
        errors: translates those of the driver.
        reusable: if the caller ends early, read the other rows, so that the connection stays
            valid; otherwise it is closed.
    """
    schema = pa.schema([column.field for column in query.columns])
    return ArrowRows(schema, _batches(connection, query, schema, errors, reusable))


def _batches(
    connection: sa.Connection,
    query: Query,
    schema: pa.Schema,
    errors: Callable[[], AbstractContextManager[None]],
    reusable: bool,
) -> Generator[pa.RecordBatch]:
    driver: Any = connection.connection.dbapi_connection
    ended = False
    try:
        with errors():
            execute(driver, query.statement)
            count = driver._read_packet().read_length_encoded_integer()
            fields = _columns(definitions(driver, count, FieldDescriptorPacket))
            if isinstance(fields, str) or [c.field for c in fields] != list(schema):
                raise Unstreamable("a table was altered before the query ran")
            chunks = Rows(driver).chunks()
            try:
                for rows in chunks:
                    yield pa.RecordBatch.from_arrays(_arrays(*rows, query.columns), schema=schema)
            except GeneratorExit:
                if not reusable:
                    raise
                for _ in chunks:
                    pass
            close(driver, query.statement)
        ended = True
    finally:
        if not ended and not connection.closed and not connection.invalidated:
            driver._force_close()  # else the driver would read the rest of the rows
            connection.invalidate()


def _arrays(data: bytearray, starts: Ints, ends: Ints, columns: list[Column]) -> list[pa.Array]:
    packed = Packed(data)
    places = starts + 1 + (len(columns) + 9) // 8
    arrays = []
    for number, column in enumerate(columns, start=2):
        present = packed.bytes[starts + 1 + number // 8] & (1 << number % 8) == 0
        if column.size > 0:
            cells, lengths = places, np.where(present, column.size, 0)
        elif column.size < 0:
            cells = places + present
            lengths = np.where(present, packed.numbers("u1", places), 0).astype(np.int64)
        else:
            cells, lengths = _prefixed(packed, places, present)
        arrays.append(column.decode(packed, cells, lengths, present))
        places = cells + lengths
    if (places != ends).any():
        raise err.InternalError("the server sent a row of another length than that of its columns")
    return arrays


def _prefixed(packed: Packed, places: Ints, present: Present) -> tuple[Ints, Ints]:
    """Return where the texts begin whose lengths, in 1, 3, 4 or 9 bytes, precede them."""
    first = packed.numbers("u1", places)
    lengths, cells = first.astype(np.int64), places + 1
    if present.all() and (first < 0xFB).all():
        return cells, lengths
    for mark, dtype, size in ((0xFC, "<u2", 3), (0xFD, "<u4", 4), (0xFE, "<i8", 9)):
        at = present & (first == mark)
        if at.any():
            long = packed.numbers(dtype, places[at] + 1).astype(np.int64)
            lengths[at] = long & 0xFFFFFF if mark == 0xFD else long
            cells[at] = places[at] + size
    return np.where(present, cells, places), np.where(present, lengths, 0)


# Decoding


def _integer(dtype: str, kind: pa.DataType) -> Decode:
    wide = np.uint64 if kind == pa.uint64() else np.int64

    def decode(packed: Packed, cells: Ints, _: Ints, present: Present) -> pa.Array:
        return fixed(kind, packed.numbers(dtype, cells).astype(wide), present)

    return decode


def _double(packed: Packed, cells: Ints, _: Ints, present: Present) -> pa.Array:
    return fixed(pa.float64(), packed.numbers("<f8", cells), present)


def _printed(form: str) -> Decode:
    def decode(packed: Packed, cells: Ints, _: Ints, present: Present) -> pa.Array:
        return _as_printed(packed.numbers("<f8", cells), present, form)

    return decode


def _float(packed: Packed, cells: Ints, _: Ints, present: Present) -> pa.Array:
    values = packed.numbers("<f4", cells).astype(np.float64)
    return _as_printed(values, present, f"%.{FLOAT_DIGITS}g")


def _as_printed(values: npt.NDArray[np.float64], present: Present, form: str) -> pa.Array:
    """Return numbers as the server would have printed and the driver would have read them."""
    values = np.where(present, values, 0)
    distinct, places = np.unique(values, return_inverse=True)
    printed = np.array([float(form % value) for value in distinct.tolist()])
    return fixed(pa.float64(), np.copysign(printed[places], values), present)


def _decimal(packed: Packed, cells: Ints, lengths: Ints, present: Present) -> pa.Array:
    text = packed.texts(cells, lengths, present).cast(pa.large_string())
    return text.cast(pa.float64())


def _text(packed: Packed, cells: Ints, lengths: Ints, present: Present) -> pa.Array:
    return packed.texts(cells, lengths, present).cast(pa.large_string())


def _bytes(packed: Packed, cells: Ints, lengths: Ints, present: Present) -> pa.Array:
    return packed.texts(cells, lengths, present)


def _nothing(packed: Packed, cells: Ints, lengths: Ints, present: Present) -> pa.Array:
    return pa.nulls(len(cells))


def _date(packed: Packed, cells: Ints, lengths: Ints, present: Present) -> pa.Array:
    return fixed(pa.date32(), _days(packed, cells, lengths, present).astype(np.int32), present)


def _datetime(packed: Packed, cells: Ints, lengths: Ints, present: Present) -> pa.Array:
    days = _days(packed, cells, lengths, present)
    times = days * DAY + _clock(packed, cells + 4, lengths - 4)
    return fixed(pa.timestamp("us"), times, present)


def _days(packed: Packed, cells: Ints, lengths: Ints, present: Present) -> Ints:
    """Return days since 1970; raise if a date is none of Python's, as 0000-00-00."""
    year = packed.numbers("<u2", cells).astype(np.int64)
    month = packed.numbers("u1", cells + 2).astype(np.int64)
    day = packed.numbers("u1", cells + 3).astype(np.int64)
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    dates = months.astype("M8[D]") + (day - 1)
    good = (lengths >= 4) & (year > 0) & (month > 0) & (day > 0) & (dates.astype("M8[M]") == months)
    if (present & ~good).any():
        raise Unstreamable("a date is none of the calendar")
    return dates.astype(np.int64)


def _clock(packed: Packed, cells: Ints, lengths: Ints) -> Ints:
    """Return microseconds of hour, minute, second and, if they are sent, microsecond."""
    hour, minute, second = (packed.numbers("u1", cells + i).astype(np.int64) for i in range(3))
    micros = np.where(lengths >= 7, packed.numbers("<u4", cells + 3), 0)
    whole = (hour * 3600 + minute * 60 + second) * SECOND
    return np.where(lengths >= 3, whole, 0) + micros


def _timedelta(packed: Packed, cells: Ints, lengths: Ints, present: Present) -> pa.Array:
    days = np.where(lengths >= 8, packed.numbers("<u4", cells + 1), 0).astype(np.int64)
    span = days * DAY + _clock(packed, cells + 5, lengths - 5)
    negative = packed.numbers("u1", cells) == 1
    return fixed(pa.duration("us"), np.where(negative & (lengths > 0), -span, span), present)


_INTEGERS = {
    FIELD_TYPE.TINY: "i1",
    FIELD_TYPE.SHORT: "<i2",
    FIELD_TYPE.YEAR: "<i2",
    FIELD_TYPE.INT24: "<i4",
    FIELD_TYPE.LONG: "<i4",
    FIELD_TYPE.LONGLONG: "<i8",
}
_TIMES: dict[int, tuple[pa.DataType, Decode]] = {
    FIELD_TYPE.DATE: (pa.date32(), _date),
    FIELD_TYPE.NEWDATE: (pa.date32(), _date),
    FIELD_TYPE.DATETIME: (pa.timestamp("us"), _datetime),
    FIELD_TYPE.TIMESTAMP: (pa.timestamp("us"), _datetime),
    FIELD_TYPE.TIME: (pa.duration("us"), _timedelta),
}
_TEXTS = {
    *(FIELD_TYPE.VARCHAR, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.BLOB),
    *(FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.GEOMETRY),
}
