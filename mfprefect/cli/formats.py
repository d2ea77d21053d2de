"""Values as text for people, and as JSON."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.cli.escape import escape
from mfprefect.report.formats import duration, size

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MISSING", "duration", "number", "plain", "records", "seconds_between", "show", "size"]

MISSING = "-"
_WHOLE = {"definition_version", "flow_run_seq", "parent_session_no", "row_count", "rows"}
_JSON_TEXT = {"bin_counts", "columns", "gates", "library_versions", "params", "quantiles", "sample"}


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
    if name in _JSON_TEXT and isinstance(value, str):
        try:
            return plain(json.loads(value))
        except ValueError:
            return value
    return value


def number(value: float) -> str:
    """Return a number with six significant digits, a whole number with all digits."""
    if isinstance(value, int):
        return str(value)
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}"


def show(value: Any, kind: str = "text") -> str:
    """Return a JSON value as text on one line; `kind` is a key of `_FORMATS`."""
    if value is None or value == "":
        return MISSING
    return _FORMATS[kind](value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number(value)
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _signed(value: float) -> str:
    return f"{value:+.6g}" if value else "0"


def _time(value: str) -> str:
    return value[:19].replace("T", " ")


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Return the seconds between two ISO 8601 instants, None if one is missing."""
    if start is None or end is None:
        return None
    return (dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(start)).total_seconds()


_FORMATS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "number": _text,
    "time": _time,
    "seconds": duration,
    "bytes": size,
    "signed": _signed,
}
