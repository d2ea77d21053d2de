"""The statements that give a user of PostgreSQL the rights of a role."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from mfprefect import grants
from mfprefect.schema import Schema

__all__ = ["script"]

TRIGGER = "mfprefect_closed"
_OWNER = "pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE')"
# Looks names up in pg_catalog only, so that nobody can replace an operator by another one.
_FUNCTION = """CREATE OR REPLACE FUNCTION {name}() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp{settings} AS $$
BEGIN
{body}
END $$"""
# An end waits for the changes to the session that are not committed yet, and they for it; not for
# long, because a machine that vanished keeps its locks until the server notices.
_WAIT = " SET lock_timeout = '2s'"
_SESSION = """  IF TG_OP = 'UPDATE' AND OLD.status = 'running' AND NEW.status <> 'running' THEN
    PERFORM FROM {sessions} WHERE session_no = OLD.session_no FOR UPDATE;
  END IF;
  IF {owner} THEN
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  ELSIF TG_OP = 'INSERT' THEN
    IF NEW.status = 'running' AND NEW.published_at IS NULL AND NEW.seal IS NULL
      AND NEW.deletion IS NULL THEN
      RETURN NEW;
    END IF;
    {refuse_new}
  ELSIF TG_OP = 'UPDATE' AND (OLD.status = 'running'
    OR {resumed}
    OR ({old})
    IS NOT DISTINCT FROM ({new})) THEN
    RETURN NEW;
  END IF;
  {refuse_old}"""
# Locks the sessions against their end, but not against heartbeats. The snapshot of a transaction
# may be older than the end: there, a stronger lock fails if anything has changed since.
_GUARD = """  IF NOT {owner} THEN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
      PERFORM FROM {sessions} WHERE session_no IN ({numbers}) FOR SHARE;
    ELSE
      PERFORM FROM {sessions} WHERE session_no IN ({numbers}) FOR KEY SHARE;
    END IF;
    IF EXISTS (
      SELECT FROM {sessions} WHERE session_no IN ({numbers}) AND status <> 'running') THEN
      {refuse}
    END IF;
  END IF;
"""
_ROW = """  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;"""
# The owner before keeps its rights on rows: it may be the user of running models.
_OWNERSHIP = """DO $$
DECLARE found record;
BEGIN
  FOR found IN
    SELECT c.oid::regclass AS name, pg_get_userbyid(c.relowner) AS owner FROM pg_class c
    WHERE c.relkind IN ('r', 'v') AND pg_get_userbyid(c.relowner) <> {user}
    AND (c.relnamespace = {namespace}::regnamespace AND c.relname IN ({names})
      OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = {scores}::regclass))
  LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO %I', found.name, {user});
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', found.name, found.owner);
  END LOOP;
END $$"""
_NOTES = {
    "admin": (
        "Run it as a superuser. This user becomes the owner of tables and views. The owner before",
        "and everybody else keep their rights on rows. Triggers protect ended sessions from",
        "everybody else who may write.",
    ),
    "writer": (
        "Run it as the owner of the tables, after the script of the role admin, which protects",
        "ended sessions from writers.",
    ),
}


def script(url: sa.URL, schema: Schema, role: str, user: str) -> str:
    """Return the whole script, one transaction."""
    writer = _Script(url, schema, user)
    create = f"Create the user first: CREATE ROLE {writer.to} LOGIN PASSWORD '..'"
    notes = (create, *_NOTES.get(role, ("Run it as the owner of the tables.",)))
    lines = ["BEGIN", *writer.statements(role), "COMMIT"]
    return "\n".join([grants.heading(role, writer.to, notes), *(f"{line};" for line in lines)])


class _Script:
    def __init__(self, url: sa.URL, schema: Schema, user: str) -> None:
        self.preparer = url.get_dialect()().identifier_preparer
        self.database, self.schema, self.user = url.database, schema, user
        self.to = self.preparer.quote(user)
        self.namespace = self.preparer.quote(schema.layout.schema or "public")
        self.named = {
            name: f"{self.namespace}.{self.preparer.quote(name)}"
            for name in (*grants.tables(schema), *grants.views(schema))
        }

    def statements(self, role: str) -> Iterator[str]:
        if self.database:
            yield f"GRANT CONNECT ON DATABASE {self.preparer.quote(self.database)} TO {self.to}"
        if role == "admin":
            yield f"GRANT USAGE, CREATE ON SCHEMA {self.namespace} TO {self.to}"
            yield self.ownership()
            yield from self.protections()
            return
        yield f"GRANT USAGE ON SCHEMA {self.namespace} TO {self.to}"
        yield f"REVOKE ALL ON {', '.join(self.named.values())} FROM {self.to}"
        for right in grants.rights(self.schema, role):
            yield grants.grant(self.preparer, self.named[right.table], right, self.to)

    def ownership(self) -> str:
        return _OWNERSHIP.format(
            user=_literal(self.user),
            namespace=_literal(self.namespace),
            names=", ".join(map(_literal, self.named)),
            scores=_literal(self.named[self.schema.scores.name]),
        )

    def protections(self) -> Iterator[str]:
        protected = [c for c in grants.updatable("sessions") if c != grants.EXPORTED]
        fragments = {
            "owner": _OWNER,
            "sessions": self.named[self.schema.sessions.name],
            "resumed": grants.resumed(),
            "old": ", ".join(f"OLD.{c}" for c in protected),
            "new": ", ".join(f"NEW.{c}" for c in protected),
            "refuse_old": _refuse(", OLD.session_no"),
            "refuse_new": _refuse(", NEW.session_no"),
        }
        # A row's two sessions are one, unless somebody moves it.
        row = {"numbers": "OLD.session_no, NEW.session_no"}
        row["refuse"] = _refuse(", coalesce(OLD.session_no, NEW.session_no)")
        # All rows of a statement at once, including those in the tables of large sessions.
        scores = {"numbers": "SELECT c.session_no FROM changed c", "refuse": _refuse("")}
        functions = {}
        for kind, body in (
            ("session", _SESSION.format(**fragments)),
            ("row", _GUARD.format(**fragments, **row) + _ROW),
            ("scores", _GUARD.format(**fragments, **scores) + "  RETURN NULL;"),
        ):
            name = self.preparer.quote(f"{self.schema.layout.prefix}mfprefect_closed_{kind}")
            functions[kind] = f"{self.namespace}.{name}"
            wait = _WAIT if kind == "session" else ""
            yield _FUNCTION.format(name=functions[kind], settings=wait, body=body)
        each = "INSERT OR UPDATE OR DELETE"
        yield from self.trigger("sessions", f"BEFORE {each}", "FOR EACH ROW", functions["session"])
        for name, _, events in grants.guarded(self.schema):
            if name == "scores":
                when = "AFTER DELETE", "REFERENCING OLD TABLE AS changed FOR EACH STATEMENT"
                yield from self.trigger(name, when[0], when[1], functions["scores"])
            else:
                when = f"BEFORE {' OR '.join(events)}", "FOR EACH ROW"
                yield from self.trigger(name, *when, functions["row"])

    def trigger(self, name: str, event: str, scope: str, function: str) -> Iterator[str]:
        table = self.named[self.schema.name(name)]
        yield f"DROP TRIGGER IF EXISTS {TRIGGER} ON {table}"
        yield f"CREATE TRIGGER {TRIGGER} {event} ON {table} {scope} EXECUTE FUNCTION {function}()"


def _refuse(argument: str) -> str:
    subject = "session % has ended and" if argument else "a session that has ended"
    return (
        f"RAISE EXCEPTION '{subject} takes no changes'{argument} "
        "USING ERRCODE = 'insufficient_privilege', "
        "HINT = 'Only the owner of the tables may: mfprefect grants --role admin';"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
