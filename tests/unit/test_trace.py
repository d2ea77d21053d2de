"""Traces as people read them, and when a score was the newest.

What each database must say is in `mfprefect/testing/contract/trace.py`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import mfprefect
from mfprefect import Store
from mfprefect.cli import cli
from mfprefect.store.trace.periods import Publication, periods, window
from mfprefect.util import values

DAY = dt.date(2026, 11, 3)
NOON = dt.datetime(2026, 11, 3, 12, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.chdir(tmp_path)  # no checkout: the variables name the commit
    monkeypatch.setenv("MFPREFECT_GIT_COMMIT", "c" * 40)
    monkeypatch.setenv("MFPREFECT_GIT_BRANCH", "main")
    monkeypatch.setenv("MFPREFECT_GIT_AUTHOR", "Ann Lee <ann@example.org>")
    with mfprefect.connect(spool="off", heartbeat_seconds=600) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened


def scored(store: Store, score: float, entity: str = "4711", **options: object) -> str:
    with store.session("churn", purpose="score", as_of=DAY, **options) as session:  # type: ignore[arg-type]
        session.log_input("warehouse", rows=1, digest="2:" + "d" * 62)
        session.write_scores(pd.DataFrame({"id": [entity], "score": [score]}), entity_id="id")
    return session.session_id


def run(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, ["trace", *arguments])
    assert done.exit_code == code, done.output
    return done


def test_a_trace_is_one_block_a_score(store: Store) -> None:
    with store.session("churn", purpose="train") as training:
        training.save_model(b"the model")
        training.log_metrics({"own": 0.9})
        training.log_gates([mfprefect.Gate("own", at_least=0.5)])
    store.promote("churn", training.session_id, reason="better on \x1b[31msmall\x1b[0m shops")
    store.set_threshold("churn", 0.5, "probability")
    first = scored(store, 0.75, parent=training.session_id)
    second = scored(store, 0.25, parent=training.session_id)
    text = run("churn", "4711").output
    assert "\x1b" not in text
    blocks = text.strip().split("\n\n")
    assert [block.splitlines()[0].split(",")[0] for block in blocks] == ["Score 0.25", "Score 0.75"]
    for line in (
        f"session       {first}, attempt 1, part 1",
        "decision      acted on (threshold: at least 0.5, set ",
        f", replaced by {second}",
        "data as of    2026-11-03",
        "data          warehouse, 1 rows, digest 2:dddddddddd",
        "code          cccccccccccc by Ann Lee <ann@example.org> on main",
        f"model         {training.session_id}, trained ",
        "better on ",
    ):
        assert line in blocks[1], (line, blocks[1])
    assert "decision      not acted on" in blocks[0]
    assert "until now" in blocks[0]
    (document,) = [json.loads(run("churn", "4711", "--json").output)]
    assert [score["score"] for score in document["scores"]] == [0.25, 0.75]
    assert document["scores"][1]["model"]["promotion"]["reason"].startswith("better")
    assert (document["entity_id"], document["on"], document["deleted"]) == ("4711", None, [])


def test_a_trace_of_a_day(store: Store) -> None:
    scored(store, 0.75)
    today = values.utc_now().date().isoformat()
    assert "Score 0.75" in run("churn", "4711", "--on", today).output
    assert "Score 0.75" in run("churn", "4711", "--on", values.utc_now().isoformat()).output
    none = run("churn", "4711", "--on", "2026-01-01").output
    assert none.startswith("model 'churn' has no published score of this entity that was the new")
    assert "4712" not in run("churn", "4712").output  # an id is not repeated in messages
    assert "is not a date such as" in run("churn", "4711", "--on", "soon", code=1).output
    assert "no time zone" in run("churn", "4711", "--on", "2026-11-03T08:30", code=1).output
    assert "churn" in run("chum", "4711", code=1).output


def test_deleted_scores_are_listed(store: Store) -> None:
    sessions = [scored(store, 0.5) for _ in range(12)]
    for session_id in sessions[:11]:
        store.delete_scores(session_id)
    text = run("churn", "4711").output
    assert "Deleted scores of 11 sessions, the last 10: whether this entity had one" in text
    assert sessions[0] not in text and sessions[10] in text
    assert len(json.loads(run("churn", "4711", "--json").output)["deleted"]) == 11


def test_a_session_that_lacks_the_entity_ends_what_is_current(store: Store) -> None:
    scored(store, 0.5)
    scored(store, 0.5, "another")
    text = run("churn", "4711").output
    assert "until now" in text
    assert "a newer session does not have the entity" in text


# When a score was the newest


@st.composite
def histories(draw: st.DrawFn) -> list[Publication]:
    count = draw(st.integers(1, 9))
    days = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    minutes = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    return [
        Publication(n, f"s{n}", DAY + dt.timedelta(day), NOON + dt.timedelta(minutes=minute))
        for n, (day, minute) in enumerate(zip(days, minutes, strict=True), start=1)
    ]


@given(histories(), st.data())
def test_at_each_instant_one_score_is_the_newest(
    history: list[Publication], data: st.DataObject
) -> None:
    """The oracle looks at each instant by itself."""
    numbers = [p.session_no for p in history]
    scores = data.draw(st.sets(st.sampled_from(numbers)))
    spans = periods(history, scores)
    assert set(spans) == scores
    for minute in range(-1, 12):
        at = NOON + dt.timedelta(minutes=minute, seconds=30)
        visible = [p for p in history if p.published_at <= at]
        newest = max(
            (p for p in visible if p.session_no in scores), key=lambda p: p.rank, default=None
        )
        moment = window(at)
        assert moment is not None
        in_force = [
            n for n, span in spans.items()
            if span.newest_from is not None and moment.meets(span.newest_from, span.newest_until)
        ]  # fmt: skip
        assert in_force == ([] if newest is None else [newest.session_no])
        current = max(visible, key=lambda p: p.rank, default=None)
        for p in visible:
            if p.session_no in scores:
                until = spans[p.session_no].current_until
                assert (until is None or until > at) == (p == current)


def test_a_day_meets_what_overlaps_it() -> None:
    day, hour = window(DAY), dt.timedelta(hours=1)
    assert day is not None
    assert (day.start, day.end) == (NOON - 12 * hour, NOON + 12 * hour)
    assert day.meets(day.start - hour, None)
    assert day.meets(day.end - hour, day.end + hour)
    assert not day.meets(day.end, None)  # the next day
    assert not day.meets(day.start - hour, day.start)  # replaced as the day began
    instant = window(NOON)
    assert instant is not None
    assert instant.meets(NOON, NOON + hour)
    assert not instant.meets(NOON - hour, NOON)
    assert not instant.meets(NOON + hour, None)
    assert window(None) is None


def test_no_statement_of_a_trace_reads_a_whole_table(store: Store) -> None:
    """What scores are read by is held on each database in `test_read_scores.py`."""
    with store.session("churn", purpose="train") as training:
        training.save_model(b"the model")
    store.set_threshold("churn", 0.5, "population")
    lost, gone = (scored(store, 0.5, parent=training.session_id) for _ in range(2))
    scored(store, 0.5, parent=training.session_id)
    store.delete_scores(lost)
    store.delete_session(gone)
    ran: list[tuple[str, Any]] = []
    engine = store.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *details: ran.append(details[2:4]))
    assert len(store.trace("churn", "4711").scores) == 1
    statements = [(text, given) for text, given in ran if text.startswith("SELECT")]
    assert len(statements) > 10
    tables = "|".join(table.name for table in store.database.schema.tables.values())
    scans = []
    with engine.connect() as connection:
        for text, given in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given).mappings()
            steps = [row["detail"] for row in plan]
            scans += [(s, text) for s in steps if re.match(rf"SCAN ({tables})\b", s)]
    assert scans == []
