"""Scores to load: a frame in random order, and files prepared for each database's own loader."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

__all__ = ["COLUMNS", "NEW_SESSION", "ORDERS", "Data", "make"]

COLUMNS = ("session_no", "entity_id", "score", "score_class", "part_no")
ORDERS = ("sorted", "given")
CLASSES = ("A", "B", "C", "D", "E")
NEW_SESSION = 2
"""The session that is loaded; session 1 is in the table already."""
FRAMES = "frames.arrow"
INSERTED_ROWS = 100_000


@dataclass(frozen=True)
class Data:
    """Where the rows of one size are.

    Attributes:
        folder: holds the files `sorted.csv` and `given.csv`, for SQLite the same as tables of
            `source.db`, and frames of customer_id, score and score_class in random order.
        rows: how many.
        total: the sum of the scores, to check what arrived.
    """

    folder: Path
    rows: int
    total: float

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the frames, holding one at a time."""
        with pa.OSFile(str(self.folder / FRAMES)) as opened:
            file = pa.ipc.open_file(opened)
            yield from (file.get_batch(n).to_pandas() for n in range(file.num_record_batches))

    def file(self, order: str) -> Path:
        """Return the CSV file of an order, `sorted` or `given`."""
        return self.folder / f"{order}.csv"


def make(folder: Path, rows: int, frame_rows: int, ids: str, seed: int, attached: bool) -> Data:
    """Write the rows of one size.

    Args:
        folder: where to; made.
        rows: how many.
        frame_rows: of the frames that they are read in.
        ids: `customer`: C and nine digits; `uuid`: 36 characters.
        seed: of the generator.
        attached: whether SQLite is going to read them too.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 5, rows)
    letters = np.array(CLASSES)[np.minimum((score * len(CLASSES)).astype(int), len(CLASSES) - 1)]
    entity = _customers(rng, rows) if ids == "customer" else _uuids(rng, rows)
    frame = pa.table({"customer_id": entity, "score": score, "score_class": letters})
    data = Data(folder, rows, float(score.sum()))
    # Not Parquet: reading that ahead takes 200 MB, which would count as the writer's.
    with pa.ipc.new_file(str(folder / FRAMES), frame.schema) as file:
        file.write_table(frame.combine_chunks(), max_chunksize=frame_rows)
    for order in ORDERS:
        ordered = frame if order == "given" else frame.sort_by("customer_id")
        table = _whole(ordered)
        options = csv.WriteOptions(include_header=False, quoting_style="none")
        csv.write_csv(table, data.file(order), options)
        if attached:
            _attachable(table, folder / "source.db", order)
    return data


def _customers(rng: np.random.Generator, rows: int) -> pa.Array:
    drawn = np.unique(rng.integers(0, 10**9, rows + rows // 20 + 10))
    digits = pc.cast(pa.array(rng.permutation(drawn)[:rows]), pa.string())
    return pc.binary_join_element_wise("C", pc.utf8_lpad(digits, 9, "0"), "")


def _uuids(rng: np.random.Generator, rows: int) -> pa.Array:
    digits = np.frombuffer(rng.bytes(16 * rows).hex().encode(), np.uint8).reshape(rows, 32)
    dash = np.full((rows, 1), ord("-"), np.uint8)
    ends = np.split(digits, [8, 12, 16, 20], axis=1)
    text = np.hstack([part for end in ends[:-1] for part in (end, dash)] + [ends[-1]])
    fixed = pa.Array.from_buffers(pa.binary(36), rows, [None, pa.py_buffer(text.tobytes())])
    return pc.cast(pc.cast(fixed, pa.binary()), pa.string())


def _whole(frame: pa.Table) -> pa.Table:
    number, part = (pa.repeat(pa.scalar(n, pa.int32()), len(frame)) for n in (NEW_SESSION, 1))
    return pa.table([number, *frame.columns, part], list(COLUMNS))


def _attachable(table: pa.Table, path: Path, order: str) -> None:
    key = ", PRIMARY KEY (session_no, entity_id)) WITHOUT ROWID" if order == "sorted" else ")"
    with closing(sqlite3.connect(path)) as source, source:
        source.execute(
            f"CREATE TABLE {order} (session_no INTEGER NOT NULL, entity_id TEXT NOT NULL, "
            f"score REAL NOT NULL, score_class TEXT, part_no INTEGER NOT NULL{key}"
        )
        for batch in table.to_batches(max_chunksize=INSERTED_ROWS):
            rows = zip(*(column.to_pylist() for column in batch), strict=True)
            source.executemany(f"INSERT INTO {order} VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608
