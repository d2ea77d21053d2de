"""Rows that a caller gave as a frame or as dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["framed", "records", "require_frame"]


def framed(rows: pd.DataFrame | Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    """Return the rows as a DataFrame, an empty one of those columns where there are none."""
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    found = list(rows)
    return pd.DataFrame(found) if found else pd.DataFrame(columns=list(columns))


def require_frame(frame: Any) -> None:
    """Refuse what is no DataFrame."""
    if not hasattr(frame, "columns"):
        raise InvalidValue(f"a DataFrame is needed, not a {type(frame).__name__}.")


def records(frame: pd.DataFrame, *required: str) -> list[dict[str, Any]]:
    """Return a frame's rows as dictionaries of Python's own values, None for what is missing.

    Raises:
        InvalidValue: it is no frame, or a required column is missing.
    """
    require_frame(frame)
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise InvalidValue(
            f"the frame has no column {missing[0]!r}; its columns: "
            f"{', '.join(map(str, frame.columns))}."
        )
    names = list(map(str, frame.columns))
    columns = [_plain(column) for _, column in frame.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return Python's own values, None for what is missing."""
    found, missing = column.astype(object).tolist(), column.isna()
    if not missing.any():
        return found
    return [None if gone else value for value, gone in zip(found, missing, strict=True)]
