"""What MySQL and MariaDB alone do."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
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
    assert len(tables) == 25
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
