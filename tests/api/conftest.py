"""Servers of the API, for one test each."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mfprefect
from mfprefect import Store
from mfprefect.console.api import Limits, api_app
from mfprefect_dev.apikit import Api, mounted, serving


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    """A store with its schema, on each kind of database in turn; verified at the end."""
    with mfprefect.connect(schema_url, retry_seconds=30) as opened:
        yield opened
        opened.verify()


@pytest.fixture
def serve() -> Iterator[Callable[..., Api]]:
    """Serve a store: `serve(url)`."""
    with contextlib.ExitStack() as stack:

        def served(url: str, **options: Any) -> Api:
            store = stack.enter_context(mfprefect.connect(url, retry_seconds=30))
            writer = stack.enter_context(mfprefect.connect(url, retry_seconds=30))
            app = api_app(store, writer=writer, **options)
            return Api(stack.enter_context(serving(mounted(app))), store)

        yield served


@pytest.fixture
def api(serve: Callable[..., Api], new_database: Any) -> Iterator[Api]:
    """The API over a new SQLite database."""
    with new_database("sqlite", schema=True) as url:
        yield serve(url, limits=Limits(json=100_000, upload=2_000_000))


@pytest.fixture
def each_api(serve: Callable[..., Api], schema_url: str) -> Api:
    """The API over each kind of database in turn."""
    return serve(schema_url)
