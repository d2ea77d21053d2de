"""One database on which faults are injected, one run after the other."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from unittest import mock

import mfprefect
from faultkit import record
from faultkit.cases import NOT_MET, Case, Point, mixed, phase_of, told_phase, traced, was_refused
from faultkit.child import Run, start, start_push, write_session
from faultkit.disturbances import LONGEST, Disturbances
from faultkit.invariants import Witness
from faultkit.journal import Journal
from faultkit.proxy import Fault, Proxy
from faultkit.sampling import SEED
from faultkit.script import MODEL
from faultkit.seams import Seams
from mfprefect.errors import SessionClosed
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.store.spool import listing
from mfprefect_dev.servers import Server

__all__ = ["Lab"]


@dataclass
class Lab(Disturbances):
    """A database, the proxy before its server, and a witness who looks at it directly."""

    database: str
    direct: str
    folder: Path
    server: Server | None = None

    def __post_init__(self) -> None:
        self.proxy = None if self.server is None else Proxy(self.direct)
        self.url = self.direct if self.proxy is None else self.proxy.url(self.direct)
        self.witness = Witness.of(self.direct)
        self.spool = self.folder / "spool"
        # By way of the proxy: what is spooled is meant for the address that the run used.
        settings = {"heartbeat_seconds": 600, "retry_seconds": 30, "spool": self.spool}
        self.calm = mfprefect.connect(self.url, **settings)
        self.calm.create_schema()
        self.calm.add_model(MODEL)
        self.version = record.version(self.calm, self.database)
        self.undo: list[Callable[[], None]] = []
        self.child: ForkServerProcess | None = None
        self._started = threading.Event()
        self._numbers = itertools.count(1)
        self._waited = False
        self._status: str | None = None
        self._rival: tuple[ForkServerProcess, Journal] | None = None
        self._phase: str | None = None
        # The first session of all stores its environment, which no later one does.
        write_session(self.calm, next(self._numbers), Journal(self.folder / "first.journal"))
        self.flow_points = self.rehearse(resumes=True)
        self.points = mixed(self.rehearse(), self.flow_points)
        """The statements of each phase, every second one of a run that passes for a flow run."""

    def close(self) -> None:
        """Let go of the database."""
        if self.proxy is not None:
            self.proxy.close()
        self.calm.close()
        self.witness.store.close()

    def run(self, number: int, **options: Any) -> Run:
        """Return a run of the script under a number that no other one has."""
        settings = {"heartbeat_seconds": 600, "retry_seconds": 30, "spool": str(self.spool)}
        given = options.pop("settings", {})
        url = options.pop("url", self.url)
        journal = self.folder / f"{number}.journal"
        return Run(number, url, journal, {**settings, **given}, **options)

    def rehearse(
        self, *, large: bool = False, resumes: bool = False, retried: bool = False
    ) -> list[Point]:
        """Run once undisturbed; return the statements and the phases they belong to."""
        number = next(self._numbers)
        flow_run = (f"run-{number}", "2" if retried else "1") if resumes or retried else None
        run = self.run(number, large=large, flow_run=flow_run, seams=Seams(trace=not self.proxy))
        if retried:
            self._crash_first(run)
        journal, seen = Journal(run.journal), []
        if self.proxy is not None:
            every = Fault(lambda link: None, every=True)
            every.on_hit = lambda: seen.append((journal.step, every.hit or ""))
            self.proxy.arm(every)
        process = start(run)
        process.join(LONGEST)
        assert process.exitcode == 0, run.journal.with_suffix(".log").read_text()
        assert self.witness.lost(number, journal) == []
        if self.proxy is not None:
            self.proxy.arm(None)
        else:
            seen = list(traced(journal.lines()))
        return [
            Point(n, phase_of(step, sql), sql, flow_run is not None)
            for n, (step, sql) in enumerate(seen)
        ]

    def _crash_first(self, run: Run) -> None:
        """Let the first attempt of a flow run die in its second part, and be found dead."""
        assert self.proxy is not None and run.flow_run is not None
        first = replace(
            run, journal=run.journal.with_suffix(".first"), flow_run=(run.flow_run[0], "1")
        )
        journal = Journal(first.journal)
        inside = Fault(self.kill_writer, nth=self._nth_of_part_2())
        self._started.clear()
        self.proxy.arm(inside)
        self.child = start(first)
        self._started.set()
        self.child.join(LONGEST)
        self.proxy.arm(None)
        assert (journal.step, self.child.exitcode) == ("part 2", -signal.SIGKILL)
        assert self.witness.stuck() == []

    def _nth_of_part_2(self) -> int:
        return next(point.nth for point in self.flow_points if point.phase == "part 2")

    def inject(self, case: Case) -> record.Injection:
        """Inject a fault into a run; hold what it left against what it was told.

        What goes wrong is a problem of what is returned, and keeps no other fault from being
        injected.
        """
        began = time.monotonic()
        injection = record.Injection(
            kind=case.kind,
            database=self.database,
            phase=case.phase or case.planned or "",
            outcome="not judged",
            label=case.label,
            seed=SEED,
            server=self.version,
        )
        try:
            self._inject(case, injection)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the finding
            traceback.print_exc()
            injection.problems.append(f"error: {type(exc).__name__}: {exc}")
        injection.seconds = round(time.monotonic() - began, 2)
        if injection.problems or injection.outcome not in case.unharmed:
            record.append(injection)
        return injection

    def _inject(self, case: Case, injection: record.Injection) -> None:
        number = next(self._numbers)
        flow_run = (f"run-{number}", "1") if case.resumes else None
        if case.retried:
            flow_run = f"run-{number}", "2"
        run = self.run(
            number,
            url=case.url(self) if case.url else self.url,
            settings=case.settings,
            flow_run=flow_run,
            large=case.large,
            seams=case.seams_of(self) if case.seams_of else case.seams,
        )
        journal, problems = Journal(run.journal), injection.problems
        if case.retried:
            self._crash_first(run)
        fault = self._arm(case, journal)
        self._run, self._rival = run, None
        try:
            if case.prepare is not None:
                case.prepare(self)
            self.child = start(run)
            self._started.set()
            if case.beside is not None:
                case.beside(self, self.child)
            problems += self._join(self.child)
        finally:
            self._settle()
        injection.phase = case.phase or self._phase or told_phase(journal)
        if self._rival is not None:
            problems += self._join(self._rival[0])
        winner = self._of_rivals(journal)
        problems += self._judge(number, winner, case)
        injection.outcome = self._outcome(journal, self.child.exitcode)
        said = journal.failure or f"exit code {self.child.exitcode}"
        if injection.outcome not in {*case.may_end, *case.unharmed}:
            problems.append(f"outcome: {injection.outcome} ({said})")
        if injection.outcome not in case.unharmed and not re.search(case.says, said):
            problems.append(f"silent: it does not say {case.says!r}: {said}")
        if fault is not None and fault.hit is None:
            problems.append("missed: the statement was not met")

    def _of_rivals(self, journal: Journal) -> Journal:
        """Return the journal of the one of two runs that the session must be as."""
        if self._rival is not None and "close" in self._rival[1].done:
            return self._rival[1]
        return journal

    def inject_into_push(
        self, kind: str, label: str, fault: Fault | None, seams: Seams
    ) -> record.Injection:
        """Kill whoever delivers a spooled session; hold what a second push makes of it."""
        began = time.monotonic()
        injection = record.Injection(
            kind, self.database, "push", "not judged", label, SEED, server=self.version
        )
        try:
            self._inject_into_push(injection, fault, seams)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the finding
            traceback.print_exc()
            injection.problems.append(f"error: {type(exc).__name__}: {exc}")
        finally:
            self._settle()
        injection.seconds = round(time.monotonic() - began, 2)
        if injection.problems or injection.outcome != NOT_MET:
            record.append(injection)
        return injection

    def _inject_into_push(
        self, injection: record.Injection, fault: Fault | None, seams: Seams
    ) -> None:
        assert self.proxy is not None
        number = next(self._numbers)
        self._started.clear()
        self.proxy.arm(None)
        self.proxy.refuse()
        run = self.run(number, settings={"retry_seconds": 0})
        start(run).join(LONGEST)
        journal = Journal(run.journal)
        assert "spooled" in journal.done, journal.lines()
        self.proxy.arm(fault)
        push = replace(run, journal=run.journal.with_suffix(".push"), seams=seams)
        self.child = start_push(push)
        self._started.set()
        injection.problems += self._join(self.child)
        self._settle()
        injection.outcome = "delivered by the next push" if self.waiting() else "already delivered"
        last_line = Journal(push.journal).lines()[-1:]
        if last_line and last_line[0].startswith("pushed"):
            injection.outcome = NOT_MET
        injection.problems += self._judge(
            number, journal, Case(injection.kind, injection.label, ())
        )

    def _arm(self, case: Case, journal: Journal) -> Fault | None:
        self._started.clear()
        self._phase = None
        fault = case.fault(self) if case.fault else None
        if fault is not None:

            def hit() -> None:
                self._phase = phase_of(journal.step, fault.hit or "")

            fault.on_hit = hit
        if self.proxy is not None:
            self.proxy.arm(fault)
        return fault

    def _join(self, process: ForkServerProcess) -> list[str]:
        process.join(LONGEST)
        if process.exitcode is not None:
            return []
        process.kill()
        process.join()
        return [f"hung: the run did not end within {LONGEST} s"]

    def _settle(self) -> None:
        """Bring back what a fault took away."""
        if self.proxy is not None:
            self.proxy.arm(None)
        while self.undo:
            self.undo.pop()()

    def _judge(self, number: int, journal: Journal, case: Case) -> list[str]:
        problems = self.witness.half_visible(number) + self._unsound()
        self._waited = bool(self.waiting())
        if not self._waited:
            problems += self.witness.lost(number, journal)
        elif number % 4 < 2:  # whoever looks first: the one who delivers, or who reconciles
            self.deliver(number)
        problems += self.witness.stuck()
        self.deliver(number)
        problems += [f"stuck: {place} is in the spool" for place in self.waiting()]
        problems += self.witness.stuck() if self._waited else []
        problems += self.witness.lost(number, journal)
        problems += self.witness.half_visible(number)
        problems += self.witness.torn()
        sessions = self.witness.rows(number)
        problems += self.witness.false_alarms(sessions)
        if case.never_dead:
            problems += self.witness.judge.false_alarms(sessions)
        self._status = self._status_of(number)
        problems += self._next(number, case)
        return list(dict.fromkeys(problems))

    def waiting(self) -> list[Path]:
        """Return the sessions in the spool, and whatever else passes for one."""
        return [entry.folder for entry, _ in listing.waiting(self.calm.database)]

    def _unsound(self) -> list[str]:
        """Return what `spool verify` complains of."""
        database = self.calm.database
        answers = [listing.problem(database, x) for x, _ in listing.waiting(database)]
        return [f"half: spool verify says {problem}" for problem in answers if problem]

    @contextmanager
    def spooling_to(self, folder: Path) -> Iterator[None]:
        """Have another spool for a while."""
        before = self.spool, self.calm
        self.spool = folder
        settings = {"heartbeat_seconds": 600, "retry_seconds": 30, "spool": folder}
        with mfprefect.connect(self.url, **settings) as self.calm:
            try:
                yield
            finally:
                self.spool, self.calm = before

    def deliver(self, number: int) -> None:
        """Deliver what is in the spool, by a push or by the next session."""
        if not self.waiting():
            return
        if number % 2:
            self.calm.push_spool()
        else:
            self.calm.session(MODEL).close()

    def _status_of(self, number: int) -> str | None:
        rows = self.witness.rows(number)
        return rows[-1].status if rows else None

    def _outcome(self, journal: Journal, exit_code: int | None) -> str:
        """Return what the fault came to, before the next attempt."""
        rival = self._rival[1] if self._rival is not None else None
        # Refused at its opening, it has done nothing: it had to wait until the other one ended.
        if rival and (rival.done or was_refused(rival)):
            both = [x for x in (journal, rival) if "close" in x.done]
            return {1: "one succeeded and one refused"}.get(len(both), f"{len(both)} succeeded")
        if "close" in journal.done:
            return "succeeded"
        if "spooled" in journal.done and self._status == "succeeded":
            return "spooled and delivered"
        if self._status == "succeeded":
            return "succeeded unacknowledged"
        if self._status is None:
            return "never opened"
        if exit_code == -signal.SIGKILL:
            # Had it met an error before, it would have ended its session by itself, and told.
            return "crashed" if self._status == "crashed" else f"killed, and {self._status}"
        return "failed and reported"

    def _next(self, number: int, case: Case) -> list[str]:
        """Let the next run, or the next attempt of this one, go through."""
        problems = []
        following = number
        if not case.resumes or self._status == "succeeded":
            following = next(self._numbers)
        if case.resumes and self._status == "succeeded":
            problems += self._not_again(number)
        before = self.witness.rows(following)
        journal = Journal(self.folder / f"{number}-next.journal")
        try:
            self._attempt(following, case.resumes, journal)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the finding
            return [*problems, f"next: {type(exc).__name__}: {exc}"]
        rows = self.witness.rows(following)
        problems += self.witness.lost(following, journal) + self.witness.half_visible(following)
        if before and (len(rows) != 1 or rows[0].attempt != before[0].attempt + 1):
            problems.append(f"doubled: the next attempt did not resume: {rows}")
        return [f"next: {problem}" for problem in problems] + self.witness.torn()

    def _attempt(self, number: int, resumes: bool, journal: Journal) -> None:
        now = dt.datetime.now(dt.UTC)
        run = FlowRun(f"run-{number}", "3", None, began=now) if resumes else None
        with mock.patch("mfprefect.store.api.sessions.current_flow_run", return_value=run):
            write_session(self.calm, number, journal)

    def _not_again(self, number: int) -> list[str]:
        """Retry a flow run whose session succeeded; return what that does to it."""
        (before,) = self.witness.rows(number)
        try:
            self._attempt(number, True, Journal(self.folder / f"{number}-again.journal"))
        except SessionClosed as exc:
            if (exc.session_id, exc.done) != (before.session_id, "succeeded"):
                return [f"doubled: the retry was refused for {exc}"]
        else:
            return ["doubled: the retry ran again"]
        changed = [row for row in self.witness.rows(number) if vars(row) != vars(before)]
        return [f"doubled: the retry changed {changed}"] if changed else []
