"""The statements that give a user of MySQL or MariaDB the rights of a role."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from mfprefect import grants as rights
from mfprefect.schema import Schema

__all__ = ["script"]

_ADMIN = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, "
    "SHOW VIEW, TRIGGER"
)
# Who runs the statement, and whose trigger it is; roles and hosts do not count.
_OTHERS = (
    "CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) "
    "<> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)"
)
_TRIGGER = """CREATE DEFINER = {definer} TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW
IF {others}
  AND {condition} THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF"""
_NOTES = {
    "admin": (
        "Run it as root, or whoever may SET USER. It makes the triggers that close what has ended",
        "to all others but this user, by its name.",
    ),
    "writer": (
        "Run it after the script of the role admin: that closes to writers what has ended.",
    ),
}


def script(url: sa.URL, schema: Schema, role: str, user: str) -> str:
    """Return the whole script."""
    writing = _Script(url, schema, user)
    create = f"Create the user first: CREATE USER {writing.to} IDENTIFIED BY '..';"
    return "\n".join(
        [
            rights.heading(role, writing.to, (create, *_NOTES.get(role, ()))),
            *(f"{line};" for line in writing.grants(role)),
            *(writing.protections() if role == "admin" else ()),
        ]
    )


class _Script:
    def __init__(self, url: sa.URL, schema: Schema, user: str) -> None:
        self.preparer = url.get_dialect()().identifier_preparer
        self.schema = schema
        self.database = schema.layout.schema or str(url.database)
        name, _, host = user.rpartition("@") if "@" in user else (user, "", "%")
        self.to = f"{_quoted(name)}@{_quoted(host)}"

    def named(self, name: str) -> str:
        return f"{_quoted(self.database)}.{_quoted(name)}"

    def grants(self, role: str) -> Iterator[str]:
        if role == "admin":
            # Here, other than for a table, _ and % stand for any character.
            database = _quoted(self.database.replace("_", "\\_").replace("%", "\\%"))
            yield f"GRANT {_ADMIN} ON {database}.* TO {self.to}"
            return
        for right in rights.rights(self.schema, role):
            yield rights.grant(self.preparer, self.named(right.table), right, self.to)

    def protections(self) -> Iterator[str]:
        closed = [c for c in rights.updatable("sessions") if c != rights.EXPORTED]
        same = " AND ".join(f"OLD.{c} <=> NEW.{c}" for c in closed)
        begun = (
            "NEW.status = 'running' AND NEW.published_at IS NULL AND NEW.seal IS NULL "
            "AND NEW.deletion IS NULL"
        )
        changes = f"OLD.status = 'running'\n    OR {rights.resumed()}\n    OR ({same})"
        yield from self.trigger("sessions", "INSERT", f"NOT ({begun})")
        yield from self.trigger("sessions", "UPDATE", f"NOT ({changes})")
        for name, _, events in rights.guarded(self.schema):
            for event in events:
                row = "NEW" if event == "INSERT" else "OLD"
                sessions = self.named(self.schema.sessions.name)
                status = f"SELECT status FROM {sessions} WHERE session_no = {row}.session_no"  # noqa: S608
                yield from self.trigger(name, event, f"({status}) <> 'running'")

    def trigger(self, name: str, event: str, condition: str) -> Iterator[str]:
        table = self.schema.name(name)
        trigger = self.named(f"{table}_closed_{event.lower()}")
        yield f"DROP TRIGGER IF EXISTS {trigger};"
        statement = _TRIGGER.format(
            definer=self.to,
            name=trigger,
            event=event,
            table=self.named(table),
            others=_OTHERS,
            condition=condition,
        )
        # It holds semicolons, by which the client would take it apart.
        yield f"DELIMITER //\n{statement} //\nDELIMITER ;"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
