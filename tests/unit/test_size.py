"""`Store.size` and `mfprefect size`: tables, models, growth, and what `prune` frees."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Store
from mfprefect.cli import cli
from mfprefect.store.retention.size import StoreSize
from mfprefect.testing.contract.helpers import fill, rows

POLICY = {"keep_sessions": 1, "models": {"fraud": {"scores_days": 100}}}


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with mfprefect.connect(database_url, retention=POLICY) as opened:
        opened.create_schema()
        for model_id in ("churn", "fraud"):
            opened.add_model(model_id)
        yield opened


def scored(store: Store, model_id: str, count: int, days: float = 0) -> str:
    """Score so many entities, so many days ago."""
    ids = [f"customer {number:09}" for number in range(count)]
    with store.session(model_id, "score") as session:
        session.write_scores(pd.DataFrame({"id": ids, "score": 0.5}), "id")
    s = store.database.schema.sessions
    ended = {"ended_at": dt.datetime.now(dt.UTC) - dt.timedelta(days=days)}
    store.database.write_transaction(
        lambda c, _: c.execute(s.update().where(s.c.session_id == session.session_id), ended)
    )
    return session.session_id


def tables(size: StoreSize) -> pd.DataFrame:
    return size.tables.set_index("table")


def model(size: StoreSize, model_id: str) -> dict[str, Any]:
    listed = size.models.set_index("model_id").loc[model_id]
    return {str(name): value for name, value in listed.items()}


def analyze(store: Store) -> None:
    """Bring InnoDB's statistics up to date; the other catalogs are so always."""
    if store.database.backend.name != "mysql":
        return
    with store.database.engine.connect() as connection:
        for name in store.database.schema.tables:
            connection.exec_driver_sql(f"ANALYZE TABLE {name}")


def test_tables_grow_by_what_is_written(store: Store) -> None:
    before = tables(store.size())
    assert set(before.index) == {t.name for t in store.database.schema.tables.values()}
    scored(store, "churn", 20_000)
    analyze(store)
    after = tables(store.size())
    assert after["rows"].to_dict() == rows(store)
    grown = (after["bytes"] - before["bytes"])["scores"]
    assert 20_000 * 25 < grown < 20_000 * 250
    assert (after["bytes"] >= after["index_bytes"].fillna(0).astype(float)).all()
    assert after["bytes"].min() > 0


def test_models_share_the_bytes_of_their_tables(store: Store) -> None:
    for model_id, count, days in (("churn", 3000, 31), ("churn", 1000, 3), ("fraud", 2000, 200)):
        scored(store, model_id, count, days)
    with store.session("churn", "train") as session:
        fill(session)
        session.save_model(b"x" * 50_000, name="second")
    size = store.size()
    churn, fraud = model(size, "churn"), model(size, "fraud")
    assert (churn["sessions"], churn["scores"]) == (3, 4002)
    assert (churn["recent_sessions"], churn["recent_scores"]) == (2, 1002)
    assert (fraud["sessions"], fraud["recent_sessions"], fraud["recent_bytes"]) == (1, 0, 0)
    of_sessions = {t.name for t in store.database.schema.session_tables()} | {"sessions"}
    shared = tables(size).loc[sorted(of_sessions), "bytes"].sum()
    assert size.models["bytes"].sum() == pytest.approx(shared)
    assert 0 < churn["recent_bytes"] < churn["bytes"]


def test_what_prune_would_free_is_what_prune_frees(store: Store) -> None:
    for model_id, count, days in (
        *(("churn", 3000, 31), ("churn", 1000, 3)),
        *(("fraud", 2000, 200), ("fraud", 500, 1)),
    ):
        scored(store, model_id, count, days)
    before = store.size()
    churn, fraud = model(before, "churn"), model(before, "fraud")
    assert (churn["prunable_sessions"], churn["prunable_scores"]) == (1, 3000)
    assert 0 < churn["prunable_bytes"] < churn["bytes"]
    decisions = store.prune().set_index("verdict")["rows"]
    gone = decisions.drop("keep").groupby(level=0).agg(["count", "sum"])
    after = store.size()
    prunable = before.models[["prunable_sessions", "prunable_scores"]].sum()
    assert prunable["prunable_sessions"] == gone["count"].get("delete", 0)
    assert prunable["prunable_scores"] == gone["sum"].sum()
    assert after.models["scores"].sum() == before.models["scores"].sum() - gone["sum"].sum()
    assert tables(after)["rows"]["scores"] == rows(store)["scores"]
    assert not after.models[["prunable_sessions", "prunable_scores", "prunable_bytes"]].any(
        axis=None
    )
    assert fraud["prunable_scores"] == 2000


def test_the_tables_of_large_sessions_count_as_scores(
    postgres_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mfprefect.store.scores import write

    monkeypatch.setattr(write, "LARGE_PART", 10)
    with mfprefect.connect(postgres_server.new_database()) as store:
        store.create_schema()
        store.add_model("churn")
        before = tables(store.size())["bytes"]
        session_id = scored(store, "churn", 20_000)
        number = int(store.show(session_id)["session_no"][0])
        single = f"model_factory.scores_{number}"
        total = sa.select(sa.func.pg_total_relation_size(single))
        assert store.database.fetch_all(total)[0][0] > 20_000 * 25
        grown = tables(store.size())["bytes"]["scores"] - before["scores"]
        assert grown == store.database.fetch_all(total)[0][0]
        with store.database.engine.connect() as connection:
            comment = sa.inspect(connection).get_table_comment(f"scores_{number}", "model_factory")
            columns = sa.inspect(connection).get_columns(f"scores_{number}", "model_factory")
        assert comment["text"] == f"Scores of session {number}, a part of scores."
        assert all(column["comment"] for column in columns)


def test_the_command_shows_tables_models_and_a_total(
    database_url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFPREFECT_URL", database_url)
    empty = CliRunner().invoke(cli, ["size"])
    assert (empty.exit_code, empty.stderr) == (0, "no sessions yet\n")
    scored(store, "churn", 700)
    result = CliRunner().invoke(cli, ["size", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert {row["table"]: row["rows"] for row in document["tables"]} == rows(store)
    (churn,) = document["models"]
    assert (churn["model_id"], churn["scores"], churn["prunable_scores"]) == ("churn", 700, 0)
    text = CliRunner().invoke(cli, ["size"]).stdout
    total = sum(row["rows"] for row in document["tables"])
    shown = [line.split()[:2] for line in text.splitlines() if line.startswith(("scores ", "all"))]
    assert shown == [["scores", "700"], ["all", str(total)]]


def test_a_database_without_a_catalog_has_no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with mfprefect.connect("sqlite://") as store:
        store.create_schema()
        store.add_model("churn")
        scored(store, "churn", 10)
        monkeypatch.setattr(type(store.database.backend), "table_bytes", lambda *_: {})
        size = store.size()
    assert size.tables["bytes"].isna().all()
    assert size.models["bytes"].isna().all()
    assert tables(size)["rows"]["scores"] == 10
