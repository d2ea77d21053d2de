"""Flows of models without a target: anomaly scores and clusters, from training to monitoring."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mfprefect
from mfprefect import ConfigurationError, GateFailed, Store
from mfprefect.lifecycle.split import is_test
from mfprefect.testing.models import TrainedModel, assert_round_trip

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAYS = [dt.date(2026, month, 1) for month in (1, 2, 3)]
RNG = np.random.default_rng(0)
DATA = pd.DataFrame({
    "id": [f"c{k:03d}" for k in range(400)],
    "x": RNG.normal(size=400),
    "z": RNG.normal(size=400),
    "region": np.where(np.arange(400) % 2, "north", "south"),
})  # fmt: skip
DATA.loc[:19, "x"] += 8
FRAUD = (DATA.index < 20).astype(int)


class Odd(mfprefect.Model):
    model_id, entity_id, model_type, retries = "odd", "id", "unsupervised", 0
    segments: ClassVar[Any] = ("region",)
    gates: ClassVar[Any] = [mfprefect.Gate("anomaly_share", at_least=0.01, at_most=0.5)]
    noise = 0.0

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return DATA

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        assert target is None
        return IsolationForest(random_state=0, contamination=0.05).fit(features[["x", "z"]])

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return super().predict(estimator, features[["x", "z"]])

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        if as_of < DAYS[2]:
            return DATA
        return DATA.assign(x=RNG.permutation(DATA["x"]))  # it no longer belongs to the frauds

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        return pd.DataFrame({"id": DATA["id"], "actual": FRAUD})


class Plain(Odd):
    """With the default `predict`."""

    segments: ClassVar[Any] = ()

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return DATA.drop(columns="region")

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return IsolationForest(random_state=1, contamination=0.05).fit(features)

    predict = mfprefect.Model.predict


class Groups(Plain):
    model_id = "groups"
    gates: ClassVar[Any] = [
        mfprefect.Gate("silhouette", at_least=0.1),
        mfprefect.Gate("smallest_cluster", at_least=0.01),
        mfprefect.Gate.drift(),
    ]

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return make_pipeline(StandardScaler(), KMeans(2, random_state=0, n_init=3)).fit(features)


def figures(store: Store, session_id: str, segment: str = "") -> dict[str, float]:
    frame = store.metrics(session_id)
    rows = frame[frame["segment"] == segment]
    return dict(zip(rows["metric_name"], rows["value"], strict=True))


def noted(store: Store, session_id: str, group: str) -> dict[str, str]:
    frame = store.metadata(session_id)
    rows = frame[frame["meta_group"] == group]
    return dict(zip(rows["meta_name"], rows["value"], strict=True))


def test_anomalies(flow_store: Store) -> None:
    store = flow_store
    train, score, monitor = Odd.flows()
    trained = train(DAYS[0])
    held_out = DATA[[is_test(value, 0.3) for value in DATA["id"]]]
    forest = store.load_model(trained)
    metrics = figures(store, trained)
    assert metrics["n"] == len(held_out)
    assert metrics["anomaly_share"] == (forest.predict(held_out[["x", "z"]]) == -1).mean()
    assert figures(store, trained, "region=north")["n"] == (held_out["region"] == "north").sum()
    assert noted(store, trained, "model") == {
        "features": json.dumps(["x", "z", "region"]),
        "scores": "Odd.predict",
    }
    assert "no error that a variable could reduce" in noted(store, trained, "importance")["all"]
    assert store.variable_importance(trained).empty
    assert store.curve(trained).empty
    assert store.gates(trained)["verdict"].tolist() == ["passed"]

    store.promote("odd", trained)
    challenger = Plain.flows().train(DAYS[0])
    scored = [score(day, shadow=challenger) for day in DAYS]
    scores = store.scores(scored[0]).set_index("entity_id")["score"].loc[DATA["id"]]
    np.testing.assert_allclose(scores, -forest.decision_function(DATA[["x", "z"]]))
    assert scores.iloc[:20].min() > scores.iloc[20:].median()
    shadows = store.sessions("odd")
    shadows = shadows[(shadows["purpose"] == "score") & shadows["published_at"].isna()]
    assert len(shadows) == 3

    watched = monitor(DAYS[2])
    first = figures(store, watched, f"session={scored[0]}")
    assert first["auc"] == pytest.approx(roc_auc_score(FRAUD, scores))
    assert "brier" not in first
    drift = store.drift(watched).set_index(["variable", "measure"])
    drop: Any = drift.loc[("auc", "drop")]
    assert drop["verdict"] == "alarm"
    assert drop["reference_session_id"] == scored[0]
    assert drop["value"] == pytest.approx(first["auc"] - figures(store, watched)["auc"])
    assert drift.loc[("score", "psi_training"), "verdict"] == "ok"
    assert drift.loc[("x", "psi"), "verdict"] in ("ok", "warning")


def test_clusters(flow_store: Store) -> None:
    store = flow_store
    train, score, monitor = Groups.flows()
    trained = train(DAYS[0])
    store.promote("groups", trained)
    again = train(DAYS[0])
    assert set(store.gates(again)["verdict"]) == {"passed"}
    test = DATA[[is_test(value, 0.3) for value in DATA["id"]]][["x", "z"]]
    pipeline = store.load_model(trained)
    labels, points = pipeline.predict(test), pipeline[0].transform(test)
    metrics = figures(store, trained)
    assert metrics["silhouette"] == pytest.approx(silhouette_score(points, labels))
    assert metrics["n_clusters"] == 2
    assert noted(store, trained, "model")["scores"].startswith("transform: the distance")
    sizes = json.loads(noted(store, trained, "test")["cluster_sizes"])
    assert sum(sizes["rows"]) == len(test)

    scored = score(DAYS[0])
    frame = store.scores(scored).set_index("entity_id").loc[DATA["id"]]
    assert frame["score_class"].tolist() == pipeline.predict(DATA[["x", "z"]]).astype(str).tolist()
    distances = pipeline.transform(DATA[["x", "z"]]).min(axis=1)
    np.testing.assert_allclose(frame["score"], distances)
    watched = monitor(DAYS[0])
    assert store.show(watched)["status"].tolist() == ["succeeded"]
    assert "auc" in figures(store, watched)
    assert "auc" not in set(store.drift(watched)["variable"])  # nothing older to compare with
    store.set_threshold("groups", 0.05, "population")
    for session_id in (trained, scored, watched):
        page = store.report(session_id)
        assert "ROC" not in page
        assert "Confusion" not in page
    page = store.report(again)
    assert "Distribution of the scores" in page
    assert "Clusters, most test rows first" in page
    assert "no variable importance" in page
    assert "Clusters, most test rows first" in store.model_report("groups")


def test_a_missed_gate_keeps_the_model(flow_store: Store) -> None:
    kind: type[mfprefect.Model] = type(
        "Strict", (Groups,), {"gates": [mfprefect.Gate("silhouette", at_least=0.99)]}
    )
    with pytest.raises(GateFailed, match="silhouette is"):
        kind.flows().train(DAYS[0])
    failed = flow_store.sessions("groups")["session_id"].iloc[0]
    assert flow_store.load_model(failed) is not None


def test_all_rows_are_used_where_none_is_held_out(flow_store: Store) -> None:
    kind: type[mfprefect.Model] = type("Whole", (Plain,), {"test_share": 0, "gates": ()})
    trained = kind.flows().train(DAYS[0])
    assert figures(flow_store, trained)["n"] == 400
    split = noted(flow_store, trained, "split")
    assert (split["rows"], split["test_rows"], split["test_share"]) == ("400", "400", "0")
    assert_round_trip(TrainedModel(kind), flow_store)


class Weighted(Groups):
    """With all that a class may declare of its learning, and extras."""

    model_id, weight, trial_rows = "weighted", "w", 10
    not_features: ClassVar[Any] = ["region"]
    segments: ClassVar[Any] = ("region",)
    gates: ClassVar[Any] = [mfprefect.Gate("n_clusters", at_least=2)]
    scoring_gates: ClassVar[Any] = [mfprefect.Gate.drift(variable="z")]
    moved = 0.0
    fits: ClassVar[list[pd.Series[float]]] = []

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return DATA.assign(w=np.where(DATA.index < 20, 0.0, 2.0))

    def fit(self, features: pd.DataFrame, target: Any, weight: Any = None) -> Any:
        assert target is None
        self.fits.append(weight)
        centre = features.mean()
        means = KMeans(2, random_state=0, n_init=3).fit(features - centre, sample_weight=weight)
        return means, {"centre": centre}

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return super().predict(estimator, features - self.extras["centre"])

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return DATA.assign(z=DATA["z"] + self.moved)


def test_weights_features_extras_and_gates_of_scorings(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, learned = flow_store, DATA[[not is_test(value, 0.3) for value in DATA["id"]]]
    train, score, _ = Weighted.flows()
    trained = train(DAYS[0])
    tried, weight = Weighted.fits
    assert len(tried) == 10
    pd.testing.assert_index_equal(weight.index, learned.index)
    assert set(weight[:20]) == {0.0, 2.0}
    assert noted(store, trained, "trial")["result"] == "stored, loaded and used"
    assert json.loads(noted(store, trained, "model")["features"]) == ["x", "z"]
    centre = store.load_extras(trained)["centre"]
    pd.testing.assert_series_equal(centre, learned[["x", "z"]].mean())
    params = json.loads(store.show(trained)["params"][0])
    assert params["estimator.n_clusters"] == 2
    assert params["learning.weight"] == "w"
    assert params["split.test_share"] == 0.3
    assert figures(store, trained)["n"] == len(DATA) - len(learned)  # each row counts once
    assert "weights" not in noted(store, trained, "test")
    assert {"region=north", "region=south"} <= set(store.metrics(trained)["segment"])

    scored = store.scores(score(DAYS[0])).set_index("entity_id").loc[DATA["id"]]
    distances = store.load_model(trained).transform(DATA[["x", "z"]] - centre)
    np.testing.assert_allclose(scored["score"], distances.min(axis=1))
    monkeypatch.setattr(Weighted, "moved", 5.0)
    with pytest.raises(GateFailed, match="z"):
        score(DAYS[1])
    assert_round_trip(TrainedModel(Weighted), store)


# Case 40: neither a target nor a type.
class Case(mfprefect.Model):
    model_id, entity_id, retries = "anomalies", "id", 0
    training_data, scoring_data = Plain.training_data, Plain.scoring_data

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return IsolationForest(random_state=0).fit(features)

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return -estimator.score_samples(features)


def test_a_class_that_names_no_type(flow_store: Store) -> None:
    flows = Case.flows()
    trained, scored = flows.train(DAYS[0]), flows.score(DAYS[0])
    assert figures(flow_store, trained)["anomaly_share"] > 0
    assert len(flow_store.scores(scored)) == 400

    class Forgotten(Case):
        def fit(self, features: pd.DataFrame, target: Any) -> Any:
            return LogisticRegression().fit(features, features["x"] > 0)

    with pytest.raises(ConfigurationError, match=r"Forgotten has none; set it in the class"):
        Forgotten.flows().train(DAYS[0])
