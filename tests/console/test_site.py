"""The static export: plain files that link each other and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from mfprefect.cli import cli
from mfprefect_dev.browser_page import Browser
from mfprefect_dev.sample_sessions import HOSTILE, Examples

pytestmark = pytest.mark.xdist_group("console")


@pytest.fixture(scope="module")
def folder(examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    for _ in range(2):  # the second replaces the first
        result = CliRunner().invoke(cli, ["site", str(folder), "--url", examples.url])
        assert result.exit_code == 0, result.output
    return folder


def test_links_lead_to_files_of_the_export(folder: Path, examples: Examples) -> None:
    pages = sorted(folder.rglob("*.html"))
    assert len(list(folder.glob("models/*.html"))) == 3
    assert len(list(folder.glob("reports/*.html"))) >= 4
    for page in pages:
        text = page.read_text("utf-8")
        for target in re.findall(r'(?:href|src)="([^"#]+)', text):
            assert (page.parent / unquote(target)).is_file(), (page, target)
        assert "<form" not in text or 'method="post"' not in text
    index = (folder / "index.html").read_text("utf-8")
    assert examples["train"].removeprefix("churn-") in index
    assert HOSTILE[:20] not in index


def test_it_can_be_read_from_a_disk(folder: Path, browser: Browser) -> None:
    for file in (folder / "index.html", *folder.glob("models/*.html")):
        for width, scheme in ((1280, "light"), (390, "dark")):
            browser.show(file, width, scheme)
            page = browser.run("[document.documentElement.scrollWidth, innerWidth]")
            assert page[0] <= page[1]
            assert browser.complaints == []
            fetched = [url for url in browser.requests if not url.startswith("data:")]
            assert all(url.startswith(folder.as_uri()) for url in fetched)
            colour = browser.run("getComputedStyle(document.body).fontFamily")
            assert "system-ui" in colour
