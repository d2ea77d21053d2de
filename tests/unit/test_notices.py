"""Each target gets each notice once, whatever happens to service, database or process."""

from __future__ import annotations

import datetime as dt
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Session, Store
from mfprefect.errors import ChecksFailed, GateFailed, InvalidValue
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.quality.drift import drift_row
from mfprefect.quality.drift.features import feature_drift
from mfprefect.settings import EVENTS
from mfprefect.store.notifications import send
from mfprefect.store.notifications.catch_up import send_missed
from mfprefect.store.notifications.send import (
    CLAIM_TIMEOUT,
    NEWS,
    notify,
    retry_undelivered,
    send_summary,
)

Opener = Callable[..., Store]
NOW = dt.datetime.now(dt.UTC)
POSITIVE = pa.DataFrameSchema({"tenure": pa.Column(int, pa.Check.ge(0))})
WARNING = pa.DataFrameSchema({"tenure": pa.Column(int, pa.Check.ge(0, raise_warning=True))})


@pytest.fixture
def open_store(schema_url: str, hooks: Any) -> Iterator[Opener]:
    """Open stores whose settings name targets; by default one, `ops`, for all events."""
    with ExitStack() as stack:

        def opened(**targets: Any) -> Store:
            chosen = targets or {"ops": {"events": EVENTS}}
            notify = {name: {"url": hooks.url(f"/{name}")} | x for name, x in chosen.items()}
            store = stack.enter_context(
                mfprefect.connect(schema_url, notify=notify, retry_seconds=10)
            )
            store.add_model("churn")
            store.add_model("fraud")
            return store

        yield opened


def run(store: Store, error: Exception | None = None, **options: Any) -> Session:
    """Run a session that ends well, or with an error."""
    session = store.session(options.pop("model", "churn"), **options)
    try:
        with session:
            if error is not None:
                raise error
    except Exception as exc:  # noqa: BLE001 - any error that a test passes in
        assert exc is error
    return session


def notices(store: Store, *sessions: Session) -> list[tuple[str, str, bool]]:
    frame = store.notifications(*(x.session_id for x in sessions))
    return list(zip(frame["event"], frame["channel"], map(bool, frame["delivered"]), strict=True))


def change(store: Store, table: str, where: dict[str, Any], **changes: Any) -> None:
    t = store.database.schema.tables[table]

    def work(connection: sa.Connection, _: bool) -> None:
        same = (t.c[key] == value for key, value in where.items())
        connection.execute(t.update().where(*same), changes)

    store.database.write_transaction(work)


def insert(store: Store, table: str, **row: Any) -> None:
    t = store.database.schema.tables[table]
    store.database.write_transaction(lambda connection, _: connection.execute(t.insert(), row))


def in_state(state: str, flow_run_ids: Collection[str]) -> dict[str, str]:
    return dict.fromkeys(flow_run_ids, state)


def drifted(session: Session, store: Store, verdict: str = "alarm") -> None:
    insert(
        store,
        "drift",
        session_no=session.session_no,
        variable="tenure",
        measure="psi",
        value=0.4,
        threshold=0.2,
        verdict=verdict,
    )


def test_each_ending_has_its_event(open_store: Opener, hooks: Any) -> None:
    store = open_store()
    ends: dict[str, Exception | None] = {
        "succeeded": None,
        "failed": ValueError("no <b>such</b> column"),
        "gate_failed": GateFailed("auc 0.61 is below 0.75"),
        "checks_failed": ChecksFailed("1 check failed"),
    }
    for event, error in ends.items():
        # A purpose each, so that nothing counts as a recovery.
        purpose = ("train", "score", "monitor", "adhoc")[list(ends).index(event)]
        session = run(store, error, purpose=purpose)
        assert notices(store, session) == [(event, "ops", True)]
        assert session.session_id in hooks.posts[-1]["message"]
        assert str(error or "") in hooks.posts[-1]["message"]
        assert hooks.posts[-1]["event"] == event
        assert hooks.posts[-1]["session_id"] == session.session_id
    cancelled = store.session("fraud")
    cancelled.cancel("by hand")
    assert notices(store, cancelled) == [("cancelled", "ops", True)]
    assert "by hand" in hooks.posts[-1]["message"]
    assert hooks.titles == [
        "churn: training succeeded",
        "churn: scoring failed, ValueError",
        "churn: monitoring failed, it did not pass its gates",
        "churn: session failed, its input checks failed",
        "fraud: session was cancelled",
    ]
    left = store.session("churn")
    left.leave_open()
    assert notices(store, left) == []
    store.attach(left.session_id).fail(ValueError("from a shell"))
    assert notices(store, left) == [("failed", "ops", True)]
    store.delete_session(left.session_id)


def test_metric_changes_and_failed_checks(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    figures = {"auc": 0.8, "ks": 0.5, "n": 100, "gini": 0.6, "brier": 0.1, "zero": 0, "same": 1}
    with store.session("churn", "train") as first:
        first.log_metrics(figures)
    other = store.session("churn", "train")  # failed: nothing to compare with
    other.log_metrics({"auc": 0.1})
    other.fail(ValueError("x"))
    last = store.session("churn", "train")
    last.log_metrics({"auc": 0.4, "ks": 0.75, "n": 101, "gini": 0.54, "zero": 1, "same": 1})
    last.log_metrics({"auc": 0.0}, segment="region=north")
    frame = pd.DataFrame({"tenure": [1, -1, -2]})
    with pytest.raises(ChecksFailed), last:
        last.log_checks(frame, POSITIVE)
    body = hooks.posts[-1]["message"]
    moved = [line for line in body.partition("Changed metrics")[2].splitlines() if " to " in line]
    assert moved == [
        "- `zero`: `0 to 1`",
        "- `auc`: `0.8 to 0.4 (-50.0%)`",
        "- `ks`: `0.5 to 0.75 (+50.0%)`",
        "- `gini`: `0.6 to 0.54 (-10.0%)`",
        "- `n`: `100 to 101 (+1.0%)`",
    ]
    checks = body.partition("Checks: 1 of ")[2].splitlines()
    assert [line[:1] for line in checks[2:4]] == ["-", ""]  # what passed is counted, not listed
    assert checks[2].startswith("- `tenure: ")
    assert ": `failed, 2: " in checks[2]
    assert hooks.posts[-1]["checks"][0]["failing_rows"] == 2


def test_targets_get_what_they_want(open_store: Opener, hooks: Any) -> None:
    store = open_store(
        default={},
        wins={"events": ["succeeded"]},
        fraud={"models": ["fraud"]},
        prod={"tags": ["prod", "live"], "events": ["failed", "succeeded"]},
    )
    good = run(store, tags=["prod"])
    bad = run(store, ValueError("x"), tags=["dev"])
    theirs = run(store, ValueError("x"), model="fraud", tags=["dev", "live"])
    assert [(e, c) for e, c, _ in notices(store, good)] == [
        ("succeeded", "wins"),
        ("succeeded", "prod"),
    ]
    assert [c for _, c, _ in notices(store, bad)] == ["default"]
    assert [c for _, c, _ in notices(store, theirs)] == ["default", "fraud", "prod"]
    assert len(hooks.posts) == 6


def test_recovery_is_sent_once_to_targets_that_got_the_problem(
    open_store: Opener, hooks: Any
) -> None:
    store = open_store(ops={}, quiet={"events": ["recovered"]})
    running = store.session("churn", "train")
    run(store, ValueError("x"), purpose="train")
    assert notices(store, run(store, purpose="score")) == []
    assert notices(store, run(store, purpose="train", model="fraud")) == []
    running.close()  # it began before the problem, so it is no recovery
    assert notices(store, running) == []
    again = run(store, purpose="train")
    assert notices(store, again) == [("recovered", "ops", True)]
    assert hooks.titles[-1] == "churn: training recovered"
    assert "last problem: failed in churn-" in hooks.posts[-1]["message"]
    assert notices(store, run(store, purpose="train")) == []
    notify(store.database, again.session_no, "stale")
    assert notices(store, run(store, purpose="train")) == []
    assert notices(store, run(store, purpose="score")) == [("recovered", "ops", True)]
    assert notices(store, run(store, purpose="score")) == []
    retried = run(store, ValueError("x"), purpose="score")
    change(store, "sessions", {"session_no": retried.session_no}, status="succeeded")
    send.session_ended(store.database, retried.session_no)
    assert notices(store, retried) == [("failed", "ops", True), ("recovered", "ops", True)]
    assert f"last problem: failed in {retried.session_id}" in hooks.posts[-1]["message"]


def test_warnings_of_checks(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    run(store, ValueError("x"))
    frame = pd.DataFrame({"tenure": [1, -1]})
    with store.session("churn") as session:
        session.log_checks(frame, WARNING)
    assert session.status == "succeeded"
    assert notices(store, session) == [("checks_failed", "ops", True)]
    title = "churn: session succeeded, 1 of . input checks? gave a warning"
    assert re.fullmatch(title, hooks.titles[-1])
    assert hooks.posts[-1]["type"] == "warning"
    # An accepted check is no news.
    check = "tenure: greater_than_or_equal_to(0)"  # as the error names it
    store.accept_check(session.session_id, check, reason="refunds")
    with store.session("churn") as session:
        session.log_checks(frame, WARNING)
    assert notices(store, session) == [("recovered", "ops", True)]


def test_drift(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    with store.session("churn", "monitor") as session:
        drifted(session, store, "warning")
    assert notices(store, session) == []
    with store.session("churn", "monitor") as session:
        drifted(session, store)
    assert notices(store, session) == [("drift", "ops", True)]
    assert "- `tenure`: `PSI 0.4, allowed 0.2`" in hooks.posts[-1]["message"]
    assert hooks.titles[-1] == "churn: 1 variable drifted"


def test_a_failure_with_drift_is_one_notice(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={}, drift={"events": ["drift"]})
    with suppress(ValueError), store.session("churn", "score") as session:
        drifted(session, store)
        raise ValueError("no")
    # Who wants drift alone hears of it as drift.
    assert notices(store, session) == [("failed", "ops", True), ("drift", "drift", True)]
    assert hooks.titles[0] == "churn: scoring failed, ValueError"
    assert "- `tenure`: `PSI 0.4, allowed 0.2`" in hooks.posts[0]["message"]
    with store.session("churn", "score") as session:
        session.log_checks(pd.DataFrame({"tenure": [-1]}), WARNING)
        drifted(session, store)
    assert notices(store, session)[0] == ("checks_failed", "ops", True)
    assert hooks.titles[2].endswith(" gave a warning")
    assert "- `tenure`: `PSI 0.4, allowed 0.2`" in hooks.posts[2]["message"]


def test_an_attempt_that_prefect_retries_sends_nothing(open_store: Opener, hooks: Any) -> None:
    store = open_store()
    opened = store.session("churn")
    opened.detach_process()
    first = Session(store.database, opened.handle, flow_run=FlowRun("f", "1", None, final=False))
    first.fail(ValueError("first"))
    assert notices(store, first) == []
    send.session_ended(store.database, first.session_no, final=True)
    send.session_ended(store.database, first.session_no, final=False)
    assert notices(store, first) == [("failed", "ops", True)]
    assert len(hooks.posts) == 1
    opened = store.session("churn")
    opened.detach_process()
    again = Session(store.database, opened.handle, flow_run=FlowRun("f", "1", None, final=False))
    again.cancel("no more")  # final, even if Prefect would retry
    assert [event for event, _, _ in notices(store, again)] == ["cancelled"]


def test_a_dead_service_fails_no_run_and_gets_the_notice_later_once(
    open_store: Opener, hooks: Any, mail: Any
) -> None:
    dead = {"url": mail.url, "events": ["succeeded"]}
    store = open_store(ops={"events": ["succeeded"]}, mail=dead)
    hooks.status, mail.refuses = 500, True
    session = run(store)
    assert session.status == "succeeded"
    assert store.get_sessions(session.session_id)["status"][0] == "succeeded"
    assert {x for _, _, x in notices(store, session)} == {False}
    assert "error=500" in store.notifications(session.session_id)["failure"][0]
    assert retry_undelivered(store.database) == (0, 2)
    hooks.status, mail.refuses = 200, False
    assert retry_undelivered(store.database) == (2, 0)
    assert retry_undelivered(store.database) == (0, 0)
    assert len(hooks.posts) == len(mail.messages) == 1
    frame = store.notifications(session.session_id)
    assert frame["delivered"].all()
    assert frame["failure"].isna().all()
    assert session.session_id in hooks.posts[0]["message"]


def test_several_maintainers_send_once(open_store: Opener, hooks: Any) -> None:
    targets: dict[str, Any] = {f"t{i}": {} for i in range(4)}
    hooks.status = 500
    run(open_store(**targets), ValueError("x"))
    hooks.status = 200
    together([partial(retry_undelivered, open_store(**targets).database) for _ in range(4)])
    assert sorted(post["path"] for post in hooks.posts) == [f"/t{i}" for i in range(4)]


def test_a_dead_service_is_tried_a_few_times_only(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    hooks.status = 500
    for _ in range(5):
        run(store, ValueError("x"))
    assert retry_undelivered(store.database) == (0, 3)
    hooks.status = 200
    assert retry_undelivered(store.database) == (5, 0)


def together(work: list[Callable[[], Any]]) -> None:
    threads = [threading.Thread(target=step) for step in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_threads_send_one_notice(open_store: Opener, hooks: Any) -> None:
    store = open_store(a={}, b={})
    session = run(store)
    together(
        [
            partial(notify, store.database, session.session_no, event)
            for event in ("crashed", "stale", "crashed", "stale", "crashed")
        ]
    )
    assert sorted(notices(store, session)) == [
        (event, channel, True) for event in ("crashed", "stale") for channel in ("a", "b")
    ]
    assert len(hooks.posts) == 4
    assert store.notifications(session.session_id)["notice_no"].tolist() == [1, 2, 3, 4]


def test_many_processes_send_one_notice(open_store: Opener, hooks: Any, database_url: str) -> None:
    session = run(open_store(ops={}))
    targets = {"ops": {"url": hooks.url()}}
    code = (
        "import mfprefect, sys; from mfprefect.store.notifications.send import notify\n"
        f"store = mfprefect.connect({database_url!r}, notify={targets!r})\n"
        "sys.stdin.readline()\n"
        f"notify(store.database, {session.session_no}, 'crashed')"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.close()
    assert [child.wait() for child in children] == [0, 0, 0]
    assert len(hooks.posts) == 1


def test_undelivered_notices_are_sent_again(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={}, gone={})
    hooks.status = 500
    session = run(store, ValueError("x"))
    hooks.status = 200
    key = {"session_no": session.session_no}
    left = open_store(ops={})
    change(store, "sessions", key, ended_at=NOW - NEWS - dt.timedelta(hours=1))
    assert retry_undelivered(left.database) == (0, 0)
    change(store, "sessions", key, ended_at=NOW)
    change(store, "notifications", key, sent_at=dt.datetime.now(dt.UTC), failure=None)
    assert retry_undelivered(left.database) == (0, 0)  # another process is sending it
    change(store, "notifications", key, sent_at=NOW - CLAIM_TIMEOUT - dt.timedelta(minutes=1))
    assert retry_undelivered(left.database) == (1, 0)  # the target `gone` left the settings
    assert [post["path"] for post in hooks.posts] == ["/ops"]


def test_missed_notices_of_dead_processes_are_sent(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    notified = run(store, ValueError("sent"), purpose="score")
    flow_run = FlowRun("0c6b6e5e-0000-4000-8000-000000000001", "1", None)
    with monkeypatch.context() as dying:
        dying.setattr(send, "session_ended", lambda *_, **__: None)
        alone = run(store, ValueError("not sent"))
        well = run(store, purpose="score")
        dying.setattr("mfprefect.store.api.sessions.current_flow_run", lambda: flow_run)
        tried_again = run(store, ValueError("not sent"), purpose="monitor")
        dying.setattr("mfprefect.store.api.sessions.current_flow_run", lambda: None)
        old, new = run(store, ValueError("not sent")), run(store, ValueError("not sent"))
    later = run(store, purpose="score")
    minutes = {old: 90, new: 0, notified: 9, alone: 8, well: 7, tried_again: 6}
    for session, ago in minutes.items():
        ended = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=ago)
        change(store, "sessions", {"session_no": session.session_no}, ended_at=ended)
    for state in ("RUNNING", "FAILED"):
        for _ in range(2):
            send_missed(store.database, states=partial(in_state, state))
        final = [("failed", "ops", True)] if state == "FAILED" else []
        assert notices(store, tried_again) == final
    assert notices(store, notified, alone) == [("failed", "ops", True)] * 2
    assert notices(store, old, new) == []  # too old, and its process may be about to notify
    # One session is the recovery of a failure, although the notice of another came late.
    assert [x[:2] for x in notices(store, well)] == [("succeeded", "ops")]
    assert {x[0] for x in notices(store, later)} == {"recovered", "succeeded"}


def test_a_new_target_hears_nothing_old(
    open_store: Opener, hooks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now = open_store(ops={}), dt.datetime.now(dt.UTC)
    with monkeypatch.context() as past:
        past.setattr("mfprefect.util.values.utc_now", lambda: now - dt.timedelta(minutes=30))
        send_missed(store.database)
    with monkeypatch.context() as dying:
        dying.setattr(send, "session_ended", lambda *_, **__: None)
        missed = run(store, ValueError("nobody was told"))
    key = {"session_no": missed.session_no}
    change(store, "sessions", key, ended_at=now - dt.timedelta(minutes=10))
    both = open_store(ops={}, late={})
    for _ in range(2):
        send_missed(both.database)
    assert notices(store, missed) == [("failed", "ops", True)]
    assert [post["path"] for post in hooks.posts] == ["/ops"]
    fresh = run(both, ValueError("now"), purpose="monitor")
    assert [channel for _, channel, _ in notices(store, fresh)] == ["ops", "late"]
    assert store.audit_log(action="add_target")["subject"].tolist() == ["late", "ops"]


def trained(store: Store, *, gates: tuple[mfprefect.Gate, ...] = (), **options: Any) -> Session:
    with store.session("churn", "train", **options) as session:
        session.log_metrics({"auc": 0.8})
        session.save_model(b"a model")
        if gates:
            session.log_gates(gates)
    return session


def test_a_trained_model_that_waits(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    assert notices(store, run(store, purpose="train")) == []  # it stored no model
    good = trained(store, gates=(mfprefect.Gate("auc", at_least=0.7),))
    assert notices(store, good) == [("waiting_for_promotion", "ops", True)]
    assert hooks.titles == ["churn: trained, waits for promotion"]
    # To a target that hears of both, it says once what to do.
    both = trained(open_store(all={"events": EVENTS}))
    assert notices(store, both) == [("waiting_for_promotion", "all", True)]
    command = f"mfprefect promote churn {good.session_id}"
    assert hooks.posts[0]["command"] == command
    assert f"`{command}`" in hooks.posts[0]["message"]
    assert "- `auc at least 0.7`: `passed, 0.8`" in hooks.posts[0]["message"]
    bare = trained(store)
    assert hooks.posts[-1]["command"].startswith(f"mfprefect promote churn {bare.session_id} --o")
    # Once it is promoted, nobody has to be asked any more.
    hooks.status = 500
    last = trained(store, gates=(mfprefect.Gate("auc", at_least=0.7),))
    store.promote("churn", last.session_id)
    hooks.status = 200
    assert retry_undelivered(store.database) == (0, 0)
    promoting = store.session("churn", "train")
    promoting.promoting = True
    promoting.save_model(b"a model")
    promoting.close()
    assert notices(store, promoting) == []


def test_what_readers_see(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={"events": ["failed", "succeeded", "digest"]})

    def scored(as_of: str | None, publish: bool = True) -> Session:
        day = dt.date.fromisoformat(as_of) if as_of else None
        session = store.session("churn", "score", as_of=day)
        session.write_scores({"customer": ["a"], "score": [0.5]}, entity_id="customer")
        session.close(publish=publish)
        return session

    def first_line() -> str:
        line, _, action = hooks.posts[-1]["message"].splitlines()[0].partition(". ")
        assert action == hooks.posts[-1]["action"]
        return f"{line}."

    run(store, ValueError("x"))
    assert first_line() == "Readers see no scores of this model yet."
    newest = scored("2026-03-02")
    today = dt.datetime.now(dt.UTC).date()
    seen = f"see the scores of {today} (as of 2026-03-02)."
    assert first_line() == f"Readers now {seen}"
    scored("2026-03-01")  # a backfill
    assert first_line() == f"Readers still {seen}"
    scored("2026-03-03", publish=False)
    assert first_line() == f"Readers still {seen}"
    assert hooks.posts[-1]["readers"]["session_id"] == newest.session_id
    run(store, ValueError("x"), purpose="score", as_of=dt.date(2026, 3, 4))
    assert first_line() == f"Readers still {seen}"
    send_summary(store.database)
    assert f"- `churn`: `the scores of {today} (as of 2026-03-02)`" in hooks.posts[-1]["message"]
    scored(None)  # as of the day of its start
    assert first_line() == f"Readers now see the scores of {today} (as of {today})."


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_gates_failed_first(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    gates = (
        mfprefect.Gate("auc", at_least=0.7),
        mfprefect.Gate("auc", at_least=0.9),
        mfprefect.Gate("ks", at_least=0.3),
    )
    with pytest.raises(GateFailed):
        trained(store, gates=gates)
    assert hooks.titles == ["churn: training failed, 2 of 3 gates missed"]
    lines = hooks.posts[0]["message"].splitlines()
    assert lines[0] == (
        "Readers see no scores of this model yet. Look at the 2 gates below, then retrain, or "
        "promote it all the same by:"
    )
    assert lines[2].startswith("`mfprefect promote churn churn-")
    table = lines[lines.index("Gates: 2 of 3 missed:") + 2 :]
    assert table[:3] == [
        "- `auc at least 0.9`: `failed, 0.8`",
        "- `ks at least 0.3`: `unknown: ks was not computed; available metrics: auc`",
        "- `auc at least 0.7`: `passed, 0.8`",
    ]


def test_drift_in_words(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    before = {"price": [15.0, 15.2, 15.4] * 40, "region": ["north", "south", "east"] * 40}
    with store.session("churn", "train") as training:
        training.log_input_summary(pd.DataFrame(before))
    prices = pd.DataFrame({"price": [24.0, 24.1, 24.2] * 40, "region": ["east"] * 120})
    reference = store.input_summary(training.session_id)
    with store.session("churn", "score", parent=training.session_id) as scoring:
        summary = scoring.log_input_summary(prices, reference=reference)
        scoring.log_drift(feature_drift(reference, summary), training.session_id)
    text = hooks.posts[-1]["message"]
    assert re.search(r"`mean price 15.2 to 24.1, PSI [\d.]+, allowed [\d.]+; KS 1, allowed", text)
    assert "`share of rows with region = 'east' 33% to 100%, PSI" in text
    assert hooks.titles[-1] == "churn: scoring succeeded, 2 variables drifted"
    # A monitoring session describes the scoring session, not its own input.
    with store.session("churn", "monitor") as monitor:
        monitor.log_metadata({"drift_of": scoring.session_id}, "monitor")
        monitor.log_metrics({"auc": 0.71})
        monitor.log_drift(feature_drift(reference, summary), training.session_id)
    assert "mean price 15.2 to 24.1" in hooks.posts[-1]["message"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_outcomes_and_performance_in_words(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    with store.session("churn", "train") as training:
        training.log_metrics({"auc": 0.83})
    with store.session("churn", "score", parent=training.session_id) as scoring:
        pass
    with store.session("churn", "monitor") as monitor:
        monitor.log_metadata({scoring.session_id: "none of 9 belongs to one of 5"}, "outcomes")
        monitor.log_metrics({"auc": 0.7})
        row = drift_row("outcomes", "unmatched_share", 1.0, 0.99)
        monitor.log_drift([row], scoring.session_id)
        monitor.log_drift([drift_row("auc", "drop", 0.13, 0.05)], training.session_id)
    assert hooks.titles == ["churn: no outcome belongs to a score, performance fell"]
    text = hooks.posts[0]["message"]
    assert "- `auc`: `auc 0.83 to 0.7, fell by 0.13, allowed 0.05`" in text
    assert "```\nnone of 9 belongs to one of 5\n```" in text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_environment_is_named(open_store: Opener, hooks: Any, database_url: str) -> None:
    open_store(ops={})
    target = {"ops": {"url": hooks.url(), "events": ["failed", "digest"]}}
    with mfprefect.connect(database_url, notify=target, environment="production") as store:
        run(store, ValueError("x"))
        send_summary(store.database)
    assert hooks.titles == [
        "churn (production): session failed, ValueError",
        "mfprefect (production): summary of 1 session, 1 with problems",
    ]
    assert {post["environment"] for post in hooks.posts} == {"production"}


def test_events_after_the_end_of_a_session(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={"events": ["stale", "promoted"]})
    store.add_model("churn", max_age=dt.timedelta(days=1))
    session = run(store, purpose="score")
    long_ago = NOW - dt.timedelta(days=9)
    change(
        store,
        "sessions",
        {"session_no": session.session_no},
        published_at=long_ago,
        ended_at=long_ago,
    )
    insert(
        store,
        "model_stages",
        model_id="churn",
        set_at=NOW,
        session_no=session.session_no,
        stage="production",
        set_by="ann",
        reason="better by far",
    )
    hooks.status = 500
    for event in ("stale", "promoted", "failed"):
        notify(store.database, session.session_no, event)
    hooks.status = 200
    assert retry_undelivered(store.database) == (2, 0)
    stale, promoted = hooks.posts
    assert stale["title"] == "churn: scores are out of date"
    assert f"since {long_ago:%Y-%m-%d}" in stale["message"]
    assert "every 1 day" in stale["message"]
    assert promoted["title"] == "churn: promoted to production"
    assert "stage: `promoted by ann`" in promoted["message"]
    assert "reason: `better by far`" in promoted["message"]
    with pytest.raises(InvalidValue, match="'fine' is not one of failed, crashed"):
        notify(store.database, session.session_no, "fine")
    notify(store.database, 4711, "stale")
    # Scores were published meanwhile: `stale` is no longer news.
    change(store, "notifications", {"event": "stale"}, delivered=False, failure="500")
    change(store, "sessions", {"session_no": session.session_no}, published_at=NOW)
    assert retry_undelivered(store.database) == (0, 0)


def test_summary(open_store: Opener, hooks: Any) -> None:
    targets = {
        "ops": {"events": ["digest"]},
        "fraud": {"events": ["digest"], "models": ["fraud"]},
        "others": {},
    }
    store = open_store(**targets)
    send_summary(store.database)
    old = run(store)
    change(store, "sessions", {"session_no": old.session_no}, started_at=NOW - dt.timedelta(days=2))
    send_summary(store.database)
    assert hooks.posts == []
    run(store, purpose="train")
    run(store, purpose="train")
    bad = run(store, ValueError("x <y>"), purpose="score")
    hooks.clear()
    for _ in range(2):
        send_summary(store.database)
    assert hooks.titles == ["mfprefect: summary of 3 sessions, 1 with problems"]
    body = hooks.posts[0]["message"]
    assert "- `churn, train`: `2 succeeded`" in body
    assert "- `churn, score`: `1 failed`" in body
    assert f"- `{bad.session_id}`: `failed: ValueError: x <y>`" in body
    theirs = run(store, model="fraud")
    hooks.status = 500
    send_summary(store.database)
    run(store)
    hooks.status = 200
    assert retry_undelivered(store.database) == (2, 0)
    assert hooks.titles[1:] == ["mfprefect: summary of 1 session"] * 2
    assert [x[:2] for x in notices(store, theirs)] == [("digest", "ops"), ("digest", "fraud")]
    send_summary(store.database)
    assert hooks.titles[3:] == ["mfprefect: summary of 1 session"]


def test_no_secret_is_stored_or_logged(
    open_store: Opener, hooks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "S3cr3tS3cr3t"
    store = open_store(
        dead={"url": f"json://me:{secret}@127.0.0.1:1/{secret}?+Key={secret}"},
        refused={"url": hooks.url(f"/{secret}", "mmost")},
        wrong={"url": f"nosuch://{secret}"},
        mail={"url": f"mailto://me:{secret}@127.0.0.1:1?to=a@x.example&from=b@x.example"},
    )
    hooks.status = 500
    session = run(store, ValueError("x"))
    retry_undelivered(store.database)
    frame = store.notifications(session.session_id)
    assert len(frame) == 4
    assert frame["failure"].notna().all()
    assert secret not in frame.to_csv()
    assert f"of session {session.session_id} to 'dead'" in caplog.text
    assert secret not in caplog.text


def test_a_failing_notice_does_not_fail_the_run(
    open_store: Opener, hooks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(ops={"events": ["succeeded", "digest"]})
    session = store.session("churn")
    table = store.database.schema.notifications
    store.database.write_transaction(lambda connection, _: table.drop(connection))
    session.close()
    assert store.get_sessions(session.session_id)["status"][0] == "succeeded"
    assert "could not send notifications about session" in caplog.text
    send_summary(store.database)
    assert retry_undelivered(store.database) == (0, 0)
    assert hooks.posts == []


def test_without_targets_no_statement_is_sent(open_store: Opener, database_url: str) -> None:
    open_store()
    statements: list[str] = []
    with mfprefect.connect(database_url) as store:

        @sa.event.listens_for(store.database.engine, "before_cursor_execute")
        def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            statements.append(statement)

        session = run(store, ValueError("x"))
        seen = len(statements)
        notify(store.database, session.session_no, "stale")
        send.session_ended(store.database, session.session_no)
        send_summary(store.database)
        assert retry_undelivered(store.database) == (0, 0)
        assert len(statements) == seen
        # The opening looks into all tables for rows of no session.
        assert not [x for x in statements if "notifications" in x and "AS ahead" not in x]


def test_promotions_and_rollbacks_are_sent(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={"events": ["promoted", "rolled_back"]})
    first, second = (run(store, purpose="train").session_id for _ in range(2))
    for session_id in (first, second):
        store.promote("churn", session_id, reason="why <not>", override="no gates")
    assert hooks.titles == ["churn: promoted to production"] * 2
    assert first in hooks.posts[0]["message"]
    assert "why <not>" in hooks.posts[0]["message"]
    hooks.status = 500
    store.rollback("churn", reason="complaints")
    hooks.status = 200
    assert retry_undelivered(store.database) == (1, 0)
    assert hooks.titles[2:] == ["churn: rolled back in production"]
    assert f"rolled back to {first} by" in hooks.posts[2]["message"]
    assert "complaints" in hooks.posts[2]["message"]
    # Each promotion and rollback gets its own notice.
    hooks.status = 500
    store.promote("churn", second, reason="mended", override="no gates")
    hooks.status = 200
    store.rollback("churn", reason="in vain")
    assert retry_undelivered(store.database) == (1, 0)
    assert [post["title"].partition(": ")[2] for post in hooks.posts[3:]] == [
        "rolled back in production",
        "promoted to production",
    ]
    assert "in vain" in hooks.posts[3]["message"]
    assert "mended" in hooks.posts[4]["message"]
    assert store.notifications(second)["event"].tolist() == [
        "promoted",
        "rolled_back",
        "promoted 2",
        "rolled_back 2",
    ]


def test_a_retirement_is_sent(open_store: Opener, hooks: Any) -> None:
    store = open_store(ops={})
    session_id = run(store, purpose="train").session_id
    for reason in ("no customers", "no use"):
        store.promote("churn", session_id, override="no gates")
        store.retire("churn", reason=reason)
    assert hooks.titles == ["churn: retired, nothing is in production"] * 2
    assert [post["type"] for post in hooks.posts] == ["warning"] * 2
    assert "no customers" in hooks.posts[0]["message"] and "no use" in hooks.posts[1]["message"]
    assert hooks.posts[0]["command"] == "mfprefect rollback churn"
    assert store.notifications(session_id)["event"].tolist() == ["retired", "retired 2"]


# Reports


def attached(message: Any) -> list[tuple[str, str]]:
    return [(x.get_filename(), x.get_content()) for x in message.iter_attachments()]


def test_mails_carry_the_report_and_web_hooks_do_not(
    open_store: Opener, mail: Any, hooks: Any
) -> None:
    store = open_store(post={"url": mail.url}, second={"url": mail.url}, hook={})
    session = run(store, ValueError("no <b>such</b> column"), purpose="train")
    assert notices(store, session) == [
        ("failed", "post", True),
        ("failed", "second", True),
        ("failed", "hook", True),
    ]
    assert len(mail.messages) == 2
    for message in mail.messages:
        ((name, text),) = attached(message)
        assert name == f"{session.session_id}.html"
        assert "Training failed: ValueError" in text
        assert "no &lt;b&gt;such&lt;/b&gt; column" in text
    assert not hooks.posts[-1]["attachments"]


def test_a_broken_report_does_not_stop_the_notice(
    open_store: Opener, mail: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(_: Any) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr("mfprefect.report.session_report", broken)
    store = open_store(post={"url": mail.url})
    session = run(store, ValueError("bad"))
    assert notices(store, session) == [("failed", "post", True)]
    assert attached(mail.messages[0]) == []
    assert "no report attached" in caplog.text
    assert "secret" not in caplog.text


def test_a_refused_mail_is_sent_again_without_the_report(open_store: Opener, mail: Any) -> None:
    store = open_store(post={"url": mail.url})
    mail.refuses = True
    session = run(store, ValueError("bad"))
    assert notices(store, session) == [("failed", "post", False)]
    mail.refuses = False
    assert retry_undelivered(store.database) == (1, 0)
    assert attached(mail.messages[0]) == []
