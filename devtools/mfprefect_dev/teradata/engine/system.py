"""The files of one emulated database system, and the locks of its sessions."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mfprefect_dev.teradata.catalog import Catalog, Table, encoded
from mfprefect_dev.teradata.catalog.changes import SIDES
from mfprefect_dev.teradata.errors import Refused

__all__ = ["FOLDER", "LIMITS", "System", "TableLocks"]

FOLDER = "MFPREFECT_TEST_EMULATED_TERADATA"
"""The variable with the folder of the emulated systems."""
FILES = ("main", *SIDES)


@dataclass
class Limits:
    """Limits of a system; tests lower them."""

    row_locks: int = 25_900
    """Row-hash locks of one transaction on an AMP; there is one AMP."""
    batch_rows: int = 64_000
    lock_seconds: float = 60.0
    """How long a request waits for a lock before its transaction times out."""


LIMITS = Limits()


@functools.cache
def _template(root: str, _: int) -> Path:
    """Return the files of an empty system, made once in each process; deleted with all systems."""
    folder = Path(tempfile.mkdtemp(prefix="template-", dir=root))
    for name in ("catalog", *FILES):
        made = sqlite3.connect(folder / f"{name}.db", isolation_level=None)
        made.execute("PRAGMA journal_mode=WAL")
        if name == "catalog":
            made.execute("CREATE TABLE tables (name TEXT PRIMARY KEY, definition TEXT NOT NULL)")
            made.execute("CREATE TABLE version (n INTEGER NOT NULL)")
            made.execute("INSERT INTO version VALUES (1)")
        else:
            made.execute("CREATE TABLE lock_me (n INTEGER)")
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
                (self.folder / "locks").mkdir(exist_ok=True)
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
        for side in SIDES:
            made.execute(f"ATTACH ? AS {side}", (str(self.folder / f"{side}.db"),))
        for file in FILES:
            made.execute(f"PRAGMA {file}.synchronous=OFF")
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


class TableLocks:
    """Table locks: exclusive ones of LOCKING TABLE, shared ones of writers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "locks"
        self.files: dict[str, int] = {}
        self.held: dict[str, bool] = {}

    def take(self, key: str, *, exclusive: bool, nowait: bool = False) -> None:
        """Hold a table's lock until `release`, exclusively or with other writers."""
        if self.held.get(key) is True or (key in self.held and not exclusive):
            return
        if key not in self.files:
            path = self.folder / f"{key.encode().hex()[:200]}"
            self.files[key] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        how = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
        deadline = time.monotonic() + LIMITS.lock_seconds
        while True:
            try:
                fcntl.flock(self.files[key], how)
            except BlockingIOError:
                if nowait:
                    raise Refused(7423) from None
                if time.monotonic() > deadline:
                    raise Refused(3111) from None
                time.sleep(0.005)
            else:
                self.held[key] = exclusive
                return

    def release(self) -> None:
        """Release all locks."""
        for file in self.files.values():
            os.close(file)  # no other descriptor holds the lock
        self.files.clear()
        self.held.clear()
