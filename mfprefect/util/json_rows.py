"""Rows of frames as JSON values."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["JSON_TEXT", "plain", "records", "with_parsed"]

_WHOLE = {"definition_version", "flow_run_seq", "parent_session_no", "row_count", "rows"}
JSON_TEXT = {"bin_counts", "columns", "gates", "library_versions", "params", "quantiles", "sample"}


def plain(value: Any) -> Any:
    """Return a JSON value: NaN and infinities become None, instants ISO 8601 in UTC."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def records(frame: pd.DataFrame, *drop: str) -> list[dict[str, Any]]:
    """Return a frame's rows as JSON objects, with columns of JSON text parsed."""
    names = [name for name in frame.columns if name not in drop]
    rows = frame[names].astype(object).to_dict("records")
    return [{str(name): _field(str(name), item) for name, item in row.items()} for row in rows]


def _field(name: str, value: Any) -> Any:
    value = plain(value)
    if name in _WHOLE and isinstance(value, float):
        return int(value)  # pandas has no missing integer, so the column holds floats
    if name in JSON_TEXT and isinstance(value, str):
        return _parsed(value)
    return value


def with_parsed(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a row with further columns of JSON text parsed."""
    return row | {name: _parsed(row[name]) for name in names if isinstance(row.get(name), str)}


def _parsed(text: str) -> Any:
    try:
        return plain(json.loads(text))
    except ValueError:
        return text
