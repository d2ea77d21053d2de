"""Whether a process of this machine is still running, and not another one under its number."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Literal

__all__ = ["Found", "find_process"]

Found = Literal["gone", "same", "other"]

SLACK = dt.timedelta(seconds=5)
"""Start times are accurate to a second at best."""


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
    if state in ("Z", "X"):
        return "gone"
    if age is None:
        return "same"
    started = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age)
    return "same" if started <= seen_at + SLACK else "other"


def _state_and_age(process_id: int) -> tuple[str, float | None]:
    """Return a process's state letter and its age in seconds, None if that is unknown."""
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return _ask_ps(process_id)
    # The second field is the program's name in brackets, which may hold anything.
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return fields[0], time.clock_gettime(time.CLOCK_BOOTTIME) - ticks


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
