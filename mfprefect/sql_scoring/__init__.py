"""Fitted estimators as SQL: one SELECT that scores rows where they are.

`compile_model` turns a fitted estimator into expressions of named columns, and these with some rows
into a SELECT of SQLAlchemy, which PostgreSQL, MySQL, MariaDB, SQLite and Teradata render;
`statement_text` is its text. Where the estimator would refuse a row, such as one with NULL for a
linear model, its score is NULL.

Classes are recognised by library and name; nothing here imports scikit-learn or a booster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from mfprefect.sql_scoring import (
    encoders,
    ensembles,
    forests,
    histogram,
    imputers,
    lightgbm,
    linear,
    numeric,
    scalers,
    xgboost,
)
from mfprefect.sql_scoring.composition import predicted
from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Expression
from mfprefect.sql_scoring.outputs import MODEL_TYPES, score_columns
from mfprefect.sql_scoring.probes import probe_rows
from mfprefect.sql_scoring.stages import Stages, only_if
from mfprefect.sql_scoring.text import statement_text_of
from mfprefect.sql_scoring.values import Context, Value

__all__ = [
    "CompiledModel",
    "Fitted",
    "NotCompilable",
    "Scoring",
    "compile_model",
    "compile_pair",
    "compile_scoring",
    "probe_rows",
    "statement_text",
]

_REGISTERED = (
    encoders,
    ensembles,
    forests,
    histogram,
    imputers,
    lightgbm,
    linear,
    numeric,
    scalers,
    xgboost,
)
"""Modules that register what they compile."""


class Scoring(NamedTuple):
    """A compiled estimator."""

    select: sa.Select[Any]
    """One row for each input row: `entity_id`, `score` (double) and, for a multiclass model,
    `score_class` (text). Both are NULL where the estimator refuses the row."""
    tolerance: float
    """Scores of SQL and the estimator may differ by this much times max(1, |score|)."""


class Fitted(NamedTuple):
    """A fitted estimator or pipeline, and what it is given and gives."""

    estimator: Any
    features: Sequence[str]
    """The columns that the estimator gets, in this order."""
    model_type: str
    """`binary`, `multiclass` or `regression`."""
    classes: Sequence[Any] | None = None
    """The labels of a multiclass estimator that does not know them."""


class CompiledModel:
    """Estimators as expressions of named columns, for any rows that have these; see `select`."""

    def __init__(self, features: Sequence[str], stages: Stages, tolerance: float) -> None:
        self._features, self._stages, self.tolerance = features, stages, tolerance

    def select(self, rows: sa.FromClause, passed: Mapping[str, str]) -> sa.Select[Any]:
        """Return a SELECT of the scores of rows.

        Args:
            rows: a table, or a subquery, with the columns of the features. A boolean column of
                PostgreSQL needs the type `sa.Boolean`; other types need not be known.
            passed: further columns of the rows by the name that they get in the result, which is
                none of the scores'.

        Raises:
            NotCompilable: the rows lack a column.
        """
        missing = [name for name in (*passed.values(), *self._features) if name not in rows.c]
        if missing:
            raise NotCompilable(f"the rows have no column {', '.join(map(repr, missing[:5]))}")
        return self._stages.select(rows, {name: rows.c[x] for name, x in passed.items()})

    def scoring(self, rows: sa.FromClause, entity_id: str) -> Scoring:
        """Return the scores of rows by the column of their id; see `select`."""
        return Scoring(self.select(rows, {"entity_id": entity_id}), self.tolerance)


def compile_model(model: Fitted) -> CompiledModel:
    """Compile a fitted estimator; its columns are `score` and perhaps `score_class`.

    Raises:
        NotCompilable: the estimator cannot be scored in SQL; its text is the reason.
    """
    columns, context = _compiled(model)
    return CompiledModel(model.features, Stages(columns, context.conditions), context.tolerance)


def compile_pair(a: Fitted, b: Fitted) -> CompiledModel:
    """Compile two estimators, so that one SELECT scores each row with both.

    Its columns are `score_a` and `score_b`, and for models of several classes `score_class_a` and
    `score_class_b`.

    Raises:
        NotCompilable: one of the estimators cannot be scored in SQL.
    """
    outputs: dict[str, Expression] = {}
    tolerance = 0.0
    for model, side in ((a, "a"), (b, "b")):
        columns, context = _compiled(model)
        for name, column in columns.items():
            outputs[f"{name}_{side}"] = only_if(context.conditions, column)
        tolerance = max(tolerance, context.tolerance)
    features = list(dict.fromkeys([*a.features, *b.features]))
    return CompiledModel(features, Stages(outputs), tolerance)


def _compiled(model: Fitted) -> tuple[dict[str, Expression], Context]:
    if model.model_type not in MODEL_TYPES:
        raise NotCompilable(f"models of type {model.model_type} are not scored in SQL")
    context = Context()
    matrix = [Value.of_column(name) for name in model.features]
    output = predicted(model.estimator, matrix, list(model.features), context)
    columns = score_columns(output, model.estimator, model.model_type, model.classes)
    return columns, context


def compile_scoring(
    estimator: Any,
    rows: sa.FromClause,
    *,
    entity_id: str,
    features: Sequence[str],
    model_type: str,
    classes: Sequence[Any] | None = None,
) -> Scoring:
    """Compile a fitted estimator for some rows; see `Fitted` and `CompiledModel.select`.

    Args:
        estimator: a fitted estimator or pipeline.
        rows: a table, or a subquery, with the columns of the features and the id.
        entity_id: the column of the id.
        features: the columns that the estimator gets, in this order.
        model_type: `binary`, `multiclass` or `regression`.
        classes: the labels of a multiclass estimator that does not know them.

    Raises:
        NotCompilable: the estimator cannot be scored in SQL; its text is the reason.
    """
    compiled = compile_model(Fitted(estimator, features, model_type, classes))
    return compiled.scoring(rows, entity_id)


def statement_text(scoring: Scoring, dialect: sa.Dialect) -> str:
    """Return the SELECT as text, with all values inlined.

    Args:
        scoring: a compiled estimator.
        dialect: that of the database that will run it.

    Raises:
        NotCompilable: the text is longer than the database takes.
    """
    return statement_text_of(scoring.select, dialect)
