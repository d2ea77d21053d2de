"""What a run appends to its entry of the spool, and reads back from it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mfprefect.artifacts.files import FILE
from mfprefect.spool.documents import ArtifactWrite, DropPartsWrite, PartWrite, RowsWrite
from mfprefect.spool.entry import Entry
from mfprefect.store.states import LEGACY_PART_INPUTS

if TYPE_CHECKING:
    from mfprefect.scores.sorting import SortedScores

__all__ = [
    "Rows",
    "add_drop_parts",
    "add_params",
    "add_part",
    "add_rows",
    "documents_of",
    "has_results",
    "numbers_of",
    "parts_of",
    "rows_of",
]

FREE_NUMBERS = 1_000_000
"""Where numbers of checks, inputs and parts begin if those in the database cannot be looked up."""
IN_MEMORY = 16 * 1024**2
"""Bytes of a part above which its file is written to the disk first."""
READ_BYTES = 1024 * 1024
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def add_rows(entry: Entry, pending: Rows) -> None:
    """Append rows by table name, if there are any."""
    if tables := {name: list(rows) for name, rows in pending.items() if rows}:
        entry.add({"op": "rows", "tables": tables})


def add_part(entry: Entry, part: int, scores: SortedScores) -> None:
    """Append one part of normalised scores."""
    from pyarrow import parquet

    from mfprefect.scores import SCHEMA

    content = {"op": "part", "part_no": part, "rows": scores.num_rows, "digest": scores.digest}
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        with parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            for piece in scores.pieces():
                writer.write_table(piece)
        size = file.tell()
        file.seek(0)
        entry.add(content, iter(partial(file.read, READ_BYTES), b""), size)


def add_drop_parts(entry: Entry) -> None:
    """Append that all scores so far are deleted."""
    entry.add({"op": "drop_parts"})


def add_params(entry: Entry, params: Mapping[str, Any]) -> None:
    """Append parameters of the session."""
    entry.add({"op": "params", "params": dict(params)})


def parts_of(entry: Entry) -> dict[int, int]:
    """Return the number of rows of each part of scores in an entry."""
    rows: dict[int, int] = {}
    for write in entry.writes():
        if isinstance(write, DropPartsWrite):
            rows.clear()
        elif isinstance(write, PartWrite):
            rows[write.part_no] = write.rows
    return rows


def rows_of(entry: Entry, recorded: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Return `recorded` and the rows of an entry, by table."""
    tables = {name: list(rows) for name, rows in recorded.items()}
    for write in entry.writes():
        if isinstance(write, RowsWrite):
            for name, rows in write.tables.items():
                tables.setdefault(name, []).extend(rows)
    return tables


def numbers_of(entry: Entry) -> dict[str, int]:
    """Return the highest check, input and part number of an entry."""
    # Numbers in the database cannot be read now, and must not be used again by chance.
    begin = FREE_NUMBERS if entry.head().session is None else 0
    highest = dict.fromkeys(("check", "input", "part"), begin)
    columns = {"check": ("check_results", "check_no"), "input": ("inputs", "input_no")}
    for write in entry.writes():
        if isinstance(write, PartWrite):
            highest["part"] = max(highest["part"], write.part_no)
        elif isinstance(write, RowsWrite):
            for kind, (table, column) in columns.items():
                numbers = [row[column] for row in write.tables.get(table, ())]
                highest[kind] = max([highest[kind], *numbers])
    return highest


def documents_of(entry: Entry) -> dict[int, str]:
    """Return what an entry holds of the input of each part, as JSON text."""
    documents: dict[int, str] = {}
    for write in entry.writes():
        if isinstance(write, RowsWrite):
            for row in write.tables.get("session_metadata", ()):  # as older versions wrote it
                if row["meta_group"] == LEGACY_PART_INPUTS:
                    documents[int(row["meta_name"])] = row["value"]
            rows = write.tables.get("part_inputs", ())
            documents |= {row["part_no"]: row["document"] for row in rows}
    return documents


def has_results(entry: Entry) -> bool:
    """Return whether a metric or a model is in an entry."""
    return any(
        (isinstance(write, ArtifactWrite) and write.artifact["format"] != FILE)
        or (isinstance(write, RowsWrite) and write.tables.get("metrics"))
        for write in entry.writes()
    )
