from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.mysql.reserved_words import RESERVED_WORDS_MARIADB, RESERVED_WORDS_MYSQL
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS as RESERVED_WORDS_POSTGRES
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer
from sqlalchemy.exc import StatementError

import mfprefect
from mfprefect.backend import backend_for
from mfprefect.errors import InvalidValue
from mfprefect.migrations import REVISIONS
from mfprefect.schema import VIEWS, Instant, Layout, Schema, comment_statements, comments_of
from mfprefect.settings import load_settings
from mfprefect.store.database import migrate
from mfprefect_dev.teradata.tokens import RESERVED as TERADATA_WORDS

untimed = settings(deadline=None)

RESERVED = {
    "sqlite": SQLiteIdentifierPreparer.reserved_words,
    "postgres": RESERVED_WORDS_POSTGRES,
    "mysql": RESERVED_WORDS_MYSQL,
    "mariadb": RESERVED_WORDS_MARIADB,
    "teradata": {word.lower() for word in TERADATA_WORDS},
}
SESSION_TABLES = {
    "artifact_chunks",
    "artifacts",
    "backtests",
    "check_results",
    "drift",
    "gate_results",
    "input_summary",
    "inputs",
    "metric_steps",
    "metrics",
    "notifications",
    "part_inputs",
    "score_parts",
    "scores",
    "session_attempts",
    "session_metadata",
    "session_params",
    "test_curve",
    "variable_importance",
}
OTHER_TABLES = {
    "api_tokens",
    "audit_events",
    "environments",
    "idempotency_keys",
    "input_columns",
    "model_stages",
    "model_thresholds",
    "models",
    "seals",
    "sessions",
}
SOMEWHERE = Layout("mlops", "mf_")


def shown_columns(select: sa.Select[tuple[object, ...]]) -> list[str]:
    """Return a view's columns by their names in the database."""
    return [column.name for column in select.selected_columns]


def constraint_names(schema: Schema) -> set[str]:
    names = set()
    for table in schema.tables.values():
        names |= {str(index.name) for index in table.indexes}
        names |= {str(c.name) for c in table.constraints if c.name is not None}
    return names


@pytest.mark.parametrize("database", RESERVED)
def test_no_name_is_a_reserved_word(database: str) -> None:
    schema = Schema()
    names = set(VIEWS) | {table.name for table in schema.tables.values()}
    names |= {column.name for table in schema.tables.values() for column in table.columns}
    names |= {name for select in schema.views().values() for name in shown_columns(select)}
    assert {"metric_value", "session_no", "published_scores", "parent_session_id"} <= names
    assert len(RESERVED[database]) > 90
    assert names & {str(word).lower() for word in RESERVED[database]} == set()


def test_the_list_of_teradata_is_whole() -> None:
    assert {"value", "session", "title", "type", "sample"} <= RESERVED["teradata"]
    assert len(RESERVED["teradata"]) == 484


def test_names_need_no_quotes_and_fit_with_the_longest_prefix() -> None:
    schema = Schema(Layout(prefix="p" * 16))
    names = {table.name for table in schema.tables.values()} | set(map(schema.name, VIEWS))
    names |= {column.name for table in schema.tables.values() for column in table.columns}
    for name in names | constraint_names(schema):
        assert re.fullmatch("[a-z][a-z0-9_]*", name)
        assert len(name) <= 63  # PostgreSQL cuts longer ones off


def test_these_are_the_tables() -> None:
    schema = Schema()
    assert set(schema.tables) == SESSION_TABLES | OTHER_TABLES
    assert set(schema.views()) == set(VIEWS)


def test_what_a_session_produced_is_keyed_by_its_number() -> None:
    tables = Schema().session_tables()
    assert {table.name for table in tables} == SESSION_TABLES
    for table in tables:
        first = next(iter(table.primary_key))
        assert first.name == "session_no"
        assert isinstance(first.type, sa.Integer)
        assert not first.nullable


def test_every_child_but_the_scores_belongs_to_a_session() -> None:
    for table in Schema().session_tables():
        targets = {key.target_fullname for key in table.foreign_keys}
        assert targets == (set() if table.name == "scores" else {"sessions.session_no"})


def test_every_table_view_and_column_has_a_comment() -> None:
    schema = Schema()
    for table in (*schema.tables.values(), *schema.view_tables()):
        types = {column.name: type(column.type) for column in table.c}
        for name, comment in comments_of(table).items():
            where = f"{table.name}.{name or ''}"
            assert comment, where
            # One sentence, and nothing that a script or a driver could misread.
            assert re.fullmatch(r"[A-Za-z](?:[^%;\"?:.]|: |[a-z]\.[a-z]|2026)*\.", comment), where
            assert comment.isascii(), where
            assert len(comment) <= 255, where  # more is refused by Teradata
            assert types.get(str(name)) is not Instant or "(UTC)" in comment, where
            assert name is None or not name.endswith("seconds") or "in seconds" in comment, where


def test_comments_are_written_in_the_words_of_each_database() -> None:
    table = Schema(Layout("mlops", "mf_")).models
    for url, word in {"postgresql://h/d": "IS", "teradatasql://h/?database=d": "AS"}.items():
        dialect = backend_for(load_settings(url=url)).dialect()
        assert comment_statements(table, dialect, "TABLE", {None, "owner"}) == [
            f"COMMENT ON TABLE mlops.mf_models {word} 'Registered models, one row each.'",
            f"COMMENT ON COLUMN mlops.mf_models.owner {word} "
            "'Person or team in charge of the model.'",
        ]


def test_schema_and_prefix_reach_everything() -> None:
    schema = Schema(SOMEWHERE)
    for name, table in schema.tables.items():
        assert (table.schema, table.name) == ("mlops", f"mf_{name}")
        assert {key.column.table.schema for key in table.foreign_keys} <= {"mlops"}
        assert {key.column.table.name[:3] for key in table.foreign_keys} <= {"mf_"}
    assert constraint_names(schema)
    assert all("mf_" in name for name in constraint_names(schema))
    for name, select in schema.views().items():
        assert schema.name(name) == f"mf_{name}"
        sources = set(re.findall(r"(?:FROM|JOIN) ([\w.]+)", str(select)))
        assert sources
        assert all(source.startswith("mlops.mf_") for source in sources)


def test_two_installations_in_one_schema_share_no_name() -> None:
    one, other = (constraint_names(Schema(Layout(prefix=prefix))) for prefix in ("a_", "b_"))
    assert len(one) == len(other) > 0
    assert not one & other


def test_options_reach_the_table_of_that_name() -> None:
    def options(table: str) -> dict[str, bool]:
        return {"sqlite_with_rowid": False} if table == "scores" else {}

    schema = Schema(Layout(prefix="mf_", options=options))
    without = {
        n for n, t in schema.tables.items() if t.dialect_options["sqlite"]["with_rowid"] is False
    }
    assert without == {"scores"}


def test_a_frame_shows_the_terms_of_the_field() -> None:
    schema = Schema()
    assert schema.metrics.c.value.name == "metric_value"
    assert schema.artifacts.c.format.name == "artifact_format"
    assert schema.backtests.c.period.name == "period_name"


@pytest.mark.parametrize("layout", [Layout(), Layout(prefix="mf_")])
def test_tables_and_views_are_what_sqlite_takes(layout: Layout) -> None:
    schema = Schema(layout)
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        for name, select in schema.views().items():
            text = select.compile(connection, compile_kwargs={"literal_binds": True})
            connection.exec_driver_sql(f"CREATE VIEW {schema.name(name)} AS {text}")
        for name, select in schema.views().items():
            result = connection.exec_driver_sql(f"SELECT * FROM {schema.name(name)}")  # noqa: S608
            assert list(result.keys()) == shown_columns(select)
            assert result.all() == []
    engine.dispose()


# Instants


def store_and_read(value: dt.datetime | None) -> dt.datetime | None:
    table = sa.Table("t", sa.MetaData(), sa.Column("at", Instant))
    engine = sa.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            table.create(connection)
            connection.execute(table.insert(), {"at": value})
            return connection.scalar(sa.select(table.c.at))
    finally:
        engine.dispose()


@untimed
@given(
    st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2999, 1, 1)), st.integers(-14 * 60, 14 * 60)
)
def test_an_instant_comes_back_in_utc(local: dt.datetime, minutes: int) -> None:
    instant = local.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    read_back = store_and_read(instant)
    assert read_back == instant
    assert read_back is not None
    assert read_back.tzinfo is dt.UTC


def test_no_instant_is_none() -> None:
    assert store_and_read(None) is None


def test_a_naive_datetime_is_no_instant() -> None:
    with pytest.raises((InvalidValue, StatementError), match="has no time zone, and this column"):
        store_and_read(dt.datetime(2026, 11, 23))


def test_the_revisions_are_those_of_the_scripts() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(migrate.config()).walk_revisions()
    assert tuple(script.revision for script in scripts) == REVISIONS[::-1]


def test_a_process_that_upgrades_nothing_does_not_wait_for_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with mfprefect.connect(url) as store:
        store.create_schema()
    code = (
        f"import sys, mfprefect\nmfprefect.connect({url!r}).models()\n"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
