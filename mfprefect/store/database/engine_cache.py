"""Engines of closed stores, for the next store of the same settings in this process.

An idle engine has no connections. It keeps what it learnt: the tables, its compiled statements and
the server's features. Without it, a flow run that opens its store again would spend more time on
these than on its own statements.
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

MAX_IDLE = 4
"""The most idle engines; the one idle the longest goes first."""


class _IdleEngine(NamedTuple):
    settings: Settings
    backend: Backend
    engine: sa.Engine


# By the engine's id: the thread that pops an engine is its only user.
_idle: dict[int, _IdleEngine] = {}


def acquire(settings: Settings) -> tuple[Backend, sa.Engine]:
    """Return a backend and its engine, which nobody else uses.

    Raises:
        ConfigurationError: the URL is malformed.
        BackendNotFound: no backend is installed for it, or the backend's driver is missing.
    """
    backend = backend_for(settings)
    for key, idle in list(_idle.items()):
        # Compares the backend's URL, too: after a change of folder, the settings' relative path
        # means another file.
        same = type(idle.backend) is type(backend) and idle.backend.url == backend.url
        if same and idle.settings == settings and _idle.pop(key, None) is not None:
            return idle.backend, idle.engine
    engine = backend.create_engine()
    _drop_connections_after_fork(engine)
    return backend, engine


def release(settings: Settings, backend: Backend, engine: sa.Engine) -> None:
    """Close an engine's connections and keep it for the next store of these settings."""
    engine.dispose()
    if isinstance(engine.pool, sa.StaticPool):
        return  # its one connection was a database in memory, which belongs to one store
    _idle[id(engine)] = _IdleEngine(settings, backend, engine)
    for key in list(_idle)[:-MAX_IDLE]:
        _idle.pop(key, None)


def _drop_connections_after_fork(engine: sa.Engine) -> None:
    # A forked child must not use its parent's sockets.
    reference = weakref.ref(engine)

    def drop_connections() -> None:
        if (inherited := reference()) is not None:
            inherited.dispose(close=False)

    os.register_at_fork(after_in_child=drop_connections)
