"""Rows that a caller passed as a frame or as dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["arrow_stream", "framed", "records", "require_frame"]


def framed(rows: pd.DataFrame | Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    """Return rows as a DataFrame; without rows, an empty one with these columns."""
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    items = list(rows)
    return pd.DataFrame(items) if items else pd.DataFrame(columns=list(columns))


def arrow_stream(data: Any, columns: Sequence[str] = ()) -> pa.RecordBatchReader | None:
    """Return the batches of a table of another library; None if it is no table.

    Taken are pyarrow's tables, readers and datasets, and what has Arrow's interface
    (`__arrow_c_stream__`) or `to_pandas`: polars (lazy frames are collected), duckdb, modin, cudf.

    Args:
        data: the table.
        columns: of a dataset, read only these, if it has them all.
    """
    import pyarrow as pa

    if isinstance(data, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(data.schema, [data])
    if isinstance(data, pa.RecordBatchReader):
        return data
    if hasattr(data, "scanner") and hasattr(data, "to_batches"):  # a dataset of pyarrow
        names = list(columns) if set(columns) <= set(data.schema.names) else []
        return data.scanner(columns=names or None).to_reader()
    if hasattr(data, "collect") and hasattr(data, "collect_schema") and hasattr(data, "lazy"):
        data = data.collect()  # polars
    if not _is_table(data):
        return None
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    return pa.Table.from_pandas(data.to_pandas(), preserve_index=False).to_reader()


def _is_table(data: Any) -> bool:
    """Return whether it has several columns, unlike a series or an Arrow array."""
    interface = hasattr(data, "__arrow_c_stream__") or hasattr(data, "to_pandas")
    series = hasattr(data, "to_frame") and not hasattr(data, "columns")
    array = hasattr(data, "to_pylist") and not hasattr(data, "schema")
    return interface and not series and not array and not isinstance(data, type)


def require_frame(frame: Any) -> None:
    """Refuse anything but a DataFrame."""
    if not hasattr(frame, "columns"):
        raise InvalidValue(f"a DataFrame is needed, not a {type(frame).__name__}.")


def records(frame: pd.DataFrame, *required: str) -> list[dict[str, Any]]:
    """Return a frame's rows as dictionaries of Python values; missing values become None.

    Raises:
        InvalidValue: it is not a frame, or a required column is missing.
    """
    require_frame(frame)
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise InvalidValue(
            f"the frame has no column {missing[0]!r}; its columns: "
            f"{', '.join(map(str, frame.columns))}."
        )
    names = list(map(str, frame.columns))
    columns = [_python_values(column) for _, column in frame.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _python_values(column: pd.Series[Any]) -> list[Any]:
    objects, missing = column.astype(object).tolist(), column.isna()
    if not missing.any():
        return objects
    return [None if gone else value for value, gone in zip(objects, missing, strict=True)]
