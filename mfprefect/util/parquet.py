"""Parquet files of somebody else's making: a few kilobytes may stand for more than fits in memory.

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
"""Rows of different keys take more than that; ids that are counted up take 0.7 to 5 bytes each."""
UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    *(OverflowError, MemoryError),
)
"""What pyarrow raises on a file that is none, or none that it can read."""


def require_plausible(rows: int, size: int, what: object) -> None:
    """Refuse a file of ours that stands for more rows than we can have written to it.

    Raises:
        InvalidValue: and none of them was read.
    """
    if not 0 <= rows <= size * ROWS_A_BYTE:
        raise InvalidValue(f"{what} has {size} bytes and cannot hold {rows} rows.")


def longest_texts(path: Any, columns: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Yield name, bytes of the longest value and rows, of each column of text and row group.

    Columns of bytes count as well. Looked up in the dictionary that begins a column: a text that
    stands there once may be in every row, and reading these would take its bytes as often. Other
    texts are as long as the file.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        texts = [name for name in columns if _is_text(file.schema_arrow, name)]
    if not texts:
        return
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            for batch in file.iter_batches(1, row_groups=[group], columns=texts):
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    seen = column.dictionary if hasattr(column, "dictionary") else column
                    yield name, pc.max(pc.binary_length(seen)).as_py() or 0, rows
                break  # the first row is enough


def _is_text(schema: pa.Schema, name: str) -> bool:
    import pyarrow.types as kinds

    if schema.get_field_index(name) < 0:  # none of that name, or several
        return False
    found = schema.field(name).type
    tests = (kinds.is_string, kinds.is_large_string, kinds.is_binary, kinds.is_dictionary)
    return any(test(found) for test in tests)
