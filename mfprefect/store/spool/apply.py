"""What an entry of the spool holds: added by a run, read by it, and done to a database later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.artifacts import Artifact
from mfprefect.errors import InvalidValue, SpoolRefused
from mfprefect.spool.entry import Write
from mfprefect.store import artifacts
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.scores import write as scores
from mfprefect.store.sessions.writing import flush
from mfprefect.util.parquet import UNREADABLE, require_plausible

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["apply", "scores_of"]


def apply(db: Database, handle: SessionHandle, write: Write) -> None:
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
    numbers = dict(tuple(row) for row in db.fetch_all(select)) if names else {}
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
