"""Files that are complete, digested and on the disk before anybody sees them."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mfprefect.errors import InvalidValue

__all__ = [
    "DigestedFile",
    "atomic_file",
    "check_target",
    "file_digest",
    "sync_folder",
    "synced_file",
]


class DigestedFile(io.BufferedWriter):
    """A new file that computes its SHA-256 as it is written; seeking would make that wrong."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(io.FileIO(path, "x", opener=lambda p, flags: os.open(p, flags, mode)))
        self._digest = hashlib.sha256()
        self.size = 0
        """Bytes written so far."""

    def write(self, data: Any) -> int:
        """Write bytes; return how many."""
        written = super().write(data)
        self._digest.update(data)
        self.size += written
        return written

    @property
    def sha256(self) -> str:
        """The digest of what was written so far."""
        return self._digest.hexdigest()


def check_target(to: Path, force: bool) -> None:
    """Refuse a file that exists, unless it may be overwritten, and a folder that does not exist."""
    if to.exists() and not force:
        raise InvalidValue(f"the file {str(to)!r} exists; overwrite it with --force (force=True).")
    if not to.parent.is_dir():
        raise InvalidValue(f"there is no folder {str(to.parent)!r}; create it first.")


@contextmanager
def synced_file(path: Path, mode: int = 0o666) -> Iterator[DigestedFile]:
    """Yield a new file, which is on the disk when the block ends.

    Args:
        path: the file, which must not exist.
        mode: its permissions, before the umask.
    """
    with DigestedFile(path, mode) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_file(to: Path, force: bool = True, mode: int = 0o666) -> Iterator[DigestedFile]:
    """Yield a temporary file that is synced and renamed when the block ends, or removed on error.

    `sync_folder` makes the new name itself survive a power failure.

    Args:
        to: the file's final name.
        force: replace a file of that name.
        mode: its permissions, before the umask.

    Raises:
        InvalidValue: the file exists, and `force` is False.
    """
    temporary = to.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with synced_file(temporary, mode) as file:
            yield file
        if not force:  # another process may have created it meanwhile
            check_target(to, force)
        temporary.replace(to)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
