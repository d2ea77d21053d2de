"""Linear models of scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Column, Expression, Number, Shared, Sql
from mfprefect.sql_scoring.functions import (
    exponential,
    finite,
    logistic,
    one_versus_rest,
    shared,
    softmax,
    total,
)
from mfprefect.sql_scoring.links import two_classes
from mfprefect.sql_scoring.registry import Output, predictor
from mfprefect.sql_scoring.values import Context, Lookup, Matrix, Value, require_numbers

__all__ = ["combination"]

_LARGEST_OFFSET = 16.0
"""Up to here, a scaler's offset may move into the intercept; above, cancellation costs digits."""


def combination(matrix: Matrix, weights: Any, intercept: Any, what: str) -> Sql:
    """Return intercept + sum of weight * column, NULL if a column is NULL.

    Args:
        matrix: the columns.
        weights: shape (columns,).
        intercept: a number.
        what: the estimator's class, for errors.

    Raises:
        NotCompilable: the shapes differ, or a column is a text.
    """
    factors = np.asarray(weights, dtype=np.float64).ravel()
    if len(factors) != len(matrix):
        raise NotCompilable(f"{what} has {len(factors)} coefficients for {len(matrix)} columns")
    require_numbers(matrix, what)
    constants = [float(intercept)]
    lookups: dict[Value, list[tuple[float, Lookup]]] = {}
    terms: list[Expression] = []
    for value, factor in zip(matrix, factors.tolist(), strict=True):
        if value.lookup is not None:
            lookups.setdefault(value.lookup.key, []).append((factor, value.lookup))
        elif factor or value.nullable or not value.finite:
            terms.append(_term(value, factor, constants))
    terms += [_merged(key, group).expression() for key, group in lookups.items()]
    return total([Number(math.fsum(constants)), *terms])


def _term(value: Value, factor: float, constants: list[float]) -> Sql:
    base, a, b = value.linear or (value, 1.0, 0.0)
    slope = factor * a
    x = base.expression.with_nan() if isinstance(base.expression, Column) else base.expression
    if abs(factor * b) <= _LARGEST_OFFSET:
        constants.append(factor * b)
        return Sql(x, " * ", Number(slope))
    center = -b / a if a else math.inf
    if not math.isfinite(center):
        return Sql("(", value.expression, ") * ", Number(factor))
    return Sql("(", x, " - ", Number(center), ") * ", Number(slope))


def _merged(key: Value, group: list[tuple[float, Lookup]]) -> Lookup:
    """Return the sum of weighted lookups of one column as one lookup."""

    def weighted(numbers: list[float | None]) -> float | None:
        products = [
            None if x is None else factor * x for (factor, _), x in zip(group, numbers, strict=True)
        ]
        return None if None in products else math.fsum(x for x in products if x is not None)

    keys = dict.fromkeys(key for _, lookup in group for key in lookup.mapping)
    other = weighted([lookup.other for _, lookup in group])
    changes: dict[Any, list[float | None]] = {
        key: [lookup.other for _, lookup in group] for key in keys
    }
    for place, (_, lookup) in enumerate(group):
        for category, x in lookup.mapping.items():
            changes[category][place] = x
    mapping = {category: weighted(numbers) for category, numbers in changes.items()}
    return Lookup(key, mapping, other, weighted([lookup.null for _, lookup in group]))


def _decisions(estimator: Any, matrix: Matrix, context: Context) -> list[Shared]:
    name = type(estimator).__name__
    rows = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    intercepts = np.broadcast_to(np.ravel(np.asarray(estimator.intercept_)), (len(rows),))
    decisions = [
        shared(combination(matrix, row, intercept, name))
        for row, intercept in zip(rows, intercepts.tolist(), strict=True)
    ]
    context.conditions += [finite(x) for x in decisions]
    return decisions


@predictor(
    "sklearn",
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"),
    *("BayesianRidge", "ARDRegression", "HuberRegressor", "Lars", "LarsCV", "LassoLars"),
    *("LassoLarsCV", "LassoLarsIC", "OrthogonalMatchingPursuit", "QuantileRegressor"),
    *("SGDRegressor", "TheilSenRegressor", "LinearSVR"),
)
def _regressor(estimator: Any, matrix: Matrix, context: Context) -> Output:
    decisions = _decisions(estimator, matrix, context)
    if len(decisions) != 1:
        raise NotCompilable(f"{type(estimator).__name__} predicts {len(decisions)} targets")
    return Output(value=decisions[0])


@predictor("sklearn", "PoissonRegressor", "GammaRegressor", "TweedieRegressor")
def _generalized(estimator: Any, matrix: Matrix, context: Context) -> Output:
    (decision,) = _decisions(estimator, matrix, context)
    link = getattr(estimator, "link", "log")
    if link == "auto":
        link = "identity" if estimator.power <= 0 else "log"
    if link == "identity":
        return Output(value=decision)
    value = shared(exponential(decision))
    context.conditions.append(finite(value))
    return Output(value=value)


@predictor("sklearn", "LogisticRegression", "LogisticRegressionCV")
def _logistic(estimator: Any, matrix: Matrix, context: Context) -> Output:
    decisions = _decisions(estimator, matrix, context)
    binary = len(estimator.classes_) <= 2
    # Before scikit-learn 1.8, an option chose between one model for each class and one for all.
    option = getattr(estimator, "multi_class", None)
    if option not in (None, "auto", "deprecated"):
        raise NotCompilable(f"{type(estimator).__name__} has multi_class={option!r}")
    if option is not None and estimator.solver == "liblinear" and not binary:
        return _several(one_versus_rest([shared(logistic(x)) for x in decisions]), decisions)
    if binary:
        return two_classes(logistic(decisions[0]), decisions[0])
    return _several(softmax(decisions), decisions)


@predictor("sklearn", "SGDClassifier")
def _sgd(estimator: Any, matrix: Matrix, context: Context) -> Output:
    decisions = _decisions(estimator, matrix, context)
    binary = len(estimator.classes_) == 2
    if estimator.loss == "log_loss":
        if binary:
            return two_classes(logistic(decisions[0]), decisions[0])
        return _several(one_versus_rest([shared(logistic(x)) for x in decisions]), decisions)
    if estimator.loss == "modified_huber" and binary:
        return two_classes(_clipped(decisions[0]), decisions[0])
    return _classifier(estimator, matrix, context)


@predictor("sklearn", "LinearSVC", "RidgeClassifier", "RidgeClassifierCV", "Perceptron")
def _classifier(estimator: Any, matrix: Matrix, context: Context) -> Output:
    """Compile a decision; `output` refuses classifiers of more classes without probabilities."""
    decisions = _decisions(estimator, matrix, context)
    if len(estimator.classes_) != 2:
        return Output(decisions=tuple(decisions))
    return Output(decision=decisions[0])


def _several(probabilities: tuple[Expression, ...], decisions: list[Shared]) -> Output:
    return Output(probabilities=probabilities, decisions=tuple(decisions))


def _clipped(x: Expression) -> Sql:
    one, two = Number(1.0), Number(2.0)
    return Sql(
        *("CASE WHEN ", x, " >= ", one, " THEN ", one, " WHEN ", x, " <= ", Number(-1.0)),
        *(" THEN ", Number(0.0), " ELSE (", x, " + ", one, ") / ", two, " END"),
    )
