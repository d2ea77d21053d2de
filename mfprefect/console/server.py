"""Running the console: from settings and options to a server that listens."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.console import ConsoleOptions, app
from mfprefect.console.logon import FindToken, Logon, NoLogon, ProxyLogon, Role, TokenLogon
from mfprefect.errors import ConfigurationError

if TYPE_CHECKING:
    from mfprefect.settings import Console as ConsoleSettings
    from mfprefect.store import Store

__all__ = ["LOGONS", "logon_of", "mounted", "require", "run"]

LOGONS = ("none", "proxy", "token")
NEEDED = ("starlette", "uvicorn", "jinja2", "matplotlib")
RETRY_SECONDS = 3.0
"""How long a page waits for a database that is away."""


def require() -> None:
    """Raise ConfigurationError if a package of the extra `console` is missing."""
    from importlib.util import find_spec

    for name in NEEDED:
        if find_spec(name) is None:
            raise ConfigurationError(
                f"the console needs {', '.join(NEEDED)}, but {name} is not installed; run "
                "pip install 'mfprefect[console]'."
            )


def logon_of(kind: str, settings: ConsoleSettings, store: Store, uds: Path | None) -> Logon:
    """Return the logon that the option `--logon` names.

    Raises:
        ConfigurationError: the settings lack what it needs.
    """
    if kind == "none":
        return NoLogon()
    if kind == "token":
        return TokenLogon(_find_token(store))
    secret = settings.proxy_secret
    if secret is None and uds is None:
        raise ConfigurationError(
            "--logon proxy believes a header, which anybody can send; set console.proxy_secret "
            "(MFPREFECT_CONSOLE__PROXY_SECRET) to what the proxy sends as "
            f"{settings.secret_header}, or listen on a unix socket by --uds."
        )
    role = settings.default_role
    return ProxyLogon(
        None if secret is None else secret.get_secret_value(),
        {group: Role(name) for group, name in settings.roles.items()},
        None if role == "none" else Role(role),
        settings.user_header,
        settings.groups_header,
        settings.secret_header,
    )


def _find_token(store: Store) -> FindToken:
    find: FindToken | None = getattr(store, "token_for", None)
    if find is None:
        raise ConfigurationError("this version has no tokens; use --logon proxy.")
    return find


def mounted(store: Store, options: ConsoleOptions, writer: Store | None) -> Mapping[str, Any]:
    """Return the API by its path, where it is installed; made at its first request."""
    from importlib.util import find_spec

    if find_spec("mfprefect.console.api") is None:
        return {}
    made: list[Any] = []

    async def api(scope: Any, receive: Any, send: Any) -> None:
        if not made:
            from importlib import import_module

            make = import_module("mfprefect.console.api").api_app
            made.append(make(store, options, writer))
        await made[0](scope, receive, send)

    return {"/api/v1": api}


def run(
    store: Store,
    writer: Store,
    options: ConsoleOptions,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve the console until the process is told to end.

    Raises:
        ConfigurationError: the extra `console` is not installed.
    """
    require()
    import uvicorn

    store.audit_head()  # refuses a missing or outdated schema now, and not at the first page
    # The API writes for those whose token or group says so; without a logon, for nobody.
    mounts = mounted(store, options, None if isinstance(options.logon, NoLogon) else writer)
    # Loading drawing takes a second, which the first reader would wait for.
    from mfprefect.report import drawing

    with drawing.drawing():
        pass
    config = uvicorn.Config(
        app(store, options, writer=writer, mounts=mounts),
        host=options.host,
        port=options.port,
        uds=None if options.uds is None else str(options.uds),
        log_level="warning",
        access_log=False,  # addresses name entities
        server_header=False,
        proxy_headers=False,  # who asks is decided by the logon, by the connection alone
        ssl_certfile=None if certificate is None else os.fspath(certificate),
        ssl_keyfile=None if key is None else os.fspath(key),
        timeout_graceful_shutdown=5,
        ws="none",
    )
    server = uvicorn.Server(config)
    if ready is not None:
        ready()
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        server.run()
