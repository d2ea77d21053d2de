"""How far does diabetes progress within a year? On scikit-learn's real data of 442 patients.

A regression. Deploy `flows/diabetes.py:train` and `flows/diabetes.py:score`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pandera.pandas as pa
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import mfprefect
from mfprefect.checks import Columns, NullShare, Range, RowCount, Unique


class Diabetes(mfprefect.Model):
    """Ridge regression on ten measurements of a patient."""

    model_id = "diabetes"
    description = "Progression of diabetes within a year (25 to 346), from ten measurements"
    entity_id = "patient_id"
    target = "progression"
    model_type = "regression"
    checks = (
        pa.DataFrameSchema(
            {
                "age": pa.Column(float, pa.Check.in_range(0, 120)),
                "sex": pa.Column(float, pa.Check.isin([1, 2])),
                "progression": pa.Column(float, pa.Check.gt(0)),
            }
        ),
        RowCount(at_least=100),
        NullShare(at_most=0),
        Range(margin=0.5, severity="warning"),
        Unique("patient_id"),
        Columns(),
    )
    gates = (mfprefect.Gate("r2", at_least=0.35), mfprefect.Gate("rmse", at_most=65))
    max_age = dt.timedelta(days=9)  # it is scored each Monday

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        """Return all patients, with how far the disease had progressed a year later."""
        data = load_diabetes(as_frame=True, scaled=False)
        # The data set has no ids: a patient's is its place in it.
        frame: pd.DataFrame = data.data
        frame.insert(0, "patient_id", [f"patient-{number:03d}" for number in range(len(frame))])
        frame["progression"] = data.target
        return frame

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Pipeline:
        """Return a ridge regression on standardised measurements."""
        return make_pipeline(StandardScaler(), Ridge(alpha=10)).fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        """Return the patients without what is known a year later."""
        return self.training_data(as_of).drop(columns="progression")

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        """Return how far the disease had progressed, which is known of every patient by now."""
        known = self.training_data(as_of)[["patient_id", "progression"]]
        return known.rename(columns={"progression": "actual"})


train, score, monitor = Diabetes.flows()
