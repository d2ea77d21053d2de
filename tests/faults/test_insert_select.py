"""A process that is killed in an INSERT .. SELECT of scores: nothing of its part remains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect.provenance import capture, environment
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.schema import Double, Id
from mfprefect.store import Store
from mfprefect.store.scores import write
from mfprefect.store.sessions.opening import SessionRequest, open_session

NAMES = ("customer_id", "the score", "its class")
ROWS = 50

CHILD = """
import os, signal, sys
url, emulated, large = sys.argv[1:]
if emulated == "teradata":
    from mfprefect_dev import teradata
    teradata.install()
sys.path.insert(0, os.environ["TEST_FOLDER"])
import mfprefect
import test_insert_select as module
module.write.LARGE_PART = int(large)
store = mfprefect.connect(url, heartbeat_seconds=600)
session = module.opened(store, "1")
module.insert(store, session, 1)
module.insert(store, session, 2, lambda table: os.kill(os.getpid(), signal.SIGKILL))
"""


def opened(store: Store, attempt: str) -> mfprefect.Session:
    request = SessionRequest(
        model_id="churn",
        purpose="score",
        params="{}",
        as_of=None,
        parent_session_id=None,
        provenance=capture(),
        environment=environment(),
        flow_run=FlowRun("run-1", attempt, None),
    )
    return mfprefect.Session(store.database, open_session(store.database, request))


def source(store: Store) -> sa.Table:
    schema = store.database.schema
    return sa.Table(
        schema.name("source_rows"),
        sa.MetaData(schema=schema.layout.schema),
        sa.Column("row_no", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("id", Id(64)),
        sa.Column("x", Double()),
        **store.database.backend.table_options("source_rows"),
    )


def insert(store: Store, session: mfprefect.Session, part: int, verify: Any = None) -> None:
    c = source(store).c
    select = sa.select(c.id.label("entity_id"), c.x.label("score"))
    of_part = c.row_no > ROWS if part == 2 else c.row_no <= ROWS
    session.insert_scores(
        select.where(of_part), NAMES, part=part, verify=verify, session_rows=2 * ROWS
    )


@pytest.mark.parametrize("large", [10, 100_000])
def test_a_kill_in_an_insert_leaves_nothing_of_the_part(
    schema_url: str, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mfprefect.connect(schema_url, retry_seconds=60) as store:
        store.add_model("churn")
        table = source(store)
        with store.database.engine.begin() as connection:
            table.create(connection)
        rows = [{"row_no": n, "id": f"c{n}", "x": n / 7} for n in range(1, 2 * ROWS + 1)]
        store.database.write_transaction(lambda c, _: c.execute(table.insert(), rows))
        monkeypatch.setattr(write, "LARGE_PART", large)
        killed(schema_url, large)
        session_id = store.sessions("churn")["session_id"].iloc[0]
        assert store.score_parts(session_id)["part_no"].tolist() == [1]
        assert len(store.scores(session_id)) == 0
        session = opened(store, "2")
        assert session.session_id == session_id
        assert session.keep_part(1) == ROWS
        assert session.keep_part(2) is None
        insert(store, session, 2)
        session.close()
        assert len(store.scores(session_id)) == 2 * ROWS
        assert store.verify(session_id=session_id).problems == []
        with store.database.engine.begin() as connection:
            table.drop(connection)


def killed(url: str, large: int) -> None:
    emulated = "teradata" if url.startswith("teradatasql") else "none"
    env = os.environ | {"TEST_FOLDER": str(Path(__file__).parent)}
    child = subprocess.run(
        [sys.executable, "-c", CHILD, url, emulated, str(large)],
        env=env,
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
