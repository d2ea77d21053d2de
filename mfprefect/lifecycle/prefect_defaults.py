"""What flows of mfprefect expect of Prefect where nobody has set it."""

from __future__ import annotations

from prefect.settings import get_current_settings

from mfprefect.util.proxies import bypass_on_loopback

__all__ = ["START_UP_SECONDS", "set_prefect_defaults"]

START_UP_SECONDS = 180
"""How long Prefect's temporary server may take to start; Prefect's own 20 s fail on a busy machine.

Prefect starts one that fails (exit code 3) again and again, so a broken one costs this long, too.
"""


def set_prefect_defaults() -> None:
    """Let flows of this process reach a temporary server, behind a proxy and on a busy machine.

    Settings of Prefect that somebody made (environment, profile, prefect.toml) stay.
    """
    bypass_on_loopback()
    server = get_current_settings().server
    # Not by environment variables: they would win against a profile.
    if "startup_timeout_seconds" not in server.ephemeral.model_fields_set:
        server.ephemeral.startup_timeout_seconds = START_UP_SECONDS
    # A new one records its telemetry while others of its services write to the same SQLite file,
    # and logs a traceback ("database is locked") into the first run.
    if "analytics_enabled" not in server.model_fields_set:
        server.analytics_enabled = False
