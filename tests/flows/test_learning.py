"""What a model learns from, in whole flows: features, weights, classes, extras, gates."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import mfprefect
from mfprefect import ChecksFailed, Gate, GateFailed, InvalidValue, Model, Store
from mfprefect.checks import Columns
from mfprefect.quality.metrics.evaluation import UNWEIGHTED
from mfprefect.testing.models import TrainedModel, assert_flows_run, assert_round_trip

DAY = dt.date(2026, 1, 31)
RNG = np.random.default_rng(0)
DATA = pd.DataFrame(
    {
        "id": [f"c{k:03d}" for k in range(400)],
        "income": RNG.normal(size=400),
        "age": RNG.normal(size=400),
        "region": np.where(np.arange(400) % 2, "north", "south"),
        "seen_on": pd.Timestamp("2026-01-01"),
        "w": RNG.uniform(0.1, 3, size=400),
    }
)
DATA["y"] = (DATA["income"] + RNG.normal(size=400) > 0).astype(int)

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Churn(Model):
    model_id, entity_id, target, retries = "churn", "id", "y", 0
    not_features: ClassVar[Collection[str]] = ["region", "seen_on"]
    segments = ["region"]
    weight = "w"
    stratify = True
    checks = [Columns()]
    scoring_gates: ClassVar[Sequence[Any]] = [Gate.drift(variable="income")]
    drift_thresholds: ClassVar[dict[str, Any]] = {"age": 9.0}
    moved = 0.0
    lacking = ""

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return DATA.copy()

    def fit(self, features: pd.DataFrame, target: Any, weight: Any = None) -> Any:
        estimator = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        estimator.fit(features, target, logisticregression__sample_weight=weight)
        return estimator, {"shift": pd.Series({"north": 0.25, "south": 0.5})}

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return super().predict(estimator, features) * self.extras["shift"]["south"]

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        assert self.extras["shift"]["north"] == 0.25
        frame = DATA.drop(columns=["y", "w", "region"])
        frame["income"] += self.moved
        frame["age"] += self.moved
        return frame.drop(columns=self.lacking) if self.lacking else frame


@pytest.fixture
def store(flow_store: Store) -> Iterator[Store]:
    yield flow_store
    Churn.moved, Churn.lacking = 0.0, ""


def noted(store: Store, session_id: str, group: str) -> dict[str, str]:
    frame = store.metadata(session_id)
    rows = frame[frame["meta_group"] == group]
    return dict(zip(rows["meta_name"], rows["value"], strict=True))


def params(store: Store, session_id: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(store.show(session_id)["params"][0])
    return loaded


def test_from_features_to_a_stopped_publication(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, score, monitor = Churn.flows()
    trained = train(DAY)
    features = ["income", "age"]
    assert json.loads(noted(store, trained, "model")["features"]) == features
    assert store.input_summary(trained)["variable"].tolist() == sorted(features)
    assert set(store.variable_importance(trained)["variable"]) == set(features)
    assert {"region=north", "region=south"} <= set(store.metrics(trained)["segment"])

    # Weights reach fit and the metrics, which say so.
    model = TrainedModel(Churn, DAY)
    learn, test = model._parts
    estimator = store.load_model(trained)
    expected = Churn().fit(learn[features], learn["y"], learn["w"])[0]
    np.testing.assert_array_equal(estimator[-1].coef_, expected[-1].coef_)
    probability = estimator.predict_proba(test[features])[:, 1]
    frame = store.metrics(trained)
    for segment, by in (("", test["w"]), (UNWEIGHTED, None)):
        rows = frame[(frame["segment"] == segment) & (frame["metric_name"] == "auc")]
        auc = roc_auc_score(test["y"], probability, sample_weight=by)
        assert rows["value"].tolist() == [pytest.approx(auc)]
    weights = json.loads(noted(store, trained, "test")["weights"])
    assert ("auc" in weights["weighted"], "lift_10" in weights["not_weighted"]) == (True, True)

    # The split is the same share of each class; all of it is on record, typed.
    assert abs(test["y"].mean() - DATA["y"].mean()) < 0.01
    recorded = params(store, trained)
    assert recorded["learning.weight"] == "w"
    assert recorded["split.stratify"] is True
    assert recorded["split.test_share"] == 0.3
    assert recorded["estimator.logisticregression__C"] == 1.0
    assert recorded["estimator.logisticregression__class_weight"] == "balanced"
    assert recorded["estimator.standardscaler__with_mean"] is True

    # The score flow uses the recorded features and the extras, and no other column.
    shift = store.load_extras(trained)["shift"]
    pd.testing.assert_series_equal(shift, pd.Series({"north": 0.25, "south": 0.5}))
    scored = score(DAY)
    scores = store.scores(scored).set_index("entity_id")["score"]
    given = estimator.predict_proba(DATA[features])[:, 1] * 0.5
    np.testing.assert_allclose(scores, pd.Series(given, DATA["id"]).loc[scores.index])
    assert store.input_summary(scored)["variable"].tolist() == sorted(features)
    assert set(store.drift(monitor(DAY))["variable"]) <= {*features, "score"}
    assert store.gates(scored)[["kind", "verdict"]].to_numpy().tolist() == [["drift", "passed"]]

    # Data that drifted publish nothing; a variable's threshold and gate are its own.
    Churn.moved = 3.0
    with pytest.raises(GateFailed, match=r"drifted: income \(psi [\d.]+, allowed 0.25\)"):
        score(DAY)
    failed = store.sessions("churn").iloc[0]
    assert (failed["status"], failed["failure_kind"]) == ("failed", "GateFailed")
    assert pd.isna(failed["published_at"])
    verdicts = store.gates(failed["session_id"])
    assert verdicts["verdict"].tolist() == ["failed"]
    assert verdicts["production_session_id"].tolist() == [trained]
    assert set(store.latest_scores("churn", "c000")["session_id"]) == {scored}
    drift = store.drift(failed["session_id"]).set_index(["variable", "measure"])
    assert drift.loc[("age", "psi"), "threshold"] == 9.0
    assert drift.loc[("age", "psi"), "verdict"] != "alarm"
    assert drift.loc[("income", "psi"), "verdict"] == "alarm"
    store.verify()

    Churn.moved, Churn.lacking = 0.0, "age"
    with pytest.raises(ChecksFailed, match="missing: age"):
        score(DAY)
    monkeypatch.setattr(Churn, "checks", [])
    with pytest.raises(InvalidValue, match="scoring_data lacks the column 'age'"):
        score(DAY)


def test_what_a_training_cannot_learn_from_is_refused(store: Store) -> None:
    class Missing(Churn):
        not_features = ["regoin"]

    class Negative(Churn):
        def training_data(self, as_of: dt.date) -> pd.DataFrame:
            return DATA.assign(w=-1.0)

    class Unknown(Churn):
        drift_thresholds = {"incom": 0.4}

    class Rich(Churn):
        def fit(self, features: pd.DataFrame, target: Any, weight: Any = None) -> Any:
            return super().fit(features, target, weight)[0], {"today": DAY}

    for model, message in (
        (Missing, "'regoin' in not_features, and training_data after the checks lacks this"),
        (Negative, "the column 'w' of training_data: .* -1.0 at position 0"),
        (Unknown, "'incom' in drift_thresholds, which is not one of its features: income, age"),
        (Rich, "Rich.fit returned the extra 'today', a datetime.date, which cannot be stored"),
    ):
        with pytest.raises(mfprefect.MfprefectError, match=message):
            model.flows().train(DAY)
    assert set(store.sessions("churn")["status"]) == {"failed"}
    assert store.artifacts(*store.sessions("churn")["session_id"]).empty


class Grades(Churn):
    model_id, model_type = "grades", "multiclass"
    classes = ["low", "mid", "high", "top"]
    features = ["income", "age"]
    not_features = ()
    stratify = False
    scoring_gates = ()
    drift_thresholds = {}
    rare = "high"

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        frame = DATA.assign(y=np.where(DATA["y"] == 1, "mid", "low"))
        frame.loc[:2, "y"] = self.rare
        return frame

    def fit(self, features: pd.DataFrame, target: Any, weight: Any = None) -> Any:
        return DecisionTreeClassifier(max_depth=2).fit(features, target, sample_weight=weight)

    predict = Model.predict

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return DATA


def test_declared_classes(store: Store) -> None:
    model = TrainedModel(Grades, DAY)
    ids = assert_flows_run(model, store)
    assert_round_trip(model, store)
    assert store.load_extras(ids[0]) == {}
    test = noted(store, ids[0], "test")
    assert "top" in json.loads(test["classes_never_predicted"])
    assert "top" in json.loads(test["confusion_matrix"])["classes"]
    assert params(store, ids[0])["learning.classes"] == ["low", "mid", "high", "top"]

    class Odd(Grades):
        rare = "other"

    with pytest.raises(InvalidValue, match=r"has the value 'other' in \d rows, and Odd declares"):
        Odd.flows().train(DAY)


def test_the_model_in_production_keeps_its_own_extras(store: Store) -> None:
    class Compared(Churn):
        gates = [Gate("auc", not_worse_than_production_by=0.5)]
        shift = 1.0

        def fit(self, features: pd.DataFrame, target: Any, weight: Any = None) -> Any:
            return super().fit(features, target, weight)[0], {"scale": self.shift}

        def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
            return Model.predict(self, estimator, features) * self.extras["scale"]

    class Later(Compared):
        shift = 0.0  # all its scores are equal

    store.promote("churn", Compared.flows().train(DAY), reason="the first")
    later = Later.flows().train.with_options(retries=0)
    later(DAY, return_state=True)
    newest = store.sessions("churn").iloc[0]["session_id"]
    (gate,) = store.gates(newest).to_dict("records")
    assert gate["production_figure"] > 0.7
    assert gate["difference"] < -0.2
    assert "whatever its weight" in gate["reason"]
    assert "may have learned some of these" in gate["reason"]
