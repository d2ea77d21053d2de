"""Write the scores of a Spark DataFrame: each executor writes its partitions, each as a part.

The driver learns number, rows and digest of each part, and no score. A task that Spark runs again,
or twice at once, replaces its part, because the number of the part follows from the partition.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.session.destination import Destination
from mfprefect.store.database import Database
from mfprefect.util.spark import PartitionError, each_partition, select

if TYPE_CHECKING:
    import pyarrow as pa

    from mfprefect.settings import Settings
    from mfprefect.store.handle import SessionHandle

__all__ = ["Columns", "PartitionWriter", "Written", "require_same", "write_partitions"]

log = logging.getLogger(__name__)


class Columns(NamedTuple):
    """The columns of a frame of scores."""

    entity_id: str
    score: str
    score_class: str | None

    def names(self) -> list[str]:
        """Return those that are read."""
        return [name for name in self if name is not None]


@dataclass(frozen=True)
class Written:
    """A part that an executor wrote."""

    rows: int
    digest: str
    spooled: str
    """The spool's receipt if the database was away, else empty."""


def write_partitions(
    db: Database, destination: Destination, frame: Any, columns: Columns, before: int
) -> tuple[int, int]:
    """Let the executors write each partition of a frame; return rows and the highest part number.

    Args:
        db: the session's database.
        destination: where its parts go.
        frame: a Spark DataFrame.
        columns: its columns.
        before: the part number before that of the first partition.

    Raises:
        InvalidScores: as `write_scores`. The other partitions were written.
    """
    from mfprefect import scores

    lacking = [name for name in columns.names() if name not in frame.columns]
    if lacking:
        # Says which columns there are, as for any other frame.
        scores.validated(_without_rows(frame.columns), *columns)
    digests = destination.part_digests() or {}
    earlier = {part: digest for part, digest in digests.items() if part > before}
    work = PartitionWriter(db.settings, destination.handle, columns, before)
    parts = _run(destination, select(frame, columns.names()), work, stale=bool(earlier))
    for part in parts.values():
        destination.require(part.spooled)
    require_same({before + 1 + n: part.digest for n, part in parts.items()}, destination)
    _log_kept(before, parts, earlier)
    if not parts:
        destination.write_part(before + 1, _nothing())
        return 0, before + 1
    return sum(part.rows for part in parts.values()), before + 1 + max(parts)


def _without_rows(names: list[str]) -> pa.Table:
    import pyarrow as pa

    return pa.table({name: pa.nulls(0) for name in dict.fromkeys(names)})


def _nothing() -> Any:
    from mfprefect.scores import SCHEMA
    from mfprefect.scores.sorting import SortedScores

    return SortedScores.of(SCHEMA.empty_table())


def _run(
    destination: Destination, frame: Any, work: PartitionWriter, *, stale: bool
) -> dict[int, Written]:
    outcomes = each_partition(frame, work)
    errors = {n: o.error for n, o in sorted(outcomes.items()) if isinstance(o, PartitionError)}
    if not errors:
        return {n: part for n, part in outcomes.items() if part.rows}
    first = next(iter(errors.values()))
    # A part of an earlier attempt may have rows that are in another partition now.
    if stale and isinstance(first, InvalidScores) and (parts := destination.drop_stale_parts()):
        log.info(
            "%d parts of an earlier attempt were dropped: the partitions have other rows now", parts
        )
        return _run(destination, frame, work, stale=False)
    raise first


def require_same(parts: Mapping[int, str], destination: Destination) -> None:
    """Require that the database has the parts of the tasks whose results the driver got.

    Args:
        parts: their digests by number.
        destination: where they are.

    Raises:
        InvalidValue: a task that Spark ran twice had other rows the second time.
    """
    stored = destination.part_digests()
    if stored is None or destination.spooled:
        return
    for part, digest in parts.items():
        if stored.get(part, digest) != digest:
            raise InvalidValue(
                f"part {part} was written by two runs of a Spark task, with different rows; make "
                "the DataFrame deterministic, or call checkpoint() on it first."
            )


def _log_kept(before: int, parts: Mapping[int, Written], earlier: Mapping[int, str]) -> None:
    if not earlier:
        return
    same = sum(earlier.get(before + 1 + n) == part.digest for n, part in parts.items())
    log.info(
        "%d of %d partitions have the scores of an earlier attempt, which stay; it wrote %d",
        same,
        len(parts),
        len(earlier),
    )


class PartitionWriter:
    """Writes the scores of a partition, on an executor; pickled, it carries what it needs."""

    def __init__(
        self, settings: Settings, handle: SessionHandle, columns: Columns, before: int
    ) -> None:
        self._settings, self._handle = settings, handle
        self._columns, self._before = columns, before

    def __call__(self, partition: int, batches: Iterator[pa.RecordBatch]) -> Written:
        """Sort the scores of a partition, numbered from 0, and write them as a part."""
        import pyarrow as pa

        from mfprefect.scores import validated
        from mfprefect.scores.sorting import ScoreSorter

        with ScoreSorter(self._columns.entity_id) as sorter:
            for batch in batches:
                if batch.num_rows:
                    sorter.add(validated(pa.Table.from_batches([batch]), *self._columns))
            scores = sorter.finish()
            if not scores.num_rows:
                return Written(0, scores.digest, "")
            db = Database(self._settings)
            try:
                destination = Destination(db, self._handle, attached=True)
                destination.write_part(self._before + 1 + partition, scores)
                return Written(scores.num_rows, scores.digest, destination.spool_receipt)
            finally:
                db.close()
