"""Digest the scores of a part, and split sorted batches into parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfprefect.scores import SCHEMA

__all__ = ["by_part", "digest"]


def by_part(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.Table]]:
    """Yield number and rows of each part; the batches are sorted by `part_no`."""
    number, pending = -1, [SCHEMA.empty_table()]
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        for part in pc.unique(rows["part_no"]).to_pylist():
            if part != number and len(pending) > 1:
                yield number, pa.concat_tables(pending).combine_chunks()
                pending = [SCHEMA.empty_table()]
            part_rows = rows.filter(pc.equal(rows["part_no"], part)).select(SCHEMA.names)
            number = part
            pending.append(part_rows.cast(SCHEMA))
    if len(pending) > 1:
        yield number, pa.concat_tables(pending).combine_chunks()


def digest(table: pa.Table) -> str:
    """Return the SHA-256 of a normalised table, independent of how its rows were batched.

    Content, little-endian: the number of rows; the ids' lengths in bytes as int32, then the ids;
    the scores as IEEE 754 doubles, -0.0 as 0.0; the classes' lengths as int32 with -1 for NULL,
    then the classes.
    """
    sha = hashlib.sha256(b"mfprefect scores 1\0")
    sha.update(np.int64(table.num_rows).tobytes())
    for name in ("entity_id", "score", "score_class"):
        column = table[name].combine_chunks()
        if name == "score":
            # + 0.0 turns -0.0 into 0.0, as some databases do.
            sha.update(np.ascontiguousarray(column.to_numpy() + 0.0, dtype="<f8").data)
            continue
        lengths = pc.fill_null(pc.binary_length(column), -1)
        sha.update(np.ascontiguousarray(lengths.to_numpy(), dtype="<i4").data)
        for text in _packed(column):
            sha.update(text)
    return sha.hexdigest()


def _packed(column: pa.Array) -> Iterator[Any]:
    # The bytes of all values; NULLs become empty, because a NULL can hide bytes in the buffer.
    filled = pc.fill_null(column, "")
    offsets = np.frombuffer(filled.buffers()[1], dtype=np.int64)
    start, stop = offsets[filled.offset], offsets[filled.offset + len(filled)]
    if stop > start:
        yield memoryview(filled.buffers()[2])[start:stop]
