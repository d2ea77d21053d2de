"""Traces of an entity: what readers saw when, and where each score comes from."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import random
from typing import Any

import pandas as pd
import pytest

import mfprefect
from mfprefect import Session, Store
from mfprefect.errors import InvalidValue, UnknownModel
from mfprefect.provenance import capture, environment
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.store.sessions.opening import SessionRequest, open_session
from mfprefect.testing.contract.helpers import fit
from mfprefect.util import values

A, B = "a" * 40, "b" * 40
DAY = dt.date(2026, 11, 3)


def _scored(store: Store, scores: dict[str, float], **options: Any) -> Session:
    with store.session("churn", purpose="score", **options) as session:
        frame = pd.DataFrame({"id": [*scores], "score": [*scores.values()]})
        session.log_input("crm", query="select 1", rows=len(frame), digest="2:d1")
        session.write_scores(frame, entity_id="id")
    return session


def test_a_score_is_traced_to_its_code_data_and_people(store: Store) -> None:
    with store.session("churn", purpose="train") as training:
        training.save_model(b"the model")
        training.log_file(b"no model", "notes.txt")
        training.log_metrics({"own": 0.9})
        training.log_gates([mfprefect.Gate("own", at_least=0.5)])
    store.promote("churn", training.session_id, reason="better")
    store.set_threshold("churn", 0.5, "probability")
    session = _scored(
        store, {"7": 0.75, "8": 0.25}, as_of=DAY, parent=training.session_id, tags=["x"]
    )
    store.set_threshold("churn", 0.9, "probability")  # after these scores
    trace = store.trace("churn", 7)
    (score,) = trace.scores
    row = store.show(session.session_id).iloc[0]
    assert (trace.model_id, trace.entity_id, trace.on, trace.deleted) == ("churn", "7", None, ())
    assert (score.score, score.score_class, score.as_of) == (0.75, None, DAY)
    assert (score.session_id, score.seal) == (session.session_id, row["seal"])
    assert score.published_at == score.newest_from == row["published_at"]
    assert (score.newest_until, score.replaced_by, score.current_until) == (None, None, None)
    assert (score.part_no, score.run.attempt, score.run.run_by) == (1, 1, row["run_by"])
    assert (score.run.commit, score.run.started_at) == (row["git_commit"], row["started_at"])
    assert (score.deployment, score.flow_run_id, score.scheduled) == (None, None, None)
    assert [dataclasses.astuple(read) for read in score.inputs] == [("crm", 2, "2:d1")]
    assert score.input_count == 1
    assert score.model is not None and score.threshold is not None
    assert score.model.session_id == training.session_id
    assert score.model.artifacts == {"model": hashlib.sha256(b"the model").hexdigest()}
    assert score.model.promotion is not None
    assert (score.model.promotion.reason, score.model.promotion.override) == ("better", None)
    assert (score.threshold.value, score.threshold.kind) == (0.5, "probability")
    assert score.decision == "acted on"
    (other,) = store.trace("churn", "8").scores
    assert other.decision == "not acted on"
    # What a reader saw at a later moment was judged by the threshold of that moment.
    (now,) = store.trace("churn", "7", on=values.utc_now()).scores
    assert now.threshold is not None
    assert (now.threshold.value, now.decision) == (0.9, "not acted on")
    json.dumps(dataclasses.asdict(trace), default=str)


def test_what_was_the_newest_at_a_moment(store: Store) -> None:
    """The oracle is what `latest_scores` said at each moment."""
    chance = random.Random(3)
    people = fit(store, ["a", "A", "a ", "it's", "é😀", "42"])
    seen: list[tuple[dt.datetime, dict[str, str]]] = []
    for _ in range(12):
        day = DAY + dt.timedelta(days=chance.randrange(4))
        chosen = chance.sample(people, chance.randrange(1, len(people)))
        session = store.session("churn", purpose="score", as_of=day)
        frame = pd.DataFrame({"id": chosen, "score": [chance.random() for _ in chosen]})
        session.write_scores(frame, entity_id="id")
        if chance.random() < 0.2:
            session.fail(OSError("nobody sees these"))
        else:
            session.close()
        latest = store.latest_scores("churn", *people)
        seen.append(
            (values.utc_now(), dict(zip(latest["entity_id"], latest["session_id"], strict=True)))
        )
    for person in people:
        everything = store.trace("churn", person)
        published = [score.published_at for score in everything.scores]
        assert published == sorted(published, reverse=True)
        for moment, latest_sessions in seen:
            scores = store.trace("churn", person, on=moment).scores
            assert [s.session_id for s in scores] == [
                session for id_, session in latest_sessions.items() if id_ == person
            ]
        # One day, unless the test ran over midnight.
        days = {seen[0][0].date(), values.utc_now().date()}
        today = {s.session_id for day in days for s in store.trace("churn", person, day).scores}
        newest = {s.session_id for s in everything.scores if s.newest_from is not None}
        assert today == newest
    assert store.trace("churn", people[0], on=DAY).scores == ()  # nothing was published by then


def test_a_backfill_and_a_session_without_the_entity(store: Store) -> None:
    first = _scored(store, {"a": 0.1}, as_of=DAY)
    backfill = _scored(store, {"a": 0.2}, as_of=DAY - dt.timedelta(days=1))
    without = _scored(store, {"b": 0.3}, as_of=DAY + dt.timedelta(days=1))
    newest = _scored(store, {"a": 0.4}, as_of=DAY + dt.timedelta(days=2))
    by_session = {score.session_id: score for score in store.trace("churn", "a").scores}
    assert [*by_session] == [newest.session_id, backfill.session_id, first.session_id]
    old, never = by_session[first.session_id], by_session[backfill.session_id]
    assert old.newest_until == by_session[newest.session_id].published_at
    assert old.replaced_by == newest.session_id
    shown = store.get_sessions(without.session_id)["published_at"][0]
    assert old.current_until == shown
    assert (never.newest_from, never.newest_until, never.replaced_by) == (None, None, None)
    assert never.current_until == never.published_at
    assert by_session[newest.session_id].newest_until is None


def test_a_share_of_the_population_decides_by_rank(store: Store) -> None:
    store.set_threshold("churn", 0.3, "population")
    _scored(store, {f"e{n}": n / 10 for n in range(10)})
    decisions = {n: store.trace("churn", f"e{n}").scores[0].decision for n in range(10)}
    assert [n for n, decision in decisions.items() if decision == "acted on"] == [7, 8, 9]


def test_deleted_scores_are_named(store: Store) -> None:
    lost, gone, stays = (_scored(store, {"a": 0.1, "b": 0.2}) for _ in range(3))
    store.rename_model("churn", "leavers")
    before = values.utc_now()
    store.delete_scores(lost.session_id)
    store.delete_session(gone.session_id)
    store.session("leavers").close()
    trace = store.trace("leavers", "a")
    assert [score.session_id for score in trace.scores] == [stays.session_id]
    deleted = {d.session_id: d for d in trace.deleted}
    assert [*deleted] == [lost.session_id, gone.session_id]
    for entry in deleted.values():
        assert entry.deleted_at is not None
        assert entry.published_at < before < entry.deleted_at
        assert (entry.rows, bool(entry.deleted_by)) == (2, True)
    assert len(store.trace("leavers", "a", on=before).deleted) == 2
    assert store.trace("leavers", "a", on=values.utc_now()).deleted == ()
    assert store.trace("leavers", "a", on=dt.date(2020, 1, 1)).deleted == ()
    store.rename_model("leavers", "churn")


def test_a_part_is_of_the_attempt_that_wrote_it(store: Store) -> None:
    def attempt(number: int, commit: str) -> Session:
        code = dataclasses.replace(capture(), commit=commit, dirty=False, author=f"By {commit[0]}")
        run = FlowRun("run-1", str(number), "churn/nightly", ("auto-scheduled", "team"))
        request = SessionRequest(
            model_id="churn",
            purpose="score",
            params="{}",
            as_of=None,
            parent_session_id=None,
            provenance=code,
            environment=environment(),
            flow_run=run,
            tags=json.dumps(run.tags),
        )
        return mfprefect.Session(store.database, open_session(store.database, request))

    first = attempt(1, A)
    first.write_scores(pd.DataFrame({"id": ["a"], "score": [0.1]}), entity_id="id", part=1)
    first.fail(OSError("link down"))
    second = attempt(2, B)
    assert second.keep_part(1) == 1
    second.write_scores(pd.DataFrame({"id": ["b"], "score": [0.2]}), entity_id="id", part=2)
    second.close()
    for entity, part, number, commit in (("a", 1, 1, A), ("b", 2, 2, B)):
        (score,) = store.trace("churn", entity).scores
        assert (score.part_no, score.run.attempt, score.run.commit) == (part, number, commit)
        assert score.run.author == f"By {commit[0]}"
        assert (score.deployment, score.flow_run_id) == ("churn/nightly", "run-1")
        assert score.scheduled is True
        assert score.model is None


def test_a_trace_refuses_what_is_none(store: Store) -> None:
    assert store.trace("churn", "nobody").scores == ()
    assert store.trace("churn", "x" * 255, on="2026-11-03T08:30+01:00").scores == ()
    with pytest.raises(UnknownModel, match="churn"):
        store.trace("nothing", "a")
    for on in ("yesterday", "2026-13-01", "2026-11-03T08:30", dt.datetime(2026, 11, 3, 8), 7):
        with pytest.raises(InvalidValue, match="on"):
            store.trace("churn", "a", on=on)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="entity id"):
        store.trace("churn", 7.0)  # type: ignore[arg-type]
