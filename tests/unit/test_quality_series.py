"""Forecasts and prediction intervals, against their formulas written out row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfprefect import quality
from mfprefect.errors import InvalidValue

number = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


@st.composite
def series(draw: st.DrawFn) -> tuple[dict[str, list[float]], list[tuple[str, float, float]], int]:
    season = draw(st.integers(1, 4))
    history = {
        name: draw(st.lists(number, min_size=season + 1, max_size=12))
        for name in ("north", "south")
    }
    row = st.tuples(st.sampled_from(["north", "south"]), number, number)
    return history, draw(st.lists(row, min_size=1, max_size=12)), season


@given(series())
def test_forecasts_by_the_formulas(
    data: tuple[dict[str, list[float]], list[tuple[str, float, float]], int],
) -> None:
    history, rows, m = data
    names, y, p = (list(x) for x in zip(*rows, strict=True))
    metrics = quality.evaluate(
        y, p, "time_series", context={"history": history, "series": names, "season": m}
    ).metrics[""]
    seen = dict.fromkeys(history, 0)
    scaled, naive, relative = [], [], []
    for name, actual, predicted in rows:
        past = history[name]
        steps = [abs(past[t] - past[t - m]) for t in range(m, len(past))]
        naive.append(past[len(past) - m + seen[name] % m])
        seen[name] += 1
        scaled.append((abs(predicted - actual), sum(steps) / len(steps)))
        size = abs(actual) + abs(predicted)
        relative.append(2 * abs(predicted - actual) / size if size else 0.0)
    naive_mae = np.mean([abs(a - b) for a, b in zip(naive, y, strict=True)])
    assert metrics["smape"] == pytest.approx(np.mean(relative))
    assert metrics["naive_mae"] == pytest.approx(naive_mae)
    if naive_mae > 0:
        assert metrics["skill"] == pytest.approx(1 - metrics["mae"] / naive_mae)
    if all(scale > 0 for _, scale in scaled):
        assert metrics["mase"] == pytest.approx(np.mean([error / scale for error, scale in scaled]))
    else:
        assert "mase" not in metrics
    assert all(np.isfinite(list(metrics.values())))


def test_mase_of_a_published_example() -> None:
    # A naive forecast of its own training data has a MASE of 1, by definition.
    past = [10.0, 12, 9, 14, 11, 15]
    metrics = quality.evaluate(
        past[1:], past[:-1], "time_series", context={"history": past}
    ).metrics[""]
    assert metrics["mase"] == pytest.approx(1)
    # A season of 2, h = 1, 2, 3: 11, 15, 11.
    ahead = quality.evaluate(
        [11, 15, 12], [0, 0, 0], "time_series", context={"history": past, "season": 2}
    ).metrics[""]
    assert ahead["naive_mae"] == pytest.approx(1 / 3)
    given_one = quality.evaluate(
        [11, 15, 12], [1, 1, 1], "time_series", context={"naive": [11, 15, 12]}
    ).metrics[""]
    assert given_one["naive_mae"] == 0
    assert not {"skill", "mase"} & set(given_one)


def test_intervals_of_a_regression() -> None:
    y = np.array([1.0, 2, 3, 4])
    lower, upper = np.array([0.0, 2, 4, 0]), np.array([2.0, 2, 6, 3])
    evaluation = quality.evaluate(
        y, y, "regression", context={"lower": lower, "upper": upper, "level": 0.9}
    )
    assert evaluation.metrics[""]["coverage"] == 0.5
    assert evaluation.metrics[""]["interval_width"] == 1.75
    # 2, 0, 2 + 20 · 1, 3 + 20 · 1
    assert evaluation.metrics[""]["interval_score"] == pytest.approx(47 / 4)
    assert evaluation.notes["level"] == 0.9
    assert "smape" not in evaluation.metrics[""]
    no_level = quality.evaluate(y, y, "regression", context={"lower": lower, "upper": upper})
    assert "interval_score" not in no_level.metrics[""]


def test_segments_keep_what_each_row_is_held_against() -> None:
    context: Any = {
        "history": {"n": [1.0, 3, 1, 3], "s": [10.0, 20, 10]},
        "series": ["n", "s", "n", "s"],
        "lower": [0.0, 0, 9, 9],
        "upper": [5.0, 5, 10, 10],
    }
    y, p = [2.0, 15, 4, 25], [4.0, 10, 4, 20]
    evaluation = quality.evaluate(
        y, p, "time_series", segments={"shop": ["n", "s", "n", "s"]}, context=context
    )
    assert evaluation.metrics["shop=n"]["mase"] == (2 / 2 + 0) / 2
    assert evaluation.metrics["shop=s"]["mase"] == (5 / 10 + 5 / 10) / 2
    assert evaluation.metrics["shop=s"]["naive_mae"] == (5 + 15) / 2
    assert evaluation.metrics["shop=n"]["coverage"] == 0.5


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"season": 0}, "season is 0"),
        ({"lower": [1, 1]}, "intervals need both ends"),
        ({"lower": [1, 3], "upper": [2, 2]}, r"1 intervals end .* \[3.0, 2.0\] at position 1"),
        ({"lower": [0, 0], "upper": [2, 2], "level": 90}, "level is 90"),
        ({"lower": [0], "upper": [2]}, "2 actuals but 1 lower values"),
        ({"naive": [1, np.nan]}, "1 of 2 naive values are not finite"),
        ({"history": [1, None]}, "history of 'all' values are not finite"),
        ({"history": [1, 2], "series": ["a", "b"]}, "2 series but one history"),
        ({"history": {"a": [1]}, "series": ["a"]}, "2 actuals but 1 series"),
        ({"horizon": 3}, "a time_series model takes no 'horizon'; choose"),
    ],
)
def test_what_is_refused(context: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        quality.evaluate([1.0, 2.0], [1.0, 2.0], "time_series", context=context)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InvalidValue, match="no rows"):
        quality.evaluate([], [], "time_series")
