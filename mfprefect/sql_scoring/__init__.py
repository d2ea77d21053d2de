"""Fitted estimators as SQL: one SELECT that scores rows where they are.

`compile_scoring` turns a fitted estimator into a SELECT of SQLAlchemy, which PostgreSQL, MySQL,
MariaDB, SQLite and Teradata render; `statement_text` is its text. Where the estimator would refuse
a row, such as one with NULL for a linear model, its score is NULL.

Classes are recognised by library and name; nothing here imports scikit-learn or a booster.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from mfprefect.sql_scoring.outputs import MODEL_TYPES, score_columns
from mfprefect.sql_scoring.probes import probe_rows
from mfprefect.sql_scoring.stages import select_of
from mfprefect.sql_scoring.text import statement_text_of
from mfprefect.sql_scoring.values import Context, Value

__all__ = ["NotCompilable", "Scoring", "compile_scoring", "probe_rows", "statement_text"]

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


def compile_scoring(
    estimator: Any,
    rows: sa.FromClause,
    *,
    entity_id: str,
    features: Sequence[str],
    model_type: str,
    classes: Sequence[Any] | None = None,
) -> Scoring:
    """Compile a fitted estimator.

    Args:
        estimator: a fitted estimator or pipeline.
        rows: a table, or a subquery, with the columns of the features and the id. A boolean column
            of PostgreSQL needs the type `sa.Boolean`; other types need not be known.
        entity_id: the column of the id.
        features: the columns that the estimator gets, in this order.
        model_type: `binary`, `multiclass` or `regression`.
        classes: the labels of a multiclass estimator that does not know them.

    Raises:
        NotCompilable: the estimator cannot be scored in SQL; its text is the reason.
    """
    if model_type not in MODEL_TYPES:
        raise NotCompilable(f"models of type {model_type} are not scored in SQL")
    missing = [name for name in (entity_id, *features) if name not in rows.c]
    if missing:
        raise NotCompilable(f"the rows have no column {', '.join(map(repr, missing[:5]))}")
    context = Context()
    matrix = [Value.of_column(name, rows.c[name]) for name in features]
    output = predicted(estimator, matrix, list(features), context)
    columns = score_columns(output, estimator, model_type, classes)
    select = select_of(rows, rows.c[entity_id], columns, context.conditions)
    return Scoring(select, context.tolerance)


def statement_text(scoring: Scoring, dialect: sa.Dialect) -> str:
    """Return the SELECT as text, with all values inlined.

    Args:
        scoring: a compiled estimator.
        dialect: that of the database that will run it.

    Raises:
        NotCompilable: the text is longer than the database takes.
    """
    return statement_text_of(scoring.select, dialect)
