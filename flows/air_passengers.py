"""Forecast air passengers for the next twelve months, on real figures of 1949 to 1960.

A time series: its last months are the test data, and `monitor` compares forecasts with actuals.
Deploy `flows/air_passengers.py:train`, `:score` and `:monitor`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from sklearn.linear_model import LinearRegression

import mfprefect
from mfprefect.checks import Columns, NullShare, RowCount, Unique

# International airline passengers in thousands, January 1949 to December 1960. Box, Jenkins and
# Reinsel: Time Series Analysis, Forecasting and Control, series G. No package that mfprefect
# needs ships a time series, so here are the 144 numbers.
PASSENGERS = (
    *(112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118),
    *(115, 126, 141, 135, 125, 149, 170, 170, 158, 133, 114, 140),
    *(145, 150, 178, 163, 172, 178, 199, 199, 184, 162, 146, 166),
    *(171, 180, 193, 181, 183, 218, 230, 242, 209, 191, 172, 194),
    *(196, 196, 236, 235, 229, 243, 264, 272, 237, 211, 180, 201),
    *(204, 188, 235, 227, 234, 264, 302, 293, 259, 229, 203, 229),
    *(242, 233, 267, 269, 270, 315, 364, 347, 312, 274, 237, 278),
    *(284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306),
    *(315, 301, 356, 348, 355, 422, 465, 467, 404, 347, 305, 336),
    *(340, 318, 362, 348, 363, 435, 491, 505, 404, 359, 310, 337),
    *(360, 342, 406, 396, 420, 472, 548, 559, 463, 407, 362, 405),
    *(417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432),
)
YEAR = 12


class AirPassengers(mfprefect.Model):
    """Growth over the same month of the previous year, on a log scale."""

    model_id = "air_passengers"
    description = "International airline passengers (thousands) in each of the next twelve months"
    entity_id = "month"
    entity_type = "month"
    target = "passengers"
    model_type = "time_series"
    period = "first_day"
    season = YEAR
    test_share = 0.1
    min_outcomes = YEAR
    checks = (
        pa.DataFrameSchema(
            {
                "month": pa.Column(str, pa.Check.str_matches(r"^\d{4}-\d{2}$")),
                "passengers": pa.Column(float, pa.Check.gt(0)),
                "year_ago": pa.Column(float, pa.Check.gt(0)),
            }
        ),
        RowCount(at_least=YEAR),
        NullShare(at_most=0),
        Unique("first_day"),
        Columns(),
    )
    gates = (mfprefect.Gate("mape", at_most=0.08), mfprefect.Gate("skill", at_least=0.3))
    # Future months always differ from training months: no alarm for that.
    drift_threshold, ks_threshold = 10, 1
    max_age = dt.timedelta(days=9)  # scored every Monday

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        """Return the months that had ended by a date, each with the same month a year earlier."""
        return months(as_of).dropna().reset_index(drop=True)

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> LinearRegression:
        """Return a linear regression on the logarithm of passengers."""
        return LinearRegression().fit(_design(features), np.log(target))

    def predict(self, estimator: LinearRegression, features: pd.DataFrame) -> Any:
        """Return passengers instead of their logarithm."""
        return np.exp(estimator.predict(_design(features)))

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        """Return the twelve months after the last one that had ended by a date."""
        return months(as_of).tail(YEAR).drop(columns="passengers").reset_index(drop=True)

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        """Return the actual passengers of the months forecast as of a date."""
        frame = months(dt.date.max)
        forecast = frame["month"].isin(self.scoring_data(as_of, 1)["month"])
        actual = frame.loc[forecast, ["month", "first_day", "passengers"]]
        return actual.rename(columns={"first_day": "period", "passengers": "actual"})


def months(as_of: dt.date) -> pd.DataFrame:
    """Return the months that had ended by a date, and the next twelve without passengers."""
    first = pd.date_range("1949-01-01", periods=len(PASSENGERS) + YEAR, freq="MS")
    ended = sum((day + pd.offsets.MonthEnd()).date() <= as_of for day in first[:-YEAR])
    frame = pd.DataFrame(
        {"month": first.strftime("%Y-%m"), "first_day": first.strftime("%Y-%m-%d")}
    )
    passengers = [float(count) for count in PASSENGERS[:ended]]
    frame = frame.head(ended + YEAR)
    frame["passengers"] = pd.Series(passengers, dtype=float)
    frame["months_since_1949"] = np.arange(len(frame), dtype=float)
    frame["year_ago"] = frame["passengers"].shift(YEAR)
    return frame


def _design(features: pd.DataFrame) -> pd.DataFrame:
    growing = features["months_since_1949"]
    return pd.DataFrame({"t": growing, "year_ago": np.log(features["year_ago"])})


train, score, monitor = AirPassengers.flows()
