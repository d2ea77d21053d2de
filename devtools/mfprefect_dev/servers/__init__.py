"""Private, throwaway database servers for tests and benchmarks.

    with server_for("postgres") as server:
        url = server.new_database()

A private server has a random free port on 127.0.0.1, a unix socket, a generated password and a
temporary folder, in memory if there is room. It ends with its block, at exit, and about a second
after a SIGKILL of the process that started it. `MFPREFECT_TEST_POSTGRES_URL` and
`MFPREFECT_TEST_MYSQL_URL` name a real server to use instead: tests create databases there, drop
them again, and touch nothing else. `MFPREFECT_TEST_MYSQL=mysql9` makes a private server of "mysql"
a MySQL 9 instead of a MariaDB; `MFPREFECT_TEST_POSTGRES=postgres18` or `postgres12` makes one of
"postgres" another version than 17.
"""

from __future__ import annotations

import os

from mfprefect.errors import ConfigurationError
from mfprefect_dev.servers.base import Server, variable
from mfprefect_dev.servers.mysql import MariadbServer, Mysql9Server, MysqlServer
from mfprefect_dev.servers.postgres import (
    Postgres12Server,
    Postgres17Server,
    Postgres18Server,
    PostgresServer,
)

__all__ = ["MysqlServer", "PostgresServer", "Server", "server_class", "server_for"]

_CLASSES: tuple[type[Server], ...] = (
    *(Postgres17Server, Postgres18Server, Postgres12Server),
    *(MariadbServer, Mysql9Server),
)
"""Of each backend, the default first."""
_BACKENDS = ("postgres", "mysql")


def server_for(name: str) -> Server:
    """Return a server: the named real one, or a new private one.

    Args:
        name: "postgres" or "mysql", or a program of `server_class`, which is always private.

    Raises:
        ConfigurationError: the name is unknown, or the server's programs are missing.
    """
    named = os.environ.get(variable(name)) if name in _BACKENDS else None
    return server_class(name).named(named) if named else server_class(name).start()


def server_class(name: str) -> type[Server]:
    """Return the class of a private server, to start it with options.

    Args:
        name: the program, such as "postgres17", "mariadb" or "mysql9"; or a backend ("postgres",
            "mysql"), whose program `MFPREFECT_TEST_POSTGRES` and `MFPREFECT_TEST_MYSQL` choose.

    Raises:
        ConfigurationError: there is no such server.
    """
    classes = {kind.program: kind for kind in _CLASSES}
    if name in _BACKENDS:
        programs = [kind.program for kind in _CLASSES if kind.backend == name]
        choice = f"MFPREFECT_TEST_{name.upper()}"
        program = os.environ.get(choice) or programs[0]
        if program not in programs:
            choices = ", ".join(programs)
            raise ConfigurationError(f"{choice} is {program!r}; choices: {choices}")
        return classes[program]
    if name not in classes:
        choices = ", ".join([*_BACKENDS, *classes])
        raise ConfigurationError(f"no test server for {name!r}; choices: {choices}")
    return classes[name]
