"""Predict whether a breast tumour is malignant, on real data of 569 patients in Wisconsin.

The data comes with scikit-learn.
Deploy `flows/breast_cancer.py:train` and `flows/breast_cancer.py:score`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pandera.pandas as pa
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import mfprefect


class BreastCancer(mfprefect.Model):
    """Logistic regression on 30 measurements of cell nuclei."""

    model_id = "breast_cancer"
    description = "Probability that a breast tumour is malignant, from 30 measurements of its cells"
    entity_id = "patient_id"
    target = "malignant"
    checks = pa.DataFrameSchema(
        {
            "patient_id": pa.Column(str, unique=True),
            "malignant": pa.Column(int, pa.Check.isin([0, 1])),
            "mean radius": pa.Column(float, pa.Check.in_range(1, 50)),
            "mean smoothness": pa.Column(float, pa.Check.in_range(0, 1)),
        }
    )
    max_age = dt.timedelta(days=9)  # scored every Monday
    gates = (mfprefect.Gate("auc", at_least=0.95), mfprefect.Gate("brier", at_most=0.1))

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        """Return all patients with the result of their biopsy."""
        data = load_breast_cancer(as_frame=True)
        # The data set has no ids: the row number is the id. Its 0 means malignant.
        malignant = (data.target == 0).astype(int)
        frame: pd.DataFrame = data.data.assign(malignant=malignant)
        frame.insert(0, "patient_id", [f"patient-{number:03d}" for number in range(len(frame))])
        return frame

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Pipeline:
        """Return a logistic regression on standardised measurements."""
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=1_000))
        return model.fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        """Return the patients without the result of their biopsy."""
        return self.training_data(as_of).drop(columns="malignant")

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        """Return the results of the biopsies, which are known for all patients."""
        actual = self.training_data(as_of)[["patient_id", "malignant"]]
        return actual.rename(columns={"malignant": "actual"})


train, score, monitor = BreastCancer.flows()
