"""The schema: created, upgraded, shared with another prefix, refused."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.backend import Backend
from mfprefect.schema import Double
from mfprefect.store.database import migrate
from mfprefect.testing.contract.helpers import fill, place, processes, wrong_comments


def test_the_schema_is_created_once_and_again(database_url: str) -> None:
    with mfprefect.connect(database_url) as store:
        with pytest.raises(mfprefect.SchemaOutdated, match="mfprefect init") as refused:
            store.sessions()
        assert refused.value.found is None
        store.create_schema()
        store.add_model("churn")
        store.create_schema()
        assert list(store.models()["model_id"]) == ["churn"]


def test_the_database_has_what_schema_py_says(database_url: str) -> None:
    with mfprefect.connect(database_url) as store:
        store.create_schema()
        _assert_complete(store)


def _assert_complete(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    db = store.database
    table_names = {table.name for table in db.schema.tables.values()}
    options: dict[str, Any] = {
        "include_name": lambda name, kind, _: kind != "table" or name in table_names,
        "include_schemas": db.schema.layout.schema is not None,
        "version_table_schema": db.schema.layout.schema,
        "compare_type": False,
    }
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, db.schema.metadata) == []
        inspector = sa.inspect(connection)
        views = set(inspector.get_view_names(schema=db.schema.layout.schema))
    # Other tests may have theirs in the same database, under another prefix.
    views = {view for view in views if view.startswith(db.schema.layout.prefix)}
    assert views == {db.schema.name(view) for view in db.schema.views()}
    for view in db.schema.views():
        name = sa.table(db.schema.name(view), schema=db.schema.layout.schema)
        assert db.fetch_all(sa.select(sa.func.count()).select_from(name)) is not None


def test_tables_views_and_columns_have_their_comments(store: Store) -> None:
    """Those of the schema, also where somebody has changed one, or an upgrade brings them."""
    assert wrong_comments(store) == {}
    table = store.database.schema.metrics
    other = sa.Table(table.name, sa.MetaData(schema=table.schema), comment="Somebody's own, 100 %")
    other.append_column(sa.Column("metric_value", Double, nullable=False, comment="Another"))
    backend = store.database.backend
    store.database.write_transaction(
        lambda connection, _: (
            backend.set_comments(connection, other, "TABLE", {None, "metric_value"})
            if connection.dialect.supports_comments
            else None
        )
    )
    if store.database.engine.dialect.supports_comments:
        assert wrong_comments(store) == {
            f"{table.name}.None": "Somebody's own, 100 %",
            f"{table.name}.metric_value": "Another",
        }
    store.create_schema()
    assert wrong_comments(store) == {}
    _assert_complete(store)


def test_the_catalog_tells_the_size_of_every_table(store: Store) -> None:
    """Only of tables: where the base's method is not overridden, of none."""
    db = store.database
    sizes = db.read_transaction(db.backend.table_bytes)
    if type(db.backend).table_bytes is Backend.table_bytes:
        assert sizes == {}
        return
    assert {table.name for table in db.schema.tables.values()} <= set(sizes)
    for size in sizes.values():
        assert type(size.total) is int
        assert 0 <= (size.indexes or 0) <= size.total
    measured = store.size().tables.set_index("table")["bytes"]
    assert list(measured.index) == [table.name for table in db.schema.tables.values()]
    assert measured.to_dict() == {name: sizes[name].total for name in measured.index}


def test_a_schema_of_the_first_version_is_upgraded_with_what_it_holds(store: Store) -> None:
    from alembic import command

    with store.session("churn") as session:
        session.log_metrics({"auc": 0.5})
    db = store.database
    config = migrate.config()
    config.attributes |= {"layout": db.schema.layout, "transactional_ddl": True}
    with db.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    later = Store(db)
    with pytest.raises(mfprefect.SchemaOutdated, match="mfprefect init"):
        later.sessions()
    later.create_schema()
    assert wrong_comments(later) == {}
    assert list(later.metrics(session.session_id)["value"]) == [0.5]
    with later.session("churn") as second:
        second.log_metrics({"auc": 0.75})
    assert list(later.sessions("churn")["status"]) == ["succeeded", "succeeded"]


def _create_schema(there: dict[str, Any]) -> str:
    with mfprefect.connect(**there, retry_seconds=60) as store:
        store.create_schema()
    return "created"


def test_the_schema_is_created_by_several_processes_at_once(database_url: str) -> None:
    with mfprefect.connect(database_url) as store:
        with processes(4) as pool:
            assert list(pool.map(_create_schema, [place(store)] * 4)) == ["created"] * 4
        assert len(store.models()) == 0


def test_an_interrupted_migration_can_be_run_again(database_url: str) -> None:
    """Interrupt it before every third CREATE or ALTER in turn, then let it finish."""
    with mfprefect.connect(database_url, retry_seconds=0) as store:
        db = store.database
        remaining = 0

        def interrupt(_: Any, __: Any, statement: str, *___: Any) -> None:
            nonlocal remaining
            if statement.lstrip().upper().startswith(("CREATE", "ALTER")):
                remaining -= 1
                if remaining < 0:
                    raise KeyboardInterrupt

        sa.event.listen(db.engine, "before_cursor_execute", interrupt)
        for statements in range(0, 200, 3):
            remaining = statements
            try:
                store.create_schema()
            except KeyboardInterrupt:
                continue
            break
        else:
            pytest.fail("the migration never finished")
        sa.event.remove(db.engine, "before_cursor_execute", interrupt)
        assert statements > 0
        _assert_complete(store)
        store.add_model("churn")
        with store.session("churn") as session:
            fill(session)


def _set_revision(store: Store, revision: str) -> None:
    layout = store.database.schema.layout
    version = sa.table(
        layout.prefix + "mfprefect_version", sa.column("version_num"), schema=layout.schema
    )
    store.database.write_transaction(
        lambda connection, _: connection.execute(version.update().values(version_num=revision))
    )


def test_a_newer_schema_is_refused(store: Store, database_url: str) -> None:
    _set_revision(store, "9999")
    with mfprefect.connect(database_url) as other:
        with pytest.raises(mfprefect.SchemaOutdated, match="pip install --upgrade") as refused:
            other.sessions()
        assert (refused.value.found, refused.value.expected) == (
            "9999",
            migrate.expected_revision(),
        )
        with pytest.raises(mfprefect.SchemaOutdated, match="newer version"):
            other.create_schema()


def test_a_table_of_somebody_else_is_not_taken_for_ours(database_url: str) -> None:
    with mfprefect.connect(database_url) as store:
        db = store.database
        name, schema = db.schema.name("metrics"), db.schema.layout.schema
        if schema is not None:
            db.write_transaction(lambda c, _: c.execute(sa.schema.CreateSchema(schema)))
        foreign = sa.Table(name, sa.MetaData(schema=schema), sa.Column("run_uuid", sa.Integer))
        db.write_transaction(lambda connection, _: foreign.create(connection))
        with pytest.raises(mfprefect.ConfigurationError, match="MFPREFECT_PREFIX"):
            store.create_schema()


def test_two_installations_share_a_database_by_prefix(store: Store, database_url: str) -> None:
    # It starts with this test's prefix, so that dropping by prefix drops these tables too.
    prefix = f"{store.database.settings.prefix or ''}mf2_"
    with mfprefect.connect(database_url, prefix=prefix) as second:
        second.create_schema()
        second.add_model("other")
        with second.session("other") as session:
            session.log_metrics({"auc": 0.5})
        assert list(second.models()["model_id"]) == ["other"]
        assert list(store.models()["model_id"]) == ["churn"]
        assert len(store.sessions()) == 0
