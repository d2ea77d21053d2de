"""Which spool and which database the settings name."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from mfprefect.settings import Settings
from mfprefect.spool import Place, Spool
from mfprefect.store.database import Database
from mfprefect.util import values

__all__ = ["place_of", "spool_of"]

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
