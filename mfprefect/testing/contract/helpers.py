"""The fixture `store` and helpers of the contract tests."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import struct
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store

PRELOADED = ["pandas", "pyarrow", "sqlalchemy", "mfprefect.session", "mfprefect.scores"]


def bits(values: Any) -> list[bytes]:
    return [struct.pack(">d", float(value)) for value in values]


@pytest.fixture
def schema_url(database_url: str) -> str:
    """The same database, with its schema. Override it where copying one is faster."""
    with mfprefect.connect(database_url) as opened:
        opened.create_schema()
    return database_url


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    """A store with its schema and one model, `churn`, in a fresh database."""
    with mfprefect.connect(schema_url, heartbeat_seconds=600, retry_seconds=30) as opened:
        opened.add_model("churn", "who leaves", entity_type="customer", owner="team")
        yield opened
        opened.verify()  # everything written through the public API matches its seal


def rows(store: Store) -> dict[str, int]:
    """Count the rows of every table."""
    tables = store.database.schema.tables
    return {
        name: store.database.fetch_all(sa.select(sa.func.count()).select_from(table))[0][0]
        for name, table in tables.items()
    }


def orphans(store: Store) -> dict[str, int]:
    """Count the rows that belong to no session, and the environments that no session ran in."""
    schema = store.database.schema
    s = schema.sessions.c
    counts = {}
    for table in [*schema.session_tables(), schema.model_stages]:
        orphaned = ~sa.exists().where(s.session_no == table.c.session_no)
        select = sa.select(sa.func.count()).select_from(table).where(orphaned)
        counts[table.name] = store.database.fetch_all(select)[0][0]
    e, users = schema.environments, (schema.sessions, schema.session_attempts)
    used = (sa.exists().where(t.c.environment_digest == e.c.environment_digest) for t in users)
    select = sa.select(sa.func.count()).select_from(e).where(*(~condition for condition in used))
    counts[e.name] = store.database.fetch_all(select)[0][0]
    return {name: count for name, count in counts.items() if count}


def wrong_comments(store: Store) -> dict[str, str | None]:
    """Return the comments that the database has instead of the schema's, by table and column."""
    db = store.database
    if not db.engine.dialect.supports_comments:
        return {}
    views = db.schema.view_tables() if db.backend.comments_on_views else []
    wrong: dict[str, str | None] = {}
    with db.engine.connect() as connection:
        inspector = sa.inspect(connection)
        for table in (*db.schema.tables.values(), *views):
            columns = inspector.get_columns(table.name, schema=table.schema)
            comment = inspector.get_table_comment(table.name, schema=table.schema)["text"]
            seen = {None: comment} | {c["name"]: c.get("comment") for c in columns}
            expected = {None: table.comment} | {c.name: c.comment for c in table.c}
            assert set(seen) == set(expected)
            wrong |= {
                f"{table.name}.{name}": seen[name] for name in seen if seen[name] != expected[name]
            }
    return wrong


def unfit(store: Store, *names: str | None) -> bool:
    """Return whether the database refuses one of these names, as it cannot store it exactly."""
    column, backend = store.database.schema.metrics.c.metric_name, store.database.backend
    return any(name is not None and backend.why_not_storable(column, name) for name in names)


def fit(store: Store, names: list[str]) -> list[str]:
    """Return the names, replacing those that the database refuses."""
    return [f"fit {n}" if unfit(store, name) else name for n, name in enumerate(names)]


def fill(session: mfprefect.Session) -> None:
    """Write a row into every table that a session writes to."""
    frame = pd.DataFrame({"age": [30.0, 41.0, None], "city": ["Bonn", "Köln", None]})
    session.log_params({"trees": 100, "loss": "squared", "warm": True, "layers": [64, 8]})
    session.log_metrics({"own": 0.5})
    for epoch in range(3):
        session.log_metrics({"loss": 1 / (1 + epoch)}, step=epoch)
    session.log_metadata({"sources": "crm.customer"})
    session.log_input("crm", query="select 1", rows=3, columns={"age": "float"}, digest="d")
    session.log_input_summary(frame)
    session.log_checks(frame, lambda f: len(f) == 3)
    session.log_test_results([0, 1, 0, 1, 1], [0.1, 0.9, 0.4, 0.4, 0.8])
    importance = pd.DataFrame({"variable": ["age", "city"], "importance": [0.7, 0.1]})
    session.log_variable_importance(importance, kind="permutation")
    session.log_backtest(pd.DataFrame({"period": ["2026-01"], "predicted": [1.0], "actual": [2]}))
    session.log_gates([mfprefect.Gate("own", at_least=0.5)])
    session.save_model(b"a model of another language")
    scores = pd.DataFrame({"customer_id": ["a", "b"], "score": [0.1, 0.2]})
    session.write_scores(scores, entity_id="customer_id")


def place(store: Store) -> dict[str, Any]:
    """Return the settings with which another process connects to the same tables.

    Passed as an argument: a forkserver has the environment of the first test that used it.
    """
    settings = store.database.settings
    return {"url": settings.url.get_secret_value(), "prefix": settings.prefix}


def processes(count: int) -> concurrent.futures.ProcessPoolExecutor:
    """Return a pool of fresh processes that share no state with the test, like other machines."""
    # Forked from a server that imported the libraries, but nothing of the test.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return concurrent.futures.ProcessPoolExecutor(count, mp_context=context)
