"""Champion and challenger in a model's flows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import ConfigurationError, Gate, GateFailed, InvalidValue, Store


class Churn(mfprefect.Model):
    """600 customers; what a training may look at is set by `use`."""

    model_id = "churn"
    entity_id = "customer_id"
    target = "left"
    retries = 0
    gates: ClassVar[Any] = (
        Gate("auc", at_least=0.6, not_worse_than_production_by=0.005),
        Gate("brier", not_worse_than_production_by=0.01),
        Gate.drift(),
    )
    use: tuple[str, ...] = ("a", "b")
    moved = 0.0

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        rng = np.random.default_rng(7)
        frame = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
        frame["left"] = (frame["a"] + frame["b"] + rng.normal(size=600) > 0).astype(int)
        frame["customer_id"] = [f"c{number}" for number in range(600)]
        frame["b"] += self.moved
        return frame[[*self.use, "left", "customer_id"]]

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return Churn().training_data(as_of).drop(columns="left")


@pytest.fixture
def store(prefect_api: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'test.db'}")
    with mfprefect.connect() as store:
        store.create_schema()
        yield store


def outcome(run: Callable[..., Any], **parameters: Any) -> Any:
    return run(**parameters, return_state=True)


def newest(store: Store) -> Any:
    return store.sessions("churn", limit=1).iloc[0]


def test_champion_and_challenger(store: Store) -> None:
    flows = Churn.flows()
    first = flows.train()
    verdicts = store.gates(first)
    assert verdicts["verdict"].tolist() == ["passed"] * 3
    assert verdicts["reason"].str.contains("no model is in production").all()
    assert store.production("churn") is None
    flows.score()  # nothing is in production: the last training
    assert newest(store)["parent_session_id"] == first
    store.promote("churn", first, reason="the first")

    # The same model again is exactly as good.
    again = flows.train()
    assert store.gates(again)["verdict"].tolist() == ["passed"] * 3
    assert store.gates(again)["difference"].tolist()[:2] == [0, 0]
    assert set(store.drift(again)["reference_session_id"]) == {first}
    flows.score()
    assert newest(store)["parent_session_id"] == first  # in production, and not the last one
    flows.score(training_session_id=again)
    assert newest(store)["parent_session_id"] == again

    class Blind(Churn):
        use = ("a",)

    class Moved(Churn):
        moved = 2.0

    assert outcome(Blind.flows().train).is_failed()
    worse = newest(store)
    assert (worse["status"], worse["failure_kind"]) == ("failed", "GateFailed")
    rows = store.gates(worse["session_id"])
    # Production's model needs a column that there is no more.
    assert rows["verdict"].tolist() == ["unknown", "unknown", "failed"]
    assert "the test data lacks the column 'b'" in rows["reason"][0]
    assert rows["reason"][2] == "drifted: b (missing)"
    assert outcome(Moved.flows().train).is_failed()
    moved = store.gates(newest(store)["session_id"])
    assert moved["verdict"][2] == "failed"
    assert "b (psi)" in moved["reason"][2]
    with pytest.raises(GateFailed):
        store.promote("churn", worse["session_id"])
    store.promote("churn", worse["session_id"], override="b is no longer bought")
    assert outcome(flows.score).is_completed()
    assert newest(store)["parent_session_id"] == worse["session_id"]
    assert store.rollback("churn") == first
    flows.score()
    assert newest(store)["parent_session_id"] == first
    store.retire("churn")
    with pytest.raises(InvalidValue, match="was retired"):
        flows.score()


def test_a_training_that_passed_goes_to_production_by_itself(store: Store) -> None:
    class Automatic(Churn):
        auto_promote = True

    class Noisy(Automatic):
        def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
            return super().predict(estimator, features[["a", "b"]])

        def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
            wrong = target.copy()
            wrong[::2] = 1 - wrong[::2]
            return LogisticRegression().fit(features, wrong)

    first = Automatic.flows().train()
    assert store.production("churn") == first
    second = Automatic.flows().train()
    assert store.production("churn") == second
    assert outcome(Noisy.flows().train).is_failed()
    assert store.production("churn") == second
    reasons = store.stages("churn")["reason"].tolist()
    assert reasons == ["automatic: it has passed its gates"] * 2


def test_what_a_class_must_not_say() -> None:
    class Ungated(Churn):
        gates = ()
        auto_promote = True

    class Wrong(Churn):
        gates = ("auc",)

    class Command(mfprefect.CommandModel):
        model_id = "churn"
        entity_id = "customer_id"
        train_command = ("true",)
        gates = (Gate("auc", not_worse_than_production_by=0.1),)

    for kind, text in (
        (Ungated, "auto_promote = True and no gates"),
        (Wrong, "has the gate 'auc'"),
        (Command, "test rows are not seen here"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            kind.flows()
