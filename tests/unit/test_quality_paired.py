"""Differences of two models on the same rows, against brute force and simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import brier_score_loss, mean_squared_error, roc_auc_score

from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.quality import auc_difference, bootstrap_difference, metric_difference
from mfprefect.quality.gates.paired import BETTER


def brute_force(actual: Any, first: Any, second: Any) -> tuple[float, float]:
    """Return the difference of AUCs and its standard error, as the paper writes them."""

    def psi(x: float, y: float) -> float:
        return 1.0 if y < x else 0.5 if y == x else 0.0

    positive = [i for i, a in enumerate(actual) if a]
    negative = [i for i, a in enumerate(actual) if not a]
    m, n = len(positive), len(negative)
    v10 = [[sum(psi(s[i], s[j]) for j in negative) / n for i in positive] for s in (first, second)]
    v01 = [[sum(psi(s[i], s[j]) for i in positive) / m for j in negative] for s in (first, second)]
    theta = [sum(v) / m for v in v10]

    def covariance(v: list[list[float]], r: int, s: int) -> float:
        pairs = zip(v[r], v[s], strict=True)
        return sum((a - theta[r]) * (b - theta[s]) for a, b in pairs) / (len(v[0]) - 1)

    s = [[covariance(v10, r, c) / m + covariance(v01, r, c) / n for c in (0, 1)] for r in (0, 1)]
    return theta[0] - theta[1], math.sqrt(max(s[0][0] + s[1][1] - 2 * s[0][1], 0.0))


values = st.integers(0, 4).map(float)  # few values, many ties


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), values, values), min_size=4, max_size=14))
def test_delong_is_what_the_paper_says(rows: list[tuple[bool, float, float]]) -> None:
    actual, first, second = ([row[place] for row in rows] for place in range(3))
    if min(sum(actual), len(actual) - sum(actual)) < 2:
        with pytest.raises(InvalidValue, match="at least two rows of each class"):
            auc_difference(actual, first, second)
        return
    value, error = brute_force(actual, first, second)
    difference = auc_difference(actual, first, second)
    assert difference.value == pytest.approx(value, abs=1e-12)
    assert difference.first == pytest.approx(roc_auc_score(actual, first), abs=1e-12)
    assert difference.second == pytest.approx(roc_auc_score(actual, second), abs=1e-12)
    half = stats.norm.ppf(0.975) * error
    assert (difference.low, difference.high) == pytest.approx(
        (value - half, value + half), abs=1e-9
    )
    other = auc_difference(actual, second, first)
    assert (other.low, other.high) == pytest.approx((-difference.high, -difference.low), abs=1e-12)
    twice = metric_difference("gini", actual, first, second)
    assert twice.low == pytest.approx(2 * difference.low)
    assert twice.first == pytest.approx(2 * difference.first - 1)


def samples(seed: int, n: int, better: float = 0.0) -> tuple[Any, Any, Any]:
    """Draw two models whose errors are shared for the most part."""
    rng = np.random.default_rng(seed)
    actual = rng.random(n) < 0.3
    shared = actual + rng.normal(scale=1.2, size=n)
    noise = rng.normal(scale=0.4, size=(2, n))
    noise[0] += better * actual
    scores = [1 / (1 + np.exp(-(shared + extra))) for extra in noise]
    return actual.astype(int), scores[0], scores[1]


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    # Both models are equally good: the true difference is 0.
    differences = [auc_difference(*samples(seed, 400)) for seed in range(1_000)]
    share = np.mean([d.low <= 0 <= d.high for d in differences])
    assert stats.binomtest(round(share * 1_000), 1_000, 0.95).pvalue > 0.001
    # Pairing pays: alone, each AUC is much less certain than the difference.
    spread = np.std([d.first for d in differences])
    assert np.std([d.value for d in differences]) < spread / 2


@pytest.mark.parametrize("metric", ["ks", "brier", "average_precision", "lift_10", "ece"])
def test_the_bootstrap_is_that_of_resampled_rows(metric: str) -> None:
    from mfprefect.quality import binary_metrics, rank

    actual, first, second = samples(3, 300)
    first = first.round(1)  # ties
    difference = bootstrap_difference(metric, actual, first, second, repeats=40, seed=5)
    exact = [binary_metrics(rank(actual, score))[metric] for score in (first, second)]
    assert (difference.first, difference.second) == pytest.approx(exact, rel=1e-12)
    rng, drawn = np.random.default_rng(5), []
    strata = [np.flatnonzero(actual == 1), np.flatnonzero(actual == 0)]
    if metric in ("brier", "ece"):
        strata = [np.arange(300)]
    for _ in range(40):
        rows = np.concatenate([s[rng.integers(len(s), size=len(s))] for s in strata])
        a, b = (binary_metrics(rank(actual[rows], s[rows]))[metric] for s in (first, second))
        drawn.append(a - b)
    assert (difference.low, difference.high) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975]))
    )
    assert difference.method == "paired bootstrap of 40 repeats, seed 5, 95 % interval"


def test_bootstrap_and_delong_agree() -> None:
    actual, first, second = samples(11, 1_500, better=0.3)
    exact, drawn = (
        f("auc", actual, first, second) for f in (metric_difference, bootstrap_difference)
    )
    assert exact.value == pytest.approx(drawn.value, rel=1e-9)
    width = exact.high - exact.low
    assert exact.low > 0
    assert (drawn.low, drawn.high) == pytest.approx((exact.low, exact.high), abs=width / 10)
    again = bootstrap_difference("auc", actual, first, second)
    assert (again.low, again.high) == (drawn.low, drawn.high)


def test_numbers_and_the_absolute_bias() -> None:
    rng = np.random.default_rng(1)
    actual = rng.normal(size=500)
    first, second = actual + rng.normal(0.2, 0.5, 500), actual + rng.normal(-0.3, 0.5, 500)
    difference = metric_difference("rmse", actual, first, second, "regression")
    assert difference.first == pytest.approx(mean_squared_error(actual, first) ** 0.5)
    assert difference.low < difference.value < difference.high < 0
    bias = metric_difference("bias", actual, first, second, "regression")
    assert bias.first == pytest.approx(abs(np.mean(first - actual)))
    assert bias.second == pytest.approx(abs(np.mean(second - actual)))
    assert bias.high < 0
    brier = metric_difference("brier", [0, 1, 0, 1], [0.1, 0.9, 0.4, 0.8], [0.1, 0.9, 0.4, 0.8])
    assert brier.first == pytest.approx(brier_score_loss([0, 1, 0, 1], [0.1, 0.9, 0.4, 0.8]))
    assert (brier.value, brier.low, brier.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("metric", "columns", "message"),
    [
        ("auc", ([0, 1, 0, 1], [1, 2, 3], [1, 2, 3, 4]), "4 actuals, but 3 and 4 scores"),
        ("auc", ([], [], []), "no rows to compare"),
        ("ks", ([1, 1], [0.1, 0.2], [0.1, 0.2]), "needs rows of both classes"),
        ("brier", ([0, 1], [0.1, 2.0], [0.1, 0.2]), "needs scores from 0 to 1"),
        ("r2", ([2, 2], [1, 2], [2, 1]), "not defined for these rows"),
        (
            "profit",
            ([0, 1], [0.1, 0.2], [0.1, 0.2]),
            "'profit' cannot be compared between two binary .*; choose one of auc",
        ),
    ],
)
def test_what_cannot_be_compared(metric: str, columns: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        kind = "regression" if metric == "r2" else "binary"
        metric_difference(metric, columns[0], columns[1], columns[2], kind)
    with pytest.raises(InvalidScores):
        metric_difference("auc", [0, 1, 0, 1], [0.1, math.nan, 0.2, 0.3], [1, 2, 3, 4])


def test_classes_and_metrics_of_a_teams_own() -> None:
    from mfprefect.quality.metrics.class_scores import class_scores
    from mfprefect.quality.metrics.definitions import MetricRegistry
    from mfprefect.quality.metrics.multiclass import MULTICLASS_METRICS
    from mfprefect.quality.metrics.registry import CUSTOM, metric

    rng = np.random.default_rng(6)
    actual = rng.choice(["a", "b", "c"], 300)
    good = pd.get_dummies(actual).astype(float) + rng.normal(scale=0.4, size=(300, 3))
    bad = good + rng.normal(scale=0.8, size=(300, 3))
    difference = metric_difference("accuracy", actual, good, bad, "multiclass")
    accuracy = MULTICLASS_METRICS["accuracy"].compute
    assert difference.first == accuracy(class_scores(actual, good))
    assert 0 < difference.low < difference.value < difference.high
    # The order of columns is no matter.
    turned = metric_difference("accuracy", actual, good[["c", "a", "b"]], bad, "multiclass")
    assert turned == difference

    before = MetricRegistry(CUSTOM)
    try:

        @metric("paired_hits", model_type=["binary", "multiclass", "regression"])
        def hits(actual: Any, predicted: Any) -> float:
            """Rows whose score is above 0.5 (a mean)."""
            return float(np.mean(np.asarray(predicted) > 0.5))

        y = (actual == "a").astype(int)
        for kind, one, other in (
            ("binary", good["a"], bad["a"]),
            ("regression", good["a"], bad["a"]),
            ("multiclass", good, bad),
        ):
            happened = actual if kind == "multiclass" else y
            difference = metric_difference("paired_hits", happened, one, other, kind)
            assert difference.first == pytest.approx(np.mean(np.asarray(one) > 0.5))
            assert difference.low <= difference.value <= difference.high
        with pytest.raises(InvalidValue, match="between two time_series models"):
            metric_difference("paired_hits", y, good["a"], bad["a"], "time_series")
    finally:
        CUSTOM.clear()
        CUSTOM.update(before)


def test_it_is_known_which_of_two_values_is_better() -> None:
    from mfprefect.quality.metrics.registry import BUILT_IN

    neither = {"n", "n_positive", "base_rate", "n_classes"}
    resampled = ("binary", "multiclass", "regression and time series")
    assert set(BETTER) | neither == {name for kind in resampled for name in BUILT_IN[kind]} | {
        "n_positive"
    }
