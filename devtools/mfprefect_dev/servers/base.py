"""The base class of the test servers."""

from __future__ import annotations

import re
import secrets
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect_dev.servers.process import PrivateProcess, free_port

__all__ = ["Server", "execute", "variable"]

_DATABASE = re.compile(r"mfprefect_test_[0-9a-f]{12}")
_READY_SECONDS = 180.0


@dataclass
class Server(ABC):
    """A database server on which tests create their databases.

    Attributes:
        url: SQLAlchemy URL of the server's superuser, over TCP and with a password; the given URL
            of a named server.
        private: the process of a private server, None for a named one.
    """

    url: str = field(repr=False)
    private: PrivateProcess | None = field(default=None, repr=False)

    backend: ClassVar[str]
    """The backend that the server is for: "postgres" or "mysql"."""
    program: ClassVar[str]
    """What a private server runs, a name of `server_for`."""
    driver: ClassVar[str]
    """SQLAlchemy's name of the dialect and driver, for URLs that name no driver."""
    _stop_signal: ClassVar[signal.Signals]

    @classmethod
    def named(cls, url: str) -> Self:
        """Return the running server that a URL names, with or without a driver."""
        parsed = sa.make_url(url)
        if "+" not in parsed.drivername:
            parsed = parsed.set(drivername=cls.driver)
        return cls(parsed.render_as_string(hide_password=False))

    @classmethod
    @abstractmethod
    def start(cls, options: Sequence[str] = ()) -> Self:
        """Start a private server; `options` end its command line, so they win."""

    @abstractmethod
    def _drop(self, connection: sa.Connection, name: str) -> None:
        """Drop a database, and close the connections that a test left open."""

    @property
    def admin_url(self) -> str:
        """The URL that creates databases and users."""
        return self.url

    @property
    def socket(self) -> Path:
        """The unix socket of a private server: a folder (PostgreSQL) or a file (MySQL)."""
        return self._owned().folder

    def new_database(self) -> str:
        """Create an empty database under a unique name and return its URL."""
        name = f"mfprefect_test_{secrets.token_hex(6)}"
        self._administer(lambda connection: execute(connection, f"CREATE DATABASE {name}"))
        url = sa.make_url(self.url).set(database=name)
        return url.render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Drop a database that `new_database` created; refuse any other."""
        name = sa.make_url(url).database or ""
        if not _DATABASE.fullmatch(name):
            raise InvalidValue(
                f"will not drop the database {name!r}: new_database() did not create it; "
                f"its names match {_DATABASE.pattern}"
            )
        self._administer(lambda connection: self._drop(connection, name))

    def kill(self) -> None:
        """SIGKILL every process of the private server; keep its data for `restart`."""
        self._owned().kill()

    def pause(self) -> None:
        """SIGSTOP every process of the private server."""
        self._owned().send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT every process of the private server."""
        self._owned().send(signal.SIGCONT)

    def restart(self) -> None:
        """Shut the private server down if it runs, then start it with the same data and port."""
        private = self._owned()
        private.shut_down(self._stop_signal)
        private.start()
        self._wait()

    def stop(self) -> None:
        """Remove the private server and its data; leave a named server alone."""
        if self.private is not None:
            self.private.close()

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def _owned(self) -> PrivateProcess:
        if self.private is None:
            raise ConfigurationError(
                f"this {self.backend} server is not private and cannot be killed or restarted; "
                f"unset {variable(self.backend)} to have a private one"
            )
        return self.private

    def _administer(self, action: Callable[[sa.Connection], None]) -> None:
        # No pool: a pooled connection would not survive kill() and restart().
        engine = sa.create_engine(
            self.admin_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            action(connection)

    def _wait(self) -> None:
        """Wait until the private server accepts connections."""
        private = self._owned()
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self._administer(lambda connection: None)
            except sa.exc.OperationalError as error:
                if not private.running or time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"the private {self.program} server did not start:\n{private.log()}"
                    ) from error
                time.sleep(0.05)
            else:
                return

    @classmethod
    def _launch(
        cls, private: PrivateProcess, url: sa.URL, command: Callable[[int], list[str]]
    ) -> Self:
        """Start the server on a free port; retry if another process takes the port first."""
        for attempts_left in reversed(range(5)):
            port = free_port()
            server = cls(url.set(port=port).render_as_string(hide_password=False), private)
            private.command = command(port)
            private.start()
            try:
                server._wait()
            except ConfigurationError:
                if private.running or not attempts_left:
                    raise
            else:
                break
        return server


def variable(backend: str) -> str:
    """Return the environment variable that names a real server."""
    return f"MFPREFECT_TEST_{backend.upper()}_URL"


def execute(connection: sa.Connection, statement: str) -> None:
    """Execute one statement."""
    connection.execute(sa.text(statement))
