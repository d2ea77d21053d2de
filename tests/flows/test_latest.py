"""A backfill on a Prefect server: what readers, monitoring and reports then take for the latest."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Store
from mfprefect.checks import RowCount
from mfprefect.cli import cli

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SEPTEMBER, OCTOBER, NOVEMBER = (dt.date(2026, month, 28) for month in (9, 10, 11))
CUSTOMERS = {SEPTEMBER: 60, OCTOBER: 300, NOVEMBER: 320}
"""How many customers there were on a day: in September far fewer."""


class Churn(mfprefect.Model):
    """Customers c0, c1, ..: those that join later have higher numbers."""

    model_id = "churn"
    entity_id = "customer_id"
    target = "left"
    retries = 0
    checks: ClassVar[Any] = [RowCount()]
    gates: ClassVar[Any] = [mfprefect.Gate("auc", at_least=0.5)]
    min_outcomes = 10

    def customers(self, count: int) -> pd.DataFrame:
        values = np.random.default_rng(7).normal(size=(count, 2))
        frame = pd.DataFrame(values, columns=["a", "b"])
        return frame.assign(customer_id=[f"c{number}" for number in range(count)])

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        frame = self.customers(300)
        noise = np.random.default_rng(8).normal(size=300)
        return frame.assign(left=(frame["a"] + frame["b"] + noise > 0).astype(int))

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return self.customers(CUSTOMERS[as_of])

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        frame = self.training_data(as_of).head(CUSTOMERS[as_of])
        return frame[["customer_id"]].assign(actual=frame["left"])


def command(*arguments: str) -> Any:
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def references(store: Store, session_id: str) -> set[str]:
    """Return which sessions its drift from the previous scoring was measured against."""
    drift = store.drift(session_id)
    return set(drift[drift["measure"].str.endswith("_previous")]["reference_session_id"])


def test_a_backfill_is_not_the_latest(flow_store: Store) -> None:
    store, (train, score, monitor) = flow_store, Churn.flows()
    trained = train(as_of=OCTOBER)
    store.promote("churn", trained, reason="the first")
    newer = train(as_of=OCTOBER)
    october, november = score(as_of=OCTOBER), score(as_of=NOVEMBER)
    assert references(store, november) == {october}
    backfill = score(as_of=SEPTEMBER)

    # Nothing newer is its reference: neither for drift nor for the number of rows.
    assert references(store, backfill) == set()
    assert store.current_session("churn") == november
    latest = store.latest_scores("churn", "c0", "c59", "c319")
    assert set(latest["session_id"]) == {november}
    assert len(store.current_scores("churn")) == 320
    rows = command("scores", "latest:churn", "--limit", "400")
    assert len(rows) == 320
    assert command("show", "latest:churn")["session"]["session_id"] == backfill

    monitored = monitor()
    notes = store.metadata(monitored).set_index("meta_name")["value"]
    assert notes["drift_of"] == notes["performance_of"] == november
    assert json.loads(notes["sessions"]) == [backfill, october, november]
    assert references(store, monitored) == {october}
    assert set(store.drift(monitored)["variable"]) >= {"score", "auc"}

    # Of the same day again: that is the latest, and is compared with the one before.
    again = score(as_of=NOVEMBER)
    assert references(store, again) == {november}
    assert store.current_session("churn") == again
    assert set(store.latest_scores("churn", "c0", "c319")["session_id"]) == {again}

    text = re.sub(r"<[^>]+>", " ", store.model_report("churn"))
    first, second = text.index("In production"), text.index("Newest candidate")
    assert first < second
    assert "the first" in text[first:second]
    assert trained in text[first:second]
    assert newer not in text[first:second]
    assert f"on the scores of {november}" in text[first:second]
    assert newer in text[second:]
