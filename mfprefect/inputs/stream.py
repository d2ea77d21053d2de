"""The rows that a model's function produces, as frames one after another where that is possible.

SQL text arrives as the database sends it, an iterable of frames or Arrow batches as it yields them.
Everything else is in memory anyway, or can only be read at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from mfprefect.inputs.batches import Unstreamable
from mfprefect.inputs.digest import FramesDigest
from mfprefect.inputs.files import is_path
from mfprefect.inputs.frames import as_frame
from mfprefect.inputs.query import Query, unread_query
from mfprefect.inputs.reader import Read, Reader, is_batches

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Unstreamable", "Whole", "produced", "streamed"]

ONE_BATCH = "they are no more than a batch"


@dataclass(frozen=True)
class Whole:
    """All rows, where there are no batches, and why."""

    frame: pd.DataFrame
    reason: str


def produced(reader: Reader, produce: Callable[[], Any]) -> Any:
    """Return what a model's function produces; SQL text as the frame of a query, not read yet.

    Args:
        reader: the model's reader.
        produce: calls the model's function.
    """
    reader.lazily = True
    try:
        what = produce()
        return reader.read(what) if isinstance(what, str) and not is_path(what) else what
    finally:
        reader.lazily = False


def streamed(
    reader: Reader, produce: Callable[[], Any], name: str, rows: int
) -> Iterator[pd.DataFrame | Whole]:
    """Yield the data that a model's function produces: all at once, or at least two batches.

    Batches are frames of `rows` rows, the last one with fewer, labelled by their positions. The
    read is recorded when the last one was taken. Close the iterator in the thread that used it.

    Args:
        reader: the model's reader.
        produce: calls the model's function, or returns what it produced.
        name: what the rows are recorded as if they came from no source.
        rows: of a batch.

    Raises:
        Unstreamable: later rows have other types; start over, and read all rows at once.
    """
    started = time.perf_counter()
    what = produced(reader, produce)
    if (query := unread_query(what)) is not None:
        source = _from_sql(reader, query, rows)
    elif (batches := _frames_of(what)) is not None:
        source = _from_batches(reader, batches, name, rows, started)
    else:
        kind = "a frame" if hasattr(what, "columns") else f"a {type(what).__name__}"
        frame = reader.load(lambda: what, name)
        yield Whole(frame, f"scoring_data returned {kind}, which holds all rows")
        return
    with closing(source):
        yield from _labelled(source)


def _labelled(frames: Iterator[pd.DataFrame | Whole]) -> Iterator[pd.DataFrame | Whole]:
    import pandas as pd

    start = 0
    for frame in frames:
        if not isinstance(frame, Whole):
            frame.index = pd.RangeIndex(start, start + len(frame))
            start += len(frame)
        yield frame


def _from_sql(reader: Reader, query: Query, rows: int) -> Generator[pd.DataFrame | Whole]:
    with reader.query_batches(query.text, query.source, query.params, rows) as batches:
        if batches.frame is not None:
            yield Whole(batches.frame, str(batches.whole))
            return
        arriving = iter(batches)
        first, second = next(arriving, None), next(arriving, None)
        if first is None or second is None:
            if batches.schema is None:
                raise AssertionError("batches have a schema")
            yield Whole(as_frame(first or batches.schema.empty_table()), ONE_BATCH)
            return
        yield as_frame(first, typed=True)
        yield as_frame(second, typed=True)
        del first, second
        for batch in arriving:
            yield as_frame(batch, typed=True)


def _frames_of(what: Any) -> Iterator[Any] | None:
    """Return the frames of an iterable, or the batches of an Arrow reader; None if it is neither.

    A table that is in memory, whatever its library, gives none.
    """
    import pyarrow as pa

    is_reader = isinstance(what, pa.RecordBatchReader)
    if not is_reader and (isinstance(what, str) or _is_table(what) or not is_batches(what)):
        return None
    arriving: Iterator[Any] = iter(what)
    return arriving


def _is_table(what: Any) -> bool:
    """Return whether it is a table of some library, without asking for its rows."""
    interfaces = ("__arrow_c_stream__", "to_pandas", "to_batches", "collect")
    return hasattr(what, "columns") or any(hasattr(what, name) for name in interfaces)


def _from_batches(
    reader: Reader, pieces: Iterator[Any], name: str, rows: int, started: float
) -> Generator[pd.DataFrame | Whole]:
    digest, frames = FramesDigest(), _cut(map(reader.frame_of, pieces), rows)
    first, second = next(frames, None), next(frames, None)
    if first is None or second is None:
        only = [] if first is None else [first]
        yield Whole(reader.load(lambda: only, name), ONE_BATCH)
        return
    arriving, seconds = chain([first, second], frames), time.perf_counter() - started
    del first, second
    while True:
        before = time.perf_counter()
        frame = next(arriving, None)
        if frame is not None:
            digest.update(frame)
        seconds += time.perf_counter() - before
        if frame is None:
            break
        yield frame
    reader.record(Read(name, None, digest.rows, digest.columns, digest.hexdigest(), seconds))


def _cut(frames: Iterator[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """Cut and join frames into such of `rows` rows."""
    import pandas as pd

    waiting: list[pd.DataFrame] = []
    size, dtypes = 0, None
    for frame in frames:
        if dtypes is None:
            dtypes, waiting = frame.dtypes, [frame.iloc[:0]]
        if not len(frame):
            continue
        if not frame.dtypes.equals(dtypes):
            raise Unstreamable("the columns or types of the batches differ")
        waiting.append(frame)
        size += len(frame)
        while size >= rows:
            joined = pd.concat(waiting)
            yield joined.iloc[:rows].copy(deep=False)
            size -= rows
            waiting = [joined.iloc[rows:]] if size else []
    if waiting:
        yield pd.concat(waiting)
