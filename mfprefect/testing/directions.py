"""What a model's scores may depend on, and in which direction: an assertion each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.testing.models import ABSOLUTE, TrainedModel, first_difference

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["assert_decreasing", "assert_increasing", "assert_invariant"]

MOST_VALUES = 20


def assert_invariant(
    model: TrainedModel, column: str, values: Iterable[Any] | None = None, at_most: float = ABSOLUTE
) -> None:
    """Assert that a score stays what it is when a column takes another value.

    Args:
        model: the model.
        column: a feature, such as `gender`.
        values: what it takes; by default the values of the training data, or 20 of them from the
            smallest to the largest.
        at_most: by how much a score may move.
    """
    __tracebackhide__ = True
    rows = _rows(model, column)
    before = model.score(rows)
    tried = _values(model.data[column]) if values is None else list(values)
    if len(tried) < 2 and values is None:
        raise AssertionError(f"{column!r} has one value in the training data; give others: values=")
    for value in tried:
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
        by: how much larger; by default the standard deviation, at least 1 for integers.
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
        raise AssertionError(f"{column!r} is always the same in the rows held out; give by=")
    other = rows.copy()
    other[column] = other[column] + (int(step) if whole and step == int(step) else step)
    before, after = model.score(rows), model.score(other)
    if before.ndim > 1:
        raise AssertionError("a model with several scores a row has no one direction")
    moved = sign * (after - before)
    wrong, words = moved < -ABSOLUTE, ("falls", "rises") if sign > 0 else ("rises", "falls")
    if wrong.any():
        place = int(np.argmin(moved))
        raise AssertionError(
            f"with {column!r} larger by {step:g} the score {words[0]} in {int(wrong.sum())} of "
            f"{len(rows)} rows, row {place} most: {before[place]:.10g}, then {after[place]:.10g}"
        )
    if not (moved > ABSOLUTE).any():
        raise AssertionError(f"with {column!r} larger by {step:g} the score {words[1]} in no row")


def _rows(model: TrainedModel, column: str) -> pd.DataFrame:
    if column not in model.features:
        raise AssertionError(f"{column!r} is no feature; there are: {', '.join(model.features)}")
    return model.rows


def _values(column: pd.Series[Any]) -> list[Any]:
    try:
        distinct = sorted(column.dropna().unique())
    except TypeError:  # values of kinds that have no order among them
        distinct = list(column.dropna().unique())
    places = np.unique(np.linspace(0, len(distinct) - 1, MOST_VALUES).round().astype(int))
    return [distinct[place] for place in places] if distinct else []
