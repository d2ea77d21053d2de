"""Transformers that compute numbers: functions, bins, products, projections."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Expression, Number, Sql
from mfprefect.sql_scoring.functions import finite, shared
from mfprefect.sql_scoring.linear import combination
from mfprefect.sql_scoring.registry import transformer
from mfprefect.sql_scoring.values import Context, Lookup, Matrix, Value, require_numbers

__all__: list[str] = []

_MOST_PRODUCTS = 500
_MOST_WEIGHTS = 5_000
_HIGHEST_DEGREE = 3


@transformer("sklearn", "FunctionTransformer")
def _function(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    function = estimator.func
    if function is None:
        return matrix
    name = getattr(function, "__name__", type(function).__name__)
    if estimator.kw_args or name not in _FUNCTIONS or function is not getattr(np, name):
        raise NotCompilable(
            f"FunctionTransformer applies {name}; supported are NumPy's {', '.join(_FUNCTIONS)}"
        )
    require_numbers(matrix, "FunctionTransformer")
    return [_FUNCTIONS[name](value, context) for value in matrix]


def _logarithm(value: Value, context: Context, offset: float) -> Value:
    """Return log(offset + x): NULL for NaN below, and refused where it is minus infinity."""
    value = value if value.lookup else value.shared()
    x, lowest = value.expression, Number(-offset or 0.0)
    log = math.log1p if offset else math.log
    if value.lookup is None:
        context.require("(", x, " IS NULL OR ", x, " <> ", lowest, ")")
    elif any(number == -offset for number in value.lookup.values):
        raise NotCompilable("FunctionTransformer takes the logarithm of 0")
    shifted = Sql(Number(offset), " + ", x) if offset else x
    sql = ("CASE WHEN ", x, " > ", lowest, " THEN LN(", shifted, ") END")
    result = value.map(lambda x: log(x) if x > -offset else None, *sql)
    return dataclasses.replace(result, nullable=True)


def _root(value: Value, context: Context) -> Value:
    value = value if value.lookup else value.shared()
    x = value.expression
    sql = ("CASE WHEN ", x, " >= ", Number(0.0), " THEN SQRT(", x, ") END")
    result = value.map(lambda x: math.sqrt(x) if x >= 0 else None, *sql)
    return dataclasses.replace(result, nullable=True)


_FUNCTIONS: dict[str, Callable[[Value, Context], Value]] = {
    "log1p": functools.partial(_logarithm, offset=1.0),
    "log": functools.partial(_logarithm, offset=0.0),
    "sqrt": _root,
}


@transformer("sklearn", "KBinsDiscretizer")
def _bins(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    require_numbers(matrix, "KBinsDiscretizer")
    columns: Matrix = []
    for value, edges in zip(matrix, estimator.bin_edges_, strict=True):
        inner = [float(x) for x in edges[1:-1]]
        bins = _bin_of(value, inner, context)
        if estimator.encode == "ordinal":
            columns.append(bins)
        else:
            key = bins if bins.lookup else bins.shared()
            numbers = range(len(inner) + 1)
            columns += [Value.of_lookup(Lookup(key, {float(k): 1.0}, 0.0, None)) for k in numbers]
    return columns


def _bin_of(value: Value, edges: list[float], context: Context) -> Value:
    value = value if value.lookup else value.shared()
    x = value.expression
    context.refuse_infinite(value)
    context.probe(value, edges)
    if value.nullable:
        context.require(x, " IS NOT NULL")
    parts: list[Any] = []
    for place, edge in enumerate(edges):
        parts += [" WHEN ", x, " < ", Number(edge), " THEN ", Number(place)]
    sql = ("CASE", *parts, " ELSE ", Number(len(edges)), " END") if parts else (Number(0),)
    bins = value.map(lambda x: float(np.searchsorted(edges, x, side="right")), *sql)
    return bins if bins.lookup else Value(bins.expression, nullable=False, finite=True)


@transformer("sklearn", "PolynomialFeatures")
def _products(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    require_numbers(matrix, "PolynomialFeatures")
    powers = np.asarray(estimator.powers_)
    if len(powers) > _MOST_PRODUCTS or powers.sum(axis=1).max() > _HIGHEST_DEGREE:
        raise NotCompilable(
            f"PolynomialFeatures has {len(powers)} products of degree up to "
            f"{powers.sum(axis=1).max()}; supported are {_MOST_PRODUCTS} of degree "
            f"{_HIGHEST_DEGREE}"
        )
    factors = [value.shared() for value in matrix]
    for value in factors:
        context.refuse_infinite(value)
        if value.nullable:
            context.require(value.expression, " IS NOT NULL")
    return [_product(factors, row) for row in powers.tolist()]


def _product(matrix: Matrix, powers: list[int]) -> Value:
    factors = [value for value, power in zip(matrix, powers, strict=True) for _ in range(power)]
    if not factors:
        return Value(Sql(Number(1.0)), nullable=False, finite=True)
    if len(factors) == 1:
        return factors[0]
    product: Expression = factors[0].expression
    for factor in factors[1:]:
        product = Sql(product, " * ", factor.expression)
    return Value(product)


@transformer("sklearn", "PCA", "TruncatedSVD")
def _projection(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    name = type(estimator).__name__
    require_numbers(matrix, name)
    components = np.asarray(estimator.components_, dtype=np.float64)
    if components.size > _MOST_WEIGHTS:
        raise NotCompilable(
            f"{name} has {components.size:,} weights; supported are {_MOST_WEIGHTS:,}"
        )
    means = getattr(estimator, "mean_", None) if name == "PCA" else None
    scales = [1.0] * len(components)
    if name == "PCA" and estimator.whiten:
        scales = np.maximum(np.sqrt(estimator.explained_variance_), np.finfo(float).eps).tolist()
    columns: Matrix = []
    for component, scale in zip(components, scales, strict=True):
        offset = 0.0 if means is None else -math.fsum((np.ravel(means) * component).tolist())
        inner = combination(matrix, component / scale, offset / scale, name)
        projected = shared(inner)
        context.conditions.append(finite(projected))
        columns.append(Value(projected, nullable=False, finite=True))
    return columns
