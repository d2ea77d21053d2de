"""Make the README's picture of a report; `make picture` runs this.

Runs `mfprefect demo` in a temporary folder and photographs the top of the report of its
breast-cancer training, in the browser that the tests use.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mfprefect_dev.browser import chromium

__all__ = ["main"]

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "report.png"
MODEL = "breast_cancer"
SIZE = (1180, 1172)
"""Width and height in pixels: from the verdict to the ROC and lift curves."""
MOST_BYTES = 300_000


def main() -> int:
    """Write the picture; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="mfp-picture-") as name:
        folder = Path(name)
        report = _report(folder)
        picture = _photograph(report, folder)
        if len(picture) > MOST_BYTES:
            print(f"the picture has {len(picture)} bytes, more than {MOST_BYTES}; lower SIZE")  # noqa: T201
            return 1
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_bytes(picture)
    print(f"{PICTURE}: {len(picture)} bytes")  # noqa: T201
    return 0


def _report(folder: Path) -> Path:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MFPREFECT_"))}
    subprocess.run(  # noqa: S603 - our own program
        [str(Path(sys.executable).with_name("mfprefect")), "demo", "--folder", str(folder)],
        env=environ,
        check=True,
    )
    return folder / f"{MODEL}.html"


def _photograph(report: Path, folder: Path) -> bytes:
    program, environ = chromium()
    target = folder / "report.png"
    subprocess.run(  # noqa: S603 - the browser of the tests
        [
            program,
            "--headless",
            "--no-sandbox",  # as root there is none; the page is our own
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size={},{}".format(*SIZE),
            f"--user-data-dir={folder / 'browser'}",
            f"--screenshot={target}",
            report.as_uri(),
        ],
        env={**os.environ, "HOME": str(folder), **environ},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return target.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
