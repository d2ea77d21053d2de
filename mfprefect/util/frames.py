"""Rows that a caller passed as a frame or as dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["framed", "records", "require_frame"]


def framed(rows: pd.DataFrame | Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    """Return rows as a DataFrame; without rows, an empty one with these columns."""
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    items = list(rows)
    return pd.DataFrame(items) if items else pd.DataFrame(columns=list(columns))


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
