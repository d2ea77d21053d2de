from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mfprefect.errors import ConfigurationError
from mfprefect.quality import Champion, Gate, GateInputs, failed_gates, judge


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
    ("arguments", "message"),
    [
        ({}, "has no bound; give at_least, at_most or both"),
        ({"at_least": math.nan}, "at_least .* is nan; it takes a finite number"),
        ({"at_most": math.inf}, "at_most .* is inf"),
        ({"at_most": "0.5"}, "'0.5'"),
        ({"at_least": True}, "True"),
        ({"at_least": 0.9, "at_most": 0.1}, "at_least=0.9 is above at_most=0.1"),
    ],
)
def test_gates_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Gate("auc", **arguments)


@pytest.mark.parametrize("metric", ["", None, 5])
def test_a_gate_needs_a_metric(metric: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes the name of a metric"):
        Gate(metric, at_least=0.5)


def challenge(gate: Gate, score: Any, production_score: Any, actual: Any) -> Any:
    from mfprefect.quality import performance_metrics

    binary = set(actual) <= {0, 1}
    kind = "binary" if binary else "regression"
    metrics = performance_metrics(actual, score, kind)
    champion = Champion("old", actual, score, production_score, note="read this", model_type=kind)
    return gate.judge(GateInputs({"": metrics}, production="old", champion=champion))


RNG = np.random.default_rng(4)
ACTUAL = (RNG.random(2_000) < 0.3).astype(int)
GOOD = ACTUAL + RNG.normal(size=2_000)
SAME = GOOD + RNG.normal(scale=0.1, size=2_000)
BAD = ACTUAL + RNG.normal(scale=1.5, size=2_000)


def test_chance_does_not_decide() -> None:
    gate = Gate("auc", not_worse_than_production_by=0.01)
    passed = challenge(gate, SAME, GOOD, ACTUAL)
    assert (passed.verdict, passed.kind) == ("passed", "production")
    assert -0.01 <= passed.low < passed.difference < passed.high
    assert passed.difference == pytest.approx(passed.figure - passed.production_figure)
    assert passed.reason.startswith("auc is 0.7")
    assert "show that it is not worse by more than 0.01 (read this)" in passed.reason
    failed = challenge(gate, BAD, GOOD, ACTUAL)
    assert (failed.verdict, failed.high < -0.01) == ("failed", True)
    assert "show that it is worse by more than 0.01" in failed.reason
    # 60 rows tell nothing, whichever way the figures point.
    few = challenge(gate, BAD[:60], GOOD[:60], ACTUAL[:60])
    assert (few.verdict, few.low < -0.01 < few.high) == ("undecided", True)
    assert not few.passed
    assert "too few test rows to tell" in few.reason
    lenient = Gate("auc", not_worse_than_production_by=0.01, undecided="pass")
    assert challenge(lenient, BAD[:60], GOOD[:60], ACTUAL[:60]).passed
    assert challenge(lenient, BAD, GOOD, ACTUAL).verdict == "failed"
    # The gate's own bounds come first.
    high = Gate("auc", at_least=0.99, not_worse_than_production_by=0.5)
    assert "below the promised minimum" in challenge(high, GOOD, GOOD, ACTUAL).reason


def test_errors_are_better_when_they_are_less() -> None:
    gate = Gate("rmse", not_worse_than_production_by=0.05)
    target = RNG.normal(size=400)
    small, large = target + 0.1 * RNG.normal(size=400), target + RNG.normal(size=400)
    assert challenge(gate, small, large, target).passed
    worse = challenge(gate, large, small, target)
    assert (worse.verdict, worse.low > 0.05) == ("failed", True)


def test_what_there_is_no_comparison_with() -> None:
    gate = Gate("auc", not_worse_than_production_by=0.01, segment="x=1")
    metrics = {"": {"auc": 0.8}, "x=1": {"auc": 0.7}}
    assert judge([gate], GateInputs(metrics))[0].passed  # nothing is in production
    champion = Champion("old", ACTUAL, GOOD, GOOD)
    lost = gate.judge(GateInputs(metrics, production="old", champion=champion))
    assert (lost.verdict, "segment 'x=1'" in lost.reason) == ("unknown", True)
    inside = Champion("old", ACTUAL, GOOD, GOOD, rows={"x=1": np.arange(2_000) < 500})
    result = gate.judge(GateInputs(metrics, production="old", champion=inside))
    assert (result.verdict, result.difference) == ("passed", 0)
    assert result.production_figure != champion.compare("auc").second
    one_class = Champion("old", ACTUAL, GOOD, GOOD, rows={"x=1": ACTUAL == 1})
    result = gate.judge(GateInputs(metrics, production="old", champion=one_class))
    assert (result.verdict, "two rows of each class" in result.reason) == ("unknown", True)


def test_gates_on_drift_and_checks() -> None:
    drift: list[dict[str, Any]] = [
        {"variable": "a", "measure": "psi", "value": 0.2, "verdict": "warning"},
        {"variable": "b", "measure": "psi", "value": 0.3, "threshold": 0.25, "verdict": "alarm"},
        {"variable": "c", "measure": "psi", "value": None, "verdict": "unknown"},
    ]
    evidence = GateInputs({}, drift=drift, production="old")

    def verdict(gate: Any, evidence: GateInputs = evidence) -> tuple[str, str]:
        result = gate.judge(evidence)
        return result.verdict, result.reason

    assert verdict(Gate.drift()) == ("failed", "drifted: b (psi 0.3, allowed 0.25)")
    assert verdict(Gate.drift(at_most="ok")) == (
        "failed",
        "drifted: a (psi 0.2), b (psi 0.3, allowed 0.25)",
    )
    assert verdict(Gate.drift(variable="a"))[0] == "passed"
    assert verdict(Gate.drift(variable="a", at_most="ok"))[0] == "failed"
    assert verdict(Gate.drift(variable="c")) == ("unknown", "the drift of c cannot be computed")
    assert verdict(Gate.drift(variable="z")) == ("unknown", "no such drift was stored")
    assert verdict(Gate.drift(), GateInputs({}))[0] == "passed"  # nothing is in production
    checks: list[dict[str, Any]] = [
        {"check": "positive", "column": "age", "severity": "warning", "passed": False},
        {"check": "rows", "column": None, "severity": "error", "passed": True},
    ]
    evidence = GateInputs({}, checks=checks)
    assert verdict(Gate.checks(), evidence) == ("failed", "1 of 2 checks failed: age: positive")
    assert verdict(Gate.checks(at_most=1), evidence)[0] == "passed"
    assert verdict(Gate.checks(check="rows"), evidence)[0] == "passed"
    accepted = GateInputs({}, checks=[checks[0] | {"severity": "accepted"}, checks[1]])
    assert verdict(Gate.checks(), accepted) == ("passed", "0 of 2 checks failed, 1 accepted")
    assert verdict(Gate.checks(), GateInputs({})) == ("unknown", "no such check was run")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gate("auc", not_worse_than_production_by=-0.1), "a margin is 0 or more"),
        (lambda: Gate("auc", not_worse_than_production_by=math.nan), "finite number"),
        (lambda: Gate("n", not_worse_than_production_by=1), "is better"),
        (lambda: Gate("profit", not_worse_than_production_by=1), "pass better='higher'"),
        (lambda: Gate("profit", at_least=1, better="more"), "choose 'higher' or 'lower'"),
        (lambda: Gate("auc", at_least=0.5, undecided="maybe"), "choose 'fail' or 'pass'"),
        (lambda: Gate.drift(at_most="alarm"), "'ok' or 'warning'"),
        (lambda: Gate.checks(at_most=-1), "a whole number from 0"),
    ],
)
def test_other_gates_that_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
