"""What a user may not do, which role may, and what remains possible without it."""

from __future__ import annotations

import re

from mfprefect import grants
from mfprefect.schema import Schema

__all__ = ["ENDED", "belongs_to", "explanation"]

ENDED = "has ended and takes no changes"
"""What the triggers that protect ended sessions say."""
READERS = (
    "With the role reader, `mfprefect models`, `sessions`, `show`, `compare`, `scores` and "
    "`doctor`, and in Python store.models, sessions, get_sessions, metrics, gates, production, "
    "scores and the aggregates of scores show what the views hold"
)
_WRITTEN = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|MERGE|COPY|LOAD)\b\s*"
    r"(?:.*?\bINTO\s+TABLE\s+|INTO\s+|FROM\s+(?:ONLY\s+)?|ONLY\s+)?"
    r"(?P<table>[^\s(]+)",
    re.IGNORECASE | re.DOTALL,
)
_SET = re.compile(r"\bSET\b(.*?)(?:\bWHERE\b|$)", re.IGNORECASE | re.DOTALL)
_COLUMN = re.compile(r"(?:^|,)\s*[`\"]?(\w+)[`\"]?\s*=")
_ACTIONS = {"COPY": "INSERT", "LOAD": "INSERT", "MERGE": "INSERT"}


def explanation(schema: Schema, statement: str | None, cause: str) -> str:
    """Return whose right it is to execute a statement, and what there is without that right.

    Args:
        schema: the schema.
        statement: the statement that the database refused.
        cause: what the database said.
    """
    text = statement or ""
    if re.match(r"\s*(SELECT|WITH|SHOW|DESCRIBE)\b", text, re.IGNORECASE):
        return _reading(schema, text)
    if ENDED in cause:
        return belongs_to("admin", "change or delete an ended session")
    return belongs_to(*_writing(schema, text))


def belongs_to(role: str, what: str) -> str:
    """Return that something is the right of a role that writes."""
    purpose = {
        "writer": "which runs models and promotes them",
        "admin": "like migrations, prune, restore, thresholds and deletions",
    }[role]
    return (
        f"This user may not {what}: that belongs to the role {role}, {purpose}. Reading needs no "
        f"such right. The DBA grants it by what `mfprefect grants --role {role}` prints."
    )


def _reading(schema: Schema, statement: str) -> str:
    names = set(re.findall(r"\w+", statement))
    if closed := [name for name in grants.tables(schema) if name in names]:
        views = ", ".join(grants.views(schema))
        return (
            f"This user may not read the table {closed[0]}: tables belong to the role auditor, "
            f"which reads everything and writes nothing. {READERS} ({views}). The DBA grants "
            "rights by what `mfprefect grants --role auditor` prints."
        )
    return (
        "This user may not read it: the views belong to the role reader. The DBA grants rights by "
        "what `mfprefect grants --role reader` prints, again after each upgrade of the schema."
    )


def _writing(schema: Schema, statement: str) -> tuple[str, str]:
    """Return the role that may execute a statement, and what that is."""
    match = _WRITTEN.match(statement)
    if match is None:
        return "admin", " ".join(statement.split()[:3]) or "do this"
    verb = match[1].upper()
    action = _ACTIONS.get(verb, verb)
    table = re.split(r"\.", match["table"])[-1].strip('`"')
    listed = _SET.search(statement) if action == "UPDATE" else None
    columns = _COLUMN.findall(listed[1]) if listed else []
    role = grants.weakest_role(schema, action, table, columns)
    words = {"INSERT": "add rows to", "UPDATE": "change rows of", "DELETE": "delete rows of"}
    return role, f"{words[action]} {table} ({verb})"
