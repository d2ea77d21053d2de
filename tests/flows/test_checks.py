"""Checks in a model's flows: before the model sees the data, and nothing personal anywhere."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Store
from mfprefect.checks import Columns, NewCategories, RowCount

SECRET = "jo.secret@mail.example"
DAY = dt.date(2026, 1, 31)


def customers(rows: int = 400) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": range(rows),
            "mail": [f"{number}.secret@mail.example" for number in range(rows)],
            "age": [number % 60 for number in range(rows)],
            "gone": [number % 2 for number in range(rows)],
        }
    )


class Churn(mfprefect.Model):
    model_id = "churn"
    entity_id = "customer_id"
    target = "gone"
    masked = ["mail"]
    checks = [
        pa.DataFrameSchema({"mail": pa.Column(str, pa.Check.str_contains("@"))}),
        RowCount(within=0.2),
        Columns(added="warning"),
        NewCategories("mail", known=["x"], severity="warning"),
    ]
    data = customers()
    fitted = 0

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return self.data

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        type(self).fitted += 1
        return LogisticRegression().fit(features[["age"]], target)

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return estimator.predict_proba(features[["age"]])[:, 1]

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        return {}

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return self.data.drop(columns="gone")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_shared_checks_and_masks(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    flows = Churn.flows()
    trained, scored = flows.train(DAY), flows.score(DAY)
    results = flow_store.checks(scored).set_index("check")
    assert results.loc["row_count", "passed"] and results.loc["columns_missing", "passed"]
    assert not results.loc["new_categories", "passed"]  # a warning stops nothing
    summary = flow_store.input_summary(trained, scored)
    assert set(summary["variable"]) == {"mail", "age"}

    # Half of the rows and a broken address stop the run; the model does not see them.
    wrong = customers(200)
    wrong.loc[3, "mail"] = SECRET.replace("@", " at ")
    monkeypatch.setattr(Churn, "data", wrong)
    for flow in (flows.train, flows.score):
        with pytest.raises(mfprefect.ChecksFailed) as caught:
            flow(DAY)
        failed = {(row["check"], row["failing_rows"]) for row in caught.value.failures}
        assert failed == {("str_contains('@')", 1), ("row_count", 0)}
        assert "secret" not in f"{caught.value} {caught.value.failures}"
    assert Churn.fitted == 1
    sessions = flow_store.sessions("churn")
    assert list(sessions["status"]) == ["failed", "failed", "succeeded", "succeeded"]

    # A column that is gone is told by the check, and stored.
    monkeypatch.setattr(Churn, "data", customers().drop(columns="age").assign(added=1))
    with pytest.raises(mfprefect.ChecksFailed, match="missing: age"):
        flows.score(DAY)
    stored = flow_store.checks(flow_store.sessions("churn")["session_id"].iloc[0])
    assert list(stored.loc[stored["check"] == "columns_added", "passed"]) == [False]

    assert_nowhere(flow_store, "secret")
    assert "secret" not in caplog.text


def assert_nowhere(store: Store, text: str) -> None:
    """Look into every table but those of models and of scores, whose ids are asked for."""
    for name, table in store.database.schema.tables.items():
        if name != "artifact_chunks":
            rows = [str(tuple(row)) for row in store.database.fetch_all(sa.select(*table.c))]
            assert not [row for row in rows if text in row], name
