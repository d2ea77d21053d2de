"""A store with sessions of every kind, for tests and pictures of reports and of the console."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

import mfprefect
from mfprefect import Session, Store
from mfprefect.quality.drift.features import feature_drift

__all__ = ["CHECKS", "HOSTILE", "Examples", "customers", "fails", "fill", "score", "train"]

CHECKS = pa.DataFrameSchema(
    {
        "tenure": pa.Column(float, pa.Check.ge(0)),
        "age": pa.Column(float, pa.Check.le(90, raise_warning=True), nullable=True),
    }
)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202e\x1b[31m & ]]> $x^2$"


def customers(n: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Return the input of a model, in the kinds of variables that there are."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "tenure": rng.gamma(2, 12 + 8 * shift, n),
            "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(45, 14, n).clip(18, 90)),
            "plan": rng.choice(["basic", "plus", "family"], n, p=[0.6, 0.3, 0.1]),
            "active": rng.random(n) < 0.7,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 999, n), "D"),
        }
    )


def score_of(frame: pd.DataFrame) -> Any:
    return 1 / (1 + np.exp(frame["tenure"] / 20 - 1))


def train(store: Store, seed: int, model: str = "churn", **params: Any) -> Session:
    """Train: everything that a training session can store."""
    frame = customers(800, seed)
    score = score_of(frame)
    actual = np.random.default_rng(seed).random(800) < score
    importances = pd.DataFrame(
        {"variable": frame.columns, "importance": np.arange(5) / 9, "std": 0.02}
    )
    with store.session(model, "train", params=params) as session:
        session.log_input("warehouse", query="select 1", rows=800 + seed, columns={"age": "f"})
        session.log_checks(frame, CHECKS)
        session.log_input_summary(frame)
        session.log_test_results(actual, score)
        session.log_test_results(actual[:400], score[:400], segment="region=north")
        session.log_variable_importance(importances, "permutation")
        session.log_metadata({"target": "left"}, "model")
        session.save_model(b"blob")
        session.log_gates([mfprefect.Gate("auc", at_least=0.5)])
    return session


def score(store: Store, trained: Session, seed: int, shift: float = 0.0) -> Session:
    """Score: what the score flow stores."""
    frame, reference = customers(600, seed, shift), store.input_summary(trained.session_id)
    with store.session("churn", "score", parent=trained.session_id) as session:
        summary = session.log_input_summary(frame, reference=reference)
        session.log_drift(feature_drift(reference, summary), trained.session_id)
        session.log_metrics({"rows_scored": 600})
        scores = pd.DataFrame({"entity_id": range(600), "score": score_of(frame)})
        session.write_scores(scores, "entity_id")
    return session


def fails(store: Store, purpose: str, error: Exception | None, frame: Any = None) -> str:
    """Run a session that an error ends, by default that of its input checks."""
    session = store.session("churn", purpose)
    with suppress(type(error or mfprefect.ChecksFailed(""))), session:
        session.log_checks(customers(10, 0) if frame is None else frame, CHECKS)
        if error is not None:
            raise error
    return str(session.session_id)


@dataclass(frozen=True)
class Examples:
    """A store, and the ids of its sessions by what they are."""

    store: Store
    url: str
    ids: dict[str, str]
    _reports: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.ids[name]

    def report(self, name: str) -> str:
        """Return the report of a session, or that of the model `churn`, rendered once."""
        if name not in self._reports:
            store = self.store
            html = store.model_report("churn") if name == "model" else store.report(self[name])
            self._reports[name] = html
        return self._reports[name]


def fill(store: Store) -> dict[str, str]:
    """Run sessions of every kind; return their ids by what they are."""
    first, second = train(store, 1, depth=3), train(store, 2, depth=4, note="new")
    store.set_threshold("churn", 0.4)
    store.promote("churn", second.session_id, reason="better at <last>")
    scored = [score(store, second, 3), score(store, second, 4, shift=1.0)]
    candidate = train(store, 9, depth=5)
    negative = customers(10, 5).assign(tenure=-1.0)
    ids = {
        "first": first.session_id,
        "train": second.session_id,
        "score": scored[1].session_id,
        "candidate": candidate.session_id,
        "failed": fails(store, "train", RuntimeError("no <b>such</b> column\n  in line 2")),
        "checks": fails(store, "score", None, negative),
        "gate": fails(store, "train", mfprefect.GateFailed("auc is 0.61, below 0.75")),
    }
    with store.session("churn", "monitor") as monitor:
        monitor.log_metadata({"drift_of": ids["score"]}, "monitor")
        monitor.log_metrics({"auc": 0.7, "matched_share": 0.9})
        for session in scored:
            monitor.log_metrics({"auc": 0.7}, f"session={session.session_id}")
        drift = {"variable": "score", "measure": "psi_previous", "value": 0.3, "threshold": 0.25}
        monitor.log_drift([drift | {"verdict": "alarm"}], ids["score"])
    return ids | {"monitor": monitor.session_id} | _others(store)


def _others(store: Store) -> dict[str, str]:
    store.add_model("demand", "bicycles of tomorrow")
    days = [str(dt.date(2026, 9, 1) + dt.timedelta(days=day)) for day in range(30)]
    with store.session("demand", "train") as forecast:
        actual = 100 + 20 * np.sin(np.arange(30))
        frame = pd.DataFrame({"period": days, "predicted": actual + 1, "actual": actual})
        forecast.log_backtest(frame.assign(series="harbour"))
        forecast.log_metrics({"rmse": 1.0, "mae": 1.0, "r2": 0.98, "n": 30})
    with store.session("demand") as nothing:
        pass
    rng = np.random.default_rng(6)
    predicted = rng.gamma(2, 50, 400)
    with store.session("demand", "train") as numbers:
        numbers.log_test_results(
            predicted * rng.normal(1, 0.2, 400),
            predicted,
            model_type="regression",
            segments={"shop": ["a", "b"] * 200},
        )
    with store.session("demand", "score", parent=numbers.session_id) as forecasts:
        scores = pd.DataFrame({"entity_id": range(90), "score": np.linspace(200, 300, 90)})
        forecasts.write_scores(scores, "entity_id")
    names = [f"a class with a long name {k}" for k in range(7)]
    odds = pd.DataFrame(rng.dirichlet(np.ones(7), 300), columns=names)
    with store.session("demand", "train") as classes:
        classes.log_test_results(rng.permutation(odds.idxmax(axis=1)), odds)
    store.add_model(HOSTILE[:60], HOSTILE)
    with store.session(HOSTILE[:60], params={HOSTILE: HOSTILE}) as hostile:
        hostile.log_metrics({"<b>": 1.0}, segment="<i>x</i>")
        hostile.log_input_summary(pd.DataFrame({HOSTILE: [HOSTILE, "b"], "<u>": [1.0, 2.0]}))
        frame = pd.DataFrame({"variable": [HOSTILE, "<u>"], "importance": [1.0, 0.5]})
        hostile.log_variable_importance(frame, "<kind>")
        frame = pd.DataFrame({"period": ["<p>", "漢"], "predicted": 1.0, "actual": [1.0, 2.0]})
        hostile.log_backtest(frame.assign(series=HOSTILE))
        hostile.log_input(HOSTILE[:90], query=HOSTILE)
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 200)))
    wide.columns = pd.Index([f"a variable with a rather long name {n:03d}" for n in range(200)])
    with store.session("demand", "train") as large:
        large.log_input_summary(wide)
        values = wide.iloc[0].to_numpy()
        large.log_variable_importance(
            pd.DataFrame({"variable": wide.columns, "importance": values}), "gain"
        )
        large.log_test_results(values > 0, np.linspace(0, 1, 200))
        rows = [
            {"variable": name, "measure": "psi", "value": 0.3, "threshold": 0.25}
            | {"verdict": "alarm" if at % 2 else "ok"}
            for at, name in enumerate(wide.columns)
        ]
        large.log_drift(rows, forecast.session_id)
    return {
        "forecast": forecast.session_id,
        "numbers": numbers.session_id,
        "classes": classes.session_id,
        "forecasts": forecasts.session_id,
        "nothing": nothing.session_id,
        "hostile": hostile.session_id,
        "large": large.session_id,
    }
