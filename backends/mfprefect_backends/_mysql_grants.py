"""The statements that give a user of MySQL or MariaDB the rights of a role."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from mfprefect import grants
from mfprefect.schema import COMPLETE_VIEWS, VIEWS, Schema

__all__ = ["script"]

_ADMIN = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, "
    "SHOW VIEW, TRIGGER"
)
# True unless the trigger's owner runs the statement; ignores roles and hosts.
_OTHERS = (
    "CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) "
    "<> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)"
)
# Reads the row of now, whatever the isolation, and lets nobody end the session before the commit.
_LOCK = "LOCK IN SHARE MODE"
_TRIGGER = """CREATE DEFINER = {definer} TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW
IF {others}
  AND {condition} THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF"""
# On MySQL, only users with SYSTEM_USER may replace a view whose definer has it, as root does.
# MariaDB asks for no such right. The view stays what it is, whichever version made it.
_OWN_VIEW = """SET @mfprefect_view = IF(VERSION() LIKE '%MariaDB%', 'DO 0', (
  SELECT CONCAT({start}, view_definition) FROM information_schema.views
  WHERE table_schema = {database} AND table_name = {name}));
PREPARE mfprefect_view FROM @mfprefect_view;
EXECUTE mfprefect_view;
DEALLOCATE PREPARE mfprefect_view;"""
_NOTES = {
    "admin": (
        "Run it as root, or as a user who may SET USER (MariaDB) or has SYSTEM_USER and",
        "SET_ANY_DEFINER (MySQL). It creates the triggers that protect ended sessions from all",
        "users but this one, by name. On MySQL, the views become this user's. It revokes nothing.",
    ),
    "writer": (
        "Run it after the script of the role admin, which protects ended sessions from writers.",
    ),
}


def script(url: sa.URL, schema: Schema, role: str, user: str) -> str:
    """Return the whole script."""
    writer = _Script(url, schema, user)
    create = f"Create the user first: CREATE USER {writer.to} IDENTIFIED BY '..'"
    return "\n".join(
        [
            grants.heading(role, writer.to, (create, *_NOTES.get(role, ()))),
            *(f"{line};" for line in writer.grants(role)),
            *((*writer.protections(), *writer.own_views()) if role == "admin" else ()),
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
            # In a grant on a whole database, _ and % are wildcards.
            database = _quoted(self.database.replace("_", "\\_").replace("%", "\\%"))
            yield f"GRANT {_ADMIN} ON {database}.* TO {self.to}"
            return
        for right in grants.rights(self.schema, role):
            yield grants.grant(self.preparer, self.named(right.table), right, self.to)

    def protections(self) -> Iterator[str]:
        protected = [c for c in grants.updatable("sessions") if c != grants.EXPORTED]
        unchanged = " AND ".join(f"OLD.{c} <=> NEW.{c}" for c in protected)
        new = (
            "NEW.status = 'running' AND NEW.published_at IS NULL AND NEW.seal IS NULL "
            "AND NEW.deletion IS NULL"
        )
        allowed = f"OLD.status = 'running'\n    OR {grants.resumed()}\n    OR ({unchanged})"
        yield from self.trigger("sessions", "INSERT", f"NOT ({new})")
        yield from self.trigger("sessions", "UPDATE", f"NOT ({allowed})")
        for name, _, events in grants.guarded(self.schema):
            for event in events:
                row = "NEW" if event == "INSERT" else "OLD"
                sessions = self.named(self.schema.sessions.name)
                status = f"SELECT status FROM {sessions} WHERE session_no = {row}.session_no"  # noqa: S608
                # NULL without a session: anybody can turn foreign keys off for their connection.
                ended = f"COALESCE(({status} {_LOCK}), '') <> 'running'"
                yield from self.trigger(name, event, ended)

    def own_views(self) -> Iterator[str]:
        """Yield statements that make the user the definer of each view."""
        yield "SET NAMES utf8mb4;"  # a view keeps the collation of its texts
        for view in VIEWS:
            name = self.schema.name(view)
            algorithm = "" if view in COMPLETE_VIEWS else "ALGORITHM = TEMPTABLE "
            start = f"CREATE OR REPLACE {algorithm}DEFINER = {self.to} VIEW {self.named(name)} AS "
            texts = {"start": start, "database": self.database, "name": name}
            yield _OWN_VIEW.format(**{key: _literal(text) for key, text in texts.items()})

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
        # The client would split the trigger at its semicolons.
        yield f"DELIMITER //\n{statement} //\nDELIMITER ;"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
