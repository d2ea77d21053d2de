"""Upgrading a database to the schema of this version, and refusing any other schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from mfprefect.backend import Backend
from mfprefect.errors import PermissionDenied, SchemaOutdated
from mfprefect.migrations import REVISIONS, VERSION_TABLE
from mfprefect.schema import COMPLETE_VIEWS
from mfprefect.store.database import Database
from mfprefect.store.database.comments import set_comments

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "check_schema",
    "config",
    "create_schema",
    "expected_revision",
    "found_revision",
    "is_known",
    "view_statements",
]


def expected_revision() -> str:
    """Return the schema revision of this version of mfprefect."""
    return REVISIONS[-1]


def found_revision(db: Database) -> str | None:
    """Return the revision of the database's schema, None if it has no schema."""
    if not db.backend.exists():
        return None
    return db.read_transaction(lambda connection: _revision(db, connection))


def _revision(db: Database, connection: sa.Connection) -> str | None:
    layout = db.schema.layout
    table = sa.table(layout.prefix + VERSION_TABLE, sa.column("version_num"), schema=layout.schema)
    if not sa.inspect(connection).has_table(table.name, schema=layout.schema):
        return None
    revision: str | None = connection.scalar(sa.select(table.c.version_num))
    return revision


def check_schema(db: Database) -> None:
    """Refuse a database without the schema of exactly this version.

    Raises:
        SchemaOutdated: it has no schema, or another one; the message names the command to run.
    """
    expected = expected_revision()
    try:
        revision = found_revision(db)
    except PermissionDenied:
        # A reader by statements of an earlier version: what it may read says what is wrong.
        return
    if revision == expected:
        return
    if revision is None:
        message = f"{db.place} holds no mfprefect schema; create it with `mfprefect init`"
    elif is_known(revision):
        message = (
            f"the schema in {db.place} has revision {revision}, older than the {expected} that "
            "this mfprefect needs; upgrade it with `mfprefect init`"
        )
    else:
        raise _newer(db, revision)
    message += " or store.create_schema()."
    raise SchemaOutdated(message, found=revision, expected=expected)


def is_known(revision: str) -> bool:
    """Return whether this version of mfprefect knows a revision: its own or an older one."""
    return revision in REVISIONS


def _newer(db: Database, revision: str) -> SchemaOutdated:
    return SchemaOutdated(
        f"the schema in {db.place} has revision {revision}, which this mfprefect does not know: "
        "a newer version made it; run `pip install --upgrade mfprefect`.",
        found=revision,
        expected=expected_revision(),
    )


def create_schema(db: Database) -> None:
    """Create or upgrade tables and views; safe to repeat, and to run twice at the same time.

    Raises:
        SchemaOutdated: the schema is newer than this version.
        ConfigurationError: a table of another program has the name of one of ours.
    """

    def work(connection: sa.Connection, _: bool) -> None:
        with db.backend.lock(connection):
            _create_namespace(db, connection)
            revision = _revision(db, connection)
            if revision is not None and not is_known(revision):
                raise _newer(db, revision)
            if revision == expected_revision():
                _create_views(db, connection)
                set_comments(db.backend, connection)
                return
            _upgrade(db, connection, revision)
            for statement in db.backend.post_create_statements():
                connection.exec_driver_sql(statement)

    db.write_transaction(work)


def _create_namespace(db: Database, connection: sa.Connection) -> None:
    name = db.schema.layout.schema
    # Check first: IF NOT EXISTS needs the right to create a schema even if it exists.
    if name is not None and not sa.inspect(connection).has_schema(name):
        connection.execute(sa.schema.CreateSchema(name))


def config() -> Config:
    """Return Alembic's configuration, which names the migrations."""
    # Imported here: it takes a fifth of the time of all imports, and few runs need it.
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", "mfprefect:migrations")
    return settings


def _upgrade(db: Database, connection: sa.Connection, revision: str | None) -> None:
    """Run the migrations, then make all views and comments anew: any of them may have changed."""
    from alembic import command

    settings = config()
    settings.attributes["connection"] = connection
    settings.attributes["layout"] = db.schema.layout
    settings.attributes["transactional_ddl"] = db.backend.transactional_ddl
    command.upgrade(settings, "head")
    # Where DDL commits by itself, the revision comes last: an interrupted upgrade begins again.
    if not db.backend.transactional_ddl:
        command.stamp(settings, revision or "base")
    _create_views(db, connection, replace=True)
    new = revision is None and not connection.dialect.inline_comments
    set_comments(db.backend, connection, new=new)
    if not db.backend.transactional_ddl:
        command.stamp(settings, "head")


def _create_views(db: Database, connection: sa.Connection, *, replace: bool = False) -> None:
    """Create the views that are missing; with `replace`, give the others their present SELECT."""
    present = set(sa.inspect(connection).get_view_names(schema=db.schema.layout.schema))
    for view, statement in view_statements(db.backend, connection.dialect).items():
        name = db.schema.name(view)
        if name not in present:
            connection.exec_driver_sql(statement)
        elif replace:
            db.backend.replace_view(connection, name, statement)


def view_statements(backend: Backend, dialect: sa.Dialect) -> dict[str, str]:
    """Return the CREATE statement of each view, by its name in the schema."""
    schema, statements = backend.schema, {}
    for view, select in schema.views().items():
        table = sa.table(schema.name(view), schema=schema.layout.schema)
        name = dialect.identifier_preparer.format_table(table)
        text = select.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        start = "CREATE VIEW {name} AS " if view in COMPLETE_VIEWS else backend.create_hiding_view
        statements[view] = f"{start.format(name=name)}{backend.view_prefix}{text}"
    return statements
