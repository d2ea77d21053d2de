"""Encoders of categories: a number, or several, for each category of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import joined
from mfprefect.sql_scoring.registry import transformer
from mfprefect.sql_scoring.values import Context, Lookup, Matrix, Value, is_missing

__all__ = ["categories_of", "key_of"]

_MOST_CATEGORIES = 10_000


def categories_of(categories: Any, what: str) -> list[Any]:
    """Return categories as texts or numbers, None for a missing one.

    Raises:
        NotCompilable: texts and numbers are mixed, two categories are missing ones, or there are
            more than 10,000.
    """
    listed = [None if is_missing(x) else x for x in np.asarray(categories, dtype=object).tolist()]
    if len(listed) > _MOST_CATEGORIES:
        raise NotCompilable(f"{what} has {len(listed)} categories of a column")
    values = [x for x in listed if x is not None]
    texts = [isinstance(x, str) for x in values]
    if len(values) < len(listed) - 1:
        raise NotCompilable(f"{what} distinguishes None and NaN, which are one NULL")
    if any(texts) and not all(texts):
        raise NotCompilable(f"{what} has categories of texts and numbers in one column")
    if not all(isinstance(x, (str, bool, int, float, np.bool_, np.number)) for x in values):
        raise NotCompilable(f"{what} has categories that are neither texts nor numbers")
    return [x if x is None or isinstance(x, str) else float(x) for x in listed]


def key_of(value: Value, categories: Sequence[Any], what: str, context: Context) -> Value:
    """Return a column as what its categories are: texts or numbers."""
    texts = any(isinstance(x, str) for x in categories)
    key = value.texts(what) if texts else value
    if value.text and not texts:
        raise NotCompilable(f"{what} has numbers as categories of a column of texts")
    if not texts:
        context.refuse_infinite(key)
    if value.feature is not None:
        name, a, b = value.feature
        points = {x if texts else (x - b) / a for x in categories if x is not None} if a else set()
        context.probes.setdefault(name, set()).update(points)
    return key


def _refuse_unknown(key: Value, categories: Sequence[Any], context: Context) -> None:
    listed = [key.literal(x) for x in categories if x is not None]
    test: list[Any] = [key.expression, " IN (", *joined(", ", listed), ")"] if listed else ["1 = 0"]
    if None in categories:
        test = ["(", *test, " OR ", key.expression, " IS NULL)"]
    context.require(*test)


@transformer("sklearn", "OneHotEncoder")
def _one_hot(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    unknown = estimator.handle_unknown
    if unknown not in ("error", "ignore", "infrequent_if_exist", "warn"):
        raise NotCompilable(f"OneHotEncoder has handle_unknown={unknown!r}")
    columns: Matrix = []
    infrequent = getattr(estimator, "infrequent_categories_", None) or [None] * len(matrix)
    dropped = estimator.drop_idx_ if estimator.drop_idx_ is not None else [None] * len(matrix)
    for place, value in enumerate(matrix):
        categories = categories_of(estimator.categories_[place], "OneHotEncoder")
        key = key_of(value, categories, "OneHotEncoder", context)
        if unknown == "error":
            _refuse_unknown(key, categories, context)
        rare = [] if infrequent[place] is None else _in(infrequent[place], categories)
        groups = [[x] for x in categories if x not in rare]
        others = unknown in ("infrequent_if_exist", "warn") and bool(rare)
        lookups = [_indicator(key, group, categories, other=False) for group in groups]
        if rare:
            lookups.append(_indicator(key, rare, categories, other=others))
            groups.append(rare)
        at = dropped[place]
        drop = None if at is None else categories[int(at)]
        columns += [
            Value.of_lookup(lookup)
            for lookup, group in zip(lookups, groups, strict=True)
            if at is None or drop not in group
        ]
    return columns


def _in(values: Any, categories: list[Any]) -> list[Any]:
    listed = categories_of(values, "OneHotEncoder")
    return [x for x in categories if x in listed]


def _indicator(key: Value, group: list[Any], categories: list[Any], *, other: bool) -> Lookup:
    mapping = {x: float(x in group) for x in categories if x is not None}
    if not other:
        mapping = {x: 1.0 for x in group if x is not None}
    null = float(None in group) if None in categories else float(other)
    return Lookup(key, mapping, float(other), null)


@transformer("sklearn", "OrdinalEncoder")
def _ordinal(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    grouped = getattr(estimator, "_default_to_infrequent_mappings", None)
    return [
        _codes(estimator, place, None if grouped is None else grouped[place], value, context)
        for place, value in enumerate(matrix)
    ]


def _codes(estimator: Any, place: int, grouped: Any, value: Value, context: Context) -> Value:
    categories = categories_of(estimator.categories_[place], "OrdinalEncoder")
    key = key_of(value, categories, "OrdinalEncoder", context)
    codes = dict(zip(categories, range(len(categories)), strict=True))
    if grouped is not None:
        codes = {x: int(code if x is None else grouped[code]) for x, code in codes.items()}
    other: float | None = None
    if estimator.handle_unknown == "use_encoded_value":
        other = _number_or_null(estimator.unknown_value)
    else:
        _refuse_unknown(key, categories, context)
    null = _number_or_null(estimator.encoded_missing_value) if None in categories else other
    mapping: Mapping[Any, float] = {x: float(code) for x, code in codes.items() if x is not None}
    return Value.of_lookup(Lookup(key, mapping, other, null))


def _number_or_null(value: Any) -> float | None:
    return None if is_missing(value) else float(value)


@transformer("sklearn", "TargetEncoder")
def _target(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    classes = len(estimator.classes_) if estimator.target_type_ == "multiclass" else 1
    means = np.ravel(estimator.target_mean_).tolist()
    if len(estimator.encodings_) != classes * len(matrix):
        raise NotCompilable("TargetEncoder has encodings of another number of columns")
    columns: Matrix = []
    for place, value in enumerate(matrix):
        categories = categories_of(estimator.categories_[place], "TargetEncoder")
        key = key_of(value, categories, "TargetEncoder", context)
        for number in range(classes):
            encodings = np.ravel(estimator.encodings_[place * classes + number]).tolist()
            mapping = dict(zip(categories, map(float, encodings), strict=True))
            other = float(means[number])
            null = mapping.pop(None, other)
            columns.append(Value.of_lookup(Lookup(key, mapping, other, null)))
    return columns
