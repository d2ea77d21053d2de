"""The rights of each role on each table.

* `writer`: for runs. Adds sessions and fills running ones; cannot change ended ones.
* `reader`: for people and tools that read the views and nothing else but the schema's revision.
* `auditor`: reads every table, and so everything that `store` and the command line show.
* `admin`: owns the tables: migrations, `prune`, deletions, thresholds, renaming.

Rights cannot tell rows of running sessions from rows of ended ones. Triggers do, on databases that
have them: see the backends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import sqlalchemy as sa

from mfprefect.migrations import VERSION_TABLE
from mfprefect.schema import VIEWS, Schema
from mfprefect.vocabulary import CRASHED, FLOW_RUN_CANCELLED, OWN_CANCELLATION

__all__ = [
    "EXPORTED",
    "ROLES",
    "Right",
    "grant",
    "guarded",
    "heading",
    "resumed",
    "rights",
    "tables",
    "updatable",
    "views",
    "weakest_role",
]

ROLES = ("writer", "reader", "auditor", "admin")
EXPORTED = "last_exported_at"
"""The only column of a session that a writer changes after its end."""

_READ_ONLY = {"model_thresholds", "input_columns", "api_tokens"}
"""What people register and runs only read. Whoever could add a token could become an admin."""
_DELETED = {"idempotency_keys"}
"""Tables of no session whose rows writers delete: old answers."""
_NEVER_DELETED = {"notifications"}
"""Notices stay when a session is resumed, and are added after its end."""
_UPDATED = {
    "models": ("description", "entity_type", "owner", "max_age_seconds"),
    "sessions": (
        *("status", "attempt", "ended_at", "heartbeat_at", "suspected_at", "host", "process_id"),
        "process_key",
        *("failure_kind", "failure_text", "published_at", "seal", "previous_seal", EXPORTED),
        # The next attempt overwrites the origin of the one before.
        *("attempt_started_at", "run_by", "vcs", "git_commit", "git_branch", "git_remote"),
        *("git_dirty", "git_diff_digest", "environment_digest"),
        *("git_author", "params"),
    ),
    "score_parts": ("kept_by",),
    "notifications": ("sent_at", "delivered", "failure"),
    "idempotency_keys": ("session_id", "detail", "answered_at", "answer_status", "answer"),
}


class Right(NamedTuple):
    """The rights of a role on one table or view."""

    table: str
    """Its name, without schema."""
    actions: tuple[str, ...]
    """`SELECT`, `INSERT`, `UPDATE`, `DELETE`, `ALL`."""
    columns: tuple[str, ...] = ()
    """The columns that UPDATE is granted for."""


def tables(schema: Schema) -> list[str]:
    """Return the names of all tables in the database."""
    return [*(table.name for table in schema.tables.values()), schema.name(VERSION_TABLE)]


def views(schema: Schema) -> list[str]:
    """Return the names of all views in the database."""
    return [schema.name(view) for view in VIEWS]


def updatable(table: str) -> tuple[str, ...]:
    """Return the columns of a table of the schema that a writer may change."""
    return _UPDATED.get(table, ())


def rights(schema: Schema, role: str) -> list[Right]:
    """Return the rights of a role: each table and view at most once."""
    shown = [Right(name, ("SELECT",)) for name in views(schema)]
    version = Right(schema.name(VERSION_TABLE), ("SELECT",))
    if role == "reader":
        return [version, *shown]
    if role == "auditor":
        return [*(Right(name, ("SELECT",)) for name in tables(schema)), *shown]
    if role == "admin":
        return [*(Right(name, ("ALL",)) for name in tables(schema)), *shown]
    return [*(_writers(schema, name) for name in schema.tables), version, *shown]


def weakest_role(schema: Schema, action: str, table: str, columns: Iterable[str] = ()) -> str:
    """Return the role with the fewest rights that may do something.

    Args:
        schema: the schema.
        action: `SELECT`, `INSERT`, `UPDATE` or `DELETE`; any other one takes the admin.
        table: the name of a table or view, without schema.
        columns: the columns that an UPDATE sets.
    """

    def allows(right: Right) -> bool:
        some = action != "UPDATE" or set(columns) <= set(right.columns)
        return right.table == table and action in right.actions and some

    roles = ("reader", "auditor", "writer")
    return next((role for role in roles if any(map(allows, rights(schema, role)))), "admin")


def _writers(schema: Schema, name: str) -> Right:
    table, columns = schema.tables[name], updatable(name)
    actions = ["SELECT"]
    if name not in _READ_ONLY:
        actions.append("INSERT")
    if columns:
        actions.append("UPDATE")
    # An attempt replaces the rows of the attempt before it.
    of_session = table in schema.session_tables() and name not in _NEVER_DELETED
    if of_session or name in _DELETED:
        actions.append("DELETE")
    return Right(table.name, tuple(actions), columns)


def guarded(schema: Schema) -> Iterator[tuple[str, sa.Table, tuple[str, ...]]]:
    """Yield each table that triggers close with its session: name, table, events to refuse.

    Inserting scores is not refused: a trigger for each of millions of rows costs too much.
    """
    for name, table in schema.tables.items():
        if table in schema.session_tables() and name not in _NEVER_DELETED:
            events = ["INSERT"] if name != "scores" else []
            events += ["UPDATE"] if updatable(name) else []
            yield name, table, (*events, "DELETE")


def resumed() -> str:
    """Return the condition, on OLD and NEW, under which an ended session may run again.

    As the next attempt of its flow run. Or as the same attempt, if `reconcile` gave it up while it
    lived: what it kept in the spool completes it. Nobody sealed it then.
    """
    return (
        "(OLD.status IN ('failed', 'crashed', 'cancelled') AND NEW.status = 'running' "
        "AND (OLD.flow_run_id IS NOT NULL AND NEW.attempt = OLD.attempt + 1 "
        "OR NEW.attempt = OLD.attempt AND OLD.seal IS NULL "
        f"AND (OLD.failure_kind IN ('{CRASHED}', '{FLOW_RUN_CANCELLED}') "
        # As earlier versions called it: only of a flow run, and never sealed.
        f"OR OLD.failure_kind = '{OWN_CANCELLATION}' AND OLD.flow_run_id IS NOT NULL)))"
    )


def grant(preparer: sa.sql.compiler.IdentifierPreparer, table: str, right: Right, to: str) -> str:
    """Return the GRANT statement; `table` and `to` are already quoted."""
    columns = ", ".join(map(preparer.quote, right.columns))
    actions = ", ".join(
        f"UPDATE ({columns})" if action == "UPDATE" and columns else action
        for action in right.actions
    )
    return f"GRANT {actions} ON {table} TO {to}"


def heading(role: str, to: str, lines: Iterable[str]) -> str:
    """Return the comment at the start of a script."""
    first = f"mfprefect: the rights of the role {role}, for {to}. Harmless when repeated."
    after = "Run it after `mfprefect init`, and again when a new version has changed the schema."
    return "\n".join(f"-- {line}" for line in (first, after, *lines))
