"""What a laboratory can do to a run: to its process, its database and the network between."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest import mock

import sqlalchemy as sa

import mfprefect
from faultkit.child import Run, kill, start
from faultkit.invariants import Witness
from faultkit.journal import Journal
from faultkit.networks import Direction, Network
from faultkit.proxy import Action, Fault, Link, Moment, Proxy
from faultkit.seams import NO_SEAMS
from mfprefect_dev.servers import Server

__all__ = ["LONGEST", "Disturbances", "elsewhere", "wait_until_stopped"]

LONGEST = 60
"""Seconds after which a run that neither ends nor dies is a problem of its own."""


class Disturbances:
    """The actions of faults, by a laboratory that has these."""

    direct: str
    url: str
    server: Server | None
    proxy: Proxy | None
    witness: Witness
    undo: list[Callable[[], None]]
    child: ForkServerProcess | None
    _started: threading.Event
    _run: Run
    _rival: tuple[ForkServerProcess, Journal] | None

    @staticmethod
    def cut(link: Link) -> None:
        """Break the connection off."""
        link.cut()

    def kill_writer(self, link: Link) -> None:
        """SIGKILL the run; its socket goes with it."""
        self._started.wait(LONGEST)
        assert self.child is not None
        kill(self.child)
        link.cut()

    def vanish(self, link: Link) -> None:
        """SIGKILL the run, and take the network away until it has been buried."""
        assert self.proxy is not None
        self.proxy.refuse()
        self.kill_writer(link)

    def pause_writer(self, link: Link | None = None) -> None:
        """SIGSTOP the run for longer than anybody waits for a heartbeat; it is seen to be alive."""
        with self._stopped():
            for _ in range(5):
                time.sleep(0.2)
                self.witness.store.reconcile()

    def bury_alive(self, link: Link | None = None) -> None:
        """SIGSTOP the run; another machine, which sees no process, declares it dead."""
        with self._stopped():
            self._declare_dead()

    def replace_alive(self, link: Link | None = None) -> None:
        """The same, and its flow run is retried before it comes back."""
        with self._stopped():
            self._declare_dead()
            self.rival()

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        """Stop the run for a while, unless it has stopped itself; then let it go on."""
        self._started.wait(LONGEST)
        assert self.child is not None and self.child.pid is not None
        os.kill(self.child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.child.pid, signal.SIGCONT)

    def _declare_dead(self) -> None:
        # What it has locked cannot be changed: then it is not declared dead.
        settings = {"heartbeat_seconds": 0.05, "retry_seconds": 1, "spool": "off"}
        with (
            elsewhere(),
            mfprefect.connect(self.direct, **settings) as other,
            suppress(mfprefect.MfprefectError),
        ):
            time.sleep(0.2)
            other.reconcile(wait=True)

    def pause_database(self, seconds: float) -> Action:
        """SIGSTOP the server for longer than a heartbeat may take."""

        def act(link: Link) -> None:
            assert self.server is not None
            self.server.pause()
            self._later(seconds, self._wake_database)

        return act

    def _wake_database(self) -> None:
        assert self.server is not None
        self.server.resume()
        with elsewhere():  # which sees a heartbeat that is late, and no process
            self.witness.store.reconcile()

    def partition(self, seconds: float, hard: bool, *lost: Direction) -> Action:
        """Lose what is sent in these directions; then it arrives, or finds no connection."""

        def heal() -> None:
            assert self.proxy is not None
            if hard:
                self.proxy.cut_all()
            self.proxy.heal()

        def act(link: Link) -> None:
            assert self.proxy is not None
            self.proxy.partition(*lost)
            self._later(seconds, heal)

        return act

    def lose_packets(
        self, network: Network, seconds: float, hard: bool, *lost: Direction
    ) -> Action:
        """Lose what is sent between two network namespaces; then it arrives, or finds nobody."""

        def heal() -> None:
            assert self.proxy is not None
            if hard:  # the farewell is lost too
                self.proxy.cut_all()
            network.heal()

        def act(link: Link) -> None:
            network.lose(*lost)
            self._later(seconds, heal)

        return act

    def kill_database(self, away: float) -> Action:
        """SIGKILL the server; start it again after so many seconds."""

        def act(link: Link) -> None:
            assert self.server is not None
            self.server.kill()
            link.cut()
            self._later(away, self.server.restart)

        return act

    def outage(self, seconds: float | None) -> Action:
        """Take the network away, for so many seconds or until the run has ended."""

        def act(link: Link) -> None:
            assert self.proxy is not None
            self.proxy.refuse()
            link.cut()
            if seconds is not None:
                self._later(seconds, self.proxy.admit)

        return act

    def read_only(self, seconds: float | None) -> Action:
        """Let the server refuse all writes, for so many seconds or until the run has ended."""

        def act(link: Link) -> None:
            assert self.server is not None
            self._make_read_only(True)
            self.undo.append(lambda: self._make_read_only(False))
            if seconds is not None:
                self._later(seconds, lambda: self._make_read_only(False))

        return act

    def _make_read_only(self, on: bool) -> None:
        assert self.server is not None
        name, value = sa.make_url(self.direct).database, "on" if on else "off"
        statements = {
            "postgres": [
                f"ALTER DATABASE {name} SET default_transaction_read_only = {value}",
                # What is connected goes on as it was.
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608
                f"WHERE datname = '{name}' AND pid <> pg_backend_pid()",
            ],
            "mysql": [f"SET GLOBAL read_only = {value}"],
        }
        self._administer(*statements[self.server.backend])

    def ordinary(self) -> str:
        """Return the URL of a user without a superuser's rights: these may write all the same."""
        url = sa.make_url(self.url)
        if self.server is not None and self.server.backend == "mysql":
            self._administer(
                "DROP USER IF EXISTS ordinary@'127.0.0.1'",
                "CREATE USER ordinary@'127.0.0.1' IDENTIFIED BY 'ordinary'",
                f"GRANT ALL ON {url.database}.* TO ordinary@'127.0.0.1'",
            )
            url = url.set(username="ordinary", password="ordinary")
        return url.render_as_string(hide_password=False)

    def _administer(self, *statements: str) -> None:
        assert self.server is not None
        engine = sa.create_engine(
            self.server.admin_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rival(self, link: Link | None = None) -> None:
        """Let another worker execute the same flow run meanwhile, as far as it gets."""
        assert self._run.flow_run is not None
        journal = Journal(self._run.journal.with_suffix(".rival"))
        run = replace(
            self._run,
            url=self.direct,
            journal=journal.path,
            flow_run=(self._run.flow_run[0], "2"),
            seams=NO_SEAMS,
        )
        self._rival = start(run), journal
        deadline = time.monotonic() + LONGEST
        while not journal.done and time.monotonic() < deadline:
            if journal.step == "open":
                # It waits for what the first one has locked, if it does not get on.
                deadline = min(deadline, time.monotonic() + 2)
            time.sleep(0.02)
        self._rival[0].join(2 if journal.done else 0)

    def fault(self, action: Action, moment: Moment, nth: int, pattern: str = "") -> Fault:
        """Return a fault at a statement."""
        return Fault(action, moment, nth, pattern)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        def wait() -> None:
            time.sleep(seconds)
            what()

        thread = threading.Thread(target=wait)
        thread.start()
        self.undo.append(thread.join)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Look at sessions as from another machine, which sees none of this one's processes."""
    with mock.patch("mfprefect.util.processes._place", return_value="elsewhere/1/1"):
        yield


def wait_until_stopped(process: ForkServerProcess, seconds: float) -> bool:
    """Wait until a process stopped itself; return False where it ended, or went on."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.exitcode is None:
        with suppress(OSError):
            if Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return True
        time.sleep(0.005)
    return False
