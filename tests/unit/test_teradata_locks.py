"""The lock table of the emulated Teradata, as "DML Requests and Locks" (17.10) has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from mfprefect_dev.teradata import EmulatedTeradata
from mfprefect_dev.teradata.driver import dbapi
from mfprefect_dev.teradata.engine.locks import LIMITS
from mfprefect_dev.teradata.engine.server import HOST

TABLES = (
    "CREATE MULTISET TABLE t (a INTEGER NOT NULL, b VARCHAR(5) CHARACTER SET UNICODE NOT "
    "NULL, c INTEGER, n FLOAT) "
    "UNIQUE PRIMARY INDEX (a) UNIQUE INDEX (b)",
    "CREATE MULTISET TABLE other (a INTEGER NOT NULL) UNIQUE PRIMARY INDEX (a)",
    "CREATE VIEW v AS LOCKING ROW FOR ACCESS SELECT a, c FROM t",
)
INSERT = "INSERT INTO t (a, b, c) VALUES (?, ?, ?)"


class Session:
    """A session whose requests run in a thread of its own, so that they may wait."""

    def __init__(self, url: str) -> None:
        name = url.rsplit("=", 1)[1]
        given = {"host": HOST, "user": "u", "password": "p", "database": name}
        self.connection = dbapi.connect(json.dumps(given), tmode="ANSI")
        self.connection.autocommit = False
        self.thread = ThreadPoolExecutor(1)

    def ask(self, text: str, *values: Any) -> Future[list[list[Any]]]:
        return self.thread.submit(self._ask, text, values)

    def _ask(self, text: str, values: tuple[Any, ...]) -> list[list[Any]]:
        with self.connection.cursor() as cursor:
            cursor.execute(text, list(values))
            return cursor.fetchall()

    def answer(self, text: str, *values: Any) -> list[list[Any]]:
        return self.ask(text, *values).result(20)

    def waits(self, text: str, *values: Any) -> Future[list[list[Any]]]:
        """Send a request that has to wait."""
        request = self.ask(text, *values)
        with pytest.raises(TimeoutError):
            request.result(0.1)
        return request

    def commit(self) -> None:
        self.thread.submit(self.connection.commit).result(20)

    def rollback(self) -> None:
        self.thread.submit(self.connection.rollback).result(20)


@pytest.fixture
def url(emulated_teradata: EmulatedTeradata) -> Iterator[str]:
    with emulated_teradata.new_database() as database_url:
        yield database_url


@pytest.fixture
def sessions(url: str) -> Iterator[tuple[Session, Session, Session]]:
    """Three sessions on tables with the rows 1 to 5."""
    one, two, three = Session(url), Session(url), Session(url)
    for table in TABLES:
        one.answer(table)
        one.commit()
    for number in range(1, 6):
        one.answer(INSERT, number, f"b{number}", 0)
    one.commit()
    yield one, two, three
    for session in (one, two, three):
        session.thread.submit(session.connection.close).result(20)
        session.thread.shutdown()


ROW_1 = {  # what locks the row 1 alone, by a unique index
    "SELECT c FROM t WHERE a = 1": "READ",
    "SELECT c FROM t WHERE b = 'b1'": "READ",
    "SELECT x.c FROM t AS x WHERE x.c = 0 AND (x.a = 1)": "READ",
    "LOCKING ROW FOR WRITE SELECT c FROM t WHERE a = 1": "WRITE",
    "UPDATE t SET c = 1 WHERE a = 1": "WRITE",
    "UPDATE t SET c = 1 WHERE b = 'b1' AND c = 0": "WRITE",
    "DELETE FROM t WHERE a = 1": "WRITE",
    "MERGE INTO t USING VALUES (1, 'b1', 3) AS s (a, b, c) ON t.a = s.a "
    "WHEN MATCHED THEN UPDATE SET c = s.c "
    "WHEN NOT MATCHED THEN INSERT (a, b, c) VALUES (s.a, s.b, s.c)": "WRITE",
}
WHOLE = {  # what locks the table
    "SELECT c FROM t": "READ",
    "SELECT c FROM t WHERE a > 1 AND a < 3": "READ",
    "SELECT c FROM t WHERE a = 1 OR a = 2": "READ",
    "SELECT c FROM t WHERE a = 1 + 0": "READ",
    "SELECT other.a FROM other WHERE other.a = (SELECT MAX(a) FROM t)": "READ",
    "LOCKING TABLE t FOR READ SELECT c FROM t WHERE a = 1": "READ",
    "LOCKING ROW FOR WRITE SELECT c FROM t WHERE c = 0": "WRITE",
    "UPDATE t SET c = 1 WHERE c = 7": "WRITE",
    "UPDATE t SET b = 'b9' WHERE a = 1": "WRITE",
    "DELETE FROM t WHERE a >= 9": "WRITE",
    "INSERT INTO t (a, b) SELECT a + 100, b FROM t WHERE a = 99": "WRITE",
    "LOCKING TABLE t FOR WRITE SELECT c FROM t WHERE a = 1": "WRITE",
}
FREE = (
    "LOCKING ROW FOR ACCESS SELECT c FROM t",
    "LOCKING TABLE t FOR ACCESS SELECT c FROM t WHERE a = 1",
    "SELECT c FROM v",
)


@pytest.mark.parametrize("text", ROW_1)
def test_a_unique_index_locks_a_row_alone(
    sessions: tuple[Session, Session, Session], text: str
) -> None:
    one, two, _ = sessions
    one.answer(text)
    two.answer("UPDATE t SET c = 5 WHERE a = 2")
    two.answer(INSERT, 9, "b9", 0)
    for free in FREE:
        two.answer(free)
    if ROW_1[text] == "READ":
        two.answer("SELECT c FROM t WHERE b = 'b1'")
        waiting = two.waits("UPDATE t SET c = 7 WHERE a = 1")
    else:
        waiting = two.waits("SELECT c FROM t WHERE b = 'b1'")
    one.commit()
    waiting.result(20)


@pytest.mark.parametrize("text", WHOLE)
def test_anything_else_locks_the_table(
    sessions: tuple[Session, Session, Session], text: str
) -> None:
    one, two, _ = sessions
    one.answer(text)
    for free in FREE:
        two.answer(free)
    two.commit()
    if WHOLE[text] == "READ":
        two.answer("SELECT c FROM t")
        two.commit()
    waiting = two.waits("UPDATE t SET c = 7 WHERE a = 4")
    one.commit()
    waiting.result(20)


@pytest.mark.parametrize(
    "text", ["DELETE FROM results WHERE a = 1", "SELECT k FROM results WHERE k > 'a' AND a = 1"]
)
def test_a_primary_index_that_is_not_unique_locks_its_rows(
    sessions: tuple[Session, Session, Session], text: str
) -> None:
    """All rows with that value, by any of their indexes, and no other."""
    one, two, three = sessions
    one.answer(
        "CREATE MULTISET TABLE results (a INTEGER NOT NULL, k VARCHAR(5) CHARACTER SET UNICODE NOT "
        "NULL) PRIMARY INDEX (a) UNIQUE INDEX (a, k)"
    )
    one.commit()
    for number, name in ((1, "x"), (1, "y"), (2, "x")):
        one.answer("INSERT INTO results (a, k) VALUES (?, ?)", number, name)
    one.commit()
    one.answer(text)
    two.answer("INSERT INTO results (a, k) VALUES (2, 'y')")
    two.answer("DELETE FROM results WHERE a = 2")
    by_key = three.waits("DELETE FROM results WHERE a = 1 AND k = 'y'")
    new = two.waits("INSERT INTO results (a, k) VALUES (1, 'z')")
    one.rollback()
    by_key.result(20)
    three.commit()
    new.result(20)


def test_a_new_row_is_locked_by_each_unique_index(
    sessions: tuple[Session, Session, Session],
) -> None:
    one, two, three = sessions
    one.answer(INSERT, 6, "b6", 0)
    same_key, same_name = two.waits(INSERT, 6, "b7", 0), three.waits(INSERT, 8, "b6", 0)
    one.rollback()
    same_key.result(20)
    same_name.result(20)
    two.commit()
    three.commit()
    assert one.answer("SELECT a, b FROM t WHERE a > 5 ORDER BY a") == [[6, "b7"], [8, "b6"]]


def test_who_comes_first_is_served_first(sessions: tuple[Session, Session, Session]) -> None:
    one, two, three = sessions
    one.answer("SELECT c FROM t")
    writer = two.waits("UPDATE t SET c = c + 1")
    reader = three.waits("SELECT MAX(c) FROM t")  # it would get its lock but for the writer
    one.commit()
    writer.result(20)
    with pytest.raises(TimeoutError):
        reader.result(0.1)
    two.commit()
    assert reader.result(20) == [[1]]


def test_an_upgrade_goes_before_who_waits(sessions: tuple[Session, Session, Session]) -> None:
    one, two, three = sessions
    one.answer("SELECT c FROM t")
    writer = two.waits("UPDATE t SET c = c + 1")
    one.answer("UPDATE t SET c = 10")
    one.commit()
    writer.result(20)
    two.commit()
    assert three.answer("SELECT DISTINCT c FROM t") == [[11]]


def test_the_youngest_of_a_deadlock_is_rolled_back(
    sessions: tuple[Session, Session, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIMITS, "deadlock_seconds", 0.3)
    one, two, three = sessions
    one.answer("UPDATE t SET c = 1 WHERE a = 1")
    two.answer("UPDATE t SET c = 2 WHERE a = 2")
    three.answer("UPDATE t SET c = 3 WHERE a = 3")
    first = one.waits("UPDATE t SET c = 1 WHERE a = 2")
    second = two.waits("UPDATE t SET c = 2 WHERE a = 3")
    with pytest.raises(dbapi.OperationalError, match="2631"):
        three.answer("UPDATE t SET c = 3 WHERE a = 1")
    second.result(20)  # the victim's locks and changes are gone
    two.commit()
    first.result(20)
    one.commit()
    assert three.answer("SELECT a, c FROM t WHERE a < 4 ORDER BY a") == [[1, 1], [2, 1], [3, 2]]


def test_two_upgrades_of_one_table_deadlock(
    sessions: tuple[Session, Session, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIMITS, "deadlock_seconds", 0.3)
    one, two, _ = sessions
    for session in (one, two):
        session.answer("SELECT MAX(a) FROM t")
    first = one.waits(INSERT, 6, "b6", 0)
    with pytest.raises(dbapi.OperationalError, match="2631"):
        two.answer(INSERT, 7, "b7", 0)
    first.result(20)


def test_access_sees_what_is_not_committed(sessions: tuple[Session, Session, Session]) -> None:
    one, two, _ = sessions
    changed = "LOCKING ROW FOR ACCESS SELECT a, b, c, n FROM t WHERE a > 3 ORDER BY a"
    before = two.answer(changed)
    one.answer(INSERT, 6, "b6", 1)
    one.answer("UPDATE t SET c = 8, n = 0.1 WHERE a = 5")
    one.answer("DELETE FROM t WHERE a = 4")
    one.answer("UPDATE t SET n = 2E-308 WHERE a = 6")
    assert two.answer(changed) == [[5, "b5", 8, 0.1], [6, "b6", 1, 2e-308]]
    one.rollback()
    assert two.answer(changed) == before


KILLED = """
import json, os, signal, sys, teradatasql
given = {"host": sys.argv[1], "user": "u", "password": "p", "database": sys.argv[2]}
connection = teradatasql.connect(json.dumps(given), tmode="ANSI")
connection.autocommit = False
cursor = connection.cursor()
cursor.execute("UPDATE t SET c = 9 WHERE a = 1")
cursor.execute("SELECT a FROM other")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_undone(
    sessions: tuple[Session, Session, Session], url: str
) -> None:
    command = [sys.executable, "-c", KILLED, HOST, url.rsplit("=", 1)[1]]
    done = subprocess.run(command, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    one, two, _ = sessions
    assert one.answer("LOCKING ROW FOR ACCESS SELECT c FROM t WHERE a = 1") == [[0]]
    two.answer("UPDATE t SET c = 1 WHERE a = 1")
    two.answer("LOCKING TABLE other FOR EXCLUSIVE SELECT COUNT(*) FROM other")


def test_a_request_gives_up_waiting(
    sessions: tuple[Session, Session, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, _ = sessions
    one.answer("LOCKING TABLE t FOR EXCLUSIVE SELECT COUNT(*) FROM t")
    with pytest.raises(dbapi.OperationalError, match="7423"):
        two.answer("LOCKING TABLE t FOR WRITE NOWAIT SELECT COUNT(*) FROM t")
    monkeypatch.setattr(LIMITS, "lock_seconds", 0.2)
    for text in ("SELECT a FROM t", "LOCKING ROW FOR ACCESS SELECT a FROM t", "DROP TABLE t"):
        with pytest.raises(dbapi.OperationalError, match="3111"):
            two.answer(text)


def test_many_sessions_add_up(sessions: tuple[Session, Session, Session], url: str) -> None:
    """Increments under a row hash lock are never lost."""

    def add() -> None:
        session = Session(url)
        for _ in range(20):
            hold = "LOCKING ROW FOR WRITE SELECT c FROM t WHERE a = 1"
            count = session.answer(hold)[0][0]
            session.answer("UPDATE t SET c = ? WHERE a = 1", count + 1)
            session.commit()
        session.connection.close()

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sessions[0].answer("SELECT c FROM t WHERE a = 1") == [[120]]
