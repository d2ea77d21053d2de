"""MariaDB and MySQL for tests."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import sqlalchemy as sa

from mfprefect.schema import VIEWS
from mfprefect_dev.servers.base import Server, execute
from mfprefect_dev.servers.process import PrivateProcess, unpacked

__all__ = ["MariadbServer", "Mysql9Server", "MysqlServer"]


_MARIADB = {"mariadbd": "usr/sbin/mariadbd", "mariadb-install-db": "usr/bin/mariadb-install-db"}
"""The programs, and where the packages have them."""
_MYSQLD = "usr/sbin/mysqld"
_SETTINGS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--local-infile=1",
    "--max-connections=200",
    "--innodb-buffer-pool-size=128M",
    # 0 would lose the last second of commits when the server is killed.
    "--innodb-flush-log-at-trx-commit=2",
    "--loose-innodb-flush-method=nosync",
)


class MysqlServer(Server):
    """A MySQL or MariaDB, whichever it is."""

    backend = "mysql"
    driver = "mysql+pymysql"
    _stop_signal = signal.SIGTERM
    _connect_args = MappingProxyType({"client_flag": 65536})  # MULTI_STATEMENTS
    _creation: str | None = None
    """The statements that create the tables and views of the database with the schema."""

    @classmethod
    def start(cls, options: Sequence[str] = ()) -> Self:
        """Start a private server: root needs a password over TCP, none on the unix socket.

        Commits survive `kill`: the server writes them but does not fsync.
        """
        private = PrivateProcess(cls.program, cls._tree())
        try:
            # In /tmp, servers that start at the same time delete each other's temporary tables.
            private.environ["TMPDIR"] = str(private.folder)
            return cls._serve(private, cls._prepare(private, options), options)
        except BaseException:
            private.close()
            raise

    @classmethod
    @abstractmethod
    def _tree(cls) -> Path | None:
        """Return the unpacked tree of the programs, None for installed ones."""

    @classmethod
    @abstractmethod
    def _prepare(cls, private: PrivateProcess, options: Sequence[str]) -> list[str]:
        """Make the data folder for the options; return the start of the command line."""

    @classmethod
    def _serve(cls, private: PrivateProcess, command: list[str], options: Sequence[str]) -> Self:
        password, folder = secrets.token_hex(8), private.folder
        root = "'root'@'127.0.0.1'"
        init = private.write(
            "init.sql",
            f"CREATE USER IF NOT EXISTS {root};\n"
            f"ALTER USER {root} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON *.* TO {root} WITH GRANT OPTION;\n",
        )
        places = [f"--socket={folder}/socket", f"--pid-file={folder}/data/server.pid"]
        places += [f"--init-file={init}", f"--tmpdir={folder}"]
        return cls._launch(
            private,
            sa.make_url(f"{cls.driver}://root:{password}@127.0.0.1/mysql?charset=utf8mb4"),
            lambda port: [*command, f"--port={port}", *places, *_SETTINGS, *options],
        )

    @property
    def socket(self) -> Path:
        """The unix socket of a private server."""
        return self._owned().folder / "socket"

    def _copy(self, connection: sa.Connection, original: str, name: str) -> None:
        if self._creation is None:
            self._creation = ";".join(_creation(connection, original))
        # The server writes the database's name into some views.
        creation = self._creation.replace(f"`{original}`", f"`{name}`")
        execute(connection, f"CREATE DATABASE {name}")
        _run_script(connection, f"USE {name}; SET foreign_key_checks = 0; {creation}")

    def _drop(self, connection: sa.Connection, name: str) -> None:
        # DROP DATABASE waits for every transaction that read one of its tables.
        query = sa.text("SELECT id FROM information_schema.processlist WHERE db = :name")
        for row in connection.execute(query, {"name": name}).all():
            with suppress(sa.exc.DBAPIError):  # it has disconnected
                execute(connection, f"KILL {int(row[0])}")
        execute(connection, "SET SESSION lock_wait_timeout = 30")
        execute(connection, f"DROP DATABASE IF EXISTS {name}")


def _creation(connection: sa.Connection, database: str) -> Iterator[str]:
    """Yield the statements that create the tables, rows and views of a database with the schema."""
    execute(connection, f"USE {database}")
    tables = connection.exec_driver_sql("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
    for name in tables.scalars().all():
        yield connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1]
        if connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar():
            yield f"INSERT INTO {name} SELECT * FROM {database}.{name}"
    for name in VIEWS:  # in the order in which they need each other
        yield connection.exec_driver_sql(f"SHOW CREATE VIEW {name}").one()[1]


def _run_script(connection: sa.Connection, script: str) -> None:
    """Execute statements in one round trip."""
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor:
        cursor.execute(script)
        while cursor.nextset():  # raises the error of its statement
            pass


class MariadbServer(MysqlServer):
    """MariaDB as the machine has it, or as Debian's packages unpacked into `.servers`."""

    program = "mariadb"

    @classmethod
    def _tree(cls) -> Path | None:
        if all(map(_on_machine, _MARIADB)):
            return None
        return unpacked("mariadb", *_MARIADB.values())

    @classmethod
    def _prepare(cls, private: PrivateProcess, options: Sequence[str]) -> list[str]:
        same, tree = ["--no-defaults"], private.programs
        server, install = (
            str(tree / place if tree else _on_machine(name)) for name, place in _MARIADB.items()
        )
        if tree is not None:
            same += [f"--basedir={tree}/usr"]
            private.environ["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, _libraries(tree)))
        same += [f"--datadir={private.folder}/data"]
        login = ["--auth-root-authentication-method=normal"]
        private.run([install, *same, "--skip-test-db", *login])
        return [server, *same]


class Mysql9Server(MysqlServer):
    """MySQL 9, from packages of Debian's unstable suite unpacked into `.servers`.

    They need a newer libc than the machine may have, so their own loader starts them. The server
    offers no TLS and writes no binary log, which the other private servers do not either.
    """

    program = "mysql9"

    @classmethod
    def _tree(cls) -> Path | None:
        return unpacked("mysql", _MYSQLD)

    @classmethod
    def _prepare(cls, private: PrivateProcess, options: Sequence[str]) -> list[str]:
        tree = private.programs
        assert tree is not None  # noqa: S101 - of `_tree`
        libraries, share = _libraries(tree)[0], tree / "usr/share/mysql"
        loader = next(libraries.glob("ld-linux-*.so.*"))
        command = [str(loader), "--library-path", str(libraries), f"{tree}/{_MYSQLD}"]
        command += ["--no-defaults", f"--basedir={tree}/usr", f"--datadir={private.folder}/data"]
        command += [f"--lc-messages-dir={share}", f"--character-sets-dir={share}/charsets"]
        command += ["--skip-log-bin", "--auto-generate-certs=OFF", "--innodb-flush-method=nosync"]
        # The data folder keeps it: a server with another one refuses to start.
        names = [option for option in options if option.startswith("--lower-case-table-names")]
        private.run([*command, "--initialize-insecure", "--innodb-doublewrite=OFF", *names])
        plugins = [f"--plugin-dir={tree}/usr/lib/mysql/plugin", "--secure-file-priv=NULL"]
        return [*command, *plugins, "--mysqlx=OFF", "--innodb-redo-log-capacity=64M"]


def _on_machine(program: str) -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which(program, path=path)


def _libraries(tree: Path) -> list[Path]:
    return sorted(tree.glob("usr/lib/*-linux-*"))
