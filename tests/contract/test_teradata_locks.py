"""Sessions that end at the same time, and promotions beside them, under Teradata's locks.

`MFPREFECT_TEST_ROUNDS` says how often (50 for the record of docs/teradata.md).
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

import mfprefect
from mfprefect import Store
from mfprefect_dev.teradata import EmulatedTeradata
from mfprefect_dev.teradata.engine.system import LIMITS
from mfprefect_dev.teradata.engine.transactions import WATCHERS, Seen

ROUNDS = int(os.environ.get("MFPREFECT_TEST_ROUNDS", "2"))
MODELS = ("churn", "fraud", "lapse")


@pytest.fixture
def store(emulated_teradata: EmulatedTeradata, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(LIMITS, "deadlock_seconds", 0.5)
    with (
        emulated_teradata.new_database() as url,
        mfprefect.connect(url, heartbeat_seconds=600, retry_seconds=20, spool="off") as opened,
    ):
        opened.create_schema()
        for model in MODELS:
            opened.add_model(model)
        yield opened


@pytest.fixture
def refused() -> Iterator[Counter[str]]:
    """How often the emulated server refused a request, by error."""
    errors: Counter[str] = Counter()

    def count(seen: Seen) -> None:
        if seen.kind == "refused":
            errors[seen.text] += 1

    WATCHERS.append(count)
    yield errors
    WATCHERS.remove(count)


def trained(store: Store, model: str) -> str:
    with store.session(model, purpose="train") as session:
        session.save_model(b"a model")
    return session.session_id


def end_at_once(store: Store, number: int, candidates: dict[str, list[str]]) -> list[str]:
    """End sessions of several models at one moment, with a promotion of each model beside them."""
    sessions = [store.session(MODELS[n % len(MODELS)], purpose="score") for n in range(number)]
    for n, session in enumerate(sessions):
        session.log_metrics({"auc": n / 10})
        session.write_scores(pd.DataFrame({"id": ["a", "b"], "score": [0.1, n]}), entity_id="id")
    together = threading.Barrier(number + len(MODELS))

    def end(session: mfprefect.Session) -> None:
        together.wait()
        session.close()

    def promote(model: str) -> None:
        together.wait()
        candidates[model].reverse()
        store.promote(model, candidates[model][0], override="tried")

    with ThreadPoolExecutor(number + len(MODELS)) as pool:
        done = [pool.submit(end, session) for session in sessions]
        done += [pool.submit(promote, model) for model in MODELS]
        for future in done:
            future.result(timeout=60)
    return [session.session_id for session in sessions]


@pytest.mark.parametrize("number", [4, 8])
def test_sessions_that_end_at_once_do_not_deadlock(
    store: Store, refused: Counter[str], number: int
) -> None:
    candidates = {model: [trained(store, model), trained(store, model)] for model in MODELS}
    for _ in range(ROUNDS):
        ended = end_at_once(store, number, candidates)
        listed = store.sessions(limit=number).set_index("session_id")["status"]
        assert set(listed[ended]) == {"succeeded"}
        assert [store.production(model) for model in MODELS] == [
            candidates[model][0] for model in MODELS
        ]
    report = store.verify()
    assert report.problems == []
    assert report.sessions == 2 * len(MODELS) + number * ROUNDS
    assert refused["2631"] == 0
