"""Flows of a model that are disturbed in the middle, and retried as Prefect retries them.

Part of `make faults`; in `make test`, tests/flows/test_crashes.py kills flows and workers.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from faultkit import flows, record
from faultkit.child import Journal, kill, start_engine
from faultkit.invariants import Witness
from faultkit.proxy import Fault, Link, Moment, Proxy
from faultkit.sampling import ALL, SEED, sampled
from faultkit.seams import NO_SEAMS, At, Seams

from mfprefect.testing.servers import Server

BIN = Path(sys.executable).parent
LONGEST = 90
ROWS = 400
ENDS: tuple[Moment, ...] = ("before", "after")
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not ALL, reason="part of `make faults`: MFPREFECT_TEST_FAULTS set"),
]
SCORES = "COPY .*scores|LOAD DATA LOCAL"
PUBLISHED = "UPDATE .*sessions SET .*succeeded"
PHASES: dict[str, dict[str, dict[str, Any]]] = {
    "train": {
        "open": {"pattern": "INSERT INTO .*sessions"},
        "model": {"pattern": "INSERT INTO .*artifact_chunks"},
        "publication": {"pattern": PUBLISHED},
        "close": {"pattern": "^COMMIT", "since": PUBLISHED},
    },
    "score": {
        "open": {"pattern": "INSERT INTO .*sessions"},
        "part 1": {"pattern": SCORES},
        "part 3": {"pattern": SCORES, "nth": 2},
        "buffered flush": {"pattern": "INSERT INTO .*input_summary"},
        "publication": {"pattern": PUBLISHED},
        "close": {"pattern": "^COMMIT", "since": PUBLISHED},
    },
}
SPOTS = [(purpose, phase) for purpose, phases in PHASES.items() for phase in phases]


class Factory:
    """The flows of one model on one database."""

    def __init__(
        self, api: str, database: str, direct: str, folder: Path, server: Server | None
    ) -> None:
        self.database, self.direct, self.folder, self.server = database, direct, folder, server
        self.proxy = None if server is None else Proxy(direct)
        self.witness = Witness.of(direct)
        self.witness.store.create_schema()
        self.version = record.version(self.witness.store, database)
        self.log = folder / "runs.log"
        self.env = {
            "PREFECT_API_URL": api,
            "MFPREFECT_URL": direct if self.proxy is None else self.proxy.url(direct),
            "MFPREFECT_HEARTBEAT_SECONDS": "600",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        self.pool = f"{database}-{folder.name}"
        flows.write_model(folder)
        self.deployed = {p: flows.deploy(folder, p, self.pool) for p in PHASES}
        self.execute(flows.new_run(self.deployed["train"]))
        run_id = flows.new_run(self.deployed["score"])
        self.execute(run_id)
        (row,) = self.witness.of_flow_run(str(run_id))
        self.expected = self.witness.store.scores(row.session_id)
        assert len(self.expected) == ROWS

    def close(self) -> None:
        if self.proxy is not None:
            self.proxy.close()
        self.witness.store.close()

    def start(
        self, run_id: UUID, seams: Seams = NO_SEAMS, journal: Path = Path(os.devnull)
    ) -> ForkServerProcess:
        """Execute a run in a process of its own, as a worker's child does."""
        env = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
        return start_engine(str(run_id), self.folder, env | self.env, self.log, seams, journal)

    def execute(self, run_id: UUID) -> None:
        process = self.start(run_id)
        process.join(LONGEST)
        assert process.exitcode == 0, self.log.read_text()[-5000:]

    def judge(self, run_id: UUID, purpose: str, complete: bool) -> list[str]:
        """Return what is wrong with a run's session, before or after the last attempt."""
        rows = self.witness.of_flow_run(str(run_id))
        whole = ROWS if purpose == "score" else 0
        problems = self.witness.half_visible_of(rows, ROWS) if whole else []
        problems += self.witness.torn()
        if len(rows) > 1:
            problems.append(f"doubled: {len(rows)} sessions of one flow run")
        if not rows:
            return [*problems, "lost: no session"] if complete else problems
        (row,) = rows[:1]
        if row.status == "succeeded" and whole:
            found = self.witness.store.scores(row.session_id)
            if not found.equals(self.expected):
                problems.append(f"lie: {len(found)} scores of {ROWS}, or others")
        if row.status == "succeeded" and not whole:
            self.witness.store.load_model(row.session_id)
        if complete and row.status != "succeeded":
            problems.append(f"lost: it is {row.status}: {row.failure_text}")
        return problems

    def finish(self, kind: str, purpose: str, phase: str, label: str, run_id: UUID) -> list[str]:
        """Reconcile, retry what did not succeed, and record what came out."""
        problems = self.judge(run_id, purpose, complete=False) + self.witness.stuck()
        rows = self.witness.of_flow_run(str(run_id))
        outcome = rows[-1].status if rows else "never opened"
        if outcome != "succeeded":
            flows.schedule(run_id)
            self.execute(run_id)
        problems += self.judge(run_id, purpose, complete=True)
        problems = list(dict.fromkeys(problems))
        print(f"{label}: {phase}: {outcome}")
        record.append(record.Injection(kind, self.database, phase, outcome, label, SEED, problems))
        return [f"{label}: {problem}" for problem in problems]


@pytest.fixture(scope="module")
def factories(
    prefect_api: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Factory]]:
    made: dict[str, Factory] = {}

    def factory(database: str) -> Factory:
        if database not in made:
            folder = tmp_path_factory.mktemp(database)
            server = None
            url = f"sqlite:///{folder / 'store.db'}"
            if database != "sqlite":
                server = request.getfixturevalue(f"{database}_server")
                url = server.new_database()
            made[database] = Factory(prefect_api, database, url, folder, server)
        return made[database]

    yield factory
    for found in made.values():
        found.close()
        if found.server is not None:
            found.server.drop_database(found.direct)


@pytest.fixture
def factory(factories: Callable[[str], Factory], request: pytest.FixtureRequest) -> Factory:
    return factories(request.param)


servers = pytest.mark.parametrize("factory", ["postgres", "mysql"], indirect=True)
sqlite = pytest.mark.parametrize("factory", ["sqlite"], indirect=True)


@servers
def test_the_process_of_a_flow_is_killed(factory: Factory) -> None:
    """SIGKILL of training and scoring when the database did a statement of each phase."""
    assert factory.proxy is not None
    bad = []
    for purpose, phase in sampled(SPOTS, factory.database, 1):
        for moment in ENDS:
            run_id = flows.new_run(factory.deployed[purpose])
            victim: list[ForkServerProcess] = []
            fault = _fault(purpose, phase, moment)

            def act(link: Link, victim: list[ForkServerProcess] = victim) -> None:
                kill(victim[0])
                link.cut()

            fault.action = act
            factory.proxy.arm(fault)
            victim.append(factory.start(run_id))
            victim[0].join(LONGEST)
            factory.proxy.arm(None)
            label = f"{purpose}, process killed {moment} {phase}"
            assert fault.hit is not None, label
            bad += factory.finish("kill -9 of a flow's process", purpose, phase, label, run_id)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


def _fault(purpose: str, phase: str, moment: Moment) -> Fault:
    return Fault(Link.cut, moment, **PHASES[purpose][phase])


@sqlite
def test_the_process_of_a_flow_on_a_file_is_killed(factory: Factory) -> None:
    pick = random.Random(f"{SEED} flows")  # noqa: S311 - it chooses moments
    bad = []
    for purpose in PHASES:
        journal = Journal(factory.folder / f"{purpose}.journal")
        run_id = flows.new_run(factory.deployed[purpose])
        factory.start(run_id, Seams(trace=True), journal.path).join(LONGEST)
        statements = [line for line in journal.lines() if line.startswith("sql ")]
        for nth in sorted(pick.sample(range(len(statements)), 6)):
            run_id = flows.new_run(factory.deployed[purpose])
            process = factory.start(run_id, Seams(at=At(nth, "kill")))
            process.join(LONGEST)
            label = f"{purpose}, process killed before {nth}"
            assert process.exitcode == -9, label
            phase = _phase_of(statements[nth])
            bad += factory.finish("kill -9 of a flow's process", purpose, phase, label, run_id)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


def _phase_of(statement: str) -> str:
    words = {
        "INSERT INTO scores": "part n",
        "score_parts": "part n",
        "artifact": "model",
        "'succeeded'": "publication",
        "INSERT INTO sessions": "open",
        "INSERT": "buffered flush",
    }
    return next((phase for word, phase in words.items() if word in statement), "between")


@servers
def test_the_database_of_a_flow_is_killed(factory: Factory) -> None:
    """The flow goes on when it is back: one attempt is enough."""
    assert factory.proxy is not None and factory.server is not None
    bad, server = [], factory.server
    for purpose, phase in sampled(SPOTS, factory.database, 1):
        run_id = flows.new_run(factory.deployed[purpose])
        fault = _fault(purpose, phase, "before")
        timers: list[threading.Timer] = []

        def act(link: Link, timers: list[threading.Timer] = timers) -> None:
            server.kill()
            link.cut()
            timers.append(threading.Timer(0.5, server.restart))
            timers[0].start()

        fault.action = act
        factory.proxy.arm(fault)
        factory.execute(run_id)
        factory.proxy.arm(None)
        timers[0].join()
        label = f"{purpose}, database killed before {phase}"
        (row,) = factory.witness.of_flow_run(str(run_id))
        assert row.attempt == 1
        kind = "kill -9 and restart of the database"
        bad += factory.finish(kind, purpose, phase, label, run_id)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


@servers
def test_a_worker_is_killed(factory: Factory) -> None:
    """The runs that it started go on without it; what it did not start, the next one does."""
    assert factory.proxy is not None
    pool = f"worker-{factory.pool}"
    env = os.environ | factory.env

    def start_worker() -> subprocess.Popen[bytes]:
        command = [str(BIN / "prefect"), "worker", "start", "--pool", pool]
        with factory.log.open("a") as log:
            return subprocess.Popen(
                command, cwd=factory.folder, env=env, stdout=log, stderr=subprocess.STDOUT
            )

    deployed = {p: flows.deploy(factory.folder, p, pool, pool) for p in PHASES}
    worker, bad = start_worker(), []
    try:
        for purpose, phase in sampled(SPOTS[::2], factory.database, 1):
            run_id = flows.new_run(deployed[purpose])
            fault = _fault(purpose, phase, "before")

            def act(link: Link, worker: subprocess.Popen[bytes] = worker) -> None:
                worker.kill()

            fault.action = act
            factory.proxy.arm(fault)
            deadline = time.monotonic() + LONGEST
            while fault.hit is None and time.monotonic() < deadline:
                time.sleep(0.05)
            worker.wait(10)
            worker = start_worker()
            _await_end(run_id)
            factory.proxy.arm(None)
            label = f"{purpose}, worker killed before {phase}"
            bad += factory.finish("kill -9 of a worker", purpose, phase, label, run_id)
    finally:
        worker.kill()
        worker.wait()
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


def _await_end(run_id: UUID) -> None:
    deadline = time.monotonic() + LONGEST
    while flows.state_of(run_id) not in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@servers
def test_two_processes_execute_a_flow_run(factory: Factory) -> None:
    """The second begins while the first waits for its database, and is through before it."""
    assert factory.proxy is not None
    bad = []
    for purpose, phase in sampled(SPOTS[1::2], factory.database, 1):
        run_id = flows.new_run(factory.deployed[purpose])
        fault = _fault(purpose, phase, "before")

        def act(link: Link, run_id: UUID = run_id) -> None:
            second = factory.start(run_id)
            second.join(8)  # it may have to wait for what the first has locked

        fault.action = act
        factory.proxy.arm(fault)
        first = factory.start(run_id)
        first.join(LONGEST)
        factory.proxy.arm(None)
        _await_quiet(factory, run_id)
        label = f"{purpose}, a second process before {phase}"
        kind = "two workers with the same flow run"
        bad += factory.finish(kind, purpose, phase, label, run_id)
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"


def _await_quiet(factory: Factory, run_id: UUID) -> None:
    deadline = time.monotonic() + LONGEST
    while any(row.status == "running" for row in factory.witness.of_flow_run(str(run_id))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
