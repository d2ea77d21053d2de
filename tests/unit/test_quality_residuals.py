"""How predictions miss: groups and errors beside what pandas and numpy say of all rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect.quality.metrics.evaluation import evaluate
from mfprefect.quality.metrics.residuals import prediction_errors


def test_groups_and_errors_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(3)
    predicted = rng.gamma(2, 50, 4_000)
    actual = predicted + rng.normal(2, 10, 4_000)
    summary = prediction_errors(actual, predicted)
    assert summary is not None
    frame = pd.DataFrame({"y": actual, "p": predicted}).sort_values("p", ignore_index=True)
    by = frame.groupby(frame.index // 200)
    groups = summary["groups"]
    assert groups["rows"] == [200] * 20
    assert groups["predicted"] == pytest.approx(by["p"].mean().to_list())
    assert groups["actual"] == pytest.approx(by["y"].mean().to_list())
    assert groups["low"] == pytest.approx(by["y"].quantile(0.1).to_list())
    assert groups["high"] == pytest.approx(by["y"].quantile(0.9).to_list())
    errors = summary["errors"]
    wanted = np.quantile(predicted - actual, errors["probabilities"])
    assert errors["quantiles"] == pytest.approx(wanted)
    assert 0.0 in errors["edges"]
    counted = np.histogram(predicted - actual, errors["edges"])[0].tolist()
    assert errors["counts"] == counted
    assert 0.98 * 4_000 <= sum(counted) <= 4_000


numbers = st.one_of(st.floats(-1e300, 1e300), st.sampled_from([0.0, 1.0, 1e9]))


@settings(max_examples=60)
@given(st.lists(st.tuples(numbers, numbers), max_size=60))
def test_no_row_is_lost_and_their_order_does_not_matter(rows: list[tuple[float, float]]) -> None:
    pairs = np.array(rows, dtype=np.float64).reshape(-1, 2)
    summary = prediction_errors(pairs[:, 0], pairs[:, 1])
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    assert prediction_errors(pairs[order, 0], pairs[order, 1]) == summary
    if len(rows) < 10:
        assert summary is None
    if summary is not None:
        json.dumps(summary, allow_nan=False)
        assert sum(summary["groups"]["rows"]) == len(rows)


def test_a_perfect_model_has_groups_and_no_bins() -> None:
    values = np.arange(50.0)
    summary = evaluate(values, values, "regression").notes["prediction_errors"]
    assert summary["groups"]["predicted"] == summary["groups"]["actual"]
    assert summary["errors"]["quantiles"] == [0.0] * 5
    assert summary["errors"]["counts"] == []
    few = prediction_errors(np.arange(12.0), np.arange(12.0)[::-1])
    assert few is not None
    assert len(few["errors"]["counts"]) in (5, 6, 7)
    assert "prediction_errors" not in evaluate(values[:9], values[:9], "regression").notes
