"""`mfprefect scores`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from mfprefect.cli.app import common
from mfprefect.cli.options import output_option
from mfprefect.cli.output import Column, Output
from mfprefect.errors import InvalidValue
from mfprefect.util.files import atomic_file, check_target

if TYPE_CHECKING:
    import pyarrow as pa

    from mfprefect.store import Store

__all__ = ["SCORE_COLUMNS", "first_scores", "scores"]

DEFAULT_LIMIT = 20
FORMULA = r"^[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""Of an ASCII or full-width character, as Japanese spreadsheets take it."""
ENDINGS = (".csv", ".parquet")
SCORE_COLUMNS = (
    Column("entity_id", "entity"),
    Column("score", "score", "number"),
    Column("score_class", "class"),
)


@click.command()
@click.argument("session")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Only the first N by entity id; by default {DEFAULT_LIMIT}, or all with -o.",
)
@click.option(
    "--entity", "entities", multiple=True, metavar="ID", help="Only this entity; may be repeated."
)
@click.option("--at-least", type=float, help="Only scores of at least this value.")
@click.option("--at-most", type=float, help="Only scores of at most this value.")
@output_option(type=click.Path(path_type=Path), help="Write a .csv or .parquet file.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option(
    "--spreadsheet",
    is_flag=True,
    help="In CSV, put ' before texts that a spreadsheet would run as formulas.",
)
@common
def scores(
    out: Output,
    url: str | None,
    session: str,
    limit: int | None,
    to: Path | None,
    force: bool,
    spreadsheet: bool,
    entities: tuple[str, ...],
    at_least: float | None,
    at_most: float | None,
) -> None:
    """Print the scores of SESSION, or write them to a file.

    SESSION is an id, `latest`, `production:MODEL` or `latest:MODEL`: the session whose scores are
    current. In CSV, an empty field is a missing class, and "" is an empty class.

    Ids and classes are written as they are. Spreadsheets take a text that begins with = + - @, a
    tab or a line end for a formula: for them, use --spreadsheet, which changes such texts.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_scoring

    if to is not None:
        _check_target(to, force)
    if spreadsheet and (to is None or to.suffix != ".csv"):
        raise click.UsageError("--spreadsheet needs -o FILE.csv: it protects cells of CSV files.")
    options = {"entity_ids": entities or None, "at_least": at_least, "at_most": at_most}
    filters = {key: value for key, value in options.items() if value is not None}
    with mfprefect.connect(url) as store:
        row = resolve_scoring(store, session)
        name, total = row["session_id"], _published_rows(store, row)
        if to is None:
            limit = limit or DEFAULT_LIMIT
            rows = first_scores(store, name, limit + 1, filters)
            _print(out, rows, limit, "the matching" if filters or total is None else str(total))
        else:
            rows_limit = min(filter(None, (limit, total)), default=None)
            batches = _batches(store, name, rows_limit or sys.maxsize, filters)
            count = _write(out, batches, to, force, spreadsheet, rows_limit)
            out.note(f"{count} scores of {name} written to {to}")
            out.document({"session_id": name, "rows": count, "file": str(to)})


def _check_target(to: Path, force: bool) -> None:
    if to.suffix not in ENDINGS:
        raise click.UsageError(f"--output {str(to)!r} must end in {' or '.join(ENDINGS)}.")
    check_target(to, force)


def _published_rows(store: Store, row: dict[str, Any]) -> int | None:
    """Return how many scores a session published; None for users who read the views alone.

    Raises:
        InvalidValue: it has none that can be read; the message says why.
    """
    name, parts = row["session_id"], None
    if not store.database.views_only:
        parts = _parts(store, row)
    if row["published_at"] is None:
        raise InvalidValue(
            f"the scores of session {name!r} are not published: it is {row['status']}. Scores "
            "are published when their session succeeds."
        )
    return parts


def _parts(store: Store, row: dict[str, Any]) -> int:
    from mfprefect.cli.formats import records

    name = row["session_id"]
    parts = records(store.score_parts(name))
    if not parts:
        raise InvalidValue(f"the {row['purpose']} session {name!r} wrote no scores.")
    metadata = store.metadata(name)
    for note in metadata["value"][metadata["meta_group"] == "retention"]:
        raise InvalidValue(f"the scores of session {name!r} were deleted: {note}.")
    return sum(part["rows"] for part in parts)


def first_scores(
    store: Store, session_id: str, limit: int, filters: Mapping[str, Any] = {}
) -> list[dict[str, Any]]:
    """Return the first scores of a session, by entity id; filters are those of `iter_scores`."""
    with closing(_batches(store, session_id, limit, filters)) as batches:
        return [row for batch in batches for row in batch.to_pylist()]


def _batches(
    store: Store, session_id: str, limit: int, filters: Mapping[str, Any]
) -> Generator[pa.RecordBatch]:
    remaining = limit
    for batch in store.iter_scores(session_id, **filters):
        yield batch[:remaining]
        remaining -= min(remaining, batch.num_rows)
        if not remaining:
            return


def _print(out: Output, rows: list[dict[str, Any]], limit: int, total: str) -> None:
    first = rows[:limit]
    # Only files and JSON distinguish an empty class from a missing one.
    out.table(first, SCORE_COLUMNS)
    if len(rows) > limit:
        out.note(f"{limit} of {total} scores; --limit shows more, -o FILE.csv writes all.")
    out.document(first)


def _write(
    out: Output,
    batches: Generator[pa.RecordBatch],
    to: Path,
    force: bool,
    spreadsheet: bool,
    total: int | None,
) -> int:
    rows = 0
    with (
        atomic_file(to, force) as file,
        _writer(file, to.suffix) as write,
        out.progress("scores", total) as step,
        closing(batches),
    ):
        for batch in batches:
            write(_without_formulas(batch) if spreadsheet else batch)
            rows += batch.num_rows
            step(batch.num_rows)
    return rows


def _without_formulas(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Put ' before the texts that a spreadsheet would run as formulas."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(batch.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            texts = batch.column(place)
            quote, nothing = (pa.scalar(text, field.type) for text in ("'", ""))
            quoted = pc.binary_join_element_wise(quote, texts, nothing)
            formula = pc.match_substring_regex(texts, FORMULA)
            batch = batch.set_column(place, field, pc.if_else(formula, quoted, texts))
    return batch


@contextmanager
def _writer(file: BinaryIO, ending: str) -> Iterator[Callable[[pa.RecordBatch], None]]:
    from mfprefect.scores import SCHEMA

    if ending == ".csv":
        from pyarrow import csv

        with csv.CSVWriter(file, SCHEMA) as writer:
            yield writer.write_batch
    else:
        from pyarrow import parquet

        with parquet.ParquetWriter(file, SCHEMA) as writer:
            yield writer.write_batch
