"""A copy of a database with the schema has exactly what `create_schema` creates."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect_dev.teradata import EmulatedTeradata

POSTGRES = (
    "SELECT pg_encoding_to_char(encoding), datcollate, datctype, datacl::text, setconfig "
    "FROM pg_database LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid "
    "WHERE datname = current_database()",
    "SELECT nspname, nspacl::text, nspowner::regrole::text FROM pg_namespace",
    "SELECT c.oid::regclass::text, c.relkind, c.relpersistence, c.reloptions, c.relacl::text, "
    "c.relowner::regrole::text, c.relrowsecurity, pg_get_partkeydef(c.oid), a.attnum, a.attname, "
    "format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, "
    "a.attcollation, a.attstorage, a.attacl::text, "
    "pg_get_expr(d.adbin, d.adrelid) "
    "FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid "
    "LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum) "
    "WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint",
    "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index "
    "WHERE indrelid::regclass::text !~ '^pg_'",
    "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT oid::regclass::text, pg_get_viewdef(oid) FROM pg_class WHERE relkind IN ('v', 'm')",
    "SELECT oid::regprocedure::text FROM pg_proc",
    "SELECT extname, extversion FROM pg_extension",
    "SELECT defaclrole::regrole::text, defaclobjtype, defaclacl::text FROM pg_default_acl",
)
MYSQL = (
    "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata "
    "WHERE schema_name = DATABASE()",
    "SELECT trigger_name, action_statement, definer FROM information_schema.triggers "
    "WHERE trigger_schema = DATABASE()",
    "SELECT routine_name, routine_definition, definer FROM information_schema.routines "
    "WHERE routine_schema = DATABASE()",
    "SELECT event_name, event_definition, definer FROM information_schema.events "
    "WHERE event_schema = DATABASE()",
    "SHOW FULL TABLES",
)
SQLITE = (
    "SELECT type, name, tbl_name, sql FROM sqlite_master",
    "PRAGMA journal_mode",
    "PRAGMA user_version",
    "PRAGMA encoding",
    "PRAGMA auto_vacuum",
    "PRAGMA page_size",
)
QUERIES = {"postgresql": POSTGRES, "mysql": MYSQL, "sqlite": SQLITE}


IMPLIED = "CHARACTER SET utf8mb4 "
"""MySQL 9 shows it of columns that were created with it, though their collation implies it."""


def catalog(url: str) -> dict[str, list[Any]]:
    """Return all definitions of a database, by the query that asks for them, and all rows."""
    engine = sa.create_engine(url)
    kind = engine.dialect.name
    with mfprefect.connect(url) as store:
        schema = store.database.schema
    preparer = engine.dialect.identifier_preparer
    tables: list[Any] = [*schema.metadata.tables.values()]
    tables.append(sa.table(schema.name("mfprefect_version"), schema=schema.layout.schema))
    names = [preparer.format_table(table) for table in tables]
    queries = [*QUERIES[kind], *(f"SELECT * FROM {name}" for name in names)]  # noqa: S608
    if kind == "mysql":
        queries += [f"SHOW CREATE TABLE {name}" for name in (*names, *schema.views())]
    with engine.connect() as connection:
        answers = {query: connection.exec_driver_sql(query).all() for query in queries}
    engine.dispose()
    name = str(sa.make_url(url).database)
    return {
        query: sorted(
            repr(tuple(row)).replace(name, "DATABASE").replace(IMPLIED, "") for row in rows
        )
        for query, rows in answers.items()
    }


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
def test_a_copy_is_what_creating_makes(
    request: pytest.FixtureRequest,
    schema_url: str,
    new_database: Callable[..., AbstractContextManager[str]],
) -> None:
    with new_database(request.node.callspec.params["database_url"], schema=False) as url:
        with mfprefect.connect(url) as store:
            store.create_schema()
        created = catalog(url)
    assert catalog(schema_url) == created
    assert sum(map(len, created.values())) > 50


def files(folder: Path) -> dict[str, list[Any]]:
    """Return what the files of an emulated database hold."""
    contents = {}
    for file in sorted(folder.glob("*.db")):
        connection = sqlite3.connect(file)
        # Who wrote last differs.
        contents[file.name] = [x for x in connection.iterdump() if '"td writer" VALUES' not in x]
        connection.close()
    return contents


def test_a_copy_of_the_emulated_teradata(emulated_teradata: EmulatedTeradata) -> None:
    with (
        emulated_teradata.new_database() as created,
        emulated_teradata.new_database(schema=True) as copied,
    ):
        with mfprefect.connect(created) as store:
            store.create_schema()
        folders = [
            emulated_teradata.folder / str(sa.make_url(url).query["database"])
            for url in (created, copied)
        ]
        assert files(folders[1]) == files(folders[0])
        assert {path.name for path in folders[1].iterdir()} == {
            path.name for path in folders[0].iterdir()
        }
