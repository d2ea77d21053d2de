"""What a promotion would change: by each database and by numpy, against scipy and by hand."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import mfprefect
from mfprefect import AlreadyPromoted, Gate, InvalidValue, Store, UnknownModel, UnknownSession
from mfprefect.quality.drift import psi
from mfprefect.quality.score_changes import OperatingThreshold, score_changes

ACTED, NOT_ACTED = "acted on", "not acted on"


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url) as store:
        store.add_model("churn")
        yield store


def trained(store: Store, features: list[str] | None = None, auc: float = 0.8) -> str:
    with store.session("churn", purpose="train") as session:
        session.log_metrics({"auc": auc})
        if features is not None:
            frame = pd.DataFrame({name: [1.0, 2.0, None] for name in features})
            session.log_input_summary(frame)
        session.log_gates([Gate("auc", at_least=0.7)])
    return session.session_id


def scored(store: Store, scores: Any, parent: str, as_of: str, **options: Any) -> str:
    classes, publish = options.pop("classes", None), options.pop("publish", False)
    frame = pd.DataFrame({"id": [f"c{no}" for no in range(len(scores))], "score": scores})
    frame = frame if classes is None else frame.assign(word=classes)
    with store.session("churn", purpose="score", parent=parent, as_of=as_of, **options) as session:
        session.write_scores(frame, "id", score_class=None if classes is None else "word")
        session.close(publish=publish)
    return session.session_id


def figures(plan: Any) -> dict[str, float]:
    return dict(zip(plan.movement["measure"], plan.movement["value"], strict=True))


def sides_of(plan: Any, measure: str) -> list[float]:
    row = plan.movement[plan.movement["measure"] == measure].iloc[0]
    return [row["production"], row["candidate"]]


def drawn(n: int = 700) -> tuple[Any, Any]:
    rng = np.random.default_rng(8)
    one = rng.beta(2, 5, n).round(2)  # ties
    return one, np.clip(one + rng.normal(scale=0.1, size=n), 0, 1).round(3)


def test_stored_scores_are_compared_by_the_database(store: Store) -> None:
    x, y = drawn()
    champion, challenger = trained(store), trained(store, auc=0.9)
    store.promote("churn", champion)
    main = scored(store, x, champion, "2026-01-31", publish=True)
    scored(store, y, challenger, "2026-01-30")  # of another day
    shadow = scored(store, y, challenger, "2026-01-31", params={"shadow_of": main})
    plan = store.plan("churn", challenger)
    assert (plan.production_session_id, plan.rows) == (champion, 700)
    assert plan.basis == f"stored scores of {main} and {shadow}"
    value = figures(plan)
    assert value["psi"] == pytest.approx(psi(x, y), rel=1e-12)
    assert value["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert value["mean_abs_difference"] == pytest.approx(np.abs(y - x).mean(), rel=1e-12)
    assert value["max_abs_difference"] == np.abs(y - x).max()
    for share in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        name = f"q{round(share * 100):02}"
        assert sides_of(plan, name) == [
            np.quantile(s, share, method="inverted_cdf") for s in (x, y)
        ]
    assert sides_of(plan, "max") == [x.max(), y.max()]
    assert plan.flips.empty
    assert plan.flipped is None
    assert "`mfprefect threshold churn VALUE` sets it" in plan.verdicts[1]
    for threshold, kind in ((0.3, "probability"), (0.07, "population"), (1.0, "population")):
        store.set_threshold("churn", threshold, kind)
        plan = store.plan("churn", challenger)
        a, b = acted(x, threshold, kind), acted(y, threshold, kind)
        counts = plan.flips.set_index(["production", "candidate"])["rows"].to_dict()
        words = {True: ACTED, False: NOT_ACTED}
        expected = {
            (words[p], words[q]): int(((a == p) & (b == q)).sum()) for p in words for q in words
        }
        assert counts == {pair: count for pair, count in expected.items() if count}
        assert plan.flipped == int((a != b).sum())
        assert plan.threshold == {"value": threshold, "kind": kind}


def acted(score: Any, threshold: float, kind: str) -> Any:
    if kind == "probability":
        return score >= threshold
    top = math.ceil(round(threshold * len(score), 9))
    return np.array([np.count_nonzero(score >= value) <= top for value in score])


def test_classes_decide_without_a_threshold(store: Store) -> None:
    champion, challenger = trained(store), trained(store)
    store.promote("churn", champion)
    scored(store, [0.5, 0.6, 0.7], champion, "2026-01-31", classes=["a", "a", "B"])
    scored(store, [0.6, 0.6, 0.9], challenger, "2026-01-31", classes=["a", "b", "B"])
    plan = store.plan("churn", challenger)
    assert plan.flips.to_dict("records") == [
        {"production": p, "candidate": c, "rows": 1, "share": 1 / 3, "flipped": p != c}
        for p, c in (("B", "B"), ("a", "a"), ("a", "b"))
    ]
    assert "1 of 3 flip (33.3 %): 1 from a to b" in plan.verdicts[1]


def test_scores_that_are_passed(store: Store) -> None:
    x, y = drawn()
    champion, challenger = trained(store), trained(store)
    store.promote("churn", champion)
    store.set_threshold("churn", 0.3)
    region = np.where(np.arange(700) % 3 == 0, "north", "south").astype(object)
    region[5] = None
    frame = pd.DataFrame({"production": x, "candidate": y, "region": region})
    plan = store.plan("churn", challenger, frame)
    counts = plan.segments.set_index("segment")
    assert counts["rows"].to_dict() == {
        "region=north": 234,
        "region=south": 465,
        "region=<NULL>": 1,
    }
    north = region == "north"
    flips = (x >= 0.3) != (y >= 0.3)
    assert counts.loc["region=north", "flipped"] == flips[north].sum()
    assert counts.loc["region=north", "production_acted"] == (x[north] >= 0.3).sum()
    assert counts.loc["region=north", "candidate_acted"] == (y[north] >= 0.3).sum()
    assert counts.loc["region=north", "candidate_mean"] == pytest.approx(y[north].mean())
    assert plan.segments["flipped_share"].is_monotonic_decreasing
    with pytest.raises(InvalidValue, match="lack the column 'candidate'"):
        store.plan("churn", challenger, frame[["production"]])
    with pytest.raises(InvalidValue, match="1 are NaN or infinite"):
        store.plan("churn", challenger, frame.assign(candidate=[math.nan, *y[1:]]))
    with pytest.raises(InvalidValue, match="at least one"):
        store.plan("churn", challenger, frame.head(0))


def test_what_a_candidate_needs(store: Store) -> None:
    champion, challenger = trained(store, ["age", "income"]), trained(store, ["age", "visits"])
    store.promote("churn", champion)
    store.set_input_column("customer", "visits", schema="crm", test=True)
    plan = store.plan("churn", challenger)
    columns = plan.columns.set_index("name")
    assert columns["needed_by"].to_dict() == {
        "visits": "candidate",
        "income": "production",
        "age": "both",
    }
    assert columns.index.tolist()[0] == "visits"
    assert columns["type"].tolist() == ["numeric"] * 3
    assert columns.loc["visits", "registry"] == "crm.customer: only for tests"
    assert columns.loc["age", "registry"] is None
    assert plan.verdicts[3] == "data: new: visits; no longer needed: income"


def test_who_reads_the_scores(schema_url: str) -> None:
    exports = {"crm": {"table": "scores_for_crm"}}
    targets = {
        "ops": {"url": "json://localhost", "models": ["churn"]},
        "others": {"url": "json://localhost", "models": ["fraud"]},
    }
    with mfprefect.connect(schema_url, exports=exports, notify=targets) as store:
        store.add_model("churn")
        champion, challenger = trained(store), trained(store)
        store.promote("churn", champion, reason="the first")
        assert store.plan("churn", challenger).readers["kind"].tolist() == ["notice"]
        published = scored(store, [0.1, 0.2], champion, "2026-01-31", publish=True)
        store.export(published, "crm")
        store.export(published, "crm")
        plan = store.plan("churn", challenger)
        readers = plan.readers
        assert readers["kind"].tolist() == ["views"] * 3 + ["export", "notice"]
        assert readers["name"].tolist()[-2:] == ["crm", "ops"]
        assert readers["detail"].iloc[3] == "table scores_for_crm, 2 rows"
        assert readers["session_id"].tolist()[:4] == [published] * 4
        assert readers["as_of"].iloc[3] == dt.date(2026, 1, 31)
        assert "localhost" not in str(readers.to_dict())
        assert plan.verdicts[4] == (
            "readers: views published_scores, latest_scores, current_scores; export crm; notice ops"
        )


def test_a_plan_changes_nothing_and_says_what_stops_a_promotion(store: Store) -> None:
    champion = trained(store)
    plan = store.plan("churn", champion)
    assert plan.production_session_id is None
    assert plan.verdicts[:3] == (
        "scores: not compared: nothing is in production",
        "decisions: not compared",
        "gates: 1 of 1 passed",
    )
    store.promote("churn", champion)
    with pytest.raises(AlreadyPromoted):
        store.plan("churn", champion)
    with pytest.raises(UnknownSession):
        store.plan("churn", "nobody")
    with pytest.raises(UnknownModel):
        store.plan("fraud", champion)
    scoring = scored(store, [0.1], champion, "2026-01-31", publish=True)
    with pytest.raises(InvalidValue, match="cannot be promoted"):
        store.plan("churn", scoring)
    with store.session("churn", purpose="train") as ungated:
        ungated.log_metrics({"auc": 0.9})
    events = store.audit_log()["event_no"].max()
    plan = store.plan("churn", ungated.session_id)
    assert plan.problems == ("it was held against no gate",)
    assert plan.verdicts[2] == "gates: none; promote refuses it: it was held against no gate"
    assert "have no scorings of the same day" in plan.verdicts[0]
    assert store.audit_log()["event_no"].max() == events
    assert len(store.sessions("churn")) == 3


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0]), st.floats(-1, 1, width=16)),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([("probability", 0.5), ("population", 0.1), ("population", 0.99)]),
)
def test_any_scores(pairs: list[tuple[float, float]], threshold: tuple[str, float]) -> None:
    x, y = map(np.array, zip(*pairs, strict=True))
    kind, value = threshold
    changes = score_changes(x, y, threshold=OperatingThreshold(value, kind))
    expected = stats.spearmanr(x, y).statistic if len(set(x)) > 1 and len(set(y)) > 1 else None
    if expected is None:
        assert changes.spearman is None
    else:
        assert changes.spearman == pytest.approx(expected, abs=1e-12)
    assert changes.psi == pytest.approx(psi(x, y), abs=1e-12)
    assert changes.flipped == int((acted(x, value, kind) != acted(y, value, kind)).sum())
    assert sum(changes.decisions.values()) == len(x)


def test_psi_by_hand() -> None:
    """Ten bins of one production score each; the candidate puts all rows into the first one."""
    production = np.arange(10.0)
    changes = score_changes(production, np.zeros(10))
    e, a = np.full(10, 0.1), np.array([1.0, *[1e-4] * 9])  # shares are at least 1e-4
    assert changes.psi == pytest.approx(float(((a - e) * np.log(a / e)).sum()), rel=1e-12)
    assert changes.movement().set_index("measure").loc["psi", "verdict"] == "alarm"
    same = score_changes(production, production)
    assert (same.psi, same.max_abs_difference) == (0, 0)
    assert same.spearman == pytest.approx(1)
