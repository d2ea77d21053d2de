"""Sessions of many scores, written, read and deleted by several processes, some of them killed.

`MFPREFECT_TEST_ROWS` says how many scores are written while a reader looks: five million in
`make faults`. `make test` has each test on one or two databases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from faultkit.sampling import ALL

import mfprefect
from mfprefect import Store
from mfprefect.backend import Backend
from mfprefect.store.retention.archive import archive_session
from mfprefect.testing.contract.helpers import orphans

ROWS = int(os.environ.get("MFPREFECT_TEST_ROWS", "5000000" if ALL else "300000"))
EACH = ["sqlite", "postgres", "mysql"] if ALL else ["postgres"]
LARGE = 120_000
EXPORTED = 20_000
LONGEST = 60 + ROWS / 5_000

PROLOGUE = """
import os, signal, sys
import numpy as np, pandas as pd
import mfprefect

store = mfprefect.connect(sys.argv[1], heartbeat_seconds=600)

def frames(rows, size):
    for start in range(0, rows, size):
        numbers = np.arange(start, min(start + size, rows))
        yield pd.DataFrame({"id": numbers, "score": numbers / rows})
"""
WRITE = """
with store.session("churn", purpose="score") as session:
    print(session.session_id, flush=True)
    session.write_scores(frames(int(sys.argv[2]), int(sys.argv[2]) // 10), entity_id="id")
"""
DELETE = """
from mfprefect.store.retention import batches
batches.BATCH_ROWS = 2_000
getattr(store, sys.argv[2])(sys.argv[3])
"""
RESUME = """
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.provenance import capture, environment
from mfprefect.store.sessions.opening import SessionRequest, open_session

run = FlowRun("run-1", sys.argv[2], None)
request = SessionRequest("churn", "score", "{}", None, None, capture(), environment(), run)
session = mfprefect.Session(store.database, open_session(store.database, request))
for part, frame in enumerate(frames(10_000, 1_000), 1):
    if part == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    if session.keep_part(part) is None:
        session.write_scores(frame, entity_id="id", part=part)
        print(part, flush=True)
session.close()
"""
EXPORT = """
from mfprefect.backend import backend_for

url = store.database.settings.exports["crm"].url
backend = type(backend_for(store.database.settings.model_copy(update={"url": url})))
append = backend.append

def append_slowly(self, connection, table, rows):
    for start in range(0, rows.num_rows, 500):
        append(self, connection, table, rows.slice(start, 500))
        print("sent", flush=True)

backend.append = append_slowly
store.export(sys.argv[2], "crm")
"""
RESTORE = """
from mfprefect.store.scores import write
write_part = write.write_part

def report(*arguments):
    write_part(*arguments)
    print("written", flush=True)

write.write_part = report
store.restore(sys.argv[2])
"""


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with mfprefect.connect(database_url, heartbeat_seconds=600) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened


def start(url: str, script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROLOGUE + script, url, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def printed(process: subprocess.Popen[str]) -> list[str]:
    """Wait for a process; return what it printed."""
    return process.communicate(timeout=LONGEST)[0].split()


def count(store: Store, view: str) -> int:
    schema = store.database.schema
    table = sa.table(schema.name(view), schema=schema.layout.schema)
    return int(store.database.fetch_all(sa.select(sa.func.count()).select_from(table))[0][0])


def rows_left(store: Store, session_no: int) -> int:
    scores = store.database.schema.scores
    of_session = scores.c.session_no == session_no
    select = sa.select(sa.func.count()).select_from(scores).where(of_session)
    return int(store.database.fetch_all(select)[0][0])


def write(store: Store, rows: int) -> Any:
    with store.session("churn", purpose="score") as session:
        ids = pd.RangeIndex(rows)
        session.write_scores(pd.DataFrame({"id": ids, "score": ids / rows}), entity_id="id")
    return store.show(session.session_id).iloc[0]


@pytest.mark.timeout(2 * LONGEST)
@pytest.mark.parametrize("database_url", EACH, indirect=True)
def test_a_reader_sees_none_of_a_large_write_then_all(store: Store, database_url: str) -> None:
    seen: list[tuple[int, int]] = []
    with start(database_url, WRITE, ROWS) as writer:
        session_id = writer.stdout.readline().strip() if writer.stdout else ""
        while writer.poll() is None:
            seen.append((count(store, "published_scores"), count(store, "latest_scores")))
            time.sleep(0.01)
    assert writer.returncode == 0
    assert len(store.score_parts(session_id)) >= 2
    during = [pair for pair in seen if pair == (0, 0)]
    assert len(during) >= 3
    # The two views are two statements: publication may lie between them.
    assert set(seen) <= {(0, 0), (0, ROWS), (ROWS, ROWS)}
    assert (count(store, "published_scores"), count(store, "latest_scores")) == (ROWS, ROWS)


@pytest.mark.parametrize("database_url", EACH, indirect=True)
def test_a_run_killed_after_part_7_of_10_resumes_at_part_8(store: Store, database_url: str) -> None:
    killed = start(database_url, RESUME, 1, 8)
    assert printed(killed) == ["1", "2", "3", "4", "5", "6", "7"]
    assert killed.returncode == -9
    session_id = store.sessions()["session_id"].item()
    before = store.score_parts(session_id)
    assert count(store, "published_scores") == 0

    assert printed(start(database_url, RESUME, 2, 0)) == ["8", "9", "10"]
    after = store.score_parts(session_id)
    assert after["part_no"].tolist() == list(range(1, 11))
    columns = ["part_no", "rows", "digest", "written_at"]
    pd.testing.assert_frame_equal(after[columns].head(7), before[columns])
    scores = store.scores(session_id)
    assert sorted(map(int, scores["entity_id"])) == list(range(10_000))
    assert store.show(session_id)["attempt"].tolist() == [2]


@pytest.mark.parametrize(
    ("database_url", "what"),
    [*((name, "session") for name in EACH), ("sqlite", "model")],
    indirect=["database_url"],
)
def test_a_large_deletion_that_is_killed_is_finished(
    store: Store, database_url: str, what: str
) -> None:
    first, large = write(store, 10), write(store, LARGE)
    number, session_id = int(large["session_no"]), large["session_id"]
    assert first["session_no"] < number
    everything = LARGE + 10
    name = session_id if what == "session" else "churn"
    store.add_model("other")
    other = store.session("other")

    seen, slowest, meanwhile = set(), 0.0, 0
    with start(database_url, DELETE, f"delete_{what}", name) as deleter:
        while deleter.poll() is None and meanwhile < 3:
            seen.add(count(store, "published_scores"))
            began = time.monotonic()
            other.log_metrics({"alive": meanwhile})
            other.flush()
            slowest = max(slowest, time.monotonic() - began)
            meanwhile += 0 < rows_left(store, number) < LARGE
        deleter.kill()
    other.close()
    # All of the session, or nothing of it; others were let in between the batches.
    assert seen <= {everything, 10 if what == "session" else 0}
    assert slowest < 5
    at_once = type(store.database.backend).drop_scores is not Backend.drop_scores
    assert deleter.returncode == -9 or at_once
    if deleter.returncode:
        assert 0 < rows_left(store, number) < LARGE
        row = store.show(session_id).iloc[0]
        assert (row["status"], row["deletion"]) == ("cancelled", what)
        assert pd.isna(row["published_at"])
        assert len(store.scores(session_id)) == 0
        with pytest.raises(mfprefect.UnknownSession):
            store.session("other", parent=session_id)

    # Its number is not given away while rows of it are left.
    with store.session("other") as later:
        assert later.session_no > other.session_no > number
    if deleter.returncode:
        getattr(store, f"delete_{what}")(name)
    assert rows_left(store, number) == 0
    assert orphans(store) == {}
    remaining = {other.session_id, later.session_id}
    if what == "session":
        remaining.add(first["session_id"])
    assert set(store.sessions()["session_id"]) == remaining
    assert len(events(store, f"delete_{what}")) == 1


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("target", EACH)
def test_an_export_that_is_killed_leaves_all_of_before_and_is_repeated(
    store: Store,
    database_url: str,
    target: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = None if target == "sqlite" else request.getfixturevalue(f"{target}_server")
    url = server.new_database() if server else f"sqlite:///{tmp_path / 'target.db'}"
    crm = {"crm": {"table": "crm_scores", "url": url}}
    monkeypatch.setenv("MFPREFECT_EXPORTS", json.dumps(crm))
    session_id = write(store, EXPORTED)["session_id"]
    with mfprefect.connect(url) as reader, mfprefect.connect(database_url) as source:
        for before in (0, EXPORTED):
            seen = set()
            with start(database_url, EXPORT, session_id) as exporter:
                assert exporter.stdout and exporter.stdout.readline() == "sent\n"
                for _ in range(5):
                    seen.add(rows_of(reader, "crm_scores"))
                    assert exporter.stdout and exporter.stdout.readline() == "sent\n"
                exporter.kill()
            assert exporter.returncode == -9
            assert seen | {rows_of(reader, "crm_scores")} == {before}
            assert source.export(session_id, "crm") == EXPORTED
            assert rows_of(reader, "crm_scores") == EXPORTED
    if server:
        server.drop_database(url)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_restoration_that_is_killed_is_shown_to_nobody_and_repeated(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    with store.session("churn", purpose="score") as session:
        for part in range(1, 21):
            ids = [f"{part}-{i}" for i in range(100)]
            frame = pd.DataFrame({"id": ids, "score": 0.5})
            session.write_scores(frame, entity_id="id", part=part)
    name = session.session_id
    before = (store.show(name), store.score_parts(name), store.scores(name))
    folder, _ = archive_session(store.database, name, tmp_path)
    store.delete_session(name)
    with start(database_url, RESTORE, folder) as restorer:
        for _ in range(3):
            assert restorer.stdout and restorer.stdout.readline() == "written\n"
        restorer.kill()
    assert restorer.returncode == -9
    assert count(store, "published_scores") == 0
    with mfprefect.connect(database_url, heartbeat_seconds=0.2) as impatient:
        time.sleep(0.5)  # more than one beat was missed
        assert impatient.reconcile(wait=True)["verdict"].tolist() == ["crashed"]
    store.delete_session(name)
    assert store.restore(folder) == name
    for frame, restored in zip(
        before, (store.show(name), store.score_parts(name), store.scores(name)), strict=True
    ):
        pd.testing.assert_frame_equal(restored, frame)


def rows_of(store: Store, table: str) -> int:
    count = sa.select(sa.func.count()).select_from(sa.table(table))
    return int(store.database.fetch_all(count)[0][0])


def events(store: Store, action: str) -> list[Any]:
    table = store.database.schema.audit_events
    return store.database.fetch_all(sa.select(table).where(table.c.action == action))
