"""Reports as a person sees them: in a real browser, on a desktop and a phone, light and dark."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mfprefect.report.drawing.palette import DARK, LIGHT

pytestmark = pytest.mark.xdist_group("report")  # the sessions are made once
SIZES = {"desktop": 1280, "phone": 390}
SCHEMES = {"light": LIGHT, "dark": DARK}
REPORTS = (
    *("train", "score", "failed", "monitor", "forecast", "hostile", "large", "model"),
    *("numbers", "classes"),
)
# What sticks out of the page to the right, but for what a table of its own scrolls.
OUTSIDE = """
[...document.querySelectorAll('body *')].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.right > document.documentElement.clientWidth + 1
    && !element.closest('.scroll') && !element.closest('svg');
}).map(element => element.outerHTML.slice(0, 200))
"""
BOXES = """
[...document.querySelectorAll('%s')].filter(element => !element.closest('details:not([open])'))
  .map(element => { const box = element.getBoundingClientRect(); return [box.width, box.height]; })
"""
# Texts of a picture that lie outside it, and would be cut off in print.
CUT = """
[...document.querySelectorAll('figure svg text')].filter(text => {
  const box = text.getBoundingClientRect();
  const svg = text.closest('svg').getBoundingClientRect();
  return box.left < svg.left - 4 || box.right > svg.right + 8 || box.bottom > svg.bottom + 4;
}).map(text => text.textContent)
"""


@pytest.fixture(scope="module")
def files(examples: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    for name in REPORTS:
        (folder / f"{name}.html").write_text(examples.report(name), "utf-8")
    return {name: folder / f"{name}.html" for name in REPORTS}


def pixels(browser: Any) -> Any:
    shot = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
    return np.asarray(shot).reshape(-1, 3)


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        *(("train", size, scheme) for size in SIZES for scheme in SCHEMES),
        *((name, "phone", "dark") for name in REPORTS if name != "train"),
        *((name, "desktop", "light") for name in ("score", "hostile", "classes")),
    ],
)
def test_nothing_sticks_out_and_nothing_is_blank(
    browser: Any, files: dict[str, Path], name: str, size: str, scheme: str
) -> None:
    browser.show(files[name], SIZES[size], scheme)
    page = browser.run("[document.documentElement.scrollWidth, innerWidth]")
    assert page[0] <= page[1]
    assert browser.run(OUTSIDE) == []
    assert browser.run(CUT) == []
    for selector in ("h1", "h2", "table", "figure", "figure svg", "td svg", ".verdict"):
        for width, height in browser.run(BOXES % selector):
            assert width > 20, selector
            assert height > 10, selector
    assert browser.run("document.querySelectorAll('h2').length") >= 2
    assert browser.requests == [files[name].as_uri()]
    assert browser.complaints == []
    colours, counts = np.unique(pixels(browser), axis=0, return_counts=True)
    paper = tuple(int(SCHEMES[scheme]["paper"][at : at + 2], 16) for at in (1, 3, 5))
    assert tuple(colours[counts.argmax()]) == paper
    assert counts.max() < 0.97 * counts.sum()


def test_the_pictures_take_the_colours_of_the_page(browser: Any, files: dict[str, Path]) -> None:
    stroke = "getComputedStyle(document.querySelector('figure svg path[style*=\"--a\"]')).stroke"
    text = "getComputedStyle(document.querySelector('figure svg text')).fill"
    for scheme, colours in SCHEMES.items():
        browser.show(files["train"], 1280, scheme)
        for script, role in ((stroke, "a"), (text, "soft")):
            rgb = ", ".join(str(int(colours[role][at : at + 2], 16)) for at in (1, 3, 5))
            assert browser.run(script) == f"rgb({rgb})"


def test_print_is_light_and_cuts_nothing(browser: Any, files: dict[str, Path]) -> None:
    browser.show(files["train"], 794, "dark", media="print")  # the width of A4
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(OUTSIDE) == []


def test_assistive_technology_finds_names(browser: Any, files: dict[str, Path]) -> None:
    browser.show(files["train"], 1280)
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named: dict[str, list[str]] = {}
    for node in nodes:
        if not node["ignored"]:
            role = node["role"]["value"]
            named.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    images = named.get("image", []) + named.get("img", [])
    assert "ROC curve" in " ".join(images)
    assert all(images)
    assert all(named["region"])
    assert "churn: training" in named["heading"]
    assert {"columnheader", "rowheader"} <= set(named)
