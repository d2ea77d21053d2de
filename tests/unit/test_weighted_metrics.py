"""Weights of test rows: as scikit-learn's `sample_weight`, or not at all and said so."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect.errors import InvalidValue
from mfprefect.quality.learning import effective_rows, row_weights
from mfprefect.quality.metrics.evaluation import evaluate
from mfprefect.quality.metrics.registry import BUILT_IN

oracle = import_module("sklearn.metrics")
DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"

few = settings(max_examples=40, deadline=None)
WEIGHT = st.one_of(st.sampled_from([0.0, 1.0, 2.0, 0.25]), st.floats(0.01, 50))
SCORE = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.floats(0, 1))


@st.composite
def binary_rows(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    rows = draw(st.lists(st.tuples(st.integers(0, 1), SCORE, WEIGHT), max_size=40))
    rows += [(0, draw(SCORE), 1.0), (1, draw(SCORE), 2.0)]
    y, s, w = (np.array(column) for column in zip(*rows, strict=True))
    return y, s, w


@few
@given(binary_rows())
def test_binary_metrics_are_those_of_the_oracle(rows: tuple[Any, Any, Any]) -> None:
    y, s, w = rows
    metrics = evaluate(y, s, weight=w).metrics[""]
    auc = oracle.roc_auc_score(y, s, sample_weight=w)
    fpr, tpr, _ = oracle.roc_curve(y, s, sample_weight=w, drop_intermediate=False)
    expected = {
        "auc": auc,
        "gini": 2 * auc - 1,
        "ks": np.abs(tpr - fpr).max(),
        "average_precision": oracle.average_precision_score(y, s, sample_weight=w),
        "brier": oracle.brier_score_loss(y, s, sample_weight=w),
        "log_loss": oracle.log_loss(y, s, sample_weight=w),
        "base_rate": np.average(y, weights=w),
    }
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
    bins = np.minimum((np.searchsorted(np.arange(1, 10) / 10, s, side="right")), 9)
    gaps = np.bincount(bins, weights=w * (y - s), minlength=10)
    assert metrics["ece"] == pytest.approx(np.abs(gaps).sum() / w.sum(), abs=1e-9)
    plain = evaluate(y, s).metrics[""]
    for name in ("lift_10", "capture_5", "n", "n_positive"):
        assert metrics[name] == plain[name]


@few
@given(binary_rows(), st.integers(1, 4))
def test_a_weight_is_a_number_of_rows(rows: tuple[Any, Any, Any], times: int) -> None:
    y, s, _ = rows
    w = np.arange(len(y)) % 3 * times
    w[-2:] = times
    weighted = evaluate(y, s, weight=w).metrics[""]
    repeated = evaluate(np.repeat(y, w), np.repeat(s, w)).metrics[""]
    for name in ("auc", "ks", "average_precision", "brier", "ece", "base_rate"):
        assert weighted[name] == pytest.approx(repeated[name], abs=1e-12), name


@st.composite
def class_rows(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    share = st.floats(0.05, 1)
    row = st.tuples(st.integers(0, 2), st.tuples(share, share, share), st.floats(0.01, 50))
    rows = draw(st.lists(row, min_size=3, max_size=30))
    y = np.array([row[0] for row in rows])
    y[:3] = [0, 1, 2]
    p = np.array([row[1] for row in rows])
    return y, p / p.sum(axis=1, keepdims=True), np.array([row[2] for row in rows])


@few
@given(class_rows())
def test_multiclass_metrics_are_those_of_the_oracle(rows: tuple[Any, Any, Any]) -> None:
    y, p, w = rows
    evaluation = evaluate(y, p, "multiclass", classes=[0, 1, 2], weight=w)
    metrics, predicted = evaluation.metrics[""], p.argmax(axis=1)
    by = {"sample_weight": w}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": oracle.accuracy_score(y, predicted, **by),
            "balanced_accuracy": oracle.balanced_accuracy_score(y, predicted, **by),
            "f1_macro": oracle.f1_score(y, predicted, average="macro", **by),
            "f1_weighted": oracle.f1_score(y, predicted, average="weighted", **by),
            "kappa": oracle.cohen_kappa_score(y, predicted, **by),
            "mcc": oracle.matthews_corrcoef(y, predicted, **by),
            "log_loss": oracle.log_loss(y, p, **by),
            "auc_ovr": np.mean([oracle.roc_auc_score(y == k, p[:, k], **by) for k in range(3)]),
            "brier_multiclass": np.average(((p - np.eye(3)[y]) ** 2).sum(axis=1), weights=w),
        }
    for name, value in expected.items():
        if name in metrics or name != "mcc":
            assert metrics[name] == pytest.approx(value, rel=1e-7, abs=1e-7), name
    of_class = evaluation.metrics["class=1"]
    recall = oracle.recall_score(y == 1, predicted == 1, **by)
    assert of_class["recall"] == pytest.approx(recall, abs=1e-9)
    assert of_class["n_positive"] == (y == 1).sum()


@few
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9), WEIGHT), min_size=2, max_size=30))
def test_regression_metrics_are_those_of_the_oracle(rows: list[tuple[float, ...]]) -> None:
    y, p, w = (np.array(column) for column in zip(*rows, strict=True))
    w[0] = 1.0
    metrics = evaluate(y, p, "regression", weight=w).metrics[""]
    by = {"sample_weight": w}
    assert metrics["mae"] == pytest.approx(oracle.mean_absolute_error(y, p, **by))
    assert metrics["rmse"] == pytest.approx(oracle.root_mean_squared_error(y, p, **by))
    assert metrics["bias"] == pytest.approx(np.average(p - y, weights=w), abs=1e-9)
    if np.ptp(y[w > 0]) > 1e-3:
        assert metrics["r2"] == pytest.approx(oracle.r2_score(y, p, **by), rel=1e-6, abs=1e-6)
    if "mape" in metrics and np.abs(y[w > 0]).min() > 1e-9:
        mape = oracle.mean_absolute_percentage_error(y[w > 0], p[w > 0], sample_weight=w[w > 0])
        assert metrics["mape"] == pytest.approx(mape)


def test_what_is_weighted_is_on_record_and_documented() -> None:
    y, s = np.array([0, 1] * 20), np.linspace(0, 1, 40)
    w = np.r_[np.zeros(20), np.arange(20.0)]
    region = np.repeat(["none", "some"], 20)
    evaluation = evaluate(y, s, weight=w, segments={"region": region})
    note = evaluation.notes["weights"]
    assert note["effective_rows"] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert {"auc", "brier", "base_rate"} <= set(note["weighted"])
    assert {"n", "lift_10", "n_positive"} <= set(note["not_weighted"])
    assert evaluation.metrics["unweighted"] == evaluate(y, s).metrics[""]
    # A segment whose rows have no weight has no weighted metrics.
    assert not set(note["weighted"]) & set(evaluation.metrics["region=none"])
    assert evaluation.metrics["region=none"]["n"] == 20
    assert evaluation.metrics["region=some"]["auc"] == evaluation.metrics[""]["auc"]

    numbers = evaluate(y, s, "regression", weight=w, segments={"region": region})
    assert set(numbers.metrics["region=none"]) == {"n"}
    three = evaluate(
        y, np.c_[s, 1 - s], "multiclass", classes=[0, 1], weight=w, segments={"region": region}
    )
    assert set(three.metrics["region=none"]) == {"n", "n_classes"}

    section = DOCS.read_text().split("\n## Weights\n")[1].split("\n## ")[0]
    for metrics in BUILT_IN.values():
        for name, metric in metrics.items():
            assert (f"`{name}`" in section) is metric.weighted, name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, None], "1 of 2 values are not finite numbers from 0: None at position 1"),
        ([1.0, float("nan")], "nan at position 1"),
        ([1.0, float("inf")], "inf at position 1"),
        ([1.0, -2.0], "-2.0 at position 1"),
        (["1", 2], "'1' at position 0"),
        ([0, 0], "each of 2 weights is 0"),
        (pd.array([1, None], "Int64"), "nan at position 1"),
    ],
)
def test_what_is_no_weight_is_refused(values: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match="the column 'w'.*" + message):
        row_weights(values, "the column 'w'")
    with pytest.raises(InvalidValue, match=message):
        evaluate([0, 1], [0.1, 0.9], weight=values)


def test_lengths_of_weights() -> None:
    with pytest.raises(InvalidValue, match="3 rows but 2 weights"):
        evaluate([0, 1, 1], [0.1, 0.9, 0.3], weight=[1, 2])
    assert effective_rows(np.array([2.0, 2.0, 0.0])) == pytest.approx(2)
