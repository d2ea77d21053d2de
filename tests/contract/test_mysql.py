"""What MySQL and MariaDB alone do."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

import hypothesis
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError

import mfprefect
from mfprefect.backend import backend_for
from mfprefect.settings import load_settings
from mfprefect_backends import _mysql_load
from mfprefect_dev.servers import Server

EXPLAIN = "EXPLAIN FORMAT = TRADITIONAL"  # whatever the server prints by default
FRAME = pd.DataFrame({"id": ["a", "A", "a ", "\\N", "NULL", 'q"', "z"], "score": range(7)})


@pytest.fixture(scope="module", params=["mysql", "mysql9"])
def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.getfixturevalue(f"{request.param}_server")
    return chosen


@pytest.fixture(scope="module")
def strict_server(server: Server) -> Iterator[Server]:
    """Such a server that forbids LOAD DATA LOCAL."""
    with type(server).start(["--local-infile=0"]) as strict:
        yield strict


def test_a_server_without_load_data_is_served_by_inserts(
    strict_server: Server, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    frames = []
    for asked in (strict_server, server):
        caplog.clear()
        with (
            caplog.at_level(logging.WARNING, "mfprefect_backends"),
            mfprefect.connect(asked.new_database()) as store,
        ):
            store.create_schema()
            store.add_model("churn")
            with store.session("churn") as session:
                session.write_scores(FRAME, entity_id="id")
                with pytest.raises(mfprefect.InvalidScores, match="another part of session"):
                    session.write_scores(FRAME.head(1), entity_id="id")
            frames.append(store.scores(session.session_id))
        warned = "local_infile = ON" in caplog.text
        assert warned is (asked is strict_server)
    pd.testing.assert_frame_equal(frames[0], frames[1])
    assert len(frames[0]) == 7


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ROWS = st.lists(
    st.tuples(
        TEXTS.flatmap(lambda text: st.sampled_from([1, 1, 60, 30_000]).map(lambda n: text * n)),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.datetimes(dt.datetime(1000, 1, 1)).map(lambda time: time.replace(fold=0)),
        st.none() | st.dates(dt.date(1000, 1, 1)),
        st.none() | st.booleans(),
    ),
    min_size=1,
    max_size=40,
)
KINDS = (pa.string(), pa.float64(), pa.int64(), pa.timestamp("us"), pa.date32(), pa.bool_())


@pytest.fixture(scope="module")
def typed(server: Server) -> Iterator[tuple[sa.Engine, sa.Table]]:
    """A table with a column of each kind, one of whose names is hostile."""
    table = sa.Table(
        "typed",
        sa.MetaData(),
        sa.Column("text %s `x", sa.Text(16_777_215, collation="utf8mb4_bin"), key="a"),
        sa.Column("b", sa.Double),
        sa.Column("c", sa.BigInteger),
        sa.Column("d", mysql.DATETIME(fsp=6)),
        sa.Column("e", sa.Date),
        sa.Column("f", sa.Boolean),
    )
    engine = backend_for(load_settings(url=server.new_database())).create_engine()
    table.create(engine)
    yield engine, table
    engine.dispose()


@pytest.mark.parametrize("mode", ["STRICT_ALL_TABLES", "STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES"])
@hypothesis.given(rows=ROWS, packet=st.sampled_from([1, 300, 2**24]))
def test_long_inserts_write_every_value_exactly(
    typed: tuple[sa.Engine, sa.Table], mode: str, rows: list[tuple[Any, ...]], packet: int
) -> None:
    engine, table = typed
    names = [column.name for column in table.c]
    columns = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(KINDS)]
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET sql_mode = '{mode}'")
        _mysql_load.insert(connection, table, pa.table(columns, names), packet)
        written = [tuple(row) for row in connection.execute(sa.select(table))]
        connection.rollback()
    dialect: Any = engine.dialect
    if dialect.is_mariadb:  # has no -0.0
        rows = [tuple(v + 0.0 if isinstance(v, float) else v for v in row) for row in rows]
    assert sorted(map(repr, written)) == sorted(map(repr, rows))


def test_an_error_of_a_long_insert_shows_no_rows(strict_server: Server) -> None:
    backend = backend_for(load_settings(url=strict_server.new_database()))
    columns: list[sa.Column[Any]] = [
        sa.Column("name", sa.String(20)),
        sa.Column("number", sa.Integer),
    ]
    table = sa.Table("numbers", sa.MetaData(), *columns)
    rows = pa.table([["customer-4711"], ["not a number"]], ["name", "number"])
    engine = backend.create_engine()
    table.create(engine)
    with engine.connect() as connection, pytest.raises(DBAPIError) as error:
        backend.append(connection, table, rows)
    engine.dispose()
    assert "INSERT INTO numbers" in str(error.value)
    assert "customer-4711" not in str(error.value)


def test_a_server_keeps_no_statement_of_an_insert(strict_server: Server) -> None:
    backend = backend_for(load_settings(url=strict_server.new_database()))
    table = sa.Table(
        "numbers", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True, autoincrement=False)
    )
    engine = backend.create_engine()
    table.create(engine)
    for _ in range(2):
        with engine.connect() as connection:
            rows = pa.table([[*range(3_000), 7]], ["n"])
            with pytest.raises(DBAPIError, match="Duplicate entry '7'"):
                backend.append(connection, table, rows)
            # The connection still answers, in order.
            assert connection.scalar(sa.text("SELECT 42")) == 42
            status = connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
            assert status.one()[1] == "0"
    engine.dispose()


def test_tables_are_innodb_and_exact(server: Server) -> None:
    url = server.new_database()
    with mfprefect.connect(url) as store:
        store.create_schema()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        tables = connection.exec_driver_sql(
            "SELECT table_name, engine, table_collation FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' "
            "AND table_name <> 'mfprefect_version'"
        ).all()
        times = connection.exec_driver_sql(
            "SELECT DISTINCT column_type FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND column_type LIKE 'datetime%%' "
            "AND table_name IN (SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE')"
        ).all()
    engine.dispose()
    assert len(tables) == 29
    assert {(row[1], row[2]) for row in tables} == {("InnoDB", "utf8mb4_bin")}
    assert [row[0] for row in times] == ["datetime(6)"]


def test_a_session_is_found_by_its_key_when_it_is_written(server: Server) -> None:
    """In the index of its heartbeat it moves with each write, and another write may miss it."""
    seen: list[tuple[str, dict[str, object]]] = []

    def note(_: object, __: object, sql: str, values: dict[str, object], *___: object) -> None:
        if sql.startswith("UPDATE sessions"):
            seen.append((sql, values))

    with mfprefect.connect(server.new_database()) as store:
        store.create_schema()
        store.add_model("churn")
        sa.event.listen(store.database.engine, "before_cursor_execute", note)
        with store.session("churn") as session:
            session.write_scores(FRAME, entity_id="id", part=1)
            session.write_scores(FRAME.assign(id=range(7)), entity_id="id", part=2)
            with store.database.engine.connect() as connection:
                for sql, values in list(seen):
                    plan = connection.exec_driver_sql(f"{EXPLAIN} {sql}", values).mappings().one()
                    assert plan["key"] == "PRIMARY", sql
        assert len(seen) >= 3
