"""What a run adds to its entry of the spool, and reads back from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfprefect.scores.digest import digest
from mfprefect.spool.entry import Entry
from mfprefect.store.states import LEGACY_PART_INPUTS

__all__ = [
    "Rows",
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
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def add_rows(entry: Entry, pending: Rows) -> None:
    """Append rows by table name, if there are any."""
    if rows := {name: list(some) for name, some in pending.items() if some}:
        entry.add({"op": "rows", "tables": rows})


def add_part(entry: Entry, part: int, table: Any) -> None:
    """Append one part of normalised scores."""
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    blob = sink.getvalue()
    told = {"op": "part", "part_no": part, "rows": table.num_rows, "digest": digest(table)}
    entry.add(told, [blob.to_pybytes()], blob.size)


def parts_of(entry: Entry) -> dict[int, int]:
    """Return the rows of each part of scores that an entry holds."""
    found: dict[int, int] = {}
    for write in entry.writes():
        if write.content["op"] == "drop_parts":
            found.clear()
        elif write.content["op"] == "part":
            found[write.content["part_no"]] = write.content["rows"]
    return found


def rows_of(entry: Entry, made: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Return the rows of a session by table, as far as they are known without its database."""
    found = {name: list(rows) for name, rows in made.items()}
    for write in entry.writes():
        for name, rows in write.content.get("tables", {}).items():
            found.setdefault(name, []).extend(rows)
    return found


def numbers_of(entry: Entry) -> dict[str, int]:
    """Return the highest check, input and part number that a run has taken here."""
    # What is in the database cannot be seen, and must not be replaced by chance.
    opened_here = "session" in entry.head()
    taken = dict.fromkeys(("check", "input", "part"), 0 if opened_here else FREE_NUMBERS)
    names = {"check": ("check_results", "check_no"), "input": ("inputs", "input_no")}
    for write in entry.writes():
        tables = write.content.get("tables", {})
        for what, (table, column) in names.items():
            numbers = [row[column] for row in tables.get(table, ())]
            taken[what] = max([taken[what], *numbers])
        taken["part"] = max(taken["part"], write.content.get("part_no", 0))
    return taken


def documents_of(entry: Entry) -> dict[int, str]:
    """Return what the run read for each part, as JSON text."""
    documents: dict[int, str] = {}
    for write in entry.writes():
        tables = write.content.get("tables", {})
        for row in tables.get("session_metadata", ()):  # as older versions wrote it
            if row["meta_group"] == LEGACY_PART_INPUTS:
                documents[int(row["meta_name"])] = row["value"]
        documents |= {row["part_no"]: row["document"] for row in tables.get("part_inputs", ())}
    return documents


def has_results(entry: Entry) -> bool:
    """Return whether a metric or a model is in an entry."""
    return any(
        write.content["op"] == "artifact" or write.content.get("tables", {}).get("metrics")
        for write in entry.writes()
    )
