"""A temporary Prefect server for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mfprefect.util.proxies import bypass_on_loopback

__all__ = ["temporary_server"]


@contextmanager
def temporary_server() -> Iterator[str]:
    """Start a real, temporary Prefect server; yield the URL of its API."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness

    bypass_on_loopback()
    with (
        prefect_test_harness(server_startup_timeout=180),
        # Without the heartbeat thread, whose join would add a second to every flow run.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield str(PREFECT_API_URL.value())
