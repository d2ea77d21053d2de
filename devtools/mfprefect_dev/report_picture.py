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

from mfprefect_dev.browser import write_picture

__all__ = ["main"]

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "report.png"
MODEL = "breast_cancer"
SIZE = (1180, 1172)
"""Width and height in pixels: from the verdict to the ROC and lift curves."""
MOST_BYTES = 300_000


def main() -> int:
    """Write the picture; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="mfp-picture-") as name:
        return write_picture(_report(Path(name)), PICTURE, SIZE, MOST_BYTES)


def _report(folder: Path) -> Path:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MFPREFECT_"))}
    subprocess.run(  # noqa: S603 - our own program
        [str(Path(sys.executable).with_name("mfprefect")), "demo", "--folder", str(folder)],
        env=environ,
        check=True,
    )
    return folder / f"{MODEL}.html"


if __name__ == "__main__":
    sys.exit(main())
