"""Engines whose store was closed, kept for the next store of the same settings in this process.

Such an engine holds no connection. What is kept is what it has learnt: the tables, the statements
that it compiled, what the server can do. A flow run that opened its store anew would spend more
time on these than on its own statements.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from mfprefect.backend import Backend, backend_for

if TYPE_CHECKING:
    from mfprefect.settings import Settings

__all__ = ["acquire", "release"]

KEPT = 4
"""The most engines that wait; the one that has waited longest goes first."""


class _Kept(NamedTuple):
    settings: Settings
    backend: Backend
    engine: sa.Engine


# By the engine's id, so that whoever pops one has it alone, in whatever thread.
_kept: dict[int, _Kept] = {}


def acquire(settings: Settings) -> tuple[Backend, sa.Engine]:
    """Return a backend and an engine of it that nobody else uses.

    Raises:
        ConfigurationError: the URL is malformed.
        BackendNotFound: no backend is installed for it, or the backend's driver is missing.
    """
    backend = backend_for(settings)
    for key, kept in list(_kept.items()):
        # The same URL of a file means another file once the process has changed its folder.
        same = type(kept.backend) is type(backend) and kept.backend.url == backend.url
        if same and kept.settings == settings and _kept.pop(key, None) is not None:
            return kept.backend, kept.engine
    engine = backend.create_engine()
    _not_shared_after_fork(engine)
    return backend, engine


def release(settings: Settings, backend: Backend, engine: sa.Engine) -> None:
    """Close an engine's connections and keep it for whoever takes one of these settings next."""
    engine.dispose()
    if isinstance(engine.pool, sa.StaticPool):
        return  # its one connection is a database in memory: of one store, and gone with it
    _kept[id(engine)] = _Kept(settings, backend, engine)
    for key in list(_kept)[:-KEPT]:
        _kept.pop(key, None)


def _not_shared_after_fork(engine: sa.Engine) -> None:
    # A forked child must not speak through its parent's sockets.
    reference = weakref.ref(engine)

    def forget() -> None:
        if (own := reference()) is not None:
            own.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
