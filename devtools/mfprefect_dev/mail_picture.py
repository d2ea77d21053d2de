"""Make the picture of a mail for docs/notifications.md; `make picture` runs this.

With a folder as argument it writes a page of every kind of mail there instead, to look at.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from mfprefect.notifications.notice import Notice
from mfprefect_dev.browser import write_picture
from mfprefect_dev.sample_notices import sample_notices, sample_store

__all__ = ["main"]

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "mail.png"
KIND = "gate_failed"
SIZE = (680, 760)
"""Width and height in pixels."""
MOST_BYTES = 120_000


def main() -> int:
    """Write the picture, or the pages; return the exit code."""
    if len(sys.argv) > 1:
        return _write_pages(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory(prefix="mfp-picture-") as name:
        folder = Path(name)
        page = folder / "mail.html"
        page.write_text(_notices(folder)[KIND].mail, encoding="utf-8")
        return write_picture(page, PICTURE, SIZE, MOST_BYTES)


def _write_pages(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mfp-picture-") as name:
        for kind, notice in _notices(Path(name)).items():
            (folder / f"{kind}.html").write_text(notice.mail, encoding="utf-8")
            (folder / f"{kind}.txt").write_text(f"{notice.title}\n\n{notice.plain}\n")
    return 0


def _notices(folder: Path) -> dict[str, Notice]:
    with sample_store(folder) as store:
        return dict(sample_notices(store))


if __name__ == "__main__":
    sys.exit(main())
