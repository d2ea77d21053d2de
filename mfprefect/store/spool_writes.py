"""What an entry of the spool holds: added by a run, read by it, and done to a database later."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.artifacts import Artifact
from mfprefect.errors import InvalidValue, SpoolRefused
from mfprefect.settings import Settings
from mfprefect.spool import Place, Spool
from mfprefect.spool.entry import Write
from mfprefect.store import artifacts, scores
from mfprefect.store.database import Database
from mfprefect.store.handle import Handle
from mfprefect.store.sessions import flush
from mfprefect.util import values
from mfprefect.util.parquet import UNREADABLE, require_plausible

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["apply", "place_of", "scores_of", "spool_of"]

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
        scores.write_part(db, handle, content["part_no"], scores_of(write))
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


def scores_of(write: Write) -> pa.Table:
    """Return the part of scores that goes with a write.

    Raises:
        SpoolRefused: it is none, or another one.
    """
    import pyarrow as pa
    from pyarrow import parquet

    from mfprefect.scores import SCHEMA, all_pieces, joined
    from mfprefect.scores.digest import digest

    path, told = write.blob, write.content
    if path is None:
        raise SpoolRefused(f"{write.name}.json has no scores.")
    try:
        with parquet.ParquetFile(path) as file:
            require_plausible(file.metadata.num_rows, path.stat().st_size, path)
        table = joined(all_pieces(str(path), *SCHEMA.names), "entity_id")
    except (InvalidValue, *UNREADABLE, pa.ArrowException) as exc:
        raise SpoolRefused(f"{path} holds no scores that a run wrote: {exc}") from exc
    if (digest(table), table.num_rows) != (told["digest"], told["rows"]):
        raise SpoolRefused(f"{path} is corrupt: its scores are not what the run wrote.")
    return table
