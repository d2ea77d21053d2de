"""Faults of the writer at the statements of a run, each held against what the run was told.

`make faults` injects each in every phase; `make test` a sample, one of each kind: see
faultkit/sampling.py. A failure tells the seed that has it again, and with `MFPREFECT_TEST_ONLY` it
is had alone. `MFPREFECT_TEST_RECORD` names a file that gets a line of JSON for each injection.
"""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace
from functools import partial
from multiprocessing.context import ForkServerProcess
from typing import Any

import pytest
from faultkit.cases import Case, Point
from faultkit.disturbances import wait_until_stopped
from faultkit.injecting import (
    ENDS,
    KILLED,
    MOMENTS,
    TOLD,
    ZOMBIE,
    at,
    inject,
    is_commit,
    on,
    postgres,
    servers,
    sqlite,
)
from faultkit.lab import Lab
from faultkit.record import SERVERS
from faultkit.sampling import SEED
from faultkit.seams import At, Seams

pytestmark = pytest.mark.timeout(1800)


def killed(points: list[Point], **options: Any) -> list[Case]:
    name = "large, " if options else ""
    return [
        Case(
            "kill -9 of the writer",
            f"{name}writer killed {moment} {point.name}",
            KILLED,
            fault=at("kill_writer", moment, point.nth),
            planned=point.phase,
            resumes=point.resumes,
            **options,
        )
        for point in points
        for moment in MOMENTS[:: 2 if is_commit(point) else 3]
    ]


@servers
def test_the_writer_is_killed(lab: Lab) -> None:
    """SIGKILL before each statement is sent, and when the server has committed."""
    inject(lab, killed(lab.points))


@sqlite
def test_the_writer_of_a_file_is_killed(lab: Lab) -> None:
    """SIGKILL before each statement, and at some moment of each commit."""
    pick = random.Random(SEED)  # noqa: S311 - it chooses moments
    cases = [
        Case(
            "kill -9 of the writer",
            f"writer killed before {point.name}",
            KILLED,
            seams=Seams(at=At(point.nth, "kill")),
            planned=point.phase,
            resumes=point.resumes,
        )
        for point in lab.points
    ]
    cases += [
        Case(
            "kill -9 of the writer",
            f"writer killed inside commit {point.name}, try {again}",
            KILLED | TOLD,
            seams=Seams(at=At(point.nth, "kill inside", pick.uniform(0, 0.002))),
            resumes=point.resumes,
        )
        for point in lab.points
        if is_commit(point)
        for again in range(2)
    ]
    inject(lab, cases)


@postgres
def test_the_writer_of_a_large_session_is_killed(lab: Lab) -> None:
    """Its scores lie in a table of their own until it is published."""
    points = lab.rehearse(large=True)
    more = [point for point in points if point.phase in ("part 1", "publication", "close")]
    inject(lab, killed(more, large=True))


END = "kill -9 between the end of a session and Prefect's"


def unheard(**options: Any) -> list[Case]:
    """Return what kills a run whose session has ended, before anybody hears of that."""
    return [
        Case(
            END,
            f"ended, killed before {line!r}{', a flow run' if resumes else ''}, {again}",
            {"succeeded unacknowledged"},
            seams=Seams(dies_before=line),
            phase="end",
            resumes=resumes,
            **(options if line == "done spooled" else {}),
        )
        for line in ("done close", *(("done spooled",) if options else ()))
        for resumes in (True, False)
        for again in range(4)
    ]


@servers
def test_the_writer_is_killed_after_its_end(lab: Lab) -> None:
    """The next attempt of its flow run repeats nothing; also where its session was spooled."""
    nth = next(point.nth for point in lab.points if point.phase == "part 2")
    fault, settings = at("outage", "before", nth, None), {"retry_seconds": 0.3}
    inject(lab, unheard(fault=fault, settings=settings))


@sqlite
def test_the_writer_of_a_file_is_killed_after_its_end(lab: Lab) -> None:
    inject(lab, unheard())


@servers
def test_the_writer_is_killed_while_the_database_is_away(lab: Lab) -> None:
    inject(
        lab,
        [
            Case(
                "database unavailable, and kill -9 of the writer",
                f"away and killed {moment} {point.name}",
                KILLED,
                fault=at("vanish", moment, point.nth),
                planned=point.phase,
                resumes=point.resumes,
            )
            for point in lab.points
            for moment in ENDS
        ],
    )


PAUSES = {
    "pause_writer": ("writer paused, and seen alive", TOLD, False),
    "bury_alive": ("writer paused, declared dead, and back", TOLD | ZOMBIE, False),
    "replace_alive": (
        "writer paused, declared dead, retried, and back",
        {"one succeeded and one refused", *TOLD, *ZOMBIE},
        True,
    ),
}


@servers
def test_the_writer_is_paused(lab: Lab) -> None:
    """SIGSTOP for longer than a timeout: who was declared dead writes nothing when it is back."""
    cases = [
        Case(
            kind,
            f"{action} before {point.name}",
            outcomes,
            fault=at(action, "before", point.nth),
            planned=point.phase,
            resumes=resumes or point.resumes,
        )
        for action, (kind, outcomes, resumes) in PAUSES.items()
        for point in (lab.flow_points if resumes else lab.points)
    ]
    inject(lab, cases, dear=2)


@sqlite
def test_the_writer_of_a_file_is_paused(lab: Lab) -> None:
    def beside(lab: Lab, process: ForkServerProcess, action: str = "bury_alive") -> None:
        if wait_until_stopped(process, 20):
            getattr(lab, action)()

    cases = [
        Case(
            kind,
            f"{action} before {point.name}",
            outcomes,
            seams=Seams(at=At(point.nth, "stop")),
            planned=point.phase,
            resumes=resumes or point.resumes,
            beside=partial(beside, action=action),
        )
        for action, (kind, outcomes, resumes) in PAUSES.items()
        for point in (lab.flow_points if resumes else lab.points)
    ]
    inject(lab, cases, dear=2)


@servers
def test_two_workers_have_the_same_flow_run(lab: Lab) -> None:
    """The second one begins while the first one waits before a statement."""
    inject(
        lab,
        [
            Case(
                "two workers with the same flow run",
                f"rival before {point.name}",
                {"one succeeded and one refused"},
                fault=at("rival", "before", point.nth),
                planned=point.phase,
                resumes=True,
            )
            for point in lab.flow_points
        ],
        dear=2,
    )


@sqlite
def test_two_workers_have_the_same_flow_run_in_a_file(lab: Lab) -> None:
    def beside(lab: Lab, process: ForkServerProcess) -> None:
        if wait_until_stopped(process, 20):
            lab.rival()
            os.kill(process.pid or 0, signal.SIGCONT)

    inject(
        lab,
        [
            Case(
                "two workers with the same flow run",
                f"rival before {point.name}",
                {"one succeeded and one refused"},
                seams=Seams(at=At(point.nth, "stop")),
                planned=point.phase,
                resumes=True,
                beside=beside,
            )
            for point in lab.flow_points
        ],
        dear=2,
    )


@on("sqlite", *SERVERS)
def test_the_clock_is_set(lab: Lab) -> None:
    """By an hour, in the middle of a run; then the run is killed in its second part."""
    inside = {
        points[0].resumes: next(point.nth for point in points if point.phase == "part 2") + 5
        for points in (lab.rehearse(), lab.flow_points)
    }
    cases = []
    for nth in range(0, 15, 3):
        for hours in (-1, 1):
            name = "clock set back" if hours < 0 else "clock ahead, then set back"
            seams = Seams(clock=(nth, hours * 3600))
            cases.append(Case(name, f"clock {hours:+} h at {nth}", TOLD, seams=seams, phase="all"))
            label, resumes = f"clock {hours:+} h at {nth}, killed", nth % 2 == 1
            if lab.proxy is None:
                seams = replace(seams, at=At(inside[resumes], "kill"))
            fault = at("kill_writer", "before", inside[resumes]) if lab.proxy else None
            cases.append(Case(name, label, KILLED, fault, seams, planned="part 2", resumes=resumes))
    inject(lab, cases)
