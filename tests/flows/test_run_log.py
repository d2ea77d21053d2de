"""The last lines of a run's log say what happened, without a page of Prefect."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Gate, Store

DAY = dt.date(2026, 1, 31)


def loans(rows: int = 900, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    debt = rng.normal(size=rows)
    bad = rng.random(rows) < 1 / (1 + np.exp(-2 * debt))
    return pd.DataFrame({"loan_id": range(rows), "debt": debt + shift, "bad": bad.astype(int)})


class Risk(mfprefect.Model):
    model_id = "risk"
    entity_id = "loan_id"
    target = "bad"
    parts = 2
    gates = (Gate("auc", at_least=0.7),)
    data = loans()

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return self.data

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        rows = self.data.drop(columns="bad")
        return rows[rows["loan_id"] % 2 == part - 1]

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return LogisticRegression().fit(features, target)


@pytest.fixture
def run_log(caplog: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a run logs, in a log that passes it on: Prefect's keeps it from other handlers."""
    logger = logging.getLogger("mfprefect.run_log")
    monkeypatch.setattr("mfprefect.lifecycle.run_log.log", lambda: logger)
    caplog.set_level(logging.INFO, logger.name)
    return caplog


def lines(run_log: Any) -> str:
    """Return the lines since the last call."""
    text = "\n".join(record.getMessage() for record in run_log.records)
    run_log.clear()
    return text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_log_says_what_happened(
    flow_store: Store, run_log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Risk.flows()
    trained = flows.train(DAY)
    text = lines(run_log)
    auc = flow_store.metrics(trained).set_index("metric_name")["value"]["auc"]
    rows = flow_store.metrics(trained).set_index("metric_name")["value"]["n"]
    assert f"tested on {rows:.0f} rows: auc {auc:.3g}, gini " in text
    assert f"the gate passed: auc at least 0.7 ({auc:.3g})" in text
    assert f"session {trained} succeeded; everything about it: mfprefect show {trained}" in text
    assert f"it waits for promotion: mfprefect promote risk {trained}" in text
    flow_store.promote("risk", trained)

    scored = flows.score(DAY)
    text, of = lines(run_log), flow_store.score_summary(scored)
    spread = f"mean {of['mean']:.3g}, standard deviation {of['sd']:.3g}"
    ends = f"{of['min']:.3g} to {of['max']:.3g}"
    assert f"scored 900 entities in 2 parts: scores {ends}, {spread}" in text
    assert "drift: none of 3 measures of 1 variable in alarm" in text
    assert "promote" not in text

    monkeypatch.setattr(Risk, "data", loans(shift=3.0))
    flows.score(DAY)
    assert "drift of debt: mean debt " in lines(run_log)

    monkeypatch.setattr(Risk, "data", loans().assign(debt=0.0))
    with pytest.raises(mfprefect.GateFailed):
        flows.train(DAY)
    text = lines(run_log)
    assert "gate failed: auc is 0.5, below the promised minimum of 0.7" in text
    assert " failed; everything about it: mfprefect show risk-" in text
    assert "waits for promotion" not in text
