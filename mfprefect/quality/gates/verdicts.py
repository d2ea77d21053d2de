"""The inputs and results of gates."""

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
"""Too few rows to tell a real difference from chance."""
UNKNOWN = "unknown"
"""The figure could not be computed."""
NO_PRODUCTION = "no model in production to compare with"


@dataclass(frozen=True)
class GateResult:
    """The verdict of a gate on a session, with its figures; only `passed` lets it through."""

    gate: str
    """The promise as text."""
    kind: str
    """`metric`, `production`, `drift` or `checks`."""
    verdict: str
    """`passed`, `failed`, `undecided` or `unknown`."""
    reason: str
    figure: float | None = None
    """The metric, or the number of failed checks or of measures that drifted."""
    at_least: float | None = None
    at_most: float | None = None
    margin: float | None = None
    """How much worse than in production the figure may be."""
    production_session_id: str | None = None
    """The training session in production at the time, None if there was none; of a scoring, the
    one whose model scored."""
    production_figure: float | None = None
    """The metric of the model in production on the same rows."""
    difference: float | None = None
    """The figure less that of the model in production."""
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
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> GateResult:
        """Return a stored result; ignore fields that a later version added."""
        return cls(**{f.name: row[f.name] for f in fields(cls) if f.name in row})


@dataclass(frozen=True, eq=False)
class Champion:
    """The model in production, scored on the test rows of a new model."""

    session_id: str
    """Its training session."""
    actual: Any = ()
    """Actual values, one per test row."""
    score: Any = ()
    """Predictions of the new model, by position; for classes a DataFrame with a column each."""
    production_score: Any = ()
    """Predictions of the model in production."""
    problem: str | None = None
    """Why it has no predictions."""
    note: str | None = None
    """A caveat for readers of the comparison."""
    rows: Mapping[str, ArrayLike] = field(default_factory=dict)
    """The test rows of each segment, as a boolean mask."""
    model_type: str = "binary"

    def compare(self, metric: str, segment: str | None = None) -> Difference:
        """Return the new model's metric less that of production, with an interval.

        Raises:
            InvalidValue: an unknown segment, or `metric_difference` refuses the rows.
        """
        import numpy as np

        from mfprefect.quality.gates.paired import metric_difference

        columns = [self.actual, self.score, self.production_score]
        if segment is not None:
            if segment not in self.rows:
                segments = ", ".join(sorted(self.rows)) or "none"
                raise InvalidValue(f"no rows of segment {segment!r} are known; choose: {segments}")
            mask = np.asarray(self.rows[segment], dtype=np.bool_)
            # A DataFrame keeps its column names.
            columns = [x[mask] if hasattr(x, "columns") else np.asarray(x)[mask] for x in columns]
        actual, score, production_score = columns
        return metric_difference(metric, actual, score, production_score, self.model_type)


@dataclass(frozen=True, eq=False)
class GateInputs:
    """The results of a session that its gates read."""

    metrics: Mapping[str, Mapping[str, float]]
    """Metrics by segment ('': all rows) and name."""
    checks: Sequence[Mapping[str, Any]] = ()
    """Rows of `check_results`."""
    drift: Sequence[Mapping[str, Any]] = ()
    """Rows of `drift`."""
    production: str | None = None
    """The training session in production, None if there is none; of a scoring, the one it used."""
    champion: Champion | None = None
    """The model in production scored on the same rows, if it was."""


class BaseGate(ABC):
    """A promise that a training session must keep."""

    @abstractmethod
    def judge(self, inputs: GateInputs) -> GateResult:
        """Return the verdict, with its figures and reason."""
