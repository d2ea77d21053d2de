"""No query of a page reads a whole table that grows with the sessions."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.console import app
from mfprefect.schema import Schema
from mfprefect_dev.sample_sessions import fill

SMALL = {
    "models",
    "model_stages",
    "model_thresholds",
    "environments",
    "input_columns",
    "api_tokens",
}
"""Tables of the registry: a few rows a model, and no more with each session."""
PATHS = (
    *("/", "/models/churn", "/sessions", "/models/churn/sessions", "/sessions?status=failed"),
    *("/sessions?before=9&purpose=train", "/models/churn/sessions?sort=-auc"),
    *("/sessions?where=auc%3E0.5+params.depth%3E%3D3", "/sessions?sort=params.depth"),
    *("/sessions?person=x&commit=ab&tag=x&since=2026-01-01&until=2027-01-01",),
    *("/audit", "/audit?subject=churn", "/audit?actor=x&action=promote", "/audit?before=5"),
    *("/models/churn/experiments?sort=-params.depth", "/models/churn/experiments"),
    *("/operations", "/metrics", "/scores/churn?entity=5", "/database"),
)
BACKENDS = ["sqlite", "postgres"]
Ran = list[tuple[str, Any]]


@pytest.fixture(params=BACKENDS)
def store(
    request: pytest.FixtureRequest, new_database: Callable[..., AbstractContextManager[str]]
) -> Iterator[Store]:
    with (
        new_database(request.param, schema=True) as url,
        mfprefect.connect(url, heartbeat_seconds=600) as opened,
    ):
        age = dt.timedelta(days=1)
        opened.add_model("churn", "who leaves", entity_type="customer", max_age=age)
        fill(opened)
        yield opened


def statements(store: Store, paths: tuple[str, ...]) -> Ran:
    """Return the SELECTs that pages send, and their parameters."""
    ran: Ran = []
    engine = store.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *details: ran.append(details[2:4]))
    transport = httpx.ASGITransport(app(store), client=("127.0.0.1", 1))

    async def visit() -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for path in paths:
                answer = await client.get(path)
                assert answer.status_code == 200, (path, answer.text[-800:])

    asyncio.run(visit())
    return [(text, given) for text, given in ran if text.startswith("SELECT")]


def scans(store: Store, ran: Ran) -> list[tuple[str, str]]:
    """Return which large tables statements read from their first row to their last."""
    tables = {t.name for n, t in store.database.schema.tables.items() if n not in SMALL}
    steps_of_scans: list[tuple[str, str]] = []
    with store.database.engine.connect() as connection:
        postgres = connection.dialect.name == "postgresql"
        if postgres:  # with few rows it would always read all of them
            connection.exec_driver_sql("SET enable_seqscan = off")
        for text, given in ran:
            explained = connection.exec_driver_sql(
                f"EXPLAIN {'(FORMAT JSON) ' if postgres else 'QUERY PLAN '}{text}", given
            )
            rows = explained.fetchall()
            steps = _postgres(rows[0][0]) if postgres else [row[3] for row in rows]
            steps_of_scans += [
                (step, text)
                for step in steps
                for name in _scanned(step)
                if name in tables and not _ends_early(name, text)
            ]
    return steps_of_scans


def _ends_early(table: str, text: str) -> bool:
    """Return whether a statement takes the first rows of a table in the order of its key."""
    return re.search(rf"FROM {table}\s+ORDER BY [^()]*?\bLIMIT\b", text) is not None


def _scanned(step: str) -> list[str]:
    """Return the table that a step reads whole; a scan of an index in its order ends early."""
    match = re.match(r"SCAN (\w+)(?! USING (COVERING )?INDEX)\b(?!.*USING)", step)
    return [match[1]] if match else []


def _postgres(document: Any) -> list[str]:
    plan = document if isinstance(document, list) else json.loads(document)
    steps: list[str] = []

    def walk(node: dict[str, Any]) -> None:
        if node["Node Type"] == "Seq Scan":
            steps.append(f"SCAN {node['Relation Name']}")
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan[0]["Plan"])
    return steps


def test_no_page_reads_a_whole_table(store: Store) -> None:
    ran = statements(store, PATHS)
    assert len(ran) > 60
    assert scans(store, ran) == []


def test_the_test_sees_a_scan(store: Store) -> None:
    s = store.database.schema.sessions
    text = f"SELECT host FROM {s.fullname} WHERE host = 'x'"  # noqa: S608 - a table of ours
    assert len(scans(store, [(text, ())])) == 1


def test_every_page_is_looked_at() -> None:
    from mfprefect.console.routes import GET, ROUTES

    shown = {"/".join(x.pattern[:1]) for x in ROUTES if x.methods == GET}
    visited = {path.partition("?")[0].strip("/").split("/")[0] for path in PATHS}
    # These read by the keys of the sessions that they are about, as reports and plans do.
    assert shown - visited == {"compare", "promote"}
    assert set(Schema().tables) >= SMALL
