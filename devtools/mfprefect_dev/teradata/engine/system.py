"""The files of one emulated database system, and the locks of its sessions."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from mfprefect_dev.teradata.catalog import Catalog, Table, encoded
from mfprefect_dev.teradata.engine.journal import create_journal
from mfprefect_dev.teradata.engine.locks import LIMITS, create_lock_table
from mfprefect_dev.teradata.errors import Refused

__all__ = ["FOLDER", "LIMITS", "System"]

FOLDER = "MFPREFECT_TEST_EMULATED_TERADATA"
"""The variable with the folder of the emulated systems."""


@functools.cache
def _template(root: str, _: int) -> Path:
    """Return the files of an empty system, made once in each process; deleted with all systems."""
    folder = Path(tempfile.mkdtemp(prefix="template-", dir=root))
    create_lock_table(folder / "locks.db")
    for name in ("catalog", "main"):
        made = sqlite3.connect(folder / f"{name}.db", isolation_level=None)
        made.execute("PRAGMA journal_mode=WAL")
        if name == "catalog":
            made.execute("CREATE TABLE tables (name TEXT PRIMARY KEY, definition TEXT NOT NULL)")
            made.execute("CREATE TABLE version (n INTEGER NOT NULL)")
            made.execute("INSERT INTO version VALUES (1)")
        else:
            create_journal(made)
        made.close()
    return folder


class System:
    """One database on one emulated host: a folder of SQLite files."""

    def __init__(self, host: str, database: str) -> None:
        root = os.environ.get(FOLDER)
        if root is None or not (Path(root) / host).is_dir():
            raise Refused(493, host)
        self.database = database
        self.folder = Path(root) / host / database.lower()
        if not (self.folder / "ready").exists():
            self._make()

    def _make(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "making").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self.folder / "ready").exists():
                for file in _template(str(self.folder.parent.parent), os.getpid()).glob("*.db"):
                    shutil.copyfile(file, self.folder / file.name)
                (self.folder / "ready").touch()

    def admits(self, user: str, password: str) -> bool:
        """Return whether a user may log on; everybody may if the host has no list of users."""
        path = self.folder.parent / "users.json"
        if not path.exists():
            return True
        users: dict[str, str] = json.loads(path.read_text())
        return users.get(user) == password

    def catalog_connection(self) -> sqlite3.Connection:
        """Return a connection to the catalog."""
        made = sqlite3.connect(
            self.folder / "catalog.db",
            isolation_level=None,
            check_same_thread=False,
            timeout=LIMITS.lock_seconds,
        )
        made.execute("PRAGMA synchronous=OFF")
        return made

    def data_connection(self) -> sqlite3.Connection:
        """Return a connection to all tables."""
        made = sqlite3.connect(
            self.folder / "main.db",
            isolation_level=None,
            check_same_thread=False,
            timeout=LIMITS.lock_seconds,
            cached_statements=500,
        )
        made.execute("PRAGMA synchronous=OFF")
        made.execute("PRAGMA case_sensitive_like=ON")
        made.execute("PRAGMA foreign_keys=ON")
        made.execute("PRAGMA temp_store=MEMORY")
        return made


_CATALOGS: dict[tuple[str, int], Catalog] = {}


def read_catalog(connection: sqlite3.Connection, system: System) -> Catalog:
    """Return the current catalog; decode it only if it has changed."""
    version = connection.execute("SELECT n FROM version").fetchone()[0]
    key = (str(system.folder), version)
    catalog = _CATALOGS.get(key)
    if catalog is None:
        catalog = Catalog.read(connection, system.database)
        if len(_CATALOGS) > 300:
            _CATALOGS.clear()
        _CATALOGS[key[0], catalog.version] = catalog
    return catalog


def write_entries(connection: sqlite3.Connection, entries: dict[str, Table | None]) -> None:
    """Write definitions into the catalog, inside a transaction of the connection."""
    for key, table in entries.items():
        connection.execute("DELETE FROM tables WHERE name = ?", (key,))
        if table is not None:
            connection.execute("INSERT INTO tables VALUES (?, ?)", (key, encoded(table)))
    if entries:
        connection.execute("UPDATE version SET n = n + 1")
