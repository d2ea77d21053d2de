"""Scoring a Spark DataFrame: its executors read, check, score and write each partition as a part.

The driver learns of each part what other processes report of theirs: figures, and what the checks
of all rows need. No row comes to it. A part of an earlier attempt is kept if the partition has the
same rows as then, by a digest of them; so nothing depends on how Spark partitions them.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.scoring_inputs import NUMBERS_A_PART, PARTITION, PartRecorder
from mfprefect.util.spark import PartitionError, each_partition

if TYPE_CHECKING:
    import pyarrow as pa

    from mfprefect.model import Model
    from mfprefect.session import Session

__all__ = [
    "FIRST_NUMBER",
    "PartKept",
    "PartitionRows",
    "SparkRows",
    "in_partitions",
    "partition_digests",
    "require_partitions",
    "score_frame",
]

MOST_PARTITIONS = 100_000
"""Each may record 10,000 checks, whose numbers are 32-bit integers."""
FIRST_NUMBER = NUMBERS_A_PART // 2
"""Where the numbers of a partition's inputs begin; before it are those that the driver reads."""


class SparkRows:
    """A Spark DataFrame that `scoring_data` returned."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame


class PartKept(NamedTuple):
    """A partition that had the rows of an earlier attempt, whose scores stay."""

    rows: int


class Job(Protocol):
    """What scores a partition: a `ScoringJob`."""

    partition: PartitionRows | None

    def recorder(self, part: int) -> PartRecorder:
        """Return a recorder for one part."""


class PartitionRows:
    """The rows of a partition in a temporary file, to read them twice; leaving deletes it."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Write the file.

        Args:
            batches: of one schema.
        """
        from pyarrow import ipc

        self._folder = tempfile.TemporaryDirectory(prefix="mfprefect-rows-")
        self._file = Path(self._folder.name) / "rows.arrow"
        self.num_rows = 0
        self.digest = ""
        """A digest of the rows, empty if there are none."""
        try:
            first = next(batches, None)
            if first is not None:
                with ipc.new_stream(str(self._file), first.schema) as stream:
                    for batch in _chained(first, batches):
                        self.num_rows += batch.num_rows
                        stream.write_batch(batch)
                with self._file.open("rb") as file:
                    self.digest = hashlib.file_digest(file, "sha256").hexdigest()
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def reader(self) -> pa.RecordBatchReader:
        """Return a reader of all batches, from the first one."""
        import pyarrow as pa
        from pyarrow import ipc

        return ipc.open_stream(pa.OSFile(str(self._file)))


def _chained(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


def in_partitions(model_class: type[Model]) -> type[Model]:
    """Return the class of a model for a frame whose number of partitions is not known yet.

    So checks of all rows are judged when each partition has answered them.
    """
    members = {"parts": MOST_PARTITIONS, "__module__": model_class.__module__}
    return type(model_class.__name__, (model_class,), members)


def require_partitions(model_class: type[Model], *, elsewhere: bool) -> None:
    """Refuse a Spark DataFrame of a model that divides its rows in another way.

    Args:
        model_class: the model.
        elsewhere: whether `scoring_data` ran in another process than the flow.

    Raises:
        InvalidValue: it has several parts, or a task runner of other processes.
    """
    name = model_class.__name__
    if elsewhere:
        raise InvalidValue(
            f"scoring_data of {name} returned a Spark DataFrame in a worker of its task_runner; "
            "leave task_runner out: Spark's executors score."
        )
    if model_class.parts != 1:
        raise InvalidValue(
            f"scoring_data of {name} returned a Spark DataFrame, whose partitions are the parts; "
            f"leave parts = {model_class.parts} out, and repartition(..) the frame instead."
        )


def partition_digests(session: Session) -> dict[int, str]:
    """Return the digests of the partitions that earlier attempts read, by part; often none."""
    if session.attempt == 1:
        return {}
    documents = session.part_documents()
    return {part: text[PARTITION] for part, text in documents if text.get(PARTITION)}


def score_frame(
    job: Job,
    frame: Any,
    score: Callable[[Any, int], Any],
    session: Session,
    earlier: Mapping[int, str],
) -> tuple[dict[int, Any], dict[int, int], dict[int, Exception]]:
    """Let the executors score each partition; return the scored and the kept parts, and errors.

    Args:
        job: what an executor needs.
        frame: a Spark DataFrame.
        score: takes the job and a part number, on an executor, and returns a `PartDone`.
        session: the scoring session.
        earlier: digests of partitions whose parts may be kept.
    """
    outcomes = each_partition(frame, _Scorer(job, score, earlier))
    parts = {partition + 1: outcome for partition, outcome in sorted(outcomes.items())}
    errors = {n: o.error for n, o in parts.items() if isinstance(o, PartitionError)}
    clash = any(isinstance(error, InvalidScores) for error in errors.values())
    if clash and earlier:
        # An earlier part may have rows that are in another partition now.
        tasks.log().info("all parts are scored again: the partitions have other rows now")
        session.drop_parts()
        return score_frame(job, frame, score, session, {})
    if not errors and not any(outcome is not None for outcome in parts.values()):
        return {1: _score_nothing(job, frame, score)}, {}, {}
    rows_kept = {n: o.rows for n, o in parts.items() if isinstance(o, PartKept)}
    scored = {n: o for n, o in parts.items() if o is not None and n not in errors}
    done = {n: outcome for n, outcome in scored.items() if n not in rows_kept}
    return done, rows_kept, errors


def _score_nothing(job: Job, frame: Any, score: Callable[[Any, int], Any]) -> Any:
    """Score a frame without rows, in this process, as one part."""
    import pyarrow as pa

    empty = pa.RecordBatch.from_pylist([], schema=frame.limit(0).toArrow().schema)
    with PartitionRows(iter([empty])) as rows:
        job.partition = rows
        return score(job, 1)


class _Scorer:
    """Scores a partition, on an executor."""

    def __init__(
        self, job: Job, score: Callable[[Any, int], Any], earlier: Mapping[int, str]
    ) -> None:
        self._job, self._score, self._earlier = job, score, dict(earlier)

    def __call__(self, partition: int, batches: Iterator[pa.RecordBatch]) -> Any:
        part = partition + 1
        if part > MOST_PARTITIONS:
            raise InvalidValue(
                f"the Spark DataFrame has over {MOST_PARTITIONS:,} partitions; coalesce(..) it."
            )
        with PartitionRows(batches) as rows:
            if not rows.num_rows:
                return None
            self._job.partition = rows
            if self._earlier.get(part) == rows.digest:
                stored = self._job.recorder(part).keep_part(part)
                if stored is not None:
                    return PartKept(stored)
            return self._score(self._job, part)
