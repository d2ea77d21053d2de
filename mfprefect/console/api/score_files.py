"""Scores as CSV, Arrow streams and Parquet files, read and written in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from mfprefect.console.api.bodies import Uploaded
from mfprefect.console.api.problems import ProblemError
from mfprefect.errors import InvalidScores
from mfprefect.scores import SCHEMA
from mfprefect.scores.csv_files import csv_batches
from mfprefect.util.parquet import UNREADABLE

__all__ = ["ARROW", "CSV", "FORMATS", "PARQUET", "batches_of", "encoded"]

CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
FORMATS = {"csv": CSV, "arrow": ARROW, "parquet": PARQUET}


def batches_of(
    upload: Uploaded,
    entity_id: str,
    score: str,
    score_class: str | None,
    *,
    most_rows: int | None = None,
) -> Any:
    """Return the scores of a body, for `write_scores`, a batch in memory at a time.

    Args:
        upload: the body; its content type says how to read it.
        entity_id: the column of ids.
        score: the column of scores.
        score_class: the column of classes, if any.
        most_rows: the most rows that it may have.

    Raises:
        ProblemError: the content type is none of these.
    """
    if upload.media_type not in FORMATS.values():
        raise ProblemError(
            415,
            "UnsupportedMediaType",
            f"the content type is {upload.media_type[:60]!r}; send {', '.join(FORMATS.values())}.",
            headers={"Accept": ", ".join(FORMATS.values())},
        )
    names = [entity_id, score, *([score_class] if score_class else [])]
    return _counted(_tables(upload, names, (entity_id, score, score_class)), most_rows)


def _tables(
    upload: Uploaded, names: list[str], columns: tuple[str, str, str | None]
) -> Iterator[pa.Table]:
    upload.file.seek(0)
    if upload.media_type == PARQUET:
        from mfprefect.scores import batches

        with _readable("Parquet"):
            yield from batches(upload.path, names)
    elif upload.media_type == ARROW:
        with _readable("an Arrow stream"):
            yield from _arrow(upload, names)
    else:
        with _readable("CSV"):
            for batch in csv_batches(upload.file, *columns):
                _ = batch.schema.names  # raises if one is not UTF-8
                yield pa.Table.from_batches([batch])


def _arrow(upload: Uploaded, names: list[str]) -> Iterator[pa.Table]:
    with pa.ipc.open_stream(upload.file) as reader:
        if not reader.schema.names:
            raise InvalidScores("the Arrow stream has no columns.")
        for batch in reader:
            batch.validate(full=True)  # an offset outside of its buffer would read other memory
            table = pa.Table.from_batches([batch])
            # The caller reports a missing or repeated column.
            once = [name for name in names if table.schema.names.count(name) == 1]
            yield table.select(once) if once == names else table


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except InvalidScores as exc:
        # A message about the file would name a path of this machine.
        if "cannot be read from" in str(exc):
            raise InvalidScores(f"the body cannot be read as {what}.") from exc
        raise
    except (*UNREADABLE, pa.ArrowException) as exc:
        if hasattr(exc, "transient"):
            raise
        raise InvalidScores(f"the body cannot be read as {what}: {exc}.") from exc


def _counted(tables: Iterator[pa.Table], most_rows: int | None) -> Iterator[pa.Table]:
    rows = 0
    for table in tables:
        rows += table.num_rows
        if most_rows is not None and rows > most_rows:
            raise InvalidScores(
                f"a part has at most {most_rows:,} rows; leave out `part`, and the rows become "
                "parts by themselves."
            )
        yield table


class _Sink:
    """A file that is read while it is written."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def write(self, data: Any) -> int:
        """Keep bytes."""
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._position

    def flush(self) -> None:
        """Do nothing: `take` returns everything."""

    def close(self) -> None:
        """Do nothing: the last bytes are still to be taken."""

    def take(self) -> bytes:
        """Return the bytes since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def encoded(batches: Iterable[pa.RecordBatch], kind: str) -> Iterator[bytes]:
    """Yield the bytes of a file of scores, about a batch at a time.

    Args:
        batches: with the columns of `mfprefect.scores.SCHEMA`.
        kind: a key of FORMATS.
    """
    sink = _Sink()
    with _WRITERS[kind](pa.PythonFile(sink, mode="w")) as writer:
        for batch in batches:
            writer.write_batch(batch)
            if piece := sink.take():
                yield piece
    if piece := sink.take():
        yield piece


def _csv_writer(sink: Any) -> Any:
    from pyarrow import csv

    return csv.CSVWriter(sink, SCHEMA)


def _arrow_writer(sink: Any) -> Any:
    return pa.ipc.new_stream(sink, SCHEMA)


def _parquet_writer(sink: Any) -> Any:
    from pyarrow import parquet

    return parquet.ParquetWriter(sink, SCHEMA)


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "csv": _csv_writer,
    "arrow": _arrow_writer,
    "parquet": _parquet_writer,
}
