"""Metrics of models without a target, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from mfprefect import InvalidScores, InvalidValue
from mfprefect.quality.metrics.evaluation import evaluate, evaluate_outcomes
from mfprefect.quality.metrics.unsupervised import Points, ScoredRows, unsupervised_metrics

ORACLES = {
    "silhouette": silhouette_score,
    "calinski_harabasz": calinski_harabasz_score,
    "davies_bouldin": davies_bouldin_score,
}


def rows_of(values: np.ndarray, codes: np.ndarray) -> ScoredRows:
    points = Points(np.arange(len(values)), values)
    return ScoredRows(np.arange(len(values), dtype=float), codes.astype(str), None, points)


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("k", [2, 3, 12])
def test_blobs(k: int, shift: float) -> None:
    values, codes = make_blobs(300, 4, centers=k, cluster_std=3.0, random_state=k)
    figures = unsupervised_metrics(rows_of(values + shift, codes))
    for name, oracle in ORACLES.items():
        assert figures[name] == pytest.approx(oracle(values, codes), rel=1e-6), name


@example(rows=[(0, 0, 1)] * 3 + [(0, 1, 0)] * 2)
@given(
    st.lists(
        st.tuples(st.integers(-20, 20), st.integers(-20, 20), st.integers(0, 3)),
        min_size=1,
        max_size=30,
    )
)
def test_any_rows(rows: list[tuple[int, int, int]]) -> None:
    # Equal rows, clusters of one row, centres that coincide.
    table = np.array(rows, float)
    values, codes = table[:, :2], table[:, 2].astype(int)
    figures = unsupervised_metrics(rows_of(values, codes))
    defined = 2 <= len(set(codes)) < len(codes)
    for name, oracle in ORACLES.items():
        if not defined:
            assert name not in figures
        else:
            assert figures[name] == pytest.approx(oracle(values, codes), rel=1e-6, abs=1e-6), name


def test_scores_anomalies_and_sizes() -> None:
    score = np.array([3.0, -1.0, 2.0, 0.5, 10.0])
    labels = np.array(["b", "a", "b", "b", "c"], dtype=object)
    figures = unsupervised_metrics(ScoredRows(score, labels, score > 2.5))
    assert figures == {
        "anomaly_share": 0.4,
        "n_clusters": 3,
        "largest_cluster": 0.6,
        "smallest_cluster": 0.2,
        "score_mean": 2.9,
        "score_min": -1,
        **{f"score_p{q:02}": np.quantile(score, q / 100) for q in (5, 50, 95, 99)},
        "score_max": 10,
        "n": 5,
    }
    alone = unsupervised_metrics(ScoredRows(score))
    assert not alone.keys() & {"anomaly_share", "n_clusters", "largest_cluster", "silhouette"}


def test_a_segment_has_the_metrics_of_its_rows() -> None:
    values, codes = make_blobs(120, 2, centers=3, random_state=1)
    region = np.arange(120) % 2
    sampled = np.flatnonzero(np.arange(120) % 3)  # a sample of the rows
    rows = ScoredRows(values[:, 0], codes.astype(str), None, Points(sampled, values[sampled]))
    evaluation = evaluate(None, rows, "unsupervised", segments={"region": region})
    chosen = sampled[region[sampled] == 1]
    figures = evaluation.metrics["region=1"]
    assert figures["silhouette"] == pytest.approx(silhouette_score(values[chosen], codes[chosen]))
    assert figures["n"] == 60
    assert evaluation.notes["cluster_sample"] == {"rows": 80, "of": 120}
    assert sum(evaluation.notes["cluster_sizes"]["rows"]) == 120
    assert sum(evaluation.notes["score_distribution"]["rows"]) == 120
    assert evaluation.curve is None


def test_what_a_session_of_ones_own_may_pass() -> None:
    frame = pd.DataFrame({"score": [0.1, 0.2, 0.9], "score_class": [1, 1, 2]})
    assert evaluate(None, frame, "unsupervised").metrics[""]["n_clusters"] == 2
    assert evaluate(None, [0.1, 0.2], "unsupervised").metrics[""]["score_max"] == 0.2
    with pytest.raises(InvalidValue, match="takes no actual values"):
        evaluate([0, 1], [0.1, 0.2], "unsupervised")
    with pytest.raises(InvalidScores, match="1 of 2 values are not finite"):
        evaluate(None, [0.1, np.nan], "unsupervised")
    with pytest.raises(InvalidValue, match="no rows"):
        evaluate(None, [], "unsupervised")


def test_outcomes_judge_the_ranking() -> None:
    figures = evaluate_outcomes([0, 0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.9], "unsupervised")
    assert figures["auc"] == pytest.approx(5 / 6)
    assert not figures.keys() & {"brier", "log_loss", "ece"}
