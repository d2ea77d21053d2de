"""Pipelines, and what distributes columns: ColumnTransformer, FeatureUnion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.registry import Output, predict, predictor, transform, transformer
from mfprefect.sql_scoring.values import Context, Matrix

__all__ = ["predicted"]


def predicted(estimator: Any, matrix: Matrix, features: Sequence[str], context: Context) -> Output:
    """Compile what an estimator predicts for a frame of named columns.

    Raises:
        NotCompilable: it was fitted on other columns, or cannot be scored in SQL.
    """
    fitted = _fitted_names(estimator)
    given = list(features)
    if type(estimator).__module__.startswith("lightgbm."):
        given = [name.replace(" ", "_") for name in given]  # as LightGBM itself does
    if fitted is not None and fitted != given:
        raise NotCompilable(
            f"{type(estimator).__name__} was fitted on the columns {', '.join(fitted[:5])}"
            f"{', ..' if len(fitted) > 5 else ''}, and gets {', '.join(features[:5])}"
            f"{', ..' if len(features) > 5 else ''}"
        )
    return predict(estimator, matrix, context)


def _fitted_names(estimator: Any) -> list[str] | None:
    with suppress(AttributeError):
        return [str(name) for name in estimator.feature_names_in_]
    return None


@predictor("sklearn", "Pipeline")
def _pipeline(estimator: Any, matrix: Matrix, context: Context) -> Output:
    return predict(estimator.steps[-1][1], _through(estimator.steps[:-1], matrix, context), context)


@transformer("sklearn", "Pipeline")
def _pipeline_transform(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    return _through(estimator.steps, matrix, context)


def _through(steps: Sequence[tuple[str, Any]], matrix: Matrix, context: Context) -> Matrix:
    for _, step in steps:
        if step is not None and not isinstance(step, str):  # "passthrough"
            matrix = transform(step, matrix, context)
    return matrix


@transformer("sklearn", "ColumnTransformer")
def _column_transformer(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    if estimator.transformer_weights:
        raise NotCompilable("ColumnTransformer has transformer_weights")
    places = estimator._transformer_to_input_indices
    columns: Matrix = []
    for name, part, _ in estimator.transformers_:
        chosen = [matrix[int(place)] for place in places.get(name, ())]
        if not chosen or (isinstance(part, str) and part == "drop"):
            continue
        passed = isinstance(part, str) and part == "passthrough"
        columns += chosen if passed else transform(part, chosen, context)
    return columns


@transformer("sklearn", "FeatureUnion")
def _union(estimator: Any, matrix: Matrix, context: Context) -> Matrix:
    if estimator.transformer_weights:
        raise NotCompilable("FeatureUnion has transformer_weights")
    columns: Matrix = []
    for _, part in estimator.transformer_list:
        if isinstance(part, str):
            columns += matrix if part == "passthrough" else []
        else:
            columns += transform(part, matrix, context)
    return columns
