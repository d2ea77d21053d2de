"""Faults of the database and of the network at the statements of a run: see test_injections.py."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from faultkit.cases import Case, Point
from faultkit.injecting import (
    ENDS,
    SPOOLED,
    TOLD,
    at,
    inject,
    is_commit,
    of_each_phase,
    postgres,
    servers,
)
from faultkit.lab import Lab
from faultkit.networks import NO_NETWORK, Direction, private_network
from faultkit.proxy import Fault, Link, Moment
from faultkit.seams import Seams

pytestmark = pytest.mark.timeout(1800)


@servers
def test_the_database_is_paused(lab: Lab) -> None:
    inject(
        lab,
        [
            Case(
                "database paused",
                f"database paused {moment} {point.name}",
                TOLD,
                fault=at("pause_database", moment, point.nth, 1.5),
                planned=point.phase,
                resumes=point.resumes,
                settings={"heartbeat_seconds": 0.1},
            )
            for point in of_each_phase(lab.points, 2)
            for moment in ENDS
        ],
        dear=2,
    )


LOST: dict[str, tuple[Direction, ...]] = {
    "network partition": ("questions", "answers"),
    "network half-open, questions lost": ("questions",),
    "network half-open, answers lost": ("answers",),
}


@servers
def test_the_network_is_partitioned(lab: Lab) -> None:
    """Nobody is told that it is: packets are lost, and connections may be gone afterwards."""
    cases = [
        Case(
            kind,
            f"{kind}, {'then cut' if hard else 'then healed'}, {moment} {point.name}",
            TOLD,
            fault=at("partition", moment, point.nth, 1.0, hard, *lost),
            planned=point.phase,
            resumes=point.resumes,
        )
        for kind, lost in LOST.items()
        for point in of_each_phase(lab.points, 2)
        for moment in ENDS
        for hard in (True, False)
    ]
    inject(lab, cases, dear=2)


@servers
def test_packets_are_lost_between_network_namespaces(lab: Lab) -> None:
    """A router loses them, and what a server that hangs up meanwhile tells nobody."""
    assert lab.proxy is not None
    with private_network() as network:
        if network is None:
            pytest.skip(NO_NETWORK)
        with lab.proxy.also_at(network.address, lab.direct) as url:
            cases = [
                Case(
                    "network partition between namespaces",
                    f"{' and '.join(lost)} lost, {'then cut' if hard else 'then healed'}, "
                    f"{moment} {point.name}",
                    TOLD,
                    fault=at("lose_packets", moment, point.nth, network, 1.0, hard, *lost),
                    planned=point.phase,
                    resumes=point.resumes,
                    seams=Seams(network=network.namespace),
                    url=lambda lab: url,
                )
                for lost in LOST.values()
                for point in of_each_phase(lab.points, 2)
                for moment in ENDS
                for hard in (True, False)
            ]
            inject(lab, cases, dear=2)


CUT = "connection cut "


@servers
def test_the_connection_is_cut(lab: Lab) -> None:
    """Before each statement, in the middle of each answer, before and inside each commit."""
    cases = []
    for point in lab.points:
        moments: dict[Moment, str] = {"before": "before a statement"}
        if is_commit(point):
            moments = {"before": "before commit", "after": "inside commit"}
        else:
            moments["half"] = "in the middle of an answer"
        cases += [
            Case(
                CUT + name,
                f"cut {moment} {point.name}",
                TOLD,
                fault=at("cut", moment, point.nth),
                planned=point.phase,
                resumes=point.resumes,
            )
            for moment, name in moments.items()
        ]
    inject(lab, cases)


@postgres
def test_the_connection_of_a_large_session_is_cut(lab: Lab) -> None:
    points = lab.rehearse(large=True)
    inject(
        lab,
        [
            Case(
                CUT + ("inside commit" if moment == "after" else "before commit"),
                f"large, cut {moment} {point.name}",
                TOLD,
                fault=at("cut", moment, point.nth),
                planned=point.phase,
                large=True,
            )
            for point in points
            if is_commit(point)
            for moment in ENDS
        ],
    )


@servers
def test_the_database_is_killed_and_restarted(lab: Lab) -> None:
    inject(
        lab,
        [
            Case(
                "kill -9 and restart of the database",
                f"database killed {moment} {point.name}",
                TOLD,
                fault=at("kill_database", moment, point.nth, 0.2),
                planned=point.phase,
                resumes=point.resumes,
            )
            for point in of_each_phase(lab.points, 2)
            for moment in ENDS
        ],
    )


@servers
def test_the_database_cannot_be_reached(lab: Lab) -> None:
    """For a while, and for longer than the run waits."""
    points = of_each_phase(lab.points, 2)
    cases = [
        Case(
            "database unavailable for a while",
            f"away for 0.6 s {point.name}",
            TOLD,
            fault=at("outage", "before", point.nth, 0.6),
            planned=point.phase,
            resumes=point.resumes,
        )
        for point in points
    ]
    cases += [
        Case(
            "database unavailable beyond retry_seconds",
            f"away {moment} {point.name}",
            SPOOLED | ({"succeeded"} if moment == "after" else set()),
            fault=at("outage", moment, point.nth, None),
            planned=point.phase,
            resumes=point.resumes,
            settings={"retry_seconds": 0.3},
        )
        for point in points
        for moment in ENDS
    ]
    inject(lab, cases)


@servers
def test_the_database_goes_away_while_a_retry_opens(lab: Lab) -> None:
    """It has seen which session is its own: what it then makes is that one's, and no other's."""
    points = [point for point in lab.rehearse(retried=True) if point.phase == "open"]
    seen = next(n for n, point in enumerate(points) if point.statement.startswith("UPDATE"))
    cases = [
        Case(
            "database unavailable while a retry opens",
            f"retry, away {moment} {point.name}",
            SPOOLED,
            fault=at("outage", moment, point.nth, None),
            planned=moment,
            resumes=True,
            retried=True,
            settings={"retry_seconds": 0.3},
        )
        for point in points[seen:]
        for moment in ENDS
    ]
    inject(lab, cases, dear=3)


@servers
def test_the_database_is_read_only(lab: Lab) -> None:
    points = of_each_phase(lab.points, 1)
    inject(
        lab,
        [
            Case(
                "database read-only" + (" for a while" if seconds else ""),
                f"read-only for {seconds} {point.name}",
                TOLD if seconds else SPOOLED | TOLD,
                fault=at("read_only", "before", point.nth, seconds),
                planned=point.phase,
                resumes=point.resumes,
                url=Lab.ordinary,
                settings={"retry_seconds": 30 if seconds else 0.3},
            )
            for point in points
            for seconds in (0.5, None)
        ],
    )


@servers
def test_the_database_is_slow(lab: Lab) -> None:
    """A run that waits for its database is not taken for dead, nor half done."""
    slow = Case(
        "slow database",
        "30 ms more a statement",
        TOLD,
        fault=lambda lab: Fault(lambda link: time.sleep(0.03), every=True),
        settings={"heartbeat_seconds": 0.2},
        phase="all",
    )

    def look(lab: Lab) -> Fault:
        def act(link: Link) -> None:
            for _ in range(5):
                time.sleep(0.2)
                lab.witness.store.reconcile()

        return lab.fault(act, "before", 0)

    cases = [slow]
    for point in of_each_phase(lab.points, 1):

        def at_point(lab: Lab, point: Point = point) -> Fault:
            return replace(look(lab), nth=point.nth)

        label = f"1 s at {point.name}, looked at"
        planned: dict[str, Any] = {"planned": point.phase, "resumes": point.resumes}
        cases.append(Case("slow database", label, TOLD, fault=at_point, **planned))
    inject(lab, cases)
