"""Scores in CSV files of other programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

__all__ = ["csv_batches"]

BLOCK_BYTES = 32 * 1024 * 1024


def csv_batches(
    source: Path | BinaryIO, entity_id: str, score: str, score_class: str | None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a CSV file, without loading the whole file.

    Ids are text: `007` stays `007`. An empty field is NULL, and "" is empty text.

    Raises:
        pyarrow.ArrowInvalid: it cannot be parsed.
    """
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
    with csv.open_csv(
        source,
        read_options=csv.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=convert,
    ) as reader:
        yield from reader
