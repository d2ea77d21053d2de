"""Bringing a database to the schema that this version works with, and refusing any other."""

from __future__ import annotations

import functools

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from mfprefect.backend import Backend
from mfprefect.errors import SchemaOutdated
from mfprefect.migrations.support import configure_options
from mfprefect.store.database import Database

__all__ = [
    "SCRIPTS",
    "check_schema",
    "create_schema",
    "expected_revision",
    "found_revision",
    "known",
    "view_statements",
]


SCRIPTS = "mfprefect:migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    return config


@functools.cache
def expected_revision() -> str:
    """Return the revision that this version of mfprefect works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise AssertionError("the package holds no migrations")
    return head


def found_revision(db: Database) -> str | None:
    """Return the revision of the database's schema, None where there is none."""
    if not db.backend.exists():
        return None
    return db.look(lambda connection: _revision(db, connection))


def _revision(db: Database, connection: sa.Connection) -> str | None:
    options = configure_options(db.schema.layout, db.backend.transactional_ddl)
    return MigrationContext.configure(connection, opts=options).get_current_revision()


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
    # By its whole name: Alembic would take `head`, or a piece of one, for a revision too.
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return any(script.revision == revision for script in scripts)


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
                for statement in db.backend.finish():
                    connection.exec_driver_sql(statement)

    db.write(work)


def _create_namespace(db: Database, connection: sa.Connection) -> None:
    name = db.schema.layout.schema
    # Asked first: IF NOT EXISTS needs the right to create even where there is nothing to create.
    if name is not None and not sa.inspect(connection).has_schema(name):
        connection.execute(sa.schema.CreateSchema(name))


def _upgrade(db: Database, connection: sa.Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    config.attributes["layout"] = db.schema.layout
    config.attributes["transactional_ddl"] = db.backend.transactional_ddl
    command.upgrade(config, "head")


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
