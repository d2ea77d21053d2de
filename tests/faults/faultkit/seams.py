"""Seams through which a child process does harm to itself, where no proxy could.

* SQLite has no wire: its driver tells of each statement, and the child acts at the n-th of its own.
* The clock: all times that mfprefect stores come from `mfprefect.util.values.utc_now`.
* Prefect's API: the child sees each of its requests before it is sent, and each answer.
* The spool: Python tells of each file that is opened, renamed or removed, before it is.
* The network: the child enters a namespace of its own, from which the database is another machine.
* Room: `RLIMIT_FSIZE` is a quota on the size of each file.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from faultkit import networks

if TYPE_CHECKING:
    from faultkit.journal import Journal

__all__ = ["NO_SEAMS", "ApiAt", "At", "Seams"]

Action = Literal["kill", "kill inside", "stop", "sleep", "read-only"]


@dataclass(frozen=True)
class At:
    """What the child does at which SQLite statement, counted from 0."""

    nth: int
    action: Action
    seconds: float = 0.0
    """How long to sleep; for `kill inside`, how long after the statement began."""


@dataclass(frozen=True)
class ApiAt:
    """At which request to Prefect's API the child kills itself."""

    request: str
    """What `_request_text` makes of it: threads of their own send others at any time."""
    nth: int = 0
    """Of those that read the same."""
    answered: bool = False
    """Whether Prefect did what it asks for."""


@dataclass(frozen=True)
class Seams:
    """The harm that a child does to itself; none by default."""

    at: At | None = None
    trace: bool = False
    """Whether to write each SQLite statement and each request to Prefect into the journal."""
    api_at: ApiAt | None = None
    dies_before: str | None = None
    """The line of the journal that the child does not live to write."""
    clock: tuple[int, float] | None = None
    """From which look at the clock on it is off, and by how many seconds."""
    spool_at: tuple[Path, int] | None = None
    """A folder, and before which operation on a file in it the child kills itself."""
    network: int | None = None
    """A process whose network namespace the child enters."""
    file_size: int | None = None
    """How large any file may get."""

    def install(self, journal: Journal) -> None:
        """Put what is asked for into this process."""
        import sqlalchemy as sa

        journal.dies_before = self.dies_before
        if self.network is not None:
            networks.enter(self.network)
        if self.clock is not None:
            _set_back(*self.clock)
        if self.spool_at is not None:
            sys.addaudithook(_killer(*self.spool_at, journal))
        if self.file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_size, self.file_size))
        if self.api_at is not None or self.trace:
            _watch_api(self.api_at, journal)
        if self.at is not None or self.trace:
            counter = _Counter(self.at, journal, self.trace)
            sa.event.listen(sa.Engine, "connect", counter.watch)
            sa.event.listen(sa.Engine, "begin", counter.begin)


NO_SEAMS = Seams()


class _Counter:
    """Counts the statements of all SQLite connections of this process, and acts at one."""

    def __init__(self, at: At | None, journal: Journal, trace: bool) -> None:
        self.at, self.journal, self.trace = at, journal, trace
        self.seen = 0
        self.read_only = False

    def watch(self, connection: Any, _: Any) -> None:
        connection.set_trace_callback(self.saw)

    def begin(self, connection: Any) -> None:
        if self.read_only:
            connection.connection.dbapi_connection.execute("PRAGMA query_only = ON")

    def saw(self, statement: str) -> None:
        number, self.seen = self.seen, self.seen + 1
        if self.trace:
            self.journal.write(f"sql {statement[:200]!r}")
        if self.at is not None and number == self.at.nth:
            self.journal.write(f"hit {statement[:200]!r}")
            self._act(self.at)

    def _act(self, at: At) -> None:
        if at.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif at.action == "kill inside":
            # The statement runs meanwhile: SQLite is left to itself without Python's lock.
            threading.Thread(target=_kill_after, args=(at.seconds,), daemon=True).start()
        elif at.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif at.action == "sleep":
            time.sleep(at.seconds)
        else:
            self.read_only = True


def _killer(folder: Path, nth: int, journal: Journal) -> Any:
    place, seen = str(folder), 0

    def saw(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"):
            return
        if not str(arguments[0]).startswith(place):
            return
        number, seen = seen, seen + 1
        if number == nth:
            journal.write(f"hit {event}")
            os.kill(os.getpid(), signal.SIGKILL)

    return saw


def _watch_api(at: ApiAt | None, journal: Journal) -> None:
    """Note each request to Prefect's API; kill this process at one."""
    import httpx

    seen = 0

    def met(request: httpx.Request) -> bool:
        nonlocal seen
        text = _request_text(request)
        if at is None:
            journal.write(f"api {text}")
        if at is None or text != at.request:
            return False
        number, seen = seen, seen + 1
        return number == at.nth

    def die(request: httpx.Request) -> None:
        journal.write(f"hit {_request_text(request)}")
        os.kill(os.getpid(), signal.SIGKILL)

    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def watched(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        here = met(request)
        if here and at is not None and not at.answered:
            die(request)
        response = send(client, request, **options)
        if here:
            die(request)
        return response

    async def watched_async(
        client: httpx.AsyncClient, request: httpx.Request, **options: Any
    ) -> httpx.Response:
        here = met(request)
        if here and at is not None and not at.answered:
            die(request)
        response = await send_async(client, request, **options)
        if here:
            die(request)
        return response

    vars_of = {httpx.Client: watched, httpx.AsyncClient: watched_async}
    for client, function in vars_of.items():
        setattr(client, "send", function)  # noqa: B010 - mypy forbids assigning to a method


def _request_text(request: Any) -> str:
    """Return a request as `POST /flow_runs/ID/set_state COMPLETED`."""
    path = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", request.url.path.removeprefix("/api"))
    body = b"" if request.method == "GET" else request.read()
    state = re.search(rb'"type"\s*:\s*"([A-Z]+)"', body) if path.endswith("set_state") else None
    return f"{request.method} {path}" + (f" {state[1].decode()}" if state else "")


def _kill_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def _set_back(nth: int, seconds: float) -> None:
    from mfprefect.util import values

    looks = 0

    def utc_now() -> dt.datetime:
        nonlocal looks
        looks += 1
        step = dt.timedelta(seconds=seconds if looks > nth else 0)
        return dt.datetime.now(dt.UTC) + step

    values.utc_now = utc_now
