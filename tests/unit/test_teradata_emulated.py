"""The emulated Teradata follows documented rules and refuses everything else."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from mfprefect_dev.teradata import EmulatedTeradata, RealTeradata
from mfprefect_dev.teradata.driver import dbapi
from mfprefect_dev.teradata.engine.faults import LINK
from mfprefect_dev.teradata.engine.server import HOST
from mfprefect_dev.teradata.engine.system import LIMITS

TABLE = (
    "CREATE MULTISET TABLE t (a INTEGER NOT NULL, b VARCHAR(5) CHARACTER SET UNICODE, c FLOAT, "
    "d TIMESTAMP(6)) UNIQUE PRIMARY INDEX (a)"
)
STAGE = (
    "CREATE MULTISET TABLE s (a INTEGER NOT NULL, b VARCHAR(5) CHARACTER SET UNICODE) "
    "PRIMARY INDEX (a)"
)
FAST = "{fn teradata_require_fastload}INSERT INTO s (a, b) VALUES (?, ?)"
INSERT = "INSERT INTO t (a, b) VALUES (?, ?)"


class Driver:
    """A connection with the helpers of these tests."""

    def __init__(self, url: str) -> None:
        self.url = url
        name = url.rsplit("=", 1)[1]
        self.connection = dbapi.connect(
            json.dumps({"host": HOST, "user": "u", "password": "p", "database": name}), tmode="ANSI"
        )
        self.connection.autocommit = False

    def ask(self, text: str, *values: Any) -> list[list[Any]]:
        with self.connection.cursor() as cursor:
            cursor.execute(text, list(values))
            return cursor.fetchall()

    def many(self, text: str, rows: list[list[Any]]) -> int:
        with self.connection.cursor() as cursor:
            cursor.executemany(text, rows)
            return cursor.rowcount

    def ddl(self, *texts: str) -> None:
        for text in texts:
            self.ask(text)
            self.connection.commit()

    def code(self, text: str, *values: Any) -> int:
        """Return the number of a request's error, 0 if there is none."""
        try:
            self.ask(text, *values)
        except dbapi.OperationalError as error:
            assert str(error).startswith("[Version 20.0.0.72] [Session ")
            return int(str(error).split("[Error ")[1].split("]")[0])
        return 0


@pytest.fixture
def server(emulated_teradata: EmulatedTeradata) -> EmulatedTeradata:
    return emulated_teradata


@pytest.fixture
def url(server: EmulatedTeradata) -> Iterator[str]:
    with server.new_database() as url:
        yield url


@pytest.fixture
def driver(url: str) -> Iterator[Driver]:
    connected = Driver(url)
    connected.ddl(TABLE)
    yield connected
    connected.connection.close()


REFUSED = {
    "SELECT a FROM t WHERE a": 3706,
    "SELECT a = 1 FROM t": 3706,
    "SELECT session FROM t WHERE sample = 1": 3706,
    "SELECT nowhere FROM t": 5628,
    'SELECT "nowhere" FROM t': 5628,
    "SELECT a FROM nowhere": 3807,
    "SELECT a FROM other.t": 3802,
    "SELECT t.a FROM t JOIN t AS u ON a = 1": 3809,
    "SELECT a, COUNT(*) FROM t": 3504,
    "SELECT b, MAX(c) FROM t GROUP BY a": 3504,
    "SELECT a FROM t WHERE COUNT(*) > 1": 3706,
    "SELECT a FROM t WHERE a IN (SELECT TOP 1 a FROM t)": 6916,
    "SELECT MEDIAN(a) FROM t": 5628,
    "SELECT CASE WHEN EXISTS (SELECT a FROM t) THEN 1 ELSE 0 END FROM t": 3771,
    "UPDATE t SET c = CASE WHEN a = 1 OR a IN (SELECT a FROM t) THEN 1 END": 3771,
    "DROP VIEW t": 3854,
    "SELECT SUM(a) OVER (ORDER BY b) AS s FROM t": 3706,
    "GRANT UPDATE (nowhere) ON t TO u": 5628,
    "GRANT DELETE (a) ON t TO u": 3706,
    "SELECT a FROM t WHERE b LIKE ANY ('x')": 3706,
    "SELECT 1 UNION SELECT a FROM t": 3706,
    "SELECT a FROM (WITH x AS (SELECT a FROM t) SELECT a FROM x) AS y": 3706,
    "SELECT a, a FROM (SELECT a, a FROM t) AS x": 3706,
    "SELECT 1 / 0": 2618,
    "SELECT CAST(a AS VARCHAR(9) CHARACTER SET UNICODE CASESPECIFIC) FROM t": 3706,
    "SET TIME ZONE INTERVAL '1:00' HOUR TO MINUTE": 3706,
    "INSERT INTO t (a, b) VALUES (1)": 3812,
    "INSERT INTO t (a) VALUES (1, 'x')": 3813,
    "INSERT INTO t (b) VALUES ('x')": 3604,
    "INSERT INTO t (a, b) VALUES (1, 'longer')": 3996,
    "INSERT INTO t (a) VALUES (3000000000)": 2617,
    "INSERT INTO t (a, d) VALUES (1, '2026-01-01')": 6760,
    "CREATE MULTISET TABLE t (a INTEGER) PRIMARY INDEX (a)": 3803,
    "CREATE MULTISET TABLE u (a INTEGER, a INTEGER) PRIMARY INDEX (a)": 3706,
    "CREATE MULTISET TABLE u (a INTEGER) PRIMARY INDEX (b)": 5628,
    "CREATE MULTISET TABLE u (a CLOB CHARACTER SET UNICODE) PRIMARY INDEX (a)": 5690,
    "CREATE MULTISET TABLE u (a INTEGER, UNIQUE (a)) PRIMARY INDEX (a)": 3706,
    "CREATE MULTISET TABLE u (a JSON) PRIMARY INDEX (a)": 3706,
    "CREATE MULTISET TABLE u (a INTEGER, b INTEGER) UNIQUE PRIMARY INDEX (a) "
    "PARTITION BY RANGE_N(b BETWEEN 1 AND 9 EACH 1)": 3706,
    "CREATE VIEW v AS SELECT a FROM t ORDER BY a": 3706,
    "DROP TABLE nowhere": 3807,
    "DROP INDEX nowhere ON t": 3526,
    "ALTER TABLE t ADD e INTEGER NOT NULL": 3559,
    "ALTER TABLE t DROP a": 3706,
    "CALL something(1)": 3706,
    "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE": 3706,
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused_requests(driver: Driver, text: str) -> None:
    assert driver.code(text) == REFUSED[text]


def test_drop_table_refuses_a_view(driver: Driver) -> None:
    driver.ddl("CREATE VIEW v AS SELECT a FROM t")
    assert driver.code("DROP TABLE v") == 3853


def test_comments_are_kept_in_the_dictionary(driver: Driver) -> None:
    name = driver.url.rsplit("=", 1)[1]
    driver.ddl("CREATE VIEW v AS SELECT a FROM t")
    driver.ddl("COMMENT ON TABLE t AS 'It''s ours'", "COMMENT ON VIEW v AS 'A view'")
    driver.ddl(f"COMMENT ON COLUMN {name}.t.B AS 'first'", "COMMENT ON COLUMN t.b AS 'second'")
    columns = "SELECT CommentString FROM DBC.ColumnsV WHERE TableName = ? ORDER BY ColumnId"
    tables = (
        "SELECT CommentString FROM DBC.TablesV WHERE TableName IN ('t', 'v') ORDER BY TableName"
    )
    assert driver.ask(columns, "t") == [[None], ["second"], [None], [None]]
    assert driver.ask(tables) == [["It's ours"], ["A view"]]
    driver.connection.commit()
    driver.ddl("REPLACE VIEW v AS SELECT b FROM t")  # the manuals do not say: a new one
    assert driver.ask(tables) == [["It's ours"], [None]]
    driver.connection.commit()
    for text, problem in (
        (f"COMMENT ON TABLE t AS '{'x' * 256}'", "at most 255"),
        ("COMMENT ON TABLE v AS 'x'", "3853"),
        ("COMMENT ON COLUMN t.z AS 'x'", "5628"),
        ("COMMENT ON TABLE nobody AS 'x'", "3807"),
        ("COMMENT ON TABLE t", "not emulated"),
    ):
        with pytest.raises(dbapi.Error, match=problem):
            driver.ask(text)
        driver.connection.rollback()


def test_the_dictionary_tells_how_much_space_a_table_takes(driver: Driver) -> None:
    size = "SELECT CurrentPerm FROM DBC.TableSizeV WHERE TableName = 't'"
    before = driver.ask(size)[0][0]
    driver.many(INSERT, [[number, "abcde"] for number in range(5000)])
    driver.connection.commit()
    assert int(driver.ask(size)[0][0]) > int(before) + 5000 * 10


def test_an_error_rolls_back_its_request_only(driver: Driver) -> None:
    driver.many(INSERT, [[1, "x"]])
    with pytest.raises(dbapi.OperationalError, match="2801"):
        driver.many(INSERT, [[2, "y"], [1, "again"]])
    driver.many(INSERT, [[3, "z"]])
    driver.connection.commit()
    assert driver.ask("SELECT a FROM t ORDER BY a") == [[1], [3]]


def test_a_deadlock_rolls_back_the_transaction(driver: Driver, server: EmulatedTeradata) -> None:
    driver.many(INSERT, [[1, "x"]])
    server.inject(driver.url, 2631, match="SELECT")
    assert driver.code("SELECT a FROM t") == 2631
    assert server.left(driver.url) == 0
    assert driver.ask("SELECT a FROM t") == []


def test_ddl_is_the_last_statement_of_its_transaction(driver: Driver) -> None:
    driver.ask(STAGE)
    assert driver.code("SELECT a FROM t") == 3722
    driver.connection.rollback()
    assert driver.code("SELECT a FROM s") == 3807
    driver.ask("COLLECT STATISTICS COLUMN (a) ON t")
    assert driver.code("SELECT a FROM t") == 3722


def test_comparison_ignores_trailing_blanks(driver: Driver) -> None:
    driver.many(INSERT, [[1, "x "], [2, "X"]])
    assert driver.ask("SELECT a FROM t WHERE b = ?", "x") == [[1]]
    assert driver.ask("SELECT a FROM t WHERE TRIM(b) || '  ' = 'x'") == [[1]]
    driver.connection.commit()
    driver.ddl("CREATE UNIQUE INDEX ix (b) ON t")
    assert driver.code(INSERT, 3, "x") == 2803
    # NULLs are equal in a unique index.
    assert driver.code(INSERT, 4, None) == 0
    assert driver.code(INSERT, 5, None) == 2803


def test_values_have_the_types_of_the_driver(driver: Driver) -> None:
    moment = dt.datetime(2026, 1, 31, 12, 0, 0, 5)
    driver.ask("INSERT INTO t (a, b, c, d) VALUES (?, ?, ?, ?)", 1, "é", 0.5, moment)
    row = driver.ask("SELECT a, b, c, MAX(d) AS d, COUNT(*) AS n FROM t GROUP BY a, b, c")[0]
    assert row == [1, "é", 0.5, moment, Decimal(1)]
    assert isinstance(row[4], Decimal)
    assert driver.ask("SELECT a FROM t WHERE d >= TIMESTAMP '2026-01-31 12:00:00'") == [[1]]


@pytest.mark.parametrize("value", [np.int64(1), [1], {1}])
def test_the_driver_binds_plain_values_only(driver: Driver, value: Any) -> None:
    with pytest.raises(TypeError, match="unexpected type"):
        driver.many(INSERT, [[value, "x"]])


def test_numbers_and_characters_that_are_refused(driver: Driver) -> None:
    insert = "INSERT INTO t (a, b, c) VALUES (?, ?, ?)"
    assert driver.code(insert, 1, "x", float("nan")) == 2621
    assert driver.code(insert, 1, "x", float("inf")) == 2621
    assert driver.code(insert, 1, "😀", 0.5) == 6706
    driver.connection.rollback()
    driver.ask("SET SESSION CHARACTER SET UNICODE PASS THROUGH ON")
    assert driver.code(insert, 1, "😀\uffff", 0.5) == 0
    assert driver.ask("SELECT b FROM t") == [["😀\ufffd"]]


LISTS = (
    "SELECT j.a, j.n, j.x, j.y FROM JSON_TABLE(ON (SELECT a, b FROM u) USING ROWEXPR('$[*]') "
    'COLEXPR(\'[{"ordinal": true}, {"jsonpath": "$.x", "type": "VARCHAR(3) CHARACTER SET '
    'UNICODE"}, {"jsonpath": "$.y", "type": "FLOAT"}]\')) AS j (a, n, x, y) ORDER BY j.n'
)


def test_json_table_makes_a_row_of_each_object(driver: Driver) -> None:
    driver.ddl(
        "CREATE MULTISET TABLE u (a INTEGER, b CLOB CHARACTER SET UNICODE) PRIMARY INDEX (a)"
    )
    driver.ask("INSERT INTO u (a, b) VALUES (?, ?)", 7, '[{"x": "äbcd", "y": 1}, {"y": null}]')
    assert driver.ask(LISTS) == [[7, 0, "äbc", 1.0], [7, 1, None, None]]
    for text in (
        LISTS.replace("$[*]", "$.list[*]"),
        LISTS.replace("FLOAT", "CLOB"),
        LISTS.replace("SELECT a, b", "SELECT b, a"),
        LISTS.replace("(a, n, x, y)", "(a, n, x)"),
        LISTS.replace('"ordinal"', '"number"'),
    ):
        assert driver.code(text) == 3706, text


LOBS = "CREATE MULTISET TABLE u (a INTEGER NOT NULL, b BLOB(99)) UNIQUE PRIMARY INDEX (a)"


def test_large_objects_do_not_compare(driver: Driver) -> None:
    driver.ddl(LOBS)
    for text in (
        "SELECT a FROM u WHERE b = ?",
        "SELECT a FROM u ORDER BY b",
        "SELECT b, COUNT(*) FROM u GROUP BY b",
        "SELECT DISTINCT b FROM u",
        "SELECT MAX(b) FROM u",
    ):
        assert driver.code(text, *([b"x"] * text.count("?"))) == 5692, text
    assert driver.code("INSERT INTO u (a, b) VALUES (?, ?)", 1, None) == 3532
    assert driver.code("INSERT INTO u (a, b) VALUES (?, ?)", 1, b"x" * 100) == 3996
    assert driver.ask("SELECT a FROM u WHERE b IS NULL") == []


def test_set_tables_and_checked_references(driver: Driver) -> None:
    with driver.connection.cursor() as cursor, pytest.raises(dbapi.OperationalError, match="lint"):
        cursor.execute("CREATE SET TABLE s (a INTEGER, b INTEGER) PRIMARY INDEX (a)")
    session = driver.connection.session
    session.execute("CREATE SET TABLE s (a INTEGER, b INTEGER) PRIMARY INDEX (a)", None)
    session.commit()
    session.execute(
        "CREATE MULTISET TABLE r (a INTEGER, FOREIGN KEY (a) REFERENCES t (a)) PRIMARY INDEX (a)",
        None,
    )
    session.commit()
    assert driver.code("INSERT INTO s VALUES (1, NULL)") == 0
    assert driver.code("INSERT INTO s VALUES (1, NULL)") == 2802
    assert driver.code("INSERT INTO r (a) VALUES (7)") == 2700


MERGE = (
    "MERGE INTO t USING VALUES (?, ?) AS s (a, b) ON {} WHEN MATCHED THEN UPDATE SET {} "
    "WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)"
)


def test_merge_names_the_primary_index(driver: Driver) -> None:
    good = MERGE.format("t.a = s.a", "b = s.b")
    driver.many(good, [[1, "x"], [2, "y"], [1, "z"]])
    assert driver.ask("SELECT a, b FROM t ORDER BY a") == [[1, "z"], [2, "y"]]
    assert driver.code(MERGE.format("t.b = s.b", "c = 0"), 1, "x") == 5758
    assert driver.code(MERGE.format("t.a = s.a", "a = s.a"), 1, "x") == 5758


def test_row_locks_of_a_transaction_are_limited(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIMITS, "row_locks", 5)
    monkeypatch.setattr(LIMITS, "batch_rows", 5)
    with pytest.raises(dbapi.OperationalError, match="a batch"):
        driver.many(INSERT, [[n, "x"] for n in range(6)])
    assert driver.many(INSERT, [[n, "x"] for n in range(4)]) == 4
    with pytest.raises(dbapi.OperationalError, match="9128"):
        driver.many(INSERT, [[n, "x"] for n in range(4, 6)])
    # A statement without a key locks the table, and so does LOCKING TABLE.
    driver.ask("UPDATE t SET b = 'y'")
    driver.connection.commit()
    assert driver.many("LOCKING TABLE t FOR WRITE " + INSERT, [[n, "x"] for n in range(4, 9)]) == 5
    driver.many(INSERT, [[9, "x"]])


ZONE = "SET TIME ZONE INTERVAL '{}' HOUR TO MINUTE"


def test_a_timestamp_is_of_the_zone_of_its_session(driver: Driver) -> None:
    """TimeDateWZControl 2: stored as UTC, converted from and to the zone of the session."""
    late = dt.datetime(2026, 1, 1, 23, 30, 0, 5)
    # The zone of the system until the session sets one.
    driver.ask("INSERT INTO t (a, d) VALUES (1, ?)", late)
    driver.ask(ZONE.format("02:00"))
    assert driver.ask("SELECT d FROM t") == [[late + dt.timedelta(hours=1)]]
    assert driver.ask("SELECT CAST(d AS DATE) FROM t") == [[dt.date(2026, 1, 2)]]
    driver.ask("INSERT INTO t (a, d) VALUES (2, TIMESTAMP '2026-01-02 00:30:00.000005')")
    driver.ask("SET TIME ZONE INTERVAL - '05:30' HOUR TO MINUTE")
    there = late - dt.timedelta(hours=6, minutes=30)
    assert driver.ask("SELECT a, d FROM t ORDER BY a") == [[1, there], [2, there]]
    assert driver.ask("SELECT a FROM t WHERE d = ? ORDER BY a", there) == [[1], [2]]
    assert driver.ask("SELECT DISTINCT EXTRACT(HOUR FROM d) FROM t") == [[17]]
    driver.ask(ZONE.format("00:00"))
    utc = driver.ask("SELECT CURRENT_TIMESTAMP(6)")[0][0]
    assert abs(utc - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=1)


def test_fastload_logs_on_sessions_of_its_own(driver: Driver) -> None:
    """They have neither the pass-through nor the zone of the session that loads."""
    moments = "CREATE MULTISET TABLE z (a INTEGER NOT NULL, d TIMESTAMP(6)) PRIMARY INDEX (a)"
    driver.ddl(moments, STAGE)
    for setting in ("SET SESSION CHARACTER SET UNICODE PASS THROUGH ON", ZONE.format("00:00")):
        driver.ask(setting)
    driver.connection.commit()
    noon = dt.datetime(2026, 1, 1, 12)
    driver.many(FAST.replace(" s (a, b)", " z (a, d)"), [[1, noon]])
    driver.connection.commit()
    assert driver.ask("SELECT d FROM z") == [[dt.datetime(2026, 1, 1, 11)]]
    driver.connection.commit()
    driver.many(FAST, [[1, "ü"], [2, "€"], [3, "\U0001f600"], [4, "\u20bd"], [5, "\ue000"]])
    assert "6706" in loader_text(driver, "errors")
    driver.connection.commit()
    assert driver.ask("SELECT a FROM s ORDER BY a") == [[1], [2]]


def test_a_batch_takes_no_deferred_lob(driver: Driver) -> None:
    driver.ddl(LOBS.replace("BLOB(99)", "CLOB CHARACTER SET UNICODE"))
    insert = "INSERT INTO u (a, b) VALUES (?, ?)"
    driver.many(insert, [[1, "x" * 64_000], [2, "y"]])
    with pytest.raises(dbapi.OperationalError, match="64001 bytes"):
        driver.many(insert, [[3, "x" * 64_001], [4, "y"]])
    driver.many(insert, [[3, "x" * 64_001]])


def loader_text(driver: Driver, kind: str) -> str:
    return str(driver.ask("{fn teradata_nativesql}{fn teradata_get_" + kind + "}" + FAST)[0][0])


def test_fastload_drops_rows_silently(driver: Driver) -> None:
    driver.ddl(STAGE)
    rows: list[list[Any]] = [[1, "x"], [2, "y"], [1, "x"], [3, "too long"], [None, "z"]]
    assert driver.many(FAST, rows) == 5
    assert "3996" in loader_text(driver, "errors")
    driver.many(FAST, [[4, "w"]])
    assert loader_text(driver, "errors") == ""
    other = Driver(driver.url)
    assert other.code("SELECT a FROM s") == 2652
    driver.connection.commit()
    assert "Found 1 duplicate" in loader_text(driver, "warnings")
    assert "2 rows" in loader_text(driver, "errors")
    assert other.ask("SELECT a FROM s ORDER BY a") == [[1], [2], [4]]
    codes = other.ask("SELECT TOP 9 ErrorCode, ErrorFieldName FROM s_ERR_1 ORDER BY ErrorCode")
    assert codes == [[3604, "a"], [3996, "b"]]
    other.connection.close()


def test_conditions_of_fastload(driver: Driver) -> None:
    driver.ddl(STAGE, LOBS)
    driver.many("INSERT INTO s (a, b) VALUES (?, ?)", [[1, "x"]])
    assert driver.code(FAST, 1, "x") == 3706  # the transaction has begun
    driver.connection.commit()
    assert driver.code(FAST, 1, "x") == 2636
    assert driver.code("{fn teradata_require_fastload}INSERT INTO u (a) VALUES (?)", 1) == 3706
    driver.ddl("DELETE FROM s", "CREATE UNIQUE INDEX ix (b) ON s")
    assert driver.code(FAST, 1, "x") == 3706
    driver.ddl("DROP INDEX ix ON s")
    driver.connection.autocommit = True
    assert driver.code(FAST, 1, "x") == 3706


EXPORT = "{fn teradata_require_fastexport}"
TRY = "{fn teradata_try_fastexport}"
SEQUENCE = "{fn teradata_nativesql}{fn teradata_logon_sequence_number}"


def test_conditions_of_fastexport(driver: Driver) -> None:
    driver.ddl(LOBS)
    driver.many(INSERT, [[1, "x"], [2, "y"], [3, "z"]])
    driver.connection.commit()
    ordered, after, any_order = (
        "SELECT a FROM t ORDER BY a",
        "SELECT a FROM t WHERE a > ? ORDER BY a",
        "SELECT a FROM t",
    )
    assert driver.ask(EXPORT + ordered) == [[1], [2], [3]]
    assert driver.ask(EXPORT + after, 1) == [[2], [3]]
    assert driver.ask(EXPORT + any_order) != driver.ask(any_order)
    one_row = "SELECT b FROM t WHERE a = ?"
    assert driver.code(EXPORT + one_row, 1) == 3695
    assert driver.code(TRY + one_row, 1) == 3695
    for text in ("SELECT b FROM u", "UPDATE t SET b = 'w' WHERE a = 9"):
        assert driver.code(EXPORT + text) == 3706
        assert driver.code(TRY + text) == 0
    wrong = "SELECT nosuch FROM t"
    assert driver.code(TRY + wrong) == driver.code(wrong)


def test_the_driver_says_what_was_a_fastexport(driver: Driver) -> None:
    driver.ddl(LOBS)
    for text, number in (("SELECT a FROM t", "1"), ("SELECT b FROM u", "")):
        driver.ask(TRY + text)
        assert driver.ask(SEQUENCE + TRY + text) == [[number]]


def test_fastexport_logs_on_sessions_of_its_own(driver: Driver) -> None:
    """They have neither the pass-through nor the zone of the session that reads."""
    for setting in ("SET SESSION CHARACTER SET UNICODE PASS THROUGH ON", ZONE.format("00:00")):
        driver.ask(setting)
    noon = dt.datetime(2026, 1, 1, 12)
    insert = "INSERT INTO t (a, b, d) VALUES (?, ?, ?)"
    driver.many(insert, [[1, "\U0001f600", noon], [2, "ü", None]])
    driver.connection.commit()
    select = "SELECT b, d FROM t ORDER BY a"
    assert driver.ask(select) == [["\U0001f600", noon], ["ü", None]]
    one = dt.datetime(2026, 1, 1, 13)
    assert driver.ask(EXPORT + select) == [["\ufffd", one], ["ü", None]]


def test_a_lost_load_leaves_an_unreadable_table(driver: Driver, server: EmulatedTeradata) -> None:
    driver.ddl(STAGE)
    other = Driver(driver.url)
    driver.many(FAST, [[1, "x"]])
    server.inject(driver.url, LINK)
    assert driver.code(FAST, 2, "y") == LINK
    assert other.code("SELECT a FROM s") == 2652
    other.ddl("DROP TABLE s", STAGE)
    assert other.ask("SELECT a FROM s") == []
    other.connection.close()


def test_a_lost_link_before_and_after_the_commit(driver: Driver, server: EmulatedTeradata) -> None:
    for moment, rows in (("commit", []), ("committed", [[1]])):
        me = Driver(driver.url)
        me.many(INSERT, [[1, "x"]])
        server.inject(driver.url, LINK, moment=moment)
        with pytest.raises(dbapi.OperationalError, match=str(LINK)):
            me.connection.commit()
        with pytest.raises(dbapi.OperationalError, match=str(LINK)):
            me.ask("SELECT a FROM t")
        me.connection.close()
        assert driver.ask("SELECT a FROM t") == rows
        driver.connection.commit()


ELSEWHERE = """
import json, sys, teradatasql
name = sys.argv[1]
try:
    given = {"host": "emulated", "user": "u", "password": "p", "database": name}
    with teradatasql.connect(json.dumps(given), tmode="ANSI") as connection:
        connection.cursor().execute("SELECT a FROM t")
except teradatasql.OperationalError as error:
    print(error)
"""


def test_other_processes_use_the_driver_and_its_injected_errors(
    driver: Driver, server: EmulatedTeradata
) -> None:
    server.inject(driver.url, 3120)
    name = driver.url.rsplit("=", 1)[1]
    command = [sys.executable, "-c", ELSEWHERE, name]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    assert "[Error 3120]" in done.stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tmode": "TERA"}, "ANSI"),
        ({"colour": "blue"}, "169"),
        ({"host": "elsewhere"}, "493"),
        ({"user": ""}, "8017"),
    ],
)
def test_refused_connections(url: str, given: dict[str, str], message: str) -> None:
    good = {"host": HOST, "user": "u", "database": "d", "tmode": "ANSI"}
    with pytest.raises(dbapi.OperationalError, match=message):
        dbapi.connect(json.dumps(good | given))


def test_a_real_server_is_cleaned_after_a_failure(driver: Driver) -> None:
    """The tables under the prefix are dropped, all others stay. Runs on the emulated server."""
    real = RealTeradata(driver.url)
    before = os.environ.get("MFPREFECT_PREFIX")
    with pytest.raises(ZeroDivisionError), real.new_database() as url:
        assert url == driver.url
        prefix = os.environ["MFPREFECT_PREFIX"]
        driver.ddl(
            TABLE.replace(" t ", f" {prefix}models "),
            f"CREATE VIEW {prefix}v AS SELECT a FROM {prefix}models",  # noqa: S608
            STAGE.replace(" s ", f" {prefix}mf2_scores "),
        )
        _ = 1 / 0
    assert os.environ.get("MFPREFECT_PREFIX") == before
    assert driver.ask("SELECT TableName FROM DBC.TablesV ORDER BY TableName") == [["t"]]
