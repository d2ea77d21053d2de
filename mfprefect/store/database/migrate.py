"""Bringing a database to the schema that this version works with, and refusing any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from mfprefect.backend import Backend
from mfprefect.errors import SchemaOutdated
from mfprefect.migrations import REVISIONS, VERSION_TABLE
from mfprefect.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "check_schema",
    "config",
    "create_schema",
    "expected_revision",
    "found_revision",
    "known",
    "view_statements",
]


def expected_revision() -> str:
    """Return the revision that this version of mfprefect works with."""
    return REVISIONS[-1]


def found_revision(db: Database) -> str | None:
    """Return the revision of the database's schema, None where there is none."""
    if not db.backend.exists():
        return None
    return db.read_transaction(lambda connection: _revision(db, connection))


def _revision(db: Database, connection: sa.Connection) -> str | None:
    layout = db.schema.layout
    kept = sa.table(layout.prefix + VERSION_TABLE, sa.column("version_num"), schema=layout.schema)
    if not sa.inspect(connection).has_table(kept.name, schema=layout.schema):
        return None
    found: str | None = connection.scalar(sa.select(kept.c.version_num))
    return found


def check_schema(db: Database) -> None:
    """Refuse a database without the schema of exactly this version.

    Raises:
        SchemaOutdated: and the command that cures it.
    """
    found, expected = found_revision(db), expected_revision()
    if found == expected:
        return
    if found is None:
        message = f"{db.place} holds no mfprefect schema; create it with `mfprefect init`"
    elif known(found):
        message = (
            f"the schema in {db.place} is of revision {found}, older than the {expected} that "
            "this mfprefect needs; upgrade it with `mfprefect init`"
        )
    else:
        raise _newer(db, found)
    raise SchemaOutdated(message + " or store.create_schema().", found=found, expected=expected)


def known(revision: str) -> bool:
    """Return whether this version of mfprefect knows a revision: its own or an older one."""
    return revision in REVISIONS


def _newer(db: Database, found: str) -> SchemaOutdated:
    return SchemaOutdated(
        f"the schema in {db.place} is of revision {found}, which this mfprefect does not know: "
        "a newer version made it; `pip install --upgrade mfprefect`.",
        found=found,
        expected=expected_revision(),
    )


def create_schema(db: Database) -> None:
    """Create or upgrade tables and views; harmless when repeated, or begun twice at once.

    Raises:
        SchemaOutdated: the schema is newer than this version.
        ConfigurationError: a table of ours has the name of somebody else's.
    """

    def work(connection: sa.Connection, _: bool) -> None:
        with db.backend.lock(connection):
            _create_namespace(db, connection)
            found = _revision(db, connection)
            if found is not None and not known(found):
                raise _newer(db, found)
            if found != expected_revision():
                _upgrade(db, connection)
            _create_views(db, connection)
            if found != expected_revision():
                for statement in db.backend.post_create_statements():
                    connection.exec_driver_sql(statement)

    db.write_transaction(work)


def _create_namespace(db: Database, connection: sa.Connection) -> None:
    name = db.schema.layout.schema
    # Asked first: IF NOT EXISTS needs the right to create even where there is nothing to create.
    if name is not None and not sa.inspect(connection).has_schema(name):
        connection.execute(sa.schema.CreateSchema(name))


def config() -> Config:
    """Return where Alembic finds the migrations."""
    # Not needed where the schema is there already, and it takes a fifth of all imports.
    from alembic.config import Config

    found = Config()
    found.set_main_option("script_location", "mfprefect:migrations")
    return found


def _upgrade(db: Database, connection: sa.Connection) -> None:
    from alembic import command

    settings = config()
    settings.attributes["connection"] = connection
    settings.attributes["layout"] = db.schema.layout
    settings.attributes["transactional_ddl"] = db.backend.transactional_ddl
    command.upgrade(settings, "head")


def _create_views(db: Database, connection: sa.Connection) -> None:
    present = set(sa.inspect(connection).get_view_names(schema=db.schema.layout.schema))
    for view, statement in view_statements(db.backend, connection.dialect).items():
        if db.schema.name(view) not in present:
            connection.exec_driver_sql(statement)


def view_statements(backend: Backend, dialect: sa.Dialect) -> dict[str, str]:
    """Return the statement that creates each view."""
    schema, found = backend.schema, {}
    for view, select in schema.views().items():
        table = sa.table(schema.name(view), schema=schema.layout.schema)
        name = dialect.identifier_preparer.format_table(table)
        text = select.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        found[view] = f"CREATE VIEW {name} AS {backend.view_prefix}{text}"
    return found
