"""Flows of a model that are disturbed in the middle, and retried as Prefect retries them.

Part of `make faults`; in `make test`, tests/flows/test_crashes.py kills flows and workers. What
goes wrong in one injection is recorded, and the others follow.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from typing import Any
from uuid import UUID

import pytest
from faultkit import flows
from faultkit.cases import PUBLICATION, SEAL
from faultkit.child import kill
from faultkit.factory import AFTER, DEAR, ENDS, LONGEST, PHASES, SPOTS, Factory, fault_at, spots
from faultkit.journal import Journal
from faultkit.proxy import Fault, Link
from faultkit.record import FLOWS
from faultkit.sampling import ALL, SEED, sampled
from faultkit.seams import ApiAt, At, Seams

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not ALL, reason="part of `make faults`: MFPREFECT_TEST_FAULTS set"),
]
servers = pytest.mark.parametrize("factory", FLOWS, indirect=True)
sqlite = pytest.mark.parametrize("factory", ["sqlite"], indirect=True)


@servers
def test_the_process_of_a_flow_is_killed(factory: Factory) -> None:
    """SIGKILL of training and scoring when the database did a statement of each phase."""
    bad = []
    for number, (purpose, phase) in enumerate(spots(f"killed {factory.database}")):
        moment = ENDS[number % 2]
        label = f"{purpose}, process killed {moment} {phase}"
        fault = fault_at(purpose, phase, moment)

        def disturb(run_id: UUID, fault: Fault = fault) -> None:
            _kill_at(factory, run_id, fault)

        bad += factory.inject("kill -9 of a flow's process", purpose, phase, label, disturb)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


def _kill_at(factory: Factory, run_id: UUID, fault: Fault) -> None:
    """Execute a flow run; SIGKILL its process at a statement."""
    assert factory.proxy is not None
    victim: list[ForkServerProcess] = []

    def act(link: Link) -> None:
        kill(victim[0])
        link.cut()

    fault.action = act
    factory.proxy.arm(fault)
    victim.append(factory.start(run_id))
    victim[0].join(LONGEST)
    assert fault.hit is not None


@sqlite
def test_the_process_of_a_flow_on_a_file_is_killed(factory: Factory) -> None:
    """SIGKILL before statements of each phase."""
    bad = []
    for purpose in PHASES:
        journal = Journal(factory.folder / f"{purpose}.journal")
        run_id = flows.new_run(factory.deployed[purpose])
        factory.start(run_id, Seams(trace=True), journal.path).join(LONGEST)
        statements = [line[4:] for line in journal.lines() if line.startswith("sql ")]
        points = list(enumerate(_phases(statements)))
        for nth, phase in sampled(points, purpose, 1, lambda point: point[1], dear=DEAR):

            def disturb(run_id: UUID, nth: int = nth) -> None:
                process = factory.start(run_id, Seams(at=At(nth, "kill")))
                process.join(LONGEST)
                assert process.exitcode == -signal.SIGKILL

            label = f"{purpose}, process killed before {nth}"
            bad += factory.inject("kill -9 of a flow's process", purpose, phase, label, disturb)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


def _phases(statements: Iterable[str]) -> Iterator[str]:
    """Yield the phases that the statements of a whole flow run belong to."""
    words = {
        "INSERT INTO scores": "part n",
        "score_parts": "part n",
        "artifact": "model",
        "INSERT INTO sessions": "open",
        "INSERT": "buffered flush",
    }
    published = False
    for statement in statements:
        if PUBLICATION.search(statement):
            published = True
            yield "publication"
        elif SEAL.search(statement):
            yield "seal"
        elif published and "COMMIT" in statement:
            published = False
            yield "close"
        else:
            yield next((phase for word, phase in words.items() if word in statement), "between")


@pytest.mark.parametrize("factory", ["sqlite", *FLOWS], indirect=True)
def test_the_process_of_a_flow_is_killed_after_its_session(factory: Factory) -> None:
    """Before or after each step between the end of its session and Prefect's `Completed`."""
    places = [(purpose, phase) for purpose, phases in AFTER.items() for phase in phases]
    if factory.proxy is None:  # its statements are not seen: requests only
        places = [(p, phase) for p, phase in places if isinstance(AFTER[p][phase], ApiAt)]
    bad = []
    name = f"after {factory.database}"
    for number, (purpose, phase) in enumerate(sampled(places, name, 1, lambda x: x, dear=DEAR)):
        late = number % 2 == 1 and phase != "end"  # then Prefect has heard of it
        where = AFTER[purpose][phase]

        def disturb(run_id: UUID, where: Any = where, late: bool = late) -> None:
            if isinstance(where, ApiAt):
                process = factory.start(run_id, Seams(api_at=replace(where, answered=late)))
                process.join(LONGEST)
                assert process.exitcode == -signal.SIGKILL
            else:
                _kill_at(factory, run_id, Fault(Link.cut, ENDS[late], **where))

        label = f"{purpose}, process killed {ENDS[late]} {phase}"
        kind = "kill -9 of a flow's process after its session"
        bad += factory.inject(kind, purpose, phase, label, disturb)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


@servers
def test_the_database_of_a_flow_is_killed(factory: Factory) -> None:
    """The flow goes on when it is back: one attempt is enough."""
    assert factory.proxy is not None and factory.server is not None
    bad, proxy, server = [], factory.proxy, factory.server
    for purpose, phase in spots(f"database {factory.database}"):
        fault = fault_at(purpose, phase, "before")

        def disturb(run_id: UUID, fault: Fault = fault) -> None:
            timers: list[threading.Timer] = []

            def act(link: Link) -> None:
                server.kill()
                link.cut()
                timers.append(threading.Timer(0.5, server.restart))
                timers[0].start()

            fault.action = act
            proxy.arm(fault)
            try:
                factory.execute(run_id)
            finally:
                for timer in timers:
                    timer.join()
            assert fault.hit is not None
            (row,) = factory.witness.of_flow_run(str(run_id))
            assert row.attempt == 1

        label = f"{purpose}, database killed before {phase}"
        kind = "kill -9 and restart of the database"
        bad += factory.inject(kind, purpose, phase, label, disturb)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


@servers
def test_two_processes_execute_a_flow_run(factory: Factory) -> None:
    """The second begins while the first waits for its database, and is through before it."""
    assert factory.proxy is not None
    bad, proxy = [], factory.proxy
    for purpose, phase in sampled(SPOTS, f"two {factory.database}", 1, dear=4 * DEAR):
        fault = fault_at(purpose, phase, "before")

        def disturb(run_id: UUID, fault: Fault = fault) -> None:
            def act(link: Link) -> None:
                second = factory.start(run_id)
                second.join(8)  # it may have to wait for what the first has locked

            fault.action = act
            proxy.arm(fault)
            first = factory.start(run_id)
            first.join(LONGEST)
            proxy.arm(None)
            assert fault.hit is not None
            _await_quiet(factory, run_id)

        label = f"{purpose}, a second process before {phase}"
        kind = "two workers with the same flow run"
        bad += factory.inject(kind, purpose, phase, label, disturb)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


def _await_quiet(factory: Factory, run_id: UUID) -> None:
    deadline = time.monotonic() + LONGEST
    while any(row.status == "running" for row in factory.witness.of_flow_run(str(run_id))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
