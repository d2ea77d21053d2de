"""Notices of every kind about real sessions of a made-up churn model, to look at."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Gate, Session, Store
from mfprefect.errors import ChecksFailed, GateFailed
from mfprefect.notifications.notice import Notice
from mfprefect.quality.drift import drift_row
from mfprefect.quality.drift.features import feature_drift
from mfprefect.quality.gates.verdicts import Champion
from mfprefect.store.notifications import content, summary

__all__ = ["sample_notices", "sample_store"]

MODEL = "churn"
TODAY = dt.date(2026, 11, 30)
GATES = (
    Gate("auc", at_least=0.7),
    Gate("brier", at_most=0.2),
    Gate("auc", not_worse_than_production_by=0.01),
)
CHECKS = pa.DataFrameSchema(
    {
        "customer_id": pa.Column(str, unique=True),
        "tenure": pa.Column(float, pa.Check.in_range(0, 600)),
        "price": pa.Column(float, pa.Check.ge(0)),
        "region": pa.Column(str, pa.Check.isin(["north", "south", "east", "west"])),
    }
)


@contextmanager
def sample_store(folder: Path) -> Iterator[Store]:
    """Open an empty store whose dead sessions are noticed at once."""
    url = f"sqlite:///{folder / 'samples.db'}"
    with mfprefect.connect(url, environment="production", heartbeat_seconds=0.2) as store:
        store.create_schema()
        yield store


def sample_notices(store: Store) -> Iterator[tuple[str, Notice]]:
    """Yield names and notices, from sessions that this makes in an empty store."""
    store.add_model(MODEL, "Who leaves within three months", max_age=dt.timedelta(days=8))
    champion = _training(store, quality=1.0)
    yield "waiting_for_promotion", _notice(store, champion, "waiting_for_promotion")
    store.promote(MODEL, champion.session_id, reason="agreed with marketing")
    before = _scoring(store, champion, TODAY - dt.timedelta(days=1), price=15)
    yield "gate_failed", _notice(store, _training(store, quality=0.6), "gate_failed")
    yield "checks_failed", _notice(store, _checked(store), "checks_failed")
    yield "crashed", _crashed(store)
    drifted = _scoring(store, champion, TODAY, price=24)
    yield "drift", _notice(store, drifted, "drift")
    yield "outcomes", _notice(store, _unmatched(store, before), "drift")
    yield "spooled", _spooled()
    yield "digest", _digest(store)


def _notice(store: Store, session: Session, event: str) -> Notice:
    row = content.session_row(store.database, session.session_no)
    if row is None:
        raise AssertionError(f"session {session.session_id} is gone")
    return content.build_notice(store.database, row, event, "ops")


def _customers(price: float, rows: int = 2_000, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": [f"C{i:05d}" for i in range(rows)],
            "tenure": random.gamma(2, 20, rows).round(),
            "price": random.normal(price, 3, rows).round(2),
            "region": random.choice(
                ["north", "south", "east", "west"], rows, p=[0.4, 0.3, 0.2, 0.1]
            ),
        }
    )


def _training(store: Store, quality: float) -> Session:
    frame = _customers(15)
    random = np.random.default_rng(2)
    risk = 1 / (1 + np.exp(frame["tenure"] / 20 - 2))
    actual = (random.uniform(size=len(frame)) < risk).astype(int)
    noise = random.uniform(size=len(frame))
    score = quality * risk + (1 - quality) * noise
    champion = None
    if (production := store.production(MODEL)) is not None:
        champion = Champion(production, actual, score, risk)
    session = store.session(MODEL, "train", as_of=TODAY)
    try:
        with session:
            session.log_input_summary(frame.drop(columns="customer_id"))
            session.log_test_results(actual, score)
            session.save_model(LogisticRegression().fit(frame[["tenure", "price"]], actual))
            session.log_gates(GATES, champion)
    except GateFailed:
        pass
    return session


def _scoring(store: Store, training: Session, as_of: dt.date, price: float) -> Session:
    frame = _customers(price, seed=3)
    if price > 20:
        frame["region"] = frame["region"].where(frame.index % 3 > 0, "east")
    reference = store.input_summary(training.session_id)
    with store.session(MODEL, "score", as_of=as_of, parent=training.session_id) as session:
        summarised = session.log_input_summary(
            frame.drop(columns="customer_id"), reference=reference
        )
        session.log_drift(feature_drift(reference, summarised), training.session_id)
        scores = frame[["customer_id"]].assign(score=0.5)
        session.write_scores(scores, entity_id="customer_id")
    return session


def _checked(store: Store) -> Session:
    frame = _customers(15)
    frame.loc[frame.index < 17, "price"] = -1
    frame.loc[frame.index % 9 == 0, "region"] = "North"
    session = store.session(MODEL, "score", as_of=TODAY)
    try:
        with session:
            session.log_checks(frame, CHECKS)
    except ChecksFailed:
        pass
    return session


def _crashed(store: Store) -> Notice:
    """Let a process die in the middle of its session, and find that out."""
    url = store.database.settings.url.get_secret_value()
    code = (
        "import datetime as dt, os, sys, mfprefect\n"
        f"store = mfprefect.connect({url!r})\n"
        f"session = store.session({MODEL!r}, 'score', as_of=dt.date({TODAY:%Y, %-m, %-d}))\n"
        "print(session.session_no, flush=True)\n"
        "os._exit(9)\n"
    )
    dead = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False
    )
    time.sleep(2 * store.database.settings.heartbeat_seconds)
    store.reconcile()
    row = content.session_row(store.database, int(dead.stdout))
    if row is None:
        raise AssertionError("the dead session is gone")
    return content.build_notice(store.database, row, row.status, "ops")


def _unmatched(store: Store, scoring: Session) -> Session:
    text = (
        "none of 412 outcomes belongs to one of 2000 scores: an id of the scores is 'C00000', one "
        "of the outcomes '17' (column 'customer'). Ids are compared as text; let "
        f"outcomes({TODAY}) return the ids that scoring_data returned."
    )
    with store.session(MODEL, "monitor", as_of=TODAY) as session:
        session.log_metadata({scoring.session_id: text}, "outcomes")
        session.log_metadata({"drift_of": scoring.session_id}, "monitor")
        row = drift_row("outcomes", "unmatched_share", 1.0, 0.99)
        session.log_drift([row], scoring.session_id)
    return session


def _spooled() -> Notice:
    now = dt.datetime.now(dt.UTC)
    return Notice(
        event="spooled",
        model_id=MODEL,
        session_id="churn-20261130-060012-k3q7xa",
        purpose="train",
        attempt=1,
        status="spooled, succeeded",
        started_at=now - dt.timedelta(hours=2),
        ended_at=now,
        run_by="factory",
        host="worker-3",
        as_of=TODAY,
        cause_kind="the database is away",
        cause_text="It waits in /var/lib/mfprefect/spool; `mfprefect spool push` delivers it.",
        environment="production",
    )


def _digest(store: Store) -> Notice:
    target = mfprefect.settings.Target.model_validate({"url": "json://localhost"})
    week_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=7)
    rows = summary.summary_rows(store.database, "ops", target, since=week_ago)
    return summary.build_summary(store.database, rows)
