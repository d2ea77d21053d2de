"""The interface of a database backend, and how the backend of a URL is found.

To add a database, write a module that subclasses `Backend`, and register it as an entry point of
the group `mfprefect.backends`, under the name that its URLs start with: `oracle =
"my_pkg:OracleBackend"` serves `oracle://..` and `oracle+driver://..`. Test it with
`mfprefect.testing.contract`.
"""

from __future__ import annotations

from mfprefect.backend.arrow import ArrowRows, Unstreamable
from mfprefect.backend.base import (
    HOLD_OPTION,
    NO_LOCK_OPTION,
    SESSION_OPTION,
    WRITE_OPTION,
    Backend,
    ServerProblem,
    TableBytes,
)
from mfprefect.backend.discovery import (
    ENTRY_POINT_GROUP,
    backend_for,
    installed_backends,
    parse_url,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "HOLD_OPTION",
    "NO_LOCK_OPTION",
    "SESSION_OPTION",
    "WRITE_OPTION",
    "ArrowRows",
    "Backend",
    "ServerProblem",
    "TableBytes",
    "Unstreamable",
    "backend_for",
    "installed_backends",
    "parse_url",
]
