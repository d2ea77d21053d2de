"""Mails as people see them: wide and narrow, light and dark, with and without a style sheet."""

from __future__ import annotations

import colorsys
import html.parser
import re
from pathlib import Path
from typing import Any

import pytest

from mfprefect.notifications.mail import DARK, LIGHT
from mfprefect.notifications.notice import Notice
from mfprefect_dev.sample_notices import sample_notices, sample_store

KINDS = (
    "waiting_for_promotion",
    "gate_failed",
    "checks_failed",
    "crashed",
    "drift",
    "outcomes",
    "spooled",
    "digest",
)
RUN = "https://prefect.example.com/runs/flow-run/5?a=1&b=2"
WORST_CONTRAST = """
(() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => {
    const [r, g, b] = parse(c).map(x => x / 255)
      .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (parse(c)[3] !== 0) return c;
    }
    return "rgb(255, 255, 255)";
  };
  let worst = [99, ""];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    if (!text) continue;
    const element = texts.currentNode.parentElement;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < worst[0]) worst = [contrast, text];
  }
  return worst;
})()
"""


@pytest.fixture(scope="module")
def notices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Notice]:
    with sample_store(tmp_path_factory.mktemp("mails")) as store:
        return dict(sample_notices(store))


class Elements(html.parser.HTMLParser):
    """The elements of a page, and its texts in their order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.elements[-1][0] != "style":
            self.texts.append(data.strip())


@pytest.mark.parametrize(("scheme", "palette"), [("light", LIGHT), ("dark", DARK)])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_readable_at_any_width(
    notices: dict[str, Notice], browser: Any, tmp_path: Path, kind: str, scheme: str, palette: Any
) -> None:
    page = tmp_path / "mail.html"
    page.write_text(notices[kind].mail, encoding="utf-8")
    for width in (800, 320):
        browser.show(page, width, scheme)
        assert browser.run("document.scrollingElement.scrollWidth") <= width
        contrast, text = browser.run(WORST_CONTRAST)
        assert contrast >= 4.5, text
        colour = browser.run("getComputedStyle(document.querySelector('.cd')).backgroundColor")
        assert colour == f"rgb{tuple(bytes.fromhex(palette.card[1:]))}"
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []


def test_it_stays_readable_where_a_client_drops_the_style_sheet(
    notices: dict[str, Notice], browser: Any, tmp_path: Path
) -> None:
    page = tmp_path / "mail.html"
    page.write_text(re.sub("<style>.*?</style>", "", notices["gate_failed"].mail))
    for scheme in ("light", "dark"):
        browser.show(page, 480, scheme)
        assert browser.run("document.scrollingElement.scrollWidth") <= 480
        assert browser.run(WORST_CONTRAST)[0] >= 4.5


def _luminance(colour: str) -> float:
    channels = [x / 255 for x in bytes.fromhex(colour[1:])]
    r, g, b = (x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _inverted(colour: str) -> str:
    """Return what Outlook makes of a colour: the same hue, its lightness turned over."""
    r, g, b = (x / 255 for x in bytes.fromhex(colour[1:]))
    hue, lightness, saturation = colorsys.rgb_to_hls(r, g, b)
    turned = colorsys.hls_to_rgb(hue, 1 - lightness, saturation)
    return "#" + bytes(round(255 * x) for x in turned).hex()


def test_the_colours_survive_outlooks_inversion() -> None:
    for colour in (LIGHT.text, LIGHT.muted, LIGHT.link, *LIGHT.tones.values()):
        for ground in (LIGHT.card, LIGHT.code):
            shades = sorted((_luminance(_inverted(colour)), _luminance(_inverted(ground))))
            assert (shades[1] + 0.05) / (shades[0] + 0.05) >= 4.5, colour


@pytest.mark.parametrize("kind", KINDS)
def test_clients_keep_it(notices: dict[str, Notice], kind: str) -> None:
    notice = notices[kind]
    page = Elements(notice.mail)
    assert len(notice.mail.encode()) < 60_000
    assert {tag for tag, _ in page.elements} <= {
        *("html", "head", "meta", "style", "body", "table", "tr", "th", "td", "div", "span", "br")
    }
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "background", "srcset", "onclick", "id"}
    assert "url(" not in notice.mail
    assert "@import" not in notice.mail
    bare = [tag for tag, x in page.elements if "class" in x and "style" not in x]
    assert not bare
    # What a phone shows beside the subject.
    assert " ".join(page.texts).startswith(notice.plain.splitlines()[0].partition(" (")[0])


def test_a_link_is_readable_where_links_are_stripped(notices: dict[str, Notice]) -> None:
    report = "https://reports.example.com/s-1.html?a=1&b=2"
    notice = Notice("failed", "churn", purpose="score", run_url=RUN, report_url=report)
    links = [x for tag, x in Elements(notice.mail).elements if tag == "a"]
    assert [link["href"] for link in links] == [report, RUN]
    assert f"Report: {report}\nFlow run in Prefect: {RUN}" in notice.plain
    for text in (notice.markdown, notice.slack.replace("&amp;", "&")):
        assert f"Report: {report}" in text and f"Flow run in Prefect: {RUN}" in text
    assert notice.fields["urls"] == {"flow_run": RUN, "report": report}
    assert RUN in Elements(notice.mail).texts
    assert RUN in Elements(notice.html).texts
    assert f"Flow run in Prefect: {RUN}" in notice.plain


def test_what_the_samples_say(notices: dict[str, Notice]) -> None:
    assert {kind: notice.title.partition(": ")[2] for kind, notice in notices.items()} == {
        "waiting_for_promotion": "trained, waits for promotion",
        "gate_failed": "training failed, 2 of 3 gates missed",
        "checks_failed": "scoring failed, 2 of 16 input checks failed",
        "crashed": "scoring crashed, its process is gone",
        "drift": "scores published, 2 variables drifted",
        "outcomes": "no outcome belongs to a score",
        "spooled": "training is spooled, the database is unavailable",
        "digest": "summary of 7 sessions, 3 with problems",
    }
    assert all("(production): " in notice.title for notice in notices.values())
    gates = notices["gate_failed"].plain
    assert gates.splitlines()[0].startswith("Readers still see the scores of ")
    assert "(as of 2026-11-29)" in gates.splitlines()[0]
    assert gates.index("  failed") < gates.index("  passed")
    assert "mfprefect promote churn churn-" in gates
    drift = notices["drift"].plain
    assert "(as of 2026-11-30). Look at the 2 variables below" in drift.splitlines()[0]
    assert "mean price 15 to 24, PSI " in drift
    assert "share of rows with region = 'east' 21% to 46%, PSI" in drift
    assert "an id of the scores is 'C00000'" in notices["outcomes"].plain
    assert "mfprefect spool push" in notices["spooled"].plain
    assert "churn, score" in notices["digest"].plain
