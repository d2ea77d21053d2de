"""Figures over scores that the database computes, held against numpy and our own pure figures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sklearn.metrics import roc_curve

import mfprefect
from mfprefect import Store
from mfprefect.errors import InvalidValue, UnknownSession
from mfprefect.quality.drift import psi
from mfprefect.quality.metrics.binary import binary_metrics
from mfprefect.quality.metrics.curve import rank
from mfprefect.testing.contract.helpers import fit

TINY = 5e-324  # the smallest denormal


def cases() -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    random = np.random.default_rng(20)
    return {
        "uniform": random.random(997),
        "ties": np.round(random.beta(1, 8, 1200), 2),
        "negative": random.normal(-3, 2, 500),
        "zeros": np.array([0.0, -0.0, 0.0, -0.0, 1.0, -1.0, 0.5]),
        "denormal": np.array([TINY, 3 * TINY, 2.5e-310, 0.0, -TINY, 7 * TINY]),
        "wide": np.array([TINY, 1.0, -1e-300, 1e300, 2e-200, -1e300]),
        "far from zero": 1e9 + random.random(800) * 1e-3,
        "huge": np.array([1.7e308, 1.6e308, 1.7e308, 1.5e308]),
        "one": np.array([0.25]),
        "constant": np.full(300, 0.1),
        "two values": np.array([0.3, 0.7] * 5),
    }


CASES = cases()


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url) as opened:
        opened.add_model("churn")
        yield opened


def written(store: Store, scores: Any, ids: Any = None) -> str:
    ids = [f"c{i}" for i in range(len(scores))] if ids is None else ids
    with store.session("churn", purpose="score") as session:
        session.write_scores(pd.DataFrame({"id": ids, "score": scores}), entity_id="id")
    return session.session_id


@pytest.fixture
def sessions(store: Store) -> dict[str, str]:
    return {name: written(store, scores) for name, scores in CASES.items()}


def test_summary(store: Store, sessions: dict[str, str]) -> None:
    for name, scores in CASES.items():
        summary = store.score_summary(sessions[name], distinct=True)
        assert summary["n"] == len(scores)
        assert (summary["min"], summary["max"]) == (scores.min(), scores.max()), name
        assert summary["distinct"] == len(np.unique(scores)), name
        scale = abs(scores).max()
        exact = math.fsum(scores / scale) / len(scores) * scale
        assert summary["mean"] == pytest.approx(exact, rel=1e-12, abs=1e-15 * scale + TINY), name
        sd = np.std(scores / scale, ddof=1) * scale if len(scores) > 1 else None
        if name == "far from zero":
            sd = np.std(scores - 1e9, ddof=1)  # the subtraction is exact
            assert summary["sd"] == pytest.approx(sd, rel=1e-9)
        elif name == "constant":
            assert summary["sd"] == 0.0
        elif sd is None:
            assert summary["sd"] is None
        else:
            assert summary["sd"] == pytest.approx(sd, rel=1e-12, abs=2 * TINY), name


def test_histogram_with_edges(store: Store, sessions: dict[str, str]) -> None:
    random = np.random.default_rng(3)
    for name, scores in CASES.items():
        at = np.unique(np.r_[random.choice(scores, 20), np.quantile(scores / 2, [0.1, 0.5, 0.9])])
        frame = store.score_histogram(sessions[name], edges=at.tolist())
        below = np.searchsorted(np.sort(scores), at, side="right")
        assert frame["count"].tolist() == np.diff(np.r_[0, below, len(scores)]).tolist(), name
        assert frame["lower"].tolist() == [-math.inf, *at]
        assert frame["upper"].tolist() == [*at, math.inf]
    none = store.score_histogram(sessions["uniform"], edges=[])
    assert none["count"].tolist() == [997]
    most = np.arange(100) / 100
    frame = store.score_histogram(sessions["ties"], edges=most.tolist())
    values, counts = np.unique(CASES["ties"], return_counts=True)
    # 0.07 is the same double however it was made: an edge is in the bin below it.
    assert len(frame) == 101
    got = dict(zip(frame["upper"], frame["count"], strict=True))
    for value, count in zip(values, counts, strict=True):
        assert got[float(most[np.argmin(abs(most - value))])] == count


def test_histogram_of_equal_bins_is_that_of_numpy(store: Store, sessions: dict[str, str]) -> None:
    for name, scores in CASES.items():
        for bins in (1, 7, 100):
            frame = store.score_histogram(sessions[name], bins=bins)
            if name == "denormal":  # whose places numpy computes by a division that overflows
                edges = np.histogram_bin_edges(scores, bins)
                place = np.searchsorted(edges[1:-1], scores, side="right")
                counts = np.bincount(place, minlength=bins)
            else:
                counts, edges = np.histogram(scores, bins=bins)
            assert frame["count"].tolist() == counts.tolist(), (name, bins)
            assert [*frame["lower"], frame["upper"].iloc[-1]] == edges.tolist(), (name, bins)


def test_no_equal_bins_where_doubles_lie_no_closer(store: Store) -> None:
    for scores in ([1.0, 1.0 + 2**-52], [-1.7e308, 1.7e308]):
        session_id = written(store, scores)
        with pytest.raises(InvalidValue, match="pass edges instead"):
            store.score_histogram(session_id, bins=100)
        assert store.score_histogram(session_id, edges=[1.0])["count"].tolist() == [1, 1]
        assert store.score_quantiles(session_id, [0, 1])["value"].tolist() == scores


def test_quantiles(store: Store, sessions: dict[str, str]) -> None:
    asked = [0, 0.001, 0.07, 0.1, 0.25, 1 / 3, 0.5, 0.5, 0.9, 0.999, 1, 0.29]
    for name, scores in CASES.items():
        frame = store.score_quantiles(sessions[name], asked)
        expected = np.quantile(scores, asked, method="inverted_cdf")
        assert frame["probability"].tolist() == asked
        assert frame["value"].tolist() == expected.tolist(), name
    assert store.score_quantiles(sessions["one"], []).empty


def test_psi_is_that_of_drift(store: Store, sessions: dict[str, str]) -> None:
    for name, reference in CASES.items():
        for other in ("uniform", "ties", "denormal", "one", name):
            for bins in (2, 10, 100):
                result = store.score_psi(sessions[name], sessions[other], bins)
                expected = psi(reference, CASES[other], bins)
                assert result["value"] == pytest.approx(expected, rel=1e-9, abs=1e-12), (
                    name,
                    other,
                )
                assert sum(result["expected"]) == len(reference)
                assert sum(result["actual"]) == len(CASES[other])
                assert len(result["edges"]) + 1 == len(result["expected"])
    quantiles = np.quantile(CASES["uniform"], np.arange(1, 10) / 10)
    result = store.score_psi(sessions["uniform"], sessions["ties"])
    assert result["edges"] == pytest.approx(quantiles.tolist(), rel=1e-12)


def outcomes(store: Store, name: str, ids: Any, actual: Any, kinds: Any = None) -> None:
    """Make a table of outcomes, as a team would have one."""
    key, kind = kinds or (sa.String(64), sa.Integer())
    table = sa.Table(name, sa.MetaData(), sa.Column("entity_id", key), sa.Column("actual", kind))
    with store.database.engine.begin() as connection:
        table.create(connection)
        rows = [{"entity_id": i, "actual": a} for i, a in zip(ids, actual, strict=True)]
        connection.execute(table.insert(), rows)


@pytest.mark.parametrize("name", ["uniform", "ties", "negative", "zeros", "wide", "constant"])
def test_lift_is_that_of_the_metrics(store: Store, name: str) -> None:
    scores = CASES[name]
    random = np.random.default_rng(8)
    happened = (random.random(len(scores)) < 0.3).astype(int)
    happened[:2] = 0, 1
    session_id = written(store, scores)
    ids = [f"c{i}" for i in range(len(scores))]
    # Others were never scored; of some it is not known yet.
    known_ids = ids[: -len(ids) // 5]
    actual = [*happened[: len(known_ids)].tolist(), 1, 0, *([None] * (len(ids) - len(known_ids)))]
    outcomes(store, "Real Outcomes", [*known_ids, "x", "C0", *ids[len(known_ids) :]], actual)
    ranking = rank(happened[: len(known_ids)], scores[: len(known_ids)])
    metrics = binary_metrics(ranking)

    frame = store.score_lift(session_id, "Real Outcomes")
    assert frame["share"].tolist() == [0.01, 0.05, 0.1, 0.2]
    for row in frame.to_dict("records"):
        percent = round(row["share"] * 100)
        assert row["rows"] == -(-percent * len(known_ids) // 100)
        assert row["lift"] == pytest.approx(metrics[f"lift_{percent}"], rel=1e-9)
        assert row["capture"] == pytest.approx(metrics[f"capture_{percent}"], rel=1e-9)
        assert row["threshold"] == np.sort(scores[: len(known_ids)])[::-1][row["rows"] - 1]
    everyone = store.score_lift(session_id, "Real Outcomes", at=[1])
    assert (everyone["lift"][0], everyone["capture"][0]) == (1.0, 1.0)


def test_capture_is_the_recall_of_scikit_learn(store: Store) -> None:
    scores = CASES["uniform"]
    happened = np.random.default_rng(5).random(len(scores)) < scores
    session_id = written(store, scores)
    outcomes(store, "seen", [f"c{i}" for i in range(len(scores))], happened.astype(int).tolist())
    _, recall, cuts = roc_curve(happened, scores, drop_intermediate=False)
    shares = [0.03, 0.5, 0.77]
    for row in store.score_lift(session_id, "seen", shares).to_dict("records"):
        assert row["capture"] == pytest.approx(recall[list(cuts).index(row["threshold"])], rel=1e-9)


@pytest.mark.parametrize("kind", [sa.Boolean(), sa.Double(), sa.Numeric(3, 1), sa.SmallInteger()])
def test_outcomes_of_other_types_and_names(store: Store, kind: Any) -> None:
    ids, actual = list(range(8)), [1, 0, 1, 1, 0, 0, 0, 0]
    session_id = written(store, np.arange(8) / 8, ids)
    as_kind = bool if isinstance(kind, sa.Boolean) else int
    outcomes(store, "o", ids, [as_kind(a) for a in actual], (sa.BigInteger(), kind))
    with store.database.engine.begin() as connection:
        connection.execute(
            sa.text("CREATE VIEW seen AS SELECT entity_id AS customer, actual AS churned FROM o")
        )
        home = sa.inspect(connection).default_schema_name
    frame = store.score_lift(
        session_id, f"{home}.seen", [0.5], entity_id="customer", actual="churned"
    )
    assert (frame["positives"][0], frame["threshold"][0]) == (0.0 + sum(actual[4:]), 0.5)
    frame = store.score_lift(session_id, "seen", [0.75], entity_id="customer", actual="churned")
    assert (frame["positives"][0], frame["lift"][0]) == (2.0, 2 / 6 / (3 / 8))


def test_ids_are_compared_byte_for_byte(store: Store) -> None:
    ids = fit(store, ["a", "A", "a ", "é", "x" * 255, "12"])
    session_id = written(store, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], ids)
    outcomes(
        store, "o", ["A", "é", "x" * 256, "012", "12"], [1, 0, 1, 1, 0], (sa.Text(), sa.Integer())
    )
    frame = store.score_lift(session_id, "o", [0.3, 1])
    assert frame["rows"].tolist() == [1, 3]
    assert frame["threshold"].tolist() == [0.8, 0.4]
    assert frame["lift"].tolist() == [3.0, 1.0]


def test_outcomes_that_cannot_be_used(store: Store) -> None:
    session_id = written(store, [0.1, 0.2, 0.3, 0.4])
    ids = ["c0", "c1", "c2", "c3"]
    outcomes(store, "good", ids, [0, 1, 0, 1])
    outcomes(store, "twice", [*ids, "c1"], [0, 1, 0, 1, 1])
    outcomes(store, "others", ["x", "y"], [0, 1])
    outcomes(store, "odd", ids, [0, 1, 2, -1])
    outcomes(store, "all_one", ids, [1, 1, 1, 1])
    outcomes(store, "texts", ids, ["0", "1", "0", "1"], (sa.String(9), sa.String(9)))
    refused = {
        "goood": "no table or view 'goood'.*holds: .*good",
        "nowhere.good": "no schema 'nowhere'; schemas: ",
        "good; DROP TABLE good": "no table or view",
        "good ": "no table or view 'good '",
        "": "no table or view ''",
        "twice": "1 rows of 'twice' repeat an entity, such as 'c1'",
        "others": "none of the 4 entities",
        "odd": "2 of 4 values of 'actual' in 'odd' are not 0, 1 or NULL",
        "all_one": "all 4 outcomes are 1",
        "texts": "it must hold 0 and 1",
    }
    for name, message in refused.items():
        with pytest.raises(InvalidValue, match=message):
            store.score_lift(session_id, name)
    with pytest.raises(InvalidValue, match="no column 'id'; its columns: actual, entity_id"):
        store.score_lift(session_id, "good", entity_id="id")
    for share in (0, -0.1, 1.5, True, "a", math.nan):
        with pytest.raises(InvalidValue, match="the share is"):
            store.score_lift(session_id, "good", [share])  # type: ignore[list-item]
    with pytest.raises(InvalidValue, match="at most 50"):
        store.score_lift(session_id, "good", [i / 51 for i in range(1, 52)])
    fifty = store.score_lift(session_id, "good", [i / 50 for i in range(1, 51)])
    assert fifty["capture"].iloc[-1] == 1


def test_only_published_scores_count(store: Store) -> None:
    published = written(store, [0.1, 0.2])
    with store.session("churn", purpose="score") as session:
        frame = pd.DataFrame({"id": ["a", "b"], "score": [0.5, 0.6]})
        session.write_scores(frame, entity_id="id")
        running = session.session_id
        for figure in figures(store, running, published):
            with pytest.raises(InvalidValue, match="no published scores"):
                figure()
    assert store.score_summary(running)["n"] == 2
    with store.session("churn") as training:
        pass
    for session_id, error in ((training.session_id, InvalidValue), ("nobody", UnknownSession)):
        for figure in figures(store, session_id, published):
            with pytest.raises(error, match=session_id):
                figure()


def figures(store: Store, session_id: str, other: str) -> list[Any]:
    return [
        lambda: store.score_summary(session_id),
        lambda: store.score_histogram(session_id),
        lambda: store.score_histogram(session_id, edges=[0.5]),
        lambda: store.score_quantiles(session_id, [0.5]),
        lambda: store.score_psi(session_id, other),
        lambda: store.score_psi(other, session_id),
        lambda: store.score_lift(session_id, "anything"),
    ]


@pytest.mark.parametrize("figure", range(5))
def test_a_session_that_is_deleted_meanwhile(store: Store, figure: int) -> None:
    scores = CASES["uniform"]
    session_id, other = written(store, scores), written(store, scores)
    ids = [f"c{i}" for i in range(len(scores))]
    outcomes(store, "o", ids, (scores > 0.5).astype(int).tolist())
    choices: list[Callable[[], Any]] = [
        lambda: store.score_summary(session_id)["mean"],
        lambda: store.score_histogram(session_id, edges=[0.5])["count"].sum(),
        lambda: store.score_quantiles(session_id, [0.5])["value"][0],
        lambda: store.score_psi(session_id, other)["value"],
        lambda: store.score_lift(session_id, "o", [0.1])["lift"][0],
    ]
    compute = choices[figure]
    expected = compute()
    deleted: list[str] = []

    def delete(*arguments: Any) -> None:
        if "row_total" in arguments[2] and not deleted:
            deleted.append(session_id)
            store.delete_session(session_id)

    sa.event.listen(store.database.engine, "after_cursor_execute", delete)
    try:
        figures = compute()
    except InvalidValue as exc:  # the database shows each statement what is there by then
        assert re.search("changed while|no published scores|none of the 997", str(exc))
    else:  # or all of them what was there at first
        assert figures == expected
    assert deleted


def test_arguments_that_are_refused(store: Store) -> None:
    session_id = written(store, [0.1, 0.2])
    for edges in ([0.2, 0.1], [0.1, 0.1], [math.nan], [math.inf], ["a"], [0.0, -0.0]):
        with pytest.raises(InvalidValue, match="edges"):
            store.score_histogram(session_id, edges=edges)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="101 edges"):
        store.score_histogram(session_id, edges=list(range(101)))
    for bins in (0, 101, 2.0, True):
        with pytest.raises(InvalidValue, match="bins is"):
            store.score_histogram(session_id, bins=bins)  # type: ignore[arg-type]
    for bins in (1, 101):
        with pytest.raises(InvalidValue, match="bins is"):
            store.score_psi(session_id, session_id, bins)
    for p in (-0.1, 1.1, math.nan, "0.5", True):
        with pytest.raises(InvalidValue, match="the probability is"):
            store.score_quantiles(session_id, [p])  # type: ignore[list-item]


def test_no_figure_pulls_rows(store: Store) -> None:
    scores = np.random.default_rng(1).random(5000)
    one, two = written(store, scores), written(store, scores**2)
    outcomes(store, "o", [f"c{i}" for i in range(5000)], (scores > 0.7).astype(int).tolist())
    rows = 0
    fetch, one_row = sa.CursorResult.__iter__, sa.CursorResult.one

    def each(result: Any) -> Iterator[Any]:
        nonlocal rows
        for row in fetch(result):
            rows += 1
            yield row

    def single(result: Any) -> Any:
        nonlocal rows
        rows += 1
        return one_row(result)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sa.CursorResult, "__iter__", each)
        patch.setattr(sa.CursorResult, "one", single)
        store.score_summary(one)
        store.score_histogram(one, bins=100)
        store.score_quantiles(one, [0.1, 0.9])
        store.score_psi(one, two, 10)
        store.score_lift(one, "o")
    # A row a bin, quantile or cut-off; reflection and sessions beside.
    assert 150 < rows < 250
