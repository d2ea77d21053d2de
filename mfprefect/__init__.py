"""Model Factory on Prefect: every run of a model is a session, kept in the SQL database you run.

Importing this module is cheap: what a name needs is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mfprefect import errors
from mfprefect.errors import *  # noqa: F403

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mfprefect import checks as checks
    from mfprefect.command_model import CommandModel as CommandModel
    from mfprefect.model import Model as Model
    from mfprefect.quality.gates import Gate as Gate
    from mfprefect.quality.metrics.registry import metric as metric
    from mfprefect.session import Session as Session
    from mfprefect.settings import Settings as Settings
    from mfprefect.store import Store as Store
    from mfprefect.store import connect as connect

_WHERE = {
    "CommandModel": "mfprefect.command_model",
    "Gate": "mfprefect.quality.gates",
    "Model": "mfprefect.model",
    "Session": "mfprefect.session",
    "Settings": "mfprefect.settings",
    "Store": "mfprefect.store",
    "connect": "mfprefect.store",
    "metric": "mfprefect.quality.metrics.registry",
}

__all__ = [
    "CommandModel",
    "Gate",
    "Model",
    "Session",
    "Settings",
    "Store",
    "__version__",
    "connect",
    "metric",
]
__all__ += errors.__all__


def __getattr__(name: str) -> Any:
    if name == "checks":
        return import_module("mfprefect.checks")
    if name not in _WHERE:
        raise AttributeError(f"module 'mfprefect' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
