# ruff: noqa: S608 - queries of the tests themselves
"""Reading by FastExport on an emulated Teradata: what it returns is what a query returns."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import ConfigurationError, DatabaseError, Store
from mfprefect.errors import DatabaseConflict, DatabaseUnavailable
from mfprefect.inputs.frames import as_frame
from mfprefect.inputs.reader import Read, Reader
from mfprefect.settings import load_settings
from mfprefect_dev.teradata import EmulatedTeradata
from mfprefect_dev.teradata.engine.locks import LIMITS
from mfprefect_dev.teradata.engine.transactions import WATCHERS, Seen

ROWS = 200


@pytest.fixture(scope="module")
def url(emulated_teradata: EmulatedTeradata) -> Iterator[str]:
    with emulated_teradata.new_database(schema=True) as database_url:
        yield database_url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with mfprefect.connect(url, heartbeat_seconds=600, retry_seconds=10) as opened:
        opened.add_model("churn")
        opened.database.backend.unloads_from = ROWS
        yield opened


@pytest.fixture
def exports() -> Iterator[list[str]]:
    """The texts of all that FastExport reads."""
    texts: list[str] = []

    def watch(seen: Seen) -> None:
        if seen.kind == "fastexport":
            texts.append(seen.text)

    WATCHERS.append(watch)
    yield texts
    WATCHERS.remove(watch)


def frame(rows: int, letter: str = "c") -> pd.DataFrame:
    numbers = np.arange(rows)
    return pd.DataFrame(
        {
            "id": [f"{'Bäa'[n % 3]}{letter}{n}" for n in numbers],
            "score": numbers / 7 + 0.1,
            "kind": [None if n % 5 == 0 else f"k{n % 3}" for n in numbers],
        }
    )


def scored(store: Store, rows: pd.DataFrame) -> str:
    with store.session("churn", purpose="score") as session:
        for half in (rows[::2], rows[1::2]):
            session.write_scores(half, "id", score_class="kind")
    return session.session_id


def ordinary(store: Store, session_id: str) -> pd.DataFrame:
    """Return scores without FastExport."""
    backend = store.database.backend
    before, backend.unloads_from = backend.unloads_from, 0
    try:
        return store.scores(session_id)
    finally:
        backend.unloads_from = before


def test_many_scores_are_the_same_by_fastexport(store: Store, exports: list[str]) -> None:
    session_id = scored(store, frame(ROWS))
    expected = ordinary(store, session_id)
    assert not exports
    assert len(expected) == ROWS
    pd.testing.assert_frame_equal(store.scores(session_id), expected)
    assert len(exports) == 1
    assert exports[0].startswith("LOCKING ROW FOR ACCESS SELECT ")
    assert "ORDER BY" in exports[0]
    batches = list(store.iter_scores(session_id))
    assert sum(batch.num_rows for batch in batches) == ROWS
    pd.testing.assert_frame_equal(
        store.current_scores("churn")[expected.columns.tolist()], expected
    )
    assert len(exports) == 3


def test_small_reads_take_no_slot(store: Store, exports: list[str]) -> None:
    few, many = scored(store, frame(ROWS - 1)), scored(store, frame(ROWS))
    assert len(store.scores(few)) == ROWS - 1
    assert len(store.scores(many, at_least=0.2)) == ROWS - 1
    assert len(store.scores(many, entity_ids=["Bc0"])) == 1
    with store.session("churn", purpose="score") as session:
        session.write_scores(frame(ROWS), "id")
        assert store.scores(session.session_id).empty  # not published
    assert not exports


def test_the_url_can_forbid_it(url: str, exports: list[str]) -> None:
    for option, least in (("", 100_000), ("&fastexport=true", 100_000), ("&fastexport=false", 0)):
        with mfprefect.connect(url + option) as store:
            assert store.database.backend.unloads_from == least
            assert store.models() is not None
    with pytest.raises(ConfigurationError, match=r"fastexport=always.*true or false"):
        mfprefect.connect(url + "&fastexport=always")


@pytest.mark.parametrize("code", [2633, 3523, 3695, 2631])
def test_what_fastexport_refuses_is_read_by_a_query(
    store: Store,
    exports: list[str],
    url: str,
    emulated_teradata: EmulatedTeradata,
    caplog: pytest.LogCaptureFixture,
    code: int,
) -> None:
    caplog.set_level(logging.INFO, "mfprefect_backends")
    session_id = scored(store, frame(ROWS))
    expected = ordinary(store, session_id)
    emulated_teradata.inject(url, code, match="ORDER BY scores.entity_id")
    pd.testing.assert_frame_equal(store.scores(session_id), expected)
    assert emulated_teradata.left(url) == 0
    assert not exports
    assert f"{ROWS} scores are read without FastExport" in caplog.text
    assert f"error {code}" in caplog.text


@pytest.mark.parametrize(
    ("letter", "reason"),
    [("\U0001f600", "stand for a character"), ("\ufffd", "stand for a character")],
)
def test_characters_that_fastexport_may_lose(
    store: Store, exports: list[str], caplog: pytest.LogCaptureFixture, letter: str, reason: str
) -> None:
    caplog.set_level(logging.INFO, "mfprefect_backends")
    session_id = scored(store, frame(ROWS, letter))
    pd.testing.assert_frame_equal(store.scores(session_id), ordinary(store, session_id))
    assert set(store.scores(session_id)["entity_id"]) == set(frame(ROWS, letter)["id"])
    assert exports
    assert reason in caplog.text


def test_another_order_is_noticed(
    store: Store,
    exports: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "mfprefect_backends")
    session_id = scored(store, frame(ROWS))
    expected = ordinary(store, session_id)
    monkeypatch.setattr(LIMITS, "export_reorders", True)
    pd.testing.assert_frame_equal(store.scores(session_id), expected)
    assert exports
    assert "the rows came in another order" in caplog.text


def test_errors_are_those_of_a_query(
    store: Store, url: str, emulated_teradata: EmulatedTeradata
) -> None:
    session_id = scored(store, frame(ROWS))
    reading = "ORDER BY scores.entity_id"
    emulated_teradata.inject(url, 804, match=reading)
    with pytest.raises(DatabaseUnavailable, match="804"):
        store.scores(session_id)
    emulated_teradata.inject(url, 2631, match=reading, times=2)
    with pytest.raises(DatabaseConflict, match="2631"):
        store.scores(session_id)
    assert emulated_teradata.left(url) == 0
    assert len(store.scores(session_id)) == ROWS


# Sources

TYPES: dict[str, list[Any]] = {
    "BYTEINT": [1, -128],
    "SMALLINT": [-32768],
    "INTEGER": [2**31 - 1],
    "BIGINT": [2**63 - 1, 2**53 + 1, -(2**63)],
    "FLOAT": [0.1, -1.5e300, 5e-324, 0.0],
    "DECIMAL(18, 2)": [1.25, -99999.5],
    "VARCHAR(30) CHARACTER SET UNICODE": ["", "ünïcödé", "a ", "€"],
    "VARBYTE(9)": [b"\x00\xff", b""],
    "DATE": [dt.date(2026, 2, 28), dt.date(1900, 1, 1), dt.date(9999, 12, 31)],
}
BY_QUERY: dict[str, list[Any]] = {
    "TIMESTAMP(6)": [dt.datetime(2026, 11, 30, 12, 34, 56, 789012)],
    "CLOB CHARACTER SET UNICODE": ["x" * 5, "y"],
    "VARCHAR(9) CHARACTER SET UNICODE": ["\U0001f600", "\ufffd"],
}


class Source:
    """A source that is read with FastExport and without."""

    def __init__(self, url: str) -> None:
        self.reads: list[Read] = []
        sources = {"fast": {"url": url + "&fastexport=true"}, "plain": {"url": url}}
        self.reader = Reader(load_settings(sources=sources), self.reads.append)

    def execute(self, text: str, rows: list[list[Any]] | None = None) -> None:
        with self.reader.connected("plain") as (connection, _):
            driver: Any = connection.connection.dbapi_connection
            with driver.cursor() as cursor:
                if rows is None:
                    cursor.execute(text)
                else:
                    cursor.executemany(text, rows)
            driver.commit()

    def fill(self, kind: str, cells: list[Any]) -> None:
        self.execute(f"CREATE MULTISET TABLE r (n INTEGER NOT NULL, x {kind}) PRIMARY INDEX (n)")
        rows = [[n, cell] for n, cell in enumerate(cells)]
        for row in rows:  # one by one: a LOB takes no other way
            self.execute("INSERT INTO r (n, x) VALUES (?, ?)", [row])
        self.execute(f"INSERT INTO r (n) VALUES ({len(cells)})")

    def verify(self, query: str, **params: Any) -> pd.DataFrame:
        """Read in each way, require that all agree; return the frame."""
        expected = self.reader.read(query, "plain", **params)
        frame = self.reader.read(query, "fast", **params)
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)
        for place in range(len(expected.columns)):
            cells, others = frame.iloc[:, place].tolist(), expected.iloc[:, place].tolist()
            assert list(map(type, cells)) == list(map(type, others))
        plain, fast = self.reads[-2:]
        assert (fast.digest, fast.columns, fast.rows) == (plain.digest, plain.columns, plain.rows)
        return frame


@pytest.fixture
def source(url: str) -> Iterator[Source]:
    made = Source(url)
    yield made
    made.execute("DROP TABLE r")


@pytest.mark.parametrize("kind", TYPES)
def test_types(source: Source, exports: list[str], kind: str) -> None:
    source.fill(kind, TYPES[kind])
    last = len(TYPES[kind])
    conditions = (f"n < {last}", "n >= 0", f"n BETWEEN {last} AND 99", "n > 99")
    for condition in conditions:
        source.verify(f"SELECT n, x FROM r WHERE {condition} ORDER BY n")
    assert len(exports) == len(conditions)


@pytest.mark.parametrize("kind", BY_QUERY)
def test_what_a_query_reads_better(source: Source, kind: str) -> None:
    source.fill(kind, BY_QUERY[kind])
    frame = source.verify("SELECT n, x FROM r WHERE n >= 0 ORDER BY n")
    assert frame["x"].tolist()[:-1] == BY_QUERY[kind]


CELLS = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0),
    st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    st.none() | st.binary(max_size=9),
    st.none() | st.dates(dt.date(1000, 1, 1)),
)


@given(st.lists(CELLS, max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows(url: str, rows: list[tuple[Any, ...]]) -> None:
    source = Source(url)
    columns = "i BIGINT, f FLOAT, t VARCHAR(30) CHARACTER SET UNICODE, b VARBYTE(9), d DATE"
    source.execute(f"CREATE MULTISET TABLE r (n INTEGER NOT NULL, {columns}) PRIMARY INDEX (n)")
    try:
        for n, (*numbers, data, day) in enumerate(rows):
            # A row that is NULL throughout has no type for bytes.
            names, values = ["n", "i", "f", "t", "d"], [n, *numbers, day]
            if data is not None:
                names, values = [*names, "b"], [*values, data]
            marks = ", ".join("?" * len(names))
            source.execute(f"INSERT INTO r ({', '.join(names)}) VALUES ({marks})", [values])
        source.verify("SELECT n, i, f, t, b, d FROM r ORDER BY n")
        source.verify("SELECT t, n FROM r WHERE n > :low ORDER BY n DESC", low=1)
    finally:
        source.execute("DROP TABLE r")


def test_batches_and_parameters(source: Source, exports: list[str]) -> None:
    source.fill("FLOAT", [n / 3 for n in range(25)])
    query = "SELECT x, n FROM r WHERE n > :low AND n IN :ns ORDER BY n DESC"
    params: dict[str, Any] = {"low": 2, "ns": list(range(0, 20, 2))}
    expected = source.verify(query, **params)
    assert expected["n"].tolist() == list(range(18, 2, -2))
    with source.reader.batches(query, "fast", rows=3, **params) as batches:
        assert batches.whole is None
        frames = [as_frame(batch) for batch in batches]
    assert [len(piece) for piece in frames] == [3, 3, 2]
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), expected)
    assert len(exports) == 2


def test_a_source_is_exported_only_if_its_url_says_so(
    source: Source, exports: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mfprefect.inputs")
    source.fill("FLOAT", [1.0])
    source.reader.read("SELECT n FROM r ORDER BY n", "plain")
    assert not exports
    assert "its URL does not ask for FastExport" in caplog.text
    source.reader.read("SELECT x FROM r WHERE n = 0", "fast")
    assert not exports
    assert "FastExport cannot read it: it failed with error 3695" in caplog.text
    source.reader.read("WITH w (m) AS (SELECT n FROM r) SELECT m FROM w ORDER BY m", "fast")
    assert not exports
    assert "FastExport takes a SELECT only" in caplog.text


def test_errors_of_a_source_are_those_of_a_query(
    source: Source, url: str, emulated_teradata: EmulatedTeradata
) -> None:
    source.fill("FLOAT", [1.0])
    queries: list[tuple[str, dict[str, Any]]] = [
        ("SELECT nosuch FROM r", {}),
        ("SELECT n FROM nosuch WHERE n > :n", {"n": 1}),
        ("SELECT n FROM r WHERE n > :n", {}),
    ]
    for query, params in queries:
        with pytest.raises(DatabaseError) as plain:
            source.reader.read(query, "plain", **params)
        with pytest.raises(DatabaseError) as fast:
            source.reader.read(query, "fast", **params)
        assert type(fast.value) is type(plain.value)
        assert "s3cret" not in str(fast.value)
    emulated_teradata.inject(url, 804, match="SELECT n")
    with pytest.raises(DatabaseUnavailable, match="804"):
        source.reader.read("SELECT n FROM r WHERE n > 0", "fast")
    assert not source.reads
