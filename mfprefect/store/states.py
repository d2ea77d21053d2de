"""The words that the database holds of a session's life: status, purpose, deletion, groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.vocabulary import Purpose, Status

__all__ = [
    "DELETING_MODEL",
    "DELETING_SESSION",
    "DETACHED",
    "GATES_GROUP",
    "GATES_NAME",
    "LEGACY_DELETION_KINDS",
    "LEGACY_PART_INPUTS",
    "NOT_IN_DATABASE",
    "REPRODUCES",
    "RETENTION",
    "SCORES_BEING_DELETED",
    "SCORES_DELETED",
    "SHADOW_OF",
    "SPOOLED",
    "UNKNOWN",
    "Purpose",
    "Status",
    "being_deleted",
    "is_being_deleted",
    "is_reproduction",
    "is_shadow",
]

SPOOLED = "spooled"
"""The status of a session that has ended and waits in the spool. Never in a database."""

NOT_IN_DATABASE = 0
"""The `session_no` of a session that its database has not seen yet: it is in the spool."""
DETACHED = 0
"""The `process_id` of a session that no process holds: a script opened it and will close it."""
UNKNOWN = "unknown"
"""What is in production while the database, which knows, is away."""

DELETING_SESSION, DELETING_MODEL = "session", "model"
"""The `deletion` of a cancelled session that is being deleted: alone, or with its model."""
LEGACY_DELETION_KINDS = {DELETING_SESSION: "Deleted", DELETING_MODEL: "DeletedWithModel"}
"""The `failure_kind` that stood for the same before there was that column."""

RETENTION = "retention"
"""The metadata group that says what happened to a session after its end."""
SCORES_DELETED = "scores_deleted"
SCORES_BEING_DELETED = "scores_being_deleted"

GATES_GROUP, GATES_NAME = "gates", "verdicts"
"""Where metadata holds verdicts of sessions sealed before there were `gate_results`: JSON list."""
LEGACY_PART_INPUTS = "part evidence"
"""The metadata group that nobody is shown: what `part_inputs` holds since there is that table."""

SHADOW_OF = "shadow_of"
"""The parameter of a challenger's scoring session that names the champion's."""
REPRODUCES = "reproduces"
"""The parameter of a session that runs another one again; it names that one."""


def being_deleted(sessions: sa.FromClause, *deletions: str) -> sa.ColumnElement[bool]:
    """Return the condition that a session is being deleted: alone, with its model, or either.

    Args:
        sessions: the table, or an alias of it.
        deletions: `DELETING_SESSION`, `DELETING_MODEL`; by default both.
    """
    s, wanted = sessions.c, deletions or tuple(LEGACY_DELETION_KINDS)
    kinds = [LEGACY_DELETION_KINDS[deletion] for deletion in wanted]
    # Never NULL, whose negation would be NULL as well.
    marked = sa.func.coalesce(s.deletion, "").in_(wanted)
    legacy = sa.func.coalesce(s.failure_kind, "").in_(kinds)
    return sa.and_(s.status == Status.CANCELLED, sa.or_(marked, legacy))


def is_being_deleted(session: Mapping[str, Any]) -> bool:
    """Return the same of a row of `sessions`."""
    legacy = session["failure_kind"] in LEGACY_DELETION_KINDS.values()
    return session["status"] == Status.CANCELLED and (session["deletion"] is not None or legacy)


def is_shadow(params: str) -> bool:
    """Return whether parameters, as JSON text, are those of a challenger's scoring session."""
    return SHADOW_OF in json.loads(params)


def is_reproduction(params: str) -> bool:
    """Return whether parameters, as JSON text, are those of a session that runs another again."""
    return REPRODUCES in json.loads(params)
