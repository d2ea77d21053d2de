"""Reads and writes the session/metric schema; the only place that speaks SQL.

`mfprefect.connect()` returns a `Store`.
"""

from __future__ import annotations

from typing import Any

from mfprefect.settings import load_settings
from mfprefect.store.api.artifacts import ArtifactsApi
from mfprefect.store.api.audit import AuditApi
from mfprefect.store.api.experiments import ExperimentsApi
from mfprefect.store.api.models import ModelsApi
from mfprefect.store.api.results import ResultsApi
from mfprefect.store.api.retention import RetentionApi
from mfprefect.store.api.scores import ScoresApi
from mfprefect.store.api.sessions import SessionsApi
from mfprefect.store.api.tokens import TokensApi
from mfprefect.store.database import Database

__all__ = ["Store", "connect"]


def connect(url: str | None = None, **settings: Any) -> Store:
    """Return the store that the settings name; it connects on first use.

    Args:
        url: SQLAlchemy URL, such as `postgresql://user:password@host/database`; by default the
            setting `MFPREFECT_URL`, else `sqlite:///mfprefect.db`.
        settings: any other setting, by its name.

    Raises:
        ConfigurationError: the URL is malformed, or a setting is wrong.
        BackendNotFound: no backend serves the URL, or its driver is not installed.
    """
    return Store(Database(load_settings(url=url, **settings)))


class Store(
    SessionsApi,
    ModelsApi,
    ResultsApi,
    ExperimentsApi,
    ArtifactsApi,
    ScoresApi,
    RetentionApi,
    AuditApi,
    TokensApi,
):
    """A database of models and sessions. As a context manager, it closes its connections."""
