"""Arrow rows of a database as the frame that `pandas.read_sql` would make of them.

Pure: opens no connection. The types of a column depend on its values, as they do in pandas:
integers with a NULL become floats, booleans with a NULL become objects, a column without any value
holds None.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

__all__ = ["CELL", "as_frame", "dtype_of", "offsets_of", "typed_like_arrow"]

CELL = b"cell"
"""The key of a field's metadata that says what the driver makes of the bytes of a cell."""
INT64_MAX = 2**63 - 1


def typed_like_arrow() -> bool:
    """Return whether pandas infers text columns and microseconds, as version 3 does by default.

    Otherwise frames are left to `pandas.read_sql`.
    """
    import pandas as pd

    moment = pd.Timestamp("2026-01-01").to_pydatetime()
    dtypes = pd.Series(["a"]).dtype, pd.Series([moment]).dtype
    return [str(dtype) for dtype in dtypes] == ["str", "datetime64[us]"]


def as_frame(rows: pa.RecordBatch | pa.Table, typed: bool = False) -> pd.DataFrame:
    """Return rows as `pandas.read_sql` would, bit for bit.

    Args:
        rows: a batch or table of a source.
        typed: take the type of a column without values from the schema, for a batch that is a part
            of more rows; and make times with a zone datetime64[us, UTC] even if their offsets
            differ, where read_sql makes objects.
    """
    import pandas as pd
    import pyarrow as pa

    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    columns = [
        _column(column, field, typed)
        for column, field in zip(table.columns, table.schema, strict=True)
    ]
    size = table.num_rows if columns else 0
    # Not copied into blocks: that would take the memory of all numbers a second time.
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(size), copy=False)
    frame.columns = pd.Index(table.column_names, dtype="str" if columns else None)
    return frame


def dtype_of(
    kind: pa.DataType, values: int, nulls: int, *, largest: int = 0, offsets: int = 1
) -> str:
    """Return the type that a column gets in the frame of all rows.

    Args:
        kind: its Arrow type.
        values: how many cells have a value.
        nulls: how many have none.
        largest: of unsigned integers, the largest.
        offsets: of times with a zone, how many offsets from UTC they have.
    """
    import pyarrow as pa

    types = pa.types
    if not values:  # NaN is a value
        return "object"
    if types.is_integer(kind) and not nulls:
        return "uint64" if largest > INT64_MAX else "int64"
    if types.is_integer(kind) or types.is_floating(kind):
        return "float64"
    if types.is_boolean(kind) and not nulls:
        return "bool"
    if types.is_large_string(kind) or types.is_string(kind):
        return "str"
    if types.is_timestamp(kind) and offsets <= 1:
        return "datetime64[us]" if kind.tz is None else "datetime64[us, UTC]"
    return "timedelta64[us]" if types.is_duration(kind) else "object"


def offsets_of(column: pa.ChunkedArray | pa.Array) -> set[int]:
    """Return the offsets from UTC, in microseconds, of the times of a column with a zone."""
    import pyarrow.compute as pc

    if column.type.tz == "UTC":
        return {0} if len(column) > column.null_count else set()
    return set(pc.unique(_offsets(column)).drop_null().to_pylist())


def _offsets(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    local = pc.local_timestamp(column).cast(pa.int64())
    return pc.subtract(local, column.cast(pa.int64()))


def _column(column: pa.ChunkedArray, field: pa.Field, typed: bool) -> Any:
    import numpy as np
    import pyarrow as pa

    kind, nulls = field.type, column.null_count
    types = pa.types
    if types.is_null(kind) or (len(column) == nulls and not (typed and _keeps_type(kind))):
        return np.full(len(column), None, dtype=object)
    if types.is_large_string(kind) or types.is_string(kind):
        return _texts(column)
    if types.is_boolean(kind):
        return _objects(column) if nulls else _numbers(column)
    if types.is_integer(kind):
        return _integers(column)
    if types.is_floating(kind):
        return _numbers(column)
    if types.is_timestamp(kind):
        return _times(column, typed)
    if types.is_duration(kind):
        return _numbers(column, "timedelta64[us]")
    return _objects(column, _CONVERTERS.get((field.metadata or {}).get(CELL)))


def _keeps_type(kind: pa.DataType) -> bool:
    """Return whether a type has a missing value of its own in pandas."""
    import pyarrow as pa

    types = pa.types
    numbers = types.is_integer(kind) or types.is_floating(kind)
    times = types.is_timestamp(kind) or types.is_duration(kind)
    return bool(numbers or times or types.is_large_string(kind) or types.is_string(kind))


def _texts(column: pa.ChunkedArray) -> Any:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    text = column.cast(pa.large_string())
    return pd.array(text, dtype=pd.StringDtype(na_value=np.nan))


def _numbers(column: pa.ChunkedArray, dtype: str | None = None) -> np.ndarray[Any, Any]:
    """Return values in an array of their own, which the caller may change; NULL is NaN or NaT."""
    import numpy as np

    chunks: Sequence[Any] = [chunk.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(chunks or [column.to_numpy()], dtype=dtype or chunks[0].dtype)


def _integers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    import numpy as np
    import pyarrow as pa

    if column.null_count:
        # As C converts: to the nearest double. Arrow's own cast refuses integers over 2**53.
        filled = _numbers(column.fill_null(0)).astype(np.float64)
        filled[column.is_null().to_numpy()] = np.nan
        return filled
    values = _numbers(column)
    if pa.types.is_unsigned_integer(column.type) and len(values) and values.max() > INT64_MAX:
        return values.astype(np.uint64, copy=False)
    return values.astype(np.int64, copy=False)


def _times(column: pa.ChunkedArray, typed: bool) -> Any:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    if column.type.tz is None:
        return _numbers(column, "datetime64[us]")
    if typed or len(offsets_of(column)) <= 1:
        values = column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
        return pd.DatetimeIndex(_numbers(values, "datetime64[us]")).tz_localize("UTC")
    import datetime as dt

    cells = np.full(len(column), None, dtype=object)
    offsets = _offsets(column).to_pylist()
    for place, (cell, offset) in enumerate(zip(column.to_pylist(), offsets, strict=True)):
        if cell is not None:
            zone = dt.timezone(dt.timedelta(microseconds=offset))
            cells[place] = cell.astimezone(zone)
    return cells


def _objects(
    column: pa.ChunkedArray, convert: Callable[[Any], Any] | None = None
) -> np.ndarray[Any, Any]:
    import numpy as np

    cells = np.full(len(column), None, dtype=object)
    values = column.to_pylist()
    cells[:] = values if convert is None else [v if v is None else convert(v) for v in values]
    return cells


def _as_uuid(cell: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=cell)


_CONVERTERS: dict[bytes | None, Callable[[Any], Any]] = {
    b"memoryview": memoryview,
    b"uuid": _as_uuid,
}
