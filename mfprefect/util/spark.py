"""Spark DataFrames, without importing pyspark: what is one, and how executors run a function."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import cloudpickle

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PartitionError", "each_partition", "is_spark", "select"]

SCHEMA = "partition int, outcome binary"
NO_CONNECT = (
    "DataFrames of Spark Connect are not supported: open the session with "
    "SparkSession.builder.master(..), or collect the rows with toArrow()."
)


class PartitionError:
    """The error that ended the work of a partition."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def is_spark(data: Any) -> bool:
    """Return whether it is a Spark DataFrame.

    Raises:
        InvalidValue: it is one of Spark Connect.
    """
    names = [(kind.__module__, kind.__name__) for kind in type(data).__mro__]
    frames = [module for module, name in names if name == "DataFrame"]
    if any(module.startswith("pyspark.sql.connect") for module in frames):
        raise InvalidValue(NO_CONNECT)
    return any(module.startswith("pyspark.sql.") for module in frames)


def select(frame: Any, columns: list[str]) -> Any:
    """Return these columns of a frame, so that Spark reads no others."""
    return frame.select(*("`" + name.replace("`", "``") + "`" for name in columns))


def each_partition(
    frame: Any, work: Callable[[int, Iterator[pa.RecordBatch]], Any]
) -> dict[int, Any]:
    """Let the executors run a function on each partition; return what it returned, by partition.

    A partition without rows may be missing. An exception comes back as a `PartitionError`, so that
    the other partitions run to their end. If the caller is interrupted, so are the executors.

    Args:
        frame: a Spark DataFrame.
        work: takes the number of a partition, from 0, and its rows. It is pickled by value where
            no executor could import it, and appears in no plan, log or setting of Spark.

    Raises:
        InvalidValue: it cannot be pickled.
    """
    context = frame.sparkSession.sparkContext
    tag = f"mfprefect-{secrets.token_hex(8)}"
    outcomes = frame.mapInArrow(_Work(_sent(work)), SCHEMA)
    context.addJobTag(tag)
    try:
        rows = outcomes.collect()
    except BaseException:
        context.cancelJobsWithTag(tag)
        raise
    finally:
        context.removeJobTag(tag)
    return {row["partition"]: cloudpickle.loads(bytes(row["outcome"])) for row in rows}


def _sent(work: Any) -> bytes:
    try:
        return bytes(cloudpickle.dumps(work))
    except Exception as exc:
        raise InvalidValue(
            f"the work cannot be sent to Spark's executors: {type(exc).__name__}: {exc}. A global "
            "name of the model's file must not hold the SparkSession: call "
            "SparkSession.builder.getOrCreate() in scoring_data."
        ) from exc


class _Work:
    """What an executor runs: the work as bytes, unpickled there."""

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled
        self.__name__ = "mfprefect"

    def __repr__(self) -> str:
        return "<work of mfprefect>"

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark import TaskContext

        context = TaskContext.get()
        if context is None:
            raise AssertionError("Spark runs this in a task")
        partition = context.partitionId()
        outcome: Any
        try:
            outcome = cloudpickle.loads(self._pickled)(partition, batches)
        except Exception as exc:  # noqa: BLE001 - raised by the driver
            outcome = PartitionError(exc)
        yield pa.RecordBatch.from_arrays(
            [pa.array([partition], pa.int32()), pa.array([_pickled(outcome)], pa.binary())],
            ["partition", "outcome"],
        )


def _pickled(outcome: Any) -> bytes:
    try:
        pickled = cloudpickle.dumps(outcome)
        cloudpickle.loads(pickled)
    except Exception:  # an error of a library that cannot be pickled
        if not isinstance(outcome, PartitionError):
            raise
        error = outcome.error
        pickled = cloudpickle.dumps(
            PartitionError(RuntimeError(f"{type(error).__name__}: {error}"))
        )
    return bytes(pickled)
