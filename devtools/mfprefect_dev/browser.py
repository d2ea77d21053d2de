"""The browser that opens reports: on PATH, or unpacked by `tests/install_servers.py`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = ["chromium"]

UNPACKED = Path(__file__).parents[2] / ".servers" / "chromium"
LIBRARIES = ("usr/lib/*-linux-*", "lib/*-linux-*", "usr/lib/*-linux-*/*")


def chromium() -> tuple[str, Mapping[str, str]]:
    """Return the program and the environment variables that it needs.

    The unpacked program needs its own libraries. Debian's script would start the installed one.

    Raises:
        FileNotFoundError: Chromium is neither installed nor unpacked.
    """
    if (installed := shutil.which("chromium")) is not None:
        return installed, {}
    program = UNPACKED / "usr/lib/chromium/chromium"
    if not program.exists():
        raise FileNotFoundError(
            "chromium is not on PATH or in .servers: run `python tests/install_servers.py`, or "
            "set MFPREFECT_TEST_WITHOUT=browser to skip its tests"
        )
    folders = [str(x) for pattern in LIBRARIES for x in sorted(UNPACKED.glob(pattern))]
    return str(program), {"LD_LIBRARY_PATH": os.pathsep.join(folders)}
