"""Rows on which an estimator and its SQL may differ: at thresholds, with NULLs, new categories."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.sql_scoring.composition import predicted
from mfprefect.sql_scoring.values import Context, Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_PROBES", "UNSEEN", "probe_rows"]

MOST_PROBES = 4_000
"""Rows at most."""
_HELD_OUT = 1_000
UNSEEN = "a category\N{RIGHT SINGLE QUOTATION MARK}s text that no row has: '\\%"


def probe_rows(estimator: Any, held_out: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Return rows to score both ways: held-out rows, and copies of these with one changed value.

    The changed values are numbers just below, at and just above each threshold, as doubles and as
    float32; NULL in each column, and an unseen category in each column of texts, as far as the
    estimator takes them. Columns of integers and booleans get no other numbers than theirs.

    Args:
        estimator: the fitted estimator.
        held_out: rows with the features; at least one.
        features: the columns that the estimator gets.

    Returns:
        At most 4,000 rows with the features and a new index: at most 1,000 held-out ones, and an
        even choice of the others.

    Raises:
        NotCompilable: the estimator cannot be scored in SQL.
    """
    import pandas as pd

    base = held_out[list(features)].reset_index(drop=True)
    if len(base) > _HELD_OUT:
        base = base.iloc[np.linspace(0, len(base) - 1, _HELD_OUT).astype(int)]
    special = [x for x in _special(base) if _accepts(estimator, _changed(base, [x]))]
    jumps = list(_jumps(base, _points(estimator, features)))
    room = MOST_PROBES - len(base) - len(special)
    if len(jumps) > room:
        jumps = [jumps[at] for at in np.linspace(0, len(jumps) - 1, room).astype(int)]
    frames = [base, *(_changed(base, group) for group in (special, jumps) if group)]
    return pd.concat(frames, ignore_index=True)


def _points(estimator: Any, features: Sequence[str]) -> dict[str, set[Any]]:
    context = Context()
    matrix = [Value.of_column(name) for name in features]
    predicted(estimator, matrix, list(features), context)
    return context.probes


def _special(base: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    """Yield NULL for each column, and an unseen category for those of texts."""
    for name, column in base.items():
        yield str(name), None
        if _is_text(column):
            yield str(name), UNSEEN


def _is_text(column: pd.Series[Any]) -> bool:
    return any(isinstance(x, str) for x in column.dropna().head(20))


def _jumps(base: pd.DataFrame, points: dict[str, set[Any]]) -> Iterator[tuple[str, Any]]:
    for name in sorted(points, key=str):
        kind = base[name].dtype.kind
        for point in sorted(points[name], key=lambda x: (isinstance(x, str), x)):
            if isinstance(point, str):
                yield name, point
            elif kind == "f" and not _is_text(base[name]):
                yield from ((name, x) for x in _near(point))
            elif kind in "iu":
                yield from ((name, x) for x in _whole(base[name], point))


def _near(point: float) -> list[float]:
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(point)
        singles = [np.nextafter(single, np.float32(sign * np.inf)) for sign in (-1, 1)]
    doubles = [point, math.nextafter(point, -math.inf), math.nextafter(point, math.inf)]
    numbers = [*doubles, float(single), *map(float, singles)]
    # Where float32 rounds up or down.
    numbers += [(float(single) + float(x)) / 2 for x in singles]
    return sorted({x for x in numbers if abs(x) < 3.4e38 and (x == 0 or abs(x) > 1e-300)})


def _whole(column: pd.Series[Any], point: float) -> list[int]:
    limits = np.iinfo(str(column.dtype).lower())
    return [x for x in {math.floor(point), math.ceil(point)} if limits.min <= x <= limits.max]


def _changed(base: pd.DataFrame, changes: Iterable[tuple[str, Any]]) -> pd.DataFrame:
    """Return one row for each change, copied from the rows in turn."""
    listed = list(changes)
    places = list(itertools.islice(itertools.cycle(range(len(base))), len(listed)))
    rows = base.iloc[places].reset_index(drop=True)
    for name in {name for name, _ in listed}:
        values = rows[name].astype(object)
        for at, (changed, value) in enumerate(listed):
            if changed == name:
                values.iloc[at] = value
        rows[name] = _typed(values, base[name])
    return rows


def _typed(values: pd.Series[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    if not values.isna().any() or like.dtype.kind not in "iub":
        return values.astype(like.dtype)
    # As reading from a database gives: integers with NULL are doubles, booleans are objects.
    return values.astype(float) if like.dtype.kind in "iu" else values


def _accepts(estimator: Any, row: pd.DataFrame) -> bool:
    """Return whether an estimator takes a row; what it raises depends on its class."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.predict(row)
    except Exception:  # noqa: BLE001 - it refuses such rows in its own way
        return False
    return True
