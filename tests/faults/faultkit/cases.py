"""The faults to inject, and the statements at which they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from typing import TYPE_CHECKING, Any

from faultkit.journal import Journal
from faultkit.proxy import Fault
from faultkit.seams import NO_SEAMS, Seams

if TYPE_CHECKING:
    from faultkit.lab import Lab

__all__ = [
    "NOT_MET",
    "PUBLICATION",
    "SEAL",
    "Case",
    "Point",
    "mixed",
    "phase_of",
    "told_phase",
    "traced",
    "was_refused",
]

NOT_MET = "was not met"
"""The outcome of a push that the fault spared; it is not counted."""
PHASES = {"flush": "buffered flush", "close": "close"}
SEAL = re.compile(r"INSERT INTO \S*seals\b")
PUBLICATION = re.compile(r"UPDATE \S*sessions\b.* SET .*\bsucceeded\b|\bINHERIT\b")


@dataclass(frozen=True)
class Point:
    """A statement of an undisturbed run, at which one can be disturbed."""

    nth: int
    phase: str
    statement: str
    resumes: bool = False
    """Whether that is a run that passes for a flow run: its opening has more statements."""

    @property
    def name(self) -> str:
        """What labels call it."""
        return f"{self.nth} of a flow run" if self.resumes else str(self.nth)


@dataclass(frozen=True)
class Case:
    """One fault to inject, and what may come of it."""

    kind: str
    label: str
    may_end: Collection[str]
    """The outcomes that are right; any other one is a problem."""
    fault: Callable[[Lab], Fault] | None = None
    seams: Seams = NO_SEAMS
    seams_of: Callable[[Lab], Seams] | None = None
    """The same, where they depend on how things stand when the run starts."""
    phase: str | None = None
    """Where it is injected, unless the proxy tells."""
    planned: str | None = None
    """The phase that it is meant for: a sample has one of each."""
    resumes: bool = False
    """Whether the run passes for a flow run, whose next attempt goes on with its session."""
    large: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    beside: Callable[[Lab, ForkServerProcess], None] | None = None
    """Something to do while the run is going on."""
    url: Callable[[Lab], str] | None = None
    prepare: Callable[[Lab], None] | None = None
    """What to do before the run starts; what undoes it goes into `lab.undo`."""
    unharmed: Collection[str] = ()
    """The outcomes of a run that the fault spared; it is not counted then."""
    retried: bool = False
    """Whether it meets the second attempt of a flow run, whose first one was killed."""
    says: str = ""
    """A regular expression of what a run that fails has to say."""

    @property
    def never_dead(self) -> bool:
        """Whether its process lives on, where all who look can see that it does."""
        return set(self.may_end) == {"succeeded"}

    @property
    def stratum(self) -> tuple[str, str | None]:
        """What a sample has one of each of."""
        return self.kind, self.planned


def traced(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield step and statement of each line of a journal that has one."""
    step = "start"
    for line in lines:
        if line.startswith("begin "):
            step = line[6:]
        elif line.startswith("sql "):
            yield step, line[4:]


def mixed(plain: list[Point], of_flow: list[Point]) -> list[Point]:
    """Return each statement of a phase once, of one run or of the other."""

    def placed(points: list[Point]) -> dict[tuple[str, int], Point]:
        seen = Counter[str]()
        placed_points = {}
        for point in points:
            seen[point.phase] += 1
            placed_points[point.phase, seen[point.phase]] = point
        return placed_points

    others = placed(plain)
    mixed = placed(of_flow).items()
    return [point if point.nth % 2 else others.get(place, point) for place, point in mixed]


def phase_of(step: str, statement: str) -> str:
    """Return the phase of a session's life that a statement of a step belongs to.

    A run seals, publishes and ends its session in one transaction: `seal` is the statement that
    writes the seal, `publication` the one that shows the scores, `close` all others of that step,
    its commit among them.
    """
    if step == "close" and PUBLICATION.search(statement):
        return "publication"
    if step == "close" and SEAL.search(statement):
        return "seal"
    return PHASES.get(step, step)


def told_phase(journal: Journal) -> str:
    """Return the phase in which a run met a fault, as its journal tells."""
    if journal.hit is not None:
        return phase_of(*journal.hit)
    return phase_of(journal.spooled_in or journal.step, "")


def was_refused(journal: Journal) -> bool:
    """Return whether a run was told that the session was another one's, or done."""
    return (journal.failure or "").startswith("SessionClosed:")
