"""Which function compiles which class: found by library and name, with no import of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Expression
from mfprefect.sql_scoring.values import Context, Matrix

__all__ = ["Output", "Predict", "Transform", "predict", "predictor", "transform", "transformer"]


@dataclass(frozen=True)
class Output:
    """What an estimator predicts.

    Attributes:
        value: what a regressor predicts.
        probabilities: one for each class.
        decision: the decision of a classifier of two classes.
        decisions: one for each of several classes.
    """

    value: Expression | None = None
    probabilities: tuple[Expression, ...] = ()
    decision: Expression | None = None
    decisions: tuple[Expression, ...] = ()


Predict = Callable[[Any, Matrix, Context], Output]
Transform = Callable[[Any, Matrix, Context], Matrix]
_PREDICTORS: dict[tuple[str, str], Predict] = {}
_PASSES_INFINITIES = ("FunctionTransformer", "ColumnTransformer", "FeatureUnion", "Pipeline")
_TRANSFORMERS: dict[tuple[str, str], Transform] = {}


def predictor(library: str, *names: str) -> Callable[[Predict], Predict]:
    """Register the function that compiles the predictions of some classes."""

    def register(function: Predict) -> Predict:
        _PREDICTORS.update(dict.fromkeys(((library, name) for name in names), function))
        return function

    return register


def transformer(library: str, *names: str) -> Callable[[Transform], Transform]:
    """Register the function that compiles what some classes make of a matrix."""

    def register(function: Transform) -> Transform:
        _TRANSFORMERS.update(dict.fromkeys(((library, name) for name in names), function))
        return function

    return register


def predict(estimator: Any, matrix: Matrix, context: Context) -> Output:
    """Compile the predictions of an estimator.

    Raises:
        NotCompilable: its class is not supported, or an option of it; it does not fit the matrix.
    """
    function = _PREDICTORS.get(_key(estimator))
    if function is None:
        raise NotCompilable(f"{_name(estimator)} is not supported")
    output: Output = _compiled(function, estimator, matrix, context)
    return output


def transform(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    """Compile what a transformer makes of a matrix.

    Raises:
        NotCompilable: its class is not supported, or an option of it; it does not fit the matrix.
    """
    function = _TRANSFORMERS.get(_key(estimator))
    if function is None:
        raise NotCompilable(f"{_name(estimator)} is not supported")
    columns: Matrix = _compiled(function, estimator, matrix, context)
    if _key(estimator)[1] in _PASSES_INFINITIES:
        return columns
    return [dataclasses.replace(value, validated=True) for value in columns]


def _compiled(function: Any, estimator: Any, matrix: Matrix, context: Context) -> Any:
    width = getattr(estimator, "n_features_in_", None)
    if width is not None and width != len(matrix):
        raise NotCompilable(
            f"{_name(estimator)} was fitted on {width} columns and gets {len(matrix)}"
        )
    try:
        return function(estimator, matrix, context)
    except NotCompilable:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        # A fitted attribute is missing or malformed: another version, or a forged model.
        raise NotCompilable(
            f"{_name(estimator)} cannot be read: {type(exc).__name__}: {exc}; is it fitted?"
        ) from exc


def _key(estimator: Any) -> tuple[str, str]:
    kind = type(estimator)
    return kind.__module__.partition(".")[0], kind.__qualname__


def _name(estimator: Any) -> str:
    kind = type(estimator)
    return f"{kind.__module__}.{kind.__qualname__}"
