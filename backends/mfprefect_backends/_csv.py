"""Arrow tables as CSV, for databases that load and unload it; text is quoted, NULL is not."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyarrow import csv

__all__ = ["Encoded", "Pipe", "Unloading", "decoded", "encoded"]

CHUNK_ROWS = 20_000
BLOCK_BYTES = 4 * 1024 * 1024


def encoded(rows: pa.Table, null: str) -> Iterator[bytes]:
    """Yield a table as CSV without a header, in small chunks."""
    options = csv.WriteOptions(
        include_header=False, batch_size=CHUNK_ROWS, quoting_style="needed", null_string=null
    )
    for start in range(0, rows.num_rows, CHUNK_ROWS):
        stream = pa.BufferOutputStream()
        csv.write_csv(rows.slice(start, CHUNK_ROWS), stream, options)
        yield stream.getvalue().to_pybytes()


def decoded(file: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a CSV without a header, in which every value but NULL is quoted."""
    if not file.peek(1):  # Arrow refuses an empty file
        return
    reader = csv.open_csv(
        file,
        csv.ReadOptions(column_names=schema.names, block_size=BLOCK_BYTES),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=dict(zip(schema.names, schema.types, strict=True)),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    for batch in reader:
        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


class Encoded:
    """A readable file that encodes a table while it is read."""

    def __init__(self, rows: pa.Table, null: str) -> None:
        self._chunks = encoded(rows, null)
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> Any:
        """Return at most `size` bytes, none at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        if size < 0:
            size = len(self._rest)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


class Pipe:
    """A path for a reader of chunks, which a thread writes at the same time.

    If a chunk fails, the reader only sees an early end; leaving the block raises the error.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._failure: BaseException | None = None
        self._out, self._in = os.pipe()
        self._thread = threading.Thread(target=self._fill, daemon=True)

    @property
    def path(self) -> str:
        """The path to read from."""
        return f"/dev/fd/{self._out}"

    def __enter__(self) -> Pipe:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        os.close(self._out)  # unblocks the thread if the reader stopped early
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def _fill(self) -> None:
        try:
            with os.fdopen(self._in, "wb") as file:
                for chunk in self._chunks:
                    file.write(chunk)
        except BaseException as exc:  # noqa: BLE001 - raised again in the reader's thread
            self._failure = exc


class Unloading:
    """A file that yields what a function writes in another thread.

    If the function fails, the reader only sees an early end; leaving the block raises the error.
    """

    def __init__(self, write: Callable[[Any], None]) -> None:
        self._write = write
        self._failure: BaseException | None = None
        out, self._in = os.pipe()
        self._file = io.BufferedReader(io.FileIO(out), BLOCK_BYTES)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()  # unblocks the writer if the reader stopped early
        self._thread.join()
        if self._failure is not None and kind is not GeneratorExit:
            raise self._failure

    def _run(self) -> None:
        try:
            with os.fdopen(self._in, "wb") as file:
                self._write(file)
        except BaseException as exc:  # noqa: BLE001 - raised again in the reader's thread
            self._failure = exc
