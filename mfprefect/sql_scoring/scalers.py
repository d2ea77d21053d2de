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


@transformer("sklearn", "MinMaxScaler")
def _min_max(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    require_numbers(matrix, "MinMaxScaler")
    scales = _columns(estimator.scale_, matrix)
    offsets = _columns(estimator.min_, matrix)
    scaled = [_shifted(*x) for x in zip(matrix, scales, offsets, strict=True)]
    if not estimator.clip:
        return scaled
    low, high = estimator.feature_range
    return [_clipped(value, float(low), float(high), context) for value in scaled]


def _shifted(value: Value, scale: float | None, offset: float | None) -> Value:
    a, b = float(scale or 0.0), float(offset or 0.0)
    sql = ("(", value.expression, " * ", Number(a), " + ", Number(b), ")")
    return value.scaled(lambda x: x * a + b, a, b, *sql)


def _clipped(value: Value, low: float, high: float, context: Context) -> Value:
    value = value if value.lookup else value.shared()
    context.refuse_infinite(value)
    x = value.expression
    sql = (
        *("CASE WHEN ", x, " < ", Number(low), " THEN ", Number(low)),
        *(" WHEN ", x, " > ", Number(high), " THEN ", Number(high), " ELSE ", x, " END"),
    )
    return value.map(lambda x: min(max(x, low), high), *sql)


@transformer("sklearn", "MaxAbsScaler")
def _max_abs(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    require_numbers(matrix, "MaxAbsScaler")
    scales = _columns(estimator.scale_, matrix)
    scaled = [_standardized(value, None, x) for value, x in zip(matrix, scales, strict=True)]
    if not getattr(estimator, "clip", False):
        return scaled
    return [_clipped(x, -1.0, 1.0, context) for x in scaled]


@transformer("sklearn", "RobustScaler")
def _robust(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    require_numbers(matrix, "RobustScaler")
    centers = _columns(estimator.center_ if estimator.with_centering else None, matrix)
    scales = _columns(estimator.scale_ if estimator.with_scaling else None, matrix)
    return [_standardized(*x) for x in zip(matrix, centers, scales, strict=True)]
