"""CSV and Parquet files written by other programs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["column", "read_frame", "score_batches"]

ENDINGS = (".csv", ".parquet")
MAX_CELLS = 500_000_000
MAX_TEXT_BYTES = 8_000_000_000
"""Limit for one column, as if each row held the longest text."""


def read_frame(
    path: Path, text: Collection[str] = (), *, ending: str | None = None, name: object = None
) -> pd.DataFrame:
    """Return a CSV or Parquet file as a frame; the ending decides how it is read.

    Args:
        path: the file.
        text: columns of a CSV file to read as text, whatever they hold: `NA` stays `NA`.
        ending: `.csv` or `.parquet`; by default that of the path.
        name: what errors call the file; by default its path.

    Raises:
        InvalidValue: the ending is another one, the file does not exist or cannot be parsed.
    """
    import pyarrow as pa

    from mfprefect.util.parquet import UNREADABLE

    if ending is None:
        _require_file(path)
    ending, name = ending or path.suffix, path if name is None else name
    try:
        frame: pd.DataFrame = _table(path, text, ending, name).to_pandas()
    except InvalidValue:
        raise
    except (*UNREADABLE, pa.ArrowException) as exc:
        raise _unreadable(name, ending, exc) from exc
    return frame


def _table(path: Path, text: Collection[str], ending: str, name: object) -> pa.Table:
    if ending == ".parquet":
        from pyarrow import parquet

        _require_size(path, name)
        return parquet.read_table(path)
    import pyarrow as pa
    from pyarrow import csv

    types = {name: pa.string() for name in text}
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=not text),
    )


def _require_size(path: Path, shown: object) -> None:
    """Refuse a Parquet file too large for memory: a few kilobytes may expand to a billion rows."""
    from pyarrow import parquet

    from mfprefect.util.parquet import longest_texts

    with parquet.ParquetFile(path) as file:
        metadata, names = file.metadata, file.schema_arrow.names
    if metadata.num_rows * metadata.num_columns > MAX_CELLS:
        raise InvalidValue(
            f"{shown} holds {metadata.num_rows} rows of {metadata.num_columns} columns; at most "
            f"{MAX_CELLS:,} cells can be read at once. Pass a sample of the rows."
        )
    for name, longest, rows in longest_texts(path, names):
        if longest * rows > MAX_TEXT_BYTES:
            raise InvalidValue(
                f"{shown} holds {rows} rows of column {name!r} with texts of up to {longest} "
                f"bytes; at most {MAX_TEXT_BYTES:,} bytes can be read at once. Pass a sample of "
                "the rows."
            )


def score_batches(
    path: Path, entity_id: str, score: str, score_class: str | None
) -> Iterator[pa.RecordBatch] | str:
    """Return a file of scores for `Session.write_scores`, without loading the whole file.

    Ids are text: `007` stays `007`. In CSV, an empty field is NULL, and "" is empty text.

    Raises:
        InvalidValue: the ending is another one, the file does not exist or cannot be parsed.
    """
    _require_file(path)
    return str(path) if path.suffix == ".parquet" else _csv(path, entity_id, score, score_class)


def _csv(
    path: Path, entity_id: str, score: str, score_class: str | None
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    from mfprefect.scores.csv_files import csv_batches

    try:
        yield from csv_batches(path, entity_id, score, score_class)
    except pa.ArrowInvalid as exc:
        raise _unreadable(path, path.suffix, exc) from exc


def column(frame: pd.DataFrame, name: str, option: str) -> pd.Series[Any]:
    """Return the column that an option named.

    Raises:
        InvalidValue: the file has no such column; the message lists its columns.
    """
    if name not in frame.columns:
        raise InvalidValue(
            f"{option} {name!r}: the file has no such column; it has: "
            f"{', '.join(map(str, frame.columns))}."
        )
    return frame[name]


def _require_file(path: Path) -> None:
    if path.suffix not in ENDINGS:
        raise InvalidValue(f"the file {str(path)!r} must end in {' or '.join(ENDINGS)}.")
    if not path.is_file():
        raise InvalidValue(f"the file {str(path)!r} does not exist.")


def _unreadable(name: object, ending: str, exc: Exception) -> InvalidValue:
    return InvalidValue(f"{str(name)!r} cannot be read as {ending[1:]}: {exc}.")
