"""Scores of estimators without a target, and the classes of their models."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import (
    DBSCAN,
    AffinityPropagation,
    AgglomerativeClustering,
    BisectingKMeans,
    KMeans,
    MeanShift,
    MiniBatchKMeans,
)
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from mfprefect import ConfigurationError, Gate, InvalidScores, InvalidValue, Model
from mfprefect.artifacts import dump, load
from mfprefect.lifecycle.split import split_rows, split_rule
from mfprefect.lifecycle.unsupervised import refuse_supervised, scored_rows
from mfprefect.quality.predictions import predictions, score_source
from mfprefect.testing.models import (
    TrainedModel,
    assert_missing_column_fails,
    assert_reproducible,
    assert_rows_independent,
)

# scikit-learn's own slip: it passes itself an array.
pytestmark = pytest.mark.filterwarnings(
    "ignore:X does not have valid feature names, but LocalOutlierFactor"
)
BLOBS, GROUPS = make_blobs(150, centers=[[0, 0], [8, 8], [0, 8]], cluster_std=0.7, random_state=0)
FEATURES = pd.DataFrame(BLOBS, columns=["x", "z"], index=[f"r{k}" for k in range(150)])
FAR = pd.DataFrame({"x": [0.0, 90.0], "z": [0.0, -70.0]}, index=["near", "far"])

DETECTORS = {
    "forest": IsolationForest(random_state=0),
    "neighbours": LocalOutlierFactor(novelty=True),
    "svm": OneClassSVM(nu=0.1),
    "ellipse": EllipticEnvelope(random_state=0),
    "density": KernelDensity(),
    "pipeline": make_pipeline(StandardScaler(), OneClassSVM(nu=0.1)),
}
CLUSTERERS = {
    "k-means": KMeans(3, random_state=0, n_init=3),
    "mini batches": MiniBatchKMeans(3, random_state=0, n_init=3, batch_size=2048),
    "bisecting": BisectingKMeans(3, random_state=0),
    "propagation": AffinityPropagation(damping=0.9, preference=-500, random_state=0),
    "mean shift": MeanShift(bandwidth=3),
    "pipeline": make_pipeline(StandardScaler(), KMeans(3, random_state=0, n_init=3)),
    "shift in pipeline": make_pipeline(StandardScaler(), MeanShift(bandwidth=1)),
}
MIXTURES = {
    "mixture": GaussianMixture(3, random_state=0),
    "bayesian": BayesianGaussianMixture(n_components=3, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0)),
    "search": GridSearchCV(GaussianMixture(random_state=0), {"n_components": [3]}, cv=2),
}


class Odd(Model):
    model_id, entity_id, model_type = "odd", "id", "unsupervised"

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return IsolationForest(random_state=0).fit(features)


def variant(*bases: type[Model], **members: Any) -> type[Model]:
    return type("Variant", bases or (Odd,), members)


@pytest.mark.parametrize("name", DETECTORS)
def test_higher_is_more_anomalous(name: str) -> None:
    estimator = DETECTORS[name].fit(FEATURES)
    near, far = predictions(Odd(), estimator, FAR)
    assert far > near
    rows = scored_rows(Odd(), estimator, FEATURES)
    assert rows.labels is None
    if name == "density":
        assert rows.anomalous is None
    else:
        assert rows.anomalous is not None
        assert (rows.anomalous == (estimator.predict(FEATURES) == -1)).all()
        np.testing.assert_allclose(rows.score, -estimator.decision_function(FEATURES))


@pytest.mark.parametrize("name", CLUSTERERS)
def test_clusters_and_distances(name: str) -> None:
    estimator = CLUSTERERS[name].fit(FEATURES)
    predicted = predictions(Odd(), estimator, FEATURES)
    assert predicted["score_class"].tolist() == estimator.predict(FEATURES).astype(str).tolist()
    last, values = estimator, FEATURES.to_numpy()
    if hasattr(estimator, "steps"):
        last, values = estimator[-1], estimator[:-1].transform(FEATURES)
    centres = last.cluster_centers_[predicted["score_class"].astype(int)]
    expected = np.linalg.norm(values - centres, axis=1)
    np.testing.assert_allclose(predicted["score"], expected, rtol=1e-6)
    rows = scored_rows(Odd(), estimator, FEATURES)
    assert rows.points is not None
    np.testing.assert_allclose(rows.points.values, values)
    assert len(rows.sizes) == 3


@pytest.mark.parametrize("name", MIXTURES)
def test_probabilities_of_mixtures(name: str) -> None:
    estimator = MIXTURES[name].fit(FEATURES)
    predicted = predictions(Odd(), estimator, FEATURES)
    np.testing.assert_allclose(predicted["score"], estimator.predict_proba(FEATURES).max(axis=1))
    for _, rows in predicted.groupby("score_class"):
        positions = FEATURES.index.get_indexer(rows.index)
        assert len(set(GROUPS[positions])) == 1


@pytest.mark.parametrize("name", DETECTORS | CLUSTERERS | MIXTURES)
def test_they_are_stored(name: str) -> None:
    for kinds in (DETECTORS, CLUSTERERS, MIXTURES):
        if name not in kinds:
            continue
        estimator = kinds[name].fit(FEATURES)
        file = io.BytesIO()
        loaded = load(file, dump(estimator, file))
        for table in (FEATURES, FAR):
            before, after = (predictions(Odd(), x, table) for x in (estimator, loaded))
            pd.testing.assert_frame_equal(pd.DataFrame(before), pd.DataFrame(after))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LocalOutlierFactor(), "set novelty=True"),
        (DBSCAN(), "DBSCAN cannot tell the cluster of a row .* KMeans, GaussianMixture"),
        (make_pipeline(StandardScaler(), AgglomerativeClustering()), "AgglomerativeClustering can"),
        (StandardScaler(), "how a StandardScaler scores a row; override predict"),
        ({"a": 1}, "how a dict scores a row"),
    ],
)
def test_what_scores_no_new_row_is_refused(estimator: Any, message: str) -> None:
    fitted = estimator.fit(FEATURES) if hasattr(estimator, "fit") else estimator
    with pytest.raises(InvalidValue, match=message):
        predictions(Odd(), fitted, FEATURES)
    with pytest.raises(InvalidValue, match=message):
        score_source("unsupervised", fitted)


def returning(result: Any) -> Model:
    return variant(predict=lambda self, estimator, features: result)()


def test_predictions_of_a_class_of_ones_own() -> None:
    table = pd.DataFrame({"score": [2.0, 1.0], "score_class": [7, 8]}, index=["far", "near"])
    aligned = predictions(returning(table), None, FAR)
    assert aligned.to_dict("list") == {"score": [1.0, 2.0], "score_class": ["8", "7"]}
    with pytest.raises(InvalidValue, match="without the column 'score_class'"):
        predictions(returning(table[["score"]]), None, FAR)
    with pytest.raises(InvalidValue, match="no score_class for 1 of 2 rows"):
        predictions(
            returning(table.assign(score_class=pd.Series([None, "a"], table.index))), None, FAR
        )
    with pytest.raises(InvalidScores, match="no finite number for 1 of 2 rows"):
        predictions(returning(table.assign(score=[np.inf, 1])), None, FAR)
    assert predictions(returning([1, 2]), None, FAR).tolist() == [1.0, 2.0]


def test_the_share_of_anomalies_of_an_own_predict() -> None:
    forest = IsolationForest(random_state=0, contamination=0.1).fit(FEATURES)
    model = variant(predict=lambda self, estimator, rows: -estimator.score_samples(rows))()
    rows = scored_rows(model, forest, FEATURES)
    assert rows.anomalous is not None
    assert rows.anomalous.mean() == pytest.approx(0.1)
    wider = scored_rows(
        variant(predict=lambda *_: rows.score)(), forest, FEATURES.assign(other="a")
    )
    assert wider.anomalous is not None
    assert (wider.anomalous == rows.anomalous).all()
    renamed = FEATURES.rename(columns={"x": "y"})
    other = scored_rows(variant(predict=lambda *_: rows.score)(), forest, renamed)
    assert other.anomalous is None


def test_labels_are_no_scores() -> None:
    forest = IsolationForest(random_state=0).fit(FEATURES)
    model = variant(predict=lambda self, estimator, rows: estimator.predict(rows))()
    with pytest.raises(InvalidValue, match="1 and -1 only, scikit-learn's labels"):
        scored_rows(model, forest, FEATURES)


def test_a_class_without_target_and_type() -> None:
    class Plain(Model):
        model_id, entity_id = "plain", "id"

        def fit(self, features: pd.DataFrame, target: Any) -> Any:
            return LogisticRegression()

    Plain.flows()
    assert Plain.model_type == "unsupervised"
    assert Model.model_type == "binary"
    with pytest.raises(ConfigurationError, match=r"Plain\.fit returned a LogisticR.*target = "):
        refuse_supervised(Plain(), LogisticRegression())
    refuse_supervised(Plain(), KMeans())
    refuse_supervised(Plain(), {"a": 1})


def test_a_target_that_was_forgotten() -> None:
    with pytest.raises(ConfigurationError, match=r"no target; .* or model_type = \"unsupervised\""):
        variant(model_type="binary").flows()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "y"}, "target = 'y' and model_type = 'unsupervised'"),
        ({"gates": [Gate("silhouette", not_worse_than_production_by=0.1, better="higher")]},
         "has the gate Gate.*no target to be wrong about"),
        ({"test_share": -0.1}, "test_share"),
        ({"test_share": 1}, "test_share"),
        ({"trial_rows": -1}, "trial_rows = -1; use an integer, 0 or more"),
        ({"trial_rows": 1.5}, "trial_rows = 1.5"),
        ({"stratify": True}, "stratify = True and model_type = 'unsupervised'; only a binary or"),
        ({"stratify": True, "test_share": 0}, "Remove stratify"),
        ({"classes": ["a", "b"]}, "classes = .* and model_type = 'unsupervised'"),
        ({"weight": "w"}, "weight = 'w', and its fit takes no weights"),
        ({"features": ["x", "id"]}, "'id' in features, and it is the entity_id"),
        ({"scoring_gates": [Gate("n", not_worse_than_production_by=1, better="higher")]},
         "in scoring_gates; a scoring has no test rows"),
    ],
)  # fmt: skip
def test_classes_that_contradict_themselves(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        variant(**changes).flows()


def test_all_rows_may_be_learned_from() -> None:
    frame = FEATURES.assign(id=range(150))
    whole = variant(test_share=0)
    learn, test = split_rows(whole, frame)
    assert len(learn) == len(test) == 150
    assert "none is held out" in split_rule(whole)
    assert 0 < len(split_rows(Odd, frame)[1]) < 150


class Clusters(Odd):
    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return FEATURES.assign(id=range(150)).reset_index(drop=True)

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        assert target is None
        return make_pipeline(StandardScaler(), KMeans(3, random_state=0, n_init=3)).fit(features)


def test_the_tests_of_every_model() -> None:
    for kind in (Clusters, variant(Clusters, fit=Odd.fit)):
        model = TrainedModel(kind)
        assert model.features == ["x", "z"]
        assert_reproducible(model)
        assert_rows_independent(model)
        assert_missing_column_fails(model)
