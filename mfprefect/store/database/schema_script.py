"""The DDL of an installation as a script to read: the statements that `create_schema` runs."""

from __future__ import annotations

import io
from collections.abc import Iterator

from alembic import command
from sqlalchemy.engine.mock import MockConnection

from mfprefect.backend import Backend
from mfprefect.grants import ROLES
from mfprefect.store.database.comments import comment_script
from mfprefect.store.database.migrate import config, view_statements

__all__ = ["schema_script"]


def schema_script(backend: Backend) -> str:
    """Return all statements that create a new installation, and the grants of each role.

    They are in the order to run them in, each ended by a semicolon. Nothing connects to the server:
    what depends on its kind or version follows the URL.
    """
    lines = "\n\n".join(_parts(backend)).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _parts(backend: Backend) -> Iterator[str]:
    yield from (f"{statement};" for statement in backend.setup_statements())
    yield _migrations(backend)
    views = view_statements(backend, backend.dialect())
    yield from (f"{statement};" for statement in views.values())
    if comments := "\n".join(f"{statement};" for statement in comment_script(backend)):
        yield comments
    yield from (f"{statement};" for statement in backend.post_create_statements())
    # The admin first: on some databases, its script protects ended sessions from the others.
    order = sorted(ROLES, key=lambda role: role != "admin")
    yield from dict.fromkeys(backend.grants(role, f"mfprefect_{role}") for role in order)


def _migrations(backend: Backend) -> str:
    text = io.StringIO()
    settings = config()
    settings.output_buffer = text
    # Alembic only asks it for the dialect, and writes statements instead of executing them.
    settings.attributes["connection"] = MockConnection(backend.dialect(), lambda *_: None)
    settings.attributes["layout"] = backend.schema.layout
    settings.attributes["transactional_ddl"] = backend.transactional_ddl
    command.upgrade(settings, "head", sql=True)
    return text.getvalue().strip()
