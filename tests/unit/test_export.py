from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Store
from mfprefect.backend import backend_for
from mfprefect.cli import cli
from mfprefect.settings import load_settings
from mfprefect.testing.contract.helpers import fit
from mfprefect_dev.servers import Server

IDS = ["7", "a", "A", "a ", "it's", 'say "x"', "back\\slash", "100%", "NULL", "é😀\n", "tab\t"]
SCORES = [-1e300, -2.5, -5e-324, 5e-324, 0.1, 0.1 + 2**-56, 1 / 3, 0.5, 1.0, 0.0, 1e300]
CLASSES = ["x", None, "", "NULL", "\\N", None, None, None, 'a"b', "é", "\n"]
COLUMNS = ["session_id", "model_id", "entity_id", "score", "score_class", "as_of", "published_at"]


@pytest.fixture
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'target.db'}"
        return
    server: Server = request.getfixturevalue(f"{request.param}_server")
    url = server.new_database()
    yield url
    server.drop_database(url)


def opened(url: str, **exports: Any) -> Store:
    store = mfprefect.connect(url, exports=exports)
    store.create_schema()
    store.add_model("churn")
    return store


def scored(store: Store, as_of: str | None = "2026-01-31") -> str:
    with store.session("churn", purpose="score", as_of=as_of) as session:
        frame = pd.DataFrame({"id": IDS, "score": SCORES, "class": CLASSES})
        session.write_scores(frame, entity_id="id", score_class="class")
    return session.session_id


def exported(url: str, table: str = "crm_scores") -> list[dict[str, Any]]:
    """Read a table as its owner does, with nothing of ours but how to connect."""
    engine = backend_for(load_settings(url=url)).create_engine()
    types = {"as_of": sa.Date, "published_at": sa.DateTime}
    text: sa.Select[*tuple[Any, ...]] = sa.select(
        *(sa.column(name, types.get(name)) for name in COLUMNS)
    ).select_from(sa.table(table))
    with engine.connect() as connection:
        rows = [dict(row._mapping) for row in connection.execute(text)]
    engine.dispose()
    return sorted(rows, key=lambda row: (str(row["session_id"]), str(row["entity_id"])))


def expected(store: Store, *session_ids: str) -> list[dict[str, Any]]:
    rows = []
    for session_id in sorted(session_ids):
        row = store.get_sessions(session_id).iloc[0]
        head = {"session_id": session_id, "model_id": "churn"}
        when = row["published_at"].to_pydatetime().replace(tzinfo=None)
        tail = {"as_of": row["as_of"], "published_at": when}
        scores = zip(IDS, SCORES, CLASSES, strict=True)
        body = [{"entity_id": i, "score": s, "score_class": c} for i, s, c in scores]
        rows += sorted((head | x | tail for x in body), key=lambda x: str(x["entity_id"]))
    return rows


@pytest.mark.parametrize(
    ("database_url", "target_url"),
    [("sqlite", "postgres"), ("postgres", "mysql"), ("mysql", "sqlite")],
    indirect=True,
)
def test_scores_reach_another_database_exactly_and_once(database_url: str, target_url: str) -> None:
    with opened(database_url, crm={"table": "crm_scores", "url": target_url}) as store:
        first, second = scored(store), scored(store, as_of=None)
        before = dt.datetime.now(dt.UTC)
        assert store.export(first, "crm") == len(IDS)
        assert exported(target_url) == expected(store, first)
        assert store.get_sessions(first)["last_exported_at"][0] >= before
        store.export(second, "crm")
        store.export(first, "crm")
        assert exported(target_url) == expected(store, first, second)
        events = store.database.schema.audit_events
        trail = store.database.fetch_all(
            sa.select(events.c.action, events.c.subject, events.c.detail).order_by(
                events.c.event_no
            )
        )[-1]
        assert trail[:2] == ("export_scores", first)
        assert json.loads(trail.detail)["rows"] == len(IDS)


def test_scores_reach_a_table_of_the_same_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(database_url, crm={"table": "crm_scores"}) as store:
        monkeypatch.setitem(globals(), "IDS", fit(store, IDS))
        name = scored(store)
        options = ["--url", database_url, "--json"]
        for _ in range(2):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("MFPREFECT_EXPORTS", '{"crm": {"table": "crm_scores"}}')
                answer = CliRunner().invoke(cli, ["export", name, "--to", "crm", *options])
            assert answer.exit_code == 0, answer.output
            summary = {"session_id": name, "rows": len(IDS), "to": "crm", "table": "crm_scores"}
            assert json.loads(answer.stdout) == summary
        assert exported(database_url) == expected(store, name)
        assert store.get_sessions(name)["last_exported_at"].notna().all()
        store.delete_session(name)
        assert len(exported(database_url)) == len(IDS)


REFUSED = {
    "crm_scores (session_id varchar(96), entity_id varchar(255))": "no column 'model_id'",
    "crm_scores (session_id varchar(96), model_id varchar(64), entity_id varchar(255), score "
    "double precision, score_class varchar(9), as_of date, published_at timestamp, region "
    "varchar(9) not null, primary key (session_id, entity_id))": "needs a value for 'region'",
    "crm_scores (session_id varchar(96), model_id varchar(64), entity_id varchar(255), score "
    "double precision, score_class varchar(9), as_of date, published_at timestamp)": "unique",
    "crm_scores (session_id varchar(96), model_id varchar(64), entity_id varchar(255), score "
    "real, score_class varchar(128), as_of date, published_at timestamp, "
    "primary key (session_id, entity_id))": "exactly",
}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("columns", REFUSED)
def test_a_table_that_cannot_take_them_is_refused(database_url: str, columns: str) -> None:
    with opened(database_url, crm={"table": "public.crm_scores"}) as store:
        store.database.write_transaction(lambda c, _: c.execute(sa.text(f"create table {columns}")))
        with store.session("churn") as session:
            frame = pd.DataFrame({"id": ["a"], "score": [0.1]})
            session.write_scores(frame, entity_id="id")
        with pytest.raises(mfprefect.ConfigurationError, match=REFUSED[columns]):
            store.export(session.session_id, "crm")
        count = sa.select(sa.func.count()).select_from(sa.table("crm_scores"))
        assert store.database.fetch_all(count)[0][0] == 0
        assert store.get_sessions(session.session_id)["last_exported_at"].isna().all()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_exported_is_refused(database_url: str) -> None:
    with opened(database_url, crm={"table": "crm_scores"}) as store:
        session = store.session("churn")
        session.write_scores(pd.DataFrame({"id": ["a"], "score": [0.1]}), entity_id="id")
        with pytest.raises(mfprefect.InvalidValue, match="running"):
            store.export(session.session_id, "crm")
        session.close()
        with pytest.raises(mfprefect.ConfigurationError, match="exports: crm"):
            store.export(session.session_id, "dwh")
        with pytest.raises(mfprefect.UnknownSession):
            store.export("nobody", "crm")
        assert not sa.inspect(store.database.engine).has_table("crm_scores")


@pytest.mark.parametrize("rows", [1, 250])
def test_rows_that_are_all_alike_are_appended(rows: int) -> None:
    """What is the same in all of them is text of the statement; something has to be bound."""
    table = sa.Table("alike", sa.MetaData(), sa.Column("a", sa.Integer), sa.Column("b", sa.Integer))
    schema = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    alike = pa.table({"a": [1] * rows, "b": [None] * rows}, schema=schema)
    with mfprefect.connect("sqlite://") as store:

        def work(connection: sa.Connection, _: bool) -> list[tuple[Any, ...]]:
            table.create(connection)
            store.database.backend.append(connection, table, alike)
            return [tuple(row) for row in connection.execute(sa.select(table))]

        assert store.database.write_transaction(work) == [(1, None)] * rows
