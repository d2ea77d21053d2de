"""PgBouncer between tests and a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError
from mfprefect_dev.servers.base import Server
from mfprefect_dev.servers.process import PrivateProcess, free_port, unpacked

__all__ = ["Pooler"]

_PROGRAM = "usr/sbin/pgbouncer"
_READY_SECONDS = 60.0
# Two server connections for everybody, so that clients meet each other's.
_SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
auth_user = {admin}
pool_mode = {mode}
default_pool_size = 2
"""


class Pooler:
    """A private PgBouncer that knows the users of a server, also those that come later.

    Args:
        server: its URL names a superuser, whom PgBouncer asks for the others' passwords.
        mode: `session`, `transaction` or `statement`.
    """

    def __init__(self, server: Server, mode: str = "transaction") -> None:
        url = sa.make_url(server.admin_url)
        self._private = PrivateProcess("pgbouncer", _tree())
        self._port = free_port()
        users = self._private.write("users", f'"{url.username}" "{url.password}"\n')
        text = _SETTINGS.format(
            **{"host": url.host, "port": url.port or 5432, "listen": self._port, "users": users},
            **{"admin": url.username, "mode": mode},
        )
        program = _installed()
        if tree := self._private.programs:
            program = str(tree / _PROGRAM)
            libraries = map(str, sorted(tree.glob("usr/lib/*-linux-*")))
            self._private.environ["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
        self._private.command = [str(program), str(self._private.write("settings", text))]

    def url(self, database_url: str) -> str:
        """Return the URL of a database of the server, through the pooler."""
        url = sa.make_url(database_url).set(host="127.0.0.1", port=self._port)
        return url.render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        """Start it, and wait until it listens."""
        self._private.start()
        probe = self.url("postgresql+psycopg2://nobody@/nothing?connect_timeout=5")
        deadline = time.monotonic() + _READY_SECONDS
        while "Connection refused" in _refusal(probe):
            if not self._private.running or time.monotonic() > deadline:
                log = self._private.log()
                self._private.close()
                raise ConfigurationError(f"PgBouncer did not start:\n{log}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove its folder."""
        self._private.close()


def _refusal(url: str) -> str:
    try:
        sa.create_engine(url, poolclass=sa.NullPool).connect().close()
    except sa.exc.OperationalError as error:
        return str(error)
    return ""


def _tree() -> Path | None:
    """Return the unpacked tree; None if PgBouncer is installed."""
    return None if _installed() else unpacked("pgbouncer", _PROGRAM)


def _installed() -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("pgbouncer", path=path)
