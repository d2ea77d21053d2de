from __future__ import annotations

import datetime as dt
import json
import math
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfprefect.errors import InvalidValue
from mfprefect.quality import (
    ScoreCounts,
    categorical_psi,
    feature_drift,
    input_summary,
    ks_drift,
    ks_sampling_threshold,
    psi,
    psi_of_counts,
    sampling_threshold,
    score_drift,
)
from mfprefect.quality.drift import Limits, drift_row, ks_threshold
from mfprefect.quality.drift.sampling import chi2_quantile, share_threshold

stats = import_module("scipy.stats")

values = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 2.0]), st.floats(-1e6, 1e6))
column = st.lists(values, min_size=1, max_size=60)
present = st.lists(st.floats(allow_nan=False), min_size=1, max_size=60)


def naive_psi(reference: Any, current: Any, bins: int = 10) -> float:
    """The definition, over numpy.histogram."""
    ref, cur = (np.array(x, dtype=float) for x in (reference, current))
    quantiles = np.quantile(ref[~np.isnan(ref)], np.arange(1, bins) / bins)
    # histogram's bins are [a, b); ours (a, b], hence the mirror image.
    edges = np.r_[-np.inf, -np.unique(quantiles)[::-1], np.inf]
    shares = []
    for x in (ref, cur):
        counts = np.histogram(-x[~np.isnan(x)], edges)[0]
        shares.append(np.maximum(np.r_[counts, np.isnan(x).sum()] / len(x), 1e-4))
    e, a = shares
    return float(np.sum((a - e) * np.log(a / e)))


def beta() -> tuple[Any, Any]:
    random = np.random.default_rng(20240601)
    return random.beta(2, 5, 10_000), random.beta(2.3, 4.8, 8_000)


def test_the_agreed_check_value() -> None:
    reference, current = beta()
    assert psi(reference, current) == pytest.approx(0.07234, abs=5e-6)
    assert ks_drift(reference, current) == pytest.approx(0.11170, abs=5e-6)


@pytest.mark.parametrize("case", range(20))
def test_figures_are_those_of_the_oracles(case: int) -> None:
    random = np.random.default_rng(case)
    n, m = random.integers(20, 3_000, 2)
    draws: list[Any] = [
        lambda size, shift: random.normal(shift, 1, size),
        lambda size, shift: random.poisson(3 + shift, size).astype(float),
        lambda size, shift: np.where(
            random.random(size) < 0.2 + shift, np.nan, random.random(size)
        ),
        lambda size, shift: np.round(random.gamma(2 + shift, size=size), 1),
    ]
    draw = draws[case % 4]
    reference, current = draw(n, 0.0), draw(m, case / 40)
    bins = 2 + case
    assert psi(reference, current, bins) == pytest.approx(naive_psi(reference, current, bins))
    clean = [x[~np.isnan(x)] for x in (reference, current)]
    expected = stats.ks_2samp(*clean, method="asymp").statistic
    assert ks_drift(reference, current) == pytest.approx(expected, abs=1e-12)


@given(column, column, st.randoms(use_true_random=False))
def test_psi_is_at_least_zero_zero_of_the_same_and_free_of_order(
    reference: list[float | None], current: list[float | None], random: Any
) -> None:
    value = psi(reference, current)
    assert math.isfinite(value)
    assert value >= 0
    assert psi(reference, reference) == 0
    assert psi(reference * 3, reference) == 0
    for rows in (reference, current):
        random.shuffle(rows)
    assert psi(reference, current) == value


@given(present, present)
def test_ks_is_symmetric_and_bounded(reference: list[float], current: list[float]) -> None:
    value = ks_drift(reference, current)
    assert 0 <= value <= 1
    assert ks_drift(current, reference) == value
    assert ks_drift(reference, reference) == 0


def test_nulls_constants_and_single_values() -> None:
    # By hand: bins (-inf, 1], (1, inf), NULL; shares (1, 0, 0) and (.5, 0, .5).
    floor = 1e-4
    expected = -0.5 * math.log(0.5) + (0.5 - floor) * math.log(0.5 / floor)
    assert psi([1, 1], [1, None]) == pytest.approx(expected)
    assert psi([5], [5, 5, 5]) == 0
    assert psi([5], [6]) == pytest.approx(2 * (1 - floor) * math.log(1 / floor))
    assert psi([5], [4]) == 0  # the lowest bin is open below
    assert psi([None], [None, None]) == 0
    assert psi([None], [1.0]) > 10
    assert psi([1.0, 2.0, math.inf], [1.0, 2.0, math.inf]) == 0
    assert ks_drift([1], [2]) == 1
    assert ks_drift([1, None], [None, 1]) == 0
    assert ks_drift([-math.inf, 1], [1, math.inf]) == 0.5
    assert psi(pd.array([1, None, 3], dtype="Int64"), [1, None, 3]) == 0
    assert psi([True, False], [1, 0]) == 0


@pytest.mark.parametrize("empty", [[], np.array([])])
def test_empty_input_is_refused(empty: Any) -> None:
    with pytest.raises(InvalidValue, match="hold no rows"):
        psi(empty, [1])
    with pytest.raises(InvalidValue, match="hold no rows"):
        psi([1], empty)
    with pytest.raises(InvalidValue, match="1 reference and 0 current values are not NULL"):
        ks_drift([1], empty)
    with pytest.raises(InvalidValue, match="hold no rows"):
        categorical_psi(empty, ["a"])


def test_what_is_refused() -> None:
    with pytest.raises(InvalidValue, match="the current values hold 'x', which is not a number"):
        psi([1], [1, "x"])
    with pytest.raises(InvalidValue, match="bins is 1"):
        psi([1], [1], bins=1)
    with pytest.raises(InvalidValue, match="2 expected bins but 3 actual"):
        psi_of_counts([1, 1], [1, 1, 1])
    with pytest.raises(InvalidValue, match="0 or more"):
        psi_of_counts([1, -1], [1, 1])


def test_categories() -> None:
    reference = ["a"] * 60 + ["b"] * 30 + [None] * 10
    current = ["a"] * 50 + ["b"] * 20 + ["new"] * 10 + ["newer"] * 10 + [math.nan] * 10
    e = np.array([0.6, 0.3, 1e-4, 0.1])
    a = np.array([0.5, 0.2, 0.2, 0.1])
    expected = float(np.sum((a - e) * np.log(a / e)))
    assert categorical_psi(reference, current) == pytest.approx(expected)
    assert categorical_psi(reference, reference[::-1]) == 0
    assert categorical_psi([pd.NA, 1], [None, "1"]) == 0


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 9, 10, 19, 50, 101, 1000])
def test_the_chi_square_quantile_is_that_of_scipy(degrees: int) -> None:
    for probability in (0.5, 0.95, 0.99, 0.999):
        expected = stats.chi2.ppf(probability, degrees)
        assert chi2_quantile(degrees, probability) == pytest.approx(expected, rel=1e-9)


def test_the_sampling_thresholds() -> None:
    expected = stats.chi2.ppf(0.99, 3) * (1 / 40 + 1 / 100)
    assert sampling_threshold([10, 10, 20, 0, 0], [25, 25, 25, 25, 0]) == pytest.approx(expected)
    assert sampling_threshold([10], [25]) == 0
    c = stats.kstwobign.ppf(0.99)
    assert ks_sampling_threshold(100, 400) == pytest.approx(c * math.sqrt(1 / 100 + 1 / 400), 1e-3)
    expected = stats.norm.ppf(0.995) * math.sqrt(0.2 * 0.8 * (1 / 100 + 1 / 100))
    assert share_threshold((10, 100), (30, 100)) == pytest.approx(expected)


def test_samples_of_one_distribution_exceed_the_thresholds_about_once_in_100_times() -> None:
    random = np.random.default_rng(4)
    over = {"psi": 0, "ks": 0}
    for _ in range(1_000):
        reference, current = (ScoreCounts.of(random.normal(size=n)) for n in (2_000, 300))
        rows = score_drift(reference, current, "x", threshold=1e-9)
        over["psi"] += rows[0]["verdict"] != "ok"
        over["ks"] += rows[1]["verdict"] != "ok"
    assert 1 <= over["psi"] <= 25
    assert 1 <= over["ks"] <= 25


def test_the_threshold_of_ks_is_that_of_two_normal_distributions() -> None:
    for threshold in (0.1, 0.25):
        shift = math.sqrt(threshold)
        expected = stats.norm.cdf(shift / 2) - stats.norm.cdf(-shift / 2)
        assert ks_threshold(threshold) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "noise", "threshold", "verdict"),
    [
        (0.0, 0.0, 0.25, "ok"),
        (0.1, 0.0, 0.25, "ok"),
        (0.11, 0.0, 0.25, "warning"),
        (-0.11, 0.0, 0.25, "warning"),
        (0.26, 0.0, 0.25, "alarm"),
        (0.2, 0.21, 0.25, "ok"),
        (0.26, 0.21, 0.25, "alarm"),
        (0.5, 0.6, 0.6, "ok"),
        (None, 0.0, 0.25, "unknown"),
    ],
)
def test_verdicts(value: float | None, noise: float, threshold: float, verdict: str) -> None:
    row = drift_row("x", "psi", value, 0.25, noise)
    assert (row["value"], row["threshold"], row["verdict"]) == (value, threshold, verdict)


# Tallies


@given(st.lists(st.lists(values, max_size=30), max_size=6))
def test_a_tally_counts_batches_as_one_column(batches: list[list[float | None]]) -> None:
    tally = ScoreCounts()
    for batch in batches:
        tally.add(batch)
    every = [x for batch in batches for x in batch]
    points, counts = tally.points()
    expected, expected_counts = np.unique([x for x in every if x is not None], return_counts=True)
    np.testing.assert_array_equal(points, expected)
    np.testing.assert_array_equal(counts, expected_counts)
    assert (tally.n, tally.n_null) == (sum(counts), every.count(None))


def test_a_tally_of_many_values_is_bounded_and_near() -> None:
    reference, current = beta()
    tallies = []
    for data in (reference, current):
        tally = ScoreCounts(most=1_000)
        for batch in np.array_split(data, 7):
            tally.add(batch)
        tallies.append(tally)
        assert len(tally.points()[0]) <= 1_000
        assert tally.n == len(data)
        assert tally.bits < 53
    rows = {row["measure"]: row["value"] for row in score_drift(tallies[0], tallies[1], "x")}
    assert rows["psi_x"] == pytest.approx(0.07234, abs=0.005)
    assert rows["ks_x"] == pytest.approx(0.11170, abs=0.005)
    big = ScoreCounts(most=2)
    big.add([1.7e308, -1.7e308, 1.6e308, math.inf, -math.inf])
    assert big.n == 5
    assert big.points()[1].sum() == 5


def test_scores_of_nobody_are_unknown() -> None:
    rows = score_drift(ScoreCounts(), ScoreCounts.of([0.5]), "first")
    assert [(r["measure"], r["value"], r["verdict"]) for r in rows] == [
        ("psi_first", None, "unknown"),
        ("ks_first", None, "unknown"),
    ]


# From stored summaries


def drift_of(reference: pd.DataFrame, current: pd.DataFrame) -> dict[tuple[str, str], Any]:
    before = input_summary(reference)
    rows = feature_drift(before, input_summary(current, reference=before))
    assert rows.columns.tolist() == ["variable", "measure", "value", "threshold", "verdict"]
    return {(row["variable"], row["measure"]): row for row in rows.to_dict("records")}


@given(column, column)
def test_psi_from_summaries_is_that_of_the_rows(
    reference: list[float | None], current: list[float | None]
) -> None:
    frames = [pd.DataFrame({"x": pd.Series(x, dtype="float64")}) for x in (reference, current)]
    value = drift_of(*frames)["x", "psi"]["value"]
    assert value == pytest.approx(psi(reference, current), abs=1e-12)


@given(
    st.lists(st.one_of(st.none(), st.sampled_from("abcde")), min_size=1),
    st.lists(st.one_of(st.none(), st.sampled_from("abcdefg")), min_size=1),
)
def test_psi_of_levels_from_summaries_is_that_of_the_rows(
    reference: list[str | None], current: list[str | None]
) -> None:
    frames = [pd.DataFrame({"x": pd.Series(x, dtype=object)}) for x in (reference, current)]
    value = drift_of(*frames)["x", "psi"]["value"]
    assert value == pytest.approx(categorical_psi(reference, current), abs=1e-12)


@given(st.lists(st.floats(-100, 100), min_size=2), st.lists(st.floats(-100, 100), min_size=2))
def test_ks_from_summaries_is_at_most_two_hundredths_below_that_of_the_rows(
    reference: list[float], current: list[float]
) -> None:
    frames = [pd.DataFrame({"x": [*x, None]}, dtype="float64") for x in (reference, current)]
    value = drift_of(*frames)["x", "ks"]["value"]
    exact = stats.ks_2samp(reference, current, method="asymp").statistic
    # Between two quantiles lies at most one in fifty of the reference, and a row.
    assert exact - 0.02 - 1 / len(reference) <= value <= exact + 1e-12
    few = [[round(x / 50) for x in xs] for xs in (reference, current)]
    value = drift_of(*(pd.DataFrame({"x": x}) for x in few))["x", "ks"]["value"]
    exact = stats.ks_2samp(*few, method="asymp").statistic
    assert exact - 0.02 - 1 / len(reference) <= value <= exact + 1e-12


def test_the_check_value_from_summaries() -> None:
    random = np.random.default_rng(20240601)
    frames = [
        pd.DataFrame({"x": random.beta(2, 5, 10_000)}),
        pd.DataFrame({"x": random.beta(2.3, 4.8, 8_000)}),
    ]
    measures = drift_of(*frames)
    assert measures["x", "psi"]["value"] == pytest.approx(0.07234, abs=5e-6)
    assert 0.11170 - 0.002 < measures["x", "ks"]["value"] <= 0.11170 + 5e-6
    assert measures["x", "ks"]["verdict"] == "warning"
    limits = Limits(psi=0.05, ks=0.2, null_share=0.01)
    before = input_summary(frames[0])
    rows = feature_drift(before, input_summary(frames[1], reference=before), limits, "previous")
    assert dict(zip(rows["measure"], rows["verdict"], strict=True)) == {
        "psi_previous": "alarm", "ks_previous": "warning", "null_share_previous": "ok",
    }  # fmt: skip


@given(st.lists(st.integers(-30, 30), min_size=1), st.integers(1, 12))
def test_a_thinned_distribution_is_exact_where_it_holds_a_value(
    values: list[int], points: int
) -> None:
    thinned = ScoreCounts.of(values).thinned(points)
    assert len(thinned["score"]) <= points
    assert thinned["score"][-1] == max(values)
    below = np.cumsum(thinned["rows"])
    assert below.tolist() == [sum(x <= at for x in values) for at in thinned["score"]]
    again = ScoreCounts.of_points(thinned["score"], thinned["rows"])
    assert again.n == len(values)
    if points >= len(set(values)):
        assert psi(values, values[:1]) == pytest.approx(
            score_drift(again, ScoreCounts.of(values[:1]), "x")[0]["value"]
        )


def test_psi_of_levels_is_exact_also_when_new_ones_are_more_frequent() -> None:
    reference = [f"old {k}" for k in range(40)] * 5
    current = [f"new {k}" for k in range(80)] * 9 + reference[:40]
    frames = [pd.DataFrame({"x": x}) for x in (reference, current)]
    value = drift_of(*frames)["x", "psi"]["value"]
    assert value == pytest.approx(categorical_psi(reference, current))


def test_times_are_compared_in_the_bins_of_the_reference() -> None:
    zone = "Europe/Amsterdam"
    for shift, verdict in ((0, "ok"), (200, "alarm")):
        days = pd.Series(pd.date_range("2026-01-01", periods=500, tz=zone))
        later = days + pd.Timedelta(days=shift)
        row = drift_of(pd.DataFrame({"t": days}), pd.DataFrame({"t": later}))["t", "psi"]
        assert row["verdict"] == verdict
        seconds = [x.map(lambda t: t.timestamp()) for x in (days, later)]
        assert row["value"] == pytest.approx(psi(seconds[0], seconds[1]), abs=0.01)
    naive = drift_of(pd.DataFrame({"t": days}), pd.DataFrame({"t": days.dt.tz_localize(None)}))[
        "t", "psi"
    ]
    assert (naive["value"], naive["verdict"]) == (None, "unknown")


def test_the_edges_of_the_reference_are_stored() -> None:
    before = input_summary(pd.DataFrame({"x": np.arange(100.0)}))
    after = input_summary(pd.DataFrame({"x": np.arange(50.0, 150.0)}), reference=before)
    edges = [json.loads(summary["quantiles"][0])["edges"] for summary in (before, after)]
    assert edges[0] == edges[1]
    assert json.loads(after["bin_counts"][0])["counts"] == [0] * 5 + [10] * 4 + [60]
    assert json.loads(after["quantiles"][0])["values"][0] == 50  # its own deciles
    with pytest.raises(InvalidValue, match="reference lacks the column 'variable'"):
        input_summary(pd.DataFrame({"x": [1]}), reference=pd.DataFrame({"y": [1]}))


def test_shifted_data_alarms_and_the_same_does_not() -> None:
    random = np.random.default_rng(3)
    base = pd.DataFrame({"a": random.normal(size=900), "b": random.choice(["x", "y"], 900)})
    same = pd.DataFrame({"a": random.normal(size=700), "b": random.choice(["x", "y"], 700)})
    assert {row["verdict"] for row in drift_of(base, same).values()} == {"ok"}
    moved = same.assign(a=same["a"] + 1, b=same["b"].where(random.random(700) < 0.7))
    verdicts = {key: row["verdict"] for key, row in drift_of(base, moved).items()}
    assert verdicts == {
        ("a", "psi"): "alarm",
        ("a", "ks"): "alarm",
        ("a", "null_share"): "ok",
        ("b", "psi"): "alarm",
        ("b", "null_share"): "alarm",
    }
    nulls = drift_of(base, moved)["b", "null_share"]
    assert nulls["value"] == moved["b"].isna().mean()


def test_small_samples_do_not_cry_drift() -> None:
    random = np.random.default_rng(8)
    reference, current = random.normal(size=40), random.normal(size=25)
    assert psi(reference, current) > 0.25
    row = drift_of(pd.DataFrame({"a": reference}), pd.DataFrame({"a": current}))["a", "psi"]
    assert (row["verdict"], row["threshold"] > 0.25) == ("ok", True)


def test_new_missing_and_changed_variables_are_told() -> None:
    reference = pd.DataFrame({"gone": [1.0], "kind": [1.5], "day": [dt.date(2026, 1, 1)]})
    current = pd.DataFrame({"added": [1.0], "kind": ["1.5"], "day": ["2026-01-01"]})
    verdicts = {
        key: (row["value"], row["verdict"]) for key, row in drift_of(reference, current).items()
    }
    assert verdicts == {
        ("gone", "missing"): (None, "alarm"),
        ("added", "new"): (None, "warning"),
        ("kind", "psi"): (None, "unknown"),
        ("kind", "null_share"): (0, "ok"),
        ("kind", "type"): (None, "warning"),
        ("day", "psi"): (None, "unknown"),
        ("day", "null_share"): (0, "ok"),
        ("day", "type"): (None, "warning"),
    }


def test_columns_that_are_empty_or_all_null() -> None:
    full = pd.DataFrame({"a": np.arange(1000.0), "b": ["x", "y"] * 500})
    nulls = pd.DataFrame({"a": [None] * 1000, "b": [None] * 1000})
    for before, now in ((full, nulls), (nulls, full)):
        measures = drift_of(before, now)
        assert {row["verdict"] for row in measures.values()} == {"alarm"}
        assert {measure for _, measure in measures} == {"psi", "null_share"}
    for before, now in ((full, full[:0]), (full[:0], full), (full[:0], full[:0])):
        measures = drift_of(before, now)
        assert {(row["value"], row["verdict"]) for row in measures.values()} == {(None, "unknown")}
    assert {row["verdict"] for row in drift_of(nulls, nulls).values()} == {"ok"}


def test_summaries_that_are_none() -> None:
    summary = input_summary(pd.DataFrame({"a": [1]}))
    with pytest.raises(InvalidValue, match="current summary lacks the columns"):
        feature_drift(summary, pd.DataFrame({"a": [1]}))
    with pytest.raises(InvalidValue, match="reference summary has a variable twice"):
        feature_drift(pd.concat([summary, summary]), summary)


def test_a_summary_made_without_the_reference_is_unknown() -> None:
    frames = [pd.DataFrame({"a": np.arange(k, k + 100.0)}) for k in (0, 50)]
    before, now = (input_summary(frame) for frame in frames)
    drift = feature_drift(before, now)
    assert drift.loc[drift["measure"] == "psi", "verdict"].tolist() == ["unknown"]
