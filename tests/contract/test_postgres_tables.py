"""Large sessions have tables of their own on PostgreSQL, and nobody has to know."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import InvalidScores, Session, SessionClosed, Store
from mfprefect_dev.servers import Server

CHILDREN = """
SELECT count(*) FROM pg_inherits WHERE inhparent = 'model_factory.scores'::regclass
"""
TABLES = """
SELECT relname FROM pg_class WHERE relname ~ '^scores_[0-9]+$' ORDER BY relname
"""


@pytest.fixture
def store(each_postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("mfprefect.store.scores.write.LARGE_PART", 100)
    url = each_postgres.new_database()
    with mfprefect.connect(url) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened
    each_postgres.drop_database(url)


def ask(store: Store, sql: str) -> list[str]:
    return [
        str(row[0])
        for row in store.database.read_transaction(lambda c: c.exec_driver_sql(sql).all())
    ]


def frame(first: int, rows: int = 100) -> pd.DataFrame:
    return pd.DataFrame({"id": np.arange(first, first + rows), "score": 0.5})


def write(store: Store, *firsts: int, rows: int = 100) -> Session:
    with store.session("churn", purpose="score") as session:
        for first in firsts:
            session.write_scores(frame(first, rows), entity_id="id")
    return session


def test_a_large_session_is_attached_when_it_succeeds(store: Store) -> None:
    with store.session("churn", purpose="score") as session:
        session.write_scores(frame(0, 7), entity_id="id")
        session.write_scores(frame(1_000), entity_id="id")
        assert ask(store, CHILDREN) == ["0"]
        assert ask(store, "SELECT count(*) FROM model_factory.scores") == ["7"]
    assert ask(store, CHILDREN) == ["1"]
    assert ask(store, "SELECT count(*) FROM ONLY model_factory.scores") == ["0"]
    assert ask(store, TABLES) == [f"scores_{session.session_no}"]
    assert len(store.scores(session.session_id)) == 107
    store.delete_session(session.session_id)
    assert ask(store, TABLES) == []


def test_a_run_that_failed_leaves_a_table_that_goes_with_its_session(store: Store) -> None:
    with pytest.raises(RuntimeError), store.session("churn") as session:
        session.write_scores(frame(0), entity_id="id")
        raise RuntimeError
    assert ask(store, "SELECT count(*) FROM model_factory.scores") == ["0"]
    assert ask(store, TABLES) == [f"scores_{session.session_no}"]
    store.delete_session(session.session_id)
    assert ask(store, TABLES) == []


def test_a_worker_that_was_declared_dead_leaves_no_table(store: Store) -> None:
    session, sessions = store.session("churn"), store.database.schema.sessions
    crash = sessions.update().where(sessions.c.session_no == session.session_no)
    store.database.write_transaction(lambda c, _: c.execute(crash, {"status": "crashed"}))
    with pytest.raises(SessionClosed, match="it is crashed"):
        session.write_scores(frame(0), entity_id="id")
    assert ask(store, TABLES) == []


def test_the_same_entity_in_a_small_and_a_large_part_is_refused(store: Store) -> None:
    with pytest.raises(InvalidScores, match=r"\(5\)"), store.session("churn") as session:
        session.write_scores(frame(5, 1), entity_id="id")
        session.write_scores(frame(0), entity_id="id")
    assert store.show(session.session_id)["status"].tolist() == ["failed"]
    assert ask(store, CHILDREN) == ["0"]


def test_there_are_not_too_many_tables(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mfprefect_backends.postgres.OWN_TABLES", 1)
    first = write(store, 0)
    with caplog.at_level(logging.WARNING):
        second = write(store, 0, 100)
    assert "mfprefect prune" in caplog.text
    assert ask(store, TABLES) == [f"scores_{first.session_no}"]
    assert len(store.scores(first.session_id)) == 100
    assert len(store.scores(second.session_id)) == 200


def test_who_does_not_own_the_tables_writes_all_the_same(store: Store) -> None:
    role = f"writer_{store.database.backend.url.database}"
    statements = (
        f"CREATE ROLE {role} LOGIN PASSWORD 'w'",
        f"GRANT USAGE ON SCHEMA model_factory TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA model_factory TO {role}",
    )
    with store.database.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    url = sa.make_url(store.database.settings.url.get_secret_value())
    url = url.set(username=role, password="w")
    with mfprefect.connect(url.render_as_string(hide_password=False)) as theirs:
        session = write(theirs, 0, 100)
        assert len(theirs.scores(session.session_id)) == 200
    assert ask(store, TABLES) == []
    # Readers of a table that has an owner's children need no rights on them.
    owned = write(store, 0)
    with mfprefect.connect(url.render_as_string(hide_password=False)) as theirs:
        assert len(theirs.scores(owned.session_id)) == 100
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")


def test_an_entity_is_looked_up_by_the_keys(store: Store) -> None:
    for _ in range(3):
        write(store, 0, rows=2_000)
    plan = "EXPLAIN SELECT * FROM model_factory.latest_scores WHERE model_id = 'churn' "
    lines = "\n".join(ask(store, plan + "AND entity_id = '17'"))
    assert not re.search(r"Seq Scan on scores_\d", lines), lines
    assert len(set(re.findall(r"Index Scan using scores_(\d+)_pkey", lines))) == 3, lines
    session_ids = store.latest_scores("churn", "17", "1999")["session_id"]
    assert session_ids.tolist() == store.sessions("churn")["session_id"].tolist()[:1] * 2
