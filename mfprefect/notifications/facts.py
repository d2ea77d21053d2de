"""What a notice is about: an event and what the database knows of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

from mfprefect.quality.checks.result import CheckCounts
from mfprefect.quality.gates.verdicts import GateResult

__all__ = ["Check", "Drift", "Facts", "MetricChange", "Readers", "Row"]

Row = tuple[str, str]


class MetricChange(NamedTuple):
    """A metric in this session and in the previous one."""

    name: str
    old: float
    new: float

    @property
    def change(self) -> float:
        """The change as a share of the old value; infinite if that is 0."""
        return (self.new - self.old) / abs(self.old) if self.old else float("inf")


class Check(NamedTuple):
    """An input check, over all parts of its session; an accepted one has that severity."""

    name: str
    severity: str
    failing_rows: int
    message: str
    passed: bool = False
    check: str = ""
    column: str | None = None


class Drift(NamedTuple):
    """A measure of a variable that exceeds its threshold."""

    variable: str
    measure: str
    value: float | None
    threshold: float | None
    change: str = ""
    """What moved, in words: `mean price 15.2 to 24.1`; '' if it is unknown."""


class Readers(NamedTuple):
    """The scores that readers of a model see."""

    session_id: str
    as_of: dt.date | None
    published_at: dt.datetime | None


@dataclass(frozen=True)
class Facts:
    """An event, and what is known of the session that it is about."""

    event: str
    """One of `settings.EVENTS`, or `test`."""
    model_id: str = ""
    session_id: str = ""
    purpose: str = ""
    attempt: int = 0
    status: str = ""
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    run_by: str = ""
    host: str = ""
    deployment: str | None = None
    as_of: dt.date | None = None
    cause_kind: str = ""
    cause_text: str = ""
    moved: tuple[MetricChange, ...] = ()
    checks: tuple[Check, ...] = ()
    """All checks, the failed ones first."""
    gates: tuple[GateResult, ...] = ()
    """All gates, in their order."""
    drift: tuple[Drift, ...] = ()
    """The measures in alarm, the largest first."""
    readers: Readers | None = None
    """What readers see now; None if nothing of the model is published."""
    counts: tuple[Row, ...] = ()
    """In a summary: model and purpose, and the number of sessions by status."""
    scores: tuple[Row, ...] = ()
    """In a summary: models, and the scores that their readers see."""
    failures: tuple[Row, ...] = ()
    """In a summary: the sessions with problems, and the reasons."""
    count: int = 0
    """In a summary: the number of sessions."""
    run_url: str | None = None
    """The URL of the flow run in Prefect."""
    report_url: str | None = None
    """The URL of the session's report."""
    environment: str = ""
    """The setting `environment`: `production`, for example."""

    @property
    def warns(self) -> bool:
        """Whether only checks of severity warning failed."""
        return self.event == "checks_failed" and self.status == "succeeded"

    @property
    def missed_gates(self) -> int:
        """How many gates did not pass."""
        return sum(not gate.passed for gate in self.gates)

    @property
    def check_counts(self) -> CheckCounts:
        """How many checks failed, warned and were accepted."""
        return CheckCounts.of([check._asdict() for check in self.checks])

    @property
    def failed_checks(self) -> int:
        """How many checks failed or gave a warning."""
        return self.check_counts.failed + self.check_counts.warned

    @property
    def drifted(self) -> list[str]:
        """The variables in alarm, the one that moved most first."""
        return list(dict.fromkeys(row.variable for row in self.drift))

    @property
    def read_now(self) -> bool:
        """Whether readers see this session's scores."""
        return self.readers is not None and self.readers.session_id == self.session_id
