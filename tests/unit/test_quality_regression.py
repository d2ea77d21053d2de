from __future__ import annotations

import math
from decimal import Decimal
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfprefect.errors import InvalidValue
from mfprefect.quality import (
    outcome_metrics,
    performance_drift,
    performance_metrics,
    regression_metrics,
)

oracle = import_module("sklearn.metrics")

numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 6))
rows = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=60)


@given(rows)
def test_metrics_are_those_of_scikit_learn(data: list[tuple[float, float]]) -> None:
    y, p = (np.array(column) for column in zip(*data, strict=True))
    metrics = regression_metrics(y, p)
    assert metrics["n"] == len(y)
    assert metrics["mae"] == pytest.approx(oracle.mean_absolute_error(y, p), rel=1e-12)
    assert metrics["rmse"] == pytest.approx(oracle.root_mean_squared_error(y, p), rel=1e-12)
    assert metrics["bias"] == pytest.approx(p.mean() - y.mean(), rel=1e-9, abs=1e-6)
    assert ("r2" in metrics) == (len(set(y)) > 1)
    if "r2" in metrics:
        assert 1 - metrics["r2"] == pytest.approx(1 - oracle.r2_score(y, p), rel=1e-6)
    assert ("mape" in metrics) == bool(y.all())
    if "mape" in metrics:
        expected = oracle.mean_absolute_percentage_error(y, p)
        assert metrics["mape"] == pytest.approx(expected, rel=1e-12)
    assert all(type(value) is float for value in metrics.values())


@given(rows, st.randoms(use_true_random=False))
def test_metrics_are_bit_equal_in_any_row_order(
    data: list[tuple[float, float]], random: Any
) -> None:
    shuffled = list(data)
    random.shuffle(shuffled)
    one, other = (regression_metrics(*zip(*x, strict=True)) for x in (data, shuffled))
    assert one == other


def test_what_is_not_defined_is_left_out() -> None:
    assert set(regression_metrics([2, 2], [1, 3])) == {"n", "mae", "rmse", "bias", "mape"}
    assert set(regression_metrics([0, 2], [1, 3])) == {"n", "mae", "rmse", "bias", "r2"}
    # The squares exceed the range of a double, the errors do not.
    assert set(regression_metrics([1e200, 2e200], [3e200, 4e200])) == {"n", "mae", "bias", "mape"}
    assert regression_metrics([1.7e308, -1.7e308], [-1.7e308, 1.7e308]) == {"n": 2}


def test_the_sign_of_the_bias_and_what_may_be_passed() -> None:
    assert regression_metrics([1, 2], [2, 4])["bias"] == 1.5
    series = pd.Series([1.0, 2.0], index=[7, 9])
    assert regression_metrics(series, [Decimal(2), Decimal(4)])["bias"] == 1.5
    assert regression_metrics(pd.array([1, 2], dtype="Int64"), [2, 4])["bias"] == 1.5


@pytest.mark.parametrize(
    ("actual", "predicted", "message"),
    [
        ([], [], "no rows to compare"),
        ([1], [1, 2], "1 actuals but 2 predictions"),
        ([1, math.nan], [1, 2], "1 of 2 actual values are not finite numbers: nan at position 1"),
        ([1, 2], [None, math.inf], "2 of 2 predicted values .* None at position 0, inf at"),
        ([1, "2"], [1, 2], "'2' at position 1; leave these rows out"),
        ([[1]], [[1]], "has shape"),
    ],
)
def test_what_is_refused(actual: Any, predicted: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        regression_metrics(actual, predicted)


def test_outcomes_of_one_class_have_the_metrics_that_exist() -> None:
    score = [0.2, 0.2, 0.9]
    metrics = outcome_metrics([1, 1, 1], score)
    assert metrics["brier"] == pytest.approx(oracle.brier_score_loss([1, 1, 1], score, pos_label=1))
    expected = oracle.log_loss([1, 1, 1], score, labels=[0, 1])
    assert metrics["log_loss"] == pytest.approx(expected)
    assert metrics["ece"] == pytest.approx((2 * 0.8 + 0.1) / 3)
    assert (metrics["n"], metrics["n_positive"], metrics["base_rate"]) == (3, 3, 1)
    assert set(metrics) == {"brier", "log_loss", "ece", "n", "n_positive", "base_rate"}
    none = outcome_metrics([0, 0, 0], score)
    assert none["brier"] == pytest.approx((0.04 + 0.04 + 0.81) / 3)
    assert (none["n"], none["n_positive"]) == (3, 0)
    assert set(outcome_metrics([0], [17.0])) == {"n", "n_positive", "base_rate"}
    assert outcome_metrics([0, 1], [0.1, 0.9])["auc"] == 1
    for actual, given_score in (([], []), ([1], [0.1, 0.2])):
        with pytest.raises(InvalidValue):
            outcome_metrics(actual, given_score)


def test_the_type_of_model_decides() -> None:
    assert "auc" in performance_metrics([0, 1], [0.1, 0.9])
    assert "rmse" in performance_metrics([0, 1], [0.1, 0.9], "time_series")
    assert performance_metrics(["a", "b"], ["a", "a"], "multiclass")["accuracy"] == 0.5
    with pytest.raises(InvalidValue, match="'forest' is not one of binary, multiclass, regression"):
        performance_metrics([0, 1], [0.1, 0.9], "forest")


TRAINED = {"auc": 0.8, "n": 10_000, "n_positive": 5_000}


@pytest.mark.parametrize(
    ("auc", "n", "verdict"),
    [
        (0.8, 10_000, "ok"),
        (0.77, 10_000, "warning"),
        (0.70, 10_000, "alarm"),
        (0.70, 30, "ok"),  # so few rows say nothing
        (0.95, 10_000, "ok"),  # better is no drift
    ],
)
def test_a_drop_of_auc(auc: float, n: int, verdict: str) -> None:
    row = performance_drift(TRAINED, {"auc": auc, "n": n, "n_positive": n / 2})
    assert (row["variable"], row["measure"], row["verdict"]) == ("auc", "drop", verdict)
    assert row["value"] == pytest.approx(0.8 - auc)


def test_the_noise_of_an_auc_is_that_of_repeated_samples() -> None:
    random = np.random.default_rng(11)

    def auc() -> float:
        score = np.r_[random.normal(1, 1, 60), random.normal(0, 1, 90)]
        return float(oracle.roc_auc_score(np.r_[np.ones(60), np.zeros(90)], score))

    drops = np.array([auc() - auc() for _ in range(2_000)])
    metrics = {"auc": 0.76, "n": 150, "n_positive": 60}
    row = performance_drift(metrics, metrics, threshold=1e-9)
    assert row["threshold"] == pytest.approx(np.quantile(drops, 0.99), rel=0.15)


def test_a_rise_of_rmse_is_relative() -> None:
    trained = {"rmse": 10.0, "n": 10_000}
    row = performance_drift(trained, {"rmse": 12.0, "n": 10_000}, "regression")
    assert (row["variable"], row["verdict"]) == ("rmse", "alarm")
    assert row["value"] == pytest.approx(0.2)
    assert performance_drift(trained, {"rmse": 12.0, "n": 20}, "regression")["verdict"] == "ok"
    lax = performance_drift(trained, {"rmse": 12.0, "n": 10_000}, "time_series", 0.5)
    assert (lax["threshold"], lax["verdict"]) == (0.5, "ok")


def test_what_cannot_be_compared_is_unknown() -> None:
    for trained, current, kind in (
        ({}, {"auc": 0.7, "n": 9}, "binary"),
        (TRAINED, {"n": 9}, "binary"),
        ({"rmse": 0.0, "n": 9}, {"rmse": 1.0, "n": 9}, "regression"),
    ):
        row = performance_drift(trained, current, kind)
        assert (row["value"], row["verdict"]) == (None, "unknown")
