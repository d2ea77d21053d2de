"""What was read and checked of an entry, until it is written to the database."""

from __future__ import annotations

import logging
import tempfile
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

__all__ = ["Staging"]

log = logging.getLogger(__name__)
IN_MEMORY = 16 * 1024**2
"""Bytes above which everything moves to an unnamed temporary file."""
MOST_BYTES = 4 * 1024**3
"""Bytes above which nothing more is staged; an entry must not fill the disk of temporary files."""


class Staging:
    """Keeps byte strings by name, as many as there is room for.

    The bytes are copies: they stay as they were checked, whatever becomes of the spool's files.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed on exit
        self._places: dict[str, tuple[int, int]] = {}
        self._end, self._full = 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # of bytes that there was no room for
            self._file.close()

    def put(self, name: str, data: Any) -> None:
        """Keep bytes if there is room."""
        size = memoryview(data).nbytes
        if self._full or self._end + size > MOST_BYTES:
            return
        try:
            self._file.seek(self._end)
            self._file.write(data)
            self._file.flush()
        except OSError as exc:
            # Delivery frees space in the spool, and must work while a disk is full.
            log.info("files of the spool are read twice: no room to keep them: %s", exc)
            self._full = True
            self._places.clear()  # moving them to the disk may have failed half-way
            return
        self._places[name] = (self._end, size)
        self._end += size

    def get(self, name: str) -> bytes | None:
        """Return bytes, None if there was no room for them."""
        if name not in self._places:
            return None
        start, size = self._places[name]
        self._file.seek(start)
        return self._file.read(size)
