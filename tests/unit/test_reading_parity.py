# ruff: noqa: S608 - queries of the tests themselves
"""What sources return is what `pandas.read_sql` returns, by whichever way the rows came."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect.errors import DatabaseError, DatabaseUnavailable
from mfprefect.inputs.batches import Unstreamable
from mfprefect.inputs.frames import as_frame
from mfprefect.inputs.parameters import bind
from mfprefect.inputs.reader import Read, Reader, frame_digest
from mfprefect.settings import load_settings
from mfprefect_dev.servers import Server

DOUBLES = ["0.1", "1e308", "-1.5", "2.2250738585072014e-308", "123456789.123456789", "1e-5", "0"]
BIG = ["9223372036854775807", "-9223372036854775808", "9007199254740993", "0"]
POSTGRES: dict[str, list[str]] = {
    "smallint": ["1", "-32768"],
    "integer": ["1", "-2147483648"],
    "bigint": BIG,
    "real": [*("0.1", "16777217", "3.4e38", "1e-40", "-7", "33554432", "9.5367431640625e-07")],
    "double precision": [*DOUBLES, "'NaN'", "'Infinity'", "'-Infinity'", "'-0'"],
    "numeric": [*("1.1", "-0.0001", "123456789012345678901234567890.5", "'NaN'", "1e-30", "0")],
    "numeric(18,2)": ["1.10", "-99999999.99", "9007199254740993", "10000", "0.05"],
    "boolean": ["true", "false"],
    "text": ["''", "'a'", "'ünïcödé 🎲'", "E'a\\nb,\"c\"\\t\\\\'", "repeat('x', 70000)"],
    "varchar(9)": ["'a '", "' b'"],
    "char(5)": ["'a'", "'bcdef'"],
    "name": ["'pg_class'"],
    "date": ["'2026-02-28'", "'0001-01-01'", "'9999-12-31'", "'1969-12-31'"],
    "timestamp": ["'2026-11-30 12:34:56.789012'", "'0001-01-01'", "'1900-01-01 00:00:00'"],
    "timestamptz": ["'2026-11-30 12:34:56.789012+01'", "'1969-12-31 23:59:59Z'"],
    "time": ["'12:34:56.789012'", "'00:00'"],
    "bytea": ["'\\x00ff'", "''"],
    "uuid": ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'00000000-0000-0000-0000-000000000000'"],
    "mood": ["'sad'", "'happy'"],
    "whole": ["7"],  # a domain
}
POSTGRES_BY_DRIVER: dict[str, list[str]] = {
    "json": ["'{\"a\": [1, null]}'"],
    "jsonb": ["'[1, 2]'", "'\"x\"'"],
    "integer[]": ["'{1,2}'", "'{}'"],
    "text[]": ["'{a,NULL}'"],
    "interval": ["'1 day 2 hours'"],
    "bit(3)": ["B'101'"],
    "timetz": ["'12:34:56+02'"],
    "inet": ["'10.0.0.1'"],
    "money": ["'1.50'"],
    "int4range": ["'[1,5)'"],
}
MYSQL: dict[str, list[str]] = {
    "tinyint": ["1", "-128"],
    "tinyint unsigned": ["255", "0"],
    "bool": ["true", "false"],
    "smallint": ["-32768"],
    "mediumint unsigned": ["16777215"],
    "mediumint": ["-8388608", "5"],
    "int": ["-2147483648", "2147483647"],
    "int unsigned zerofill": ["4294967295", "7"],
    "bigint": BIG,
    "bigint unsigned": ["18446744073709551615", "1"],
    "float": ["0.1", "16777217", "-1.5", "3.4e38", "1e-30"],
    "double": DOUBLES,
    "double(10,2)": ["1.239", "-2.5", "0"],
    "decimal(30,10)": ["1.1", "-12345678901234567890.0123456789", "0"],
    "bit(10)": ["b'1010101010'", "b'1'"],
    "year": ["2026", "1901"],
    "date": ["'2026-02-28'", "'0001-01-01'", "'9999-12-31'"],
    "datetime(6)": ["'2026-11-30 12:34:56.789012'", "'1000-01-01 00:00:00'"],
    "datetime": ["'2026-11-30 12:34:56'", "'2026-11-30'"],
    "timestamp(3) null": ["'2026-11-30 12:34:56.789'"],
    "time(6)": ["'12:34:56.789012'", "'-838:59:59'", "'00:00:00'", "'-00:00:00.5'"],
    "char(5)": ["'a'", "'bcdef'"],
    "varchar(300)": ["''", "'ünïcödé 🎲'", "'a\\nb,\"c\"'", "repeat('x', 251)", "' b '"],
    "varchar(30) character set latin1": ["'é'"],
    "longtext": ["repeat('x', 70000)", "'y'"],
    "binary(3)": ["'a'"],
    "varbinary(9)": ["x'00ff'", "''"],
    "longblob": ["x'00'", "repeat('x', 70000)"],
    "enum('sad','happy')": ["'sad'", "'happy'"],
    "set('a','b')": ["'a,b'", "''"],
    "json": ["'{\"a\": [1, null]}'", "'[]'"],
    "geometry": ["ST_GeomFromText('POINT(1 2)')"],
}
SQLITE: dict[str, list[str]] = {
    "integer": BIG,
    "real": [*DOUBLES, "9e999", "-0.0"],
    "text": ["''", "'ünïcödé 🎲'", "'12'"],
    "blob": ["x'00ff'", "x''"],
    "numeric": ["1", "2.5"],
    "date": ["'2026-01-01'"],
}
SQLITE_BY_DRIVER = {"": ["1", "'a'"], "any": ["x'00'", "1.5"], "int": ["'x'", "7"]}
SETUP = {
    "postgres": ["CREATE TYPE mood AS ENUM ('sad', 'happy')", "CREATE DOMAIN whole AS integer"],
    "mysql": [],
    "sqlite": [],
}
FAST = {"postgres": POSTGRES, "mysql": MYSQL, "sqlite": SQLITE}
BY_DRIVER = {"postgres": POSTGRES_BY_DRIVER, "mysql": {}, "sqlite": SQLITE_BY_DRIVER}


class Source:
    """A source with a table for each type, and what its reader has recorded."""

    def __init__(self, url: str, kind: str) -> None:
        self.kind = kind
        self.reads: list[Read] = []
        loaded = load_settings(sources={"w": {"url": url}}, default_source="w")
        self.reader = Reader(loaded, self.reads.append)
        self.engine = sa.create_engine(url)
        self.execute(*SETUP[kind])

    def execute(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))

    def fill(self, kind: str, cells: list[str]) -> None:
        rows = ", ".join(f"({n}, {cell})" for n, cell in enumerate([*cells, "NULL"]))
        self.execute(
            "DROP TABLE IF EXISTS t",
            f"CREATE TABLE t (n integer, x {kind})",
            f"INSERT INTO t VALUES {rows}",
        )

    def read_sql(self, query: str, **params: Any) -> pd.DataFrame:
        """Return what pandas makes of the driver's rows, on the reader's kind of connection."""
        with self.reader._sources.connected("w") as (connection, _):
            native = connection.dialect.supports_native_decimal
            statement, values = bind(query, params, native_decimal=native)
            frame: pd.DataFrame = pd.read_sql(statement, connection, params=values)
        return frame

    def verify(self, query: str, *, fast: bool = True, **params: Any) -> pd.DataFrame:
        """Read in each way, require that all agree; return the frame."""
        expected, frame = self.read_sql(query, **params), self.reader.read(query, **params)
        require_same(frame, expected)
        whole = self.reads[-1]
        assert whole.digest == frame_digest(frame) == frame_digest(expected)
        with self.reader.batches(query, rows=2, **params) as batches:
            assert (batches.whole is None) == fast, batches.whole
            if batches.frame is not None:
                require_same(batches.frame, expected)
            else:
                pieces = list(batches)
                assert [piece.num_rows for piece in pieces[:-1]] == [2] * (len(pieces) - 1)
                table = pa.Table.from_batches(pieces, batches.schema)
                require_same(as_frame(table), expected)
        streamed = self.reads[-1]
        assert (streamed.rows, streamed.columns) == (whole.rows, whole.columns)
        assert (streamed.digest, streamed.query) == (whole.digest, query)
        return frame


def require_same(frame: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert frame.dtypes.tolist() == expected.dtypes.tolist()
    assert frame.columns.tolist() == expected.columns.tolist()
    assert frame.index.equals(expected.index)
    for place in range(len(expected.columns)):
        cells, others = frame.iloc[:, place], expected.iloc[:, place]
        if cells.dtype == "float64":  # bit for bit, but for the bits of NaN
            missing = cells.isna().to_numpy()
            assert (missing == others.isna().to_numpy()).all()
            bits = [s.to_numpy()[~missing].tobytes() for s in (cells, others)]
            assert bits[0] == bits[1]
            continue
        assert [typed(cell) for cell in cells] == [typed(cell) for cell in others]


def typed(cell: Any) -> tuple[str, str]:
    text = cell.tobytes() if isinstance(cell, memoryview) else cell
    return type(cell).__name__, repr(text)


SERVERS = ["postgres", "mysql", "postgres18", "mysql9"]


def sources_of(url: str, kind: str) -> Iterator[Source]:
    made = Source(url, kind)
    yield made
    made.engine.dispose()


def on_server(request: pytest.FixtureRequest) -> Iterator[Source]:
    server: Server = request.getfixturevalue(f"{request.param}_server")
    url = server.new_database()
    yield from sources_of(url, server.backend)
    server.drop_database(url)


@pytest.fixture(params=SERVERS)
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    yield from on_server(request)


@pytest.fixture
def sqlite_source(tmp_path: Path) -> Iterator[Source]:
    yield from sources_of(f"sqlite:///{tmp_path / 'source.db'}", "sqlite")


@pytest.fixture(params=["sqlite", *SERVERS])
def any_source(request: pytest.FixtureRequest) -> Iterator[Source]:
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_source")
    else:
        yield from on_server(request)


def verify_types(source: Source, types: dict[str, list[str]], fast: bool) -> None:
    for kind, cells in types.items():
        source.fill(kind, cells)
        last = len(cells)
        for condition in (f"n < {last}", "1 = 1", f"n = {last}", "1 = 0", "n = 0"):
            mixed = source.kind == "sqlite" and len(cells) > 1 and condition in ("n < 2", "1 = 1")
            source.verify(
                f"SELECT n, x FROM t WHERE {condition} ORDER BY n",
                fast=fast or (source.kind == "sqlite" and not mixed),
            )


def test_types(source: Source) -> None:
    verify_types(source, FAST[source.kind], fast=True)
    verify_types(source, BY_DRIVER[source.kind], fast=False)


def test_types_of_sqlite(sqlite_source: Source) -> None:
    verify_types(sqlite_source, SQLITE, fast=True)
    verify_types(sqlite_source, SQLITE_BY_DRIVER, fast=False)


# Statements


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("SELECT n, x FROM t WHERE n IN :ns ORDER BY n DESC", {"ns": [0, 2, 5]}),
        ("SELECT n AS a, x AS a, n AS a FROM t ORDER BY n;\n", {}),
        ("-- a comment\nSELECT n, '50%' AS p, 7 % 4 AS m FROM t ORDER BY n -- the end", {}),
        ("SELECT n, :text AS v FROM t WHERE x = :x", {"text": "it's 100% \\ :n ;", "x": "b"}),
        ("(SELECT n FROM t WHERE n = 1) UNION ALL (SELECT n FROM t WHERE n = 0)", {}),
        ("WITH w AS (SELECT n FROM t WHERE n > :low) SELECT n FROM w ORDER BY n", {"low": 0}),
        ("SELECT n FROM t WHERE n > :n AND n < :n + 2", {"n": -1}),
        ("SELECT n FROM t WHERE :day > '2026-01-01' ORDER BY n", {"day": dt.date(2026, 3, 1)}),
        ("SELECT n FROM t WHERE n > :x ORDER BY n", {"x": Decimal("0.5")}),
        ("SELECT n FROM t WHERE n > :x ORDER BY n", {"x": np.float64(0.5)}),
    ],
)
def test_queries(any_source: Source, query: str, params: dict[str, Any]) -> None:
    if any_source.kind == "sqlite":
        query = query.replace("(SELECT n FROM t WHERE n = 1)", "SELECT n FROM t WHERE n = 1")
        query = query.replace("ALL (SELECT n FROM t WHERE n = 0)", "ALL SELECT n FROM t WHERE n=0")
    any_source.fill("varchar(9)", ["'a'", "'b'", "'c'"])
    frame = any_source.verify(query, **params)
    assert len(frame)


OTHER = {
    "postgres": ["SHOW server_version", "EXPLAIN SELECT 1", "SELECT 1 AS a; SELECT 2 AS b"],
    "mysql": ["SHOW DATABASES", "EXPLAIN SELECT 1", "SELECT ';' AS a"],
    "sqlite": ["PRAGMA user_version", "EXPLAIN QUERY PLAN SELECT 1", "SELECT ';' AS a"],
}


def test_other_statements_take_the_drivers_way(any_source: Source) -> None:
    for statement in OTHER[any_source.kind]:
        assert len(any_source.verify(statement, fast=False))


def test_a_query_that_writes_runs_once(any_source: Source) -> None:
    any_source.fill("varchar(9)", ["'a'"])
    if any_source.kind == "postgres":
        writing = "WITH w AS (INSERT INTO t VALUES (7, 'z') RETURNING n) SELECT n FROM w"
        any_source.execute("CREATE SEQUENCE ticks")
        assert any_source.reader.read("SELECT nextval('ticks') AS n")["n"].tolist() == [1]
    elif any_source.kind == "sqlite":
        writing = "WITH w(n) AS (SELECT 7) INSERT INTO t SELECT n, 'z' FROM w RETURNING n"
    else:
        any_source.execute("CREATE TABLE ticks (n int)", "INSERT INTO ticks VALUES (0)")
        writing = "SELECT @n := COALESCE(@n, 6) + 1 AS n"  # of the session
    frame = any_source.reader.read(writing)
    assert frame["n"].tolist() == [7]


def test_errors_are_the_same_in_each_way(any_source: Source) -> None:
    any_source.fill("varchar(9)", ["'a'"])
    queries: list[tuple[str, dict[str, Any]]] = [
        ("SELECT nosuch FROM t", {}),
        ("SELEC 1", {}),
        ("SELECT * FROM nosuch WHERE n = :n", {"n": 1}),
        ("SELECT n FROM t WHERE n = :n", {}),
    ]
    if any_source.kind != "mysql":  # its driver writes the text of anything
        queries.append(("SELECT n FROM t WHERE n = :n", {"n": object()}))
    for query, params in queries:
        with pytest.raises(DatabaseError) as plain:
            any_source.read_sql(query, **params)
        with pytest.raises(DatabaseError) as read:
            any_source.reader.read(query, **params)
        assert type(read.value) is type(plain.value)
        with pytest.raises(DatabaseError), any_source.reader.batches(query, **params):
            pass
    assert not any_source.reads


# Rows that come late


def numbers(kind: str, rows: int, cell: str) -> str:
    """Return a query of `rows` rows n = 1, 2, .. with another column computed from n."""
    series = f"generate_series(1, {rows}) AS s(n)"
    if kind != "postgres":
        series = (
            f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows})"
            " SELECT n FROM s) AS s"
        )
    return f"SELECT n, {cell} AS x FROM {series} ORDER BY n"


def test_many_rows_in_their_order(any_source: Source) -> None:
    query = numbers(any_source.kind, 40_001, "CASE WHEN n > 30000 THEN n END")
    if any_source.kind == "sqlite":
        frame = any_source.reader.read(query)  # NULL first: only the whole has a type
        require_same(frame, any_source.read_sql(query))
        with any_source.reader.batches(query) as batches, pytest.raises(Unstreamable):
            list(batches)
        query = numbers(any_source.kind, 40_001, "n * 0.5")
    elif any_source.kind == "mysql":
        any_source.execute("CREATE TABLE many (n int primary key)")
        values = ", ".join(f"({n})" for n in range(40_001))
        any_source.execute(f"INSERT INTO many VALUES {values}")
        query = "SELECT n, CASE WHEN n > 30000 THEN n END AS x FROM many ORDER BY n"
    with any_source.reader.batches(query, rows=10_000) as batches:
        sizes = [batch.num_rows for batch in batches]
    assert sizes == [10_000] * 4 + [1]
    require_same(any_source.reader.read(query), any_source.read_sql(query))
    assert len({read.digest for read in any_source.reads[-2:]}) == 1


def test_whoever_stops_early_can_read_again(any_source: Source) -> None:
    any_source.fill("varchar(9)", ["'a'", "'b'", "'c'"])
    with any_source.reader.batches("SELECT n FROM t ORDER BY n", rows=1) as batches:
        assert next(iter(batches)).to_pydict() == {"n": [0]}
    assert not any_source.reads  # it has not read to the end
    assert len(any_source.reader.read("SELECT n FROM t")) == 4


def test_an_error_after_the_first_rows(source: Source) -> None:
    if source.kind == "postgres":
        query = numbers(source.kind, 100_000, "1 / (90000 - n)")
        message = "division by zero"
    else:
        source.fill("int", ["1", "2", "3"])
        two = "(SELECT u.n FROM t AS u WHERE u.n <> o.n AND o.n = 2)"  # only for the third row
        query = f"SELECT o.n, COALESCE({two}, 0) AS x FROM t AS o"
        message = "1 row"
    with pytest.raises(DatabaseError, match=message):
        source.reader.read(query)
    with (
        pytest.raises(DatabaseError, match=message),
        source.reader.batches(query, rows=1000) as batches,
    ):
        for _ in batches:
            pass
    assert not source.reads


def test_a_server_that_hangs_up_is_unavailable(source: Source) -> None:
    source.fill("varchar(9)", ["'a'", "'b'", "'c'"])
    if source.kind == "postgres":
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND {}"
        others = "pid <> pg_backend_pid()"
        big = numbers(source.kind, 3_000_000, "repeat('x', 100)")
    else:
        big = "SELECT a.n FROM t AS a, t AS b, t AS c, t AS d, t AS e, t AS f, t AS g, t AS h"
        big = f"SELECT x.n, REPEAT('x', 1000) AS x FROM ({big}) AS x, t AS i, t AS j"
        kill = others = ""
    source.reader.read("SELECT n FROM t")
    with source.reader.batches(big, rows=1000) as batches:
        iterator = iter(batches)
        next(iterator)
        if kill:
            source.engine.dispose()
            name = str(source.engine.url.database)
            with source.engine.connect() as connection:
                connection.exec_driver_sql(kill.format(name, others))
        else:
            with source.engine.connect() as connection:
                for row in connection.exec_driver_sql("SHOW PROCESSLIST").mappings().all():
                    if (
                        row["db"] == source.engine.url.database
                        and row["Info"] != "SHOW PROCESSLIST"
                    ):
                        connection.exec_driver_sql(f"KILL {row['Id']}")
        with pytest.raises(DatabaseUnavailable) as caught:
            for _ in iterator:
                pass
    assert str(source.engine.url.password) not in str(caught.value)


@contextmanager
def variable(source: Source, name: str, value: int) -> Iterator[None]:
    """Set a variable of the server for the connections to come."""
    with source.engine.connect() as connection:
        before = connection.exec_driver_sql(f"SELECT @@GLOBAL.{name}").scalar_one()
    source.execute(f"SET GLOBAL {name} = {value}")
    source.engine.dispose()
    try:
        yield
    finally:
        source.execute(f"SET GLOBAL {name} = {before}")


@pytest.fixture(params=["mysql", "mysql9"])
def mysql_source(request: pytest.FixtureRequest) -> Iterator[Source]:
    yield from on_server(request)


def test_rows_of_several_packets(mysql_source: Source) -> None:
    most = 2**24 - 1  # bytes of a packet
    with variable(mysql_source, "max_allowed_packet", 2**27):
        # With its length and the start of the row, a text of this size fills a packet exactly.
        sizes = [most - 8, most - 7, most - 6, 2 * most - 8, 2 * most - 6, 3]
        selects = (f"SELECT REPEAT('{n}', {size}) AS x" for n, size in enumerate(sizes))
        query = " UNION ALL ".join(selects)
        frame = mysql_source.reader.read(query)
        with mysql_source.reader.batches(query) as batches:
            assert batches.whole is None
    assert frame["x"].str.len().tolist() == sizes
    assert frame["x"].tolist() == [str(n) * size for n, size in enumerate(sizes)]


def test_a_server_that_prepares_no_statements(mysql_source: Source) -> None:
    mysql_source.fill("varchar(9)", ["'a'", "'b'"])
    with variable(mysql_source, "max_prepared_stmt_count", 0):
        mysql_source.verify("SELECT n, x FROM t ORDER BY n", fast=False)
        url = mysql_source.engine.url.render_as_string(hide_password=False)
        with mfprefect.connect(url, spool="off") as store:
            store.create_schema()
            store.add_model("churn")
            scores = pd.DataFrame({"id": ["a", "é"], "score": [0.1, -0.5]})
            with store.session("churn", purpose="adhoc") as session:
                session.write_scores(scores, entity_id="id", score="score")
            frame = store.scores(session.session_id)
    assert frame["entity_id"].tolist() == ["a", "é"]
    assert frame["score"].tolist() == [0.1, -0.5]


# Values that only the driver has


def test_values_beyond_python_are_left_to_the_driver(source: Source) -> None:
    if source.kind == "postgres":
        source.fill("timestamp", ["'2026-01-01'", "'infinity'"])
        outside = "SELECT x FROM t ORDER BY n"
    else:
        source.execute("SET GLOBAL sql_mode = ''")
        source.execute(
            "SET SESSION sql_mode = ''",
            "DROP TABLE IF EXISTS t",
            "CREATE TABLE t (n int, x date)",
            "INSERT INTO t VALUES (0, '2026-01-01'), (1, '0000-00-00')",
        )
        outside = "SELECT x FROM t ORDER BY n"
    require_same(source.reader.read(outside), source.read_sql(outside))
    assert source.reads[-1].digest == frame_digest(source.read_sql(outside))
    with source.reader.batches(outside) as batches, pytest.raises(Unstreamable):
        list(batches)


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/New_York", "UTC", "Asia/Kolkata"])
def test_times_with_the_zone_of_the_session(postgres_server: Server, zone: str) -> None:
    # Before 1970, the server's and Python's time zone data may give the same instant two offsets.
    url = sa.make_url(postgres_server.new_database()).update_query_dict(
        {"options": f"-c TimeZone={zone}"}
    )
    for source in sources_of(url.render_as_string(hide_password=False), "postgres"):
        source.fill("timestamptz", ["'2026-01-01 12:00Z'", "'2026-07-01 12:00Z'", "'1975-01-01Z'"])
        for condition in ("n < 1", "n < 2", "n <> 2", "1 = 1"):
            source.verify(f"SELECT x FROM t WHERE {condition} ORDER BY n")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.floats(width=32, allow_infinity=False, allow_nan=False), min_size=1, max_size=50),
    st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=9), min_size=1, max_size=50),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50),
)
def test_numbers_of_postgres(
    numbers_source: Source, reals: list[float], decimals: list[Decimal], doubles: list[float]
) -> None:
    lists: list[list[Any]] = [reals, decimals, doubles]
    query = "SELECT * FROM unnest(CAST(:r AS real[]), CAST(:d AS numeric[]), CAST(:f AS float8[]))"
    params: dict[str, Any] = dict(
        zip("rdf", ([str(x) for x in cells] for cells in lists), strict=True)
    )
    numbers_source.verify(query + " AS u(r, d, f)", **params)


@pytest.fixture(scope="module")
def numbers_source(postgres_server: Server) -> Iterator[Source]:
    yield from sources_of(postgres_server.new_database(), "postgres")
