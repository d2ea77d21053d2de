"""Flows whose database goes away while they run: they end well, and `maintain` delivers."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Gate, Store
from mfprefect.lifecycle.maintenance import maintain
from mfprefect.testing.contract.helpers import orphans

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

held: list[sqlite3.Connection] = []


def take_away(path: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    held.append(connection)


def give_back() -> None:
    while held:
        held.pop().close()


def has_rows(frame: pd.DataFrame) -> bool:
    return len(frame) > 0


class Away(mfprefect.Model):
    model_id = "away"
    entity_id = "customer_id"
    target = "left"
    parts = 3
    retries = 0
    gates = [Gate("auc", at_least=0.8), Gate.checks()]
    checks = [has_rows]
    auto_promote = True
    database: str = ""

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        rng = np.random.default_rng(7)
        frame = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"])
        frame.insert(0, "customer_id", [f"c{number}" for number in range(400)])
        frame["left"] = (frame["a"] > 0).astype(int)
        return frame

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        if self.database:
            take_away(self.database)
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        if self.database and part == 3:
            take_away(self.database)
        frame = self.training_data(as_of).drop(columns="left")
        return frame.iloc[part - 1 :: self.parts]

    def importance(self, estimator: Any, features: Any, target: Any) -> dict[str, pd.DataFrame]:
        return {}


train, score, _ = Away.flows()


@pytest.fixture
def store(flow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MFPREFECT_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("MFPREFECT_RETRY_SECONDS", "0.1")
    monkeypatch.setenv("MFPREFECT_CONNECT_TIMEOUT", "0.05")
    yield flow_store
    give_back()


def test_flows_end_spooled_and_are_delivered(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted = train()
    assert store.production("away") == promoted
    monkeypatch.setattr(Away, "database", str(tmp_path / "test.db"))
    state: Any = train(return_state=True)
    give_back()
    assert (state.name, state.type.value) == ("Spooled", "COMPLETED")
    trained = state.result()
    assert trained in str(state.message)
    assert store.show(trained)["status"].tolist() == ["running"]
    state = score(return_state=True)  # delivers the training first
    give_back()
    assert state.name == "Spooled"
    scored = state.result()
    assert store.show(trained)["status"].tolist() == ["succeeded"]
    assert store.gates(trained)["verdict"].tolist() == ["passed", "passed"]
    assert store.production("away") == promoted  # nobody promotes what waits in the spool
    assert store.load_model(trained).n_features_in_ == 2
    assert store.scores(scored).empty
    assert "1 sessions delivered from the spool" in maintain()
    assert len(store.scores(scored)) == 400
    metrics = store.metrics(scored).set_index("metric_name")["value"]
    assert metrics["rows_scored"] == 400
    assert store.score_parts(scored)["part_no"].tolist() == [1, 2, 3]
    assert orphans(store) == {}
