"""Monitoring: real outcomes against published scores, drift, on every database."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score, root_mean_squared_error

import mfprefect
from mfprefect import InvalidValue, Model, Store
from mfprefect.lifecycle.monitoring import monitor_model
from mfprefect.lifecycle.outcomes import read_outcomes
from mfprefect.lifecycle.scoring_inputs import PartRecorder, ScoringInputs, references_of
from mfprefect.quality import ks_drift, psi
from mfprefect.quality.summary.sample import InputSummarizer

FLOWS = Path(__file__).parents[2] / "flows"
DAY = dt.date(2026, 1, 31)
LATER = dt.date(2026, 2, 28)


class Churn(Model):
    """Scores are written by the tests; so is what became of the customers."""

    model_id = "churn"
    entity_id = "customer_id"
    target = "left"
    retry_delay_seconds = 0.0
    min_outcomes = 10
    known_outcomes: ClassVar[dict[dt.date, Any]] = {}

    def outcomes(self, as_of: dt.date) -> Any:
        return self.known_outcomes.get(as_of)


@pytest.fixture
def store(flow_store: Store) -> Iterator[Store]:
    flow_store.add_model("churn", entity_type="customer")
    yield flow_store


def variant(outcomes: dict[dt.date, Any], **changes: Any) -> type[Model]:
    return type("Variant", (Churn,), {"known_outcomes": outcomes, **changes})


def train(store: Store, metrics: dict[str, float], features: pd.DataFrame | None = None) -> str:
    with store.session("churn", purpose="train") as session:
        session.log_metrics(metrics)
        if features is not None:
            session.log_input_summary(features)
    return session.session_id


def score(
    store: Store,
    scores: Sequence[float] | Any,
    as_of: dt.date = DAY,
    parent: str | None = None,
    ids: Sequence[Any] | None = None,
    publish: bool = True,
) -> str:
    names = [f"c{k}" for k in range(len(scores))] if ids is None else ids
    session = store.session("churn", purpose="score", as_of=as_of, parent=parent)
    frame = pd.DataFrame({"customer_id": names, "score": scores})
    session.write_scores(frame, entity_id="customer_id")
    session.close(publish=publish)
    return session.session_id


def monitor(store: Store, kind: type[Model]) -> str:
    with store.session("churn", purpose="monitor") as session:
        monitor_model(store, kind, session)
    return session.session_id


def outcome(run: Any) -> Any:
    return run(return_state=True)


def figures(store: Store, session_id: str, of: str = "") -> dict[str, float]:
    """Return the metrics of one scoring session, or those of all rows."""
    frame = store.metrics(session_id)
    rows = frame[frame["segment"] == (f"session={of}" if of else "")]
    return dict(zip(rows["metric_name"], rows["value"], strict=True))


def drift(store: Store, session_id: str) -> dict[tuple[str, str], Any]:
    rows = store.drift(session_id).to_dict("records")
    return {(row["variable"], row["measure"]): row for row in rows}


def told(store: Store, session_id: str, group: str = "monitor") -> dict[str, str]:
    frame = store.metadata(session_id)
    rows = frame[frame["meta_group"] == group]
    return dict(zip(rows["meta_name"], rows["value"], strict=True))


def outcome_rows(actual: Sequence[Any] | Any, ids: Sequence[Any] | None = None) -> pd.DataFrame:
    names = [f"c{k}" for k in range(len(actual))] if ids is None else ids
    return pd.DataFrame({"customer_id": names, "actual": actual})


def test_the_flows_of_a_model_end_to_end(flow_store: Store) -> None:
    spec = importlib.util.spec_from_file_location("breast_cancer", FLOWS / "breast_cancer.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    trained, scored = module.train(), module.score(as_of=DAY)
    watched = module.monitor()

    row = flow_store.show(watched).iloc[0]
    assert (row["purpose"], row["status"]) == ("monitor", "succeeded")
    truth = module.BreastCancer().outcomes(DAY).set_index("patient_id")["actual"]
    scores = flow_store.scores(scored).set_index("entity_id")["score"]
    metrics = figures(flow_store, watched, of=scored)
    expected = roc_auc_score(truth.loc[scores.index], scores)
    assert metrics["auc"] == pytest.approx(expected, rel=1e-12)
    assert (metrics["matched_share"], metrics["n"], metrics["n_outcomes"]) == (1, 569, 569)
    assert figures(flow_store, watched)["auc"] == metrics["auc"]
    assert flow_store.inputs(watched)["source"].tolist() == ["outcomes 2026-01-31"]
    row = drift(flow_store, watched)["auc", "drop"]
    before = figures(flow_store, trained)["auc"]
    assert row["value"] == pytest.approx(before - expected, abs=1e-12)
    assert (row["verdict"], row["reference_session_id"]) == ("ok", trained)
    assert flow_store.freshness()["stale"].tolist() == [False]


def test_outcomes_of_some_are_joined_by_the_text_of_their_ids(store: Store) -> None:
    random = np.random.default_rng(1)
    scores = random.random(60)
    scored = score(store, scores, ids=list(range(60)))
    # Shuffled; 20 are not known, 5 of them by a NULL, and 3 were never scored.
    ids = [*random.permutation(45), 100, 101, 102]
    actual = pd.array((random.random(48) < 0.5).astype(int), dtype="Int64")
    actual[40:45] = pd.NA
    kind = variant({DAY: outcome_rows(actual, ids)})
    watched = monitor(store, kind)

    metrics = figures(store, watched, of=scored)
    assert (metrics["n_scored"], metrics["n_outcomes"], metrics["n"]) == (60, 43, 40)
    assert metrics["matched_share"] == 40 / 60
    expected = roc_auc_score(actual[:40].astype(int), scores[ids[:40]])
    assert metrics["auc"] == pytest.approx(expected, rel=1e-12)
    note = told(store, watched, "outcomes")[scored]
    assert note == "40 of 60 scores have a known outcome"


def test_each_session_has_its_segment_and_the_newest_known_one_is_the_models(store: Store) -> None:
    random = np.random.default_rng(2)
    days = [dt.date(2026, month, 1) for month in range(1, 6)]
    scores = [random.random(40) for _ in days]
    scored = [score(store, x, day) for x, day in zip(scores, days, strict=True)]
    hidden = score(store, scores[0], days[4], publish=False)
    actual = [(x + random.normal(0, 0.4, 40) > 0.5).astype(int) for x in scores]
    outcomes = {day: outcome_rows(y) for day, y in zip(days, actual, strict=True)}
    outcomes[days[3]] = outcomes[days[3]].head(5)  # not enough to be judged
    del outcomes[days[4]]
    watched = monitor(store, variant(outcomes, monitored_sessions=4))

    assert json.loads(told(store, watched)["sessions"]) == scored[1:]
    assert told(store, watched)["performance_of"] == scored[2]
    for place in (1, 2):
        expected = roc_auc_score(actual[place], scores[place])
        assert figures(store, watched, scored[place])["auc"] == pytest.approx(expected)
    assert figures(store, watched)["auc"] == figures(store, watched, scored[2])["auc"]
    assert figures(store, watched, scored[3])["n"] == 5
    assert figures(store, watched, scored[4])["matched_share"] == 0
    segments = set(store.metrics(watched)["segment"])
    assert segments == {"", *(f"session={x}" for x in scored[1:])}
    assert f"session={hidden}" not in segments


def test_one_class_gives_what_is_defined_and_says_so(store: Store) -> None:
    scored = score(store, [0.1, 0.4] * 20)
    watched = monitor(store, variant({DAY: outcome_rows([0] * 40)}))
    metrics = figures(store, watched, scored)
    assert metrics["brier"] == pytest.approx((0.01 + 0.16) / 2)
    assert (metrics["n"], metrics["base_rate"]) == (40, 0)
    assert "auc" not in metrics
    assert figures(store, watched) == {}
    assert "each of these is 0" in told(store, watched, "outcomes")[scored]
    assert "performance_of" not in told(store, watched)


def test_nothing_to_monitor_is_no_failure(store: Store) -> None:
    watched = monitor(store, variant({}))
    assert told(store, watched) == {"result": "no published scores yet"}
    score(store, [0.5, 0.6], publish=False)
    assert told(store, monitor(store, variant({})))["result"] == "no published scores yet"
    scored = score(store, [0.5, 0.6])
    nothing_known = outcome_rows([None, None])
    for outcomes in ({}, {DAY: nothing_known}, {DAY: nothing_known.head(0)}):
        watched = monitor(store, variant(outcomes))
        metrics = figures(store, watched, scored)
        assert metrics == {"n_scored": 2, "n_outcomes": 0, "matched_share": 0}
        assert store.show(watched)["status"].tolist() == ["succeeded"]


def test_scores_that_moved_are_an_alarm_and_others_are_not(store: Store) -> None:
    random = np.random.default_rng(3)
    trained = train(store, {"auc": 0.8})
    first, second, third = random.beta(2, 5, 800), random.beta(2, 5, 700), random.beta(3, 4, 900)
    scored = [score(store, x, parent=trained) for x in (first, second)]
    calm = drift(store, monitor(store, variant({})))
    assert {row["verdict"] for row in calm.values()} == {"ok"}
    assert calm["score", "psi_first"]["value"] == pytest.approx(psi(first, second), rel=1e-12)

    newest = score(store, third, parent=trained)
    # The first one counts also when it is older than the sessions that are monitored.
    watched = monitor(store, variant({}, monitored_sessions=2))
    measures = drift(store, watched)
    for measure, reference, at in (("first", first, 0), ("previous", second, 1)):
        for name, value in (("psi", psi(reference, third)), ("ks", ks_drift(reference, third))):
            row = measures["score", f"{name}_{measure}"]
            assert row["value"] == pytest.approx(value, rel=1e-12)
            assert (row["verdict"], row["reference_session_id"]) == ("alarm", scored[at])
    assert told(store, watched)["drift_of"] == newest
    segment = figures(store, watched, newest)
    assert segment["score_ks_previous"] == measures["score", "ks_previous"]["value"]
    assert figures(store, watched, scored[1])["score_psi_first"] == pytest.approx(
        psi(first, second), rel=1e-12
    )
    lax = drift(store, monitor(store, variant({}, drift_threshold=9.0)))
    assert {row["verdict"] for row in lax.values()} == {"ok"}


def test_features_are_compared_with_those_of_training_and_of_the_session_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(4)

    def features(shift: float) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "age": random.normal(40 + shift, 9, 600),
                "plan": random.choice(["s", "m"], 600),
                "score": random.normal(shift, 9, 600),
            }
        )

    base, calm, moved, still = features(0), features(0), features(12), features(12)
    trained, retrained = train(store, {}, base), train(store, {}, moved)
    kind = variant({}, parts=2)
    sessions = []
    for frame, parent in ((calm, trained), (moved, trained), (still, retrained)):
        with store.session("churn", purpose="score", parent=parent, as_of=DAY) as session:
            evidence = ScoringInputs(store, kind, session, parent)
            references = references_of(store, parent, evidence.compared)
            # Parts of unequal size, as different processes see them: figures are those of all rows.
            for part, rows in ((2, frame[150:]), (1, frame[:150])):
                recorder = PartRecorder(store.database, session.handle, part)
                summarizer = InputSummarizer(references, 0)
                summarizer.add(rows, ())
                recorder.keep_summary(summarizer, evidence.compared, kind.masked)
            evidence.log()
            scores = pd.DataFrame({"id": range(600), "score": frame["age"]})
            session.write_scores(scores, entity_id="id")
        sessions.append(session.session_id)
        if len(sessions) == 2:
            watched = monitor(store, kind)
    expected = psi(base["age"], moved["age"])
    assert expected > 0.25
    # At scoring time and by the monitor: the same figures.
    for session_id in (sessions[1], watched):
        measures = drift(store, session_id)
        assert measures["age", "psi"]["value"] == pytest.approx(expected, rel=1e-12)
        assert measures["age", "psi"]["verdict"] == measures["age", "ks"]["verdict"] == "alarm"
        ks = ks_drift(base["age"], moved["age"])
        assert ks - 0.02 < measures["age", "ks"]["value"] <= ks
        assert measures["plan", "psi"]["verdict"] == "ok"
        assert measures["age", "null_share"]["value"] == 0
        assert measures["age", "psi"]["reference_session_id"] == trained
        # In the training's bins, which both were counted in.
        assert measures["age", "psi_previous"]["verdict"] == "alarm"
        assert measures["age", "psi_previous"]["reference_session_id"] == sessions[0]
        assert measures["plan", "null_share_previous"]["verdict"] == "ok"
        assert measures["score (input)", "psi_previous"]["verdict"] == "alarm"
    assert store.input_summary(sessions[0])["n"].tolist() == [600] * 3
    assert store.metadata(sessions[0]).empty
    assert {row["verdict"] for row in drift(store, sessions[0]).values()} == {"ok"}
    assert ("age", "psi_previous") not in drift(store, sessions[0])
    most = max(psi(base[name], moved[name]) for name in ("age", "score"))
    assert figures(store, watched, sessions[1])["feature_psi_max"] == pytest.approx(most)

    # Another training has other bins: the score flow counts what it scores in both.
    watched = monitor(store, kind)
    for session_id in (sessions[2], watched):
        row = drift(store, session_id)["age", "psi_previous"]
        assert (row["verdict"], row["reference_session_id"]) == ("ok", sessions[1])
        assert drift(store, session_id)["age", "psi"]["reference_session_id"] == retrained

    # The settings of this model come before what its class says.
    monkeypatch.setenv("MFPREFECT_DRIFT", '{"psi": 9, "models": {"churn": {"ks": 0.9}}}')
    lax = variant({}, monitored_sessions=1)
    with mfprefect.connect(store.database.settings.url.get_secret_value()) as other:
        judged = drift(other, monitor(other, lax))
    assert judged["score", "psi_previous"]["threshold"] == 9
    assert judged["score", "ks_previous"]["threshold"] == 0.9


def test_scores_are_compared_with_those_of_the_trainings_test_rows(store: Store) -> None:
    random = np.random.default_rng(8)
    tested, published = random.beta(2, 5, 4_000), random.beta(3, 4, 3_000)
    actual = (random.random(4_000) < tested).astype(int)
    for kind, given in (("binary", actual), ("regression", tested)):
        with store.session("churn", purpose="train") as session:
            session.log_test_results(given, tested, model_type=kind)
        scored = score(store, published, parent=session.session_id)
        watched = monitor(store, variant({}, model_type=kind, monitored_sessions=1))
        measures = drift(store, watched)
        for name, value in (("psi", psi(tested, published)), ("ks", ks_drift(tested, published))):
            row = measures["score", f"{name}_training"]
            assert row["value"] == pytest.approx(value, abs=0.01)
            assert (row["verdict"], row["reference_session_id"]) == ("alarm", session.session_id)
        assert figures(store, watched, scored)["score_psi_training"] == row_value(measures, "psi")


def row_value(measures: dict[tuple[str, str], Any], name: str) -> float:
    return float(measures["score", f"{name}_training"]["value"])


def test_performance_that_dropped_is_an_alarm(store: Store) -> None:
    random = np.random.default_rng(5)
    actual = (random.random(3_000) < 0.4).astype(int)
    trained = train(store, {"auc": 0.9, "n": 3_000, "n_positive": 1_200})
    scores = random.random(3_000) + 0.3 * actual
    score(store, scores, parent=trained)
    watched = monitor(store, variant({DAY: outcome_rows(actual)}))
    row = drift(store, watched)["auc", "drop"]
    assert row["value"] == pytest.approx(0.9 - roc_auc_score(actual, scores))
    assert (row["verdict"], row["threshold"]) == ("alarm", 0.05)
    lax = monitor(store, variant({DAY: outcome_rows(actual)}, performance_drop=0.5))
    assert drift(store, lax)["auc", "drop"]["verdict"] == "ok"


def test_a_regression(store: Store) -> None:
    random = np.random.default_rng(6)
    actual = random.normal(100, 20, 500)
    predicted = actual + random.normal(3, 10, 500)
    trained = train(store, {"rmse": 8.0, "n": 500.0})
    scored = score(store, predicted, parent=trained)
    watched = monitor(store, variant({DAY: outcome_rows(actual)}, model_type="regression"))
    metrics = figures(store, watched, scored)
    expected = root_mean_squared_error(actual, predicted)
    assert metrics["rmse"] == pytest.approx(expected)
    assert metrics["bias"] == pytest.approx((predicted - actual).mean())
    assert drift(store, watched)["rmse", "drop"]["value"] == pytest.approx(expected / 8 - 1)
    assert drift(store, watched)["rmse", "drop"]["verdict"] == "alarm"
    assert store.backtests(watched).empty


def test_a_time_series_is_back_tested(store: Store) -> None:
    kind_of = {"model_type": "time_series", "min_outcomes": 2}
    ids = [f"{shop}/{month}" for shop in ("a", "b") for month in ("2026-02", "2026-03")]
    score(store, [10.0, 11.0, 20.0, 21.0], DAY, ids=ids)
    newest = score(store, [12.0, 22.0], LATER, ids=["a/2026-03", "b/2026-03"])
    truth = pd.DataFrame({"entity_id": ids, "actual": [9.0, 13.0, 19.0, 22.0]})
    truth["series"] = [x.split("/")[0] for x in ids]
    truth["period"] = [x.split("/")[1] for x in ids]
    watched = monitor(store, variant({DAY: truth, LATER: truth}, **kind_of))
    rows = store.backtests(watched)[["series", "period", "predicted", "actual"]]
    # Of a period that was forecast twice, the newest forecast.
    assert sorted(rows.itertuples(index=False, name=None)) == [
        ("a", "2026-02", 10.0, 9.0),
        ("a", "2026-03", 12.0, 13.0),
        ("b", "2026-02", 20.0, 19.0),
        ("b", "2026-03", 22.0, 22.0),
    ]
    assert figures(store, watched, newest)["mae"] == 0.5
    assert figures(store, watched)["mae"] == 0.5

    single = truth[truth["series"] == "a"].drop(columns="series")
    watched = monitor(store, variant({DAY: single}, **kind_of))
    assert set(store.backtests(watched)["series"]) == {"all"}
    twice = truth.assign(period="2026-02")
    with pytest.raises(InvalidValue, match="repeat a period of a series, such as '2026-02' of 'a'"):
        read_outcomes(variant({DAY: twice}, **kind_of)(), DAY)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"customer": ["c0"], "actual": [1]},
            "'entity_id' is missing; the columns are customer, actual",
        ),
        ({"customer_id": ["c0"]}, "'actual' is missing"),
        ({"customer_id": ["c0", "c0"], "actual": [1, 0]}, "repeat an entity, such as 'c0'"),
        ({"customer_id": ["c0"], "actual": [2]}, "not 0, 1, False or True: 2"),
        ({"customer_id": ["c0"], "actual": ["yes"]}, "'yes' at position 0"),
        ({"customer_id": [1.0], "actual": [1]}, "must be text or integers"),
        ({"customer_id": [None], "actual": [1]}, "are NULL"),
    ],
)
def test_outcomes_that_cannot_be_used(rows: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValue, match=message) as caught:
        read_outcomes(variant({DAY: pd.DataFrame(rows)})(), DAY)
    assert str(caught.value).startswith("outcomes(2026-01-31) of model 'churn' cannot be used: ")


def test_outcomes_that_cannot_be_used_fail_the_run(store: Store) -> None:
    score(store, [0.5])
    rows = pd.DataFrame({"customer_id": ["c0"]})
    assert outcome(variant({DAY: rows}).flows().monitor).is_failed()
    newest = store.sessions("churn").iloc[0]
    assert (newest["status"], newest["failure_kind"]) == ("failed", "InvalidValue")
    assert "the column 'actual' is missing" in newest["failure_text"]


def test_outcomes_are_read_again_after_a_transient_error_only(store: Store) -> None:
    calls = {"link": 0, "code": 0}
    score(store, [0.2, 0.7] * 10)

    class Flaky(Churn):
        def outcomes(self, as_of: dt.date) -> Any:
            calls["link"] += 1
            if calls["link"] < 3:
                raise ConnectionResetError("the warehouse hung up")
            return self.read(outcome_rows([0, 1] * 10))

    class Broken(Churn):
        def outcomes(self, as_of: dt.date) -> Any:
            calls["code"] += 1
            raise KeyError("a programming error")

    watched = monitor(store, Flaky)
    assert figures(store, watched)["auc"] == 1
    assert store.inputs(watched)["rows"].tolist() == [20]
    assert outcome(Broken.flows().monitor).is_failed()
    assert calls == {"link": 3, "code": 1}


def test_what_the_class_says_is_checked() -> None:
    for name, value, message in (
        ("model_type", "forest", "choose one of binary, multiclass, regression, time_series"),
        ("segments", "region", r"use a list of columns: \['region'\]"),
        ("monitored_sessions", 0, "1 or more"),
        ("min_outcomes", True, "1 or more"),
        ("drift_threshold", -1, "a number above 0"),
        ("performance_drop", "5 %", "a number above 0"),
    ):
        with pytest.raises(mfprefect.ConfigurationError, match=message):
            variant({}, **{name: value}).flows()
    assert Churn().outcomes(DAY) is None
