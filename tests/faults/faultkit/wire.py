"""The clients' half of two wire protocols, read just far enough to tell statements apart.

https://www.postgresql.org/docs/current/protocol-message-formats.html
https://mariadb.com/kb/en/clientserver-protocol/
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

__all__ = ["Frame", "MysqlFrames", "PostgresFrames"]

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
COM_QUERY, COM_PING = 0x03, 0x0E


@dataclass(frozen=True)
class Frame:
    """One message of a client."""

    data: bytes
    statement: str | None
    """Its SQL, or what else a fault can be told to wait for; None: a login, a farewell."""


class Frames(ABC):
    """Cuts what a client sends into messages."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Return the messages that are complete."""
        self._waiting += data
        frames = []
        while (length := self._length()) and length <= len(self._waiting):
            message, self._waiting = self._waiting[:length], self._waiting[length:]
            frames.append(Frame(message, self._statement(message)))
        return frames

    @abstractmethod
    def _length(self) -> int | None:
        """Return how long the first message is, None while that cannot be told."""

    @abstractmethod
    def _statement(self, message: bytes) -> str | None: ...


class PostgresFrames(Frames):
    """Messages of libpq: the first one has no type, the others begin with it."""

    _started = False

    def _length(self) -> int | None:
        head = 5 if self._started else 4
        if len(self._waiting) < head:
            return None
        return head - 4 + int.from_bytes(self._waiting[head - 4 : head])

    def _statement(self, message: bytes) -> str | None:
        if not self._started:
            # Asking for encryption comes before the greeting, and has its form.
            self._started = int.from_bytes(message[4:8]) not in (SSL_REQUEST, GSS_REQUEST)
            return None
        kind = message[:1]
        if kind == b"Q":
            return message[5:-1].decode(errors="replace")
        return {b"d": "COPY DATA", b"c": "COPY DONE"}.get(kind)


class MysqlFrames(Frames):
    """Packets of pymysql: a command begins with number 0, what belongs to it goes on counting."""

    _started = False

    def _length(self) -> int | None:
        if len(self._waiting) < 4:
            return None
        return 4 + int.from_bytes(self._waiting[:3], "little")

    def _statement(self, message: bytes) -> str | None:
        if message[3]:
            return "LOAD DATA FILE" if self._started else None
        self._started = True
        command = message[4]
        if command == COM_QUERY:
            return message[5:].decode(errors="replace")
        return "PING" if command == COM_PING else None
