"""One page of a real browser, driven over its debugging protocol: for tests and pictures."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from mfprefect_dev.browser import chromium

__all__ = ["Browser", "running_browser"]

READY = "document.readyState === 'complete'"


class Browser:
    """One page, shown at any width in either colour scheme."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._number = 0
        self.requests: list[str] = []
        """The addresses that the page asked for since it was opened."""
        self.complaints: list[str] = []
        """What the browser logged since then."""
        self.call("Page.enable")
        self.call("Network.enable")
        self.call("Log.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)  # noqa: S101 - a tool of tests
                result: dict[str, Any] = answer["result"]
                return result
            self._heard(answer)

    def _heard(self, event: dict[str, Any]) -> None:
        if event["method"] == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        elif event["method"] == "Log.entryAdded":
            self.complaints.append(event["params"]["entry"]["text"])

    def show(self, file: Path, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Open a file as a person would."""
        self.open(file.as_uri(), width, scheme, media)

    def open(
        self,
        url: str,
        width: int,
        scheme: str = "light",
        media: str = "screen",
        *,
        scripts: bool = True,
    ) -> None:
        """Open an address as a person would.

        Args:
            url: the address.
            width: of the window, in pixels; under 600, it is a phone's.
            scheme: `light` or `dark`.
            media: `screen` or `print`.
            scripts: whether the page may run its own scripts.
        """
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.requests.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=url)
        for _ in range(500):
            if self.run(f"location.href === {json.dumps(url)} && {READY}"):
                return
            time.sleep(0.02)
        raise AssertionError(f"{url} was not shown")

    def run(self, script: str) -> Any:
        """Return what a script of ours finds on the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer  # noqa: S101 - a tool of tests
        return answer["result"].get("value")

    def screenshot(self, whole: bool = False) -> bytes:
        """Return a PNG of what is seen, or of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """Yield a browser of our own, without a window.

    Args:
        folder: an empty one, for its profile and log.

    Raises:
        FileNotFoundError: Chromium is neither installed nor unpacked.
    """
    program, environ = chromium()
    with (folder / "log").open("wb") as log:
        process = _start(program, environ, folder, log)
    try:
        with connect(_page(process, folder), max_size=None) as connection:
            yield Browser(connection)
    finally:
        process.terminate()
        process.wait()


def _start(
    program: str, environ: Mapping[str, str], folder: Path, log: Any
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the browser of the tests
        [
            program,
            "--headless",
            "--no-sandbox",  # as root there is none; the pages are our own
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
        ],
        env={**os.environ, "HOME": str(folder), **environ},
        stdout=subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,
    )


def _page(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Return the address of the browser's page."""
    place = folder / "DevToolsActivePort"
    for _ in range(600):
        assert process.poll() is None, (folder / "log").read_text(errors="replace")  # noqa: S101 - a tool of tests
        if place.exists() and (lines := place.read_text().split()):
            pages = httpx.get(f"http://127.0.0.1:{lines[0]}/json/list").json()
            for page in pages:
                if page["type"] == "page":
                    return str(page["webSocketDebuggerUrl"])
        time.sleep(0.1)
    raise AssertionError((folder / "log").read_text(errors="replace"))
