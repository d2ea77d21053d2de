from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mfprefect.errors import ConfigurationError
from mfprefect.quality import Gate, failed_gates


def test_bounds_pass_themselves() -> None:
    gate = Gate("auc", at_least=0.8, at_most=0.9)
    assert [gate.check({"auc": value}) for value in (0.8, 0.85, 0.9)] == [None] * 3
    assert gate.check({"auc": math.nextafter(0.8, 0)}) == (
        "auc is 0.7999999999999999, below the promised minimum of 0.8"
    )
    assert gate.check({"auc": 0.95}) == "auc is 0.95, above the promised maximum of 0.9"


def test_one_sided_bounds() -> None:
    assert Gate("brier", at_most=0.1).check({"brier": -5.0}) is None
    assert Gate("auc", at_least=0).check({"auc": np.float64(7)}) is None


@pytest.mark.parametrize("metrics", [{}, {"ks": 0.3, "auc": None}, {"auc": math.nan}])
def test_what_was_not_measured_fails(metrics: Any) -> None:
    sentence = Gate("auc", at_least=0.8).check(metrics)
    assert sentence is not None
    assert sentence.startswith("auc ")
    if "ks" in metrics:
        assert "available metrics: auc, ks" in sentence


def test_failed_gates_in_order_with_segments() -> None:
    gates = [
        Gate("auc", at_least=0.9),
        Gate("brier", at_most=0.2),
        Gate("auc", at_least=0.7, segment="new"),
        Gate("auc", at_least=0.7, segment="old"),
        Gate("auc", at_least=0.7, segment="lost"),
    ]
    metrics = {"auc": 0.85, "brier": 0.1}
    segments = {"new": {"auc": 0.6}, "old": {"auc": 0.75}}
    assert failed_gates(gates, metrics, segments) == [
        "auc is 0.85, below the promised minimum of 0.9",
        "auc of segment 'new' is 0.6, below the promised minimum of 0.7",
        "auc of segment 'lost' was not computed; available segments: new, old",
    ]
    assert failed_gates(gates[1:2], metrics) == []
    assert "available segments: none" in failed_gates(gates[2:3], metrics)[0]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, "has no bound; give at_least, at_most or both"),
        ({"at_least": math.nan}, "at_least .* is nan; it takes a finite number"),
        ({"at_most": math.inf}, "at_most .* is inf"),
        ({"at_most": "0.5"}, "'0.5'"),
        ({"at_least": True}, "True"),
        ({"at_least": 0.9, "at_most": 0.1}, "at_least=0.9 is above at_most=0.1"),
    ],
)
def test_gates_that_are_refused(arguments: dict[str, Any], found: str) -> None:
    with pytest.raises(ConfigurationError, match=found):
        Gate("auc", **arguments)


@pytest.mark.parametrize("metric", ["", None, 5])
def test_a_gate_needs_a_metric(metric: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes the name of a metric"):
        Gate(metric, at_least=0.5)
