"""Scores of an estimator itself, and of its SQL on a database."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

from mfprefect.quality.metrics import class_scores
from mfprefect.quality.predictions import default_scores, predictions
from mfprefect.schema import Double
from mfprefect.sql_scoring import compile_scoring

__all__ = ["Difference", "compare", "create_rows", "expected"]


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
            score, classes = class_scores.top_class(score)
        return pd.DataFrame({"score": score, "score_class": classes}, features.index)
    except Exception:  # noqa: BLE001
        if len(features) == 1:
            return pd.DataFrame({"score": [np.nan], "score_class": [None]}, features.index)
        half = len(features) // 2
        parts = (features.iloc[:half], features.iloc[half:])
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
    table.create(connection)
    cells = rows.astype(object).where(rows.notna(), None)
    listed: Any = cells.to_dict("records")
    connection.execute(table.insert(), listed)
    return table


def compare(
    connection: sa.Connection,
    table: sa.FromClause,
    estimator: Any,
    rows: pd.DataFrame,
    features: Sequence[str],
    model_type: str,
    special: int = 0,
) -> Difference:
    """Score the rows of a table both ways.

    Args:
        connection: to the database.
        table: the rows there.
        estimator: the estimator.
        rows: the same rows.
        features: the columns that it gets.
        model_type: the type of the model.
        special: so many last rows may be refused.
    """
    scoring = compile_scoring(
        estimator, table, entity_id="id", features=features, model_type=model_type
    )
    cells = [tuple(row) for row in connection.execute(scoring.select)]
    names = ["id", "score", "score_class"][: len(cells[0])]
    scored = pd.DataFrame(cells, columns=names).set_index("id")
    scored = scored.reindex(columns=["score", "score_class"]).loc[rows["id"]]
    regular = len(rows) - special
    parts = [rows[:regular], *(rows[at : at + 1] for at in range(regular, len(rows)))]
    listed = [expected(estimator, part[list(features)], model_type) for part in parts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of columns without any class
        right = pd.concat(listed).set_axis(scored.index)
    a, b = scored["score"].astype(float), right["score"]
    difference = (a - b).abs() / b.abs().clip(lower=1.0)
    classes = (scored["score_class"].isna() & right["score_class"].isna()) | (
        scored["score_class"] == right["score_class"]
    )
    near = difference.fillna(0) <= scoring.tolerance
    wrong = (a.isna() != b.isna()) | ~classes | ~near
    differing = pd.DataFrame({"sql": a, "estimator": b, "class": scored["score_class"]})[wrong]
    return Difference(float(difference.max()), int(b.isna().sum()), differing)
