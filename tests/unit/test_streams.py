"""Rows that a model's function produces: streamed, or whole with the reason; recorded alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from pydantic import SecretStr

from mfprefect.inputs.reader import Read, Reader
from mfprefect.inputs.stream import ONE_BATCH, Unstreamable, Whole, streamed
from mfprefect.settings import Settings, Source, load_settings


def rows(n: int) -> pd.DataFrame:
    moments = [dt.datetime(2026, 1, 1) + dt.timedelta(hours=number) for number in range(n)]
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "x": [None if number % 3 == 0 else number / 7 for number in range(n)],
            "text": [None if number % 5 == 0 else f"é{number}" for number in range(n)],
            "day": pd.Series([moment.date() for moment in moments], dtype=object),
            "at": pd.to_datetime(moments),
            "level": pd.Categorical(["a", "b"] * (n // 2) + ["a"] * (n % 2), categories=["a", "b"]),
        }
    )


def pieces(frame: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    for start in range(0, max(len(frame), 1), size):
        yield frame.iloc[start : start + size]


class Reads:
    """A reader, and what it records."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.recorded: list[Read] = []
        self.reader = Reader(settings, self.recorded.append)

    def stream(self, produce: Any, rows: int) -> list[Any]:
        return list(streamed(self.reader, produce, "scoring_data part 1", rows))


def same_but_seconds(one: list[Read], other: list[Read]) -> bool:
    return [{**vars(read), "seconds": 0} for read in one] == [
        {**vars(read), "seconds": 0} for read in other
    ]


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 12), st.booleans())
def test_batches_are_the_rows_and_recorded_as_if_read_whole(
    n: int, size: int, batch: int, arrow: bool
) -> None:
    frame = rows(n)

    def produce() -> Iterator[Any]:
        for piece in pieces(frame, size):
            yield pa.RecordBatch.from_pandas(piece, preserve_index=False) if arrow else piece

    streaming, reading = Reads(), Reads()
    whole = reading.reader.load(produce, "scoring_data part 1")
    frames = streaming.stream(produce, batch)
    if n <= batch:
        (only,) = frames
        assert isinstance(only, Whole) and only.reason == ONE_BATCH
        pd.testing.assert_frame_equal(only.frame, whole)
    else:
        assert [len(each) for each in frames[:-1]] == [batch] * (len(frames) - 1)
        pd.testing.assert_frame_equal(pd.concat(frames), whole)  # the labels, too
    assert same_but_seconds(streaming.recorded, reading.recorded)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (pd.DataFrame({"id": [3.5]}), "the columns or types of the batches differ"),
        (pd.DataFrame({"other": [3]}), "the columns or types of the batches differ"),
    ],
)
def test_other_types_end_the_stream_and_nothing_is_recorded(
    second: pd.DataFrame, reason: str
) -> None:
    reads = Reads()
    frames = [pd.DataFrame({"id": [1]}), pd.DataFrame({"id": [2]}), second]
    with pytest.raises(Unstreamable, match=reason):
        reads.stream(lambda: iter(frames), 1)
    assert not reads.recorded


def test_other_objects_in_a_column_end_the_stream() -> None:
    frames = [pd.DataFrame({"x": pd.Series([value], dtype=object)}) for value in (1, None, "a")]
    reads = Reads()
    with pytest.raises(Unstreamable, match="the column 'x' holds values of other types"):
        reads.stream(lambda: iter(frames), 1)
    assert not reads.recorded


@pytest.mark.parametrize(
    "what", [rows(4), pa.Table.from_pandas(rows(4)), [rows(4)], (rows(4),)], ids=type
)
def test_what_is_in_memory_is_whole(what: Any) -> None:
    reads = Reads()
    (only,) = reads.stream(lambda: what, 2 if not isinstance(what, list | tuple) else 4)
    assert isinstance(only, Whole) and len(only.frame) == 4
    assert [read.rows for read in reads.recorded] == [4]


def test_a_reader_of_arrow_batches_is_streamed() -> None:
    table = pa.Table.from_pandas(rows(10), preserve_index=False)
    reads = Reads()
    frames = reads.stream(lambda: table.to_reader(max_chunksize=3), 4)
    assert [len(frame) for frame in frames] == [4, 4, 2]
    assert reads.recorded[0].rows == 10


@pytest.fixture
def warehouse(tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path / 'source.db'}"
    engine = sa.create_engine(url)
    rows(10)[["id", "x", "text"]].to_sql("customers", engine, index=False)
    engine.dispose()
    return load_settings(sources={"dwh": Source(url=SecretStr(url))}, default_source="dwh")


SQL = "SELECT id, x, text FROM customers WHERE id >= :low ORDER BY id"


def test_a_query_that_the_model_returns_unread_is_recorded_once(warehouse: Settings) -> None:
    streaming, reading = Reads(warehouse), Reads(warehouse)
    whole = reading.reader.read(SQL, low=2)
    frames = streaming.stream(lambda: streaming.reader.read(SQL, low=2), 3)
    together = pd.concat([each.frame if isinstance(each, Whole) else each for each in frames])
    pd.testing.assert_frame_equal(together, whole)
    assert same_but_seconds(streaming.recorded, reading.recorded)


def test_a_parameter_of_a_query_may_have_any_name(warehouse: Settings) -> None:
    reads = Reads(warehouse)
    query = "SELECT id FROM customers WHERE id >= :rows"
    frames = reads.stream(lambda: reads.reader.read(query, rows=4), 3)
    assert sum(len(f.frame if isinstance(f, Whole) else f) for f in frames) == 6


def test_a_query_that_the_model_looked_at_is_whole_and_recorded_once(warehouse: Settings) -> None:
    reads = Reads(warehouse)

    def produce() -> pd.DataFrame:
        frame = reads.reader.read(SQL, low=2)
        assert frame["id"].min() == 2
        return frame

    (only,) = reads.stream(produce, 3)
    assert isinstance(only, Whole) and type(only.frame) is pd.DataFrame
    assert len(reads.recorded) == 1

    def changed() -> pd.DataFrame:
        return reads.reader.read(SQL, low=2).assign(twice=lambda frame: 2 * frame["x"])

    (only,) = reads.stream(changed, 3)
    assert list(only.frame.columns) == ["id", "x", "text", "twice"]
    assert reads.reader.read(SQL, low=9)["id"].tolist() == [9]  # no longer put off


def test_sql_text_is_read_from_the_default_source(warehouse: Settings) -> None:
    reads = Reads(warehouse)
    frames = reads.stream(lambda: "SELECT id FROM customers", 3)
    assert sum(len(f.frame if isinstance(f, Whole) else f) for f in frames) == 10
    assert [read.source for read in reads.recorded] == ["dwh"]
