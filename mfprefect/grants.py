"""What users of each role may do to which table, and no more.

* `writer`: the runs. It adds sessions and fills those that run; it changes nothing that has ended.
* `reader`: people and tools that look at the views, and at nothing else.
* `auditor`: reads every table, and so everything that `store` and the command line show.
* `admin`: owns the tables: migrations, `prune`, deletions, thresholds, renaming.

Rights alone keep a writer from most of it. Which rows of a table belong to a session that has
ended is for triggers, where the database has them: see the backends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import sqlalchemy as sa

from mfprefect.migrations import VERSION_TABLE
from mfprefect.schema import VIEWS, Schema

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
]

ROLES = ("writer", "reader", "auditor", "admin")
EXPORTED = "last_exported_at"
"""The one column of a session that a writer changes after its end."""

_READ_ONLY = {"model_thresholds", "input_columns"}
"""What people register; runs look at it."""
_NEVER_DELETED = {"notifications"}
"""What was told stays, also when a session is resumed; notices come after a session's end."""
_UPDATED = {
    "models": ("description", "entity_type", "owner", "max_age_seconds"),
    "sessions": (
        *("status", "attempt", "ended_at", "heartbeat_at", "suspected_at", "host", "process_id"),
        *("failure_kind", "failure_text", "published_at", "seal", "previous_seal", EXPORTED),
    ),
    "score_parts": ("attempt",),
    "notifications": ("sent_at", "delivered", "failure"),
}


class Right(NamedTuple):
    """What a role may do to one table or view."""

    table: str
    """Its name, without schema."""
    actions: tuple[str, ...]
    """`SELECT`, `INSERT`, `UPDATE`, `DELETE`, `ALL`."""
    columns: tuple[str, ...] = ()
    """The columns that UPDATE is given for."""


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
    """Return the rights of a role, each table and view at most once."""
    shown = [Right(name, ("SELECT",)) for name in views(schema)]
    if role == "reader":
        return shown
    if role == "auditor":
        return [*(Right(name, ("SELECT",)) for name in tables(schema)), *shown]
    if role == "admin":
        return [*(Right(name, ("ALL",)) for name in tables(schema)), *shown]
    version = Right(schema.name(VERSION_TABLE), ("SELECT",))
    return [*(_writers(schema, name) for name in schema.tables), version, *shown]


def _writers(schema: Schema, name: str) -> Right:
    table, columns = schema.tables[name], updatable(name)
    actions = ["SELECT"]
    if name not in _READ_ONLY:
        actions.append("INSERT")
    if columns:
        actions.append("UPDATE")
    # An attempt replaces what the one before it wrote.
    if table in schema.session_tables() and name not in _NEVER_DELETED:
        actions.append("DELETE")
    return Right(table.name, tuple(actions), columns)


def guarded(schema: Schema) -> Iterator[tuple[str, sa.Table, tuple[str, ...]]]:
    """Yield what is closed with its session: name, table, and what a writer could do to its rows.

    Inserted scores are not among it: they come by the million, and no row of them may cost more.
    """
    for name, table in schema.tables.items():
        if table in schema.session_tables() and name not in _NEVER_DELETED:
            events = ["INSERT"] if name != "scores" else []
            events += ["UPDATE"] if updatable(name) else []
            yield name, table, (*events, "DELETE")


def resumed() -> str:
    """Return the condition, on OLD and NEW, under which a session is taken up again."""
    return (
        "(OLD.status IN ('failed', 'crashed', 'cancelled') AND NEW.status = 'running' "
        "AND (OLD.flow_run_id IS NOT NULL AND NEW.attempt = OLD.attempt + 1 "
        # Given up by reconcile while it lived: what it kept in the spool completes it.
        "OR OLD.failure_kind IN ('Crashed', 'Cancelled') AND NEW.attempt = OLD.attempt))"
    )


def grant(preparer: sa.sql.compiler.IdentifierPreparer, table: str, right: Right, to: str) -> str:
    """Return the statement that gives a right; `table` and `to` are quoted already."""
    columns = ", ".join(map(preparer.quote, right.columns))
    actions = ", ".join(
        f"UPDATE ({columns})" if action == "UPDATE" and columns else action
        for action in right.actions
    )
    return f"GRANT {actions} ON {table} TO {to}"


def heading(role: str, to: str, lines: Iterable[str]) -> str:
    """Return the comment that a script begins with."""
    first = f"mfprefect: the rights of the role {role}, for {to}. Harmless when repeated."
    after = "Run it after `mfprefect init`, and again when a new version has changed the schema."
    return "\n".join(f"-- {line}" for line in (first, after, *lines))
