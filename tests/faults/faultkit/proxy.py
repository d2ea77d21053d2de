"""A TCP proxy before a database server that does harm at a chosen statement.

It passes everything on until the statement that a fault waits for; then the fault acts before the
statement is sent on, in the middle of its answer, or when the server has answered and the client
has not heard of it.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from faultkit.networks import Direction
from faultkit.wire import Frames, MysqlFrames, PostgresFrames

__all__ = ["Action", "Fault", "Link", "Moment", "Proxy"]

Moment = Literal["before", "half", "after"]
BYTES = 1 << 16
HANG_UP = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Link:
    """A client's connection and the one to the server that goes with it."""

    client: socket.socket
    server: socket.socket
    pending: Action | None = None
    moment: Moment = "after"

    def cut(self) -> None:
        """Break both connections off, as a router does that forgets them."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HANG_UP)
                # Wakes the other thread, which close alone would not.
                end.shutdown(socket.SHUT_RD)
            end.close()


Action = Callable[[Link], None]


@dataclass
class Fault:
    """What happens at which statement."""

    action: Action
    moment: Moment = "before"
    nth: int = 0
    """Of the statements that match, counted from 0."""
    pattern: str = ""
    """A regular expression of the statements that count; all by default."""
    since: str = ""
    """A regular expression of a statement after which counting begins; at once by default."""
    every: bool = False
    """Whether it happens at each of them, and not only at the n-th."""
    hit: str | None = None
    """The statement that was hit."""
    on_hit: Callable[[], None] = lambda: None
    """Told just before the action."""
    _seen: int = 0
    _since: bool = False

    def met(self, statement: str) -> bool:
        """Return whether this is the statement to act at."""
        counting, self._since = (
            self._since or not self.since,
            self._since or bool(re.search(self.since, statement)),
        )
        if not counting or (self.hit is not None and not self.every):
            return False
        if not re.search(self.pattern, statement):
            return False
        self._seen += 1
        if self._seen <= self.nth:
            return False
        self.hit = statement
        return True


class Proxy:
    """Listens on a port of 127.0.0.1 for the clients of one server."""

    def __init__(self, url: str) -> None:
        self._upstream = sa.make_url(url)
        mysql = self._upstream.get_backend_name() == "mysql"
        self._frames: type[Frames] = MysqlFrames if mysql else PostgresFrames
        self._lock = threading.Lock()
        self._open: list[Link] = []
        self.statements: list[str] = []
        self.fault: Fault | None = None
        self.refusing = False
        self._passing: dict[Direction, threading.Event] = {
            "questions": threading.Event(),
            "answers": threading.Event(),
        }
        self.heal()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._closed = False
        listening = (self._socket,)
        threading.Thread(target=self._accept, args=listening, name="proxy", daemon=True).start()

    def url(self, direct: str) -> str:
        """Return the URL of a database of the server, by way of the proxy."""
        return self._url(direct, self._socket)

    @staticmethod
    def _url(direct: str, listening: socket.socket) -> str:
        address, port = listening.getsockname()
        url = sa.make_url(direct).set(host=address, port=port)
        return url.render_as_string(hide_password=False)

    @contextmanager
    def also_at(self, address: str, direct: str) -> Iterator[str]:
        """Listen on another address too; yield the URL of a database there."""
        with socket.create_server((address, 0)) as listening:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            yield self._url(direct, listening)
            listening.shutdown(socket.SHUT_RDWR)

    def arm(self, fault: Fault | None) -> None:
        """Wait for the next statement to do harm at; forget those that were seen."""
        with self._lock:
            self.fault, self.statements, self.refusing = fault, [], False

    def refuse(self) -> None:
        """Break all connections off and take no new ones until `arm`, or `admit`."""
        self.refusing = True
        self.cut_all()

    def admit(self) -> None:
        """Take connections again."""
        self.refusing = False

    def partition(self, *lost: Direction) -> None:
        """Let nothing through any more, and say nothing; of one direction alone: half-open."""
        for direction in lost:
            self._passing[direction].clear()

    def heal(self) -> None:
        """Let through what waits, as TCP does that sends again."""
        for event in self._passing.values():
            event.set()

    def cut_all(self) -> None:
        """Break all connections off."""
        with self._lock:
            links, self._open = self._open, []
        for link in links:
            link.cut()

    def close(self) -> None:
        """Stop listening, and break all connections off."""
        self._closed = True
        self.heal()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.cut_all()

    def _accept(self, listening: socket.socket) -> None:
        while not self._closed:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        address = (str(self._upstream.host), int(self._upstream.port or 0))
        try:
            if self.refusing:
                raise ConnectionRefusedError
            server = socket.create_connection(address, timeout=10)
        except OSError:
            with suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HANG_UP)
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(None)
        link = Link(client, server)
        with self._lock:
            self._open.append(link)
        threading.Thread(target=self._answers, args=(link,), daemon=True).start()
        with suppress(OSError):
            self._questions(link)
        self._forget(link)

    def _forget(self, link: Link) -> None:
        with self._lock:
            if link in self._open:
                self._open.remove(link)
        for end in (link.client, link.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _questions(self, link: Link) -> None:
        frames = self._frames()
        while data := link.client.recv(BYTES):
            for frame in frames.feed(data):
                fault = None if frame.statement is None else self._met(frame.statement)
                if fault is not None and fault.moment == "before":
                    self._act(fault, link)
                elif fault is not None:
                    link.moment = fault.moment
                    link.pending = lambda link, fault=fault: self._act(fault, link)
                self._passing["questions"].wait()
                link.server.sendall(frame.data)

    def _met(self, statement: str) -> Fault | None:
        with self._lock:
            self.statements.append(statement)
            if self.fault is not None and self.fault.met(statement):
                return self.fault
        return None

    @staticmethod
    def _act(fault: Fault, link: Link) -> None:
        fault.on_hit()
        fault.action(link)

    def _answers(self, link: Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(BYTES):
                action, link.pending = link.pending, None
                if action is not None and link.moment == "half":
                    link.client.sendall(data[: max(1, len(data) // 2)])
                    time.sleep(0.01)  # or the reset would overtake it
                if action is not None:
                    action(link)
                    if link.moment == "half":
                        return
                self._passing["answers"].wait()
                link.client.sendall(data)
        self._forget(link)
