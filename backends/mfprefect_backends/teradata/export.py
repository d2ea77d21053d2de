"""Read many rows by FastExport, which the driver offers for SELECT statements.

A FastExport takes one of the system's slots for load and unload jobs and logs on sessions of the
driver's own. Whether our session's settings reach those is not documented: the time zone, Unicode
pass-through and the collation. So nothing of its rows is believed that depends on them.
"""

from __future__ import annotations

import datetime as dt
import decimal
import logging
import re
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import ipc
from sqlalchemy.exc import DBAPIError

from mfprefect.backend import ArrowRows, Unstreamable
from mfprefect_backends.teradata import codes

__all__ = ["EXPORT_OPTION", "EXPORT_ROWS", "REQUIRE", "read", "unload"]

log = logging.getLogger(__name__)

EXPORT_ROWS = 100_000
"""From how many rows on FastExport is worth its start, says the driver's manual."""
REQUIRE = "{fn teradata_require_fastexport}"
"""Not `try`: then nobody would learn that a query was not exported."""
EXPORT_OPTION = "mfprefect_fastexport"
"""Execution option of a select to export."""
FETCH_ROWS = 500
CHUNK_ROWS = 16_000
SUBSTITUTES = "[\ufffd\x1a]"
"""What stands for a character that a session's character set lacks."""
_SELECT = re.compile(r"(?:\s|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*select\b", re.IGNORECASE)
_KINDS: dict[Any, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    decimal.Decimal: pa.float64(),
    str: pa.large_string(),
    bytes: pa.large_binary(),
    dt.date: pa.date32(),
}
"""Arrow's types of the driver's types of columns. Times are missing: their zone may be another."""


def unload(
    select: sa.Select[*tuple[Any, ...]],
    schema: pa.Schema,
    rows: int,
    stream: Callable[[sa.Select[*tuple[Any, ...]]], Generator[pa.RecordBatch]],
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a select that is ordered by its first column, a text, in its bytes' order.

    They go through a temporary file. Where something is wrong with them, an ordinary query reads
    them again.

    Args:
        select: of texts and numbers.
        schema: of its columns.
        rows: how many there are.
        stream: executes a select and yields its rows.
    """
    with tempfile.TemporaryDirectory(prefix="mfprefect-export-") as folder:
        file = Path(folder) / "rows.arrow"
        exported = select.execution_options(**{EXPORT_OPTION: True})
        reason = _export(stream(exported), schema, rows, file)
        if reason is None:
            with pa.OSFile(str(file)) as source, ipc.open_stream(source) as reader:
                yield from reader
            return
    log.info("%d scores are read without FastExport, because %s.", rows, reason)
    yield from stream(select)


def _export(
    batches: Generator[pa.RecordBatch], schema: pa.Schema, rows: int, file: Path
) -> str | None:
    """Write the rows into a file; return what is wrong with them, None if nothing is."""
    count, last = 0, ""
    try:
        with closing(batches), ipc.new_stream(str(file), schema) as writer:
            for batch in batches:
                if (reason := _why_wrong(batch, last)) is not None:
                    return reason
                writer.write_batch(batch)
                count, last = count + batch.num_rows, batch.column(0)[-1].as_py()
    except DBAPIError as exc:
        return _refusal(exc)
    return None if count == rows else f"{count} rows came"


def _why_wrong(batch: pa.RecordBatch, last: str) -> str | None:
    if any(map(_has_substitutes, batch.columns)):
        return "a text has what may stand for a character that it cannot transfer"
    keys = pa.concat_arrays([pa.array([last], batch.column(0).type), batch.column(0)])
    if pc.any(pc.greater(keys[:-1], keys[1:])).as_py():
        return "the rows came in another order"
    return None


def _has_substitutes(column: pa.Array) -> bool:
    texts = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return texts and bool(pc.any(pc.match_substring_regex(column, SUBSTITUTES)).as_py())


def _refusal(error: DBAPIError) -> str:
    """Return why nothing was exported; raise if the connection is lost.

    The ordinary query meets any error that is not FastExport's own, and raises it.
    """
    if error.connection_invalidated or error.orig is None or codes.is_lost(error.orig):
        raise error
    return f"it failed with error {codes.code(error.orig)}"


def read(
    connection: sa.Connection, statement: sa.TextClause, params: dict[str, Any]
) -> ArrowRows | str:
    """Begin to read a query of a user's own; see `Backend.read_arrow`."""
    if _SELECT.match(statement.text) is None:
        return "FastExport takes a SELECT only"
    exported = sa.text(REQUIRE + statement.text).bindparams(*statement._bindparams.values())
    try:
        result = connection.execute(exported, params)
    except DBAPIError as exc:
        return f"FastExport cannot read it: {_refusal(exc)}"
    cursor: Any = result.cursor
    fields = []
    for name, kind, *_ in cursor.description:
        if kind not in _KINDS:
            result.close()
            return f"FastExport may return a {getattr(kind, '__name__', kind)} in another time zone"
        fields.append(pa.field(name, _KINDS[kind]))
    schema = pa.schema(fields)
    return ArrowRows(schema, _batches(connection, statement, result, schema))


def _batches(
    connection: sa.Connection,
    statement: sa.TextClause,
    result: sa.CursorResult[Any],
    schema: pa.Schema,
) -> Generator[pa.RecordBatch]:
    cursor: Any = result.cursor
    with closing(result), codes.driver_errors(connection, statement.text):
        columns: list[list[pa.Array]] = [[] for _ in schema]
        while rows := cursor.fetchmany(FETCH_ROWS):
            for column, cells, field in zip(columns, zip(*rows, strict=True), schema, strict=True):
                column.append(_array(cells, field.type))
            if len(columns[0]) * FETCH_ROWS >= CHUNK_ROWS:
                yield _batch(columns, schema)
                columns = [[] for _ in schema]
        if columns and columns[0]:
            yield _batch(columns, schema)


def _batch(columns: list[list[pa.Array]], schema: pa.Schema) -> pa.RecordBatch:
    batch = pa.RecordBatch.from_arrays(list(map(pa.concat_arrays, columns)), schema=schema)
    if any(map(_has_substitutes, batch.columns)):
        raise Unstreamable("FastExport returned what may stand for a character")
    return batch


def _array(cells: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    if pa.types.is_float64(kind):  # also of Decimals, as pandas.read_sql makes them
        cells = tuple([cell if cell is None else float(cell) for cell in cells])
    try:
        return pa.array(cells, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as exc:
        raise Unstreamable("the driver returned a value of another type than its column") from exc
