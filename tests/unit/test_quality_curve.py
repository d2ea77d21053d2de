from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfprefect import quality
from mfprefect.errors import InvalidScores, InvalidValue

oracle = import_module("sklearn.metrics")


def area(curve: pd.DataFrame) -> float:
    points = quality.roc(curve)
    return float(np.trapezoid(points["tpr"], points["fpr"]))


def curve_of(actual: Any, score: Any, points: int = 1001) -> pd.DataFrame:
    return pd.DataFrame(quality.test_curve(quality.rank(actual, score), points))


@st.composite
def labelled(draw: st.DrawFn, size: int = 60) -> tuple[list[int], list[float]]:
    """Rows of both classes, with many ties."""
    grid = st.sampled_from([0.0, -0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
    score = st.one_of(grid, st.floats(0, 1))
    rows = draw(st.lists(st.tuples(st.integers(0, 1), score), min_size=0, max_size=size))
    rows += [(0, draw(score)), (1, draw(score))]
    return [row[0] for row in rows], [row[1] for row in rows]


@given(labelled())
def test_counts_are_those_of_each_score_as_a_threshold(data: tuple[list[int], list[float]]) -> None:
    actual, score = np.array(data[0]), np.array(data[1])
    curve = curve_of(actual, score)
    assert curve["score"].tolist() == sorted(set(score.tolist()), reverse=True)
    assert curve["point_no"].tolist() == list(range(len(curve)))
    row: Any
    for row in curve.itertuples():
        predicted = score >= row.score
        tn, fp, fn, tp = oracle.confusion_matrix(actual, predicted, labels=[0, 1]).ravel()
        assert (row.tn, row.fp, row.fn, row.tp) == (tn, fp, fn, tp)
        assert (row.population, row.target_population) == (predicted.sum(), tp)
        matrix = quality.confusion_matrix(curve, row.score, "probability")
        assert matrix == {"tp": tp, "fp": fp, "tn": tn, "fn": fn, "threshold": row.score}
        expected = oracle.accuracy_score(actual, predicted)
        assert quality.accuracy(curve, row.score, "probability") == pytest.approx(expected)


@given(labelled(), st.randoms(use_true_random=False))
def test_the_curve_does_not_depend_on_row_order(
    data: tuple[list[int], list[float]], random: Any
) -> None:
    rows = list(zip(*data, strict=True))
    random.shuffle(rows)
    shuffled = quality.rank([a for a, _ in rows], [s for _, s in rows])
    as_given = quality.rank(*data)
    for name in ("score", "population", "target_population"):
        assert getattr(shuffled, name).tobytes() == getattr(as_given, name).tobytes()
    assert quality.test_curve(shuffled) == quality.test_curve(as_given)


@given(labelled())
def test_roc_is_that_of_scikit_learn(data: tuple[list[int], list[float]]) -> None:
    fpr, tpr, threshold = oracle.roc_curve(*data, drop_intermediate=False)
    roc = quality.roc(curve_of(*data))
    assert roc["fpr"].to_numpy() == pytest.approx(fpr)
    assert roc["tpr"].to_numpy() == pytest.approx(tpr)
    assert (roc["threshold"].to_numpy() == threshold).all()


@given(labelled(size=200), st.integers(2, 40))
def test_few_points_keep_the_extremes_and_bound_the_area(
    data: tuple[list[int], list[float]], points: int
) -> None:
    curve = curve_of(*data, points=points)
    distinct = sorted(set(data[1]), reverse=True)
    assert len(curve) <= points
    assert len(curve) == len(distinct) or len(distinct) > points
    assert curve["score"].iloc[0] == distinct[0]
    assert curve["score"].iloc[-1] == distinct[-1]
    assert abs(area(curve) - oracle.roc_auc_score(*data)) <= 1 / (points - 1) + 1e-12


def _staircase(random: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Runs of negatives and positives by turns: the most area that a step can hide."""
    return np.arange(n) // (n // 1000) % 2, np.arange(n) / n


def _blocks_and_jumps(random: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Rows with a score each, between groups of rows that share one."""
    group = np.arange(n) // 400
    score = np.where(np.arange(n) % 400 < 200, np.arange(n), group * 400 + 200)
    return (np.arange(n) // 100 % 2 == 0).astype(int), score / n


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], tuple[Any, Any]]] = {
    "normal": lambda r, n: ((y := r.random(n) < 0.2), r.normal(y * 1.5)),
    "beta": lambda r, n: ((s := r.beta(2, 5, n)) > r.random(n), s),
    "no signal": lambda r, n: (r.random(n) < 0.5, r.random(n)),
    "reversed": lambda r, n: ((y := r.random(n) < 0.3), -r.normal(y * 2.0)),
    "perfect": lambda r, n: ((y := r.random(n) < 0.1), y + r.random(n)),
    "0.1 % positives": lambda r, n: ((y := np.arange(n) % 1000 == 0), r.normal(y * 1.0)),
    "0.1 % negatives": lambda r, n: ((y := np.arange(n) % 1000 != 0), r.normal(y * 1.0)),
    "one positive": lambda r, n: ((y := np.arange(n) == 7), r.normal(y * 1.0)),
    "mostly tied": lambda r, n: (r.random(n) < 0.3, np.where(r.random(n) < 0.98, 0.5, r.random(n))),
    "rounded": lambda r, n: ((s := r.random(n).round(2)) > r.random(n), s),
    "heavy tails": lambda r, n: ((y := r.random(n) < 0.5), r.standard_cauchy(n) + y),
    "staircase": _staircase,
    "blocks and jumps": _blocks_and_jumps,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_area_of_the_stored_curve_is_the_auc_of_200000_rows(name: str) -> None:
    actual, score = DISTRIBUTIONS[name](np.random.default_rng(7), 200_000)
    curve = curve_of(actual, score)
    assert len(curve) <= 1001
    assert area(curve) == pytest.approx(oracle.roc_auc_score(actual, score), abs=1e-3)
    # Evenly in TPR + FPR: a long step is that of a single score.
    distinct = np.unique(score)
    place = np.searchsorted(distinct, curve["score"])
    passes_over = -np.diff(place) > 1
    way = quality.roc(curve).iloc[1:][["fpr", "tpr"]].sum(axis=1)
    assert np.diff(way)[passes_over].max(initial=0) <= 4 / 1000
    for at in (0, len(curve) // 2, -1):
        row = curve.iloc[at]
        predicted = np.asarray(score) >= row["score"]
        assert row["tp"] == (np.asarray(actual, dtype=bool) & predicted).sum()
        assert row["population"] == predicted.sum()


def test_a_thinned_curve_never_counts_a_row_below_the_threshold() -> None:
    random = np.random.default_rng(3)
    score = random.random(50_000)
    actual = random.random(50_000) < score
    curve = curve_of(actual, score)
    for value in random.random(200):
        matrix = quality.confusion_matrix(curve, value, "probability")
        predicted = score >= matrix["threshold"]
        assert matrix["threshold"] >= value
        assert matrix["tp"] + matrix["fp"] == predicted.sum()
        assert (score >= value).sum() - predicted.sum() <= 50_000 * 4 / 1000
        top = quality.confusion_matrix(curve, value, "population")
        assert top["tp"] + top["fp"] <= math.ceil(value * 50_000)
        assert top["tp"] + top["fp"] == (score >= top["threshold"]).sum()


def test_operating_thresholds_by_hand() -> None:
    curve = curve_of([1, 0, 1, 0], [0.9, 0.6, 0.6, 0.1])
    assert quality.confusion_matrix(curve, 0.25, "population") == {
        "tp": 1, "fp": 0, "tn": 2, "fn": 1, "threshold": 0.9,
    }  # fmt: skip
    # the second row of the top half is tied with the third: neither is taken
    assert quality.confusion_matrix(curve, 0.5, "population")["threshold"] == 0.9
    assert quality.confusion_matrix(curve, 0.75, "population")["threshold"] == 0.6
    assert quality.confusion_matrix(curve, 1, "population")["tp"] == 2
    nobody = {"tp": 0, "fp": 0, "tn": 2, "fn": 2}
    assert quality.confusion_matrix(curve, 0.95, "probability") == {**nobody, "threshold": 0.95}
    tied = curve_of([1, 0, 0], [0.5, 0.5, 0.5])
    assert quality.confusion_matrix(tied, 0.1, "population")["threshold"] == math.inf
    assert quality.accuracy(tied, 0.1, "population") == pytest.approx(2 / 3)


def test_a_share_is_taken_as_the_decimal_that_was_written() -> None:
    # 0.07 * 100 is 7.000000000000001 in doubles
    curve = curve_of(np.arange(100) % 2, np.arange(100.0))
    matrix = quality.confusion_matrix(curve, 0.07, "population")
    assert matrix["tp"] + matrix["fp"] == 7


def test_lift_by_hand_and_from_a_shuffled_frame_of_integers_as_decimals() -> None:
    curve = curve_of([1, 1, 0, 0], [0.9, 0.8, 0.8, 0.1])
    expected = pd.DataFrame(
        {
            "threshold": [0.9, 0.8, 0.1],
            "population_share": [0.25, 0.75, 1.0],
            "lift": [2.0, 4 / 3, 1.0],
            "capture": [0.5, 1.0, 1.0],
        }
    )
    pd.testing.assert_frame_equal(quality.lift(curve), expected)
    read_back = curve.iloc[[2, 0, 1]].astype({"tp": object, "fn": object})
    pd.testing.assert_frame_equal(quality.lift(read_back), expected)


@pytest.mark.parametrize(
    "actual",
    [
        np.array([True, False, True]),
        pd.Series([1, 0, 1], index=[7, 7, 9]),
        pd.Series([1.0, 0.0, 1.0]),
        pd.Series([True, False, True], dtype="boolean"),
        pd.Series([1, 0, 1], dtype="Int64"),
        pd.Series([1, 0, 1], dtype="category"),
        pd.Series([1, 0, 1], dtype="int64[pyarrow]"),
        [decimal.Decimal(1), decimal.Decimal(0), True],
    ],
)
def test_labels_of_every_type(actual: Any) -> None:
    ranking = quality.rank(actual, pd.Series([0.5, 0.25, 0.75], dtype="Float64"))
    assert (ranking.n, ranking.n_positive, ranking.n_negative) == (3, 2, 1)
    assert ranking.target_population.tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        ([0, 1, None], "1 of 3 values are not 0, 1, False or True: None at position 2"),
        ([0, 1, math.nan], "nan at position 2"),
        (pd.Series([0, 1, None], dtype="Int64"), "nan at position 2"),
        (pd.Series([True, False, None], dtype="boolean"), "<NA> at position 2"),
        ([0, 2, 1], "2 at position 1"),
        (["0", "1", 1], "2 of 3 values are .* '0' at position 0, '1' at position 1"),
        ([0.5, 1, 0], "0.5 at position 0"),
        ([[0], [1], [1]], r"actual has shape \(3, 1\)"),
        ([[0], [1, 2], [1]], "actual"),
        ([0, 1], "2 actuals but 3 scores"),
        ([0, 0, 0], r"all 3 actuals are 0: class 1 \(positive\) is missing"),
        ([1, 1, 1], r"all 3 actuals are 1: class 0 \(negative\) is missing"),
    ],
)
def test_labels_that_are_refused(actual: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        quality.rank(actual, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ([0.1, math.nan, 0.3], "1 of 3 values are not finite numbers: nan at position 1"),
        ([0.1, 0.2, math.inf], "inf at position 2"),
        ([0.1, None, 0.3], "None at position 1"),
        (["0.1", 0.2, 0.3], "'0.1' at position 0"),
        ([0.1, 0.2, 10**400], "at position 2"),
        (pd.Series([0.1, None, 0.3], dtype="Float64"), "at position 1"),
    ],
)
def test_scores_that_are_refused(score: Any, message: str) -> None:
    with pytest.raises(InvalidScores, match=message) as caught:
        quality.rank([0, 1, 1], score)
    assert len(caught.value.examples) == 1


def test_no_rows_and_the_output_of_predict_proba_are_refused() -> None:
    with pytest.raises(InvalidValue, match="no rows"):
        quality.rank([], [])
    with pytest.raises(InvalidValue, match=r"score has shape \(3, 2\).*\[:, 1\]"):
        quality.rank([0, 1, 1], np.zeros((3, 2)))


@pytest.mark.parametrize("points", [1, 0, 1002, 10.0, True])
def test_points_out_of_range(points: Any) -> None:
    with pytest.raises(InvalidValue, match="from 2 to 1001"):
        quality.test_curve(quality.rank([0, 1], [0.1, 0.2]), points)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (0.5, "score", "'score'; choose 'probability'.* or 'population'"),
        (math.nan, "probability", "nan; it takes a finite number"),
        ("0.5", "probability", "finite number"),
        (True, "population", "finite number"),
        (0, "population", "above 0 and at most 1"),
        (10, "population", "write 0.1 for the top 10 %"),
    ],
)
def test_operating_thresholds_that_are_refused(value: Any, kind: str, message: str) -> None:
    curve = curve_of([0, 1], [0.1, 0.2])
    for figure in (quality.confusion_matrix, quality.accuracy):
        with pytest.raises(InvalidValue, match=message):
            figure(curve, value, kind)


def test_frames_that_are_no_curve() -> None:
    curve = curve_of([0, 1], [0.1, 0.2])
    with pytest.raises(InvalidValue, match=r"lacks the columns \['fp'\]"):
        quality.roc(curve.drop(columns="fp"))
    with pytest.raises(InvalidValue, match="has no points"):
        quality.lift(curve.head(0))
