"""Scores of SQL on SQLite are the estimator's, for each form of estimator and pipeline."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from mfprefect.sql_scoring import probe_rows
from mfprefect_dev.sql_forms import FORMS, Form, compare, create_rows, frame, targets

TRAINED = 400


@functools.cache
def trained(form: Form) -> Any:
    rows = frame(TRAINED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return form.fit(rows, targets(rows))


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def with_refused(rows: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    """Add rows with NULL, an infinity and an unseen category in each column that may have them."""
    extra: list[pd.DataFrame] = []
    for name in features:
        kind = rows[name].dtype.kind
        for value in (None, float("inf"), -float("inf")) if kind == "f" else (None, "new"):
            if kind != "i":
                row = rows.iloc[[len(extra)]].copy()
                row[name] = pd.Series([value], row.index, dtype=rows[name].dtype)
                extra.append(row)
    return pd.concat([rows, *extra], ignore_index=True) if extra else rows


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_sql_gives_the_scores_of_the_estimator(form: Form, connection: sa.Connection) -> None:
    estimator = trained(form)
    features = list(form.features)
    rows = probe_rows(estimator, frame(100, seed=2), features)
    regular = len(rows)
    rows = with_refused(rows, features)
    rows.insert(0, "id", [f"c{number}" for number in range(len(rows))])
    table = create_rows(connection, rows)
    difference = compare(
        connection, table, estimator, rows, features, form.model_type, len(rows) - regular
    )
    assert difference.wrong.empty, difference
    if form.exact:
        assert difference.largest == 0
