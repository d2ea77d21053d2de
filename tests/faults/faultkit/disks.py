"""Small disks that are really full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["NO_DISK", "NO_PRIVATE_DISK", "PAGE", "UNTESTED", "fill", "mounted_disk", "private_disk"]

PAGE = 4096
UNTESTED = "A FULL DISK IS NOT TESTED"
NO_DISK = f"{UNTESTED} for SQLite: mounting one takes root"
NO_PRIVATE_DISK = f"{UNTESTED} for the spool: `unshare -rm` may mount none here"


@contextmanager
def mounted_disk(folder: Path) -> Iterator[bool]:
    """Mount a disk of 8 MB that all see, which takes root; yield False where that is refused.

    SQLite needs it: it follows links, and would be led out of a namespace of another process.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "mfp-faults", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield mounted
    if mounted:
        unmount = ["umount", "--lazy", str(folder)]
        subprocess.run(unmount, check=True)


@contextmanager
def private_disk(folder: Path, pages: int) -> Iterator[Path | None]:
    """Mount a disk where only a process of ours has it; yield its path, None where none can be had.

    Any user may do that who may have namespaces of his own, and nothing is left of it when the
    process ends, however that is.
    """
    mount = f"mount -t tmpfs -o size={pages * PAGE} mfp-faults '{folder}' && echo mounted && cat"
    for options in ("-m", "-rm"):
        command = ["unshare", options, "sh", "-c", mount]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as holder:
            assert holder.stdin is not None and holder.stdout is not None
            if holder.stdout.readline() == b"mounted\n":
                try:
                    yield Path(f"/proc/{holder.pid}/root{folder.resolve()}")
                finally:
                    with suppress(OSError):
                        holder.stdin.close()
                    holder.wait(10)
                return
    yield None


def fill(disk: Path, pages: int) -> Path:
    """Write a file that leaves so many pages of a disk; return it."""
    filler = disk / "filler"
    status = os.statvfs(disk)
    filler.write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - pages * PAGE)))
    return filler
