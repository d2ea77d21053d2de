"""Gates: what a model promises about its figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from numbers import Real

from mfprefect.errors import ConfigurationError

__all__ = ["Gate", "failed_gates"]


@dataclass(frozen=True)
class Gate:
    """Bound a metric from below, from above or on both sides; the bounds themselves pass.

    Raises:
        ConfigurationError: no bound, a bound that is not a finite number, or bounds that cross.
    """

    metric: str
    """The name of the metric, such as `auc`; a metric of the team's own will do."""
    _: KW_ONLY
    at_least: float | None = None
    at_most: float | None = None
    segment: str | None = None
    """The part of the test set that the promise is about; None is the whole of it."""

    def __post_init__(self) -> None:
        """Refuse a gate that nothing or everything would pass."""
        if not isinstance(self.metric, str) or not self.metric:
            raise ConfigurationError(
                f"Gate takes the name of a metric, got {self.metric!r}; "
                'write for instance Gate("auc", at_least=0.8)'
            )
        if self.at_least is None and self.at_most is None:
            raise ConfigurationError(
                f"the gate on {self.metric!r} has no bound; give at_least, at_most or both"
            )
        for name, bound in (("at_least", self.at_least), ("at_most", self.at_most)):
            _check_bound(self.metric, name, bound)
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ConfigurationError(
                f"no value of {self.metric!r} passes: at_least={self.at_least} is above "
                f"at_most={self.at_most}; swap or widen the bounds"
            )

    def check(self, metrics: Mapping[str, float]) -> str | None:
        """Return why the gate fails, or None where it passes.

        Args:
            metrics: the figures of the gate's own segment, by name. A metric that is absent, None
                or NaN fails the gate: what was not measured was not kept.
        """
        value = metrics.get(self.metric)
        if value is None:
            known = ", ".join(sorted(metrics)) or "none"
            return f"{self._label()} was not computed; available metrics: {known}"
        if math.isnan(value):
            return f"{self._label()} is not a number; the gate needs {self._bounds()}"
        if self.at_least is not None and value < self.at_least:
            return (
                f"{self._label()} is {float(value)}, below the promised minimum of {self.at_least}"
            )
        if self.at_most is not None and value > self.at_most:
            return (
                f"{self._label()} is {float(value)}, above the promised maximum of {self.at_most}"
            )
        return None

    def _label(self) -> str:
        return self.metric if self.segment is None else f"{self.metric} of segment {self.segment!r}"

    def _bounds(self) -> str:
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        return " and ".join(f"{text} {bound}" for text, bound in bounds if bound is not None)


def _check_bound(metric: str, name: str, bound: object) -> None:
    if bound is None:
        return
    if isinstance(bound, bool) or not isinstance(bound, Real) or not math.isfinite(bound):
        raise ConfigurationError(
            f"{name} of the gate on {metric!r} is {bound!r}; it takes a finite number"
        )


def failed_gates(
    gates: Iterable[Gate],
    metrics: Mapping[str, float],
    segments: Mapping[str, Mapping[str, float]] | None = None,
) -> list[str]:
    """Return one sentence a failed gate, in the order of the gates; empty where all pass.

    Args:
        gates: what the model promises.
        metrics: the figures of the whole test set, by name.
        segments: the figures of each segment, by the segment's name; a gate on a segment that is
            not among them fails.
    """
    found = []
    for gate in gates:
        if gate.segment is not None and gate.segment not in (segments or {}):
            known = ", ".join(sorted(segments or {})) or "none"
            found.append(f"{gate._label()} was not computed; available segments: {known}")
            continue
        own = metrics if gate.segment is None else (segments or {})[gate.segment]
        sentence = gate.check(own)
        if sentence is not None:
            found.append(sentence)
    return found
