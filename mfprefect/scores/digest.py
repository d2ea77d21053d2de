"""Digest the scores of a part, and split sorted batches into parts."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mfprefect.scores import SCHEMA

__all__ = ["ScoreDigest", "by_part", "digest"]

IN_MEMORY = 4 * 1024 * 1024
"""Bytes of each column above which a digest of many tables keeps them in a temporary file."""
READ_BYTES = 1024 * 1024
_COLUMNS = 5
"""The columns of bytes that a digest reads one after another."""


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
    sha = _started(table.num_rows)
    for column in _columns(table):
        sha.update(column)
    return sha.hexdigest()


class ScoreDigest:
    """Compute the `digest` of a table that arrives in pieces, in bounded memory.

    A digest reads column after column, so the columns are kept in temporary files meanwhile.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._files = [tempfile.SpooledTemporaryFile(IN_MEMORY) for _ in range(_COLUMNS)]  # noqa: SIM115 - closed on exit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files:
            file.close()

    def add(self, table: pa.Table) -> None:
        """Add the next rows."""
        self._rows += table.num_rows
        for file, column in zip(self._files, _columns(table), strict=True):
            file.write(column)

    def hexdigest(self) -> str:
        """Return the digest of the rows so far."""
        sha = _started(self._rows)
        for file in self._files:
            file.seek(0)
            while block := file.read(READ_BYTES):
                sha.update(block)
        return sha.hexdigest()


def _started(rows: int) -> hashlib._Hash:
    sha = hashlib.sha256(b"mfprefect scores 1\0")
    sha.update(np.int64(rows).tobytes())
    return sha


def _columns(table: pa.Table) -> Iterator[Any]:
    """Yield the bytes of each column, in the order in which a digest reads them."""
    for name in ("entity_id", "score", "score_class"):
        column = table[name].combine_chunks()
        if name == "score":
            # + 0.0 turns -0.0 into 0.0, as some databases do.
            yield np.ascontiguousarray(column.to_numpy() + 0.0, dtype="<f8").data
            continue
        lengths = pc.fill_null(pc.binary_length(column), -1)
        yield np.ascontiguousarray(lengths.to_numpy(), dtype="<i4").data
        yield _packed(column)


def _packed(column: pa.Array) -> Any:
    # The bytes of all values; NULLs become empty, because a NULL can hide bytes in the buffer.
    filled = pc.fill_null(column, "")
    if not len(filled):
        return b""
    offsets = np.frombuffer(filled.buffers()[1], dtype=np.int64)
    start, stop = offsets[filled.offset], offsets[filled.offset + len(filled)]
    return memoryview(filled.buffers()[2])[start:stop] if stop > start else b""
