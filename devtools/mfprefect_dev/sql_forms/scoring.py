"""Scores of an estimator itself, and of its SQL on a database."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

from mfprefect.quality.metrics.class_scores import top_class
from mfprefect.quality.predictions import default_scores, predictions
from mfprefect.schema import Double
from mfprefect.sql_scoring import compile_scoring
from mfprefect_dev.sql_forms.forms import Form, trained

__all__ = ["Difference", "compare", "create_rows", "difference_of", "expected"]


class Difference(NamedTuple):
    """How far scores of SQL are from those of the estimator."""

    largest: float
    """The largest |a - b| / max(1, |b|)."""
    refused: int
    """Rows that the estimator refuses."""
    wrong: pd.DataFrame
    """Rows that one of both refuses, or whose class differs."""


class _Model:
    def __init__(self, model_type: str) -> None:
        self.model_type = model_type

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return default_scores(self.model_type, estimator, features)


def expected(estimator: Any, features: pd.DataFrame, model_type: str) -> pd.DataFrame:
    """Return `score` and `score_class` as a scoring run stores them; NULL for refused rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _expected(estimator, features, model_type)


def _expected(estimator: Any, features: pd.DataFrame, model_type: str) -> pd.DataFrame:
    try:
        score = predictions(_Model(model_type), estimator, features)  # type: ignore[arg-type]
        classes: Any = None
        if model_type == "multiclass":
            score, classes = top_class(score)
        return pd.DataFrame({"score": score, "score_class": classes}, features.index, dtype=object)
    except Exception:  # noqa: BLE001 - it refuses such rows in its own way
        if len(features) == 1:
            return pd.DataFrame(
                {"score": [np.nan], "score_class": [None]}, features.index, dtype=object
            )
        # Most rows that are refused are at the end.
        middle = len(features) * 2 // 3
        parts = (features.iloc[:middle], features.iloc[middle:])
        return pd.concat([_expected(estimator, part, model_type) for part in parts])


def create_rows(
    connection: sa.Connection, rows: pd.DataFrame, name: str = "rows_to_score"
) -> sa.Table:
    """Create a table of rows: doubles, integers, booleans, and texts of the default collation."""
    kinds: dict[str, Any] = {"f": Double(), "i": sa.BigInteger(), "b": sa.Boolean()}
    columns = [
        sa.Column(name, kinds.get(rows[name].dtype.kind, sa.String(200)), quote=True)
        for name in rows.columns
    ]
    table = sa.Table(name, sa.MetaData(), *columns)
    table.drop(connection, checkfirst=True)
    table.create(connection)
    cells = rows.astype(object).where(rows.notna(), None)
    listed: Any = cells.to_dict("records")
    connection.execute(table.insert(), listed)
    connection.commit()
    return table


def compare(
    connection: sa.Connection,
    table: sa.FromClause,
    form: Form,
    rows: pd.DataFrame,
    right: pd.DataFrame,
) -> Difference:
    """Score the rows of a table in SQL.

    Args:
        connection: to the database.
        table: the rows there.
        form: what scores them.
        rows: the same rows.
        right: what the estimator gives for these: `score` and `score_class`.
    """
    features = list(form.features)
    return difference_of(connection, table, trained(form), features, form.model_type, rows, right)


def difference_of(
    connection: sa.Connection,
    table: sa.FromClause,
    estimator: Any,
    features: Sequence[str],
    model_type: str,
    rows: pd.DataFrame,
    right: pd.DataFrame,
) -> Difference:
    """Return how far the scores of SQL are from what an estimator gives; see `compare`."""
    scoring = compile_scoring(
        estimator, table, entity_id="id", features=features, model_type=model_type
    )
    cells = [tuple(row) for row in connection.execute(scoring.select)]
    names = ["id", "score", "score_class"][: len(cells[0])]
    scored = pd.DataFrame(cells, columns=names).set_index("id")
    scored = scored.reindex(columns=["score", "score_class"]).loc[rows["id"]]
    right = right.set_axis(scored.index)
    a, b = scored["score"].astype(float), right["score"].astype(float)
    difference = (a - b).abs() / b.abs().clip(lower=1.0)
    classes = (scored["score_class"].isna() & right["score_class"].isna()) | (
        scored["score_class"] == right["score_class"]
    )
    near = difference.fillna(0) <= scoring.tolerance
    wrong = (a.isna() != b.isna()) | ~classes | ~near
    differing = pd.DataFrame({"sql": a, "estimator": b, "class": scored["score_class"]})[wrong]
    return Difference(float(difference.max()), int(b.isna().sum()), differing)
