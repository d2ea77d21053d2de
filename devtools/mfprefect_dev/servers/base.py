"""The base class of the test servers."""

from __future__ import annotations

import re
import secrets
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Self

import sqlalchemy as sa

import mfprefect
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
    _with_schema: str | None = field(default=None, init=False, repr=False)
    """The URL of the database that others with a schema are copies of, once there is one."""

    backend: ClassVar[str]
    """The backend that the server is for: "postgres" or "mysql"."""
    program: ClassVar[str]
    """What a private server runs, a name of `server_for`."""
    driver: ClassVar[str]
    """SQLAlchemy's name of the dialect and driver, for URLs that name no driver."""
    _stop_signal: ClassVar[signal.Signals]
    _connect_args: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Arguments of the driver for the connections that create databases."""

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

    @abstractmethod
    def _copy(self, connection: sa.Connection, original: str, name: str) -> None:
        """Create a database with the tables, views and rows of another one."""

    @property
    def admin_url(self) -> str:
        """The URL that creates databases and users."""
        return self.url

    @property
    def socket(self) -> Path:
        """The unix socket of a private server: a folder (PostgreSQL) or a file (MySQL)."""
        return self._owned().folder

    def new_database(self, *, schema: bool = False) -> str:
        """Create a database under a unique name and return its URL.

        It is empty, or has the schema: as a copy of the first such database, on which
        `create_schema` ran. Copying is several times faster.
        """
        name = f"mfprefect_test_{secrets.token_hex(6)}"
        if schema:
            original = sa.make_url(self._schema_url()).database or ""
            self._administer(lambda connection: self._copy(connection, original, name))
        else:
            self._administer(lambda connection: execute(connection, f"CREATE DATABASE {name}"))
        url = sa.make_url(self.url).set(database=name)
        return url.render_as_string(hide_password=False)

    def _schema_url(self) -> str:
        if self._with_schema is None:
            url = self.new_database()
            with mfprefect.connect(url) as store:
                store.create_schema()
            self._with_schema = url
        return self._with_schema

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
        """Remove the private server and its data; leave a named server as it was."""
        if self.private is not None:
            self.private.close()
        elif self._with_schema is not None:
            self.drop_database(self._with_schema)
            self._with_schema = None

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

    @cached_property
    def _engine(self) -> sa.Engine:
        # No pool: a pooled connection would not survive kill() and restart().
        return sa.create_engine(
            self.admin_url,
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=dict(self._connect_args),
        )

    def _administer(self, action: Callable[[sa.Connection], None]) -> None:
        with self._engine.connect() as connection:
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
