"""Gates on drift and on input checks, made by `Gate.drift` and `Gate.checks`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mfprefect.errors import ConfigurationError
from mfprefect.quality.checks.result import ACCEPTED, is_open
from mfprefect.quality.gates.verdicts import (
    FAILED,
    NO_PRODUCTION,
    PASSED,
    UNKNOWN,
    BaseGate,
    GateInputs,
    GateResult,
)

__all__ = ["ChecksGate", "DriftGate"]

_PREVIOUS = "_previous"
"""The suffix of measures that compare a scoring with the one before."""


@dataclass(frozen=True)
class DriftGate(BaseGate):
    """Bound the verdicts of the drift of a training's or scoring's data; made by `Gate.drift`."""

    at_most: str = "warning"
    variable: str | None = None

    def __post_init__(self) -> None:
        """Refuse a verdict that everything or nothing passes."""
        if self.at_most not in ("ok", "warning"):
            raise ConfigurationError(
                f"at_most of Gate.drift is {self.at_most!r}; the worst verdict that passes is "
                "'ok' or 'warning'"
            )

    def judge(self, inputs: GateInputs) -> GateResult:
        """Judge the drift verdicts that the session stored, except from the scoring before."""
        rows = [
            row
            for row in inputs.drift
            if self.variable in (None, row["variable"]) and not row["measure"].endswith(_PREVIOUS)
        ]
        if not rows:
            if inputs.production is None:
                return self._verdict(PASSED, NO_PRODUCTION)
            return self._verdict(UNKNOWN, "no such drift was stored")
        bad = ("alarm",) if self.at_most == "warning" else ("alarm", "warning")
        drifted = [_drifted(row) for row in rows if row["verdict"] in bad]
        unknown = [row["variable"] for row in rows if row["verdict"] == "unknown"]
        figures = {"figure": float(len(drifted)), "production_session_id": inputs.production}
        if drifted:
            return self._verdict(FAILED, f"drifted: {_listed(drifted)}", **figures)
        if unknown:
            text = f"the drift of {_listed(unknown)} cannot be computed"
            return self._verdict(UNKNOWN, text, **figures)
        return self._verdict(PASSED, f"none of {len(rows)} measures drifted", **figures)

    def _verdict(self, verdict: str, reason: str, **figures: Any) -> GateResult:
        gate = f"drift of {self.variable or 'all variables'} at most {self.at_most}"
        return GateResult(gate, "drift", verdict, reason, **figures)


@dataclass(frozen=True)
class ChecksGate(BaseGate):
    """Bound how many input checks failed; made by `Gate.checks`."""

    at_most: int = 0
    check: str | None = None

    def __post_init__(self) -> None:
        """Refuse a bound that is not a number of checks."""
        if isinstance(self.at_most, bool) or not isinstance(self.at_most, int) or self.at_most < 0:
            raise ConfigurationError(
                f"at_most of Gate.checks is {self.at_most!r}; choose a whole number from 0"
            )

    def judge(self, inputs: GateInputs) -> GateResult:
        """Count the failed checks."""
        rows = [row for row in inputs.checks if self.check in (None, row["check"])]
        if not rows:
            return self._verdict(UNKNOWN, "no such check was run", None)
        failed = [
            f"{row['column']}: {row['check']}" if row["column"] else str(row["check"])
            for row in rows
            if is_open(row)
        ]
        if len(failed) > self.at_most:
            text = f"{len(failed)} of {len(rows)} checks failed: {_listed(failed)}"
            return self._verdict(FAILED, text, len(failed))
        accepted = sum(row["severity"] == ACCEPTED for row in rows)
        text = f"{len(failed)} of {len(rows)} checks failed"
        text += f", {accepted} accepted" if accepted else ""
        return self._verdict(PASSED, text, len(failed))

    def _verdict(self, verdict: str, reason: str, figure: float | None) -> GateResult:
        checks = "input checks" if self.check is None else f"input checks {self.check!r}"
        return GateResult(
            f"{checks} that failed at most {self.at_most}",
            "checks",
            verdict,
            reason,
            figure=None if figure is None else float(figure),
            at_most=float(self.at_most),
        )


def _drifted(row: Mapping[str, Any]) -> str:
    """Return a variable with its figure, such as `price (psi 4.9, allowed 0.25)`."""
    value, threshold = row["value"], row.get("threshold")
    if value is None:
        return f"{row['variable']} ({row['measure']})"
    allowed = "" if threshold is None else f", allowed {threshold:.3g}"
    return f"{row['variable']} ({row['measure']} {value:.3g}{allowed})"


def _listed(names: list[Any], most: int = 5) -> str:
    text = ", ".join(map(str, names[:most]))
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
