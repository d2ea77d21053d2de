"""Removes a private server and its folder, even after a SIGKILL of the process that started it.

Runs as a small process, `python -I -S watcher.py OWNER_PID FOLDER`, so it imports only the standard
library. PR_SET_PDEATHSIG is no alternative: it fires when the forking *thread* ends, the kernel
clears it when the server drops root, it reaches one of the server's twenty processes, and it
leaves the folder behind.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["kill_all", "processes", "remove", "watch"]

_PROC = Path("/proc")


def watch(owner: int, folder: Path) -> None:
    """Wait until standard input closes or the owner is gone, then remove the folder.

    The owner holds the other end of standard input, and so may a forked child that outlives it:
    the loop also checks the parent's id once a second.
    """
    while os.getppid() == owner and not select.select([0], [], [], 1.0)[0]:
        pass
    remove(folder)


def remove(folder: Path) -> None:
    """Kill every process that works in the folder and delete the folder."""
    kill_all(folder)
    segment = _shared_memory(folder)  # a server that stopped normally has removed its pid file
    if segment is not None:
        import ctypes

        ctypes.CDLL(None).shmctl(segment, 0, None)  # 0: IPC_RMID
    shutil.rmtree(folder, ignore_errors=True)


def kill_all(folder: Path, pids: Iterable[int] = (), seconds: float = 20.0) -> None:
    """SIGKILL every process that works in the folder; return when they and `pids` are gone.

    A dying process gives up its working directory before it is gone: hence `pids`.
    """
    deadline, seen = time.monotonic() + seconds, set(pids)
    while time.monotonic() < deadline:
        running = processes(folder)
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        seen.update(running)
        if not any(map(_alive, seen)):
            return
        time.sleep(0.01)


def processes(folder: Path) -> list[int]:
    """Return the ids of the processes whose working directory is in the folder.

    Servers and their children work in the data directory. Without /proc, only the pid file
    names the main process; PostgreSQL's other processes end with it.
    """
    if (_PROC / "self/cwd").exists():
        return [int(entry) for entry in os.listdir(_PROC) if entry.isdigit() and _in(entry, folder)]
    return [pid for file in folder.glob("data/*.pid") if _alive(pid := int(_lines(file)[0]))]


def _in(pid: str, folder: Path) -> bool:
    try:
        return Path(os.readlink(_PROC / pid / "cwd")).is_relative_to(folder)
    except OSError:  # it has ended, is a zombie, or belongs to another user
        return False


def _alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    if pid <= 0:  # an unfinished pid file; kill(0) would hit our own group
        return False
    try:
        os.kill(pid, 0)
        return not _PROC.joinpath(f"{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    except OSError:
        return not (_PROC / "self").exists()  # no /proc, or the process has just ended


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines() or ["0"]
    except OSError:
        return ["0"]


def _shared_memory(folder: Path) -> int | None:
    """Return the System V segment of a PostgreSQL server, which outlives a SIGKILL."""
    lines = _lines(folder / "data" / "postmaster.pid")
    numbers = lines[6].split() if len(lines) > 6 else []
    return int(numbers[1]) if len(numbers) == 2 else None


if __name__ == "__main__":
    watch(int(sys.argv[1]), Path(sys.argv[2]))
