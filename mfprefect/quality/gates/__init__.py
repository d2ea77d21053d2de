"""Gates: what a model promises about its metrics, its data, and the model in production."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError, InvalidScores, InvalidValue
from mfprefect.quality.gates.data import ChecksGate, DriftGate
from mfprefect.quality.gates.verdicts import (
    FAILED,
    NO_PRODUCTION,
    PASSED,
    UNDECIDED,
    UNKNOWN,
    BaseGate,
    GateInputs,
    GateResult,
)

if TYPE_CHECKING:
    from mfprefect.quality.gates.paired import Difference

__all__ = ["Gate", "failed_gates", "judge"]


@dataclass(frozen=True)
class Gate(BaseGate):
    """Bound a metric from below, from above, or relative to the model in production.

    A value on a bound passes. `Gate.drift` and `Gate.checks` make gates of other kinds.

    Raises:
        ConfigurationError: no bound, a bound that is not a finite number, bounds that cross, or a
            metric that cannot be compared with production's.
    """

    metric: str
    """The name of the metric, such as `auc`, or of a registered custom metric."""
    _: KW_ONLY
    at_least: float | None = None
    """The smallest value that passes."""
    at_most: float | None = None
    """The largest value that passes."""
    segment: str | None = None
    """The segment of the test set to measure; None: all test rows."""
    not_worse_than_production_by: float | None = None
    """How much worse than the model in production it may be on the same test rows, 0 or more.

    The gate passes only if the test rows prove it: the whole 95 % interval of the difference lies
    within the margin. `docs/promotion.md` explains why.
    """
    undecided: str = "fail"
    """The outcome if the interval crosses the margin: `fail` or `pass`."""
    better: str | None = None
    """Whether `higher` or `lower` is better; comparisons of a custom metric need it."""

    @staticmethod
    def drift(*, at_most: str = "warning", variable: str | None = None) -> DriftGate:
        """Promise that the data has not drifted.

        In `gates`: the training data, from that of the model in production. In `scoring_gates`:
        the scored data, from that of the training whose model scores.

        Args:
            at_most: the worst verdict that passes: `ok` or `warning`. The thresholds are the
                model's `drift_threshold`, raised where sampling explains more.
            variable: the variable to look at; None: all variables.
        """
        return DriftGate(at_most, variable)

    @staticmethod
    def checks(*, at_most: int = 0, check: str | None = None) -> ChecksGate:
        """Promise that at most `at_most` input checks failed, warnings included.

        Args:
            at_most: how many checks may fail.
            check: count only checks of this name; None: all checks.
        """
        return ChecksGate(at_most, check)

    def __post_init__(self) -> None:
        """Refuse a gate that everything or nothing passes."""
        if not isinstance(self.metric, str) or not self.metric:
            raise ConfigurationError(
                f"Gate takes the name of a metric, got {self.metric!r}; "
                'write for example Gate("auc", at_least=0.8)'
            )
        bounds = {
            name: getattr(self, name)
            for name in ("at_least", "at_most", "not_worse_than_production_by")
        }
        if all(bound is None for bound in bounds.values()):
            raise ConfigurationError(
                f"the gate on {self.metric!r} has no bound; give at_least, at_most or both, or "
                "not_worse_than_production_by"
            )
        for name, bound in bounds.items():
            _check_bound(self.metric, name, bound)
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ConfigurationError(
                f"no value of {self.metric!r} passes: at_least={self.at_least} is above "
                f"at_most={self.at_most}; swap or widen the bounds"
            )
        self._check_margin()

    def _check_margin(self) -> None:
        if self.undecided not in ("fail", "pass"):
            raise ConfigurationError(
                f"undecided of the gate on {self.metric!r} is {self.undecided!r}; choose 'fail' "
                "or 'pass'"
            )
        if self.better not in (None, "higher", "lower"):
            raise ConfigurationError(
                f"better of the gate on {self.metric!r} is {self.better!r}; choose 'higher' or "
                "'lower'"
            )
        if self.not_worse_than_production_by is None:
            return
        if self.not_worse_than_production_by < 0:
            raise ConfigurationError(
                f"not_worse_than_production_by of the gate on {self.metric!r} is "
                f"{self.not_worse_than_production_by}; a margin is 0 or more"
            )
        if self._better() is None:
            raise ConfigurationError(
                f"it is unknown whether a higher or a lower {self.metric!r} is better; pass "
                "better='higher' or better='lower'"
            )

    def _better(self) -> str | None:
        # Imported late, so that declaring a model does not load numpy.
        from mfprefect.quality.gates.paired import BETTER

        return self.better or BETTER.get(self.metric)

    def check(self, metrics: Mapping[str, float]) -> str | None:
        """Return why the value violates `at_least` or `at_most`, None if it passes.

        Args:
            metrics: the metrics of the gate's segment, by name. An absent metric, None or NaN
                fails the gate.
        """
        value = metrics.get(self.metric)
        if value is None:
            available = ", ".join(sorted(metrics)) or "none"
            return f"{self._label()} was not computed; available metrics: {available}"
        if math.isnan(value):
            return f"{self._label()} is not a number; the gate needs {self._bounds()}"
        if self.at_least is not None and value < self.at_least:
            figure = _figure(value, self.at_least)
            return f"{self._label()} is {figure}, below the promised minimum of {self.at_least}"
        if self.at_most is not None and value > self.at_most:
            figure = _figure(value, self.at_most)
            return f"{self._label()} is {figure}, above the promised maximum of {self.at_most}"
        return None

    def judge(self, inputs: GateInputs) -> GateResult:
        """Check the stored metric against the bounds, then against the model in production."""
        result = self._judge_bounds(inputs.metrics)
        if result.passed and self.not_worse_than_production_by is not None:
            return self._judge_production(result, inputs)
        return result

    def _judge_bounds(self, metrics: Mapping[str, Mapping[str, float]]) -> GateResult:
        segment = self.segment or ""
        if segment and segment not in metrics:
            available = ", ".join(sorted(name for name in metrics if name)) or "none"
            return self._verdict(
                UNKNOWN, f"{self._label()} was not computed; available segments: {available}"
            )
        figures = metrics.get(segment, {})
        value, failure = figures.get(self.metric), self.check(figures)
        if value is None or math.isnan(value):
            return self._verdict(UNKNOWN, str(failure))
        figure = _figure(value, *(x for x in (self.at_least, self.at_most) if x is not None))
        reason = failure or f"{self._label()} is {figure}; promised: {self._bounds()}"
        return self._verdict(FAILED if failure else PASSED, reason, figure=float(value))

    def _judge_production(self, result: GateResult, inputs: GateInputs) -> GateResult:
        if inputs.production is None:
            return self._verdict(PASSED, NO_PRODUCTION, figure=result.figure)
        figures: dict[str, Any] = {
            "figure": result.figure,
            "production_session_id": inputs.production,
        }
        champion = inputs.champion
        if champion is None or champion.problem is not None:
            problem = champion.problem if champion else "it was not scored on the test rows"
            text = f"the model in production ({inputs.production}) cannot be compared: {problem}"
            return self._verdict(UNKNOWN, text, **figures)
        try:
            difference = champion.compare(self.metric, self.segment)
        except (InvalidValue, InvalidScores) as exc:
            text = f"{self._label()} cannot be compared with production: {exc}"
            return self._verdict(UNKNOWN, text, **figures)
        figures["production_session_id"] = champion.session_id
        return self._judge_difference(difference, figures, champion.note)

    def _judge_difference(
        self, difference: Difference, figures: dict[str, Any], note: str | None
    ) -> GateResult:
        margin = self.not_worse_than_production_by or 0.0
        # How much better the new model is, at worst and at best.
        worst, best = difference.low, difference.high
        if self._better() == "lower":
            worst, best = -difference.high, -difference.low
        verdict = PASSED if worst >= -margin else FAILED if best < -margin else UNDECIDED
        conclusion = {
            PASSED: f"the test rows show that it is not worse by more than {margin:g}",
            FAILED: f"the test rows show that it is worse by more than {margin:g}",
            UNDECIDED: f"too few test rows to tell whether it is worse by more than {margin:g}",
        }[verdict]
        if verdict == UNDECIDED and self.undecided == "pass":
            verdict, conclusion = PASSED, f"{conclusion}; the gate lets this pass"
        reason = (
            f"{self._label()} is {difference.first:.6g}, in production {difference.second:.6g}; "
            f"difference {difference.value:+.6g}, 95 % interval {difference.low:+.6g} to "
            f"{difference.high:+.6g}: {conclusion}" + (f" ({note})" if note else "")
        )
        return self._verdict(
            verdict,
            reason,
            **figures,
            production_figure=difference.second,
            difference=difference.value,
            low=difference.low,
            high=difference.high,
            method=difference.method,
        )

    def _verdict(self, verdict: str, reason: str, **figures: Any) -> GateResult:
        return GateResult(
            f"{self._label()} {self._bounds()}",
            "metric" if self.not_worse_than_production_by is None else "production",
            verdict,
            reason,
            at_least=self.at_least,
            at_most=self.at_most,
            margin=self.not_worse_than_production_by,
            **figures,
        )

    def _label(self) -> str:
        return self.metric if self.segment is None else f"{self.metric} of segment {self.segment!r}"

    def _bounds(self) -> str:
        bounds = (
            ("at least", self.at_least),
            ("at most", self.at_most),
            ("not worse than production by", self.not_worse_than_production_by),
        )
        return " and ".join(f"{text} {bound}" for text, bound in bounds if bound is not None)


def _check_bound(metric: str, name: str, bound: object) -> None:
    if bound is None:
        return
    if isinstance(bound, bool) or not isinstance(bound, Real) or not math.isfinite(bound):
        raise ConfigurationError(
            f"{name} of the gate on {metric!r} is {bound!r}; it takes a finite number"
        )


def _figure(value: float, *bounds: float) -> str:
    """Format a value with six digits, or with all digits if six make it look equal to a bound."""
    text = f"{value:.6g}"
    return text if all(float(text) != bound for bound in bounds) else str(float(value))


def judge(gates: Iterable[BaseGate], inputs: GateInputs) -> list[GateResult]:
    """Return the result of each gate, in their order."""
    return [gate.judge(inputs) for gate in gates]


def failed_gates(
    gates: Iterable[BaseGate],
    metrics: Mapping[str, float],
    segments: Mapping[str, Mapping[str, float]] | None = None,
) -> list[str]:
    """Return the reasons of the gates that did not pass, in their order; empty if all pass.

    Args:
        gates: the gates of the model.
        metrics: the metrics of all test rows, by name.
        segments: the metrics of each segment, by segment; a gate on any other segment fails.
    """
    inputs = GateInputs({**(segments or {}), "": metrics})
    return [result.reason for result in judge(gates, inputs) if not result.passed]
