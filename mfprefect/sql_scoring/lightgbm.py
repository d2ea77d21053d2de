"""Trees of LightGBM, which compares doubles; read from the document that it writes itself."""

from __future__ import annotations

import math
from typing import Any

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Expression, Number, Shared, Sql, joined
from mfprefect.sql_scoring.forests import shared_inputs
from mfprefect.sql_scoring.functions import exponential, finite, logistic, shared, softmax
from mfprefect.sql_scoring.links import two_classes
from mfprefect.sql_scoring.registry import Output, predictor
from mfprefect.sql_scoring.trees import Test, Tree, case_of, sum_of
from mfprefect.sql_scoring.values import Context, Matrix, Value

__all__: list[str] = []

_ZERO = 1.0000000180025095e-35
"""Up to here, LightGBM takes a number for zero."""
_IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank")
_EXPONENTIAL = ("poisson", "gamma", "tweedie")


@predictor("lightgbm", "LGBMClassifier", "LGBMRegressor", "LGBMRanker", "Booster")
def _boosted(estimator: Any, matrix: Matrix, context: Context) -> Output:
    booster = estimator if type(estimator).__name__ == "Booster" else estimator.booster_
    model = booster.dump_model()
    if any(model.get("pandas_categorical") or ()):
        raise NotCompilable("LightGBM was fitted on columns of pandas categories")
    if len(model["feature_names"]) != len(matrix):
        raise NotCompilable(
            f"LightGBM was fitted on {len(model['feature_names'])} columns and gets {len(matrix)}"
        )
    inputs = shared_inputs(matrix, "LightGBM")
    context.refuse_infinite_validated(inputs)
    width = int(model["num_tree_per_iteration"])
    cases: list[list[Sql]] = [[] for _ in range(width)]
    for place, entry in enumerate(model["tree_info"]):
        cases[place % width].append(case_of(_tree_of(entry["tree_structure"], inputs, context)))
    sums: list[Shared] = [sum_of(group, None if group else 0.0) for group in cases]
    if model.get("average_output"):
        sums = [shared(Sql(x, " / ", Number(len(cases[0])))) for x in sums]
    return _output(str(model.get("objective", "")), sums, context, type(estimator).__name__)


def _output(objective: str, sums: list[Shared], context: Context, kind: str) -> Output:
    name, *options = objective.split() or [""]
    if name in _IDENTITY and "sqrt" not in options:
        return Output(value=sums[0])
    if name in _EXPONENTIAL:
        value = shared(exponential(sums[0]))
        context.conditions.append(finite(value))
        return Output(value=value)
    slope = next((float(x[8:]) for x in options if x.startswith("sigmoid:")), 1.0)
    if name in ("binary", "cross_entropy"):
        probability = logistic(_times(slope, sums[0]))
        return Output(value=probability) if kind == "Booster" else two_classes(probability)
    if name == "multiclass" and kind != "Booster":
        return Output(probabilities=softmax(sums))
    if name == "multiclassova" and kind != "Booster":
        return Output(probabilities=tuple(shared(logistic(_times(slope, x))) for x in sums))
    raise NotCompilable(f"the objective {objective!r} of this {kind} is not supported")


def _times(slope: float, x: Shared) -> Shared:
    return x if slope == 1.0 else Shared(Sql(Number(slope), " * ", x))


def _tree_of(root: dict[str, Any], matrix: Matrix, context: Context) -> Tree:
    tree = Tree()
    stack: list[tuple[dict[str, Any], list[int] | None, int]] = [(root, None, 0)]
    while stack:
        node, children, parent = stack.pop()
        if "leaf_value" in node:
            if "leaf_coeff" in node:
                raise NotCompilable("LightGBM has linear models in its leaves")
            at = tree.add_leaf(float(node["leaf_value"]))
        else:
            test, swapped = _test(node, matrix, context)
            at = tree.add_split(test)
            sides = (tree.no, tree.yes) if swapped else (tree.yes, tree.no)
            stack.append((node["right_child"], sides[1], at))
            stack.append((node["left_child"], sides[0], at))
        if children is not None:
            children[parent] = at
    return tree


def _test(node: dict[str, Any], matrix: Matrix, context: Context) -> tuple[Test, bool]:
    """Return the test of a split, and whether it is true for the right child."""
    value: Value = matrix[node["split_feature"]]
    x, missing = value.expression, node["missing_type"]
    if node["decision_type"] == "==":
        return _category_test(x, [int(code) for code in str(node["threshold"]).split("||")]), False
    if node["decision_type"] != "<=":
        raise NotCompilable(f"LightGBM splits by {node['decision_type']}")
    threshold, to_left = float(node["threshold"]), bool(node["default_left"])
    context.probe(value, (threshold,))
    if missing == "Zero":
        low, high = Number(-_ZERO), Number(_ZERO)
        context.probe(value, (_ZERO, -_ZERO))
        inside = ("(", x, " IS NULL OR ", x, " >= ", low, " AND ", x, " <= ", high, ")")
        side = " <= " if not to_left else " > "
        return ("NOT ", *inside, " AND ", x, side, Number(threshold)), to_left
    # A NULL of another kind of split counts as 0.
    null_is_left = to_left if missing == "NaN" else threshold >= 0
    if math.isinf(threshold):
        return (("1 = 0",) if null_is_left else (x, " IS NOT NULL")), null_is_left
    return (x, " > " if null_is_left else " <= ", Number(threshold)), null_is_left


def _category_test(x: Expression, codes: list[int]) -> Test:
    """Return the test of one of some categories: numbers that are truncated to integers."""
    ranges = (
        Sql(
            x,
            " > " if code == 0 else " >= ",
            Number(code or -1),
            " AND ",
            x,
            " < ",
            Number(code + 1),
        )
        for code in codes
    )
    return ("(", *joined(" OR ", ranges), ")")
