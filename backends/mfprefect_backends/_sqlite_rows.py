"""Reading a query from SQLite column by column.

Through the driver of the standard library: a second copy of SQLite in the process, as other readers
bring along, would drop the locks of the first when it closes a file.
https://www.sqlite.org/howtocorrupt.html#multiple_copies_of_sqlite_linked_into_the_same_application
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from mfprefect.backend import ArrowRows, Unstreamable

__all__ = ["is_writing", "rows_of"]

FETCH_ROWS = 500
"""So few that Python's garbage collector, which would find nothing, is not triggered."""
CHUNK_ROWS = 16_000
_WRITES = re.compile(r"\b(insert|update|delete|replace)\b", re.IGNORECASE)


def is_writing(text: str) -> bool:
    """Return whether a query may write, as WITH .. INSERT: it must not run a second time."""
    return _WRITES.search(text) is not None


def rows_of(
    result: sa.CursorResult[Any], errors: Callable[[], AbstractContextManager[None]]
) -> ArrowRows | str:
    """Return the rows of a query that was executed; `errors` translates those of the driver.

    Columns have no types: the values of the first rows decide. A column that has none there has
    Arrow's type null.
    """
    cursor: Any = result.cursor
    chunks = _chunks(cursor)
    with errors():
        try:
            first = next(chunks, None)
        except Unstreamable as exc:
            return str(exc)
    names = [column[0] for column in cursor.description]
    kinds = [pa.null()] * len(names) if first is None else [column.type for column in first]
    schema = pa.schema(list(map(pa.field, names, kinds)))
    return ArrowRows(schema, _batches(first, chunks, schema, errors))


def _batches(
    first: list[pa.Array] | None,
    chunks: Iterator[list[pa.Array]],
    schema: pa.Schema,
    errors: Callable[[], AbstractContextManager[None]],
) -> Generator[pa.RecordBatch]:
    with errors():
        columns = first
        while columns is not None:
            columns = list(map(_fitted, columns, schema.types))
            yield pa.RecordBatch.from_arrays(columns, names=schema.names)
            columns = next(chunks, None)


def _fitted(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column with the type of the earlier ones where its values allow it."""
    whole_numbers = pa.types.is_int64(column.type) and pa.types.is_float64(kind)
    if not pa.types.is_null(column.type) and not whole_numbers:
        return column
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:  # an integer that is no double
        return column


def _chunks(cursor: Any) -> Iterator[list[pa.Array]]:
    pieces: list[list[pa.Array]] = []
    while rows := cursor.fetchmany(FETCH_ROWS):
        pieces.append([_array(cells) for cells in zip(*rows, strict=True)])
        if len(pieces) * FETCH_ROWS >= CHUNK_ROWS:
            yield _joined(pieces)
            pieces = []
    if pieces:
        yield _joined(pieces)


def _array(cells: tuple[Any, ...]) -> pa.Array:
    try:
        array = pa.array(cells)
    except (pa.ArrowException, UnicodeEncodeError) as exc:
        raise Unstreamable("a column holds values of several types") from exc
    if array.type not in _KINDS:
        raise Unstreamable(f"the driver converts a column to {array.type}")
    return array


def _joined(pieces: list[list[pa.Array]]) -> list[pa.Array]:
    return [_concatenated(list(column)) for column in zip(*pieces, strict=True)]


def _concatenated(arrays: list[pa.Array]) -> pa.Array:
    kinds = {array.type for array in arrays} - {pa.null()}
    if kinds == {pa.int64(), pa.float64()}:
        kinds = {pa.float64()}
    if len(kinds) > 1:
        raise Unstreamable("a column holds values of several types")
    kind = kinds.pop() if kinds else pa.null()
    try:
        same = [array if array.type == kind else array.cast(kind) for array in arrays]
        return pa.concat_arrays(same).cast(_KINDS[kind])
    except pa.ArrowInvalid as exc:
        reason = "a column holds an integer that is no double, or more text than Arrow joins"
        raise Unstreamable(reason) from exc


_KINDS = {
    pa.null(): pa.null(),
    pa.int64(): pa.int64(),
    pa.float64(): pa.float64(),
    pa.string(): pa.large_string(),
    pa.binary(): pa.large_binary(),
}
"""What Arrow makes of the values that SQLite has, and the types of the batches."""
