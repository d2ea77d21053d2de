"""The installed Prefect: its version, the URL of its API, and whether the API answers."""

from __future__ import annotations

__all__ = ["api_error", "version_and_api_url"]

API_SECONDS = 5.0


def version_and_api_url() -> tuple[str, str | None]:
    """Return Prefect's version and PREFECT_API_URL, None if it is not set.

    Raises whatever the import of Prefect raises: its settings may be wrong.
    """
    from prefect import __version__ as version
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    return version, str(url) if url else None


def api_error() -> Exception | None:
    """Return why Prefect's API does not answer, None if it does."""
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True, httpx_settings={"timeout": API_SECONDS}) as client:
            return client.api_healthcheck()
    except Exception as exc:  # noqa: BLE001 - a malformed URL, TLS, proxies
        return exc
