"""What the Teradata backend alone does, on an emulated Teradata."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import DatabaseError, InvalidScores, Store, grants
from mfprefect.schema import Timestamp
from mfprefect_backends.teradata import dialect, load, staging
from mfprefect_dev.teradata import EmulatedTeradata
from mfprefect_dev.teradata.engine.locks import LIMITS
from mfprefect_dev.teradata.engine.transactions import WATCHERS, Seen


@pytest.fixture(scope="module")
def url(emulated_teradata: EmulatedTeradata) -> Iterator[str]:
    with emulated_teradata.new_database() as database_url:
        yield database_url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with mfprefect.connect(url, heartbeat_seconds=600, retry_seconds=10) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and loads of few rows."""
    monkeypatch.setattr(load, "BATCH_ROWS", 20)
    monkeypatch.setattr(load, "FASTLOAD_ROWS", 100)
    monkeypatch.setattr(load, "FASTLOAD_BATCH", 40)


def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"{i:06}" for i in range(rows)], "score": np.arange(rows) / 7})


def statements(store: Store) -> list[str]:
    said: list[str] = []
    sa.event.listen(
        store.database.engine, "before_cursor_execute", lambda *args: said.append(args[2])
    )
    return said


def tables(store: Store) -> set[str]:
    return store.database.read_transaction(lambda c: set(sa.inspect(c).get_table_names()))


def part(ids: list[str]) -> pa.Table:
    rows = len(ids)
    return pa.table(
        {
            "session_no": pa.array([9] * rows, pa.int32()),
            "entity_id": pa.array(ids, pa.large_string()),
            "score": pa.array([0.5] * rows),
            "score_class": pa.nulls(rows, pa.large_string()),
            "part_no": pa.array([1] * rows, pa.int32()),
        }
    )


def test_each_connection_names_its_session_in_the_query_band(store: Store) -> None:
    bands: list[str] = []

    def ask(connection: Any, *_: Any) -> None:
        with connection.connection.dbapi_connection.cursor() as cursor:
            cursor.execute("SELECT GetQueryBand()")
            bands.append(str(cursor.fetchone()[0]))

    with store.session("churn") as session:
        sa.event.listen(store.database.engine, "before_cursor_execute", ask)
        session.log_metrics({"auc": 1})
        session.write_scores(frame(3), entity_id="id")
    whose = f"ApplicationName=mfprefect;session={session.session_id};model=churn;"
    assert bands
    assert all(whose in band for band in bands)
    bands.clear()
    store.sessions()  # over the same connection, for nobody in particular
    assert len(bands) == 1
    assert "ApplicationName=mfprefect;" in bands[0]
    assert "session=" not in bands[0]


@pytest.mark.parametrize("rows", [20, 90, 130])
def test_many_rows_come_by_way_of_a_staging_table(store: Store, small: None, rows: int) -> None:
    before = tables(store)
    said = statements(store)
    with store.session("churn") as session:
        session.write_scores(frame(rows), entity_id="id")
        session.write_scores(frame(rows).assign(id=lambda f: "x" + f["id"]), entity_id="id")
    assert tables(store) == before
    made = [text for text in said if text.startswith("CREATE MULTISET TABLE scores_stage_")]
    assert len(made) == (0 if rows <= 20 else 2)
    stored = store.scores(session.session_id)
    assert len(stored) == 2 * rows
    assert np.array_equal(stored["score"][:rows], frame(rows)["score"])


def test_a_load_that_dropped_rows_says_how_many_and_which(store: Store, small: None) -> None:
    ids = [f"{i:04}" for i in range(120)]
    before, scores = tables(store), store.database.schema.scores

    def write(some: list[str]) -> None:
        store.database.write_transaction(
            lambda c, _: store.database.backend.append(c, scores, part(some))
        )

    with pytest.raises(DatabaseError, match=r"120 of 123 rows arrived.*'0000', '0001', '0002'"):
        write(ids + ids[:3])  # it takes equal rows for one, and says nothing
    with pytest.raises(DatabaseError, match=r"120 of 121 rows arrived.*'(x{300})'.*ERR_1"):
        write([*ids, "x" * 300])
    assert tables(store) == before
    staged = sa.select(sa.func.count()).select_from(scores).where(scores.c.part_no == 1)
    assert store.database.fetch_all(staged.where(scores.c.session_no == 9))[0][0] == 0


def test_an_entity_of_two_parts_is_refused_whatever_their_size(store: Store, small: None) -> None:
    with store.session("churn") as session:
        session.write_scores(frame(130), entity_id="id")
        for rows in (frame(10), frame(90), frame(130)):
            with pytest.raises(InvalidScores, match="another part"):
                session.write_scores(rows, entity_id="id")
    assert len(store.scores(session.session_id)) == 130


@pytest.mark.parametrize("code", [2631, 3120, 804])
def test_what_was_staged_goes_even_if_the_link_does(
    store: Store, emulated_teradata: EmulatedTeradata, url: str, small: None, code: int
) -> None:
    before = tables(store)
    emulated_teradata.inject(url, code, match="INSERT INTO scores .*SELECT")
    with store.session("churn") as session:
        session.write_scores(frame(130), entity_id="id")
    assert emulated_teradata.left(url) == 0
    assert len(store.scores(session.session_id)) == 130
    assert tables(store) == before


def test_what_a_killed_process_has_staged_goes_when_it_is_old(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables of other installations in the same database stay, and what may be loaded right now."""
    db, scores = store.database, store.database.schema.scores
    before, rows, now = tables(store), part(["a"]), time.time()
    other = sa.table("mf2_scores")

    def stage(connection: sa.Connection, of: Any, seconds: int) -> str:
        with monkeypatch.context() as then:
            then.setattr(time, "time", lambda: now - seconds)
            made = staging.staging_table(connection, scores, rows)
        made.name = made.name.replace("scores", of.name, 1)
        made.create(connection, checkfirst=False)
        return made.name

    def make(connection: sa.Connection) -> list[str]:
        # With its error table; of that alone what is left; too young; not ours.
        old, gone = stage(connection, scores, 90_000), stage(connection, scores, 90_000)
        young, others = stage(connection, scores, 80_000), stage(connection, other, 90_000)
        for name in (old, gone):
            connection.exec_driver_sql(
                f"CREATE MULTISET TABLE {name}_ERR_1 (ErrorCode INTEGER) PRIMARY INDEX (ErrorCode)"
            )
        connection.exec_driver_sql(f"DROP TABLE {gone}")
        return [old, gone, young, others]

    old, gone, young, others = db.read_transaction(make)
    try:
        assert db.read_transaction(db.backend.drop_stale_staging) == sorted([old, gone])
        assert tables(store) - before == {young, others}
        assert db.read_transaction(db.backend.drop_stale_staging) == []
    finally:
        db.read_transaction(
            lambda c: [c.exec_driver_sql(f"DROP TABLE {name}") for name in (young, others)]
        )


def test_a_run_outlives_a_database_without_room(
    store: Store, emulated_teradata: EmulatedTeradata, url: str, small: None
) -> None:
    emulated_teradata.inject(url, 2644, times=3, match="INSERT INTO scores")
    with store.session("churn") as session:
        session.write_scores(frame(130), entity_id="id")
    assert emulated_teradata.left(url) == 0
    assert len(store.scores(session.session_id)) == 130


@pytest.mark.parametrize("role", grants.ROLES)
def test_the_rights_of_a_role_are_statements_that_it_takes(store: Store, role: str) -> None:
    script = store.database.backend.grants(role, "somebody")
    lines = [line for line in script.splitlines() if line and not line.startswith("--")]
    assert all(line.startswith("GRANT ") for line in lines)
    store.database.read_transaction(
        lambda c: [c.exec_driver_sql(line.rstrip(";")) for line in lines]
    )


def test_names_are_measured_in_units_of_utf_16(store: Store) -> None:
    with store.session("churn") as session:
        session.log_metrics({"😀" * 64: 1})
        with pytest.raises(mfprefect.InvalidValue, match="has 130 UTF-16 units"):
            session.log_metrics({"😀" * 65: 1})
        with pytest.raises(InvalidScores, match="256 UTF-16 units"):
            session.write_scores(
                pd.DataFrame({"id": ["你" * 255, "😀" * 128], "score": 0.5}), entity_id="id"
            )
        session.write_scores(pd.DataFrame({"id": ["你" * 255], "score": [0.5]}), entity_id="id")
    assert list(store.scores(session.session_id)["entity_id"]) == ["你" * 255]


@pytest.mark.parametrize("is_set", [True, False])
def test_what_was_sealed_in_one_zone_verifies_in_another(
    emulated_teradata: EmulatedTeradata, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    """Each connection sets its zone to UTC; the control shows what happens without."""
    if not is_set:
        monkeypatch.setattr(dialect, "ON_CONNECT", dialect.ON_CONNECT[:-1])
    with emulated_teradata.new_database() as there:
        monkeypatch.setattr(LIMITS, "zone_minutes", 60)
        with mfprefect.connect(there, heartbeat_seconds=600) as here:
            here.create_schema()
            here.add_model("churn")
            with here.session("churn") as session:
                session.write_scores(frame(3), entity_id="id")
            started = here.show(session.session_id)["started_at"][0]
        monkeypatch.setattr(LIMITS, "zone_minutes", -330)
        with mfprefect.connect(there, heartbeat_seconds=600) as elsewhere:
            assert (elsewhere.show(session.session_id)["started_at"][0] == started) == is_set
            if is_set:
                elsewhere.verify()
            else:
                with pytest.raises(mfprefect.SealBroken, match="written_at"):
                    elsewhere.verify()


@pytest.mark.parametrize("letter", ["\u20ba", "\U0001f600", "\ue000", "\u0378"])
def test_texts_that_need_pass_through_go_by_batches(store: Store, small: None, letter: str) -> None:
    seen: list[Seen] = []
    WATCHERS.append(seen.append)
    rows = frame(130)
    try:
        with store.session("churn") as session:
            session.write_scores(rows, entity_id="id")
            assert any(event.kind == "fastload" for event in seen)
            seen.clear()
            session.write_scores(rows.assign(id=lambda f: f["id"] + letter), entity_id="id")
            assert not any(event.kind == "fastload" for event in seen)
    finally:
        WATCHERS.remove(seen.append)
    assert set(store.scores(session.session_id)["entity_id"]) == {
        *rows["id"],
        *(rows["id"] + letter),
    }


def test_timestamps_go_by_batches(store: Store, small: None) -> None:
    """The sessions of FastLoad have the zone of the system."""
    db = store.database
    noon = dt.datetime(2026, 1, 1, 12)
    table = sa.Table(
        "moments",
        sa.MetaData(),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_time", Timestamp),
    )
    rows = pa.table({"n": pa.array(range(150), pa.int32()), "at_time": pa.array([noon] * 150)})
    db.read_transaction(lambda connection: table.create(connection, checkfirst=False))
    db.write_transaction(lambda connection, _: db.backend.append(connection, table, rows))
    stored = db.fetch_all(sa.select(table.c.at_time).distinct())
    db.read_transaction(lambda connection: table.drop(connection, checkfirst=False))
    assert stored == [(noon,)]


def test_long_texts_are_sent_one_by_one(store: Store) -> None:
    long = "ü" * 40_000
    with store.session("churn") as session:
        session.log_metadata({"a": "short", "b": long, "c": "short", "d": long + "x", "e": "short"})
    stored = store.metadata(session.session_id).set_index("meta_name")["value"].to_dict()
    assert stored == {"a": "short", "b": long, "c": "short", "d": long + "x", "e": "short"}
