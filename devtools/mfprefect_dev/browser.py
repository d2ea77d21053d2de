"""The browser that opens pages: on PATH, or unpacked by `tests/install_servers.py`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["chromium", "photograph", "write_picture"]

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


def photograph(page: Path, size: tuple[int, int]) -> bytes:
    """Return the top left of a page as PNG.

    Args:
        page: the HTML file.
        size: width and height of the picture, in pixels.

    Raises:
        FileNotFoundError: Chromium is neither installed nor unpacked.
    """
    program, environ = chromium()
    with tempfile.TemporaryDirectory(prefix="mfp-browser-") as name:
        home = Path(name)
        target = home / "page.png"
        subprocess.run(  # noqa: S603 - the browser of the tests
            [
                program,
                "--headless",
                "--no-sandbox",  # as root there is none; the page is our own
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--window-size={},{}".format(*size),
                f"--user-data-dir={home / 'browser'}",
                f"--screenshot={target}",
                page.absolute().as_uri(),
            ],
            env={**os.environ, "HOME": str(home), **environ},
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return target.read_bytes()


def write_picture(page: Path, picture: Path, size: tuple[int, int], most_bytes: int) -> int:
    """Photograph a page into a file of the docs, unless it is too large; return the exit code."""
    content = photograph(page, size)
    if len(content) > most_bytes:
        print(f"the picture has {len(content)} bytes, more than {most_bytes}; lower SIZE")  # noqa: T201
        return 1
    picture.parent.mkdir(exist_ok=True)
    picture.write_bytes(content)
    print(f"{picture}: {len(content)} bytes")  # noqa: T201
    return 0
