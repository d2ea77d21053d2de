"""Faults of all kinds at the statements of a run, each held against what the run was told.

`make faults` injects each in every phase; `make test` a sample, one of each kind: see
faultkit/sampling.py. A failure tells the seed that has it again, and with `MFPREFECT_TEST_ONLY` it
is had alone. `MFPREFECT_TEST_RECORD` names a file that gets a line of JSON for each injection.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner
from faultkit.disks import NO_DISK, NO_PRIVATE_DISK, PAGE, fill, mounted_disk, private_disk
from faultkit.lab import Case, Lab, Point, wait_until_stopped
from faultkit.networks import NO_NETWORK, Direction, private_network
from faultkit.proxy import Fault, Link, Moment
from faultkit.record import SERVERS
from faultkit.sampling import ALL, ONLY, SEED, sampled
from faultkit.seams import NO_SEAMS, At, Seams

from mfprefect.cli import cli
from mfprefect_dev.servers import server_class

pytestmark = pytest.mark.timeout(1800)
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


@pytest.fixture(scope="module")
def labs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Lab]]:
    """The laboratory of a database, which all tests share."""
    opened: dict[str, Lab] = {}

    def lab(database: str) -> Lab:
        if database not in opened:
            folder = tmp_path_factory.mktemp(database)
            if database == "sqlite":
                opened[database] = Lab(database, f"sqlite:///{folder / 'store.db'}", folder)
            else:
                server = request.getfixturevalue(f"{database}_server")
                opened[database] = Lab(database, server.new_database(), folder, server)
        return opened[database]

    yield lab
    for opened_lab in opened.values():
        opened_lab.close()
        if opened_lab.server is not None:
            opened_lab.server.drop_database(opened_lab.direct)


@pytest.fixture
def lab(labs: Callable[[str], Lab], request: pytest.FixtureRequest) -> Lab:
    return labs(request.param)


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


@pytest.mark.xdist_group("injections-sqlite" if ALL else GROUP)
def test_the_disk_is_full(tmp_path: Path) -> None:
    """A small disk with a few pages left, where one can be mounted, and a quota a file."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted_disk(disk) as mounted:
        lab = Lab("sqlite", f"sqlite:///{disk / 'store.db'}", tmp_path)

        def start_log_anew(lab: Lab) -> None:
            with lab.calm.database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

        def leave(pages: int, lab: Lab) -> None:
            start_log_anew(lab)
            lab.undo.append(fill(disk, pages).unlink)

        options: dict[str, Any] = {"unharmed": TOLD, "settings": {"retry_seconds": 0.3}}
        cases = [
            Case(
                "disk full",
                f"{pages} pages left",
                SPOOLED,
                prepare=partial(leave, pages),
                resumes=pages % 2 == 1,
                **options,
            )
            for pages in range(0, 75 if mounted else 0, 3)
        ]
        cases += [
            Case(
                "file size limit",
                f"quota of {pages} pages",
                SPOOLED,
                prepare=start_log_anew,
                seams=Seams(file_size=pages * PAGE),
                resumes=pages % 2 == 1,
                **options,
            )
            for pages in range(9, 75, 3)
        ]
        inject(lab, cases)
        lab.close()
    if not mounted:
        pytest.skip(NO_DISK)


@sqlite
def test_the_file_is_read_only(lab: Lab) -> None:
    """From the start, and from some moment on."""
    refused = GIVEN_UP | {"crashed"}

    def read_only(lab: Lab) -> str:
        return lab.direct.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"

    kind = "database read-only"
    cases = [Case(kind, "opened read-only", refused, url=read_only)]
    cases += [
        Case(
            kind,
            f"read-only from {point.name} on",
            refused,
            seams=Seams(at=At(point.nth, "read-only")),
            planned=point.phase,
            resumes=point.resumes,
            unharmed=TOLD,
        )
        for point in of_each_phase(lab.points, 1)
    ]
    inject(lab, cases)


FULL: dict[str, Any] = {"may_end": {"failed and reported"}, "unharmed": SPOOLED}


@servers
def test_the_database_is_away_and_the_spool_is_full(lab: Lab) -> None:
    """By its own limit, and by a quota on the size of a file: then the run fails, and says so."""
    name = "database unavailable, spool full"
    nth = next(point.nth for point in lab.points if point.phase == "buffered flush")
    fault, full = at("outage", "before", nth, None), FULL | {"says": "SpoolUnusable"}
    cases = [
        Case(
            name,
            f"{size} bytes of spool",
            fault=fault,
            settings={"retry_seconds": 0.1, "spool_max_bytes": size + 256 * 1024},
            **full,
        )
        for size in range(1, 7000, 1000)
    ]
    cases += [
        Case(
            name,
            f"files of at most {size} bytes",
            fault=fault,
            settings={"retry_seconds": 0.1},
            seams=Seams(file_size=size),
            **full,
        )
        for size in (512, 600, 800, 1000)
    ]
    inject(lab, cases)


@servers
def test_the_disk_of_the_spool_is_full(lab: Lab, tmp_path: Path) -> None:
    """A file system without a page, or with a few: what does not fit whole is not there at all."""
    with private_disk(tmp_path, 64) as disk:
        if disk is None:
            pytest.skip(NO_PRIVATE_DISK)

        def leave(pages: int, lab: Lab) -> None:
            lab.undo.append(fill(disk, pages).unlink)

        cases = [
            Case(
                "database unavailable, spool disk full",
                f"away from {point.name} on, {pages} pages left",
                fault=at("outage", "before", point.nth, None),
                planned=point.phase,
                resumes=point.resumes,
                settings={"retry_seconds": 0.1, "spool": str(disk / "spool")},
                prepare=partial(leave, pages),
                says="SpoolUnusable: .*No space left on device",
                **FULL | {"may_end": {"failed and reported", "never opened"}},
            )
            for point in of_each_phase(lab.points, 1)
            for pages in range(3)
        ]
        with lab.spooling_to(disk / "spool"):
            inject(lab, cases)
            settings = {"MFPREFECT_SPOOL": str(disk / "spool"), "MFPREFECT_URL": lab.url}
            verified = CliRunner().invoke(cli, ["spool", "verify"], env=settings)
        assert (verified.exit_code, "no sessions wait" in verified.output) == (0, True)


@servers
def test_the_writer_is_killed_while_it_spools(lab: Lab) -> None:
    """Before each operation on a file of the spool."""
    inject(
        lab,
        [
            Case(
                "kill -9 of the writer while it spools",
                f"away from {point.name} on, killed before file operation {nth}",
                KILLED,
                fault=at("outage", "before", point.nth, None),
                settings={"retry_seconds": 0},
                seams=Seams(spool_at=(lab.spool, nth)),
                planned=point.phase,
                resumes=point.resumes,
                unharmed=SPOOLED,
            )
            for point in of_each_phase(lab.points, 1)
            for nth in range(0, 24 if point.phase == "close" else 40)
        ],
    )


@servers
def test_a_push_is_killed(lab: Lab) -> None:
    """Before statements of it, inside its commits, and before operations on files of the spool."""
    kinds = [("statement", nth) for nth in range(4, 96, 4)]
    kinds += [("commit", nth) for nth in range(12)]
    kinds += [("file", nth) for nth in range(0, 60, 5)]
    bad = []
    for what, nth in sampled(kinds, f"push {lab.database}", SAMPLE, lambda kind: kind[0]):
        fault, seams = None, NO_SEAMS
        if what == "statement":
            fault = lab.fault(lab.kill_writer, "before", nth)
        elif what == "commit":
            fault = lab.fault(lab.kill_writer, "after", nth, "^COMMIT")
        else:
            seams = Seams(spool_at=(lab.spool, nth))
        injection = lab.inject_into_push("kill -9 of a push", f"at {what} {nth}", fault, seams)
        print(f"push killed at {what} {nth}: {injection.outcome}")
        bad += [f"push killed at {what} {nth}: {problem}" for problem in injection.problems]
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"
