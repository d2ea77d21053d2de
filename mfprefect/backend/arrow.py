"""Rows of a driver as Arrow batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FETCH_ROWS", "STREAM_ROWS", "ArrowRows", "Unstreamable", "batches"]

STREAM_ROWS = 50_000
FETCH_ROWS = 500
"""So few that Python's garbage collector, which would find nothing, is not triggered by a batch."""


class ArrowRows(NamedTuple):
    """The rows of a query, which arrive while one iterates."""

    schema: pa.Schema
    batches: Generator[pa.RecordBatch]
    """Close it to end early; the connection is then invalid."""


class Unstreamable(Exception):
    """A later row holds what the type of its column cannot; all rows are to be read by the driver.

    Never leaves a read as a whole, which starts over.
    """


def batches(
    first: tuple[Any, ...], fetch: Callable[[int], Sequence[Any]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield a first row and what `fetch` returns, in batches of a schema."""
    columns = [[value] for value in first]
    while rows := fetch(FETCH_ROWS):
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(cells)
        if len(columns[0]) >= STREAM_ROWS:
            yield _batch(columns, schema)
            columns = [[] for _ in first]
    if columns[0]:
        yield _batch(columns, schema)


def _batch(columns: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )
