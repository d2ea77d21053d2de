"""The input summary: the distribution of each variable, with the bins that drift needs later."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidValue
from mfprefect.util.frames import require_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEVEL_LENGTH", "MAX_LEVELS", "input_summary"]

MAX_LEVELS = 50
"""The most levels to count one by one; the others count as `other`."""

LEVEL_LENGTH = 100
"""Levels are compared by their first characters, this many."""
_DTYPE_LENGTH = 64
_UTC = "+00:00"
_DECILES = np.arange(11) / 10
_GRID = np.arange(1, 50) / 50
"""Quantiles of numbers and times to store, so that KS drift is exact to 0.02."""
_NUMBERS = ("mean", "sd", "median", "min", "max")
_COUNTS = ("n", "n_na", "n_distinct")
_COLUMNS = ("variable", "dtype", *_NUMBERS, *_COUNTS, "quantiles", "bin_counts")


def input_summary(
    frame: pd.DataFrame, bins: int = 10, reference: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Summarise a frame, one row per variable, in column order.

    Columns: `variable`; `dtype` (text); `mean`, `sd` (n - 1 in the denominator), `median`, `min`
    and `max` (doubles); `n` (rows that are not NULL), `n_na`, `n_distinct` (without NULL);
    `quantiles` and `bin_counts` (JSON text; `kind` names the form). Missing figures are None, never
    NaN.

    * `numeric`: numbers, also Decimal, and durations in seconds. `mean` to `max` describe the
      finite values. quantiles: `probabilities` (0, 0.1, .. 1), `values` (linear interpolation),
      `edges`, `n_inf` (infinite values, included in n). bin_counts: `counts`, one more than there
      are edges: the finite values in (-inf, edge 0], (edge 0, edge 1], .., (last edge, +inf). The
      edges are the distinct inner quantiles at 1/bins, 2/bins, ..
    * `datetime`: the same as ISO text, in UTC if the values have a zone, with `min` and `max` in
      quantiles; each quantile is a value that occurs. `mean` to `max` are None.
    * `levels`: booleans (with `mean` to `max` of 0 and 1), categories, texts, and any other value
      as text. bin_counts: `levels` (text to rows) of the 50 most frequent levels, `other` (rows of
      all other levels); levels are compared by their first 100 characters. quantiles is None.

    Args:
        frame: any number of rows, including none; not modified.
        bins: bins of a numeric or datetime variable, 2 to 100.
        reference: an earlier summary, to make drift from it exact: variables that are numeric or
            datetime in both are counted between its edges, which replace the frame's own; its
            levels are counted one by one, in addition to the 50 most frequent others.

    Raises:
        InvalidValue: a column name is not text or occurs twice, `bins` is out of range, or
            `reference` is not an input summary.
    """
    import pandas as pd

    if isinstance(bins, bool) or not isinstance(bins, int) or not 2 <= bins <= 100:
        raise InvalidValue(f"bins is {bins!r}; choose a whole number from 2 to 100")
    _check_names(frame)
    references = {} if reference is None else _references(reference)
    rows = [
        _row(str(name), column, bins, references.get(str(name), {}))
        for name, column in frame.items()
    ]
    # dtype=object keeps None; pandas would turn it into NaN.
    types = dict.fromkeys(_COLUMNS, object) | dict.fromkeys(_COUNTS, "int64")
    return pd.DataFrame(
        {key: pd.Series([row[key] for row in rows], dtype=types[key]) for key in _COLUMNS}
    )


def _check_names(frame: pd.DataFrame) -> None:
    require_frame(frame)
    names = list(frame.columns)
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise InvalidValue(
            f"column names must be text, got {odd[:5]!r}; rename them, for example with "
            "frame.columns = frame.columns.map(str)"
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidValue(
            f"column names occur more than once: {repeated[:5]!r}; rename or drop them"
        )


def _references(reference: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the kind and the edges or levels of each variable of a summary."""
    try:
        variables, quantiles = reference["variable"], reference["quantiles"]
        counts = reference["bin_counts"]
    except KeyError as exc:
        raise InvalidValue(
            f"the reference lacks the column {exc}; pass what input_summary(frame) or "
            "store.input_summary(session_id) returns"
        ) from exc
    # A NULL text from a database can be NaN.
    return {
        str(name): {
            **json.loads(counted),
            **(
                {name: json.loads(texts).get(name) for name in ("edges", "grid")}
                if isinstance(texts, str)
                else {}
            ),
        }
        for name, texts, counted in zip(variables, quantiles, counts, strict=True)
    }


def _row(name: str, column: pd.Series[Any], bins: int, reference: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    row |= {"variable": name, "dtype": str(column.dtype)[:_DTYPE_LENGTH]}
    if column.dtype == np.float64:
        return row | _of_doubles(column.to_numpy(), bins, reference)
    present = column.dropna()
    row |= {"n": len(present), "n_na": len(column) - len(present)}
    kind = _kind(present)
    comparable = _of_kind(reference, kind)
    if kind in ("numeric", "datetime"):
        # Count before the conversion: doubles cannot distinguish large integers.
        row["n_distinct"] = int(present.nunique())
    if kind == "numeric":
        return row | _numeric(np.sort(_doubles(present)), bins, comparable)
    if kind == "datetime":
        return row | _datetime(present, bins, comparable)
    numbers = _numbers(np.sort(_doubles(present))) if kind == "boolean" else {}
    return row | numbers | _levels(present, reference.get("levels", ()))


def _of_doubles(
    column: NDArray[np.float64], bins: int, reference: dict[str, Any]
) -> dict[str, Any]:
    """Summarise a column of doubles without pandas, which takes longer than the figures."""
    values = np.sort(column[~np.isnan(column)])
    counts = {
        "n": len(values),
        "n_na": len(column) - len(values),
        "n_distinct": int(np.count_nonzero(values[1:] != values[:-1])) + min(len(values), 1),
    }
    return counts | _numeric(values, bins, _of_kind(reference, "numeric"))


def _of_kind(reference: dict[str, Any], kind: str) -> dict[str, Any]:
    return reference if reference.get("kind") == kind else {}


def _kind(present: pd.Series[Any]) -> str:
    """Return numeric, datetime, boolean or levels; for object columns by their values."""
    import pandas as pd

    dtype = present.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "levels"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_complex_dtype(dtype):
        return "levels"
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return "numeric"
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "datetime"
    inferred = pd.api.types.infer_dtype(present.astype(object), skipna=True)
    return _INFERRED.get(inferred, "levels")


_INFERRED = {
    "boolean": "boolean",
    "date": "datetime",
    "datetime": "datetime",
    "datetime64": "datetime",
    "decimal": "numeric",
    "floating": "numeric",
    "integer": "numeric",
    "mixed-integer-float": "numeric",
    "timedelta": "numeric",
    "timedelta64": "numeric",
}


def _doubles(present: pd.Series[Any]) -> NDArray[np.float64]:
    import pandas as pd

    if pd.api.types.is_timedelta64_dtype(present.dtype):
        present = present.dt.total_seconds()
    if present.dtype == object:
        return np.array([_double(x) for x in present], dtype=np.float64)
    return np.asarray(present.to_numpy(dtype=np.float64))


def _double(value: Any) -> float:
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, np.timedelta64):
        return float(value / np.timedelta64(1, "s"))
    try:
        return float(value)
    except OverflowError:  # a Python integer beyond the range of a double
        return math.inf if value > 0 else -math.inf


def _numeric(ordered: NDArray[np.float64], bins: int, reference: dict[str, Any]) -> dict[str, Any]:
    # The values are sorted, so sums do not depend on the order of the rows.
    finite = ordered[np.isfinite(ordered)]
    deciles = _quantiles(finite, _DECILES)
    edges = np.unique(_quantiles(finite, np.arange(1, bins) / bins))
    grid = np.unique(_quantiles(finite, _GRID))
    if reference.get("edges"):
        edges = np.array(reference["edges"], dtype=np.float64)
    if reference.get("grid"):
        grid = np.array(reference["grid"], dtype=np.float64)
    quantiles = {
        "kind": "numeric",
        "probabilities": _DECILES.tolist(),
        "values": deciles.tolist(),
        "edges": edges.tolist(),
        "n_inf": len(ordered) - len(finite),
        "grid": grid.tolist(),
    }
    counts = {
        "kind": "numeric",
        "counts": _counts(finite, edges),
        "grid_counts": _grid_counts(finite, grid),
    }
    return _numbers(finite) | {"quantiles": _json(quantiles), "bin_counts": _json(counts)}


def _numbers(ordered: NDArray[np.float64]) -> dict[str, float | None]:
    if len(ordered) == 0:
        return dict.fromkeys(_NUMBERS)
    # Sums of values near the end of the range overflow; non-finite figures become None.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(ordered.mean())
        median = float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        sd = float(ordered.std(ddof=1)) if len(ordered) > 1 else math.nan
    figures = (mean, sd, median, float(ordered[0]), float(ordered[-1]))
    return {k: x if math.isfinite(x) else None for k, x in zip(_NUMBERS, figures, strict=True)}


def _quantiles(ordered: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(ordered) == 0:
        return np.empty(0)
    # Same result as np.quantile, which does not know that the values are sorted: ten times slower.
    last = len(ordered) - 1
    position = at * last
    below = position.astype(np.int64)
    low, high, share = ordered[below], ordered[np.minimum(below + 1, last)], position - below
    with np.errstate(over="ignore", invalid="ignore"):
        step = high - low
        points = np.where(share < 0.5, low + step * share, high - step * (1 - share))
    return points if np.isfinite(points).all() else low


def _counts(ordered: NDArray[Any], edges: NDArray[Any]) -> list[int]:
    below = np.searchsorted(ordered, edges, side="right")
    return _gaps(below, len(ordered))


def _grid_counts(ordered: NDArray[Any], grid: NDArray[Any]) -> list[int]:
    """Count rows below the first grid point, at it, between it and the second, .., above."""
    sides = [np.searchsorted(ordered, grid, side=side) for side in ("left", "right")]
    positions = np.stack(sides, axis=1).ravel()
    return _gaps(positions, len(ordered))


def _gaps(positions: NDArray[np.intp], rows: int) -> list[int]:
    counts: list[int] = np.diff(np.concatenate(([0], positions, [rows]))).tolist()
    return counts


def _datetime(present: pd.Series[Any], bins: int, reference: dict[str, Any]) -> dict[str, Any]:
    import pandas as pd

    if isinstance(present.dtype, pd.PeriodDtype):
        present = present.dt.to_timestamp()
    zoned = any(getattr(x, "tzinfo", None) is not None for x in present.head(1))
    values = np.sort(_times(present, zoned))
    deciles = _occurring(values, _DECILES)
    edges = np.unique(_occurring(values, np.arange(1, bins) / bins))
    grid = np.unique(_occurring(values, _GRID))
    edges, grid = (
        _instants(reference.get("edges"), zoned, edges),
        _instants(reference.get("grid"), zoned, grid),
    )
    quantiles = {
        "kind": "datetime",
        "min": _iso(values[:1], zoned)[0] if len(values) else None,
        "max": _iso(values[-1:], zoned)[0] if len(values) else None,
        "probabilities": _DECILES.tolist(),
        "values": _iso(deciles, zoned),
        "edges": _iso(edges, zoned),
        "grid": _iso(grid, zoned),
    }
    counts = {
        "kind": "datetime",
        "counts": _counts(values, edges),
        "grid_counts": _grid_counts(values, grid),
    }
    return {"quantiles": _json(quantiles), "bin_counts": _json(counts)}


def _instants(texts: list[str] | None, zoned: bool, edges: NDArray[Any]) -> NDArray[Any]:
    """Return the instants of the reference, or `edges` if it has none of the same kind."""
    if not texts or zoned != texts[0].endswith(_UTC):
        return edges
    return np.array([text.removesuffix(_UTC) for text in texts], dtype="datetime64[us]")


def _times(present: pd.Series[Any], zoned: bool) -> NDArray[np.datetime64]:
    """Return UTC or local times in microseconds; nanoseconds cannot hold the year 9999."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(present.dtype):
        if zoned:
            present = present.dt.tz_convert("UTC").dt.tz_localize(None)
        return np.asarray(present.to_numpy(dtype="datetime64[us]"))
    return np.array([_time(x) for x in present], dtype="datetime64[us]")


def _time(value: Any) -> Any:
    zone = getattr(value, "tzinfo", None)
    return value if zone is None else value.astimezone(dt.UTC).replace(tzinfo=None)


def _occurring(ordered: NDArray[Any], at: NDArray[np.float64]) -> NDArray[Any]:
    """Invert the empirical distribution: return the ⌈p·n⌉th values, the first for p = 0."""
    if len(ordered) == 0:
        return ordered
    position = np.ceil(np.round(at * len(ordered), 9)).astype(np.int64)
    return ordered[np.maximum(position - 1, 0)]


def _iso(values: NDArray[Any], zoned: bool) -> list[str]:
    return [f"{x}{_UTC}" if zoned else str(x) for x in np.datetime_as_string(values)]


def _levels(present: pd.Series[Any], reference_levels: Collection[str]) -> dict[str, Any]:
    texts = present.astype(object).map(str)
    frequency = texts.str[:LEVEL_LENGTH].value_counts() if len(texts) else texts.value_counts()
    ordered = sorted(((str(k), int(v)) for k, v in frequency.items()), key=lambda x: (-x[1], x[0]))
    others = [level for level, _ in ordered if level not in reference_levels]
    dropped = set(others[MAX_LEVELS:])
    counts = {
        "kind": "levels",
        "levels": {level: count for level, count in ordered if level not in dropped},
        "other": sum(count for level, count in ordered if level in dropped),
    }
    return {"n_distinct": int(texts.nunique()), "bin_counts": _json(counts)}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False, sort_keys=False)
