"""The spool and the database that the settings name."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from mfprefect.settings import Settings
from mfprefect.spool import Place, Spool
from mfprefect.store.database import Database
from mfprefect.util import values

__all__ = ["place_of", "spool_of"]

_ADDRESS = ("host", "hostaddr", "port", "service", "unix_socket", "dbname")
"""Parameters of a URL's query that say which database it is."""


def spool_of(settings: Settings) -> Spool | None:
    """Return the spool of the settings, None if it is off."""
    folder = settings.spool_folder
    return None if folder is None else Spool(folder, settings.spool_max_bytes)


def place_of(db: Database) -> Place | None:
    """Return which database this is, without user and password; None if it is in memory."""
    url = db.backend.url
    if not url.host and url.database in (None, "", ":memory:") and not url.query:
        return None
    query = {name: url.query[name] for name in _ADDRESS if name in url.query}
    address = [db.backend.name, (url.host or "").lower(), url.port, url.database, query]
    layout = db.schema.layout
    text = values.json_text([*address, layout.schema, layout.prefix], "the database")
    bare = sa.URL.create(db.backend.name, None, None, url.host, url.port, url.database)
    return Place(hashlib.sha256(text.encode()).hexdigest()[:16], bare.render_as_string())
