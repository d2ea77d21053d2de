"""What PostgreSQL alone does."""

from __future__ import annotations

import sqlalchemy as sa

import mfprefect
from mfprefect_dev.servers import Server

COLUMNS = """
    SELECT table_name, column_name, data_type, collation_name, datetime_precision
    FROM information_schema.columns
    WHERE table_schema = 'model_factory' AND table_name <> 'mfprefect_version'
"""


def test_the_tables_have_a_schema_of_their_own_and_ids_in_byte_order(each_postgres: Server) -> None:
    url = each_postgres.new_database()
    with mfprefect.connect(url) as store:
        store.create_schema()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        columns = connection.exec_driver_sql(COLUMNS).all()
        elsewhere = sa.inspect(connection).get_table_names(schema="public")
    engine.dispose()
    assert elsewhere == []
    ids = {row.collation_name for row in columns if row.data_type == "character varying"}
    assert ids == {"C"}
    times = [row for row in columns if row.column_name.endswith("_at")]
    assert len(times) > 10
    assert {row.datetime_precision for row in times} == {6}


def test_another_schema_by_one_setting(each_postgres: Server) -> None:
    url = each_postgres.new_database()
    with mfprefect.connect(url, schema_name="team_a") as store:
        store.create_schema()
        store.add_model("churn")
    with mfprefect.connect(url, schema_name="team_b") as other:
        other.create_schema()
        assert len(other.models()) == 0
