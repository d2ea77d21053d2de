"""Databases that give way, hang up or restart: what is transient is tried again, once it counts."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect_dev.servers import Server


@pytest.fixture
def server_store(database_server: Server) -> Iterator[Store]:
    url = database_server.new_database()
    with mfprefect.connect(url, heartbeat_seconds=600, retry_seconds=30) as store:
        store.create_schema()
        store.add_model("churn")
        yield store
    database_server.drop_database(url)


PROBES = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
KILL = {
    "postgres": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
    "mysql": ("SELECT CONNECTION_ID()", "KILL {}"),
}


def kill(server: Server, connection: sa.Connection) -> None:
    """End a connection from another one, as a DBA would."""
    ask, end = KILL[server.backend]
    number = connection.exec_driver_sql(ask).scalar_one()
    admin = sa.create_engine(server.admin_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as other:
        other.exec_driver_sql(end.format(number))
    admin.dispose()


def test_a_connection_lost_before_commit_is_made_good(
    server_store: Store, database_server: Server
) -> None:
    tries = []

    def work(connection: sa.Connection, again: bool) -> None:
        tries.append(again)
        models = server_store.database.schema.models
        connection.execute(sa.select(models.c.model_id)).all()
        if len(tries) == 1:
            kill(database_server, connection)
        connection.execute(models.update().values(owner=f"try {len(tries)}"))

    server_store.database.write_transaction(work)
    assert tries == [False, False]
    assert list(server_store.models()["owner"]) == ["try 2"]


def test_a_silent_connection_is_probed(server_store: Store, database_server: Server) -> None:
    """Or who waits for an answer after a partition would wait for ever."""
    with server_store.database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        end = driver if database_server.backend == "postgres" else driver._sock
        with socket.socket(fileno=os.dup(end.fileno())) as probed:
            options = [
                probed.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                *(probed.getsockopt(socket.IPPROTO_TCP, option) for option in PROBES),
            ]
    assert options == [1, 15, 5, 3]


def test_a_deadlock_is_resolved(server_store: Store) -> None:
    """Two transactions take two rows in opposite order; both come through."""
    server_store.add_model("other")
    meet = threading.Barrier(2, timeout=20)
    tries: list[str] = []

    def update(first: str, second: str) -> None:
        models = server_store.database.schema.models

        def work(connection: sa.Connection, _: bool) -> None:
            tries.append(first)
            for number, name in enumerate((first, second)):
                connection.execute(
                    models.update().where(models.c.model_id == name).values(owner=first)
                )
                if number == 0 and tries.count(first) == 1:
                    meet.wait()

        server_store.database.write_transaction(work)

    threads = [
        threading.Thread(target=update, args=names)
        for names in (("churn", "other"), ("other", "churn"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(tries) == 3, tries
    assert server_store.models()["owner"].nunique() == 1


def test_a_commit_whose_answer_was_lost_counts_once(server_store: Store) -> None:
    """The commit happens, and the connection breaks before the client hears of it."""
    engine = server_store.database.engine
    dialect: Any = engine.dialect
    original = dialect.do_commit
    lost: list[str] = []

    def commit_and_break(connection: Any) -> None:
        original(connection)
        if armed.is_set():
            armed.clear()
            lost.append("answer")
            raise dialect.dbapi.OperationalError(2013, "Lost connection to server during query")

    armed = threading.Event()
    dialect.do_commit = commit_and_break
    armed.set()
    session = server_store.session("churn")  # opening
    session.log_metrics({"auc": 0.5})
    armed.set()
    session.flush()  # buffered writes
    armed.set()
    scores = pd.DataFrame({"id": ["a"], "score": [0.5]})
    session.write_scores(scores, entity_id="id")  # a part
    armed.set()
    session.save_model(b"model")
    armed.set()
    session.close()
    assert len(lost) == 5
    assert list(server_store.sessions()["status"]) == ["succeeded"]
    assert list(server_store.metrics(session.session_id)["value"]) == [0.5]
    assert len(server_store.scores(session.session_id)) == 1
    assert server_store.load_model(session.session_id) == b"model"


def test_what_is_terminal_is_not_tried_again(server_store: Store) -> None:
    tries = []

    def work(connection: sa.Connection, _: bool) -> None:
        tries.append(1)
        connection.exec_driver_sql("SELECT nonsense FROM nowhere")

    with pytest.raises(mfprefect.DatabaseError, match="nowhere"):
        server_store.database.write_transaction(work)
    assert len(tries) == 1


def test_a_database_that_stays_away_is_given_up(database_server: Server) -> None:
    if not database_server.private:
        pytest.fail("needs a private server: unset MFPREFECT_TEST_*_URL")
    url = database_server.new_database()
    options: dict[str, Any] = {"retry_seconds": 1, "heartbeat_seconds": 600, "spool": "off"}
    with mfprefect.connect(url, **options) as store:
        store.create_schema()
        store.add_model("churn")
        database_server.kill()
        try:
            with pytest.raises(mfprefect.DatabaseUnavailable, match="server runs"):
                store.session("churn")
        finally:
            database_server.restart()
        with store.session("churn"):
            pass


def test_a_serialization_failure_is_tried_again(postgres_server: Server) -> None:
    """Two serializable transactions read and write the same; PostgreSQL lets one of them win."""
    url = postgres_server.new_database()
    with mfprefect.connect(url, heartbeat_seconds=600, retry_seconds=30) as store:
        store.create_schema()
        store.add_model("churn")
        models = store.database.schema.models
        meet = threading.Barrier(2, timeout=20)
        tries: list[str] = []

        def append(letter: str) -> None:
            def work(connection: sa.Connection, _: bool) -> None:
                tries.append(letter)
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                text = connection.scalar(sa.select(models.c.description)) or ""
                if tries.count(letter) == 1:
                    meet.wait()
                connection.execute(models.update().values(description=text + letter))

            store.database.write_transaction(work)

        threads = [threading.Thread(target=append, args=(letter,)) for letter in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(store.models()["description"][0]) == ["a", "b"]
        assert len(tries) == 3
    postgres_server.drop_database(url)
