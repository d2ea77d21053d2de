"""HistGradientBoosting of scikit-learn, with NULLs and native categories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Number, Sql, joined
from mfprefect.sql_scoring.forests import shared_inputs
from mfprefect.sql_scoring.links import linked
from mfprefect.sql_scoring.registry import Output, predictor, transform
from mfprefect.sql_scoring.trees import Test, Tree, case_of, sum_of
from mfprefect.sql_scoring.values import Context, Matrix, Value

__all__: list[str] = []


@predictor("sklearn", "HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
def _histogram(estimator: Any, matrix: Matrix, context: Context) -> Output:
    name = type(estimator).__name__
    inputs, codes_of = _preprocessed(estimator, matrix, context)
    inputs = shared_inputs(inputs, name)
    context.refuse_infinite_validated(inputs)
    starts = np.ravel(estimator._baseline_prediction).tolist()
    cases: list[list[Sql]] = [[] for _ in starts]
    for iteration in estimator._predictors:
        for k, predictor_ in enumerate(iteration):
            cases[k].append(case_of(_tree_of(predictor_, inputs, codes_of, context)))
    sums = [sum_of(group, start) for group, start in zip(cases, starts, strict=True)]
    return linked(type(estimator._loss.link).__name__, sums, context)


def _preprocessed(
    estimator: Any, matrix: Matrix, context: Context
) -> tuple[Matrix, dict[int, set[int]]]:
    """Return the columns in the trees' order, and the codes of each column of categories."""
    if estimator._preprocessor is None:
        return matrix, {}
    categorical = np.asarray(estimator.is_categorical_, dtype=bool)
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    coded = transform(encoder, [x for x, c in zip(matrix, categorical, strict=True) if c], context)
    numeric = [x for x, c in zip(matrix, categorical, strict=True) if not c]
    codes_of = {
        place: {code for code in range(len(categories)) if not _is_nan(categories[code])}
        for place, categories in enumerate(encoder.categories_)
    }
    return [*coded, *numeric], codes_of


def _is_nan(category: Any) -> bool:
    return category is None or category != category


def _tree_of(
    predictor_: Any, matrix: Matrix, codes_of: dict[int, set[int]], context: Context
) -> Tree:
    tree = Tree()
    bitsets = np.asarray(predictor_.raw_left_cat_bitsets)
    names = predictor_.nodes.dtype.names
    for row in predictor_.nodes.tolist():
        node = dict(zip(names, row, strict=True))
        if node["is_leaf"]:
            tree.add_leaf(float(node["value"]))
            continue
        value, null_is_left = matrix[node["feature_idx"]], bool(node["missing_go_to_left"])
        if node["is_categorical"]:
            bits = bitsets[node["bitset_idx"]].tolist()
            left = {code for code in range(256) if bits[code // 32] >> code % 32 & 1}
            every = codes_of.get(node["feature_idx"])
            if every is None:
                raise NotCompilable("a split by categories has no codes_of categories")
            test = _category_test(value, every - left if null_is_left else every & left)
        else:
            test = _number_test(value, float(node["num_threshold"]), null_is_left, context)
        at = tree.add_split(test)
        ways = (node["left"], node["right"])
        tree.yes[at], tree.no[at] = ways[::-1] if null_is_left else ways
    return tree


def _category_test(value: Value, codes: set[int]) -> Test:
    if not codes:
        return ("1 = 0",)
    listed = (Number(code) for code in sorted(codes))
    return (value.expression, " IN (", *joined(", ", listed), ")")


def _number_test(value: Value, threshold: float, null_is_left: bool, context: Context) -> Test:
    if threshold == math.inf:
        return ("1 = 0",) if null_is_left else (value.expression, " IS NOT NULL")
    context.probe(value, (threshold,))
    return (value.expression, " > " if null_is_left else " <= ", Number(threshold))
