"""What happened in a database before it is upgraded: each kind of session, ending and decision."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

import mfprefect
from mfprefect import Gate, Session, Store
from mfprefect.errors import ChecksFailed, GateFailed, InvalidValue
from upgradekit import inside
from upgradekit.keys import HMAC_KEY, SEAL_KEY
from upgradekit.models import Churn, Passing, Picky, Signed, Strict
from upgradekit.places import Place

__all__ = ["CRASH", "crash", "write_history"]

CRASH = "--crash"
"""The argument of the script with which it opens a session and dies."""
DAYS = [dt.date(2026, month, 1) for month in range(1, 8)]


def write_history(place: Place, archive: Path, script: Path) -> None:
    """Make the whole history in an empty database.

    Args:
        place: the database.
        archive: a folder for the sessions that are pruned.
        script: what is run with `CRASH` to have a process that dies.
    """
    with mfprefect.connect() as store:
        store.create_schema()
        _lifecycle(store)
        _by_hand(store, script)
        _retention(store, archive)
    with _settings(MFPREFECT_SIGNING_KEY=HMAC_KEY), mfprefect.connect() as store:
        _signed(store)
    keys = {"MFPREFECT_SEAL_KEY": SEAL_KEY, "MFPREFECT_VERIFY_KEYS__BEFORE": HMAC_KEY}
    with _settings(**keys), mfprefect.connect() as store:
        _sealed(store)
        _interrupted(store)
        _spooled(store, place)


@contextmanager
def _settings(**variables: str) -> Iterator[None]:
    with mock.patch.dict(os.environ, variables):
        yield


# Models, by their flows


def _lifecycle(store: Store) -> None:
    train, score, monitor = Churn.flows()
    first = train(as_of=DAYS[0])
    store.set_threshold("churn", 0.5)
    store.promote("churn", first, reason="the first")
    scored = score(as_of=DAYS[0])
    store.export(scored, "crm")
    second = train(as_of=DAYS[1])
    store.set_threshold("churn", 0.25, "population")
    store.promote("churn", second, reason="newer data")
    _score_at_the_second_try()
    monitor(as_of=DAYS[1])
    store.rollback("churn", reason="the newer one is worse")
    score(as_of=DAYS[2], shadow=second)
    _score_in_vain(Churn, DAYS[3])
    _failed(Picky.flows().train(as_of=DAYS[0], return_state=True))
    _failed(Strict.flows().train(as_of=DAYS[0], return_state=True))
    missed = store.sessions("strict")["session_id"][0]
    store.promote("strict", missed, override="agreed with risk")
    Strict.flows().score(as_of=DAYS[0])
    store.retire("strict", reason="nobody needs it")


def _failed(state: Any) -> None:
    assert state.is_failed(), state


def _score_at_the_second_try() -> None:
    """Fail in part 2, and go on with the same session: part 1 is kept."""
    parts: list[int] = []

    def fail_once(_: Churn, part: int) -> None:
        parts.append(part)
        if parts.count(2) == 1 and part == 2:
            raise RuntimeError("died in part 2")

    with mock.patch.object(Churn, "before_part", fail_once):
        Churn.flows().score.with_options(retries=1)(as_of=DAYS[1])
    assert parts == [1, 2, 2], parts


def _score_in_vain(kind: type[Churn], as_of: dt.date) -> None:
    """Fail in part 2 for good: what was seen of part 1 stays."""

    def fail(_: Churn, part: int) -> None:
        if part == 2:
            raise RuntimeError("died in part 2")

    with mock.patch.object(kind, "before_part", fail):
        _failed(kind.flows().score(as_of=as_of, return_state=True))


# Sessions, by hand


def _by_hand(store: Store, script: Path) -> None:
    store.set_input_column("customer", "balance", schema="crm", note="in thousands")
    store.set_input_column("customer", "name", schema="crm", valid=False, test=True)
    store.add_model("plain", "Written without flows", entity_type="customer", owner="analysts")
    with store.session("plain", "train", params={"depth": 3}, as_of=DAYS[0]) as training:
        _fill(training)
    with store.session("plain", "score", parent=training.session_id) as scoring:
        _score_parts(scoring)
    with store.session("plain", "monitor") as monitoring:
        _drift(monitoring, scoring.session_id)
    with store.session("plain", "adhoc", tags=["hand", "made"]) as adhoc:
        adhoc.log_metadata({"note": "é 顧客 \\ ' \" % ;;\n;;\n$$ two\tlines"}, group="notes")
    with suppress(InvalidValue), store.session("plain", "trial") as trial:  # since 0004
        trial.log_metrics({"auc": 0.5})
    _endings(store, script)
    store.add_model("old name", "It gets another name")
    with store.session("old name") as session:
        session.log_metrics({"before": -0.0})
    store.rename_model("old name", "new name")
    with store.session("new name") as session:
        session.log_metrics({"after": 5e-324, "large": 1.7976931348623157e308})


def _endings(store: Store, script: Path) -> None:
    with suppress(ValueError), store.session("plain", "train") as failed:
        failed.log_metrics({"auc": 0.4})
        raise ValueError("no such column: incme")
    cancelled = store.session("plain", "score")
    cancelled.log_metadata({"result": "not needed"})
    cancelled.cancel("somebody changed their mind")
    subprocess.run([sys.executable, script, CRASH], check=False)
    with mfprefect.connect(heartbeat_seconds=0.1) as impatient:
        time.sleep(0.3)
        ended = impatient.reconcile(wait=True)
    assert list(ended["verdict"]) == ["crashed"], ended
    running = store.session("plain", "adhoc", params={"left": "open"})
    running.log_metrics({"so_far": 1.0})
    running.leave_open()


def crash() -> None:
    """Open a session, write a part of its scores, and die."""
    store = mfprefect.connect()
    session = store.session("plain", "score")
    session.log_metrics({"before_the_crash": 1.0})
    session.write_scores(_scores(1), entity_id="entity_id", part=1)
    session.flush()
    os._exit(9)


def _fill(session: Session) -> None:
    """Write something into every table that a session writes to."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"age": [30.0, 41.5, None], "city": ["Bonn", "Köln", None]})
    score = rng.uniform(size=60).round(2)
    actual = (score + rng.normal(scale=0.3, size=60) > 0.5).astype(int)
    session.log_metrics({"own": 0.1 + 0.2})
    session.log_metrics({"own": 1 / 3}, segment="city=Köln")
    session.log_metadata({"sources": "crm.customer", "options": {"depth": [1, None]}})
    columns = {"age": "float", "city": "text"}
    session.log_input("crm", query="select 1", rows=3, columns=columns, digest="d" * 64)
    session.log_input_summary(frame)
    with suppress(ChecksFailed):
        session.log_checks(frame, [_some_rows, _all_ages])
    session.log_test_results(actual, score)
    importance = pd.DataFrame({"variable": ["age", "city"], "importance": [0.7, 0.1]})
    session.log_variable_importance(importance, kind="permutation")
    backtest = pd.DataFrame({"period": ["2026-01"], "predicted": [1.0], "actual": [2]})
    session.log_backtest(backtest)
    session.save_model(b"a model of another language")
    session.log_gates([Gate("auc", at_least=0.5), Gate("own", at_most=1.0, segment="city=Köln")])


def _some_rows(frame: pd.DataFrame) -> bool:
    return len(frame) > 2


def _all_ages(frame: pd.DataFrame) -> Any:
    return frame["age"].notna()


def _scores(part: int) -> pd.DataFrame:
    names = [f"e{part}{number:02d}" for number in range(20)]
    score = np.linspace(0.01, 0.99, 20) / part
    classes = ["low" if number < 10 else None for number in range(20)]
    return pd.DataFrame({"entity_id": names, "score": score, "score_class": classes})


def _score_parts(session: Session) -> None:
    for part in (1, 2):
        session.write_scores(
            _scores(part), entity_id="entity_id", score_class="score_class", part=part
        )


def _drift(session: Session, reference: str) -> None:
    columns = ["variable", "measure", "value", "threshold", "verdict"]
    rows = [["age", "psi", 0.31, 0.25, "alarm"], ["city", "ks", None, None, "unknown"]]
    session.log_drift(pd.DataFrame(rows, columns=columns), reference=reference)


# What is not kept


def _retention(store: Store, archive: Path) -> None:
    """Archive and delete the first training of a model, and a scoring that failed with it."""
    train = Passing.flows().train
    train(as_of=DAYS[0])
    _score_in_vain(Passing, DAYS[0])
    train(as_of=DAYS[1])
    with inside.archived_in(archive):
        plan = store.prune("passing", keep_sessions=1, failed_days=1e-6, archive_to=archive)
    assert list(plan["verdict"]) == ["keep", "delete", "delete"], plan
    with store.session("plain", "score") as emptied:
        _score_parts(emptied)
    store.delete_scores(emptied.session_id)
    with store.session("plain") as deleted:
        deleted.log_metrics({"gone": 1})
    store.delete_session(deleted.session_id)
    store.add_model("given up")
    with store.session("given up") as session:
        session.log_metrics({"gone": 1})
    store.delete_model("given up")


# Keys


def _signed(store: Store) -> None:
    """Go on with a key that signs seals, events and models."""
    train, score, _ = Signed.flows()
    store.promote("signed", train(as_of=DAYS[0]))
    score(as_of=DAYS[0])
    # It cannot be compared with the model in production, which nobody signed.
    _failed(Churn.flows().train(as_of=DAYS[4], return_state=True))


def _sealed(store: Store) -> None:
    """Go on with a key of which only one half signs."""
    with store.session("signed", "adhoc") as session:
        session.log_metrics({"signed_by_ed25519": 1})
    with suppress(GateFailed), store.session("plain", "train") as missed:
        missed.log_metrics({"auc": 0.4})
        missed.log_gates([Gate("auc", at_least=0.5), Gate("gini", at_least=0.1)])


# The database is away


def _spooled(store: Store, place: Place) -> None:
    """Leave three sessions in the spool: all of one, the end of one, and a flow that failed.

    None is opened after the first one has ended: that would deliver it.
    """
    train = store.session("plain", "train", as_of=DAYS[1])
    train.log_metrics({"in_the_database": 1})
    train.flush()
    with _Away(place) as away:
        _fail_in_the_spool(away)
        with mfprefect.connect() as cut_off, cut_off.session("plain", "adhoc") as begun_here:
            begun_here.log_metrics({"spooled": 0.5})
        assert begun_here.status == "spooled"
        with train:
            _fill(train)
        assert train.status == "spooled"


def _fail_in_the_spool(away: _Away) -> None:
    """Let a scoring fail whose database goes away before its first part is read."""

    def leave(_: Churn, part: int) -> None:
        away.begin()
        if part == 2:
            raise RuntimeError("died in part 2")

    with mock.patch.object(Signed, "before_part", leave):
        _failed(Signed.flows().score(as_of=DAYS[2], return_state=True))


class _Away:
    """A database that goes away once, when it is told."""

    def __init__(self, place: Place) -> None:
        self._away = place.away()
        self._begun = False

    def __enter__(self) -> _Away:
        return self

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._away.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._away.__exit__(None, None, None)


# Deletions that were cut off


def _interrupted(store: Store) -> None:
    """Begin to delete a session, a model and scores, as if there were too many for one step."""
    with store.session("plain", "score") as session:
        _score_parts(session)
    with inside.interrupted_deletion():
        store.delete_session(session.session_id)
    store.add_model("half gone", "It is being deleted")
    with store.session("half gone", "score") as session:
        _score_parts(session)
    with inside.interrupted_deletion():
        store.delete_model("half gone")
    store.add_model("emptied", "Its scores are being deleted")
    with store.session("emptied", "score") as session:
        _score_parts(session)
    with inside.interrupted_deletion():
        store.delete_scores(session.session_id)
    _large(store)


def _large(store: Store) -> None:
    """Score so many rows that PostgreSQL keeps them in a table of their own."""
    store.add_model("large", "As if it had millions of scores")
    with inside.large_parts(), store.session("large", "score") as session:
        _score_parts(session)
