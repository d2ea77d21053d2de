"""What must hold on Teradata whatever happens, on an emulated one.

`MFPREFECT_TEST_ROWS` says how many rows the big part has (`make large`: five million).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Store
from mfprefect.cli import cli
from mfprefect.testing.contract.helpers import orphans
from mfprefect_backends.teradata import dialect, load
from mfprefect_backends.teradata.trials import TRIALS
from mfprefect_dev.teradata import EmulatedTeradata
from mfprefect_dev.teradata.engine.faults import LINK
from mfprefect_dev.teradata.engine.system import LIMITS
from mfprefect_dev.teradata.engine.transactions import WATCHERS, Seen

ROWS = int(os.environ.get("MFPREFECT_TEST_ROWS", "120000"))


@pytest.fixture(scope="module")
def url(emulated_teradata: EmulatedTeradata) -> Iterator[str]:
    with emulated_teradata.new_database() as database_url:
        yield database_url


@pytest.fixture(scope="module")
def store(url: str) -> Iterator[Store]:
    with mfprefect.connect(url, heartbeat_seconds=600, retry_seconds=20, spool="off") as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches and loads of few rows: a part of 30 is staged, a part of 60 is loaded."""
    monkeypatch.setattr(load, "BATCH_ROWS", 20)
    monkeypatch.setattr(load, "FASTLOAD_ROWS", 50)
    monkeypatch.setattr(load, "FASTLOAD_BATCH", 40)
    monkeypatch.setattr("mfprefect.store.database.FIRST_PAUSE", 0.001)


@pytest.fixture
def seen() -> Iterator[list[Seen]]:
    """Everything that the emulated server is sent."""
    statements: list[Seen] = []
    WATCHERS.append(statements.append)
    yield statements
    WATCHERS.remove(statements.append)


def frame(part: int, rows: int) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"{part}-{i:07}" for i in range(rows)], "score": np.arange(rows)})


PARTS = {1: 5, 2: 30, 3: 60}


def run(store: Store) -> str:
    """Do what runs do: open, log, write a small, a staged and a loaded part, save, end."""
    with store.session("churn", purpose="train", params={"n": 1}) as session:
        session.log_metrics({"auc": 0.5, "ks": 0.25})
        session.flush()
        for part, rows in PARTS.items():
            session.write_scores(frame(part, rows), entity_id="id", part=part)
        session.save_model(b"a model")
        session.log_metadata({"made": "here"})
    return session.session_id


def tables(store: Store) -> set[str]:
    return store.database.read_transaction(
        lambda connection: set(sa.inspect(connection).get_table_names())
    )


def assert_right_once(store: Store, session_id: str, sessions_before: int) -> None:
    """The run ended right, once, with nothing lost and nothing doubled."""
    assert len(store.sessions(limit=None)) == sessions_before + 1
    row = store.show(session_id).iloc[0]
    assert (row["status"], row["attempt"]) == ("succeeded", 1)
    metrics = store.metrics(session_id)
    assert dict(zip(metrics["metric_name"], metrics["value"], strict=True)) == {
        "auc": 0.5,
        "ks": 0.25,
    }
    assert list(store.metadata(session_id)["value"]) == ["here"]
    assert store.load_model(session_id) == b"a model"
    assert list(store.score_parts(session_id)["rows"]) == list(PARTS.values())
    scores = store.scores(session_id)
    expected = pd.concat(frame(part, rows) for part, rows in PARTS.items())
    assert list(scores["entity_id"]) == list(expected["id"])
    assert list(scores["score"]) == list(expected["score"].astype(float))


# Every how many-th request, or commit, of the run it comes at.
FAULTS = {
    (LINK, "request"): 5,
    (LINK, "commit"): 2,
    (LINK, "committed"): 2,
    (2631, "request"): 9,
    (3111, "request"): 13,
    (3120, "request"): 9,
    (3120, "commit"): 5,
    (2825, "committed"): 5,  # the outcome is not known
}


@pytest.mark.parametrize(("code", "moment"), FAULTS)
def test_whatever_is_broken_off_the_run_ends_right(
    store: Store, url: str, emulated_teradata: EmulatedTeradata, small: None, code: int, moment: str
) -> None:
    before = tables(store)
    for skip in range(0, 400, FAULTS[code, moment]):
        sessions = len(store.sessions(limit=None))
        emulated_teradata.inject(url, code, moment=moment, skip=skip)
        session_id = run(store)
        came = emulated_teradata.left(url) == 0
        emulated_teradata.forget(url)
        if not came:
            break
        assert_right_once(store, session_id, sessions)
        assert tables(store) == before
    assert skip > (10 if moment == "request" else 5)
    assert not came
    assert orphans(store) == {}


def test_a_server_that_stays_away_is_given_up_and_nothing_is_half_there(
    url: str, store: Store, emulated_teradata: EmulatedTeradata, small: None
) -> None:
    with mfprefect.connect(url, heartbeat_seconds=600, retry_seconds=0.3, spool="off") as hasty:
        session = hasty.session("churn")
        session.write_scores(frame(1, 5), entity_id="id", part=1)
        emulated_teradata.inject(url, 3120, times=999, match="score")
        with pytest.raises(mfprefect.DatabaseUnavailable, match="3120"):
            session.write_scores(frame(2, 60), entity_id="id", part=2)
        emulated_teradata.forget(url)
        assert list(hasty.score_parts(session.session_id)["rows"]) == [5]
        session.write_scores(frame(2, 60), entity_id="id", part=2)
        session.close()
    assert len(store.scores(session.session_id)) == 65


def in_one_transaction(seen: list[Seen]) -> int:
    """Return the most rows that any transaction was sent by batches of an INSERT."""
    open_: Counter[int] = Counter()
    most = 0
    for event in seen:
        if event.kind in ("commit", "rollback"):
            open_[event.session] = 0
        elif event.kind == "request":
            open_[event.session] += event.rows
            most = max(most, open_[event.session])
    return most


def test_a_big_part_is_never_sent_in_one_transaction_row_by_row(
    store: Store, seen: list[Seen]
) -> None:
    with store.session("churn", purpose="score") as session:
        session.write_scores(frame(1, 21_000), entity_id="id", part=1)
        assert not [event for event in seen if event.kind == "fastload"]
        session.write_scores(frame(2, ROWS), entity_id="id", part=2)
    loaded = [event.rows for event in seen if event.kind == "fastload"]
    assert sum(loaded) == ROWS
    assert max(loaded) <= LIMITS.batch_rows
    assert 0 < in_one_transaction(seen) <= 20_002 < LIMITS.row_locks
    assert list(store.score_parts(session.session_id)["rows"]) == [21_000, ROWS]
    assert store.score_summary(session.session_id)["n"] == 21_000 + ROWS


def test_a_load_that_drops_rows_fails_the_part(
    store: Store, url: str, emulated_teradata: EmulatedTeradata, small: None
) -> None:
    before = tables(store)
    with store.session("churn", purpose="score") as session:
        emulated_teradata.inject(url, 2673, moment="row", times=2)
        with pytest.raises(mfprefect.DatabaseError) as failed:
            session.write_scores(frame(1, 90), entity_id="id", part=1)
        text = str(failed.value)
        assert "88 of 90 rows arrived" in text
        assert "'1-0000000'" in text  # the first of each batch of 40
        assert "'1-0000040'" in text
        assert "2673" in text
        assert not failed.value.transient
        assert len(store.score_parts(session.session_id)) == 0
        session.write_scores(frame(1, 90), entity_id="id", part=1)
    assert len(store.scores(session.session_id)) == 90
    assert tables(store) == before


@pytest.fixture
def command(url: str, tmp_path: Path) -> Any:
    def command(*args: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, args, env={"MFPREFECT_URL": url})
        assert done.exit_code == code, done.output
        assert "s3cret" not in done.output
        return done.output

    return command


def test_the_commands_work(store: Store, command: Any, small: None, tmp_path: Path) -> None:
    old, first, second = run(store), run(store), run(store)
    command("init")
    listed = json.loads(command("sessions", "--json"))
    assert [row["session_id"] for row in listed[:2]] == [second, first]
    assert "auc" in command("show", first)
    assert first in command("compare", first, second)
    command("scores", first, "--to", str(tmp_path / "scores.csv"))
    assert len(pd.read_csv(tmp_path / "scores.csv")) == sum(PARTS.values())
    command("promote", "churn", first, "--override", "tried")
    assert json.loads(command("models", "--json"))[0]["production"] == first
    command("threshold", "churn", "0.5")
    command("report", first, "--output", str(tmp_path / "report.html"))
    assert (tmp_path / "report.html").stat().st_size > 10_000
    opened = command("session", "open", "churn").strip()
    command("session", "log", opened, "--metric", "auc=0.75")
    command("session", "close", opened)
    assert list(store.metrics(opened)["value"]) == [0.75]
    assert "GRANT" in command("grants", "--role", "reader", "--user", "somebody")
    checked = {c["check"]: c for c in json.loads(command("doctor", "--json"))}
    assert checked["database"]["status"] == "ok"
    assert checked["database"]["detail"].endswith("answers: teradatasql 20.0.0.0")
    command("reconcile")
    command("prune", "--keep-sessions", "1", "--yes")
    left = list(store.sessions(limit=None)["session_id"])
    assert first in left  # in production
    assert second in left  # the newest
    assert old not in left
    assert orphans(store) == {}


def deep(command: Any, code: int = 0) -> dict[str, dict[str, str]]:
    results = json.loads(command("doctor", "--deep", "--json", code=code))
    return {result["check"]: result for result in results}


def test_the_doctor_tries_what_only_a_server_can_tell(
    store: Store, command: Any, url: str, emulated_teradata: EmulatedTeradata
) -> None:
    before = tables(store)
    names = {trial.name for trial in TRIALS}
    tried = deep(command)
    assert names <= tried.keys()
    refused = {name for name in names if tried[name]["status"] != "ok"}
    assert refused == {"clob-batch"}  # the emulated server does not take it
    assert "64001 bytes" in tried["clob-batch"]["detail"]
    lines = command("doctor", "--deep").splitlines()
    assert "ok       fastload     FastLoad fills a staging table" in lines

    emulated_teradata.inject(url, 3523, match=r"INSERT INTO doctor_\w+_stage_")
    tried = deep(command, code=1)
    assert "[Error 3523]" in tried["fastload"]["detail"]
    assert "DBC.SessionInfoV" in tried["fastload"]["cure"]
    assert tried["chunk"]["status"] == "ok"

    emulated_teradata.inject(url, 3524, match="CREATE MULTISET TABLE doctor_")
    tried = deep(command, code=1)
    assert tried["scratch"]["status"] == "failed"
    assert not names & tried.keys()
    assert tables(store) == before


def test_the_doctor_names_what_a_server_does_otherwise(
    store: Store, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "ON_CONNECT", ())
    store.database.engine.dispose()
    tried = deep(command, code=1)
    assert {name for name, result in tried.items() if result["status"] == "failed"} >= {
        "zone",
        "unicode",
    }
    store.database.engine.dispose()
