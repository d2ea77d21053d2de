"""Figures and drift in words."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfprefect.notifications.drift_words import change_of, drift_words
from mfprefect.notifications.facts import Drift, Facts
from mfprefect.notifications.text import number, pair
from mfprefect.notifications.wording import body, subject
from mfprefect.quality.gates.verdicts import GateResult
from mfprefect.quality.summary import input_summary

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, FINITE)
def test_two_figures_that_differ_look_different(one: float, other: float) -> None:
    assert (number(one, other) == number(other, one)) == (one == other)


@given(st.floats(-1e12, 1e12).filter(lambda x: abs(x) > 1e-9))
def test_a_figure_is_close_to_what_it_stands_for(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((15.2, 24.1), "15.2 to 24.1"),
        ((0.7499, 0.75), "0.7499 to 0.75"),
        ((0, 1), "0 to 1"),
        ((-0.00012, 1_234_567.8), "-0.00012 to 1,234,568"),
        ((1e300, 2), "1e+300 to 2"),
        ((0.83, 0.83), "0.83 to 0.83"),
    ],
)
def test_how_figures_look(values: tuple[float, float], text: str) -> None:
    assert pair(*values) == text


def change(before: list[Any], now: list[Any]) -> str:
    reference = input_summary(pd.DataFrame({"x": before}))
    current = input_summary(pd.DataFrame({"x": now}), reference=reference)
    rows = (json.loads(frame.to_json(orient="records"))[0] for frame in (reference, current))
    return change_of("x", *rows)


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        ([1.0, 2.0, 3.0], [5.0, 6.0, 7.0], "mean x 2 to 6"),
        ([1.0, 2.0, 3.0], [-8.0, 2.0, 12.0], "standard deviation of x 1 to 10"),
        (["a", "a", "b", "b"], ["a", "b", "b", "b"], "share of rows with x = 'a' 50% to 25%"),
        (["a", "b"], ["c", "d"], "share of rows with x = 'a' 50% to 0%"),
        (["a", "b"], ["b", "a"], ""),
        (
            [*pd.to_datetime(["2026-01-01"] * 3)],
            [*pd.to_datetime(["2026-03-01"] * 3)],
            "median x 2026-01-01 to 2026-03-01",
        ),
        ([None, None], [None, None], ""),
        ([1.0, 2.0], ["a", "b"], ""),
    ],
)
def test_what_moved(before: list[Any], now: list[Any], text: str) -> None:
    assert change(before, now) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Drift("x", "psi", 4.912, 0.25, "mean x 1 to 2"), "mean x 1 to 2, PSI 4.91, allowed 0.25"),
        (Drift("x", "psi", None, 0.25), "psi unknown"),
        (Drift("x", "missing", None, None), "the column is missing"),
        (Drift("x", "null_share", 0.112, 0.1), "11% more of its rows missing, allowed 10%"),
        (Drift("x", "null_share", -0.5, 0.1), "50% fewer of its rows missing, allowed 10%"),
        (
            Drift("score", "psi_previous", 0.4, 0.25),
            "PSI 0.4, allowed 0.25 (against the scoring before)",
        ),
        (Drift("auc", "drop", 0.12, 0.05, "auc 0.9 to 0.78"), "auc 0.9 to 0.78, fell by 0.12, all"),
        (Drift("rmse", "drop", 0.3, 0.1), "rose by 30%, allowed 10%"),
        (Drift("x", "ours", 3, 2), "ours 3, allowed 2"),
    ],
)
def test_drift_in_words(row: Drift, text: str) -> None:
    ((variable, words),) = drift_words([row])
    assert variable == row.variable
    assert words.startswith(text)


def test_one_sentence_for_each_comparison() -> None:
    rows = [
        Drift("x", "psi", 1, 0.25, "mean x 1 to 2"),
        Drift("x", "psi_previous", 2, 0.25, "mean x 3 to 2"),
        Drift("x", "ks", 0.5, 0.2, "mean x 1 to 2"),
    ]
    assert [words for _, words in drift_words(rows)] == [
        "mean x 1 to 2, PSI 1, allowed 0.25; KS 0.5, allowed 0.2",
        "mean x 3 to 2, PSI 2, allowed 0.25 (against the scoring before)",
    ]


def test_a_scoring_that_a_gate_stopped() -> None:
    """A gate on the drift of what is scored keeps the scores from readers."""
    gate = GateResult("no drift", "drift", "failed", "2 variables drifted: price, region", 2.0)
    rows = (Drift("price", "psi", 4.9, 0.25, "mean price 15.2 to 24.1"),)
    facts = Facts(
        "gate_failed", "churn", "s-1", "score", status="failed", gates=(gate,), drift=rows
    )
    assert subject(facts) == "churn: scoring failed, 1 of 1 gate missed"
    said = body(facts)
    assert said.action.startswith("Nothing new was published. Look at the gate below")
    assert said.command == ""
    assert said.tables[0].rows[0].note == "2 variables drifted: price, region"
    assert said.tables[1].rows[0].cells[1] == "mean price 15.2 to 24.1, PSI 4.9, allowed 0.25"


def test_commands_can_be_pasted_into_a_shell() -> None:
    facts = Facts("waiting_for_promotion", "my model; rm -rf ~", "s 1", "train")
    command = "mfprefect promote 'my model; rm -rf ~' 's 1' --override REASON"
    assert body(facts).command == command
