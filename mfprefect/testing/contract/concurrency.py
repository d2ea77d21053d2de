"""Many sessions and parts at once, and heartbeats."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mfprefect
from mfprefect import Store
from mfprefect.testing.contract.helpers import place, processes


def _open_sessions(there: dict[str, Any], count: int) -> list[tuple[str, int]]:
    with mfprefect.connect(**there, heartbeat_seconds=600, retry_seconds=120) as store:
        opened = []

        def one() -> None:
            with store.session("churn") as session:
                session.log_metrics({"no": session.session_no})
            opened.append((session.session_id, session.session_no))

        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return opened


def test_sessions_opened_at_once_are_all_there(store: Store) -> None:
    """32 sessions from 8 processes: each has its own number and its own figures."""
    with processes(8) as pool:
        opened = [
            pair for done in pool.map(_open_sessions, [place(store)] * 8, [4] * 8) for pair in done
        ]
    assert sorted(number for _, number in opened) == list(range(1, 33))
    listed = store.sessions()
    assert set(listed["session_id"]) == {session_id for session_id, _ in opened}
    assert set(listed["status"]) == {"succeeded"}
    metrics = store.metrics(*(session_id for session_id, _ in opened))
    assert dict(zip(metrics["session_id"], metrics["value"], strict=True)) == dict(opened)


def test_parts_written_at_once_are_all_there(store: Store) -> None:
    with store.session("churn", purpose="score") as session:

        def write(part: int) -> int:
            ids = [f"{part}-{i}" for i in range(500)]
            frame = pd.DataFrame({"id": ids, "score": np.arange(500) / 500})
            return session.write_scores(frame, entity_id="id", part=part)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(write, range(1, 9))) == [500] * 8
    assert len(store.scores(session.session_id)) == 4_000


def _wait_for_both(barrier: Path) -> None:
    """Wait for the other of two processes, so that both continue at once."""
    (barrier / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(barrier.iterdir())) < 2:
        assert time.monotonic() < deadline, "the other process did not start"
        time.sleep(0.001)


def _write_parts(
    there: dict[str, Any],
    session_id: str,
    parts: list[int],
    low: float = 0.0,
    barrier: Path | None = None,
) -> int:
    with (
        mfprefect.connect(**there, retry_seconds=120) as store,
        store.attach(session_id) as session,
    ):
        if barrier is not None:
            _wait_for_both(barrier)
        for part in parts:
            ids = [f"{part}-{i}" for i in range(2_000)]
            frame = pd.DataFrame({"id": ids, "score": low + np.arange(2_000) / 2_000})
            session.write_scores(frame, entity_id="id", part=part)
    return len(parts)


def test_parts_written_by_several_processes_are_all_there_once(store: Store) -> None:
    there = place(store)
    with store.session("churn") as session:
        work = [[1, 2, 3, 4], [5, 6, 7, 8]]
        names = [session.session_id] * 2
        with processes(2) as pool:
            assert list(pool.map(_write_parts, [there] * 2, names, work)) == [4, 4]
        first = store.score_parts(session.session_id)
        assert first["part_no"].tolist() == list(range(1, 9))
        _write_parts(there, session.session_id, [2, 5])
    pd.testing.assert_frame_equal(store.score_parts(session.session_id), first)
    scores = store.scores(session.session_id)
    assert len(scores) == scores["entity_id"].nunique() == 16_000


def test_the_same_parts_written_by_two_processes_are_one_of_them(
    store: Store, tmp_path: Path
) -> None:
    """Neither is refused, and no part mixes rows of both."""
    numbers, barrier = list(range(1, 7)), tmp_path / "barrier"
    barrier.mkdir()
    with store.session("churn") as session:
        there, names, low = [place(store)] * 2, [session.session_id] * 2, [0.0, 1.0]
        with processes(2) as pool:
            counts = pool.map(_write_parts, there, names, [numbers] * 2, low, [barrier] * 2)
            assert list(counts) == [6, 6]
    assert store.score_parts(session.session_id)["rows"].tolist() == [2_000] * 6
    scores = store.scores(session.session_id)
    part = scores["entity_id"].str.split("-").str[0]
    assert len(scores) == scores["entity_id"].nunique() == 12_000
    assert (scores["score"] >= 1).groupby(part).nunique().tolist() == [1] * 6


def test_a_heartbeat_shows_that_the_session_is_alive(database_url: str) -> None:
    with mfprefect.connect(database_url, heartbeat_seconds=0.1) as store:
        store.create_schema()
        store.add_model("churn")
        with store.session("churn") as session:
            session.log_metrics({"so_far": 1})
            first = store.show(session.session_id)["heartbeat_at"][0]
            for _ in range(200):
                time.sleep(0.05)
                if store.show(session.session_id)["heartbeat_at"][0] > first:
                    break
            else:
                pytest.fail("no heartbeat in ten seconds")
            # The heartbeat also wrote what was logged before it.
            assert list(store.metrics(session.session_id)["value"]) == [1.0]
