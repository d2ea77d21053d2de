"""Champion and challenger in a model's flows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
import pytest
from prefect import flow
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import ConfigurationError, Gate, GateFailed, InvalidValue, Store
from mfprefect.lifecycle import flows
from mfprefect.quality import GateInputs, GateResult
from mfprefect.quality.gates.verdicts import BaseGate


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
    assert verdicts["reason"].str.contains("no model in production").all()
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
    assert "b (psi " in moved["reason"][2]
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


def test_a_training_that_passed_goes_to_production_by_itself(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody listens there; the table says what would have been sent.
    monkeypatch.setenv("MFPREFECT_NOTIFY__OPS__URL", "json://127.0.0.1:1")
    events = '["waiting_for_promotion", "gate_failed"]'
    monkeypatch.setenv("MFPREFECT_NOTIFY__OPS__EVENTS", events)

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
    third = Churn.flows().train()
    assert store.notifications(first, second)["event"].empty
    assert store.notifications(third)["event"].tolist() == ["waiting_for_promotion"]
    # An attempt that was lost after its promotion finds it done.
    finished = cast("Any", SimpleNamespace(session_id=second))
    flows._promote(store, Automatic, finished)
    assert store.stages("churn")["session_id"].tolist() == [second, first]


def test_what_was_compared_with_another_is_not_promoted(store: Store) -> None:
    """Somebody promotes while a training is just being judged."""
    first = Churn.flows().train()
    store.promote("churn", first)
    other = Churn.flows().train()

    @dataclass(frozen=True)
    class Meanwhile(BaseGate):
        def judge(self, evidence: GateInputs) -> GateResult:
            store.promote("churn", other)
            return GateResult("meanwhile", "metric", "passed", "")

    class Automatic(Churn):
        gates: ClassVar[Any] = (*Churn.gates, Meanwhile())
        auto_promote = True

    state = outcome(Automatic.flows().train)
    assert state.is_failed()
    assert f"compared with {first}, and {other} is in production now" in state.message
    assert newest(store)["status"] == "succeeded"
    assert store.production("churn") == other


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
        (Command, "test rows are unknown to mfprefect"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            kind.flows()


def test_a_challenger_scores_in_the_shadow(store: Store) -> None:
    class Challenged(Churn):
        gates: ClassVar[Any] = ()
        parts = 2
        shadow = "latest"

        def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
            return super().scoring_data(as_of, part).iloc[part - 1 :: 2]

    class Weaker(Challenged):
        def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
            return LogisticRegression(C=0.001).fit(features, target)

    champion = Challenged.flows().train()
    store.promote("churn", champion, override="the first")
    Challenged.flows().score()
    assert len(store.sessions("churn")) == 2  # it is the newest itself
    challenger = Weaker.flows().train()
    scored = Challenged.flows().score()
    shadow, main = store.sessions("churn", limit=2).to_dict("records")
    assert (main["session_id"], main["parent_session_id"]) == (scored, champion)
    assert (shadow["parent_session_id"], shadow["purpose"]) == (challenger, "score")
    assert shadow["flow_run_id"] == main["flow_run_id"]
    assert (shadow["status"], shadow["published_at"] is pd.NaT) == ("succeeded", True)
    assert json.loads(shadow["params"])["shadow_of"] == scored
    assert store.scores(shadow["session_id"]).empty
    assert len(store.scores(scored)) == 600
    store.set_threshold("churn", 0.5)
    comparison = store.compare_scores(scored, shadow["session_id"])
    assert comparison["rows"] == 600
    assert comparison["spearman"] > 0.99
    assert 0.6 < comparison["agreement"] <= 1
    assert comparison["max_abs_difference"] > 0.1
    # A named one, and one that is not there: the champion's run is well.
    assert outcome(Churn.flows().score, shadow=challenger).is_completed()
    assert newest(store)["parent_session_id"] == challenger
    state = outcome(Churn.flows().score, shadow="nobody")
    assert state.is_completed()
    assert newest(store)["session_id"] == state.result()


def test_what_befalls_the_challenger_does_not_harm_the_champion(store: Store) -> None:
    class Frail(Churn):
        gates: ClassVar[Any] = ()
        shadow = "latest"
        broken = False

        def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
            if estimator.C == 0.5 and Frail.broken:
                Frail.broken = False
                raise RuntimeError("out of memory")
            return super().predict(estimator, features)

    class Other(Frail):
        def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
            return LogisticRegression(C=0.5).fit(features, target)

    store.promote("churn", Frail.flows().train(), override="the first")
    Other.flows().train()
    Frail.broken = True
    score = Frail.flows().score

    state = outcome(score)
    assert state.is_completed()
    shadow, main = store.sessions("churn", limit=2).to_dict("records")
    assert (main["session_id"], main["status"]) == (state.result(), "succeeded")
    assert (shadow["status"], shadow["failure_text"]) == ("failed", "out of memory")
    assert len(store.scores(main["session_id"])) == 600


def test_neither_resumes_the_others_session(store: Store) -> None:
    store.add_model("churn")

    @flow(retries=1, retry_delay_seconds=0)
    def nightly() -> tuple[str, str]:
        try:
            main = store.session("churn", purpose="score")
            main.close()
        except mfprefect.SessionClosed as closed:  # the retry finds it done
            main_id = closed.session_id
        else:
            main_id = main.session_id
        with store.session("churn", "score", params={"shadow_of": main_id}) as shadow:
            seen.append(shadow.session_id)
            if shadow.attempt == 1:
                raise KeyError("the process was killed")
        return main_id, shadow.session_id

    seen: list[str] = []
    main, shadow = nightly()
    assert seen == [shadow, shadow]
    rows = store.sessions("churn").set_index("session_id")
    assert rows.loc[main, "attempt"] == 1
    assert rows.loc[shadow, "attempt"] == 2
    assert len(rows) == 2


def test_classes_and_segments_are_compared(store: Store) -> None:
    class Kind(mfprefect.Model):
        model_id = "churn"
        entity_id = "customer_id"
        target = "kind"
        model_type = "multiclass"
        segments = ("region",)
        gates = (
            Gate("accuracy", not_worse_than_production_by=0.05),
            Gate("accuracy", segment="region=1", not_worse_than_production_by=0.05),
        )
        noise = 0.1

        def training_data(self, as_of: dt.date) -> pd.DataFrame:
            rng = np.random.default_rng(3)
            frame = pd.DataFrame(rng.normal(size=(900, 2)), columns=["a", "b"])
            best = np.argmax(np.c_[frame["a"], frame["b"], np.zeros(900)], axis=1)
            frame["kind"] = np.array(["x", "y", "z"])[best]
            frame["region"] = np.arange(900) % 3
            frame["customer_id"] = [f"c{number}" for number in range(900)]
            return frame

        def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
            noise = np.random.default_rng(5).normal(scale=self.noise, size=features.shape)
            return LogisticRegression().fit(features + noise, target)

        def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
            return {}

    class Noisy(Kind):
        noise = 9.0

    first = Kind.flows().train()
    store.promote("churn", first)
    again = Kind.flows().train()
    frame = store.gates(again)
    assert frame["verdict"].tolist() == ["passed", "passed"]
    assert frame["difference"].tolist() == [0, 0]
    assert "paired bootstrap of 1000 repeats, seed" in frame["method"][0]
    assert outcome(Noisy.flows().train).is_failed()
    frame = store.gates(newest(store)["session_id"])
    assert frame["verdict"].tolist() == ["failed", "failed"]
    assert frame["figure"][1] != frame["figure"][0]
