from __future__ import annotations

import itertools
import re
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect.errors import (
    BackendNotFound,
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailable,
    InvalidValue,
)
from mfprefect.inputs.digest import FrameDigest
from mfprefect.inputs.frames import as_frame
from mfprefect.inputs.reader import Read, Reader, frame_digest
from mfprefect.settings import load_settings

untimed = settings(deadline=None)

CUSTOMERS = pd.DataFrame({"id": [1, 2, 3], "since": ["2024-01-01", "2025-06-30", "2026-11-23"]})
BALANCES = [0.5, -1.25, 1e300]


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    engine = sa.create_engine(url)
    CUSTOMERS.assign(balance=BALANCES).to_sql("customers", engine, index=False)
    engine.dispose()
    return url


@pytest.fixture
def reads() -> list[Read]:
    return []


@pytest.fixture
def reader(warehouse: str, reads: list[Read], tmp_path: Path) -> Reader:
    sources = {
        "dwh": {"url": warehouse},
        "crm": {"url": f"sqlite:///{tmp_path / 'missing' / 'crm.db'}"},
        "away": {"url": "postgresql://ann:S3cr3t@127.0.0.1:1/db"},
        "lake": {"url": "nosuchdb://ann:S3cr3t@host/db"},
        "typo": {"url": "postgresql//ann:S3cr3t@host/db"},
    }
    return Reader(load_settings(sources=sources, default_source="dwh"), reads.append)


# SQL


def test_sql_with_parameters_from_a_named_source(reader: Reader, reads: list[Read]) -> None:
    text = "SELECT id, balance FROM customers WHERE since <= :as_of ORDER BY id"
    frame = reader.read(text, "dwh", as_of="2025-12-31")
    expected = pd.DataFrame({"id": [1, 2], "balance": BALANCES[:2]})
    pd.testing.assert_frame_equal(frame, expected)
    assert len(reads) == 1
    assert (reads[0].source, reads[0].query, reads[0].rows) == ("dwh", text, 2)
    assert reads[0].columns == {"id": "int64", "balance": "float64"}
    assert reads[0].digest == frame_digest(expected)
    assert reads[0].seconds > 0


def test_sql_from_the_default_source(reader: Reader, reads: list[Read]) -> None:
    assert len(reader.read("SELECT * FROM customers")) == 3
    assert reads[0].source == "dwh"


def test_a_parameter_is_a_value_and_never_sql(reader: Reader) -> None:
    text = "SELECT * FROM customers WHERE since = :since"
    assert reader.read(text, since="' OR 1=1 --").empty


def test_the_settings_in_force_are_used(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFPREFECT_SOURCES__DWH__URL", warehouse)
    assert len(Reader().read("SELECT * FROM customers", "dwh")) == 3


def test_an_unknown_source_names_the_sources_and_the_fix(reader: Reader) -> None:
    with pytest.raises(
        ConfigurationError, match="no source 'dhw'; the sources: dwh, crm"
    ) as caught:
        reader.read("SELECT 1", "dhw")
    assert '[sources.dhw] url = ".."' in str(caught.value)


def test_sql_without_any_source_names_the_fix() -> None:
    with pytest.raises(ConfigurationError, match=r"the sources: none.*\[sources.warehouse\]"):
        Reader(load_settings()).read("SELECT 1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT * FROM customer", "no such table: customer"),
        ("SELEKT 1", "syntax error"),
        ("SELECT * FROM customers WHERE since <= :as_of", "parameter 'as_of'"),
        ("CREATE TABLE other (id INTEGER)", "does not return rows"),
    ],
)
def test_sql_that_fails_is_an_error_of_ours(
    reader: Reader, reads: list[Read], text: str, says: str
) -> None:
    with pytest.raises(DatabaseError, match=f"^source 'dwh' says: .*{re.escape(says)}") as caught:
        reader.read(text)
    assert not caught.value.transient
    assert reads == []


def test_a_database_that_cannot_be_opened(reader: Reader) -> None:
    with pytest.raises(DatabaseError, match=r"^source 'crm' says: unable to open"):
        reader.read("SELECT 1", "crm")


def test_a_server_that_is_away_is_transient_and_its_password_unknown(reader: Reader) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"^source 'away' says: ") as caught:
        reader.read("SELECT 1", "away")
    assert caught.value.transient
    assert "S3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "error"), [("lake", BackendNotFound), ("typo", ConfigurationError)]
)
def test_a_url_that_nobody_serves(reader: Reader, source: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        reader.read("SELECT 1", source)
    assert "S3cr3t" not in str(caught.value)


# Files


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.csv", lambda frame, path: frame.to_csv(path, index=False)),
        ("x.csv.gz", lambda frame, path: frame.to_csv(path, index=False)),
        ("X.CSV", lambda frame, path: frame.to_csv(path, index=False)),
        ("x.parquet", lambda frame, path: frame.to_parquet(path)),
        ("x.feather", lambda frame, path: frame.to_feather(path)),
    ],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_files_are_read_by_their_endings(
    reader: Reader,
    reads: list[Read],
    tmp_path: Path,
    kind: Callable[[Path], Any],
    name: str,
    write: Callable[[pd.DataFrame, Path], None],
) -> None:
    path = tmp_path / name
    write(CUSTOMERS, path)
    pd.testing.assert_frame_equal(reader.read(kind(path)), CUSTOMERS)
    assert (reads[0].source, reads[0].query, reads[0].rows) == (str(path), None, 3)
    assert reads[0].digest == frame_digest(CUSTOMERS)


def test_a_missing_file_is_named(reader: Reader) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.csv"):
        reader.read("nowhere.csv")


def test_a_path_of_another_ending_names_the_endings(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"x.sas'; supported endings are .parquet, .csv"):
        reader.read(tmp_path / "x.sas")


def test_sql_that_ends_like_a_file_is_sql_if_it_has_lines(reader: Reader) -> None:
    assert len(reader.read("SELECT * FROM customers\n-- was: customers.csv")) == 3


# What is in memory


def test_frames_and_arrow_are_taken_as_they_are(reader: Reader, reads: list[Read]) -> None:
    table = pa.Table.from_pandas(CUSTOMERS)
    assert reader.read(CUSTOMERS) is CUSTOMERS
    for data in (table, table.to_batches()[0]):
        pd.testing.assert_frame_equal(reader.read(data), CUSTOMERS)
    assert [(read.source, read.query, read.rows) for read in reads] == [("frame", None, 3)] * 3
    assert len({read.digest for read in reads}) == 1


def test_batches_become_one_frame(reader: Reader, reads: list[Read]) -> None:
    table = pa.Table.from_pandas(CUSTOMERS)
    pieces = (piece for piece in [CUSTOMERS[:1], table.slice(1, 1), table.slice(2).to_batches()[0]])
    pd.testing.assert_frame_equal(reader.read(pieces), CUSTOMERS)
    assert [read.rows for read in reads] == [3]
    assert reads[0].digest == frame_digest(CUSTOMERS)
    assert reader.read([]).empty


@pytest.mark.parametrize("what", [3, None, 1.5, [3]])
def test_other_things_cannot_be_read(reader: Reader, reads: list[Read], what: Any) -> None:
    with pytest.raises(InvalidValue, match=r"cannot read a .*; pass SQL text, a path, a frame"):
        reader.read(what)
    assert reads == []


def test_reading_needs_no_listener() -> None:
    assert Reader().read(CUSTOMERS) is CUSTOMERS


# What a model hands over


def test_what_read_returned_is_not_recorded_twice(reader: Reader, reads: list[Read]) -> None:
    frame = reader.load(lambda: reader.read("SELECT * FROM customers"), "training_data")
    assert len(frame) == 3
    assert [read.source for read in reads] == ["dwh"]


def test_a_frame_made_of_what_was_read_is_recorded(reader: Reader, reads: list[Read]) -> None:
    reader.load(lambda: reader.read("SELECT * FROM customers").query("id > 1"), "training_data")
    assert [(read.source, read.rows) for read in reads] == [("dwh", 3), ("training_data", 2)]


def test_a_frame_of_its_own_is_recorded_under_its_name(reader: Reader, reads: list[Read]) -> None:
    assert reader.load(lambda: CUSTOMERS, "scoring_data part 2") is CUSTOMERS
    assert [(read.source, read.rows) for read in reads] == [("scoring_data part 2", 3)]


def test_sql_that_a_model_hands_over_is_read(reader: Reader, reads: list[Read]) -> None:
    assert len(reader.load(lambda: "SELECT * FROM customers", "training_data")) == 3
    assert [(read.source, read.query) for read in reads] == [("dwh", "SELECT * FROM customers")]


# The digest of a frame

OTHERS: dict[str, list[Any]] = {"int64": [0, 1], "float64": [0.5, 1.5], "str": ["", "a"]}
CELLS = st.one_of(
    st.tuples(st.just("int64"), st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=5)),
    st.tuples(st.just("float64"), st.lists(st.floats(allow_nan=False), min_size=2, max_size=5)),
    st.tuples(
        st.just("str"),
        st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=5),
    ),
)


def column(kind: str, cells: list[Any], name: str = "x") -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(cells, dtype=object if kind == "str" else kind)})


@untimed
@given(CELLS, st.data())
def test_the_digest_is_of_the_content(cells: tuple[str, list[Any]], data: st.DataObject) -> None:
    kind, values = cells
    frame = column(kind, values)
    digest = frame_digest(frame)
    moved = frame.set_axis(range(7, 7 + len(values)))
    assert frame_digest(moved) == frame_digest(frame.copy()) == digest
    assert frame_digest(frame.rename(columns={"x": "y"})) != digest
    assert frame_digest(frame[:-1]) != digest
    place = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(st.sampled_from(OTHERS[kind]))
    changed = [*values[:place], other, *values[place + 1 :]]
    assert (frame_digest(column(kind, changed)) == digest) == (changed == values)
    turned = values[::-1]
    assert (frame_digest(column(kind, turned)) == digest) == (turned == values)


@pytest.mark.parametrize("kind", ["int32", "float64", "Int64", "object", "category"])
def test_another_type_is_another_digest(kind: Any) -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    assert frame_digest(frame.astype(kind)) != frame_digest(frame)


def test_the_place_of_a_cell_matters() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [2, 1]})
    for other in (
        frame[["b", "a"]],
        frame[::-1],
        frame.rename(columns={"a": "b", "b": "a"}),
        frame.drop(columns="b"),
        pd.DataFrame({"a": [1, 2], "b": [1, 2]}),
    ):
        assert frame_digest(other) != frame_digest(frame)


@pytest.mark.parametrize("other", ["nan", "None", "<NA>", ""])
def test_a_missing_text_is_no_text(other: str) -> None:
    missing = pd.DataFrame({"x": ["a", None]})
    assert frame_digest(missing) != frame_digest(pd.DataFrame({"x": ["a", other]}))


def test_frames_of_every_kind_have_a_digest() -> None:
    frames = [
        pd.DataFrame(),
        pd.DataFrame({"x": []}),
        pd.DataFrame({"x": [[1, 2], [3]]}),
        pd.DataFrame({"x": [{"a": 1}, {"a": 2}]}),
        pd.DataFrame({"x": [pd.Timestamp("2026-11-23"), pd.NaT]}),
        pd.DataFrame({"x": np.array([np.nan, 1.0])}),
        pd.DataFrame([[1, 2]], columns=["x", "x"]),
    ]
    digests = [frame_digest(frame) for frame in frames]
    assert len(set(digests)) == len(frames)
    assert all(re.fullmatch("2:[0-9a-f]{62}", digest) for digest in digests)
    assert frame_digest(pd.DataFrame({"x": [[1, 2], [4]]})) not in digests


# Batches


def test_batches_have_the_rows_and_the_record_of_a_read(reader: Reader, reads: list[Read]) -> None:
    frame = reader.read("SELECT * FROM customers")
    with reader.batches("SELECT * FROM customers", rows=2) as batches:
        assert batches.whole is None
        assert batches.schema is not None
        assert batches.schema.names == ["id", "since", "balance"]
        pieces = [as_frame(batch, typed=True) for batch in batches]
        assert len(reads) == 2
    assert [len(piece) for piece in pieces] == [2, 1]
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), frame)
    assert vars(reads[0]) | {"seconds": 0} == vars(reads[1]) | {"seconds": 0}


def test_what_has_no_batches_is_one_frame(reader: Reader, reads: list[Read]) -> None:
    with reader.batches(CUSTOMERS) as batches:
        assert batches.frame is CUSTOMERS
        assert batches.whole == "it is no SQL text"
        with pytest.raises(InvalidValue, match="there are no batches, because it is no SQL text"):
            next(iter(batches))
    assert [read.rows for read in reads] == [3]
    with pytest.raises(InvalidValue, match="rows=0"), reader.batches("SELECT 1", rows=0):
        pass


def test_why_rows_came_through_the_driver_is_said_once(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mfprefect")
    for _ in range(2):
        assert reader.read("PRAGMA user_version").to_numpy().tolist() == [[0]]
    assert caplog.text.count("source 'dwh' is read by the rows of its driver, because") == 1


def test_a_batch_without_a_value_keeps_the_type_of_its_column() -> None:
    table = pa.table(
        {
            "i": pa.array([None, None], pa.int64()),
            "f": pa.array([None, None], pa.float64()),
            "s": pa.array([None, None], pa.large_string()),
            "t": pa.array([None, None], pa.timestamp("us", "Europe/Berlin")),
            "d": pa.array([None, None], pa.date32()),
        }
    )
    dtypes = ["float64", "float64", "str", "datetime64[us, UTC]", "object"]
    assert [str(dtype) for dtype in as_frame(table, typed=True).dtypes] == dtypes
    assert {str(dtype) for dtype in as_frame(table).dtypes} == {"object"}


@untimed
@given(st.lists(st.integers(0, 6), max_size=4), st.booleans())
def test_the_digest_does_not_depend_on_the_cuts(cuts: list[int], nulls: bool) -> None:
    table = pa.table(
        {
            "i": pa.array([1, 2**60, None if nulls else 3, 4, 5, 6]),
            "f": pa.array([0.5, float("nan"), None, 1.0, -0.0, 2.0]),
            "s": pa.array(["a", "", None, "bc", "d", "é"], pa.large_string()),
            "b": pa.array([True, None, False, True, True, False]),
            "n": pa.nulls(6),
        }
    )
    digest = FrameDigest(table.schema)
    for start, end in itertools.pairwise([0, *sorted(cuts), 6]):
        for batch in table.slice(start, end - start).to_batches():
            digest.update(batch)
    frame = as_frame(table)
    assert digest.hexdigest() == frame_digest(frame)
    assert digest.dtypes == [str(dtype) for dtype in frame.dtypes]


# A server that does not answer


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_source_that_does_not_answer_fails_after_the_stores_timeout(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        port = server.getsockname()[1]
        for _ in range(2):  # its queue is full: further connections hang
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        url = f"{scheme}://ann:S3cr3t@127.0.0.1:{port}/db"
        source = Reader(load_settings(sources={"away": {"url": url}}, connect_timeout=2))
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="source 'away' says") as caught:
            source.read("SELECT 1", source="away")
        assert "S3cr3t" not in str(caught.value)
        assert time.monotonic() - started < 60  # the system's own limit is two minutes
