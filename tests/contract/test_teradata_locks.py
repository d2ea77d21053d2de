"""Sessions that end at the same time, and promotions beside them, under Teradata's locks.

`MFPREFECT_TEST_ROUNDS` says how often (50 for the record of docs/teradata.md).
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.provenance import capture, environment
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.store.audit import seals
from mfprefect.store.audit.events import record
from mfprefect.store.sessions.opening import SessionRequest, open_session
from mfprefect.testing.contract.helpers import place
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
    report = store.verify()  # raises if anything is wrong
    assert report.sessions == 2 * len(MODELS) + number * ROUNDS
    assert refused["2631"] == 0


def test_the_wait_of_a_deadlock_does_not_use_up_retry_seconds(
    store: Store, refused: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeadLockTimeout is longer than retry_seconds, as it is by default; the victim tries again."""
    monkeypatch.setattr(LIMITS, "deadlock_seconds", 1.5)
    models = store.database.schema.models
    both_hold_one = threading.Barrier(2)
    with mfprefect.connect(**place(store) | {"retry_seconds": 0.5}) as hasty:

        def change(*names: str) -> int:
            tries = []

            def work(connection: sa.Connection, _: bool) -> int:
                tries.append(time.monotonic())
                for name in names:
                    update = models.update().where(models.c.model_id == name)
                    connection.execute(update, {"owner": names[0]})
                    if len(tries) == 1 and name == names[0]:
                        both_hold_one.wait(20)
                return len(tries)

            return hasty.database.write_transaction(work)

        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(change, "churn", "fraud")
            other = pool.submit(change, "fraud", "churn")
            assert sorted((one.result(60), other.result(60))) == [1, 2]
    assert refused["2631"] == 1


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_a_seal_covers_committed_rows_only(store: Store, outcome: str) -> None:
    """A promotion that is still open while a session ends: the end waits for it, whatever comes."""
    candidate = trained(store, "churn")
    session = store.session("churn", purpose="score")
    events = store.database.schema.audit_events
    with ThreadPoolExecutor(1) as pool:

        def work(connection: sa.Connection, _: bool) -> None:
            record(store.database, connection, "noted", candidate)
            ending = pool.submit(session.close)
            with pytest.raises(TimeoutError):
                ending.result(1)
            if outcome == "rollback":
                raise ZeroDivisionError

        with suppress(ZeroDivisionError):
            store.database.write_transaction(work)
    assert store.show(session.session_id)["status"][0] == "succeeded"
    last = store.database.fetch_all(sa.select(events.c.action).order_by(events.c.event_no.desc()))
    assert (last[0][0] == "noted") == (outcome == "commit")
    store.verify()


def test_who_writes_while_a_session_closes_waits_and_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing locks the session first: what it reads with access locks is all committed."""
    session = store.session("churn")
    real, late = seals.read_content, []

    def write() -> None:
        with (
            mfprefect.connect(**place(store), spool="off") as other,
            other.attach(session.session_id) as attached,
        ):
            attached.log_metrics({"late": 1.0})

    def read_content(*arguments: Any, **options: Any) -> Any:
        late.append(pool.submit(write))
        with pytest.raises(TimeoutError):
            late[0].result(1)
        return real(*arguments, **options)

    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(seals, "read_content", read_content)
        session.close()
        monkeypatch.undo()
        with pytest.raises(mfprefect.SessionClosed, match="succeeded"):
            late[0].result(30)
    assert len(late) == 1
    assert store.verify().sessions == 1
    assert len(store.metrics(session.session_id)) == 0


def opened(store: Store, attempt: str) -> mfprefect.Session:
    run = FlowRun("run-1", attempt, None)
    facts = ("churn", "train", "{}", None, None, capture(), environment(), run)
    return mfprefect.Session(store.database, open_session(store.database, SessionRequest(*facts)))


def record_results(session: mfprefect.Session) -> None:
    """Write to all tables of a training."""
    frame = pd.DataFrame({"age": [30.0, 41.0], "city": ["Bonn", "Ulm"]})
    session.log_metrics({"own": 0.5})
    session.log_metadata({"sources": "crm"})
    session.log_input("crm", query="select 1", rows=2, columns={"age": "float"}, digest="d")
    session.log_input_summary(frame)
    session.log_checks(frame, lambda f: len(f) == 2)
    session.log_test_results([0, 1, 0, 1], [0.1, 0.9, 0.4, 0.8])
    importance = pd.DataFrame({"variable": ["age"], "importance": [0.7]})
    session.log_variable_importance(importance, kind="permutation")
    session.log_backtest(pd.DataFrame({"period": ["2026-01"], "predicted": [1.0], "actual": [2]}))
    session.log_gates([mfprefect.Gate("own", at_least=0.5)])
    session.save_model(b"a model")
    session.flush()


@pytest.mark.parametrize("change", ["delete", "retry"])
def test_what_deletes_the_rows_of_a_session_blocks_no_other_training(
    store: Store, change: str
) -> None:
    """While the deletion is open, others open sessions and write to every table but `scores`."""
    first = opened(store, "1")
    record_results(first)
    first.fail(OSError("link down"))
    with store.session("churn", purpose="train") as last:
        record_results(last)
    running = store.session("churn", purpose="train")
    ready, go_on = threading.Event(), threading.Event()

    def pause(_: sa.Connection) -> None:
        if threading.current_thread().name.startswith("deleting"):
            ready.set()
            assert go_on.wait(60)

    def delete() -> None:
        if change == "delete":
            store.delete_session(first.session_id)
        else:
            opened(store, "2").close()

    def write() -> mfprefect.Session:
        record_results(running)
        beside = store.session("fraud", purpose="train")
        record_results(beside)
        return beside

    sa.event.listen(store.database.engine, "commit", pause)
    with ThreadPoolExecutor(1, "deleting") as deleting, ThreadPoolExecutor(1) as writing:
        done = deleting.submit(delete)
        assert ready.wait(30)
        written = writing.submit(write)
        try:
            beside = written.result(15)
        finally:
            go_on.set()
        done.result(60)
    sa.event.remove(store.database.engine, "commit", pause)
    for session in (running, beside):
        session.close()
    store.verify()
