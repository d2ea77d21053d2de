"""Predict how far diabetes progresses in a year, on scikit-learn's data of 442 real patients.

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
    max_age = dt.timedelta(days=9)  # scored every Monday

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        """Return all patients with the progression of the disease after a year."""
        data = load_diabetes(as_frame=True, scaled=False)
        # The data set has no ids: the row number is the id.
        frame: pd.DataFrame = data.data.assign(progression=data.target)
        frame.insert(0, "patient_id", [f"patient-{number:03d}" for number in range(len(frame))])
        return frame

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Pipeline:
        """Return a ridge regression on standardised measurements."""
        return make_pipeline(StandardScaler(), Ridge(alpha=10)).fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        """Return the patients without the progression."""
        return self.training_data(as_of).drop(columns="progression")

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        """Return the progression after a year, which is known for all patients."""
        actual = self.training_data(as_of)[["patient_id", "progression"]]
        return actual.rename(columns={"progression": "actual"})


train, score, monitor = Diabetes.flows()
