"""Input summaries of parts that arrive in batches: of all rows, or of a recorded sample."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from mfprefect.quality import feature_drift, input_summary
from mfprefect.quality.summary.sample import InputSummarizer, scaled


def rows(n: int, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "income": rng.lognormal(10 + shift, 1, n),
            "calls": rng.poisson(3, n),
            "plan": rng.choice(["s", "m", "l"], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
        }
    )
    frame["income"] = frame["income"].mask(rng.random(n) < 0.1)
    return frame


REFERENCE = input_summary(rows(3_000, 1))


def summarised(frame: pd.DataFrame, ids: Any, most: int, batch: int) -> InputSummarizer:
    summarizer = InputSummarizer({"summary": REFERENCE}, most)
    for start in range(0, len(frame), batch):
        summarizer.add(frame[start : start + batch], ids[start : start + batch])
    return summarizer


@settings(max_examples=25)
@given(st.integers(1, 120), st.integers(1, 50))
def test_up_to_the_limit_it_is_that_of_the_whole(n: int, batch: int) -> None:
    frame = rows(n)
    summarizer = summarised(frame, np.arange(n), 120, batch)
    whole = input_summary(frame, reference=REFERENCE)
    pd.testing.assert_frame_equal(summarizer.summaries()["summary"], whole)
    assert (summarizer.rows, summarizer.sampled) == (n, n)


def test_a_column_that_becomes_a_float_with_the_first_null_has_the_type_of_the_whole() -> None:
    whole = pd.DataFrame({"n": [1, 2, 3, None]})
    summarizer = InputSummarizer({"summary": input_summary(whole)}, 10)
    summarizer.add(pd.DataFrame({"n": [1, 2]}), [1, 2])
    summarizer.add(pd.DataFrame({"n": [3, None]}), [3, 4])
    summary = summarizer.summaries()["summary"]
    pd.testing.assert_frame_equal(summary, input_summary(whole, reference=input_summary(whole)))


@settings(max_examples=25)
@given(st.integers(21, 200), st.integers(1, 90), st.integers(1, 90), st.booleans())
def test_a_sample_depends_neither_on_batches_nor_on_the_order(
    n: int, batch: int, other: int, text: bool
) -> None:
    frame, ids = rows(n), np.arange(n).astype(str).astype(object) if text else np.arange(n)
    order = np.random.default_rng(2).permutation(n)
    first = summarised(frame, ids, 20, batch)
    second = summarised(frame.iloc[order], ids[order], 20, other)
    one, two = first.summaries()["summary"], second.summaries()["summary"]
    pd.testing.assert_frame_equal(one, two)
    assert first.sampled == second.sampled == 20
    assert ((one["n"] + one["n_na"]) == n).all()


def test_a_sample_is_close_to_the_whole_and_its_drift_too() -> None:
    frame = rows(40_000, 3, shift=0.5)
    summarizer = summarised(frame, np.arange(40_000), 10_000, 3_000)
    sample, whole = summarizer.summaries()["summary"], input_summary(frame, reference=REFERENCE)
    assert summarizer.sampled == 10_000
    one, two = feature_drift(REFERENCE, sample), feature_drift(REFERENCE, whole)
    assert one["verdict"].tolist() == two["verdict"].tolist()
    assert one["value"].astype(float).to_numpy() == pytest.approx(
        two["value"].astype(float).to_numpy(), abs=0.03
    )
    for row in sample.to_dict("records"):
        counts = json.loads(row["bin_counts"])
        if counts["kind"] == "levels":
            assert sum(counts["levels"].values()) + counts["other"] == row["n"]
        else:
            infinite = json.loads(row["quantiles"]).get("n_inf", 0)
            assert sum(counts["counts"]) == sum(counts["grid_counts"]) == row["n"] - infinite


def test_without_a_limit_batches_are_merged_as_parts_are() -> None:
    frame = rows(5_000, 4)
    summary = summarised(frame, np.arange(5_000), 0, 700).summaries()["summary"]
    whole = input_summary(frame, reference=REFERENCE)
    assert summary["n"].tolist() == whole["n"].tolist()
    first, second = feature_drift(REFERENCE, summary), feature_drift(REFERENCE, whole)
    pd.testing.assert_frame_equal(first, second)


def test_an_infinite_value_and_a_rare_level_keep_the_sums() -> None:
    frame = pd.DataFrame({"x": [1.0, np.inf, None, 2.0], "l": ["a", "b", "b", None]})
    summary = scaled(input_summary(frame), 4_003)
    assert (summary["n"] + summary["n_na"]).tolist() == [4_003, 4_003]
    x, levels = (json.loads(text) for text in summary["bin_counts"])
    n_inf = json.loads(summary["quantiles"][0])["n_inf"]
    assert sum(x["counts"]) + n_inf == summary["n"][0] == 3_002
    assert sum(levels["levels"].values()) + levels["other"] == summary["n"][1]


def test_a_sample_that_was_drawn_elsewhere_stands_for_all_rows() -> None:
    frame = rows(1_000, 3)
    summarizer = InputSummarizer.of_sample({"summary": REFERENCE}, frame, 24_000)
    expected = scaled(input_summary(frame, reference=REFERENCE), 24_000)
    summary = summarizer.summaries()["summary"]
    pd.testing.assert_frame_equal(summary, expected)
    assert (summary["n"] + summary["n_na"]).tolist() == [24_000] * len(summary)
    assert (summarizer.sampled, summarizer.rows) == (1_000, 24_000)


@pytest.mark.parametrize("most", [0, 10])
def test_without_rows_there_is_an_empty_summary(most: int) -> None:
    summarizer = InputSummarizer({"summary": REFERENCE, "previous": REFERENCE}, most)
    summaries = summarizer.summaries()
    assert set(summaries) == {"summary", "previous"}
    assert summarizer.sampled == summarizer.rows == 0
