"""Trees, forests and gradient boosting of scikit-learn, whose trees compare float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Expression, Number, Shared, Sql
from mfprefect.sql_scoring.functions import shared
from mfprefect.sql_scoring.links import linked
from mfprefect.sql_scoring.registry import Output, predictor
from mfprefect.sql_scoring.trees import Test, Tree, at_most_as_float32, case_of, sum_of
from mfprefect.sql_scoring.values import Context, Matrix, Value, require_numbers

__all__ = ["LARGEST_FLOAT32", "shared_inputs"]

LARGEST_FLOAT32 = math.nextafter(3.4028235677973366e38, 0)
"""The largest double whose float32 is finite."""
_LEAF = -1


def shared_inputs(matrix: Matrix, what: str) -> Matrix:
    """Return columns that are computed once for each row."""
    require_numbers(matrix, what)
    return [value.shared() for value in matrix]


def _checked(matrix: Matrix, context: Context, *, nullable: bool) -> None:
    for value in matrix:
        x = value.expression
        if value.nullable and not nullable:
            context.require(x, " IS NOT NULL")
        context.refuse_infinite(value, LARGEST_FLOAT32)


def _tree_of(fitted: Any, matrix: Matrix, context: Context) -> Tree:
    """Return the tree of a fitted decision tree; the value of a leaf is its place there."""
    lefts, rights = fitted.children_left.tolist(), fitted.children_right.tolist()
    features = fitted.feature.tolist()
    thresholds = np.asarray(fitted.threshold, dtype=np.float64)
    limits = at_most_as_float32(thresholds).tolist()
    to_left = [bool(x) for x in getattr(fitted, "missing_go_to_left", [0] * len(lefts))]
    tree = Tree()
    for node, left in enumerate(lefts):
        if left == _LEAF:
            tree.add_leaf(float(node))
            continue
        value = matrix[features[node]]
        if math.isfinite(thresholds[node]):
            context.probe(value, (limits[node],))
        at = tree.add_split(_test(value, limits[node], thresholds[node], to_left[node]))
        ways = (rights[node], left) if to_left[node] else (left, rights[node])
        tree.yes[at], tree.no[at] = ways
    return tree


def _test(value: Value, limit: float, threshold: float, null_is_left: bool) -> Test:
    """Return the test of going left, or of going right where NULL goes left."""
    x = value.expression
    if threshold == math.inf:
        return ("1 = 0",) if null_is_left else (x, " IS NOT NULL")
    return (x, " > " if null_is_left else " <= ", Number(limit))


def _cases(fitted: Any, matrix: Matrix, context: Context, which: Sequence[int]) -> list[Sql]:
    """Return the CASE of each class, or of the prediction."""
    tree = _tree_of(fitted, matrix, context)
    values = np.asarray(fitted.value, dtype=np.float64)
    if values.ndim != 3 or values.shape[1] != 1:
        raise NotCompilable("a tree predicts several targets")
    return [case_of(tree, lambda node, k=k: float(values[node, 0, k])) for k in which]  # type: ignore[misc]


def _takes_missing(tree: Any) -> bool:
    return bool(tree._support_missing_values(np.zeros((1, 1))))


@predictor(
    "sklearn",
    *("DecisionTreeClassifier", "ExtraTreeClassifier"),
    *("RandomForestClassifier", "ExtraTreesClassifier"),
)
def _classifier(estimator: Any, matrix: Matrix, context: Context) -> Output:
    trees = getattr(estimator, "estimators_", None) or [estimator]
    inputs = shared_inputs(matrix, type(estimator).__name__)
    _checked(inputs, context, nullable=_takes_missing(trees[0]))
    classes = range(len(estimator.classes_))
    sums: list[list[Sql]] = [[] for _ in classes]
    for tree in trees:
        for k, case in enumerate(_cases(tree.tree_, inputs, context, classes)):
            sums[k].append(case)
    return Output(probabilities=tuple(_mean(cases) for cases in sums))


@predictor(
    "sklearn",
    *("DecisionTreeRegressor", "ExtraTreeRegressor"),
    *("RandomForestRegressor", "ExtraTreesRegressor"),
)
def _regressor(estimator: Any, matrix: Matrix, context: Context) -> Output:
    trees = getattr(estimator, "estimators_", None) or [estimator]
    inputs = shared_inputs(matrix, type(estimator).__name__)
    _checked(inputs, context, nullable=_takes_missing(trees[0]))
    cases = [_cases(tree.tree_, inputs, context, (0,))[0] for tree in trees]
    return Output(value=_mean(cases))


def _mean(cases: Sequence[Sql]) -> Expression:
    if len(cases) == 1:
        return shared(cases[0])
    return shared(Sql(sum_of(cases), " / ", Number(len(cases))))


@predictor("sklearn", "GradientBoostingClassifier", "GradientBoostingRegressor")
def _boosting(estimator: Any, matrix: Matrix, context: Context) -> Output:
    name = type(estimator).__name__
    inputs = shared_inputs(matrix, name)
    _checked(inputs, context, nullable=False)
    rate = float(estimator.learning_rate)
    stages = np.asarray(estimator.estimators_, dtype=object)
    sums: list[Shared] = []
    for k, start in enumerate(_starts(estimator)):
        cases = []
        for stage in stages[:, k]:
            tree = _tree_of(stage.tree_, inputs, context)
            values = np.asarray(stage.tree_.value, dtype=np.float64)[:, 0, 0]
            cases.append(case_of(tree, lambda node, v=values: rate * float(v[node])))  # type: ignore[misc]
        sums.append(sum_of(cases, start))
    if name == "GradientBoostingRegressor":
        return Output(value=sums[0])
    return linked(type(estimator._loss.link).__name__, sums, context)


def _starts(estimator: Any) -> list[float]:
    init = type(estimator.init_)
    if estimator.init_ != "zero" and init.__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise NotCompilable(f"{type(estimator).__name__} starts from a {init.__name__}")
    row = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    starts: list[float] = np.ravel(estimator._raw_predict_init(row)).tolist()
    return starts
