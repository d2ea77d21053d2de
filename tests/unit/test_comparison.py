"""Two sessions' scores compared by each database, against scipy and numpy."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats
from sklearn.metrics import brier_score_loss, roc_auc_score

import mfprefect
from mfprefect import InvalidValue, Store, UnknownSession
from mfprefect.cli import cli


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url) as store:
        store.add_model("churn")
        yield store


def scored(store: Store, scores: Any, first: int = 0, **options: Any) -> str:
    model = options.pop("model", "churn")
    with store.session(model, purpose="score", **options) as session:
        ids = [f"c{number}" for number in range(first, first + len(scores))]
        session.write_scores(pd.DataFrame({"id": ids, "score": scores}), entity_id="id")
        session.close(publish=False)
    return session.session_id


def trained(store: Store, auc: float) -> str:
    with store.session("churn", purpose="train") as session:
        session.log_metrics({"auc": auc, "only_here": auc} if auc > 0.8 else {"auc": auc})
    return session.session_id


def top(scores: Any, share: float) -> Any:
    """Return who is among the top ⌈share·n⌉, less those that would split a tie."""
    k = math.ceil(Fraction(str(share)) * len(scores))  # in binary, 0.07 · 600 is above 42
    return np.array([np.count_nonzero(scores >= score) <= k for score in scores])


def test_against_scipy(store: Store) -> None:
    rng = np.random.default_rng(8)
    one = rng.random(700).round(2)  # ties
    other = (one + rng.normal(scale=0.2, size=700)).round(3)
    a = scored(store, one, parent=trained(store, 0.8))
    b = scored(store, other[100:], first=100, parent=trained(store, 0.9))
    comparison = store.compare_scores(a, b)
    x, y = one[100:], other[100:]
    assert (comparison["rows_a"], comparison["rows_b"], comparison["rows"]) == (700, 600, 600)
    assert comparison["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert comparison["mean_difference"] == pytest.approx(np.mean(y - x), abs=1e-12)
    assert comparison["mean_abs_difference"] == pytest.approx(np.mean(np.abs(y - x)), abs=1e-12)
    assert comparison["max_abs_difference"] == pytest.approx(np.max(np.abs(y - x)), abs=1e-12)
    assert (comparison["agreement"], comparison["both"], comparison["threshold_a"]) == (
        None,
        None,
        None,
    )
    assert comparison["metrics"] == [
        {"metric_name": "auc", "a": 0.8, "b": 0.9, "difference": pytest.approx(0.1)}
    ]
    for value, kind in ((0.5, "probability"), (0.07, "population")):
        store.set_threshold("churn", value, kind)
        comparison = store.compare_scores(a, b)
        if kind == "probability":
            acted = x >= value, y >= value
        else:
            acted = top(x, value), top(y, value)
        assert comparison["agreement"] == np.mean(acted[0] == acted[1])
        assert comparison["both"] == np.count_nonzero(acted[0] & acted[1])
        assert comparison["only_a"] == np.count_nonzero(acted[0] & ~acted[1])
        assert comparison["only_b"] == np.count_nonzero(~acted[0] & acted[1])
        assert sum(comparison[k] for k in ("both", "only_a", "only_b", "neither")) == 600
        assert comparison["threshold_b"] == {"value": value, "kind": kind}
    same = store.compare_scores(a, a)
    assert (same["agreement"], same["spearman"], same["max_abs_difference"]) == (1, 1, 0)
    back = store.compare_scores(b, a)
    assert back["spearman"] == pytest.approx(comparison["spearman"])
    assert back["only_a"] == comparison["only_b"]


def test_what_cannot_be_compared(store: Store) -> None:
    a, other = scored(store, [0.1, 0.2]), scored(store, [0.1, 0.2], first=5)
    with pytest.raises(InvalidValue, match="no entity in common"):
        store.compare_scores(a, other)
    with pytest.raises(InvalidValue, match="has no scores"):
        store.compare_scores(a, trained(store, 0.8))
    with pytest.raises(UnknownSession):
        store.compare_scores(a, "nobody")
    with store.session("churn") as running, pytest.raises(InvalidValue, match="is running"):
        store.compare_scores(a, running.session_id)
    constant = scored(store, [0.5, 0.5])
    assert store.compare_scores(a, constant)["spearman"] is None
    # Two models, each at its own threshold.
    store.add_model("second")
    store.set_threshold("churn", 0.15)
    store.set_threshold("second", 0.05)
    comparison = store.compare_scores(a, scored(store, [0.2, 0.1], model="second"))
    assert (comparison["agreement"], comparison["only_b"], comparison["spearman"]) == (0.5, 1, -1)


def test_what_really_happened(store: Store) -> None:
    rng = np.random.default_rng(2)
    actual = (rng.random(500) < 0.4).astype(float)
    good = np.clip(0.3 + 0.4 * actual + rng.normal(scale=0.15, size=500), 0.01, 0.99)
    bad = np.clip(good + rng.normal(scale=0.4, size=500), 0.01, 0.99)
    a, b = scored(store, bad), scored(store, good[50:], first=50)
    actual[:100] = np.nan  # not known yet
    outcomes = pd.DataFrame({"who": [f"c{n}" for n in range(500)], "left": actual})
    outcomes = outcomes.sample(frac=1, random_state=1)
    comparison = store.compare_scores(a, b, outcomes, entity_id="who", actual="left")["outcomes"]
    assert comparison["rows"] == 400
    auc, brier, log_loss = comparison["metrics"]
    assert auc["a"] == pytest.approx(roc_auc_score(actual[100:], bad[100:]))
    assert auc["b"] == pytest.approx(roc_auc_score(actual[100:], good[100:]))
    assert 0 < auc["low"] < auc["difference"] < auc["high"]
    assert brier["b"] == pytest.approx(brier_score_loss(actual[100:], good[100:]))
    assert brier["high"] < 0
    assert log_loss["method"].startswith("paired bootstrap of 1000 repeats, seed ")
    numbers = store.compare_scores(a, b, outcomes.assign(left=good.mean()), entity_id="who",
                                   actual="left")  # fmt: skip
    assert [m["metric_name"] for m in numbers["outcomes"]["metrics"]] == ["rmse", "mae"]
    for wrong, text in (
        (outcomes, "no column 'entity_id'"),
        (outcomes.rename(columns={"who": "entity_id"}), "no column 'actual'"),
        (pd.DataFrame({"entity_id": ["c1", "c1"], "actual": [0, 1]}), "'c1' twice"),
        (pd.DataFrame({"entity_id": ["z"], "actual": [0]}), "none of the 1 entities"),
    ):
        with pytest.raises(InvalidValue, match=text):
            store.compare_scores(a, b, wrong)


def test_the_command_line(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    with mfprefect.connect(url) as store:
        store.create_schema()
        store.add_model("churn")
        a = scored(store, [0.1, 0.6, 0.9], parent=trained(store, 0.7))
        b = scored(store, [0.2, 0.4, 0.9], parent=trained(store, 0.8))
        store.set_threshold("churn", 0.5)
    run = CliRunner()
    done = run.invoke(cli, ["compare", a, b, "--url", url, "--json"])
    scores = json.loads(done.stdout)["scores"]
    assert (scores["agreement"], scores["only_a"]) == (pytest.approx(2 / 3), 1)
    text = run.invoke(cli, ["compare", a, b, "--url", url]).stdout
    for words in ("rank correlation", "equal decisions", "probability 0.5", "3 of 3 and 3"):
        assert words in text
    assert "Metrics of the two models" in text
    file = tmp_path / "outcomes.csv"
    file.write_text("entity_id,actual\nc0,0\nc1,1\nc2,1\n")
    done = run.invoke(cli, ["compare", a, b, "--url", url, "--outcomes", str(file)])
    assert "Metrics of the scores, on 3 known outcomes" in done.stdout
    done = run.invoke(cli, ["compare", a, b, "--url", url, "--outcomes", str(file),
                            "--actual", "left"])  # fmt: skip
    assert done.exit_code == 1
    assert "no column 'left'" in done.stderr
