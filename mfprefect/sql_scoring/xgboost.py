"""Trees of XGBoost, which compares float32; read from the document that it writes itself.

Its sums are of float32 and these are of doubles, so that scores differ by about 1e-7.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Number, Shared, Sql
from mfprefect.sql_scoring.forests import shared_inputs
from mfprefect.sql_scoring.functions import exponential, finite, logistic, shared, softmax
from mfprefect.sql_scoring.links import two_classes
from mfprefect.sql_scoring.registry import Output, predictor
from mfprefect.sql_scoring.trees import Tree, at_most_as_float32, case_of, sum_of
from mfprefect.sql_scoring.values import Context, Matrix

__all__: list[str] = []

TOLERANCE = 1e-6
_LEAF = -1
_IDENTITY = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "rank:ndcg")
_LOGISTIC = ("binary:logistic", "reg:logistic")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie")


@predictor("xgboost", "XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor")
def _boosted(estimator: Any, matrix: Matrix, context: Context) -> Output:
    missing = getattr(estimator, "missing", math.nan)
    if missing is not None and not math.isnan(missing):
        raise NotCompilable(f"XGBoost takes {missing!r} for missing")
    learner = json.loads(bytes(estimator.get_booster().save_raw("json")))["learner"]
    parameters = learner["learner_model_param"]
    if int(parameters["num_feature"]) != len(matrix):
        raise NotCompilable(
            f"XGBoost was fitted on {parameters['num_feature']} columns and gets {len(matrix)}"
        )
    if int(parameters.get("num_target", "1")) > 1:
        raise NotCompilable(f"XGBoost predicts {parameters['num_target']} targets")
    inputs = shared_inputs(matrix, "XGBoost")
    context.refuse_infinite_validated(inputs)
    context.tolerance = max(context.tolerance, TOLERANCE)
    groups = _groups(learner["gradient_booster"], estimator, inputs, context, _width(parameters))
    objective = str(learner["objective"]["name"])
    starts = _starts(str(parameters["base_score"]), objective, len(groups))
    sums = [sum_of(group, start) for group, start in zip(groups, starts, strict=True)]
    return _output(objective, sums, context)


def _width(parameters: dict[str, str]) -> int:
    return max(int(parameters["num_class"]), 1)


def _groups(
    booster: dict[str, Any], estimator: Any, matrix: Matrix, context: Context, width: int
) -> list[list[Sql]]:
    """Return the trees of each class."""
    if booster["name"] not in ("gbtree", "dart"):
        raise NotCompilable(f"XGBoost has the booster {booster['name']}")
    model = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    weights = booster.get("weight_drop") or [1.0] * len(model["trees"])
    trees = model["trees"][: _count(estimator, model)]
    groups: list[list[Sql]] = [[] for _ in range(width)]
    for tree, group, weight in zip(trees, model["tree_info"], weights, strict=False):
        groups[int(group)].append(case_of(_tree_of(tree, float(weight), matrix, context)))
    return groups


def _count(estimator: Any, model: dict[str, Any]) -> int:
    """Return how many trees predict: those up to the best iteration after early stopping."""
    try:
        best = int(estimator.best_iteration)
    except AttributeError:
        return len(model["trees"])
    bounds = model["iteration_indptr"]
    return int(bounds[best + 1])


def _tree_of(document: dict[str, Any], weight: float, matrix: Matrix, context: Context) -> Tree:
    if any(document.get("split_type", ())):
        raise NotCompilable("XGBoost splits by categories")
    conditions = np.asarray(document["split_conditions"], dtype=np.float32)
    below = np.nextafter(conditions, np.float32(-np.inf))
    limits = at_most_as_float32(below.astype(np.float64)).tolist()
    lefts, rights = document["left_children"], document["right_children"]
    tree = Tree()
    for node, left in enumerate(lefts):
        if left == _LEAF:
            tree.add_leaf(float(np.float32(weight) * conditions[node]))
            continue
        value = matrix[document["split_indices"][node]]
        null_is_left = bool(document["default_left"][node])
        context.probe(value, (limits[node], float(conditions[node])))
        sign = " > " if null_is_left else " <= "
        at = tree.add_split((value.expression, sign, Number(limits[node])))
        ways = (left, rights[node])
        tree.yes[at], tree.no[at] = ways[::-1] if null_is_left else ways
    return tree


def _starts(text: str, objective: str, width: int) -> list[float]:
    """Return the base score of each class as a sum of trees begins with it."""
    scores = [float(x) for x in text.strip("[]").split(",")]
    if len(scores) not in (1, width):
        raise NotCompilable(f"XGBoost has {len(scores)} base scores for {width} classes")
    if objective in _LOGISTIC:
        scores = [-math.log(1.0 / x - 1.0) for x in scores]
    elif objective in _EXPONENTIAL:
        scores = [math.log(x) for x in scores]
    return scores * (width // len(scores))


def _output(objective: str, sums: list[Shared], context: Context) -> Output:
    if objective in _IDENTITY:
        return Output(value=sums[0])
    if objective == "reg:logistic":
        return Output(value=shared(logistic(sums[0])))
    if objective == "binary:logistic":
        return two_classes(logistic(sums[0]), sums[0])
    if objective in _EXPONENTIAL:
        value = shared(exponential(sums[0]))
        context.conditions.append(finite(value))
        return Output(value=value)
    if objective == "multi:softprob":
        return Output(probabilities=softmax(sums))
    raise NotCompilable(f"the objective {objective} of XGBoost is not supported")
