"""Flows that a real worker executes: it is killed, or the process of a flow is killed or paused.

Part of `make faults`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import pytest
from faultkit import flows
from faultkit.disturbances import elsewhere
from faultkit.factory import DEAR, LONGEST, PHASES, SPOTS, Factory, fault_at, spots
from faultkit.proxy import Link
from faultkit.record import FLOWS
from faultkit.sampling import ALL, SEED, sampled
from prefect.states import Crashed

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not ALL, reason="part of `make faults`: MFPREFECT_TEST_FAULTS set"),
]
BIN = Path(sys.executable).parent
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
servers = pytest.mark.parametrize("factory", FLOWS, indirect=True)


@contextmanager
def working(factory: Factory) -> Iterator[tuple[dict[str, UUID], Callable[[], None]]]:
    """Have a worker; yield the deployments of its pool, and what replaces it by another one."""
    pool, workers = f"worker-{factory.pool}", list[subprocess.Popen[bytes]]()

    def replace() -> None:
        for worker in workers[-1:]:
            worker.kill()
            worker.wait(10)
        command = [str(BIN / "prefect"), "worker", "start", "--pool", pool]
        env = os.environ | factory.env
        with factory.log.open("a") as log:
            workers.append(
                subprocess.Popen(
                    command, cwd=factory.folder, env=env, stdout=log, stderr=subprocess.STDOUT
                )
            )

    deployed = {p: flows.deploy(factory.folder, p, pool, pool) for p in PHASES}
    replace()
    try:
        yield deployed, replace
    finally:
        workers[-1].kill()
        workers[-1].wait()


@servers
def test_a_worker_is_killed(factory: Factory) -> None:
    """The runs that it started go on without it; what it did not start, the next one does."""
    bad = []
    with working(factory) as (deployed, replace):
        for purpose, phase in spots(f"worker {factory.database}"):

            def disturb(run_id: UUID, purpose: str = purpose, phase: str = phase) -> None:
                _act_at(factory, purpose, phase, lambda link: replace())
                _await(lambda: flows.state_of(run_id) in OVER)

            label = f"{purpose}, worker killed before {phase}"
            kind = "kill -9 of a worker"
            bad += factory.inject(kind, purpose, phase, label, disturb, deployed[purpose])
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


@servers
def test_the_flow_of_a_worker_is_killed(factory: Factory) -> None:
    """The worker tells Prefect, a person has the run retried, and the worker executes it again."""
    bad = []
    with working(factory) as (deployed, _):
        for purpose, phase in sampled(SPOTS, f"child {factory.database}", 1, dear=2 * DEAR):

            def disturb(run_id: UUID, purpose: str = purpose, phase: str = phase) -> None:
                def act(link: Link) -> None:
                    os.kill(_process_of(run_id), signal.SIGKILL)
                    link.cut()

                _act_at(factory, purpose, phase, act)
                _await(lambda: flows.state_of(run_id) == "CRASHED")
                _complete(run_id)

            label = f"{purpose}, the worker's child killed before {phase}"
            kind = "kill -9 of a flow of a worker"
            bad += factory.inject(kind, purpose, phase, label, disturb, deployed[purpose])
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


@servers
def test_the_flow_of_a_worker_is_paused_and_comes_back(factory: Factory) -> None:
    """Prefect is told that it crashed, the worker executes it again, and then it goes on."""
    bad = []
    with working(factory) as (deployed, _):
        for purpose, phase in sampled(SPOTS, f"zombie {factory.database}", 1, dear=2 * DEAR):

            def disturb(run_id: UUID, purpose: str = purpose, phase: str = phase) -> None:
                zombies: list[int] = []

                def act(link: Link) -> None:
                    zombies.append(_process_of(run_id))
                    os.kill(zombies[0], signal.SIGSTOP)
                    try:
                        _execute_again(factory, run_id)
                    finally:
                        os.kill(zombies[0], signal.SIGCONT)

                _act_at(factory, purpose, phase, act)
                _await(lambda: zombies and not _runs(run_id))
                _complete(run_id)

            label = f"{purpose}, the worker's child paused before {phase}, retried, and back"
            kind = "flow of a worker paused, declared dead, retried, and back"
            bad += factory.inject(kind, purpose, phase, label, disturb, deployed[purpose])
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


def _execute_again(factory: Factory, run_id: UUID) -> None:
    """Have a flow run declared dead whose process is stopped, and executed by the worker."""
    flows.end(run_id, Crashed())
    with elsewhere():  # which does not see its process
        factory.witness.store.reconcile()
    flows.schedule(run_id)
    # It may have to wait for what the first one has locked.
    with suppress(AssertionError):
        _await(lambda: flows.state_of(run_id) in OVER, 15)


def _complete(run_id: UUID) -> None:
    """Have a flow run retried as long as it ends otherwise.

    A worker tells twice that a process was killed; the second time, it may be running again.
    """

    def completed() -> bool:
        if _runs(run_id) or (state := flows.state_of(run_id)) not in OVER:
            return False
        if state != "COMPLETED":
            flows.schedule(run_id)
        return state == "COMPLETED"

    _await(completed)


def _act_at(factory: Factory, purpose: str, phase: str, act: Callable[[Link], None]) -> None:
    """Wait until a run gets to a phase, and act there."""
    assert factory.proxy is not None
    fault = fault_at(purpose, phase, "before")
    fault.action = act
    factory.proxy.arm(fault)
    _await(lambda: fault.hit is not None)


def _processes(run_id: UUID) -> Iterator[int]:
    """Yield the processes that execute a flow run."""
    mark = f"PREFECT__FLOW_RUN_ID={run_id}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes():
                yield int(folder.name)


def _process_of(run_id: UUID) -> int:
    return max(_processes(run_id))


def _runs(run_id: UUID) -> bool:
    return any(_processes(run_id))


def _await(seen: Callable[[], object], seconds: float = LONGEST) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.1)
