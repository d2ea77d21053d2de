"""The rows of a read as Arrow batches, which are digested as they pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mfprefect.backend import Unstreamable
from mfprefect.errors import InvalidValue
from mfprefect.inputs.digest import FrameDigest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["BATCH_ROWS", "Batches", "Unstreamable"]

BATCH_ROWS = 50_000


class Batches:
    """Iterates once over the batches of a read; each but the last has the same number of rows.

    Attributes:
        schema: of every batch, None if the rows were read at once.
        whole: why all rows were read at once; None if they arrive as the database sends them.
        frame: all rows, if they were read at once; then there are no batches.
    """

    def __init__(
        self,
        schema: pa.Schema | None,
        batches: Iterator[pa.RecordBatch],
        on_end: Callable[[FrameDigest, float], None],
        *,
        rows: int = BATCH_ROWS,
        seconds: float = 0.0,
    ) -> None:
        """Prepare to iterate.

        Args:
            schema: of the batches.
            batches: from the database, of any numbers of rows.
            on_end: takes the digest and the seconds of reading, after the last batch.
            rows: of a batch.
            seconds: what was spent before.
        """
        self.schema = schema
        self.whole: str | None = None
        self.frame: pd.DataFrame | None = None
        self._batches, self._on_end = batches, on_end
        self._rows, self._seconds = rows, seconds

    @classmethod
    def of_frame(cls, frame: pd.DataFrame, whole: str) -> Batches:
        """Return what holds rows that were read at once."""
        batches = cls(None, iter(()), lambda digest, seconds: None)
        batches.frame, batches.whole = frame, whole
        return batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if self.schema is None:
            raise InvalidValue(f"there are no batches, because {self.whole}: use `frame`.")
        digest, pieces = FrameDigest(self.schema), self._pieces(self.schema)
        while True:
            started = time.perf_counter()
            piece = next(pieces, None)
            if piece is not None:
                digest.update(piece)
            self._seconds += time.perf_counter() - started
            if piece is None:
                break
            yield piece
        self._on_end(digest, self._seconds)

    def _pieces(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Cut and join the batches of the database."""
        import pyarrow as pa

        waiting: list[pa.RecordBatch] = []
        size = 0
        for batch in self._batches:
            if batch.schema != schema:
                raise Unstreamable(f"the types of the rows changed to {batch.schema}")
            waiting.append(batch)
            size += batch.num_rows
            while size >= self._rows:
                joined = pa.concat_batches(waiting)
                yield joined.slice(0, self._rows)
                size -= self._rows
                waiting = [joined.slice(self._rows)] if size else []
        if size:
            yield pa.concat_batches(waiting)
