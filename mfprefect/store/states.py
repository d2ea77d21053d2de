"""The words of a session's life that the database holds: statuses, purposes, kinds of ending."""

from __future__ import annotations

import json

__all__ = [
    "BEING_DELETED",
    "DELETED",
    "DELETED_WITH_MODEL",
    "DELETING",
    "DETACHED",
    "NOT_IN_DATABASE",
    "PART_EVIDENCE",
    "PURPOSES",
    "REPRODUCES",
    "RETENTION",
    "RUNNING",
    "SHADOW_OF",
    "SPOOLED",
    "STATUSES",
    "SUCCEEDED",
    "UNKNOWN",
    "is_reproduction",
    "is_shadow",
]

RUNNING = "running"
SUCCEEDED = "succeeded"
STATUSES = ("running", "succeeded", "failed", "crashed", "cancelled")
SPOOLED = "spooled"
"""The status of a session that has ended and waits in the spool. Never in a database."""
PURPOSES = ("train", "score", "monitor", "adhoc")

NOT_IN_DATABASE = 0
"""The `session_no` of a session that its database has not seen yet: it is in the spool."""
DETACHED = 0
"""The `process_id` of a session that no process holds: a script opened it and will close it."""
UNKNOWN = "unknown"
"""What is in production while the database is away, which knows."""

DELETED = "Deleted"
DELETED_WITH_MODEL = "DeletedWithModel"
BEING_DELETED = (DELETED, DELETED_WITH_MODEL)
"""The `failure_kind` of cancelled sessions that are being deleted."""
RETENTION = "retention"
"""The group of metadata that tells what became of a session after its end."""
DELETING = "scores_being_deleted"
PART_EVIDENCE = "part evidence"
"""The group of metadata that nobody is shown: a JSON object a part, named by its number."""

SHADOW_OF = "shadow_of"
"""The parameter of a challenger's scoring session that names the champion's."""
REPRODUCES = "reproduces"
"""The parameter of a session that runs another one again; it names that one."""


def is_shadow(params: str) -> bool:
    """Return whether parameters, as JSON text, are those of a challenger's scoring session."""
    return SHADOW_OF in json.loads(params)


def is_reproduction(params: str) -> bool:
    """Return whether parameters, as JSON text, are those of a session that runs another again."""
    return REPRODUCES in json.loads(params)
