"""Readers of the views during an upgrade, and reads of one moment, on each database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.migrations import REVISIONS
from mfprefect.schema import VIEWS, comments_of
from mfprefect.testing.contract.helpers import wrong_comments

# The views of the version before `current_scores`.
BEFORE = """SELECT model_id, session_id, entity_id, score, score_class, as_of, published_at FROM
(SELECT p.*, row_number() OVER (PARTITION BY p.model_id, p.entity_id ORDER BY s.session_no DESC) AS
recency FROM {published} AS p JOIN {sessions} AS s ON s.session_id = p.session_id) AS ranked
WHERE recency = 1"""


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url, heartbeat_seconds=600, retry_seconds=30) as opened:
        opened.add_model("churn")
        for as_of in ("2026-11-30", "2026-10-31"):
            with opened.session("churn", "score", as_of=as_of) as session:
                session.write_scores(pd.DataFrame({"id": ["a"], "score": [0.5]}), "id")
        yield opened


def named(store: Store, name: str) -> str:
    db = store.database
    table = sa.table(db.schema.name(name), schema=db.schema.layout.schema)
    preparer: Any = db.engine.dialect.identifier_preparer
    return str(preparer.format_table(table))


def downgrade(store: Store) -> None:
    """Make the views and the revision those of the version before."""
    names = {name: named(store, name) for name in ("published_scores", "sessions", "latest_scores")}
    select = BEFORE.format(published=names["published_scores"], sessions=names["sessions"])
    statements = (
        f"DROP VIEW {named(store, 'current_scores')}",
        f"DROP VIEW {names['latest_scores']}",
        f"CREATE VIEW {names['latest_scores']} AS {select}",
        f"UPDATE {named(store, 'mfprefect_version')} SET version_num = '{REVISIONS[-2]}'",  # noqa: S608
    )
    for statement in statements:
        text = sa.text(statement)
        store.database.write_transaction(partial(execute, text))


def execute(statement: sa.TextClause, connection: sa.Connection, _: bool) -> None:
    connection.execute(statement)


def shown(connection: sa.Connection, name: str) -> list[str]:
    rows = connection.exec_driver_sql(f"SELECT as_of FROM {name}").all()  # noqa: S608
    return [str(row[0]) for row in rows]


def test_an_upgrade_disturbs_no_reader_of_the_views(store: Store, database_url: str) -> None:
    downgrade(store)
    name, stop, errors, seen = named(store, "latest_scores"), threading.Event(), [], []
    reading = threading.Event()

    def read() -> None:
        engine = store.database.backend.create_engine()
        try:
            while not stop.is_set():
                with engine.connect() as connection:
                    seen.append(tuple(shown(connection, name)))
                reading.set()
        except Exception as exc:  # noqa: BLE001 - whatever a reader would have met
            errors.append(exc)
            reading.set()
        engine.dispose()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    assert reading.wait(60)
    with mfprefect.connect(database_url) as later:
        later.create_schema()
        assert later.current_session("churn") == later.sessions("churn")["session_id"][1]
    stop.wait(0.2)
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert (seen[0], seen[-1]) == (("2026-10-31",), ("2026-11-30",))
    assert set(seen) == {seen[0], seen[-1]}


def test_an_interrupted_upgrade_of_views_is_finished(store: Store, database_url: str) -> None:
    downgrade(store)

    def interrupt(_: Any, __: Any, statement: str, *___: Any) -> None:
        if (
            statement.startswith("CREATE ")
            and " VIEW " in statement
            and "current_scores" in statement
        ):
            raise KeyboardInterrupt

    with mfprefect.connect(database_url) as later:
        sa.event.listen(later.database.engine, "before_cursor_execute", interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                later.create_schema()
        finally:
            sa.event.remove(later.database.engine, "before_cursor_execute", interrupt)
        later.create_schema()
        with later.database.engine.connect() as connection:
            for view in ("latest_scores", "current_scores"):
                assert shown(connection, named(later, view)) == ["2026-11-30"]


def forget_comments(store: Store) -> None:
    """Leave what the version before comments had: no comment, and its revision."""
    backend = store.database.backend
    views = backend.schema.view_tables() if backend.comments_on_views else []
    kinds = {"TABLE": list(backend.schema.tables.values()), "VIEW": views}

    def work(connection: sa.Connection, _: bool) -> None:
        for kind, tables in kinds.items():
            for table in tables if connection.dialect.supports_comments else ():
                plain = table.to_metadata(sa.MetaData())
                plain.comment = ""
                for column in plain.c:
                    column.comment = ""
                backend.set_comments(connection, plain, kind, comments_of(plain))

    store.database.write_transaction(work)
    revision = f"UPDATE {named(store, 'mfprefect_version')} SET version_num = '0007'"  # noqa: S608
    store.database.write_transaction(partial(execute, sa.text(revision)))


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_comments_wait_for_no_reader(store: Store, database_url: str) -> None:
    """Of a view that stays the same, neither replacing nor commenting needs a lock against it."""
    forget_comments(store)
    assert len(wrong_comments(store)) > 250
    objects = [*store.database.schema.tables, *VIEWS]
    with store.database.engine.connect() as reader:
        for name in objects:
            reader.exec_driver_sql(f"SELECT * FROM {named(store, name)}").all()  # noqa: S608
        with mfprefect.connect(database_url, retry_seconds=0) as later:
            later.create_schema()
        for name in objects:
            reader.exec_driver_sql(f"SELECT * FROM {named(store, name)}").all()  # noqa: S608
    assert wrong_comments(store) == {}


@pytest.mark.parametrize("database_url", ["mysql"], indirect=True)
def test_comments_change_nothing_else_and_give_way(store: Store, database_url: str) -> None:
    names = list(store.database.schema.tables)
    before = {name: created(store, name) for name in names}
    forget_comments(store)
    assert len(wrong_comments(store)) > 200
    scores = f"SELECT count(*) FROM {named(store, 'scores')}"  # noqa: S608
    waits: list[float] = []
    with store.database.engine.connect() as slow, store.database.engine.connect() as other:
        slow.exec_driver_sql(scores).all()  # and stays in its transaction
        with mfprefect.connect(database_url, retry_seconds=60) as later:
            upgrade = threading.Thread(target=later.create_schema)
            upgrade.start()
            while not (waits and max(waits) > 0.3):  # until one queued behind the upgrade
                began = time.monotonic()
                other.exec_driver_sql(scores).all()
                other.rollback()
                waits.append(time.monotonic() - began)
                assert len(waits) < 100_000
            assert max(waits) < 20
            slow.rollback()
            upgrade.join()
    assert wrong_comments(store) == {}
    assert {name: created(store, name) for name in names} == before


def created(store: Store, name: str) -> str:
    with store.database.engine.connect() as connection:
        return str(connection.exec_driver_sql(f"SHOW CREATE TABLE {named(store, name)}").one()[1])


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_rights_on_a_view_survive_its_upgrade(store: Store, database_url: str) -> None:
    downgrade(store)
    role = f"reader_{store.database.backend.url.database}"
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA model_factory TO {role}")
        connection.exec_driver_sql(f"GRANT SELECT ON model_factory.latest_scores TO {role}")
        # Somebody's own view on ours is no obstacle.
        connection.exec_driver_sql("CREATE VIEW mine AS SELECT * FROM model_factory.latest_scores")
    try:
        with mfprefect.connect(database_url) as later:
            later.create_schema()
        with store.database.engine.connect() as connection:
            connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
            assert shown(connection, "model_factory.latest_scores") == ["2026-11-30"]
    finally:
        with store.database.engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


# Teradata has no snapshots.
@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
def test_a_snapshot_is_of_one_moment(store: Store, database_url: str) -> None:
    def count(moment: Store) -> int:
        return len(moment.sessions())

    def twice(moment: Store) -> tuple[int, int]:
        before = count(moment)
        with store.session("churn", "score") as session:
            session.write_scores(pd.DataFrame({"id": ["b"], "score": [0.5]}), "id")
        assert moment.snapshot(count) == before
        assert session.session_id not in set(moment.latest_scores("churn", "b")["session_id"])
        return before, count(moment)

    assert store.snapshot(twice) == (2, 2)
    assert count(store) == 3
    assert len(store.latest_scores("churn", "b")) == 1
    assert store.snapshot(twice)[0] == 3  # the connection is as it was before


def scored(store: Store, ids: Sequence[str]) -> str:
    with store.session("churn", "score", as_of="2199-01-01") as session:
        session.write_scores(pd.DataFrame({"id": ids, "score": 0.5}), "id")
    return session.session_id


@contextmanager
def _between(store: Store, statements: int, action: Callable[[], Any]) -> Iterator[list[str]]:
    """Run an action once, after so many statements; yield what was executed."""
    executed: list[str] = []

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        executed.append(statement)
        if len(executed) == statements:
            action()

    sa.event.listen(store.database.engine, "after_cursor_execute", count)
    try:
        yield executed
    finally:
        sa.event.remove(store.database.engine, "after_cursor_execute", count)


def _replace(store: Store, ids: Sequence[str], session_id: str) -> None:
    scored(store, ids)
    store.delete_session(session_id)


def test_an_answer_is_of_one_moment_while_sessions_come_and_go(store: Store) -> None:
    ids = [f"{n:04}" for n in range(600)]
    store.latest_scores("churn", "a")  # the check of the schema is no part of it
    latest: Callable[[], pd.DataFrame] = partial(store.latest_scores, "churn", *ids)
    current: Callable[[], pd.DataFrame] = partial(store.current_scores, "churn")
    for read in (latest, current):
        for place in range(1, 7):
            before = scored(store, ids)

            with _between(store, place, partial(_replace, store, ids, before)) as executed:
                frame = read()
            assert len(executed) >= 3
            assert frame["entity_id"].tolist() == ids, place
            assert frame["session_id"].nunique() == 1, place
            store.delete_session(str(store.current_session("churn")))
