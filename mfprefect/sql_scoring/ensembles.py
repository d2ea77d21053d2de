"""Classifiers made of others: calibrated, voting, searched, frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Expression, Number, Sql
from mfprefect.sql_scoring.functions import logistic, one_versus_rest, shared, total
from mfprefect.sql_scoring.registry import Output, predict, predictor
from mfprefect.sql_scoring.values import Context, Matrix

__all__: list[str] = []

_MOST_STEPS = 2_000


@predictor("sklearn", "GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV")
def _searched(estimator: Any, matrix: Matrix, context: Context) -> Output:
    return predict(estimator.best_estimator_, matrix, context)


@predictor("sklearn", "FrozenEstimator")
def _frozen(estimator: Any, matrix: Matrix, context: Context) -> Output:
    return predict(estimator.estimator, matrix, context)


@predictor("sklearn", "VotingClassifier")
def _voting(estimator: Any, matrix: Matrix, context: Context) -> Output:
    if estimator.voting != "soft":
        raise NotCompilable(f"VotingClassifier has voting={estimator.voting!r}, not 'soft'")
    outputs = [predict(part, matrix, context).probabilities for part in estimator.estimators_]
    if not all(len(x) == len(estimator.classes_) for x in outputs):
        raise NotCompilable("an estimator of VotingClassifier has no probabilities of each class")
    weights = _weights(estimator)
    return Output(probabilities=tuple(_average(x, weights) for x in zip(*outputs, strict=True)))


@predictor("sklearn", "VotingRegressor")
def _voting_regressor(estimator: Any, matrix: Matrix, context: Context) -> Output:
    values = [predict(part, matrix, context).value for part in estimator.estimators_]
    if any(value is None for value in values):
        raise NotCompilable("an estimator of VotingRegressor predicts no number")
    return Output(value=_average([x for x in values if x is not None], _weights(estimator)))


def _weights(estimator: Any) -> list[float] | None:
    weights = estimator._weights_not_none
    return None if weights is None else [float(x) for x in weights]


def _average(values: Sequence[Expression], weights: list[float] | None) -> Expression:
    columns = [shared(x) for x in values]
    if weights is None:
        return shared(Sql("(", total(columns), ") / ", Number(len(columns))))
    terms = [Sql(x, " * ", Number(w)) for x, w in zip(columns, weights, strict=True)]
    return shared(Sql("(", total(terms), ") / ", Number(sum(weights))))


@predictor("sklearn", "CalibratedClassifierCV")
def _calibrated(estimator: Any, matrix: Matrix, context: Context) -> Output:
    parts = [_calibrated_part(x, matrix, context) for x in estimator.calibrated_classifiers_]
    return Output(probabilities=tuple(_average(x, None) for x in zip(*parts, strict=True)))


def _calibrated_part(part: Any, matrix: Matrix, context: Context) -> Sequence[Expression]:
    if part.method not in ("sigmoid", "isotonic"):
        raise NotCompilable(f"CalibratedClassifierCV has method={part.method!r}")
    classes = list(part.classes)
    if list(part.estimator.classes_) != classes:
        raise NotCompilable("an estimator of CalibratedClassifierCV has not learned all classes")
    inputs = _responses(part.estimator, predict(part.estimator, matrix, context), len(classes))
    calibrated = [
        shared(_calibrate(calibrator, shared(x)))
        for calibrator, x in zip(part.calibrators, inputs, strict=True)
    ]
    if len(classes) == 2:
        return Sql(Number(1.0), " - ", calibrated[0]), calibrated[0]
    return one_versus_rest(calibrated)


def _responses(estimator: Any, output: Output, classes: int) -> Sequence[Expression]:
    """Return what scikit-learn calibrates: decisions, or else probabilities."""
    if hasattr(estimator, "decision_function"):
        decisions = (output.decision,) if classes == 2 else output.decisions
    else:
        decisions = output.probabilities[1:] if classes == 2 else output.probabilities
    if len(decisions) != (1 if classes == 2 else classes):
        raise NotCompilable(f"the decisions of {type(estimator).__name__} are not supported")
    return [x for x in decisions if x is not None]


def _calibrate(calibrator: Any, x: Expression) -> Expression:
    if type(calibrator).__name__ == "_SigmoidCalibration":
        a, b = Number(-float(calibrator.a_)), Number(-float(calibrator.b_))
        return logistic(shared(Sql(x, " * ", a, " + ", b)))
    if type(calibrator).__name__ == "IsotonicRegression":
        return _interpolated(x, calibrator.X_thresholds_, calibrator.y_thresholds_)
    raise NotCompilable(f"the calibrator {type(calibrator).__name__} is not supported")


def _interpolated(x: Expression, thresholds: Any, values: Any) -> Sql:
    """Return the linear interpolation between points, constant outside of them."""
    points = np.asarray(thresholds, dtype=np.float64).tolist()
    heights = np.asarray(values, dtype=np.float64).tolist()
    if len(points) > _MOST_STEPS:
        raise NotCompilable(f"a calibrator has {len(points):,} steps")
    parts: list[Any] = [" WHEN ", x, " <= ", Number(points[0]), " THEN ", Number(heights[0])]
    for place in range(1, len(points)):
        low, bottom = points[place - 1], heights[place - 1]
        slope = (heights[place] - bottom) / (points[place] - low)
        parts += [" WHEN ", x, " < ", Number(points[place]), " THEN "]
        if slope:
            parts += ["(", x, " - ", Number(low), ") * ", Number(slope), " + ", Number(bottom)]
        else:
            parts.append(Number(bottom))
    parts += [" WHEN ", x, " >= ", Number(points[-1]), " THEN ", Number(heights[-1])]
    return Sql("CASE", *parts, " END")
