"""Scores of SQL are the estimator's on each database."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

import mfprefect
from mfprefect.sql_scoring import probe_rows
from mfprefect_dev.sql_forms import (
    FEATURES,
    FORMS,
    Form,
    compare,
    create_rows,
    expected,
    frame,
    special_rows,
    trained,
)

HAVE_INFINITIES = ("sqlite", "postgresql")
REGULAR = 100
SPECIAL = ["height", "visits", "color", "place"]


@functools.cache
def rows_of_all_forms() -> pd.DataFrame:
    """Return usual rows, some at thresholds of trees, then rows that some estimators refuse."""
    base = frame(REGULAR, seed=5)[FEATURES]
    at_thresholds: list[pd.DataFrame] = []
    for form in (form for form in FORMS if form.exact):
        features = list(form.features)
        row = base.iloc[[len(at_thresholds)]].copy()
        row[features] = probe_rows(trained(form), base[:30], features)[-1:].to_numpy()
        at_thresholds.append(row.astype(base.dtypes))
    special = special_rows(base[SPECIAL], SPECIAL)
    others = base[: len(special)].drop(columns=special.columns)
    rows = pd.concat([base, *at_thresholds, special.join(others)[FEATURES]], ignore_index=True)
    rows.insert(0, "id", [f"c{number}" for number in range(len(rows))])
    return rows


@functools.cache
def expectations(form: Form) -> pd.DataFrame:
    rows = rows_of_all_forms()
    return expected(trained(form), rows[list(form.features)], form.model_type)


def chosen(dialect: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which rows a database can store; fewer on Teradata, whose emulator is slow."""
    rows = rows_of_all_forms()
    finite = np.isfinite(rows.select_dtypes("number").fillna(0).to_numpy(float)).all(axis=1)
    if dialect == "teradatasql":
        finite[: REGULAR - 10] = False
    return np.ones_like(finite) if dialect in HAVE_INFINITIES else finite


def test_sql_gives_the_scores_of_the_estimator(database_url: str) -> None:
    with mfprefect.connect(database_url) as store, store.database.engine.connect() as connection:
        among = chosen(connection.dialect.name)
        rows = rows_of_all_forms()[among]
        table = create_rows(connection, rows)
        differences = {}
        for form in FORMS:
            difference = compare(connection, table, form, rows, expectations(form)[among])
            if len(difference.wrong) or (form.exact and difference.largest):
                differences[form.name] = difference
    assert not differences
