"""What tests of injections share: where they run, at which statements, what may come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import pytest

from faultkit.cases import Case, Point
from faultkit.lab import Lab
from faultkit.proxy import Fault, Moment
from faultkit.record import SERVERS
from faultkit.sampling import ALL, ONLY, SEED, sampled
from mfprefect_dev.servers import server_class

__all__ = [
    "ENDS",
    "GIVEN_UP",
    "GROUP",
    "KILLED",
    "MOMENTS",
    "SAMPLE",
    "SPOOLED",
    "TOLD",
    "ZOMBIE",
    "at",
    "inject",
    "is_commit",
    "of_each_phase",
    "on",
    "postgres",
    "servers",
    "sqlite",
]

Test = TypeVar("Test", bound=Callable[..., None])
GROUP = "injections"
SAMPLE = 1
"""How many injections of each kind `make test` has time for."""
TOLD = {"succeeded"}
KILLED = {"crashed", "succeeded unacknowledged", "never opened"}
SPOOLED = {"spooled and delivered"}
ZOMBIE = {"failed and reported"}
"""What becomes of a run that comes back after it was declared dead: it is refused, and says so."""
GIVEN_UP = {"failed and reported", "succeeded unacknowledged", "never opened"}
ENDS: tuple[Moment, ...] = ("before", "after")
MOMENTS: tuple[Moment, ...] = ("before", "half", "after")


def inject(lab: Lab, cases: list[Case], *, dear: int = 1) -> None:
    """Inject faults one by one; tell of all that went wrong, and how to have it again.

    Where one is as `dear` as several, there are fewer.
    """
    bad, outcomes = [], Counter[str]()
    chosen = [case for case in cases if ONLY in case.label]
    name = f"{lab.database} {cases[0].label}"
    for case in sampled(chosen, name, SAMPLE, lambda case: case.stratum, dear=dear):
        injection = lab.inject(case)
        outcomes[injection.outcome] += 1
        print(f"{injection.seconds:5.1f} s {case.label}: {injection.phase}: {injection.outcome}")
        bad += [f"{case.label} in {injection.phase}: {problem}" for problem in injection.problems]
    print(f"MFPREFECT_TEST_SEED={SEED} {lab.database}: {dict(outcomes)}")
    bad += lab.witness.forged()
    assert bad == []


def on(*databases: str) -> pytest.MarkDecorator:
    """Have a test on databases; those of one share a laboratory, and so a process."""
    params = [
        pytest.param(name, marks=pytest.mark.xdist_group(f"injections-{name}" if ALL else GROUP))
        for name in databases
    ]
    return pytest.mark.parametrize("lab", params, indirect=True)


def servers(test: Test) -> Test:
    """Have a test on each server, and in a sample on one of them."""
    in_place = server_class("mysql").program == "mysql9"  # of MariaDB: `mysql` is it already
    servers = [name for name in SERVERS if name != "mysql9" or not in_place]
    marked: Test = on(*(servers if ALL else sampled(servers, test.__name__, 1)))(test)
    return marked


postgres, sqlite = on("postgres"), on("sqlite")


def at(action: str, moment: Moment, nth: int, *arguments: object) -> Callable[[Lab], Fault]:
    """Return what makes a fault whose action is the laboratory's method of that name."""

    def make(lab: Lab) -> Fault:
        method = getattr(lab, action)
        return lab.fault(method(*arguments) if arguments else method, moment, nth)

    return make


def is_commit(point: Point) -> bool:
    return "COMMIT" in point.statement


def of_each_phase(points: list[Point], how_many: int) -> list[Point]:
    """Return a few statements of each phase: its commits, the first, and some between."""
    chosen: list[Point] = []
    for phase in dict.fromkeys(point.phase for point in points):
        candidates = [point for point in points if point.phase == phase]
        spread = [candidates[len(candidates) * n // how_many] for n in range(how_many)]
        commits = [point for point in candidates if is_commit(point)][-1:]
        chosen += dict.fromkeys([*spread, *commits])
    return chosen
