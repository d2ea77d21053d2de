"""The models of the history: small, exact, and each of them with an ending of its own."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from prefect.task_runners import ThreadPoolTaskRunner
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Gate

ROWS = 240


def at_least_three_columns(frame: pd.DataFrame) -> bool:
    return len(frame.columns) >= 3


def no_extremes(frame: pd.DataFrame) -> Any:
    return frame["balance"] < 9.0


def nobody_is_rich(frame: pd.DataFrame) -> Any:
    return frame["balance"] < 0.5


class Churn(mfprefect.Model):
    """240 customers, two variables, scored in two parts."""

    model_id = "churn"
    description = "Who leaves within a month, é 顧客"
    entity_id = "customer_id"
    entity_type = "customer"
    target = "left"
    owner = "retention"
    parts = 2
    retries = 0
    retry_delay_seconds = 0.0
    checks = [at_least_three_columns, no_extremes]
    segments = ("region",)
    gates = [
        Gate("auc", at_least=0.6),
        Gate("auc", not_worse_than_production_by=0.2, undecided="pass"),
        Gate.checks(at_most=0),
        Gate.drift(at_most="warning"),
    ]
    max_age: ClassVar[dt.timedelta | None] = dt.timedelta(days=40)
    min_outcomes = 10
    tags = ("monthly",)
    # One at a time: which parts are there after a failure is always the same.
    task_runner = ThreadPoolTaskRunner(max_workers=1)

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        rng = np.random.default_rng(as_of.toordinal())
        frame = pd.DataFrame(rng.normal(size=(ROWS, 2)), columns=["balance", "visits"])
        noise = rng.normal(size=ROWS)
        frame["region"] = np.where(np.arange(ROWS) % 3 == 0, "north", "south")
        frame["left"] = (frame["balance"] + noise > 0).astype(int)
        frame["customer_id"] = [f"c{number:04d}" for number in range(ROWS)]
        return frame

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        return LogisticRegression().fit(features[["balance", "visits"]], target)

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return estimator.predict_proba(features[["balance", "visits"]])[:, 1]

    def score_class(self, score: Any) -> Any:
        return np.where(score > 0.5, "high", "low")

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        self.before_part(part)
        frame = self.training_data(as_of).drop(columns="left")
        return frame.iloc[part - 1 :: self.parts]

    def before_part(self, part: int) -> None:
        """Do what a history has happen before a part is read."""

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        frame = self.training_data(as_of)[["customer_id", "left"]]
        return frame.rename(columns={"left": "actual"})


class Strict(Churn):
    """Misses its gates, and is promoted all the same: somebody answers for it."""

    model_id = "strict"
    gates = [Gate("auc", at_least=0.999), Gate("brier", at_most=0.5)]


class Picky(Churn):
    """Refuses its data."""

    model_id = "picky"
    checks = [at_least_three_columns, nobody_is_rich]


class Passing(Churn):
    """Archived: a training and a scoring that failed, before a training that stays."""

    model_id = "passing"
    gates = [Gate("auc", at_least=0.6)]
    max_age = None


class Signed(Churn):
    """Trained and scored when there was a key."""

    model_id = "signed"
