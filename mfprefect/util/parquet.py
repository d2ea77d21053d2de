"""Untrusted Parquet files: a few kilobytes can decode to more than fits in memory.

Pure: reads files; opens no connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["UNREADABLE", "longest_texts", "require_plausible"]

ROWS_A_BYTE = 64
"""An upper limit: a row with its own key takes 0.7 to 5 bytes if the keys are consecutive."""
UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    *(OverflowError, MemoryError),
)
"""What pyarrow raises on a file that it cannot read."""


def require_plausible(rows: int, size: int, what: object) -> None:
    """Refuse a file that claims more rows than a file of this size written by us can hold.

    Raises:
        InvalidValue: nothing was read.
    """
    if not 0 <= rows <= size * ROWS_A_BYTE:
        raise InvalidValue(f"{what} has {size} bytes and cannot hold {rows} rows.")


def longest_texts(path: Any, columns: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Yield name, bytes of the longest value, and rows, of each text column of each row group.

    Binary columns are included. Only the dictionaries are read: a text in a dictionary can be in
    every row, and decoding the rows would repeat it. Other texts cannot be longer than the file.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = [name for name in columns if _is_text(file.schema_arrow, name)]
    if not names:
        return
    with pq.ParquetFile(path, read_dictionary=names) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            for batch in file.iter_batches(1, row_groups=[group], columns=names):
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    texts = column.dictionary if hasattr(column, "dictionary") else column
                    yield name, pc.max(pc.binary_length(texts)).as_py() or 0, rows
                break  # the first row brings the whole dictionary


def _is_text(schema: pa.Schema, name: str) -> bool:
    import pyarrow.types as kinds

    if schema.get_field_index(name) < 0:  # no column of that name, or several
        return False
    kind = schema.field(name).type
    tests = (kinds.is_string, kinds.is_large_string, kinds.is_binary, kinds.is_dictionary)
    return any(test(kind) for test in tests)
