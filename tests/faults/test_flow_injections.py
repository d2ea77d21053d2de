"""Flows of a model that are disturbed in the middle, and retried as Prefect retries them.

Part of `make faults`; in `make test`, tests/flows/test_crashes.py kills flows and workers. What
goes wrong in one injection is recorded, and the others follow.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from faultkit import flows, record
from faultkit.child import kill, start_engine
from faultkit.invariants import Witness
from faultkit.journal import Journal
from faultkit.lab import PUBLICATION, SEAL
from faultkit.mailbox import Mailbox
from faultkit.proxy import Fault, Link, Moment, Proxy
from faultkit.sampling import ALL, SEED, sampled
from faultkit.seams import NO_SEAMS, ApiAt, At, Seams

from mfprefect_dev.servers import Server

BIN = Path(sys.executable).parent
LONGEST = 180
ROWS = 400
ENDS: tuple[Moment, ...] = ("before", "after")
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not ALL, reason="part of `make faults`: MFPREFECT_TEST_FAULTS set"),
]
SCORES = "COPY .*scores|LOAD DATA LOCAL"
PUBLISHED = PUBLICATION.pattern
PHASES: dict[str, dict[str, dict[str, Any]]] = {
    "train": {
        "open": {"pattern": "INSERT INTO .*sessions"},
        "model": {"pattern": "INSERT INTO .*artifact_chunks"},
        "seal": {"pattern": SEAL.pattern},
        "publication": {"pattern": PUBLISHED},
        "close": {"pattern": "^COMMIT", "since": PUBLISHED},
    },
    "score": {
        "open": {"pattern": "INSERT INTO .*sessions"},
        "part 1": {"pattern": SCORES},
        "part 3": {"pattern": SCORES, "nth": 2},
        "buffered flush": {"pattern": "INSERT INTO .*input_summary"},
        "seal": {"pattern": SEAL.pattern},
        "publication": {"pattern": PUBLISHED},
        "close": {"pattern": "^COMMIT", "since": PUBLISHED},
    },
}
COMPLETED = ApiAt("POST /flow_runs/ID/set_state COMPLETED")
PAGE = ApiAt("POST /artifacts/")
NOTICE = {"pattern": "INSERT INTO .*notifications"}
AFTER: dict[str, dict[str, ApiAt | dict[str, Any]]] = {
    "train": {
        "notice": NOTICE,
        "page": PAGE,
        "promotion": {"pattern": "INSERT INTO .*model_stages"},
        "page of the promotion": replace(PAGE, nth=1),
        "end": COMPLETED,
    },
    # Its first artifact shows its progress.
    "score": {"notice": NOTICE, "page": replace(PAGE, nth=1), "end": COMPLETED},
    "monitor": {"notice": NOTICE, "page": PAGE, "end": COMPLETED},
    "publish": {"export": {"pattern": "(COPY|LOAD DATA|INSERT INTO) .*crm"}, "end": COMPLETED},
}
"""What follows the end of a session, until Prefect hears of it: requests, and statements."""
PURPOSES = tuple(AFTER)
DEAR = 2
"""What one of these injections costs, in those of test_injections.py."""
Spot = tuple[str, str]
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
        self.mailbox = Mailbox()
        self.env = {
            "MFPREFECT_NOTIFY__OPS__URL": self.mailbox.url,
            "MFPREFECT_NOTIFY__OPS__EVENTS": '["succeeded", "promoted"]',
            "MFPREFECT_EXPORTS__CRM__TABLE": "crm_scores",
            "PREFECT_API_URL": api,
            "MFPREFECT_URL": direct if self.proxy is None else self.proxy.url(direct),
            "MFPREFECT_HEARTBEAT_SECONDS": "600",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        self.pool = f"{database}-{folder.name}"
        flows.write_model(folder)
        self.deployed = {p: flows.deploy(folder, p, self.pool) for p in PURPOSES}
        self.execute(flows.new_run(self.deployed["train"]))
        run_id = flows.new_run(self.deployed["score"])
        self.execute(run_id)
        (row,) = self.witness.of_flow_run(str(run_id))
        self.expected = self.witness.store.scores(row.session_id)
        assert len(self.expected) == ROWS

    def close(self) -> None:
        self.mailbox.close()
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
        problems += self.witness.judge.doubled(rows)
        problems += [f"doubled: told twice: {notice}" for notice in self.mailbox.twice()]
        if not rows:
            return [*problems, "lost: no session"] if complete else problems
        (row,) = rows[:1]
        if row.status == "succeeded" and whole:
            scores = self.witness.store.scores(row.session_id)
            if not scores.equals(self.expected):
                problems.append(f"lie: {len(scores)} scores of {ROWS}, or others")
        if row.status == "succeeded" and purpose == "train":
            self.witness.store.load_model(row.session_id)
        if complete and purpose != "publish":
            problems += self._untold(row)
        if complete and purpose == "publish":
            problems += self._unexported(row)
        if complete and row.status != "succeeded":
            problems.append(f"lost: it is {row.status}: {row.failure_text}")
        return problems

    def _untold(self, row: Any) -> list[str]:
        """Return what nobody will be told of, or what was not promoted."""
        # `maintain` sends what a process did not live to send.
        notices = self.witness.judge.count(
            "SELECT COUNT(*) FROM notifications WHERE session_no = ?", row.session_no
        )
        promoted = self.witness.judge.count(
            "SELECT COUNT(*) FROM model_stages WHERE session_no = ?", row.session_no
        )
        missing = [] if notices else ["lost: nobody was told"]
        if row.purpose == "train" and not promoted:
            missing.append("lost: it was not promoted")
        return missing

    def _unexported(self, row: Any) -> list[str]:
        count = self.witness.judge.count(
            "SELECT COUNT(*) FROM crm_scores WHERE session_id = ?", row.session_id
        )
        return [] if count == ROWS else [f"lost: {count} rows of {ROWS} were exported"]

    def inject(
        self,
        kind: str,
        purpose: str,
        phase: str,
        label: str,
        disturb: Callable[[UUID], None],
        deployed: UUID | None = None,
    ) -> list[str]:
        """Have a new flow run disturbed; record what came out, and return what is wrong with it."""
        began = time.monotonic()
        injection = record.Injection(
            kind, self.database, phase, "not judged", label, SEED, server=self.version
        )
        try:
            run_id = flows.new_run(deployed or self.deployed[purpose])
            try:
                disturb(run_id)
            finally:
                if self.proxy is not None:
                    self.proxy.arm(None)
            self._finish(injection, purpose, run_id)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the finding
            traceback.print_exc()
            injection.problems.append(f"error: {type(exc).__name__}: {exc}")
        injection.seconds = round(time.monotonic() - began, 2)
        print(f"{injection.seconds:5.1f} s {label}: {phase}: {injection.outcome}", flush=True)
        record.append(injection)
        return [f"{label}: {problem}" for problem in injection.problems]

    def _finish(self, injection: record.Injection, purpose: str, run_id: UUID) -> None:
        """Reconcile, and retry what Prefect does not have as completed."""
        problems = self.judge(run_id, purpose, complete=False) + self.witness.stuck()
        rows = self.witness.of_flow_run(str(run_id))
        injection.outcome = rows[-1].status if rows else "never opened"
        if flows.state_of(run_id) != "COMPLETED":
            flows.schedule(run_id)
            self.execute(run_id)
        problems += self.judge(run_id, purpose, complete=True)
        injection.problems += dict.fromkeys(problems)


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
    for made_factory in made.values():
        made_factory.close()
        if made_factory.server is not None:
            made_factory.server.drop_database(made_factory.direct)


@pytest.fixture
def factory(factories: Callable[[str], Factory], request: pytest.FixtureRequest) -> Factory:
    return factories(request.param)


servers = pytest.mark.parametrize("factory", ["postgres", "mysql"], indirect=True)
sqlite = pytest.mark.parametrize("factory", ["sqlite"], indirect=True)


def spots(of: str, choice: Sequence[Spot] = SPOTS) -> list[Spot]:
    """Return where to disturb: once in each phase, and by chance."""
    return sampled(choice, of, 1, lambda spot: spot[1], dear=DEAR)


@servers
def test_the_process_of_a_flow_is_killed(factory: Factory) -> None:
    """SIGKILL of training and scoring when the database did a statement of each phase."""
    bad = []
    for number, (purpose, phase) in enumerate(spots(f"killed {factory.database}")):
        moment = ENDS[number % 2]
        label = f"{purpose}, process killed {moment} {phase}"
        fault = _fault(purpose, phase, moment)

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


def _fault(purpose: str, phase: str, moment: Moment) -> Fault:
    return Fault(Link.cut, moment, **PHASES[purpose][phase])


@sqlite
def test_the_process_of_a_flow_on_a_file_is_killed(factory: Factory) -> None:
    """SIGKILL before statements of each phase."""
    bad = []
    for purpose in PHASES:
        journal = Journal(factory.folder / f"{purpose}.journal")
        run_id = flows.new_run(factory.deployed[purpose])
        factory.start(run_id, Seams(trace=True), journal.path).join(LONGEST)
        points = list(enumerate(_phases(line[4:] for line in journal.lines())))
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


@pytest.mark.parametrize("factory", ["sqlite", "postgres", "mysql"], indirect=True)
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
        fault = _fault(purpose, phase, "before")

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
def test_a_worker_is_killed(factory: Factory) -> None:
    """The runs that it started go on without it; what it did not start, the next one does."""
    assert factory.proxy is not None
    proxy, pool = factory.proxy, f"worker-{factory.pool}"
    env = os.environ | factory.env

    def start_worker() -> subprocess.Popen[bytes]:
        command = [str(BIN / "prefect"), "worker", "start", "--pool", pool]
        with factory.log.open("a") as log:
            return subprocess.Popen(
                command, cwd=factory.folder, env=env, stdout=log, stderr=subprocess.STDOUT
            )

    deployed = {p: flows.deploy(factory.folder, p, pool, pool) for p in PHASES}
    workers, bad = [start_worker()], []
    try:
        for purpose, phase in spots(f"worker {factory.database}"):
            fault = _fault(purpose, phase, "before")

            def disturb(run_id: UUID, fault: Fault = fault) -> None:
                worker = workers[-1]

                def act(link: Link) -> None:
                    worker.kill()

                fault.action = act
                proxy.arm(fault)
                deadline = time.monotonic() + LONGEST
                while fault.hit is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                assert fault.hit is not None
                worker.wait(10)
                workers.append(start_worker())
                _await_end(run_id)

            label = f"{purpose}, worker killed before {phase}"
            kind = "kill -9 of a worker"
            bad += factory.inject(kind, purpose, phase, label, disturb, deployed[purpose])
    finally:
        workers[-1].kill()
        workers[-1].wait()
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
    bad, proxy = [], factory.proxy
    for purpose, phase in sampled(SPOTS, f"two {factory.database}", 1, dear=4 * DEAR):
        fault = _fault(purpose, phase, "before")

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
