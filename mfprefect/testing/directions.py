"""Assertions on how a model's scores depend on a column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.testing.models import ABSOLUTE, TrainedModel, first_difference

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["assert_decreasing", "assert_increasing", "assert_invariant"]

MAX_VALUES = 20


def assert_invariant(
    model: TrainedModel, column: str, values: Iterable[Any] | None = None, at_most: float = ABSOLUTE
) -> None:
    """Assert that a score does not change when a column takes another value.

    Args:
        model: the model.
        column: a feature, such as `gender`.
        values: the values to try; by default those of the training data, at most 20, evenly spaced
            from the smallest to the largest.
        at_most: how much a score may change.
    """
    __tracebackhide__ = True
    rows = _rows(model, column)
    before = model.score(rows)
    candidates = _values(model.data[column]) if values is None else list(values)
    if len(candidates) < 2 and values is None:
        raise AssertionError(f"{column!r} has one value in the training data; pass others: values=")
    for value in candidates:
        other = rows.copy()
        other[column] = other[column].__class__([value] * len(rows), rows.index)
        if value is not None:
            other[column] = other[column].astype(rows[column].dtype)
        if difference := first_difference(before, model.score(other), at_most):
            raise AssertionError(f"scores change with {column!r}; with {value!r}: {difference}")


def assert_increasing(model: TrainedModel, column: str, by: float | None = None) -> None:
    """Assert that a larger value lowers no row's score, and raises some.

    Args:
        model: the model.
        column: a feature that is a number, such as `debt`.
        by: the increase; by default the standard deviation, at least 1 for integers.
    """
    __tracebackhide__ = True
    _assert_direction(model, column, by, 1)


def assert_decreasing(model: TrainedModel, column: str, by: float | None = None) -> None:
    """Assert that a larger value raises no row's score, and lowers some.

    The arguments are those of `assert_increasing`.
    """
    __tracebackhide__ = True
    _assert_direction(model, column, by, -1)


def _assert_direction(model: TrainedModel, column: str, by: float | None, sign: int) -> None:
    __tracebackhide__ = True
    rows = _rows(model, column)
    whole = np.issubdtype(np.asarray(rows[column]).dtype, np.integer)
    step = float(rows[column].std()) if by is None else by
    step = max(1, round(step)) if whole and by is None else step
    if not step > 0:
        raise AssertionError(f"{column!r} is constant in the held-out rows; pass by=")
    other = rows.copy()
    other[column] = other[column] + (int(step) if whole and step == int(step) else step)
    before, after = model.score(rows), model.score(other)
    if before.ndim > 1:
        raise AssertionError("a model with several scores per row has no direction")
    change = sign * (after - before)
    wrong, (against, along) = change < -ABSOLUTE, ("falls", "rises")[::sign]
    if wrong.any():
        worst = int(np.argmin(change))
        raise AssertionError(
            f"with {column!r} larger by {step:g} the score {against} in {int(wrong.sum())} of "
            f"{len(rows)} rows, most in row {worst}: {before[worst]:.10g}, then "
            f"{after[worst]:.10g}"
        )
    if not (change > ABSOLUTE).any():
        raise AssertionError(f"with {column!r} larger by {step:g} the score {along} in no row")


def _rows(model: TrainedModel, column: str) -> pd.DataFrame:
    if column not in model.features:
        features = ", ".join(model.features)
        raise AssertionError(f"{column!r} is not a feature; the features are: {features}")
    return model.rows


def _values(column: pd.Series[Any]) -> list[Any]:
    try:
        distinct = sorted(column.dropna().unique())
    except TypeError:  # values of types that cannot be compared
        distinct = list(column.dropna().unique())
    positions = np.unique(np.linspace(0, len(distinct) - 1, MAX_VALUES).round().astype(int))
    return [distinct[position] for position in positions] if distinct else []
