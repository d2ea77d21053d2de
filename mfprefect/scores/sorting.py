"""Sort the scores of a part that is larger than memory: sorted runs on the disk, merged at the end.

Batches of scores become sorted runs, and these are merged into one file. Up to `IN_MEMORY` rows
nothing goes to the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from mfprefect.scores import EXAMPLES, ONE_SCORE, PIECE_ROWS, SCHEMA, refuse
from mfprefect.scores.byte_order import byte_order
from mfprefect.scores.digest import ScoreDigest, digest

__all__ = ["Duplicates", "ScoreSorter", "SortedScores", "in_order"]

IN_MEMORY = 200_000
"""The rows up to which a part is sorted in memory: some 10 MB."""
BLOCK_ROWS = 4_096
"""The rows of a run that are read at once; while runs are merged, at most so many of each."""


class SortedScores:
    """The rows of a part, sorted by id, in memory or in a file; they can be read several times."""

    def __init__(self, rows: int, sha256: str, source: pa.Table | Path) -> None:
        self.num_rows, self.digest = rows, sha256
        self._source = source

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Return a normalised table in memory as one piece."""
        return cls(table.num_rows, digest(table), table)

    def pieces(self) -> Iterator[pa.Table]:
        """Yield the rows in order, about 100,000 at a time; one empty piece if there are none."""
        if isinstance(self._source, pa.Table):
            yield self._source
            return
        with pa.OSFile(str(self._source)) as file, ipc.open_file(file) as reader:
            for number in range(reader.num_record_batches):
                yield pa.Table.from_batches([reader.get_batch(number)])

    def table(self) -> pa.Table:
        """Return all rows: those of a file are mapped into memory, not read."""
        if isinstance(self._source, pa.Table):
            return self._source
        return ipc.open_file(pa.memory_map(str(self._source))).read_all()


class ScoreSorter:
    """Takes batches of normalised scores, in any order; leaving the block deletes its files."""

    def __init__(self, entity_id: str) -> None:
        """Begin.

        Args:
            entity_id: the name of the ids, for errors.
        """
        self._entity_id = entity_id
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._pending: list[pa.Table] = []
        self._blocks: list[_Block] = []
        self._rows = self._pending_rows = self._runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add(self, table: pa.Table) -> None:
        """Add a batch, as `validated` returns it."""
        self._pending.append(table)
        self._rows += table.num_rows
        self._pending_rows += table.num_rows
        if self._pending_rows > IN_MEMORY:
            self._write_run()

    def finish(self) -> SortedScores:
        """Return all rows, sorted.

        Raises:
            InvalidScores: two rows have the same id.
        """
        duplicates = Duplicates(self._entity_id)
        if self._folder is None:
            table = in_order(self._pending)
            duplicates.add(table["entity_id"])
            duplicates.require_none()
            return SortedScores.of(table)
        self._write_run()
        path = self._folder / "sorted.arrow"
        with ScoreDigest() as sha:
            with ipc.new_file(str(path), SCHEMA) as file:
                for piece in _merged(self._blocks):
                    duplicates.add(piece["entity_id"])
                    sha.add(piece)
                    file.write_table(piece)
            duplicates.require_none()
            return SortedScores(self._rows, sha.hexdigest(), path)

    def _write_run(self) -> None:
        if not self._pending_rows:
            return
        if self._folder is None:
            place = tempfile.TemporaryDirectory(prefix="mfprefect-scores-")
            self._folder = Path(self._stack.enter_context(place))
        table = in_order(self._pending)
        self._pending, self._pending_rows = [], 0
        path = self._folder / f"{self._runs}.arrow"
        self._runs += 1
        with ipc.new_file(str(path), SCHEMA) as file:
            file.write_table(table, max_chunksize=BLOCK_ROWS)
        for number, start in enumerate(range(0, table.num_rows, BLOCK_ROWS)):
            self._blocks.append(_Block(table["entity_id"][start].as_py(), path, number))


class _Block(NamedTuple):
    """Consecutive rows of a run; they sort by their first ids."""

    first: str
    path: Path
    number: int

    def read(self) -> pa.Table:
        with pa.OSFile(str(self.path)) as file, ipc.open_file(file) as reader:
            return pa.Table.from_batches([reader.get_batch(self.number)])


def _merged(blocks: list[_Block]) -> Iterator[pa.Table]:
    """Yield the rows of all blocks in order, at least 100,000 at a time."""
    blocks = sorted(blocks)
    pending: list[pa.Table] = []
    rows = 0
    for number, block in enumerate(blocks, start=1):
        pending.append(block.read())
        rows += pending[-1].num_rows
        if number == len(blocks):
            yield in_order(pending)
        elif rows >= PIECE_ROWS:
            # No row of a later block comes before the first id of the next one.
            table, rows = in_order(pending), 0
            ready = pc.sum(pc.less(table["entity_id"], blocks[number].first)).as_py() or 0
            if ready:
                yield table.slice(0, ready).combine_chunks()
            pending = [table.slice(ready).combine_chunks()]


def in_order(tables: Iterable[pa.Table]) -> pa.Table:
    """Join validated tables into one, sorted by id; duplicate ids stay side by side."""
    table = pa.concat_tables([SCHEMA.empty_table(), *tables]).combine_chunks()
    return table.take(pa.array(byte_order(table["entity_id"].combine_chunks())))


class Duplicates:
    """Counts the rows of a sorted table that repeat the id before them, piece by piece."""

    def __init__(self, entity_id: str) -> None:
        self._name = entity_id
        self._last = pa.array([], pa.large_string())
        self._rows = self._count = 0
        self._examples: list[str] = []

    def add(self, ids: pa.ChunkedArray) -> None:
        """Look at the next ids."""
        self._rows += len(ids)
        column = pa.concat_arrays([self._last, ids.combine_chunks()])
        self._last = column[len(column) - 1 :] if len(column) else self._last
        if len(column) < 2:
            return
        repeated = column[1:].filter(pc.equal(column[1:], column[:-1]))
        self._count += len(repeated)
        self._examples += repeated[: EXAMPLES - len(self._examples)].to_pylist()

    def require_none(self) -> None:
        """Raise InvalidScores if an id occurred twice."""
        if self._count:
            problem = f"in {self._name!r} are duplicates; {ONE_SCORE}"
            refuse(f"{self._count} of {self._rows} values {problem}", self._examples)
