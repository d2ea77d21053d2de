"""The databases that scores are loaded into, and the loader that each brings along."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from mfprefect.testing.servers import MysqlServer, PostgresServer, Server, server_for
from scores_data import COLUMNS, Data

__all__ = ["PLACES", "TARGET", "Loader", "Place", "peak_of"]

TARGET = "raw_scores"
"""What everybody but mfprefect loads into: the columns and the key of `scores`."""
_COLUMNS = ", ".join(COLUMNS)
POLL_SECONDS = 0.005


class Loader(ABC):
    """The database's own loader, about to load one prepared file."""

    @abstractmethod
    def load(self) -> float | None:
        """Load and commit; return the peak memory of the program in MB where it is another's."""


@dataclass(frozen=True)
class Client(Loader):
    """A client program."""

    command: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)

    def load(self) -> float:
        """Run the program to its end."""
        peak = 0.0
        with subprocess.Popen(  # noqa: S603 - the server's own client
            self.command, env={**os.environ, **self.environ}, stdout=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                # Of the program itself: what the system reports of ended children begins with
                # the memory of the parent that they were forked from.
                peak = max(peak, peak_of(process.pid))
                time.sleep(POLL_SECONDS)
        if process.returncode != 0:
            raise RuntimeError(f"{self.command[0]} ended with {process.returncode}")
        return peak


@dataclass(frozen=True)
class Attached(Loader):
    """SQLite's INSERT .. SELECT from another file."""

    path: str
    source: Path
    table: str

    def load(self) -> None:
        """Copy the rows in the order in which they are stored."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("ATTACH ? AS source", (str(self.source),))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            f"INSERT INTO {TARGET} ({_COLUMNS}) SELECT {_COLUMNS} FROM source.{self.table}"  # noqa: S608
        )
        connection.execute("COMMIT")
        connection.close()


class Place(ABC):
    """A database to measure on."""

    name: str

    @abstractmethod
    def new_database(self) -> str:
        """Make an empty database and return its URL."""

    @abstractmethod
    def drop(self, url: str) -> None:
        """Remove it."""

    @abstractmethod
    def settle(self, connection: sa.Connection) -> None:
        """Write out what waits and refresh statistics, so that it burdens no contender."""

    @abstractmethod
    def loader(self, url: str, data: Data, order: str) -> Loader:
        """Return the loader of a prepared file, `sorted` or `given`."""

    @abstractmethod
    def version(self) -> str:
        """Return the database's name and version, and what it was started with."""

    @property
    def server_pid(self) -> int | None:
        """The process of a private server, None where there is none."""
        return None

    def close(self) -> None:  # noqa: B027 - optional
        """Stop what was started."""


class Sqlite(Place):
    """Files in a folder."""

    name = "sqlite"

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._folder = folder
        self._made = 0

    def new_database(self) -> str:
        """Name a file; whoever connects makes it."""
        self._made += 1
        return f"sqlite:///{self._folder / f'{self._made}.db'}"

    def drop(self, url: str) -> None:
        """Remove the file and its log."""
        path = Path(str(sa.make_url(url).database))
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()

    def settle(self, connection: sa.Connection) -> None:
        """Empty the write-ahead log."""
        connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))

    def loader(self, url: str, data: Data, order: str) -> Loader:
        """Return INSERT .. SELECT."""
        return Attached(str(sa.make_url(url).database), data.folder / "source.db", order)

    def version(self) -> str:
        """Return the library's version."""
        return f"SQLite {sqlite3.sqlite_version} (journal WAL, synchronous FULL)"


class _OnServer(Place):
    kind: type[Server]
    settings: Sequence[str]
    show: str
    pid_file: str

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        named = bool(os.environ.get(f"MFPREFECT_TEST_{self.kind.backend.upper()}_URL"))
        self.options = "settings of its own" if named else " ".join([*self.settings, *options])
        self.server = (
            server_for(self.kind.backend)
            if named
            else self.kind.start(self.arguments([*self.settings, *options]))
        )

    @staticmethod
    @abstractmethod
    def arguments(settings: Sequence[str]) -> Sequence[str]:
        """Return settings such as `shared_buffers=1GB` as the server's arguments."""

    def new_database(self) -> str:
        """Create one of a unique name."""
        return self.server.new_database()

    def drop(self, url: str) -> None:
        """Drop it."""
        self.server.drop_database(url)

    def version(self) -> str:
        """Ask the server."""
        engine = sa.create_engine(self.server.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            return f"{connection.scalar(sa.text(self.show))} ({self.options})"

    @property
    def server_pid(self) -> int | None:
        """Read the private server's own file."""
        private = self.server.private
        if private is None:
            return None
        return int((private.folder / "data" / self.pid_file).read_text().split()[0])

    def close(self) -> None:
        """Stop the server."""
        self.server.stop()

    def _program(self, name: str) -> str:
        private = self.server.private
        places = [f"{private.programs}/{under}" for under in ("bin", "usr/bin")] if private else []
        path = os.pathsep.join([*places, os.environ.get("PATH", os.defpath)])
        found = shutil.which(name, path=path)
        if found is None:
            raise FileNotFoundError(f"no program {name!r} on PATH: it is the raw limit's loader")
        return found


class Postgres(_OnServer):
    """PostgreSQL and psql."""

    name = "postgres"
    kind = PostgresServer
    settings = ("shared_buffers=1GB", "max_wal_size=4GB", "full_page_writes=on")
    show = "SELECT 'PostgreSQL ' || current_setting('server_version')"
    pid_file = "postmaster.pid"

    @staticmethod
    def arguments(settings: Sequence[str]) -> Sequence[str]:
        """Return -c options."""
        return [part for setting in settings for part in ("-c", setting)]

    def settle(self, connection: sa.Connection) -> None:
        """Vacuum and checkpoint."""
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            connection.execute(sa.text(statement))

    def loader(self, url: str, data: Data, order: str) -> Loader:
        r"""Return psql's \copy."""
        target = sa.make_url(url)
        copy = rf"\copy {TARGET} ({_COLUMNS}) FROM '{data.file(order)}' WITH (FORMAT csv)"
        command = [self._program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", str(target.host), "-p", str(target.port or 5432)]
        command += ["-U", str(target.username), "-d", str(target.database), "-c", copy]
        return Client(command, {"PGPASSWORD": str(target.password or "")})


class Mariadb(_OnServer):
    """MariaDB and its client."""

    name = "mysql"
    kind = MysqlServer
    settings = ("innodb-buffer-pool-size=2G", "innodb-log-file-size=1G")
    show = "SELECT CONCAT(IF(VERSION() LIKE '%Maria%', 'MariaDB ', 'MySQL '), VERSION())"
    pid_file = "server.pid"

    @staticmethod
    def arguments(settings: Sequence[str]) -> Sequence[str]:
        """Return long options."""
        return [f"--{setting}" for setting in settings]

    def settle(self, connection: sa.Connection) -> None:
        """Refresh statistics; the pages of a dropped database go with it."""
        connection.execute(sa.text(f"ANALYZE TABLE {TARGET}, scores")).all()

    def loader(self, url: str, data: Data, order: str) -> Loader:
        """Return LOAD DATA LOCAL."""
        target = sa.make_url(url)
        load = (
            f"LOAD DATA LOCAL INFILE '{data.file(order)}' INTO TABLE {TARGET} "
            f"CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' ESCAPED BY '' ({_COLUMNS})"
        )
        command = [self._program("mariadb"), "--no-defaults", "--local-infile=1", "--protocol=tcp"]
        command += ["-h", str(target.host), "-P", str(target.port or 3306)]
        command += ["-u", str(target.username), "-D", str(target.database), "-e", load]
        private = self.server.private
        libraries = private.environ if private and private.programs else {}
        return Client(command, {**libraries, "MYSQL_PWD": str(target.password or "")})


PLACES: dict[str, type[Sqlite | Postgres | Mariadb]] = {
    place.name: place for place in (Sqlite, Postgres, Mariadb)
}


def peak_of(process: int | str = "self") -> float:
    """Return the largest resident memory of a process in MB; 0 when it has gone or is no Linux."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
    return int(line.split()[1]) / 1024 if line else 0.0
