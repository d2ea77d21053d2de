"""The console: pages over a store, which people read in a browser, and where the API is mounted.

Pages are rendered on the server and can be read without JavaScript; what they show is in their
address. Starlette is imported when `app` is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.console.options import ConsoleOptions

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["ConsoleOptions", "app"]


def app(
    store: Store,
    options: ConsoleOptions | None = None,
    *,
    writer: Store | None = None,
    mounts: Mapping[str, Any] | None = None,
) -> Any:
    """Return the console as an ASGI application.

    Args:
        store: what pages read; give it a user that can only read.
        options: where it listens and who may do what; by default, everybody on this machine reads.
        writer: what actions write to, and where looked-up scores are recorded; by default `store`.
        mounts: further ASGI applications by the start of their paths, such as `/api/v1`; behind
            the same logon.

    Raises:
        ConfigurationError: the options do not fit together.
    """
    from mfprefect.console.application import Console

    return Console(store, options or ConsoleOptions(), writer=writer, mounts=mounts)
