"""`/api/v1`: the store for programs of other languages, as JSON under OpenAPI 3.1.

Imported with the first request to it, so that pages do not pay for FastAPI. `docs/openapi.json` is
its description.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from mfprefect.console.api.limits import Limits

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["Limits", "api_app"]

DEFAULT = Limits()
ASGIApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]


def api_app(
    store: Store, settings: object = None, writer: Store | None = None, limits: Limits = DEFAULT
) -> ASGIApp:
    """Return the API as an ASGI app, to be mounted at `/api/v1`.

    Args:
        store: what it reads from.
        settings: those of the console around it; the API needs none of them.
        writer: the store that it writes sessions to; None: it takes no writes.
        limits: the most bytes that a request may bring.
    """
    from mfprefect.console.api.app import build

    return build(store, writer, limits)
