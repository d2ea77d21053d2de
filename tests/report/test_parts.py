"""The parts of reports by themselves, against numpy, scikit-learn and scipy."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve

from mfprefect.errors import InvalidValue
from mfprefect.quality import input_summary, rank, test_curve
from mfprefect.quality.metrics.calibration import calibration, wilson
from mfprefect.quality.metrics.order import ordered
from mfprefect.report import formats
from mfprefect.report.drawing import palette, sparklines
from mfprefect.report.drawing.charts import bin_counts, calibration_chart


def made(n: int, seed: int = 0) -> tuple[Any, Any, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 5, n)
    actual = (rng.random(n) < score).astype(int)
    return actual, score, pd.DataFrame(test_curve(rank(actual, score)))


@pytest.mark.parametrize("n", [100, 1_000, 60_000])
def test_calibration_is_that_of_scikit_learn(n: int) -> None:
    actual, score, curve = made(n)
    points = calibration(curve)
    assert points is not None
    observed, predicted = calibration_curve(actual, score, n_bins=10, strategy="quantile")
    # With more scores than points, the edges of the groups lie at points.
    near = 1e-12 if n <= 1_000 else 5e-3
    np.testing.assert_allclose(points["predicted"], predicted, atol=near)
    np.testing.assert_allclose(points["observed"], observed, atol=near * 4)
    assert points["rows"].sum() == n


@pytest.mark.parametrize(("rate", "end"), [(0.012, "5 %"), (0.3, "50 %"), (0.6, "100 %")])
def test_the_calibration_of_few_positives_fills_its_chart(rate: float, end: str) -> None:
    rng = np.random.default_rng(0)
    actual = rng.random(5_000) < rate
    score = rate + 0.005 * rng.random(5_000)
    curve = pd.DataFrame(test_curve(rank(actual.astype(int), score)))
    chart = calibration_chart(curve)
    assert chart is not None
    ticks = re.findall(r"<!-- ([\d.]+ %) -->", chart.svg)
    assert ticks[-1] == end


def test_calibration_keeps_rows_of_one_score_together() -> None:
    curve = pd.DataFrame(test_curve(rank([0, 1, 1, 0, 1], [0.2, 0.2, 0.8, 0.8, 0.8])))
    points = calibration(curve)
    assert points is not None
    assert points["predicted"].tolist() == [0.2, pytest.approx(0.8)]
    assert points["observed"].tolist() == [0.5, pytest.approx(2 / 3)]
    assert calibration(curve.assign(score=curve["score"] * 2)) is None
    with pytest.raises(InvalidValue, match="groups"):
        calibration(curve, groups=1)


@pytest.mark.parametrize(("hits", "n"), [(0, 3), (1, 7), (50, 100), (9, 9)])
def test_wilson_is_that_of_scipy(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    low, high = wilson(np.array([hits]), np.array([n]))
    assert low[0] == pytest.approx(expected.low, abs=1e-12)
    assert high[0] == pytest.approx(expected.high, abs=1e-12)


def test_rows_between_edges_are_those_of_numpy() -> None:
    actual, score, curve = made(900)
    edges = np.linspace(0, 1, 21)
    assert bin_counts(curve, "population", edges).tolist() == np.histogram(score, edges)[0].tolist()
    positives = np.histogram(score[actual == 1], edges)[0]
    assert bin_counts(curve, "tp", edges).tolist() == positives.tolist()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.731652, "0.7317"),
        (-0.5, "\u22120.5000"),
        (12.345, "12.35"),
        (1234.56, "1,234.6"),
        (1500.0, "1,500"),
        (0.00016204, "0.000162"),
        (1.6204e-9, "1.62e\u22129"),
        (1e300, "1e300"),
        (float("inf"), "\u221e"),
        (float("nan"), "\u2013"),
        (None, "\u2013"),
        (-0.0, "0"),
    ],
)
def test_numbers(value: Any, text: str) -> None:
    assert formats.number(value) == text


def test_words() -> None:
    assert [formats.percent(x) for x in (0, 1e-6, 0.5, 0.99999, 1, None)] == [
        "0 %", "< 0.1 %", "50.0 %", "> 99.9 %", "100 %", "\u2013",
    ]  # fmt: skip
    assert [formats.brief(x) for x in (0.3, 1234.5678, 12, 1e-7)] == [
        "0.3",
        "1,235",
        "12",
        "1e\u22127",
    ]
    changes = [formats.change(1, 1), formats.change(1, 1.5), formats.change(0.5, 0.49996)]
    assert changes == ["0", "+0.5000", "\u22120.000040"]
    # No more decimals than the figures themselves have.
    assert formats.change(57.2716, 54.8134) == "\u22122.46"
    assert formats.change(54.81, 54.815) == "+0.005"
    assert formats.change(10, 12) == "+2"
    assert formats.change(None, 1) == "\u2013"
    assert formats.moment(dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)) == "2026-01-02 03:04 UTC"
    assert formats.text({"a": [1]}) == '{"a": [1]}'
    assert formats.text("x" * 3_000).endswith("\u2026 (3,000 characters)")
    assert formats.visible("a\x1b\u202e\ud800\n\tb") == "a\ufffd\ufffd\ufffd\n\tb"


def test_metrics_that_matter_come_first() -> None:
    assert ordered(["n", "zeta", "ks", "auc"]) == ["auc", "ks", "zeta", "n"]
    assert ordered(["lift_20", "lift_5", "lift_1"]) == ["lift_1", "lift_5", "lift_20"]


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_contrast_is_that_of_wcag_aa(colours: Any) -> None:
    for text, paper in palette.TEXTS:
        assert palette.contrast(colours[text], colours[paper]) >= 4.5, (text, paper)
    for role, paper in palette.GRAPHICS:
        assert palette.contrast(colours[role], colours[paper]) >= 3, (role, paper)


def test_contrast_is_as_wcag_defines_it() -> None:
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert palette.contrast("#ff0000", "#ff0000") == 1


def heights(frame: pd.DataFrame, reference: pd.DataFrame | None = None) -> sparklines.Bars:
    (row,) = input_summary(frame, reference=reference).to_dict("records")
    other = None if reference is None else reference.to_dict("records")[0]
    bars = sparklines.histogram("x", {str(k): v for k, v in row.items()}, other)  # type: ignore[arg-type]
    for left, right, height in [*bars.boxes, *bars.outline]:
        assert 0 <= left <= right <= 1
        assert 0 <= height <= 1
    return bars


def test_a_histogram_has_the_shape_of_its_values() -> None:
    flat = heights(pd.DataFrame({"x": np.linspace(0, 1, 1_001)}))
    assert min(h for *_, h in flat.boxes) > 0.95
    peak = heights(pd.DataFrame({"x": np.random.default_rng(0).normal(size=5_000)}))
    tall = max(peak.boxes, key=lambda box: box[2])
    assert 0.35 < (tall[0] + tall[1]) / 2 < 0.65
    assert peak.boxes[0][2] < 0.3


def test_few_different_numbers_are_shown_one_by_one() -> None:
    before = input_summary(pd.DataFrame({"x": [0.0] * 6 + [1.0] * 2 + [4.0] * 2}))
    bars = heights(pd.DataFrame({"x": [0.0] * 2 + [1.0] * 6 + [4.0] * 2}), before)
    assert [round(h, 6) for *_, h in bars.boxes] == [0.333333, 1, 0.333333]
    assert [round(h, 6) for *_, h in bars.outline] == [1, 0.333333, 0.333333]
    left = [round(box[0], 6) for box in bars.boxes]
    assert left == [0, 0.2, 0.8]
    assert bars.apart
    # Values that training did not have lie between: then it is how densely they lie.
    assert not heights(pd.DataFrame({"x": [2.0, 2.5, 3.0]}), before).apart


def test_a_histogram_of_levels_and_its_reference() -> None:
    before = input_summary(pd.DataFrame({"x": list("aaaabb")}))
    bars = heights(pd.DataFrame({"x": list("aabbbb")}), before)
    assert [round(h, 6) for *_, h in bars.boxes] == [1, 0.5]  # b, then a
    assert [round(h, 6) for *_, h in bars.outline] == [0.5, 1]
    assert bars.apart


@pytest.mark.parametrize(
    "values",
    [
        [],
        [None],
        [1.0],
        [5.0] * 9,
        [0.0] * 99 + [1e300],
        [np.inf, 1.0],
        [True],
        ["a"],
        [dt.date(2026, 1, 1)],
    ],
    ids=str,
)
def test_odd_variables_have_a_picture_or_none(values: list[Any]) -> None:
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    bars = heights(frame, input_summary(frame))
    (drawn,) = sparklines.draw([bars])
    assert bool(drawn.svg) == bool(bars.boxes)


def test_bars_have_their_whiskers() -> None:
    bar = sparklines.bar("x", 2.0, 4.0, spread=1.0)
    assert bar.boxes[0][1] == 0.5
    assert bar.whisker == (0.25, 0.75)
    assert sparklines.bar("x", -1.0, 4.0).boxes[0][1] == 0
    assert not sparklines.bar("x", 0.0, 0.0).boxes
    drawn = sparklines.draw([bar, sparklines.bar("x", 1.0, 4.0)])
    assert [picture.svg.count("<path") for picture in drawn] == [2, 1]


def test_json_of_another_form_is_shown_as_it_is() -> None:
    from mfprefect.report.sections.data import _sample

    assert _sample(json.dumps([{"index": 1, "value": -2.0}, {"index": "b", "value": None}])) == (
        "1: -2.0\nb: null"
    )
    assert _sample("not JSON") == "not JSON"
    assert _sample('{"a": 1}') == '{"a": 1}'
    assert _sample(None) == ""
