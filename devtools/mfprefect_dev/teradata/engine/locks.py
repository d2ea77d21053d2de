"""The lock table of a system, as Teradata documents it ("DML Requests and Locks", 17.10).

A lock is on a table or on a row hash: on the values of an index. Requests that conflict wait in a
queue, first come first served; an upgrade of a lock that its session holds goes before. Who has
waited for `deadlock_seconds` looks for a cycle, whose youngest transaction is the victim.

The table is a SQLite file, so that processes share it. A session holds a lock on a file of its own
for as long as it lives: others find out by it who is dead.
"""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, NamedTuple

from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.requests import ACCESS, EXCLUSIVE, READ, WRITE

__all__ = ["LIMITS", "Limits", "Lock", "LockTable", "create_lock_table", "row_hash"]

CONFLICTS = {
    ACCESS: (EXCLUSIVE,),
    READ: (WRITE, EXCLUSIVE),
    WRITE: (READ, WRITE, EXCLUSIVE),
    EXCLUSIVE: (ACCESS, READ, WRITE, EXCLUSIVE),
}
TABLE = 0
"""The row hash of a lock on a whole table."""
POLL_SECONDS = 0.002


@dataclass
class Limits:
    """Limits of a system; tests lower them."""

    row_locks: int = 25_900
    """Row-hash locks of one transaction on an AMP; there is one AMP."""
    batch_rows: int = 64_000
    lock_seconds: float = 60.0
    """How long a request waits for a lock before its transaction times out."""
    deadlock_seconds: float = 0.5
    """`DeadLockTimeout`: how long a request waits before it looks for a deadlock. 240 on a server
    that nobody has configured."""
    zone_minutes: int = 60
    """The time zone of a session that sets none, and of those that FastLoad and FastExport log on.
    """
    inline_bytes: int = 64_000
    """The longest LOB that a row of a batch may hold."""
    export_reorders: bool = False
    """Whether the rows of FastExport come in another order than ORDER BY says, as they would if
    its sessions had another collation."""


LIMITS = Limits()


class Lock(NamedTuple):
    """A lock to take: on a table, or on one of its row hashes."""

    table: str
    row: int
    mode: int


def row_hash(columns: Iterable[str], values: Iterable[Any]) -> int:
    """Return the hash of an index's values; trailing blanks do not count."""
    plain = [value.rstrip(" ") if isinstance(value, str) else value for value in values]
    text = repr((*columns, *plain)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=7).digest()) | 1


def create_lock_table(file: Path) -> None:
    """Create an empty lock table."""
    made = sqlite3.connect(file, isolation_level=None)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute(
        "CREATE TABLE held (object TEXT, row INTEGER, session INTEGER, mode INTEGER, "
        "PRIMARY KEY (object, row, session)) WITHOUT ROWID"
    )
    made.execute("CREATE INDEX by_session ON held (session)")
    made.execute(
        "CREATE TABLE waiting (n INTEGER PRIMARY KEY AUTOINCREMENT, object TEXT, row INTEGER, "
        "session INTEGER UNIQUE, mode INTEGER, upgrade INTEGER, began INTEGER)"
    )
    made.close()


_OVERLAPS = "object = :table AND (:row = 0 OR row IN (0, :row)) AND session <> :session"


class LockTable:
    """The locks of one session in the lock table of its system."""

    def __init__(self, folder: Path, session: int, recover: Callable[[int], None]) -> None:
        """Register a session; `recover(session)` undoes the transaction of a dead one."""
        self.session, self._recover = session, recover
        self._lives = folder / "lives"
        self._lives.mkdir(exist_ok=True)
        self._life: IO[bytes] = (self._lives / str(session)).open("wb")
        fcntl.flock(self._life, fcntl.LOCK_EX)
        self._db = sqlite3.connect(
            folder / "locks.db", isolation_level=None, check_same_thread=False, timeout=60
        )
        self._db.execute("PRAGMA synchronous=OFF")
        self.held: dict[tuple[str, int], int] = {}
        self._began = 0

    def close(self) -> None:
        """Release all locks and leave."""
        self.release()
        self._db.close()
        (self._lives / str(self.session)).unlink(missing_ok=True)
        self._life.close()

    def covers(self, table: str, mode: int) -> bool:
        """Return whether the session holds a table's lock of at least this mode."""
        return self.held.get((table, TABLE), -1) >= mode

    def take(self, locks: Iterable[Lock], *, nowait: bool = False) -> None:
        """Take locks, in the order of tables, and hold them until `release`.

        Raises:
            Refused: 2631, the session is a deadlock's victim; 3111, it waited too long; 7423, with
                `nowait`, another session holds one of the locks.
        """
        missing = sorted({lock for lock in locks if not self._covered(lock)})
        self._began = self._began or time.time_ns()
        while missing:
            with self._transaction():
                missing = missing[self._grant(missing) :]
            if missing and nowait:
                raise Refused(7423)
            if missing:
                self._wait(missing[0])

    def release(self) -> None:
        """Release all locks."""
        if self.held:
            with self._transaction():
                self._db.execute("DELETE FROM held WHERE session = ?", (self.session,))
        self.held.clear()
        self._began = 0

    def _covered(self, lock: Lock) -> bool:
        row_mode = self.held.get((lock.table, lock.row), -1)
        return max(row_mode, self.held.get((lock.table, TABLE), -1)) >= lock.mode

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _grant(self, locks: list[Lock]) -> int:
        """Hold as many locks from the start of a list as nobody else prevents; return how many."""
        alone = {table: self._alone(table) for table in {lock.table for lock in locks}}
        granted = []
        for lock in locks:
            if not alone[lock.table] and self._blockers(lock):
                break
            granted.append(lock)
        self._db.executemany(
            "INSERT INTO held VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET mode = max(mode, excluded.mode)",
            [(lock.table, lock.row, self.session, lock.mode) for lock in granted],
        )
        for lock in granted:
            mode = self.held.get((lock.table, lock.row), -1)
            self.held[lock.table, lock.row] = max(mode, lock.mode)
        return len(granted)

    def _alone(self, table: str) -> bool:
        others = "SELECT 1 FROM {} WHERE object = ? AND session <> ? LIMIT 1"
        return not any(
            self._db.execute(others.format(name), (table, self.session)).fetchone()
            for name in ("held", "waiting")
        )

    def _blockers(self, lock: Lock, place: int | None = None) -> set[int]:
        """Return the sessions that a lock waits for: they hold one, or came before."""
        return self._blockers_of(self.session, lock, self._is_upgrade(lock), place)

    def _is_upgrade(self, lock: Lock) -> bool:
        return (lock.table, lock.row) in self.held or (lock.table, TABLE) in self.held

    def _blockers_of(
        self, session: int, lock: Lock, upgrade: bool, place: int | None = None
    ) -> set[int]:
        modes = f"mode IN ({', '.join(map(str, CONFLICTS[lock.mode]))})"
        values = {"table": lock.table, "row": lock.row, "session": session}
        rows = self._db.execute(f"SELECT session FROM held WHERE {_OVERLAPS} AND {modes}", values)
        blockers = {row[0] for row in rows}
        if not upgrade:
            before = "" if place is None else f" AND n < {place}"
            rows = self._db.execute(
                f"SELECT session FROM waiting WHERE {_OVERLAPS} AND {modes}{before}", values
            )
            blockers |= {row[0] for row in rows}
        return blockers

    def _wait(self, lock: Lock) -> None:
        """Wait in the queue until a lock is granted."""
        began = look = time.monotonic()
        row = (*lock[:2], self.session, lock.mode, self._is_upgrade(lock), self._began)
        insert = "INSERT INTO waiting (object, row, session, mode, upgrade, began) VALUES "
        place = self._db.execute(insert + "(?, ?, ?, ?, ?, ?)", row).lastrowid
        try:
            while True:
                if not self._blockers(lock, place):
                    with self._transaction():
                        if not self._blockers(lock, place):
                            self._grant_waiting(lock)
                            return
                now = time.monotonic()
                if now - look > LIMITS.deadlock_seconds:
                    look = now
                    self._look(self._blockers(lock, place))
                if now - began > LIMITS.lock_seconds:
                    raise Refused(3111)
                time.sleep(POLL_SECONDS)
        finally:
            self._db.execute("DELETE FROM waiting WHERE session = ?", (self.session,))

    def _grant_waiting(self, lock: Lock) -> None:
        self._db.execute(
            "INSERT INTO held VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET mode = excluded.mode",
            (lock.table, lock.row, self.session, lock.mode),
        )
        self.held[lock.table, lock.row] = lock.mode

    def _look(self, blockers: set[int]) -> None:
        """End the transactions of dead sessions; raise if this one is a deadlock's victim."""
        for session in blockers:
            self.bury(session)
        if self._victim() == self.session:
            raise Refused(2631)

    def bury(self, session: int) -> None:
        """End the transaction of another session if its process is dead."""
        path = self._lives / str(session)
        with path.open("ab") as life:
            try:
                fcntl.flock(life, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._recover(session)
            with self._transaction():
                for table in ("held", "waiting"):
                    self._db.execute(f"DELETE FROM {table} WHERE session = ?", (session,))
            path.unlink(missing_ok=True)

    def _victim(self) -> int | None:
        """Return the youngest transaction of the cycle that this session waits in, if it does."""
        waits: dict[int, set[int]] = {}
        ages: dict[int, int] = defaultdict(int)
        with self._transaction():
            rows = self._db.execute(
                "SELECT n, object, row, session, mode, upgrade, began FROM waiting"
            ).fetchall()
            for place, table, row, session, mode, upgrade, began in rows:
                lock = Lock(table, row, mode)
                waits[session] = self._blockers_of(session, lock, upgrade, place)
                ages[session] = began
        reached = _reached(waits, self.session)
        cycle = [one for one in reached if self.session in _reached(waits, one)]
        return max(cycle, key=lambda one: (ages[one], one), default=None)


def _reached(waits: dict[int, set[int]], start: int) -> set[int]:
    """Return the sessions that a session waits for, and those that they wait for, and so on."""
    reached: set[int] = set()
    ahead = list(waits.get(start, ()))
    while ahead:
        session = ahead.pop()
        if session not in reached:
            reached.add(session)
            ahead += waits.get(session, ())
    return reached
