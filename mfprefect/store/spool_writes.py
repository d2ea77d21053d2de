"""What an entry of the spool holds: added by a run, read by it, and done to a database later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect import values
from mfprefect.artifacts import Artifact
from mfprefect.errors import SpoolRefused
from mfprefect.scores import SCHEMA, digest
from mfprefect.settings import Settings
from mfprefect.spool import Place, Spool
from mfprefect.spool_entry import Entry, Write, check_blob
from mfprefect.store import artifacts, migrate, scores
from mfprefect.store.database import Database
from mfprefect.store.handle import Handle
from mfprefect.store.sessions import flush

__all__ = ["apply", "check", "place_of", "spool_of"]

_WHERE = ("host", "hostaddr", "port", "service", "unix_socket", "dbname")


def spool_of(settings: Settings) -> Spool | None:
    """Return the spool of the settings, None where it is off."""
    folder = settings.spool_folder
    return None if folder is None else Spool(folder, settings.spool_max_bytes)


def place_of(db: Database) -> Place | None:
    """Return which database this is, without user or secret; None of one in memory."""
    url = db.backend.url
    if not url.host and url.database in (None, "", ":memory:") and not url.query:
        return None
    query = {name: url.query[name] for name in _WHERE if name in url.query}
    where = [db.backend.name, (url.host or "").lower(), url.port, url.database, query]
    layout = db.schema.layout
    text = values.json_text([*where, layout.schema, layout.prefix], "the database")
    bare = sa.URL.create(db.backend.name, None, None, url.host, url.port, url.database)
    shown = bare.render_as_string()
    return Place(hashlib.sha256(text.encode()).hexdigest()[:16], shown)


def check(db: Database, entry: Entry, head: Mapping[str, Any]) -> None:
    """Read every byte before the first one is delivered.

    Raises:
        SpoolRefused: something is corrupt, or does not fit into the schema of this version.
    """
    if not migrate.known(head["revision"]):
        raise SpoolRefused(
            f"{entry.folder} was written by a newer mfprefect, for the schema {head['revision']}: "
            "`pip install --upgrade mfprefect`, `mfprefect init`, and push again."
        )
    for write in entry.writes():
        check_blob(write)
        if write.content["op"] == "rows":
            for table, rows in write.content["tables"].items():
                _check_rows(db, entry, head, table, rows)


def _check_rows(
    db: Database, entry: Entry, head: Mapping[str, Any], name: str, rows: list[dict[str, Any]]
) -> None:
    table = db.schema.tables.get(name)
    known = set() if table is None else {*table.c.keys(), "reference_session_id"}
    needed = set() if table is None else {c.key for c in table.c if not c.nullable}
    for row in rows:
        odd = {*row} - known or needed - {*row, "session_no"}
        if table is None or odd:
            what = f"the table {name!r}" if table is None else f"{name}.{min(odd)}"
            raise SpoolRefused(
                f"{entry.folder} was written for the schema {head['revision']}, whose rows do not "
                f"fit into {migrate.expected_revision()}: {what} is not in both. Deliver it with "
                f"the mfprefect {head['version']} that wrote it, before the upgrade."
            )


def apply(db: Database, handle: Handle, write: Write) -> None:
    """Do one write; what an earlier try did is replaced.

    Raises:
        InvalidScores: an entity has a score in another part of the session.
        SpoolRefused: nobody knows what it means.
        SessionClosed: the session takes no more writes.
    """
    content = write.content
    if content["op"] == "rows":
        rows = {name: _resolved(db, name, rows) for name, rows in content["tables"].items()}
        flush(db, handle, rows, replace=True)
    elif content["op"] == "artifact" and write.blob is not None:
        with write.blob.open("rb") as file:
            artifact = Artifact(**content["artifact"])
            artifacts.save_artifact(db, handle, content["name"], file, artifact)
    elif content["op"] == "part" and write.blob is not None:
        scores.write_part(db, handle, content["part_no"], _part(write))
    elif content["op"] == "drop_parts":
        scores.drop_parts(db, handle)
    else:
        raise SpoolRefused(f"this mfprefect does not know the write {content['op']!r}.")


def _resolved(db: Database, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put numbers in the place of the sessions that drift rows name."""
    if name != "drift":
        return rows
    names = {row["reference_session_id"] for row in rows if row.get("reference_session_id")}
    s = db.schema.sessions.c
    select = sa.select(s.session_id, s.session_no).where(s.session_id.in_(names))
    numbers = dict(tuple(row) for row in db.read(select)) if names else {}
    found = []
    for row in rows:
        kept = dict(row)
        if (reference := kept.pop("reference_session_id", None)) is not None:
            kept["reference_session_no"] = numbers.get(reference)
        found.append(kept)
    return found


def _part(write: Write) -> Any:
    from pyarrow import parquet

    table = parquet.read_table(write.blob).cast(SCHEMA)
    if digest(table) != write.content["digest"]:
        raise SpoolRefused(f"{write.blob} is corrupt: its scores are not what the run wrote.")
    return table
