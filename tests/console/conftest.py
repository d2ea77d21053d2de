"""A store to look at, consoles that really serve it, and a real browser."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import httpx
import pytest

import mfprefect
from mfprefect_dev.browser_page import Browser, running_browser
from mfprefect_dev.sample_sessions import Examples, fill

SECRET = "what only the proxy knows"
SETTINGS = f"""
[console]
proxy_secret = "{SECRET}"

[console.roles]
watchers = "viewer"
auditors = "auditor"
ops = "deployer"
"""
Serve = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser of our own, shared by the tests of a process."""
    with running_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    """A store with sessions of every kind; nothing here changes it but look-ups of scores."""
    url = f"sqlite:///{tmp_path_factory.mktemp('console') / 'store.db'}"
    with mfprefect.connect(url) as store:
        store.create_schema()
        store.add_model("churn", "who leaves", entity_type="customer", max_age=dt.timedelta(days=1))
        yield Examples(store, url, fill(store))


@pytest.fixture
def copied(examples: Examples, tmp_path: Path) -> Iterator[Examples]:
    """A copy of the store, for tests that change it."""
    file = tmp_path / "copy.db"
    # Not a copy of the file: a console has it open, and the last changes are beside it.
    with (
        closing(sqlite3.connect(examples.url.removeprefix("sqlite:///"))) as source,
        closing(sqlite3.connect(file)) as target,
    ):
        source.backup(target)
    with mfprefect.connect(f"sqlite:///{file}") as store:
        yield Examples(store, f"sqlite:///{file}", examples.ids)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    url: str, folder: Path, *options: str, settings: str = "", uds: Path | None = None
) -> Iterator[httpx.Client]:
    """Run `mfprefect serve` in a process of its own; yield a client of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mfprefect.toml").write_text(settings)
    port = free_port()
    place = ["--uds", str(uds)] if uds else ["--port", str(port)]
    command = [sys.executable, "-c", "from mfprefect.cli import main; main()"]
    environ = {**os.environ, "MFPREFECT_CONFIG": str(folder / "mfprefect.toml")}
    log = folder / "console.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "serve", "--url", url, *place, *options],
            env=environ,
            stdout=file,
            stderr=file,
            cwd=folder,
        )
    transport = httpx.HTTPTransport(uds=str(uds) if uds else None)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_for_socket(uds, process, log)
        with httpx.Client(base_url=base, transport=transport, timeout=60) as client:
            _wait(client, process, log)
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert "Traceback" not in log.read_text(errors="replace"), log.read_text(errors="replace")


def _wait_for_socket(uds: Path | None, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a unix socket is there: httpx leaks one that cannot be connected."""
    for _ in range(600):
        if uds is None or uds.exists():
            return
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.1)


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            client.get("/static/none")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace"))


@pytest.fixture(scope="session")
def console(examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The console over the examples, as it is started without options."""
    with serving(examples.url, tmp_path_factory.mktemp("serve")) as client:
        yield client


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start a console: `with serve(url, "--actions", ..) as client`."""

    def start(
        url: str, *options: str, settings: str = SETTINGS, uds: Path | None = None
    ) -> AbstractContextManager[httpx.Client]:
        return serving(url, tmp_path / "serve", *options, settings=settings, uds=uds)

    return start


@pytest.fixture(scope="session")
def as_person() -> Callable[..., Mapping[str, str]]:
    """Return the headers that a proxy sends: `as_person("ada", "ops")`."""

    def headers(name: str, *groups: str, secret: str = SECRET) -> dict[str, str]:
        return {
            "X-Forwarded-User": name,
            "X-Forwarded-Groups": ",".join(groups),
            "X-Mfprefect-Proxy-Secret": secret,
        }

    return headers
