from __future__ import annotations

import itertools
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfprefect import quality
from mfprefect.errors import InvalidValue

oracle = import_module("sklearn.metrics")
stats = import_module("scipy.stats")

PROBABILITIES_ONLY = {"brier", "log_loss", "ece"}


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[int], list[float]]:
    score = st.one_of(st.sampled_from([0.0, -0.0, 0.1, 0.3, 0.5, 0.7, 1.0]), st.floats(0, 1))
    rows = draw(st.lists(st.tuples(st.integers(0, 1), score), max_size=80))
    rows += [(0, draw(score)), (1, draw(score))]
    return [row[0] for row in rows], [row[1] for row in rows]


def top_by_expectation(actual: list[int], score: list[float], percent: int) -> tuple[int, float]:
    """Take the top rows one by one; a row of a tie stands for the mean of its tie."""
    y, s = np.array(actual), np.array(score)
    mean = {value: y[s == value].mean() for value in set(score)}
    rows = -(-percent * len(y) // 100)
    return rows, sum(mean[value] for value in sorted(score, reverse=True)[:rows])


def calibration_error(actual: list[int], score: list[float]) -> float:
    total = 0.0
    edges = [k / 10 for k in range(11)]
    for low, high in itertools.pairwise(edges):
        last = high == 1
        rows = [
            (y, p) for y, p in zip(actual, score, strict=True) if low <= p and (p < high or last)
        ]
        if rows:
            gap = sum(y for y, _ in rows) / len(rows) - sum(p for _, p in rows) / len(rows)
            total += len(rows) / len(score) * abs(gap)
    return total


@given(labelled())
def test_metrics_are_those_of_the_oracles(data: tuple[list[int], list[float]]) -> None:
    actual, score = data
    y, s = np.array(actual), np.array(score)
    metrics = quality.binary_metrics(quality.rank(actual, score))
    auc = oracle.roc_auc_score(y, s)
    assert metrics["auc"] == pytest.approx(auc, abs=1e-12)
    assert metrics["gini"] == pytest.approx(2 * auc - 1, abs=1e-12)
    fpr, tpr, _ = oracle.roc_curve(y, s, drop_intermediate=False)
    ks = np.abs(tpr - fpr).max()
    assert metrics["ks"] == pytest.approx(ks, abs=1e-12)
    ap = oracle.average_precision_score(y, s)
    assert metrics["average_precision"] == pytest.approx(ap, abs=1e-12)
    assert metrics["brier"] == pytest.approx(oracle.brier_score_loss(y, s), abs=1e-12)
    assert metrics["log_loss"] == pytest.approx(oracle.log_loss(y, s), rel=1e-12, abs=1e-14)
    assert metrics["ece"] == pytest.approx(calibration_error(actual, score), abs=1e-12)
    for percent in (1, 5, 10, 20):
        rows, positives = top_by_expectation(actual, score, percent)
        assert metrics[f"capture_{percent}"] == pytest.approx(positives / sum(actual))
        lift = positives / rows / (sum(actual) / len(actual))
        assert metrics[f"lift_{percent}"] == pytest.approx(lift)
    assert (metrics["n"], metrics["n_positive"]) == (len(actual), sum(actual))
    assert metrics["base_rate"] == sum(actual) / len(actual)
    assert set(metrics) == set(quality.METRICS)
    assert all(type(value) is float for value in metrics.values())


@given(labelled(), st.randoms(use_true_random=False))
def test_metrics_are_bit_equal_in_any_row_order(
    data: tuple[list[int], list[float]], random: Any
) -> None:
    rows = list(zip(*data, strict=True))
    random.shuffle(rows)
    shuffled = quality.rank([a for a, _ in rows], [s for _, s in rows])
    assert quality.binary_metrics(shuffled) == quality.binary_metrics(quality.rank(*data))


@pytest.mark.parametrize("positives", [200, 40_000])
def test_auc_of_200000_rows_to_twelve_digits(positives: int) -> None:
    random = np.random.default_rng(11)
    actual = np.arange(200_000) < positives
    score = random.normal(actual * 1.0).round(3)
    metrics = quality.binary_metrics(quality.rank(actual, score))
    assert metrics["auc"] == pytest.approx(oracle.roc_auc_score(actual, score), abs=1e-12)
    expected = stats.ks_2samp(score[actual], score[~actual], method="asymp").statistic
    assert metrics["ks"] == pytest.approx(expected, abs=1e-12)


def test_a_constant_score_has_no_power() -> None:
    metrics = quality.binary_metrics(quality.rank([0, 1, 0, 0], [0.25] * 4))
    assert (metrics["auc"], metrics["gini"], metrics["ks"]) == (0.5, 0.0, 0.0)
    assert (metrics["lift_10"], metrics["capture_10"]) == (1.0, 0.25)
    assert metrics["average_precision"] == 0.25
    assert metrics["ece"] == 0.0
    assert metrics["brier"] == 3 / 16


def test_a_wrong_certainty_has_a_finite_log_loss() -> None:
    metrics = quality.binary_metrics(quality.rank([0, 1], [1.0, 0.0]))
    assert metrics["log_loss"] == pytest.approx(oracle.log_loss([0, 1], [1.0, 0.0]))
    assert metrics["auc"] == 0.0


@pytest.mark.parametrize("score", [[-0.1, 0.5], [0.5, 1.1]])
def test_scores_that_are_no_probabilities_have_no_probability_metrics(score: list[float]) -> None:
    metrics = quality.binary_metrics(quality.rank([0, 1], score))
    assert set(quality.METRICS) - set(metrics) == PROBABILITIES_ONLY
    assert metrics["auc"] == 1.0


def test_one_class_is_refused() -> None:
    with pytest.raises(InvalidValue, match="class 1"):
        quality.rank([0, 0], [0.1, 0.2])
