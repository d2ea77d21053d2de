"""Which process is which, and whether one is still running.

Machines, and containers of one machine, may share a host name, and a process number is given again.
A process's *key* tells them apart: the boot of its kernel, its namespaces of process numbers and
times, and the clock tick at which it started. Only a process of the same boot and namespaces sees
whether it runs. Systems without /proc have no keys, only host names and numbers.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = ["Found", "Process", "find", "find_process", "key_of", "on_this_machine", "this_process"]

Found = Literal["gone", "same", "other"]

SLACK = dt.timedelta(seconds=5)
"""Start times are accurate to a second at best."""
_ENDED = ("Z", "X")
"""The states of processes that have ended, and whose parent has not noticed."""


class Process(NamedTuple):
    """A process, as a session records it."""

    host: str
    number: int
    key: str | None
    """None: its system has no /proc, or an earlier version opened the session."""

    def columns(self) -> dict[str, str | int | None]:
        """Return it as columns of `sessions`."""
        return {"host": self.host, "process_id": self.number, "process_key": self.key}


def this_process() -> Process:
    """Return the process that calls this."""
    return Process(platform.node(), os.getpid(), key_of(os.getpid()))


def key_of(process_id: int) -> str | None:
    """Return the key of a process that this one sees; None if it sees none of that number."""
    place, stat = _place(), _stat(process_id)
    return None if place is None or stat is None else f"{place}/{stat[1]}"


def find(process: Process, seen_at: dt.datetime) -> Found | None:
    """Return what became of a process that was seen then; None if this one cannot tell.

    Without a key, systems without /proc judge by host name, number and age; others do not judge.
    """
    if process.key is None:
        here = sys.platform != "linux" and process.host == platform.node()
        return find_process(process.number, seen_at) if here else None
    place, _, tick = process.key.rpartition("/")
    if place != _place():
        return None
    try:
        os.kill(process.number, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass  # it runs, as another user
    stat = _stat(process.number)
    if stat is None:  # it has just ended, or /proc hides it from this user
        return None
    state, started = stat
    return "gone" if state in _ENDED or started != tick else "same"


def on_this_machine(host: str, key: str | None) -> bool:
    """Say whether a process ran under this machine's kernel, whose locks it shares."""
    if key is None:
        return sys.platform != "linux" and host == platform.node()
    place = _place()
    return place is not None and place.partition("/")[0] == key.partition("/")[0]


def _place() -> str | None:
    """Return boot and namespaces of this process, None if its /proc does not show its own."""
    with suppress(OSError):
        if os.readlink("/proc/self") == str(os.getpid()):
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return f"{boot}/{_namespace('pid')}/{_namespace('time')}"
    return None


def _namespace(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{name}").strip(f"{name}:[]")
    except FileNotFoundError:  # kernels before 5.6 have none of times
        return "0"


def find_process(process_id: int, seen_at: dt.datetime) -> Found:
    """Return what happened to the process that had this number at `seen_at`.

    `other`: by its age it started later and got the same number, or the clock was set forward
    meanwhile. A zombie is `gone`.
    """
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass  # it runs, as another user
    state, age = _state_and_age(process_id)
    if state in _ENDED:
        return "gone"
    if age is None:
        return "same"
    started = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age)
    return "same" if started <= seen_at + SLACK else "other"


def _state_and_age(process_id: int) -> tuple[str, float | None]:
    """Return a process's state letter and its age in seconds, None if that is unknown."""
    stat = _stat(process_id)
    if stat is None:
        return _ask_ps(process_id)
    state, tick = stat
    started = int(tick) / os.sysconf("SC_CLK_TCK")
    return state, time.clock_gettime(time.CLOCK_BOOTTIME) - started


def _stat(process_id: int) -> tuple[str, str] | None:
    """Return a process's state letter and the tick at which it started, None if /proc has none."""
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets, which may hold anything.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]


def _ask_ps(process_id: int) -> tuple[str, float | None]:
    """Ask the `ps` of POSIX, for systems without /proc."""
    command = ["ps", "-o", "state=", "-o", "etime=", "-p", str(process_id)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return "", None
    match = re.match(r"\s*(\S+)\s+(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)\s*$", done.stdout)
    if match is None:
        return "", None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    return match.group(1)[0], ((days * 24 + hours) * 60 + minutes) * 60.0 + seconds
