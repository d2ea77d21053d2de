"""The console as people see it: in a real browser, on a desktop and a phone, light and dark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from mfprefect_dev.browser_page import Browser
from mfprefect_dev.sample_sessions import HOSTILE, Examples

pytestmark = pytest.mark.xdist_group("console")
AXE = Path(__file__).parents[2] / ".servers" / "axe" / "axe.min.js"
SIZES = (1280, 390)
SCHEMES = ("light", "dark")
MODEL = quote(HOSTILE[:60], safe="")
# What sticks out of the page to the right, but for what a table of its own scrolls.
OUTSIDE = """
[...document.querySelectorAll('body *')].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.right > document.documentElement.clientWidth + 1
    && !element.closest('.scroll') && !element.closest('svg') && !element.closest('.skip');
}).map(element => element.outerHTML.slice(0, 200))
"""
NAMES = (
    *("overview", "model", "hostile model", "sessions", "filtered", "session", "hostile session"),
    *(
        "large session",
        "experiments",
        "failed",
        "compare",
        "entity",
        "promote",
        "audit",
        "operations",
    ),
    *("database", "missing"),
)


def path_of(name: str, examples: Examples) -> str:
    def session(key: str) -> str:
        return f"/sessions/{quote(examples[key], safe='')}"

    ids = [quote(examples[key], safe="") for key in ("first", "train", "candidate", "hostile")]
    return {
        "overview": "/",
        "model": "/models/churn",
        "hostile model": f"/models/{MODEL}",
        "sessions": "/sessions",
        "filtered": "/sessions?purpose=train&sort=-auc&columns=auc+params.depth",
        "session": session("train"),
        "hostile session": session("hostile"),
        "large session": session("large"),
        "failed": session("failed"),
        "compare": "/compare?" + "&".join(f"s={x}" for x in ids),
        "entity": "/scores/churn?entity=5",
        "promote": f"/promote/churn?session={examples['candidate']}",
        "experiments": "/models/churn/experiments",
        "audit": "/audit",
        "operations": "/operations",
        "database": "/database",
        "missing": "/models/none",
    }[name]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_sticks_out_and_nothing_is_fetched_from_elsewhere(
    browser: Browser, console: httpx.Client, examples: Examples, name: str, scripts: bool
) -> None:
    host = str(console.base_url)
    for width, scheme in ((1280, "light"), (390, "dark"), *([] if scripts else [(390, "light")])):
        browser.open(host + path_of(name, examples), width, scheme, scripts=scripts)
        page = browser.run("[document.documentElement.scrollWidth, innerWidth]")
        assert page[0] <= page[1], (width, scheme)
        assert browser.run(OUTSIDE) == [], (width, scheme)
        assert browser.run("document.querySelectorAll('h1').length") == 1
        # The browser's own icons of a date are data.
        fetched = [url for url in browser.requests if not url.startswith("data:")]
        assert fetched
        assert not [url for url in fetched if not url.startswith(f"{host}/")]
        missing = "Failed to load resource: the server responded with a status of 404 (Not Found)"
        assert [x for x in browser.complaints if name != "missing" or x != missing] == []


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious(
    browser: Browser, console: httpx.Client, examples: Examples, name: str, scheme: str
) -> None:
    assert AXE.exists(), "python tests/install_servers.py gets axe-core"
    for width in SIZES:
        browser.open(str(console.base_url) + path_of(name, examples), width, scheme)
        browser.run(AXE.read_text("utf-8"))
        violations = browser.run(
            "axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify("
            "r.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v =>"
            "[v.id, v.help, v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))])))"
        )
        assert json.loads(violations) == [], (width, scheme)


def test_times_are_in_the_readers_zone(
    browser: Browser, console: httpx.Client, examples: Examples
) -> None:
    host = str(console.base_url)
    browser.call("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
    try:
        browser.open(f"{host}/sessions", 1280)
        iso, shown, title = browser.run(
            "(t => [t.dateTime, t.textContent, t.title])(document.querySelector('time'))"
        )
        started = examples.store.sessions(limit=1)["started_at"][0].tz_convert("Asia/Tokyo")
        assert shown == f"{started:%Y-%m-%d %H:%M}"
        assert title.endswith("UTC")
        assert iso.endswith("Z")
        assert "Asia/Tokyo" in browser.run("document.querySelector('footer').textContent")
        browser.open(f"{host}/sessions", 1280, scripts=False)
        assert browser.run("document.querySelector('time').textContent").endswith("UTC")
    finally:
        browser.call("Emulation.setTimezoneOverride", timezoneId="")


def test_the_keyboard_reaches_the_content_first(browser: Browser, console: httpx.Client) -> None:
    browser.open(f"{console.base_url}/", 1280)
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    browser.call("Input.dispatchKeyEvent", type="rawKeyDown", **key)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **key)
    assert browser.run("document.activeElement.textContent") == "Skip to the content"
    box: Any = browser.run("(b => [b.left, b.top])(document.activeElement.getBoundingClientRect())")
    assert min(box) >= 0


def test_a_running_session_is_kept_fresh(browser: Browser, serve: Any, copied: Examples) -> None:
    session = copied.store.session("churn", "score", parent=copied["train"])
    with session, serve(copied.url) as client:
        browser.open(f"{client.base_url}/sessions/{session.session_id}", 1280)
        assert "0 parts" in browser.run("document.getElementById('live').textContent")
        frame = {"entity_id": ["a", "b"], "score": [0.1, 0.2]}
        import pandas as pd

        session.write_scores(pd.DataFrame(frame), "entity_id")
        seen = browser.run(
            "new Promise(done => { const look = () => {"
            "const text = document.getElementById('live').textContent;"
            "if (/1 parts, 2 scores/.test(text)) done(text); else setTimeout(look, 200); };"
            "look(); setTimeout(() => done('never'), 30000); })"
        )
        assert "2 scores written" in seen
