"""A Prefect server of our own for the flow tests: real, temporary, shared by all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mfprefect
from mfprefect import Store

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            # One server is enough, and it takes a while to start.
            item.add_marker(pytest.mark.xdist_group("prefect"))


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """The URL of the server's API."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def flow_store(
    prefect_api: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """The store that flows find in their settings."""
    monkeypatch.setenv("MFPREFECT_URL", database_url)
    with mfprefect.connect() as store:
        store.create_schema()
        yield store
