"""Reading a query from PostgreSQL by COPY in its binary format, decoded column by column.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from mfprefect.backend import ArrowRows, Unstreamable
from mfprefect_backends._packed import Ints, Packed, boolean, fixed, validity
from mfprefect_backends._shortest import shortest

__all__ = ["columns_of", "rows_of"]

Present = npt.NDArray[np.bool_]
Decode = Callable[[Packed, Ints, Ints, Present], pa.Array]
"""Makes an array of a column's cells: where they start, how long they are, which are not NULL."""

HEADER_BYTES = 19
TRAILER = b"\xff\xff"
CHUNK_ROWS = 16_384
CHUNK_BYTES = 8 * 1024 * 1024
CURSOR = "mfprefect_types"
ENUMS = "SELECT oid FROM pg_type WHERE typtype = 'e' AND oid = ANY(%s)"
DAYS_TO_2000 = 10_957
MICROSECONDS_TO_2000 = DAYS_TO_2000 * 86_400_000_000
DAYS = (-719_162, 2_932_896)
"""The first and last day of Python's dates, since 1970."""
TIMES = (DAYS[0] * 86_400_000_000, (DAYS[1] + 1) * 86_400_000_000 - 1)
NUMERIC_NAN, NUMERIC_INFINITY, NUMERIC_MINUS_INFINITY, NEGATIVE = 0xC000, 0xD000, 0xF000, 0x4000
EXACT_POWER = 22
"""10**22 is the largest power of ten that is a double."""


class Column(NamedTuple):
    """A column of a query."""

    field: pa.Field
    decode: Decode


# The types of a query


def columns_of(connection: sa.Connection, query: bytes) -> list[Column] | str:
    """Return the columns of a query without running it, or why it cannot be read by COPY."""
    driver: Any = connection.connection.dbapi_connection
    if driver.encoding != "UTF8":
        return f"the connection's encoding is {driver.encoding}, not UTF8"
    error = connection.dialect.loaded_dbapi.Error
    with driver.cursor() as cursor:
        cursor.execute("SAVEPOINT mfprefect_types")
        try:
            # It takes queries only, none that writes; no row is computed.
            declare = f"DECLARE {CURSOR} NO SCROLL CURSOR FOR ".encode()
            cursor.execute(declare + query + f"\n; FETCH 0 FROM {CURSOR}".encode())
            description = cursor.description
            cursor.execute(f"CLOSE {CURSOR}; RELEASE mfprefect_types")
        except error:
            if driver.closed:
                raise
            cursor.execute("ROLLBACK TO mfprefect_types; RELEASE mfprefect_types")
            return "the statement is no plain query, or fails"
        return _columns(cursor, description)


def _columns(cursor: Any, description: Any) -> list[Column] | str:
    if not description:
        return "the query has no columns"
    oids = {column.type_code for column in description}
    enums: set[int] = set()
    if others := [oid for oid in oids if oid not in _DECODERS]:
        cursor.execute(ENUMS, (others,))
        enums = {row[0] for row in cursor.fetchall()}
    zone = cursor.connection.get_parameter_status("TimeZone")
    columns = []
    for column in description:
        oid = TEXT if column.type_code in enums else column.type_code
        if oid not in _DECODERS:
            return f"only the driver converts the type of column {column.name!r} (OID {oid})"
        kind, decode = _DECODERS[oid]
        if oid == TIMESTAMPTZ:
            kind = pa.timestamp("us", zone)
            if not _is_zone(kind):
                return f"the time zone {zone!r} of the session is not in this machine's database"
        metadata = _CELLS.get(oid)
        columns.append(Column(pa.field(column.name, kind, metadata=metadata), decode))
    return columns


def _is_zone(kind: pa.DataType) -> bool:
    try:
        pc.local_timestamp(pa.array([0], kind))
    except pa.ArrowInvalid:
        return False
    return True


# Reading


def rows_of(
    connection: sa.Connection, query: bytes, columns: list[Column], errors: Callable[[], Any]
) -> ArrowRows:
    """Return the rows of a query; `errors` translates those of the driver."""
    schema = pa.schema([column.field for column in columns])
    return ArrowRows(schema, _batches(connection, query, columns, schema, errors))


def _batches(
    connection: sa.Connection,
    query: bytes,
    columns: list[Column],
    schema: pa.Schema,
    errors: Callable[[], Any],
) -> Generator[pa.RecordBatch]:
    copy = _Copy(connection.connection.dbapi_connection, query)
    ended = False
    try:
        with errors():
            for rows in copy.chunks():
                yield pa.RecordBatch.from_arrays(_arrays(rows, columns), schema=schema)
        ended = True
    finally:
        if not ended:
            copy.stop()
            if not connection.closed and not connection.invalidated:
                connection.invalidate()


class _Stopped(Exception):
    """Ends the thread of a copy whose reader has left."""


class _Copy:
    """Copies in a thread of its own, so that rows arrive while others are decoded."""

    def __init__(self, driver: Any, query: bytes) -> None:
        self._driver, self._query = driver, query
        self._queue: queue.Queue[list[bytes] | None] = queue.Queue(2)
        self._failure: BaseException | None = None
        self._is_stopped = False
        self._rows: list[bytes] = []
        self._size = 0
        self._started = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def chunks(self) -> Iterator[list[bytes]]:
        """Yield rows as the server packs them."""
        self._thread.start()
        while (rows := self._queue.get()) is not None:
            yield rows
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the query and the thread; the connection is of no use any more."""
        self._is_stopped = True
        with suppress(self._driver.Error):
            self._driver.cancel()
        while self._thread.is_alive():
            with suppress(queue.Empty):  # the thread may wait for room
                self._queue.get(timeout=0.05)

    def _run(self) -> None:
        try:
            with self._driver.cursor() as cursor:
                cursor.copy_expert(b"COPY (" + self._query + b"\n) TO STDOUT (FORMAT binary)", self)
            self._send()
        except BaseException as exc:  # noqa: BLE001 - raised again in the reader's thread
            self._failure = exc
        finally:
            self._queue.put(None)

    def write(self, row: bytes) -> None:
        """Take a row: the server sends each as a message of its own."""
        if not self._started:  # the header comes with the first row
            self._started = True
            row = row[HEADER_BYTES:]
        if row == TRAILER or not row:
            return
        self._rows.append(row)
        self._size += len(row)
        if len(self._rows) >= CHUNK_ROWS or self._size >= CHUNK_BYTES:
            self._send()

    def _send(self) -> None:
        if self._is_stopped:
            raise _Stopped
        if self._rows:
            self._queue.put(self._rows)
            self._rows, self._size = [], 0


# Decoding


def _arrays(rows: list[bytes], columns: list[Column]) -> list[pa.Array]:
    packed = Packed(b"".join(rows))
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    ends = np.cumsum(sizes)
    places = ends - sizes
    if (packed.numbers(">i2", places) != len(columns)).any():
        raise RuntimeError("COPY sent a row with another number of columns.")
    places = places + 2
    arrays = []
    for column in columns:
        lengths = packed.numbers(">i4", places).astype(np.int64)
        present = lengths >= 0
        lengths = np.maximum(lengths, 0)
        cells = column.decode(packed, places + 4, lengths, present)
        if cells.type != column.field.type:  # times get their zone
            cells = cells.cast(column.field.type)
        arrays.append(cells)
        places = places + 4 + lengths
    if (places != ends).any():
        raise RuntimeError("COPY sent a row of another length than that of its columns.")
    return arrays


def _integer(dtype: str) -> Decode:
    def decode(packed: Packed, starts: Ints, _: Ints, present: Present) -> pa.Array:
        return fixed(pa.int64(), packed.numbers(dtype, starts).astype(np.int64), present)

    return decode


def _double(packed: Packed, starts: Ints, _: Ints, present: Present) -> pa.Array:
    return fixed(pa.float64(), packed.numbers(">f8", starts), present)


def _real(packed: Packed, starts: Ints, _: Ints, present: Present) -> pa.Array:
    values = np.where(present, packed.numbers(">f4", starts), np.float32(0))
    return fixed(pa.float64(), shortest(values), present)


def _bool(packed: Packed, starts: Ints, _: Ints, present: Present) -> pa.Array:
    return boolean(packed.numbers("u1", starts) != 0, present)


def _uuid(packed: Packed, starts: Ints, lengths: Ints, present: Present) -> pa.Array:
    cells = packed.numbers("V16", starts)
    values = np.where(present, cells, np.zeros(1, "V16"))
    buffers = [validity(present), pa.py_buffer(values.view(np.uint8))]
    return pa.Array.from_buffers(pa.binary(16), len(values), buffers)


def _text(packed: Packed, starts: Ints, lengths: Ints, present: Present) -> pa.Array:
    return packed.texts(starts, lengths, present).cast(pa.large_string())


def _bytes(packed: Packed, starts: Ints, lengths: Ints, present: Present) -> pa.Array:
    return packed.texts(starts, lengths, present)


def _date(packed: Packed, starts: Ints, _: Ints, present: Present) -> pa.Array:
    days = packed.numbers(">i4", starts).astype(np.int64)
    infinite = np.select([days == 2**31 - 1, days == -(2**31)], [1, -1], 0)
    days = days + DAYS_TO_2000
    days = np.select([infinite > 0, infinite < 0], [DAYS[1], DAYS[0]], days)  # as the driver does
    _require_range(days, present, DAYS, "a date")
    return fixed(pa.date32(), days.astype(np.int32), present)


def _timestamp(packed: Packed, starts: Ints, _: Ints, present: Present) -> pa.Array:
    return _moments(packed, starts, present, pa.timestamp("us"))


def _moments(packed: Packed, starts: Ints, present: Present, kind: pa.DataType) -> pa.Array:
    times = packed.numbers(">i8", starts)
    with np.errstate(over="ignore"):
        # Infinity and what lies beyond Python's years: the driver decides.
        inside = np.abs(times.astype(np.float64)) < TIMES[1] * 2.0
    times = np.where(inside, times, TIMES[1]) + MICROSECONDS_TO_2000
    _require_range(times, present, TIMES, "a time")
    return fixed(kind, times, present)


def _time(packed: Packed, starts: Ints, _: Ints, present: Present) -> pa.Array:
    times = packed.numbers(">i8", starts)
    _require_range(times, present, (0, 86_400_000_000 - 1), "a time of day")
    return fixed(pa.time64("us"), times, present)


def _require_range(values: Ints, present: Present, ends: tuple[int, int], what: str) -> None:
    if (present & ((values < ends[0]) | (values > ends[1]))).any():
        raise Unstreamable(f"{what} is beyond those of Python")


def _numeric(packed: Packed, starts: Ints, lengths: Ints, present: Present) -> pa.Array:
    """Return the doubles nearest to decimals, which are digits in groups of four.

    An integer below 2**53, and a power of ten up to 10**22, are doubles: their product or quotient
    is rounded once. The few others are converted one by one.
    """
    groups = np.where(present, packed.numbers(">i2", starts), 0)
    weight = packed.numbers(">i2", starts + 2).astype(np.int64)
    sign = packed.numbers(">u2", starts + 4)
    digits = np.zeros(len(starts), np.int64)
    for number in range(4):
        group = packed.numbers(">i2", starts + 8 + 2 * number)
        digits = np.where(groups > number, digits * 10_000 + group, digits)
    power = np.where(groups > 0, 4 * (weight - groups + 1), 0)
    simple = (groups <= 4) & (digits < 2**53) & (np.abs(power) <= EXACT_POWER) & (sign <= NEGATIVE)
    scale = 10.0 ** np.abs(np.where(simple, power, 0))
    values = np.where(power < 0, digits / scale, digits * scale)
    values = np.where(sign == NEGATIVE, -values, values)
    for place in np.flatnonzero(present & ~simple):
        values[place] = _decimal(packed, int(starts[place]), int(lengths[place]))
    return fixed(pa.float64(), values, present)


def _decimal(packed: Packed, start: int, length: int) -> float:
    words = packed.bytes[start : start + length].view(">i2").astype(int).tolist()
    groups, weight, sign = words[0], words[1], words[2] & 0xFFFF
    if sign == NUMERIC_NAN:
        return float("nan")
    if sign in (NUMERIC_INFINITY, NUMERIC_MINUS_INFINITY):
        return float("inf") if sign == NUMERIC_INFINITY else float("-inf")
    digits = "".join(f"{group:04}" for group in words[4 : 4 + groups]) or "0"
    return float(Decimal(f"{'-' if sign == NEGATIVE else ''}{digits}e{4 * (weight - groups + 1)}"))


def _zoned(packed: Packed, starts: Ints, _: Ints, present: Present) -> pa.Array:
    times = _moments(packed, starts, present, pa.timestamp("us", "UTC"))
    local = times.cast(pa.int64()).fill_null(0).to_numpy()
    day = 86_400_000_000  # no offset is longer
    _require_range(local, present, (TIMES[0] + day, TIMES[1] - day), "a time")
    return times


BOOL, BYTEA, TEXT, TIMESTAMPTZ, UUID = 16, 17, 25, 1184, 2950
_DECODERS: dict[int, tuple[pa.DataType, Decode]] = {
    BOOL: (pa.bool_(), _bool),
    BYTEA: (pa.large_binary(), _bytes),
    20: (pa.int64(), _integer(">i8")),
    21: (pa.int64(), _integer(">i2")),
    23: (pa.int64(), _integer(">i4")),
    **dict.fromkeys(
        (19, TEXT, 1042, 1043), (pa.large_string(), _text)
    ),  # name, text, char, varchar
    700: (pa.float64(), _real),
    701: (pa.float64(), _double),
    1082: (pa.date32(), _date),
    1083: (pa.time64("us"), _time),
    1114: (pa.timestamp("us"), _timestamp),
    TIMESTAMPTZ: (pa.timestamp("us", "UTC"), _zoned),
    1700: (pa.float64(), _numeric),
    UUID: (pa.binary(16), _uuid),
}
"""Arrow type and decoder by the type's OID, where the driver makes the values of that type."""
_CELLS = {BYTEA: {b"cell": b"memoryview"}, UUID: {b"cell": b"uuid"}}
"""The metadata that tells what the driver makes of the bytes of a cell."""
