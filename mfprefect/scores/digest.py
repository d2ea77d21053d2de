"""SHA-256 over the scores of a part, and scores sorted by part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfprefect.scores import SCHEMA

__all__ = ["by_part", "digest"]


def by_part(found: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.Table]]:
    """Yield the parts of batches that are sorted by their column `part_no`, one by one."""
    number, waiting = -1, [SCHEMA.empty_table()]
    for batch in found:
        rows = pa.Table.from_batches([batch])
        for part in pc.unique(rows["part_no"]).to_pylist():
            if part != number and len(waiting) > 1:
                yield number, pa.concat_tables(waiting).combine_chunks()
                waiting = [SCHEMA.empty_table()]
            mine = rows.filter(pc.equal(rows["part_no"], part)).select(SCHEMA.names)
            number = part
            waiting.append(mine.cast(SCHEMA))
    if len(waiting) > 1:
        yield number, pa.concat_tables(waiting).combine_chunks()


def digest(table: pa.Table) -> str:
    """Return the SHA-256 of a normalised table, the same however its rows were batched.

    Over, little-endian: the number of rows; the ids' lengths in bytes as int32, then the ids; the
    scores as IEEE 754 doubles, -0.0 as 0.0; the classes' lengths as int32 with -1 for NULL, then
    the classes.
    """
    sha = hashlib.sha256(b"mfprefect scores 1\0")
    sha.update(np.int64(table.num_rows).tobytes())
    for name in ("entity_id", "score", "score_class"):
        column = table[name].combine_chunks()
        if name == "score":
            # + 0.0 makes -0.0 the 0.0 that some databases store in its place.
            sha.update(np.ascontiguousarray(column.to_numpy() + 0.0, dtype="<f8").data)
            continue
        lengths = pc.fill_null(pc.binary_length(column), -1)
        sha.update(np.ascontiguousarray(lengths.to_numpy(), dtype="<i4").data)
        for text in _packed(column):
            sha.update(text)
    return sha.hexdigest()


def _packed(column: pa.Array) -> Iterator[Any]:
    # The bytes of all values one after the other; NULLs filled, so that none hides bytes.
    filled = pc.fill_null(column, "")
    offsets = np.frombuffer(filled.buffers()[1], dtype=np.int64)
    start, stop = offsets[filled.offset], offsets[filled.offset + len(filled)]
    if stop > start:
        yield memoryview(filled.buffers()[2])[start:stop]
