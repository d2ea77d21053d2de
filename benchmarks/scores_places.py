"""The databases that scores are loaded into, and the loader that each brings along."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from mfprefect_dev.servers import server_class, server_for
from scores_data import COLUMNS, Data

__all__ = ["PLACES", "TARGET", "Place", "Work", "peak_of"]

TARGET = "raw_scores"
"""What everybody but mfprefect loads into: the columns and the key of `scores`."""
Work = Callable[[], float | None]
"""What is measured; returns the peak memory in MB where that is another program's."""
_COLUMNS = ", ".join(COLUMNS)
POLL_SECONDS = 0.01


class Place(Protocol):
    """A database to measure on."""

    name: str

    def new_database(self) -> str:
        """Make an empty database and return its URL."""

    def drop(self, url: str) -> None:
        """Remove it."""

    def settle(self, connection: sa.Connection) -> None:
        """Write out what waits and refresh statistics, so that it burdens no contender."""

    def loader(self, url: str, data: Data, order: str) -> Work:
        """Return the loading of a prepared file, `sorted` or `given`, by the database itself."""

    def version(self) -> str:
        """Return the database's name and version, and what it was started with."""

    def server_pid(self) -> int | None:
        """Return the process of a private server, None where there is none."""

    def close(self) -> None:
        """Stop what was started."""


class _Sqlite:
    name = "sqlite"

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._folder = folder
        self._made = 0

    def new_database(self) -> str:
        self._made += 1
        return f"sqlite:///{self._folder / f'{self._made}.db'}"

    def drop(self, url: str) -> None:
        path = Path(str(sa.make_url(url).database))
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()

    def settle(self, connection: sa.Connection) -> None:
        connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))

    def loader(self, url: str, data: Data, order: str) -> Work:
        path = str(sa.make_url(url).database)
        return partial(_insert_select, path, str(data.folder / "source.db"), order)

    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version} (journal WAL, synchronous FULL)"

    def server_pid(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def _insert_select(path: str, source: str, table: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("ATTACH ? AS source", (source,))
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        f"INSERT INTO {TARGET} ({_COLUMNS}) SELECT {_COLUMNS} FROM source.{table}"  # noqa: S608
    )
    connection.execute("COMMIT")
    connection.close()


class _OnServer:
    backend: str
    settings: tuple[str, ...]
    flag: str
    show: str
    pid_file: str

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._settings = [*self.settings, *options]
        if os.environ.get(f"MFPREFECT_TEST_{self.backend.upper()}_URL"):
            self._settings = ["settings of its own"]
            self._server = server_for(self.backend)
        else:
            flags = [self.flag + setting for setting in self._settings]
            self._server = server_class(self.backend).start(flags)

    def new_database(self) -> str:
        return self._server.new_database()

    def drop(self, url: str) -> None:
        self._server.drop_database(url)

    def version(self) -> str:
        engine = sa.create_engine(self._server.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            return f"{connection.scalar(sa.text(self.show))} ({', '.join(self._settings)})"

    def server_pid(self) -> int | None:
        private = self._server.private
        path = private and private.folder / "data" / self.pid_file
        return int(path.read_text().split()[0]) if path else None

    def close(self) -> None:
        self._server.stop()

    def _client(self, name: str, arguments: Sequence[str], environ: Mapping[str, str]) -> Work:
        private = self._server.private
        places = [f"{private.programs}/{under}" for under in ("bin", "usr/bin")] if private else []
        program = shutil.which(name, path=os.pathsep.join([*places, os.environ["PATH"]]))
        if program is None:
            raise FileNotFoundError(f"no program {name!r} on PATH: it is the raw limit's loader")
        if private and str(private.programs) in program:  # its libraries may be unpacked beside it
            environ = {**private.environ, **environ}
        return partial(_run, [program, *arguments], environ)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> float:
    peak = 0.0
    with subprocess.Popen(  # noqa: S603 - the server's own client
        command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            # Of the program itself: what the system reports of ended children begins with the
            # memory of the process that they were forked from.
            peak = max(peak, peak_of(process.pid))
            time.sleep(POLL_SECONDS)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return peak


class _Postgres(_OnServer):
    name = "postgres"
    backend = "postgres"
    settings = ("shared_buffers=1GB", "max_wal_size=4GB", "full_page_writes=on")
    flag = "-c"
    show = "SELECT 'PostgreSQL ' || current_setting('server_version')"
    pid_file = "postmaster.pid"

    def settle(self, connection: sa.Connection) -> None:
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            connection.execute(sa.text(statement))

    def loader(self, url: str, data: Data, order: str) -> Work:
        to = sa.make_url(url)
        copy = rf"\copy {TARGET} ({_COLUMNS}) FROM '{data.file(order)}' WITH (FORMAT csv)"
        where = ["-h", str(to.host), "-p", str(to.port or 5432), "-U", str(to.username)]
        what = ["-d", str(to.database), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", copy]
        return self._client("psql", [*where, *what], {"PGPASSWORD": str(to.password or "")})


class _Mariadb(_OnServer):
    name = "mysql"
    backend = "mysql"
    settings: tuple[str, ...] = ("innodb-buffer-pool-size=2G", "innodb-log-file-size=1G")
    flag = "--"
    show = "SELECT CONCAT(IF(VERSION() LIKE '%Maria%', 'MariaDB ', 'MySQL '), VERSION())"
    pid_file = "server.pid"

    def settle(self, connection: sa.Connection) -> None:
        connection.execute(sa.text(f"ANALYZE TABLE {TARGET}, scores")).all()

    def loader(self, url: str, data: Data, order: str) -> Work:
        to = sa.make_url(url)
        load = (
            f"LOAD DATA LOCAL INFILE '{data.file(order)}' INTO TABLE {TARGET} "
            f"CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' ESCAPED BY '' ({_COLUMNS})"
        )
        where = ["-h", str(to.host), "-P", str(to.port or 3306), "-u", str(to.username)]
        how = ["--no-defaults", "--local-infile=1", "--protocol=tcp"]
        what = ["-D", str(to.database), "-e", load]
        return self._client("mariadb", [*how, *where, *what], {"MYSQL_PWD": str(to.password or "")})


class _Mysql9(_Mariadb):
    """MySQL 9 as it is installed: what the tests' servers do without is switched on again."""

    name = "mysql9"
    backend = "mysql9"
    settings = (
        "log-bin=binlog",
        "innodb-flush-log-at-trx-commit=1",
        "innodb-flush-method=O_DIRECT",
        "innodb-buffer-pool-size=128M",
        "innodb-redo-log-capacity=100M",
    )


PLACES: dict[str, Callable[[Path, Sequence[str]], Place]] = {
    "sqlite": _Sqlite,
    "postgres": _Postgres,
    "mysql": _Mariadb,
    "mysql9": _Mysql9,
}


def peak_of(process: int | str = "self") -> float:
    """Return the largest resident memory of a process in MB; 0 when it has gone or is no Linux."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return next(
        (int(line.split()[1]) / 1024 for line in status.splitlines() if line[:5] == "VmHWM"), 0.0
    )
