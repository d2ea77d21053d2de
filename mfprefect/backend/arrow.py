"""Rows of a driver as Arrow batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FETCH_ROWS", "STREAM_ROWS", "batches"]

STREAM_ROWS = 50_000
FETCH_ROWS = 500
"""So few that Python's garbage collector, which would find nothing, is not triggered by a batch."""


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
