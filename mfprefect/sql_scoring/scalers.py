"""Scalers of scikit-learn: each column by itself, in the order of scikit-learn's operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Number
from mfprefect.sql_scoring.registry import transformer
from mfprefect.sql_scoring.values import Context, Matrix, Value, require_numbers

__all__: list[str] = []


def _columns(value: Any, matrix: Matrix) -> list[float | None]:
    if value is None:
        return [None] * len(matrix)
    numbers = [float(x) for x in np.ravel(value)]
    if len(numbers) != len(matrix):
        raise NotCompilable(f"a scaler has {len(numbers)} numbers for {len(matrix)} columns")
    return list(numbers)


def _standardized(value: Value, center: float | None, scale: float | None) -> Value:
    if center is not None:
        shift = center
        value = value.scaled(
            lambda x: x - shift, 1.0, -shift, "(", value.expression, " - ", Number(shift), ")"
        )
    if scale is not None and scale != 1.0:
        factor = scale
        value = value.scaled(
            lambda x: x / factor, 1.0 / factor, 0.0, value.expression, " / ", Number(factor)
        )
    return value


@transformer("sklearn", "StandardScaler")
def _standard(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    require_numbers(matrix, "StandardScaler")
    centers = _columns(estimator.mean_ if estimator.with_mean else None, matrix)
    scales = _columns(estimator.scale_ if estimator.with_std else None, matrix)
    return [_standardized(*x) for x in zip(matrix, centers, scales, strict=True)]
