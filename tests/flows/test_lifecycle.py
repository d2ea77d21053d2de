"""A model's flows on a real Prefect server, with real data, on every database."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

import mfprefect
from mfprefect import Gate, Store
from mfprefect.checks import NullShare, Unique
from mfprefect.lifecycle.split import is_test

FLOWS = Path(__file__).parents[2] / "flows"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, FLOWS / f"{name}.py")
    if spec is None or spec.loader is None:
        raise AssertionError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def values(store: Store, session_id: str) -> dict[str, float]:
    frame = store.metrics(session_id)
    return dict(zip(frame["metric_name"], frame["value"], strict=True))


def test_breast_cancer_is_trained_and_scored(flow_store: Store) -> None:
    model = load("breast_cancer")
    trained = model.train(as_of=dt.date(2026, 1, 31))
    scored = model.score()

    sessions = flow_store.sessions("breast_cancer").set_index("session_id")
    assert list(sessions["status"]) == ["succeeded", "succeeded"]
    assert sessions.loc[trained, "purpose"] == "train"
    assert sessions.loc[trained, "as_of"] == dt.date(2026, 1, 31)
    assert sessions.loc[scored, "parent_session_id"] == trained
    assert len(sessions.loc[trained, "git_commit"]) == 40

    # The stored figures, against scikit-learn on the rows that were held out.
    frame = model.BreastCancer().training_data(dt.date(2026, 1, 31))
    test = frame[[is_test(patient, 0.3) for patient in frame["patient_id"]]]
    metadata = flow_store.metadata(trained).set_index("meta_name")["value"]
    features = json.loads(str(metadata["features"]))
    estimator = flow_store.load_model(trained)
    probability = estimator.predict_proba(test[features])[:, 1]
    metrics = values(flow_store, trained)
    assert metrics["auc"] == pytest.approx(roc_auc_score(test["malignant"], probability), rel=1e-12)
    assert metrics["brier"] == pytest.approx(brier_score_loss(test["malignant"], probability))
    assert metrics["n"] == len(test)
    assert metrics["auc"] >= 0.95

    # Every patient has the score that the stored model gives.
    scores = flow_store.scores(scored).set_index("entity_id")["score"]
    expected = pd.Series(estimator.predict_proba(frame[features])[:, 1], frame["patient_id"])
    assert len(scores) == 569
    np.testing.assert_array_equal(scores.loc[expected.index], expected)

    assert flow_store.checks(trained)["passed"].all()
    kinds = {"coefficient", "standardised_coefficient", "permutation"}
    assert set(flow_store.variable_importance(trained)["kind"]) == kinds
    how = {"scorer": "roc_auc", "repeats": 5, "seed": 0, "rows": len(test)}
    assert json.loads(str(metadata["permutation"])) == how
    assert len(flow_store.input_summary(trained)) == 30
    assert flow_store.inputs(trained)["rows"].tolist() == [569]
    assert flow_store.curve(trained)["tp"].max() == test["malignant"].sum()
    assert "malignant" not in set(flow_store.checks(scored)["column"])

    # The same data and code give the same figures.
    again = model.train(as_of=dt.date(2026, 1, 31))
    assert values(flow_store, again) == metrics
    digests = flow_store.inputs(trained, again)["digest"]
    assert digests.nunique() == 1


def test_the_flow_run_is_on_record(flow_store: Store) -> None:
    model = load("breast_cancer")
    trained = model.train()
    run_id = flow_store.show(trained)["flow_run_id"][0]
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
    assert run.state is not None
    assert run.state.is_completed()
    with get_client(sync_client=True) as client:
        assert client.read_flow(run.flow_id).name == "breast_cancer-train"


class Tiny(mfprefect.Model):
    """400 customers, two variables."""

    model_id = "tiny"
    entity_id = "customer_id"
    target = "left"
    retry_delay_seconds = 0.0

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        rng = np.random.default_rng(7)
        frame = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"])
        frame["left"] = (frame["a"] + rng.normal(size=400) > 0).astype(int)
        frame["customer_id"] = [f"c{number}" for number in range(400)]
        return frame

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        frame = self.training_data(as_of).drop(columns="left")
        return frame.iloc[part - 1 :: self.parts]


def outcome(run: Callable[..., Any], **parameters: Any) -> Any:
    return run(**parameters, return_state=True)


def test_a_failing_run_leaves_a_failed_session(flow_store: Store) -> None:
    class Broken(Tiny):
        model_id = "broken"

        def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
            raise TypeError("no such argument: depht")

    assert outcome(Broken.flows().train).is_failed()
    row = flow_store.sessions("broken").iloc[0]
    assert (row["status"], row["failure_kind"]) == ("failed", "TypeError")
    assert row["failure_text"] == "no such argument: depht"


def test_only_what_is_transient_is_tried_again(flow_store: Store) -> None:
    calls = {"link": 0, "code": 0}

    class Flaky(Tiny):
        model_id = "flaky"

        def training_data(self, as_of: dt.date) -> pd.DataFrame:
            calls["link"] += 1
            if calls["link"] < 3:
                raise ConnectionResetError("the warehouse hung up")
            return super().training_data(as_of)

        def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
            calls["code"] += 1
            raise KeyError("a programming error")

    assert outcome(Flaky.flows().train).is_failed()
    assert calls == {"link": 3, "code": 1}
    assert flow_store.sessions("flaky")["failure_kind"].tolist() == ["KeyError"]


def test_failed_checks_stop_the_run_before_the_model_sees_the_data(flow_store: Store) -> None:
    class Checked(Tiny):
        model_id = "checked"
        checks = [lambda frame: frame["a"] < 1.0]

        def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
            raise AssertionError("the model must not see this data")

    assert outcome(Checked.flows().train).is_failed()
    row = flow_store.sessions("checked").iloc[0]
    assert (row["status"], row["failure_kind"]) == ("failed", "ChecksFailed")
    assert flow_store.checks(row["session_id"])["failing_rows"].tolist()[0] > 0


def test_a_model_that_misses_its_gate_is_stored_but_never_used(flow_store: Store) -> None:
    class Gated(Tiny):
        model_id = "gated"
        gates = [Gate("auc", at_least=0.999)]

    flows = Gated.flows()
    assert outcome(flows.train).is_failed()
    row = flow_store.sessions("gated").iloc[0]
    assert row["failure_kind"] == "GateFailed"
    assert "auc" in row["failure_text"]
    assert values(flow_store, row["session_id"])["auc"] < 0.999
    assert flow_store.load_model(row["session_id"]) is not None
    with pytest.raises(mfprefect.InvalidValue, match="run its train flow first"):
        flows.score()
    with pytest.raises(mfprefect.InvalidValue, match="failed train session"):
        flows.score(training_session_id=row["session_id"])
    with pytest.raises(mfprefect.UnknownSession, match="nobody"):
        flows.score(training_session_id="nobody")


def test_a_retry_resumes_the_session_and_skips_complete_parts(flow_store: Store) -> None:
    scored: list[int] = []

    class Parted(Tiny):
        model_id = "parted"
        parts = 4
        retries = 0
        # The last two look at all parts, also at those that are kept.
        checks = [lambda frame: frame["a"] < 9.0, NullShare("a", at_most=0.5), Unique("b", "a")]

        def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
            scored.append(part)
            if part == 3 and scored.count(3) == 1:
                raise RuntimeError("died in part 3")
            return super().scoring_data(as_of, part)

    flows = Parted.flows()
    flows.train()
    assert outcome(flows.score.with_options(retries=1)).is_completed()
    assert sorted(scored) == [1, 2, 3, 3, 4]
    row = flow_store.sessions("parted").iloc[0]
    assert (row["purpose"], row["status"], row["attempt"]) == ("score", "succeeded", 2)
    assert len(flow_store.sessions("parted")) == 2
    # The same scores as of a run that nothing disturbed, and the same evidence of all parts: the
    # session before it failed in between, and told of what it had.
    undisturbed = flows.score()
    for read in (flow_store.scores, flow_store.checks, flow_store.input_summary):
        ours, theirs = (
            read(x).drop(columns="session_id", errors="ignore")
            for x in (row["session_id"], undisturbed)
        )
        pd.testing.assert_frame_equal(ours, theirs)
    assert flow_store.input_summary(undisturbed)["n"].tolist() == [400, 400]
    sources = flow_store.inputs(row["session_id"])["source"].tolist()
    assert sources == [f"scoring_data part {part}" for part in range(1, 5)]
    drift = flow_store.drift(row["session_id"])
    assert set(drift["verdict"]) == {"ok"}


def test_a_session_in_any_flow_is_resumed_by_its_retry(flow_store: Store) -> None:
    flow_store.add_model("own")
    seen: list[tuple[str, int]] = []

    @flow(retries=2)
    def nightly() -> None:
        with flow_store.session("own") as session:
            seen.append((session.session_id, session.attempt))
            session.log_metrics({f"of_attempt_{session.attempt}": 1})
            if session.attempt < 3:
                raise OSError("link down")
        with flow_store.session("own") as second:
            seen.append((second.session_id, second.attempt))

    nightly()
    first, other = seen[0][0], seen[3][0]
    assert seen == [(first, 1), (first, 2), (first, 3), (other, 1)]
    assert first != other
    assert list(values(flow_store, first)) == ["of_attempt_3"]


def test_settings_come_from_a_prefect_variable(
    flow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.variables import Variable

    monkeypatch.delenv("MFPREFECT_URL")
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'by_variable.db'}"
    Variable.set("mfprefect", {"url": url}, overwrite=True)

    @flow
    def place() -> str:
        with mfprefect.connect() as store:
            return str(store)

    try:
        assert "by_variable.db" in place()
        with mfprefect.connect() as outside:
            assert "by_variable.db" not in str(outside)
    finally:
        Variable.unset("mfprefect")
