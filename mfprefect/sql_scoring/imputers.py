"""What replaces or marks missing values."""

from __future__ import annotations

from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Number, Sql
from mfprefect.sql_scoring.registry import transformer
from mfprefect.sql_scoring.values import Context, Lookup, Matrix, Value, is_missing

__all__: list[str] = []


@transformer("sklearn", "SimpleImputer")
def _simple(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    fills = np.asarray(estimator.statistics_, dtype=object).tolist()
    if len(fills) != len(matrix):
        raise NotCompilable(f"SimpleImputer has {len(fills)} fills for {len(matrix)} columns")
    marker = estimator.missing_values
    filled = [
        _filled(value, fill, marker)
        for value, fill in zip(matrix, fills, strict=True)
        if estimator.keep_empty_features or not is_missing(fill)
    ]
    indicator = getattr(estimator, "indicator_", None)
    if indicator is None:
        return filled
    typed = [
        value.texts("SimpleImputer") if isinstance(fill, str) else value
        for value, fill in zip(matrix, fills, strict=True)
    ]
    return filled + _indicators(indicator, typed, context)


def _filled(value: Value, fill: Any, marker: Any) -> Value:
    if isinstance(fill, str):
        return _filled_text(value.texts("SimpleImputer"), fill, marker)
    if isinstance(marker, str) or value.text:
        raise NotCompilable("SimpleImputer fills a column of texts with a number")
    number = float(fill)
    if not is_missing(marker):
        value = value if value.lookup else value.shared()
        return value.map(
            lambda x: number if x == float(marker) else x,
            *("CASE WHEN ", value.expression, " = ", Number(marker), " THEN ", Number(number)),
            *(" ELSE ", value.expression, " END"),
        )
    if value.lookup is not None:
        return Value.of_lookup(value.lookup.apply(lambda x: number if x is None else x))
    if not value.nullable:
        return value
    sql = Sql("COALESCE(", value.expression, ", ", Number(number), ")")
    return Value(sql, nullable=False, finite=value.finite, feature=value.feature)


def _filled_text(value: Value, fill: str, marker: Any) -> Value:
    x, literal = value.expression, value.literal(fill)
    if is_missing(marker):
        return Value(Sql("COALESCE(", x, ", ", literal, ")", text=True), text=True, nullable=False)
    test = ("CASE WHEN ", x, " = ", value.literal(str(marker)), " THEN ", literal)
    return Value(Sql(*test, " ELSE ", x, " END", text=True), text=True)


@transformer("sklearn", "MissingIndicator")
def _indicators(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    marker = estimator.missing_values
    if estimator.error_on_new and estimator.features == "missing-only":
        for place in set(range(len(matrix))) - set(map(int, estimator.features_)):
            if matrix[place].nullable:
                context.require("NOT ", _test(matrix[place], marker))
    return [_marked(matrix[int(place)], marker) for place in estimator.features_]


def _test(value: Value, marker: Any) -> Sql:
    if is_missing(marker):
        return Sql(value.expression, " IS NULL")
    return Sql("COALESCE(", value.expression, " = ", value.literal(marker), ", 1 = 0)")


def _marked(value: Value, marker: Any) -> Value:
    missing = is_missing(marker)
    if value.lookup is not None and missing:
        return Value.of_lookup(value.lookup.apply(lambda x: 1.0 if x is None else 0.0))
    if not missing:
        lookup = Lookup(value, {marker: 1.0}, 0.0, 0.0)
        return Value.of_lookup(lookup)
    return Value.of_lookup(Lookup(value, {}, 0.0, 1.0))
