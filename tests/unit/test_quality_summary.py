from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfprefect.errors import InvalidValue
from mfprefect.quality import input_summary

NUMBERS = ["mean", "sd", "median", "min", "max"]


def one(values: Any, bins: int = 10, **options: Any) -> dict[str, Any]:
    """Summarise one variable, its JSON texts read."""
    frame = pd.DataFrame({"x": pd.Series(values, **options)})
    row = {str(k): v for k, v in input_summary(frame, bins).iloc[0].items()}
    assert not any(isinstance(value, float) and math.isnan(value) for value in row.values())
    for name in ("quantiles", "bin_counts"):
        row[name] = None if row[name] is None else json.loads(row[name])
    return row


def numbers(row: dict[str, Any]) -> list[float | None]:
    return [row[name] for name in NUMBERS]


def test_numbers_are_those_of_pandas() -> None:
    values = pd.Series(np.random.default_rng(5).normal(3, 2, 1000))
    values[::10] = np.nan
    row = one(values)
    expected = [values.mean(), values.std(), values.median(), values.min(), values.max()]
    assert numbers(row) == pytest.approx(expected)
    assert (row["dtype"], row["n"], row["n_na"], row["n_distinct"]) == ("float64", 900, 100, 900)
    deciles = values.quantile([k / 10 for k in range(11)]).tolist()
    assert row["quantiles"]["values"] == pytest.approx(deciles)
    assert row["quantiles"]["edges"] == pytest.approx(deciles[1:-1])
    assert row["bin_counts"]["kind"] == "numeric"
    assert row["bin_counts"]["counts"] == [90] * 10
    grid = row["bin_counts"]["grid_counts"]
    assert (len(grid), sum(grid[:2]), sum(grid)) == (99, 18, 900)
    fiftieths = np.quantile(np.sort(values.dropna()), np.arange(1, 50) / 50)
    assert row["quantiles"]["grid"] == pytest.approx(fiftieths)


floats = st.one_of(st.none(), st.sampled_from([0.0, 1.0, math.inf, -math.inf]), st.floats())


@given(st.lists(floats, max_size=60), st.integers(2, 12))
def test_every_row_is_counted_once(values: list[float | None], bins: int) -> None:
    row = one(values, bins, dtype="float64")
    quantiles, counts = row["quantiles"], row["bin_counts"]["counts"]
    assert row["n"] + row["n_na"] == len(values)
    assert sum(counts) + quantiles["n_inf"] == row["n"]
    assert len(counts) == len(quantiles["edges"]) + 1
    finite = [x for x in values if x is not None and math.isfinite(x)]
    bounds = [-math.inf, *quantiles["edges"], math.inf]
    for low, high, count in zip(bounds, bounds[1:], counts, strict=False):
        assert sum(low < x <= high for x in finite) == count


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_the_summary_does_not_depend_on_row_order(values: list[float], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert one(shuffled) == one(values)


def test_a_constant_and_a_flag_keep_a_bin_of_their_own() -> None:
    constant = one([5, 5, 5])
    assert numbers(constant) == [5, 0, 5, 5, 5]
    assert constant["quantiles"]["edges"] == [5]
    assert constant["bin_counts"]["counts"] == [3, 0]
    assert one([0] * 95 + [1] * 5)["bin_counts"]["counts"] == [95, 5]


def test_infinities_and_values_at_the_end_of_the_range() -> None:
    row = one([1.0, 2.0, math.inf, -math.inf, math.nan])
    assert (row["n"], row["n_na"], row["n_distinct"]) == (4, 1, 4)
    assert (row["mean"], row["min"], row["max"]) == (1.5, 1, 2)
    assert row["quantiles"]["n_inf"] == 2
    huge = one([-1.7e308, 1.7e308, 1.7e308])
    assert huge["max"] == 1.7e308
    assert sum(huge["bin_counts"]["counts"]) == 3


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2, None], "Int64"),
        ([1, 2, None], "float32"),
        ([1, 2, None], "double[pyarrow]"),
        ([Decimal("1"), Decimal("2"), None], object),
        ([1, 2.0, None], object),
        ([1.0, 2.0, math.nan], pd.SparseDtype("float64")),
        ([dt.timedelta(seconds=1), dt.timedelta(seconds=2), None], None),
        ([dt.timedelta(seconds=1), dt.timedelta(seconds=2), None], object),
    ],
)
def test_numbers_of_every_type(values: list[Any], dtype: Any) -> None:
    row = one(values, dtype=dtype)
    assert numbers(row) == pytest.approx([1.5, math.sqrt(0.5), 1.5, 1, 2])
    assert (row["n"], row["n_na"], row["n_distinct"]) == (2, 1, 2)


def test_large_integers_stay_distinct() -> None:
    assert one([2**60, 2**60 + 1])["n_distinct"] == 2
    assert one([10**400, 1, 2], dtype=object)["quantiles"]["n_inf"] == 1


@pytest.mark.parametrize("dtype", ["bool", "boolean", object, "bool[pyarrow]"])
def test_booleans_have_numbers_and_levels(dtype: Any) -> None:
    row = one([True, True, False], dtype=dtype)
    assert numbers(row) == pytest.approx([2 / 3, math.sqrt(1 / 3), 1, 0, 1])
    assert row["bin_counts"] == {
        "kind": "levels", "levels": {"True": 2, "False": 1}, "other": 0,
    }  # fmt: skip
    assert row["quantiles"] is None


@pytest.mark.parametrize("dtype", ["str", object, "category", "string[pyarrow]"])
def test_levels(dtype: Any) -> None:
    row = one(["b", "a", "b", None, "other"], dtype=dtype)
    assert row["bin_counts"] == {
        "kind": "levels", "levels": {"b": 2, "a": 1, "other": 1}, "other": 0,
    }  # fmt: skip
    assert (row["n"], row["n_na"], row["n_distinct"]) == (4, 1, 3)
    assert numbers(row) == [None] * 5


def test_only_the_most_frequent_levels_are_kept() -> None:
    values = [f"level {k:02}" for k in range(60) for _ in range(60 - k)]
    counts = one(values)["bin_counts"]
    assert list(counts["levels"].items())[:2] == [("level 00", 60), ("level 01", 59)]
    assert len(counts["levels"]) == 50
    assert counts["other"] == sum(range(1, 11))


def test_values_that_are_not_hashable_and_long_texts() -> None:
    assert one([[1], [1], {}])["bin_counts"]["levels"] == {"[1]": 2, "{}": 1}
    row = one(["x" * 5000 + "a", "x" * 5000 + "b"])
    assert row["n_distinct"] == 2
    assert row["bin_counts"]["levels"] == {"x" * 100: 2}


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [
        ([dt.date(2020, 1, 1), None, dt.date(9999, 12, 31)], "2020-01-01T", "9999-12-31T"),
        (pd.DatetimeIndex(["2020-01-01", pd.NaT, "2021-01-01"]), "2020-01-01T", "2021-01-01T"),
        (
            pd.Series([dt.datetime(1, 1, 1), None, dt.datetime(9999, 1, 1)], dtype=object),
            "0001-01-01T",
            "9999-01-01T",
        ),
        (pd.PeriodIndex(["2020-01", None, "2020-03"], freq="M"), "2020-01-01T", "2020-03-01T"),
        (
            pd.Series(["2020-01-01", None, "2020-01-03"], dtype="timestamp[us][pyarrow]"),
            "2020-01-01T",
            "2020-01-03T",
        ),
    ],
)
def test_times_are_text(values: Any, first: str, last: str) -> None:
    row = one(values)
    assert numbers(row) == [None] * 5
    assert (row["n"], row["n_na"], row["n_distinct"]) == (2, 1, 2)
    assert row["quantiles"]["min"] == first + "00:00:00.000000"
    assert row["quantiles"]["max"] == last + "00:00:00.000000"
    assert row["quantiles"]["values"][0] == row["quantiles"]["min"]
    assert row["quantiles"]["values"][-1] == row["quantiles"]["max"]
    counts = {"counts": [1, 1, 0], "grid_counts": [0, 1, 0, 1, 0]}
    assert row["bin_counts"] == {"kind": "datetime"} | counts


@pytest.mark.parametrize("dtype", [None, object])
def test_times_with_a_zone_are_utc(dtype: Any) -> None:
    values = pd.Series(pd.to_datetime(["2020-07-01", "2020-07-02"]).tz_localize("Europe/Amsterdam"))
    row = one(values if dtype is None else values.astype(dtype))
    assert row["quantiles"]["min"] == "2020-06-30T22:00:00.000000+00:00"


def test_quantiles_of_times_are_the_inverse_of_the_distribution() -> None:
    days = pd.Series(pd.date_range("2020-01-01", periods=37))
    expected = np.quantile(
        days.to_numpy("datetime64[us]").astype(np.int64),
        [k / 10 for k in range(11)],
        method="inverted_cdf",
    )
    quantiles = one(days)["quantiles"]["values"]
    assert quantiles == [str(x) for x in expected.astype("datetime64[us]")]


@pytest.mark.parametrize("dtype", ["float64", "Int64", "object", "str", "datetime64[us]", "bool"])
def test_no_rows(dtype: str) -> None:
    row = one([], dtype=dtype)
    assert (row["n"], row["n_na"], row["n_distinct"]) == (0, 0, 0)
    assert numbers(row) == [None] * 5


@pytest.mark.parametrize("dtype", ["float64", "Int64", "object", "str", "datetime64[us]"])
def test_only_nulls(dtype: str) -> None:
    row = one([None, None], dtype=dtype)
    assert (row["n"], row["n_na"], row["n_distinct"]) == (0, 2, 0)
    assert numbers(row) == [None] * 5


def test_one_row_a_variable_and_the_frame_is_left_alone() -> None:
    frame = pd.DataFrame({"b": [2, 1], "a": ["x", None]}, index=[9, 9])
    before = frame.copy()
    summary = input_summary(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert summary["variable"].tolist() == ["b", "a"]
    assert summary["n"].dtype == "int64"
    assert input_summary(frame[[]]).columns.tolist() == summary.columns.tolist()


def test_frames_that_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"must be text, got \[0, 1\]; rename"):
        input_summary(pd.DataFrame([[1, 2]]))
    with pytest.raises(InvalidValue, match=r"more than once: \['a'\]"):
        input_summary(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(InvalidValue, match="bins is 1"):
        input_summary(pd.DataFrame(), bins=1)


def test_the_bins_give_the_agreed_stability_index() -> None:
    random = np.random.default_rng(20240601)
    reference, current = random.beta(2, 5, 10_000), random.beta(2.3, 4.8, 8_000)
    row = one(reference)
    expected = np.array(row["bin_counts"]["counts"]) / 10_000
    place = np.searchsorted(row["quantiles"]["edges"], current, side="left")
    actual = np.bincount(place, minlength=10) / 8_000
    index = np.sum((actual - expected) * np.log(actual / expected))
    assert index == pytest.approx(0.07234, abs=5e-6)
