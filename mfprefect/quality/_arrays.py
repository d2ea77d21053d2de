"""Convert labels and scores to numpy arrays; name the offending values where that fails."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfprefect.errors import InvalidScores, InvalidValue

__all__ = ["labels", "scores"]

_EXAMPLES = 5


def labels(actual: ArrayLike) -> NDArray[np.bool_]:
    """Return which rows are positive, shape (n,).

    Raises:
        InvalidValue: not one-dimensional, or a value other than 0, 1, False or True.
    """
    values = _column(actual, "actual")
    if values.dtype.kind == "b":
        return values.astype(np.bool_)
    if values.dtype.kind in "iuf":
        wrong = (values != 0) & (values != 1)
    else:
        wrong = np.array([not _is_label(x) for x in values], dtype=np.bool_)
    if wrong.any():
        raise InvalidValue(
            f"{_count(wrong)} not 0, 1, False or True: {_examples(values, wrong)}; "
            "drop the rows without a known outcome and map your classes to 0 and 1"
        )
    return np.array(values == 1, dtype=np.bool_)


def scores(score: ArrayLike) -> NDArray[np.float64]:
    """Return the scores as doubles, shape (n,), without a copy where possible.

    Raises:
        InvalidValue: not one-dimensional.
        InvalidScores: a score that is NULL, NaN, infinite or not a number.
    """
    values = _column(score, "score")
    if values.dtype.kind in "biuf":
        doubles = values.astype(np.float64, copy=False)
    else:
        doubles = np.array([_as_double(x) for x in values], dtype=np.float64)
    wrong = ~np.isfinite(doubles)
    if wrong.any():
        raise InvalidScores(
            f"{_count(wrong)} not finite numbers: {_examples(values, wrong)}; "
            "score these rows or leave them out, together with their actuals",
            examples=values[wrong][:_EXAMPLES].tolist(),
        )
    # -0.0 and 0.0 are one score; without this, row order would decide which one is kept.
    return doubles + 0.0 if (np.signbit(doubles) & (doubles == 0)).any() else doubles


def _column(values: ArrayLike, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            # numpy turns a list with one text into all texts; messages quote the original values.
            array = np.array(values, dtype=object)
    except ValueError as exc:
        raise InvalidValue(f"{name} is not a column of values: {exc}") from exc
    if array.ndim != 1:
        raise InvalidValue(
            f"{name} has shape {array.shape}; pass one column, such as "
            "estimator.predict_proba(features)[:, 1]"
        )
    return array


def _is_label(value: object) -> bool:
    # pandas.NA is not a Real, so it is never compared.
    return isinstance(value, Real | Decimal | np.bool_) and value in (0, 1)


def _as_double(value: Any) -> float:
    if isinstance(value, str | bytes):
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _count(wrong: NDArray[np.bool_]) -> str:
    return f"{np.count_nonzero(wrong)} of {len(wrong)} values are"


def _examples(values: NDArray[Any], wrong: NDArray[np.bool_]) -> str:
    where: Sequence[int] = np.flatnonzero(wrong)[:_EXAMPLES].tolist()
    return ", ".join(f"{values[i : i + 1].tolist()[0]!r} at position {i}" for i in where)


def _is_null(value: Any) -> bool:
    # Recognise pandas.NA by name: comparing it gives neither true nor false.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
