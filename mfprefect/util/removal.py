"""Remove folders of mfprefect, and nothing else.

The only place that deletes folders. It opens each folder by descriptor from a trusted one downwards
and follows no link, so that nobody who can write there can redirect it. It deletes only files that
mfprefect writes, of users whom it trusts; it passes over everything else and names it.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["remove_folder", "rename_below", "temporary_folder"]

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_folder(
    folder: Path, base: Path, ours: Callable[[str], bool] | None = None
) -> list[Path]:
    """Remove a folder with the files that mfprefect wrote into it; a missing one is removed.

    Args:
        folder: the folder.
        base: a folder above it that is trusted: one of the settings, or of this process.
        ours: says whether mfprefect writes a file of a name; folders inside are then foreign. By
            default, everything inside belongs to us: this process made the folder for itself.

    Returns:
        What is left because it is not ours, or could not be removed; with it the folder stays.
    """
    owners = {0, os.geteuid(), base.stat().st_uid}
    name = folder.name
    try:
        with _below(base, folder.parent) as parent:
            return list(_remove(parent, name, folder, owners, ours))
    except FileNotFoundError:
        return []
    except OSError:
        return [folder]


def rename_below(folder: Path, name: str, base: Path) -> Path:
    """Give a folder below `base` another name beside it; return its path.

    Raises:
        OSError: it is missing, or a folder on the way from `base` is a link.
    """
    with _below(base, folder.parent) as parent:
        os.rename(folder.name, name, src_dir_fd=parent, dst_dir_fd=parent)
        os.fsync(parent)
    return folder.with_name(name)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that only this user can read, and remove it at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="mfprefect-")).resolve()
    try:
        yield folder
    finally:
        remove_folder(folder, folder.parent)


@contextmanager
def _below(base: Path, folder: Path) -> Iterator[int]:
    """Open a folder step by step from `base`, following no link below it."""
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folder.relative_to(base).parts:
            inner = os.open(part, _OPEN, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(
    parent: int, name: str, path: Path, owners: set[int], ours: Callable[[str], bool] | None
) -> Iterator[Path]:
    """Remove a folder by its parent's descriptor; yield what is left."""
    try:
        descriptor = os.open(name, _OPEN, dir_fd=parent)
    except OSError as exc:
        if exc.errno not in (errno.ENOTDIR, errno.ELOOP):  # not a link or a file
            raise
        yield path
        return
    try:
        if os.fstat(descriptor).st_uid not in owners:
            yield path
            return
        for inner in sorted(os.listdir(descriptor)):
            yield from _remove_inner(descriptor, inner, path / inner, owners, ours)
    finally:
        os.close(descriptor)
    with suppress(OSError):  # what was passed over is still in it
        os.rmdir(name, dir_fd=parent)


def _remove_inner(
    parent: int, name: str, path: Path, owners: set[int], ours: Callable[[str], bool] | None
) -> Iterator[Path]:
    try:
        status = os.lstat(name, dir_fd=parent)
        if stat.S_ISDIR(status.st_mode) and ours is None:
            yield from _remove(parent, name, path, owners, ours)
        elif ours is None or _is_ours(status, name, owners, ours):
            os.unlink(name, dir_fd=parent)
        else:
            yield path
    except FileNotFoundError:  # removed meanwhile
        return
    except OSError:
        yield path


def _is_ours(
    status: os.stat_result, name: str, owners: set[int], ours: Callable[[str], bool]
) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid in owners and ours(name)
