"""Summaries of parts put together: what drift needs is exact, the rest is close."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mfprefect.quality import feature_drift, input_summary
from mfprefect.quality.checks.masking import without_cells
from mfprefect.quality.summary.merge import SummaryMerger


def rows(n: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "income": rng.lognormal(10 + shift, 1, n),
            "calls": rng.poisson(3 + 3 * shift, n),
            "plan": rng.choice(["s", "m", "l"], n),
            "city": rng.choice([f"city {k}" for k in range(90)], n),
            "active": rng.random(n) < 0.3,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
            "same": 7.0,
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.1)


def merged(parts: list[pd.DataFrame], reference: pd.DataFrame | None) -> pd.DataFrame:
    merger = SummaryMerger(reference)
    for part in parts:
        summary = input_summary(part, reference=reference)
        # Through JSON, as it is kept until all parts are there.
        merger.add(pd.DataFrame(json.loads(json.dumps(summary.to_dict("records")))))
    return merger.summary()


def counts(row: Any, column: str = "bin_counts") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(str(row[column]))
    return document


def test_of_parts_it_is_that_of_all_rows() -> None:
    reference, frame = input_summary(rows(3_000, 1)), rows(5_000, 2, shift=0.3)
    parts = [frame[:700], frame[700:3_000], frame[3_000:]]
    whole, combined = input_summary(frame, reference=reference), merged(parts, reference)
    for column in ("variable", "n", "n_na"):
        assert combined[column].tolist() == whole[column].tolist()
    for column in ("mean", "sd", "min", "max"):
        expected = whole[column].astype(float).to_numpy()
        assert combined[column].astype(float).to_numpy() == pytest.approx(expected, nan_ok=True)
    by_name = whole.set_index("variable")
    for row in combined.to_dict("records"):
        name, ours = row["variable"], counts(row)
        theirs = json.loads(by_name.loc[name, "bin_counts"])
        if name == "city":  # beyond 50 and the reference's, levels are counted as one
            levels = set(json.loads(input_summary(rows(3_000, 1)).iloc[3]["bin_counts"])["levels"])
            assert {k: ours["levels"][k] for k in levels} == {
                k: theirs["levels"][k] for k in levels
            }
            continue
        assert ours == theirs
        if row["quantiles"]:
            deciles = counts(row, "quantiles")["values"]
            values = frame[name].dropna().sort_values()
            if name == "since":
                assert set(pd.to_datetime(pd.Series(deciles))) <= set(values)
                deciles = pd.to_datetime(pd.Series(deciles)).tolist()
            low = np.searchsorted(values, deciles, side="left") / len(values)
            high = np.searchsorted(values, deciles, side="right") / len(values)
            at = np.arange(11) / 10
            assert (low <= at + 0.01).all()
            assert (high >= at - 0.01).all()
    # So the drift of parts is that of all rows, to the last bit.
    pd.testing.assert_frame_equal(
        feature_drift(reference, combined), feature_drift(reference, whole), check_exact=True
    )
    alone = merged([frame], reference)
    pd.testing.assert_frame_equal(alone, whole, check_dtype=False)


values = st.lists(
    st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0])), min_size=0, max_size=30
)


@settings(max_examples=60)
@given(st.lists(values, min_size=1, max_size=4), values)
# The slope between two points overflows: neighbouring points, and points far apart.
@example([[0.0], [0.0, 2.2250738585e-313]], [])
@example([[0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.438154507889854e308]], [0.0])
def test_every_row_is_counted_once(parts: list[list[Any]], before: list[Any]) -> None:
    frames = [pd.DataFrame({"x": pd.Series(part, dtype="float64")}) for part in parts]
    for reference in (None, input_summary(pd.DataFrame({"x": pd.Series(before, dtype="float64")}))):
        row = merged(frames, reference).iloc[0]
        whole = pd.concat(frames)["x"]
        assert (row["n"], row["n_na"]) == (whole.notna().sum(), whole.isna().sum())
        assert not any(isinstance(x, float) and x != x for x in row)
        bin_counts = counts(row)["counts"]
        n_inf = counts(row, "quantiles")["n_inf"]
        assert sum(bin_counts) + n_inf == row["n"]
        assert min(bin_counts) >= 0


def test_parts_that_differ_in_kind_are_one_of_no_kind() -> None:
    numbers, texts = pd.DataFrame({"x": [1.0, 2.0]}), pd.DataFrame({"x": ["a", None, None]})
    nulls = pd.DataFrame({"x": pd.Series([None, None], dtype=object)})
    row = merged([numbers, texts, nulls], None).iloc[0]
    assert (row["n"], row["n_na"], row["mean"], row["quantiles"]) == (3, 4, None, None)
    assert counts(row) == {"kind": "levels", "levels": {}, "other": 3}
    assert row["dtype"].startswith("float64, ")
    # A part without a value says nothing of the kind; the mean of one is that of all.
    row = merged([nulls, numbers, nulls], None).iloc[0]
    assert (row["n"], row["n_na"], row["mean"]) == (2, 4, 1.5)
    drift = feature_drift(input_summary(numbers), merged([numbers, texts], None))
    assert drift.set_index("measure").loc["type", "verdict"] == "warning"


def test_what_is_masked_stays_so() -> None:
    frame = rows(900, 5)
    hidden = ["income", "plan"]
    merger = SummaryMerger()
    for part in (frame[:300], frame[300:]):
        merger.add(without_cells(input_summary(part), hidden))
    row = merger.summary().set_index("variable").loc["income"]
    plan = merger.summary().set_index("variable").loc["plan"]
    assert row["min"] is None
    assert row["max"] is None
    deciles = counts(row, "quantiles")["values"]
    assert frame["income"].min() < deciles[0]
    assert deciles[-1] < frame["income"].max()
    assert counts(plan)["levels"] == {}


def test_memory_does_not_grow_with_parts() -> None:
    merger = SummaryMerger()
    for seed in range(40):
        part = pd.DataFrame({"x": np.random.default_rng(seed).normal(seed, 1, 200)})
        merger.add(input_summary(part.assign(name=[f"{seed}-{k}" for k in range(200)])))
    assert len(merger._variables["x"].mixture._x) <= 2_000
    assert len(merger._variables["name"].levels) <= 500
    row = merger.summary().set_index("variable").loc["x"]
    # Forty normal distributions side by side: nearly uniform between 0 and 39.
    assert counts(row, "quantiles")["values"][5] == pytest.approx(19.5, abs=0.3)
