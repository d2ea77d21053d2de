"""File locks of the spool: the system drops them when the process that holds them ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from mfprefect.spool.files import make_folder, open_private

__all__ = ["hold", "is_held", "lock_in_folder"]

_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.0)
"""Seconds between tries: another process may hold the lock only to test it."""


def hold(path: Path) -> int:
    """Return a locked file of this process.

    Raises:
        BlockingIOError: another process holds it.
    """
    descriptor = open_private(path)
    for pause in _PAUSES:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            time.sleep(pause)
    os.close(descriptor)
    raise BlockingIOError(f"another process is writing to {path.parent}")


def is_held(path: Path) -> bool:
    """Return whether a process holds a lock file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # missing, or a link, a folder or another user's: no run of ours holds that
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_in_folder(path: Path, *, wait: bool, create: bool) -> int:
    """Lock a file of a folder that other processes may remove; return its descriptor.

    Args:
        path: the lock file.
        wait: wait for the process that holds it.
        create: make the folder if it is missing.

    Raises:
        BlockingIOError: another process holds it, and `wait` is False.
        FileNotFoundError: the folder is missing, and `create` is False.
    """
    operation = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    while True:
        if create:
            make_folder(path.parent)
        try:
            descriptor = open_private(path)
        except FileNotFoundError:
            if create:  # the folder has just been removed
                continue
            raise
        try:
            fcntl.flock(descriptor, operation)
            # The process that held it may have delivered the entry and removed the folder.
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except FileNotFoundError:
            if not create:
                os.close(descriptor)
                raise
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
