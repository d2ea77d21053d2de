"""What gates are judged by, and what they say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mfprefect.quality.gates.paired import Difference

__all__ = [
    "FAILED",
    "NO_PRODUCTION",
    "PASSED",
    "UNDECIDED",
    "UNKNOWN",
    "BaseGate",
    "Champion",
    "GateInputs",
    "GateResult",
]

PASSED = "passed"
FAILED = "failed"
UNDECIDED = "undecided"
"""Chance explains the figure as well as its opposite: too few rows."""
UNKNOWN = "unknown"
"""There is no figure."""
NO_PRODUCTION = "no model is in production, which it could be compared with"


@dataclass(frozen=True)
class GateResult:
    """What a gate says of a session, and by which figures; only `passed` lets it through."""

    gate: str
    """The promise in words."""
    kind: str
    """`metric`, `production`, `drift` or `checks`."""
    verdict: str
    """`passed`, `failed`, `undecided` or `unknown`."""
    reason: str
    figure: float | None = None
    """The metric, the number of failed checks or of variables that drifted."""
    at_least: float | None = None
    at_most: float | None = None
    margin: float | None = None
    """How much worse than production's the figure may be."""
    production_session_id: str | None = None
    """Which training was compared with; None where nothing was in production."""
    production_figure: float | None = None
    """The metric of the model in production on the same rows."""
    difference: float | None = None
    """The figure less production's."""
    low: float | None = None
    """Lower end of the interval of the difference."""
    high: float | None = None
    """Its upper end."""
    method: str | None = None
    """How the interval was computed."""

    @property
    def passed(self) -> bool:
        """Whether the gate lets the session through."""
        return self.verdict == PASSED

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON holds of it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> GateResult:
        """Return the verdict that was stored; what a later version added is left out."""
        return cls(**{f.name: row[f.name] for f in fields(cls) if f.name in row})


@dataclass(frozen=True, eq=False)
class Champion:
    """The model in production, scored on the test rows of the one that is to replace it."""

    session_id: str
    """Its training session."""
    actual: Any = ()
    """What happened, one a test row."""
    score: Any = ()
    """What the new model said, by position; of several classes a DataFrame with a column each."""
    production_score: Any = ()
    """What the model in production said."""
    problem: str | None = None
    """Why there are no scores of it."""
    note: str | None = None
    """What whoever reads the comparison has to know."""
    rows: Mapping[str, ArrayLike] = field(default_factory=dict)
    """Of each segment, which of the rows are in it (booleans)."""
    model_type: str = "binary"

    def compare(self, metric: str, segment: str | None = None) -> Difference:
        """Return the new model's metric less that of production, with an interval.

        Raises:
            InvalidValue: there is no such segment, or what `metric_difference` refuses.
        """
        import numpy as np

        from mfprefect.quality.gates.paired import metric_difference

        columns = [self.actual, self.score, self.production_score]
        if segment is not None:
            if segment not in self.rows:
                segments = ", ".join(sorted(self.rows)) or "none"
                raise InvalidValue(f"which rows are in {segment!r} is not known; known: {segments}")
            inside = np.asarray(self.rows[segment], dtype=np.bool_)
            # A DataFrame keeps the names of its columns.
            columns = [
                x[inside] if hasattr(x, "columns") else np.asarray(x)[inside] for x in columns
            ]
        actual, score, production_score = columns
        return metric_difference(metric, actual, score, production_score, self.model_type)


@dataclass(frozen=True, eq=False)
class GateInputs:
    """What is known of a session when its gates are judged."""

    metrics: Mapping[str, Mapping[str, float]]
    """Metrics by segment ('': all rows) and name."""
    checks: Sequence[Mapping[str, Any]] = ()
    """Rows of `check_results`."""
    drift: Sequence[Mapping[str, Any]] = ()
    """Rows of `drift`."""
    production: str | None = None
    """The training session in production, None where there is none."""
    champion: Champion | None = None
    """The model in production on the same rows, where it was scored."""


class BaseGate(ABC):
    """A promise that a training is held against."""

    @abstractmethod
    def judge(self, evidence: GateInputs) -> GateResult:
        """Return whether the promise is kept, and by which figures."""
