from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect.errors import InvalidValue
from mfprefect.retention import DELETE, DELETE_SCORES, KEEP, Limits, Retention, SessionFacts, judge
from mfprefect.retention import overridden as override

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
DAYS = st.none() | st.integers(1, 60).map(float)
LIMITS = st.builds(
    Limits,
    keep_days=DAYS,
    keep_sessions=st.none() | st.integers(1, 4),
    failed_days=DAYS,
    scores_days=DAYS,
    retired_days=DAYS,
)


def facts(number: int, days: float, **changes: object) -> SessionFacts:
    row = {
        "session_no": number,
        "session_id": f"s{number}",
        "model_id": "churn",
        "purpose": "score",
        "status": "succeeded",
        "ended_at": NOW - dt.timedelta(days=days),
    }
    row |= changes
    ended_at = row["ended_at"]
    assert isinstance(ended_at, dt.datetime)
    row.setdefault("day", ended_at.date())
    if row.pop("published", False):
        row["published_at"] = ended_at
    return SessionFacts(**row)  # type: ignore[arg-type]


@st.composite
def histories(draw: st.DrawFn) -> list[SessionFacts]:
    count = draw(st.integers(0, 25))
    sessions = []
    for number in range(1, count + 1):
        status = draw(st.sampled_from(["succeeded", "succeeded", "failed", "crashed", "running"]))
        left = draw(st.none() | st.integers(0, 60))
        changes = {
            "model_id": draw(st.sampled_from(["churn", "risk"])),
            "purpose": draw(st.sampled_from(["train", "score"])),
            "status": status,
            "published": status == "succeeded" and draw(st.booleans()),
            "needs": draw(st.frozensets(st.integers(1, max(1, number - 1)), max_size=2)),
            "protected": draw(st.sampled_from([None, None, None, "in production"])),
            "left_stage_at": None if left is None else NOW - dt.timedelta(days=left),
        }
        sessions.append(facts(number, (count - number) * draw(st.integers(1, 5)), **changes))
    return sessions


@settings(max_examples=50)
@given(histories(), LIMITS, LIMITS)
def test_whatever_the_limits_nothing_goes_that_is_needed(
    history: list[SessionFacts], churn: Limits, risk: Limits
) -> None:
    limits = {"churn": churn, "risk": risk}
    verdicts = judge(history, limits.__getitem__, NOW)
    assert [v.session for v in verdicts] == sorted(history, key=lambda s: -s.session_no)
    gone = {v.session.session_no: v for v in verdicts if v.verdict == DELETE}
    for verdict in verdicts:
        session, policy = verdict.session, limits[verdict.session.model_id]
        assert verdict.reason
        if session.session_no not in gone:
            assert not session.needs & gone.keys()
            continue
        assert session.status != "running"
        assert not session.protected
        days = (NOW - session.ended_at).days
        if session.status == "succeeded":
            assert policy.keep_days or policy.keep_sessions
            assert policy.keep_days is None or days > policy.keep_days
            later = [
                s
                for s in history
                if (s.model_id, s.purpose, s.status)
                == (session.model_id, session.purpose, "succeeded")
                and s.session_no > session.session_no
            ]
            assert len(later) >= (policy.keep_sessions or 1)
        else:
            assert days > (policy.failed_days or policy.keep_days or 1e9)
        if session.left_stage_at is not None:
            assert (NOW - session.left_stage_at).days > (policy.retired_days or 1e9)


@settings(max_examples=20)
@given(histories())
def test_without_limits_nothing_goes(history: list[SessionFacts]) -> None:
    assert not Retention().active
    assert {v.verdict for v in judge(history, Retention().of, NOW)} <= {KEEP}


def verdicts(history: list[SessionFacts], **limits: float) -> dict[str, str]:
    policy = Retention(**limits)  # type: ignore[arg-type]
    return {v.session.session_id: v.verdict for v in judge(history, policy.of, NOW)}


def test_age_and_count_together_let_go_what_both_let_go() -> None:
    history = [facts(1, 90), facts(2, 80), facts(3, 20), facts(4, 10)]

    def gone(**limits: float) -> list[str]:
        return [name for name, v in verdicts(history, **limits).items() if v == DELETE]

    assert gone(keep_days=30) == ["s2", "s1"]
    assert gone(keep_days=5) == ["s3", "s2", "s1"]  # the newest stays
    assert gone(keep_sessions=3) == ["s1"]
    assert gone(keep_days=30, keep_sessions=3) == ["s1"]
    assert gone(keep_days=85, keep_sessions=2) == ["s1"]
    assert gone(failed_days=1, scores_days=1, retired_days=1) == []


def test_failures_go_earlier_and_do_not_count() -> None:
    history = [facts(1, 90), facts(2, 40, status="failed"), facts(3, 5, status="crashed")]
    assert verdicts(history, failed_days=30) == {"s3": KEEP, "s2": DELETE, "s1": KEEP}
    assert verdicts(history, keep_days=60)["s2"] == KEEP
    assert verdicts(history, keep_sessions=1) == dict.fromkeys(["s1", "s2", "s3"], KEEP)


def test_scores_go_from_sessions_that_stay_but_not_the_latest() -> None:
    history = [facts(n, 100 - 10 * n, published=True, rows=9) for n in range(1, 5)]
    history += [facts(5, 1), facts(6, 70, status="failed", rows=9)]
    decisions = verdicts(history, scores_days=50, keep_days=85)
    assert [decisions[f"s{n}"] for n in range(1, 7)] == [DELETE, *[DELETE_SCORES] * 2, *[KEEP] * 3]


def test_scores_that_readers_see_as_the_latest_stay_after_a_backfill() -> None:
    day = dt.date(2026, 11, 1)
    history = [facts(1, 90, published=True, rows=9, day=day)]
    # The backfill of an older day ran last, and is what goes.
    history += [facts(n, 80, published=True, rows=9, day=dt.date(2026, 9, n)) for n in (2, 3)]
    history.append(facts(4, 70, purpose="score"))
    decisions = verdicts(history, keep_days=30)
    assert decisions == {"s4": KEEP, "s3": DELETE, "s2": DELETE, "s1": KEEP}
    # Of one day, the one published last counts.
    again = [*history[:1], facts(5, 60, published=True, rows=9, day=day)]
    assert verdicts(again, keep_days=30) == {"s5": KEEP, "s1": DELETE}


def test_a_models_own_limits_go_before_the_general_ones() -> None:
    policy = Retention(
        keep_days=30, failed_days=7, models={"risk": Limits(keep_days=3650, failed_days=None)}
    )
    assert policy.of("churn") == Limits(keep_days=30, failed_days=7)
    assert policy.of("risk") == Limits(keep_days=3650)
    assert override(policy, None, keep_days=5).of("risk").keep_days == 3650
    assert override(policy, None, keep_days=5).of("churn").keep_days == 5
    changed = override(policy, "risk", keep_days=5, failed_days=None)
    assert changed.of("risk") == Limits(keep_days=5)
    assert Retention(models={"risk": Limits(keep_days=1)}).active
    with pytest.raises(InvalidValue, match="keep_days = -1"):
        override(policy, None, keep_days=-1)
