"""What cannot be stored is noticed on a few rows, before `fit` gets them all."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mfprefect
from mfprefect import Store
from mfprefect.errors import ArtifactUntrusted, ConfigurationError
from mfprefect.lifecycle.trial import trial_sample

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAY = dt.date(2026, 1, 31)
RNG = np.random.default_rng(0)
DATA = pd.DataFrame({"id": [f"c{k:04d}" for k in range(2_000)], "x": RNG.normal(size=2_000)})
DATA["gone"] = (DATA["x"] + RNG.normal(size=2_000) > 0).astype(int)
FULL = 1_300
"""More rows than any trial here, fewer than are learned from."""


class Churn(mfprefect.Model):
    model_id, entity_id, target, retries = "churn", "id", "gone", 0
    trial_rows = 50
    fits: list[int]

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return DATA

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        self.fits.append(len(features))
        return LogisticRegression().fit(features, target)

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        return {}


def variant(**members: Any) -> type[Churn]:
    return type("Variant", (Churn,), {"fits": [], **members})


def with_lambda(self: Any, features: pd.DataFrame, target: Any) -> Any:
    self.fits.append(len(features))
    step = FunctionTransformer(lambda values: values)
    return make_pipeline(step, LogisticRegression()).fit(features, target)


def as_dict(self: Any, features: pd.DataFrame, target: Any) -> Any:
    return {"a": Churn.fit(self, features, target)}


def kept_in_the_class(self: Any, features: pd.DataFrame, target: Any) -> Any:
    self.middle = features["x"].mean()
    return Churn.fit(self, features, target)


def centred(self: Any, estimator: Any, features: pd.DataFrame) -> Any:
    return estimator.predict_proba(features - self.middle)[:, 1]


def written(self: Any, estimator: Any, file: BinaryIO) -> None:
    file.write(b"x")


def unreadable(self: Any, file: BinaryIO) -> Any:
    raise KeyError("layer")


def with_extras(extra: Any) -> Any:
    def fit(self: Any, features: pd.DataFrame, target: Any, weight: Any = None) -> Any:
        return Churn.fit(self, features, target), {"middle": extra}

    return fit


def centred_by_extras(self: Any, estimator: Any, features: pd.DataFrame) -> Any:
    return estimator.predict_proba(features - self.extras["middle"])[:, 1]


def session_of(store: Store, kind: type[Churn]) -> str:
    return str(store.sessions("churn")["session_id"].iloc[0])


def noted(store: Store, session_id: str, group: str) -> dict[str, str]:
    frame = store.metadata(session_id)
    rows = frame[frame["meta_group"] == group]
    return dict(zip(rows["meta_name"], rows["value"], strict=True))


@on_sqlite
@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"fit": with_lambda}, ArtifactUntrusted, r"holds a lambda of .* Move each to the top le"),
        ({"fit": as_dict}, ArtifactUntrusted, "a builtins.dict has no safe format.*save_model and"),
        (
            {"save_model": written, "load_model": unreadable},
            ConfigurationError,
            r"load_model could not read the stored model \(KeyError: 'layer'\)",
        ),
        (
            {"fit": kept_in_the_class, "predict": centred},
            ConfigurationError,
            "predict works with what fit returned, and not once it was stored.* 'middle'",
        ),
        ({"fit": with_extras((1, 2))}, ConfigurationError, "returned the extra 'middle', a tuple"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored(
    flow_store: Store, members: dict[str, Any], error: type[Exception], message: str
) -> None:
    kind = variant(**members)
    with pytest.raises(error, match=message) as caught:
        kind.flows().train(DAY)
    assert "__main__" not in str(caught.value)
    assert len(kind.fits) == 1
    assert kind.fits[0] < 100
    assert flow_store.show(session_of(flow_store, kind))["status"].tolist() == ["failed"]


@on_sqlite
def test_a_good_model_is_fitted_twice(flow_store: Store) -> None:
    def fit(self: Any, features: pd.DataFrame, target: Any) -> Any:
        Churn.fit(self, features, target)
        draws.append((random.random(), np.random.random()))  # noqa: S311
        return LogisticRegression().fit(features, target)

    draws: list[tuple[float, float]] = []
    random.seed(1), np.random.seed(1)
    first = random.random(), np.random.random()  # noqa: S311
    random.seed(1), np.random.seed(1)
    kind = variant(fit=fit)
    trained = kind.flows().train(DAY)
    assert len(kind.fits) == 2
    assert kind.fits[0] < 100
    assert kind.fits[1] > FULL
    assert draws[0] == draws[1] == first  # the trial takes nothing from the global generators
    assert noted(flow_store, trained, "trial") == {
        "rows": str(kind.fits[0]),
        "of": str(kind.fits[1]),
        "result": "stored, loaded and used",
    }


@on_sqlite
def test_extras_are_tried_too(flow_store: Store) -> None:
    kind = variant(fit=with_extras(0.25), predict=centred_by_extras, weight="x2")
    kind.training_data = lambda self, as_of: DATA.assign(x2=DATA["x"] ** 2)  # type: ignore[method-assign]
    trained = kind.flows().train(DAY)
    assert len(kind.fits) == 2
    assert noted(flow_store, trained, "trial")["result"] == "stored, loaded and used"
    assert flow_store.load_extras(trained) == {"middle": 0.25}


@on_sqlite
def test_a_fit_that_needs_more_rows_goes_on(flow_store: Store) -> None:
    def fit(self: Any, features: pd.DataFrame, target: Any) -> Any:
        if len(features) < FULL:
            raise ValueError("too few rows for 20 folds")
        return Churn.fit(self, features, target)

    kind = variant(fit=fit)
    trained = kind.flows().train(DAY)
    assert len(kind.fits) == 1
    assert "too few rows for 20 folds" in noted(flow_store, trained, "trial")["result"]
    assert flow_store.load_model(trained) is not None


@on_sqlite
@pytest.mark.parametrize("rows", [0, 500])
def test_no_trial(flow_store: Store, rows: int) -> None:
    kind = variant(trial_rows=rows, fit=with_lambda)
    with pytest.raises(ArtifactUntrusted, match="a lambda of"):
        kind.flows().train(DAY)
    assert len(kind.fits) == 1
    assert kind.fits[0] > FULL
    # What was paid for is kept.
    failed = session_of(flow_store, kind)
    assert flow_store.show(failed)["status"].tolist() == ["failed"]
    metrics = flow_store.metrics(failed).set_index("metric_name")["value"]
    assert metrics["auc"] > 0.7
    assert not flow_store.curve(failed).empty
    assert noted(flow_store, failed, "estimator")["class"] == "sklearn.pipeline.Pipeline"


def test_which_rows_are_tried() -> None:
    rare = DATA.assign(gone=0)
    rare.loc[[3, 7, 1_999], "gone"] = 1
    sample = trial_sample(variant()(), rare, 50)
    assert set(rare.index[rare["gone"] == 1]) <= set(sample.index)
    assert sample.index.is_monotonic_increasing
    assert 50 <= len(sample) <= 60
    pd.testing.assert_frame_equal(sample, trial_sample(variant()(), rare, 50))
    series = variant(model_type="time_series")()
    assert trial_sample(series, rare, 50).index.tolist() == list(range(1_950, 2_000))
