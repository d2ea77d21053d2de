"""Results of the doctor's checks, and the settings that they use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mfprefect.settings import Settings

__all__ = ["CheckResult", "masked", "settings_for"]

CONNECT_SECONDS = 5.0


class CheckResult(NamedTuple):
    """One line of the doctor's report."""

    check: str
    status: str
    """`ok`, `warning` or `failed`."""
    detail: str
    cure: str = ""


def settings_for(url: str | None) -> Settings:
    """Return the settings in force, without retries and with a short connect timeout."""
    from mfprefect.settings import load_settings

    quick: dict[str, Any] = {"retry_seconds": 0}
    if load_settings(url=url).connect_timeout > CONNECT_SECONDS:
        quick["connect_timeout"] = CONNECT_SECONDS
    return load_settings(url=url, **quick)


def masked(url: str) -> str:
    """Return a URL without its password and query; drivers take passwords in the query too.

    Raises:
        ConfigurationError: the URL is malformed.
    """
    from mfprefect.backend import parse_url

    return parse_url(url).set(query={}).render_as_string(hide_password=True)
