"""Scores of SQL on SQLite are the estimator's, for each form of estimator and pipeline."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
import sqlalchemy as sa

from mfprefect.sql_scoring import probe_rows
from mfprefect_dev.sql_forms import (
    FORMS,
    Form,
    compare,
    create_rows,
    expected,
    frame,
    special_rows,
    trained,
)


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_sql_gives_the_scores_of_the_estimator(form: Form, connection: sa.Connection) -> None:
    estimator = trained(form)
    features = list(form.features)
    probes = probe_rows(estimator, frame(100, seed=2), features)
    special = special_rows(frame(50, seed=3)[features], features)
    rows = pd.concat([probes, special], ignore_index=True)
    rows.insert(0, "id", [f"c{number}" for number in range(len(rows))])
    table = create_rows(connection, rows)
    parts = [rows[: len(probes)], *(rows[at : at + 1] for at in range(len(probes), len(rows)))]
    right = pd.concat([expected(estimator, part[features], form.model_type) for part in parts])
    difference = compare(connection, table, form, rows, right)
    assert difference.wrong.empty, difference
    if form.exact:
        assert difference.largest == 0
