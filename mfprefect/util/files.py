"""Files that take their name when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mfprefect.errors import InvalidValue

__all__ = ["atomic_file", "check_target"]


def check_target(to: Path, force: bool) -> None:
    """Refuse a file that exists, unless it is to be overwritten, and a folder that does not."""
    if to.exists() and not force:
        raise InvalidValue(f"the file {str(to)!r} exists; overwrite it with --force (force=True).")
    if not to.parent.is_dir():
        raise InvalidValue(f"there is no folder {str(to.parent)!r}; create it first.")


@contextmanager
def atomic_file(to: Path, force: bool) -> Iterator[BinaryIO]:
    """Yield a file that takes its name when it is complete, and is removed when it is not."""
    temporary = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        check_target(to, force)  # somebody may have written it meanwhile
        temporary.replace(to)
    finally:
        temporary.unlink(missing_ok=True)
