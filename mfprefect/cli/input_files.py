"""Files that other programs hand over."""

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
MOST_CELLS = 500_000_000
MOST_TEXT = 8_000_000_000
"""Bytes of a column that are read at once, if each row held its longest text."""
BLOCK_BYTES = 32 * 1024 * 1024


def read_frame(path: Path, text: Collection[str] = ()) -> pd.DataFrame:
    """Return a CSV or Parquet file, by its ending, as a frame.

    Args:
        path: the file.
        text: columns of a CSV file that are text whatever they look like: `NA` stays `NA`.

    Raises:
        InvalidValue: another ending, no such file, or not a file of that kind.
    """
    import pyarrow as pa

    from mfprefect.util.parquet import UNREADABLE

    _check(path)
    try:
        frame: pd.DataFrame = _table(path, text).to_pandas()
    except InvalidValue:
        raise
    except (*UNREADABLE, pa.ArrowException) as exc:
        raise _unreadable(path, exc) from exc
    return frame


def _table(path: Path, text: Collection[str]) -> pa.Table:
    import pyarrow as pa

    if path.suffix == ".parquet":
        from pyarrow import parquet

        from mfprefect.util.parquet import longest_texts

        with parquet.ParquetFile(path) as file:
            metadata, names = file.metadata, file.schema_arrow.names
        # A file of a few kilobytes may stand for a billion rows.
        if metadata.num_rows * metadata.num_columns > MOST_CELLS:
            raise InvalidValue(
                f"{path} holds {metadata.num_rows} rows of {metadata.num_columns} columns, more "
                f"than the {MOST_CELLS:,} cells that can be read at once; pass a sample of them."
            )
        for name, longest, rows in longest_texts(path, names):
            if longest * rows > MOST_TEXT:
                raise InvalidValue(
                    f"{path} holds {rows} rows of column {name!r}, whose texts have up to "
                    f"{longest} bytes, more than the {MOST_TEXT:,} bytes that are read at once; "
                    "pass a sample of them."
                )
        return parquet.read_table(path)
    from pyarrow import csv

    types = {name: pa.string() for name in text}
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=not text),
    )


def score_batches(
    path: Path, entity_id: str, score: str, score_class: str | None
) -> Iterator[pa.RecordBatch] | str:
    """Return a file of scores for `Session.write_scores`, never holding all of it.

    Ids are text: `007` stays `007`. In CSV, an empty field is NULL, and "" is empty text.

    Raises:
        InvalidValue: another ending, no such file, or not a file of that kind.
    """
    _check(path)
    return str(path) if path.suffix == ".parquet" else _csv(path, entity_id, score, score_class)


def _csv(
    path: Path, entity_id: str, score: str, score_class: str | None
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    types: dict[str, Any] = {entity_id: pa.large_string(), score: pa.float64()}
    if score_class:
        types[score_class] = pa.large_string()
    convert = csv.ConvertOptions(
        column_types=types,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    try:
        with csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        ) as reader:
            yield from reader
    except pa.ArrowInvalid as exc:
        raise _unreadable(path, exc) from exc


def column(frame: pd.DataFrame, name: str, option: str) -> pd.Series[Any]:
    """Return a column that an option named.

    Raises:
        InvalidValue: there is none; the message names those that are there.
    """
    if name not in frame.columns:
        raise InvalidValue(
            f"{option} {name!r}: the file has no such column; its columns: "
            f"{', '.join(map(str, frame.columns))}."
        )
    return frame[name]


def _check(path: Path) -> None:
    if path.suffix not in ENDINGS:
        raise InvalidValue(f"the file {str(path)!r} must end in {' or '.join(ENDINGS)}.")
    if not path.is_file():
        raise InvalidValue(f"there is no file {str(path)!r}.")


def _unreadable(path: Path, exc: Exception) -> InvalidValue:
    return InvalidValue(f"{str(path)!r} cannot be read as {path.suffix[1:]}: {exc}.")
