"""Models that their class writes and reads, and rows as the schemas of the checks make them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, BinaryIO, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Store
from mfprefect.errors import ChecksFailed, ConfigurationError
from mfprefect.testing import TrainedModel
from mfprefect.testing.models import assert_checks_accept, assert_round_trip

DAY = dt.date(2026, 1, 31)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def customers(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": [f"c{i:03d}" for i in range(rows)], "x": rng.normal(size=rows)})
    return frame.assign(gone=(frame["x"] + rng.normal(size=rows) > 0).astype(int))


class Base(mfprefect.Model):
    model_id, entity_id, target, retries = "churn", "id", "gone", 0
    data = customers()
    fits = 0

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return self.data

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        type(self).fits += 1
        fitted = LogisticRegression().fit(features, target)
        return {"slope": float(fitted.coef_[0, 0]), "start": float(fitted.intercept_[0])}

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        line = estimator["slope"] * features["x"] + estimator["start"]
        return 1 / (1 + np.exp(-line.to_numpy()))

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        return {}

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return self.data.drop(columns="gone")


class Written(Base):
    gates: ClassVar[Any] = [mfprefect.Gate("auc", not_worse_than_production_by=0.5)]

    def save_model(self, estimator: Any, file: BinaryIO) -> None:
        file.write(json.dumps(estimator).encode())

    def load_model(self, file: BinaryIO) -> Any:
        return json.load(file)


def test_the_class_loads_what_it_wrote(flow_store: Store) -> None:
    flows = Written.flows()
    first = flows.train(DAY)
    flow_store.promote("churn", first)
    second = flows.train(DAY)
    scored = flows.score(DAY, shadow=second)
    sessions = flow_store.sessions("churn")
    assert set(sessions["status"]) == {"succeeded"}
    assert len(sessions) == 4  # the shadow, too
    verdict = flow_store.gates(second).iloc[0]
    assert verdict["verdict"] == "passed", verdict["reason"]
    model = flow_store.load_model(second, model=Written)
    features = Base.data[["x"]]
    np.testing.assert_allclose(
        flow_store.scores(scored).set_index("entity_id")["score"].loc[Base.data["id"]],
        Written().predict(model, features),
    )
    with pytest.raises(ConfigurationError, match=r"save_model of the class .*test_own_.*Written,"):
        flow_store.load_model(first)


def test_its_bytes_are_digested(flow_store: Store, tmp_path: Any) -> None:
    trained = Written.flows().train(DAY)
    document = flow_store.copy_model(trained, tmp_path / "model.json")
    assert set(json.loads((tmp_path / "model.json").read_text())) == {"slope", "start"}
    assert document["format"] == "model_class"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("return b'x'", "Broken.save_model wrote nothing .* and returned a bytes"),
        ("file.close()", r"Broken.save_model closed the file"),
    ],
)
def test_a_hook_that_stores_nothing_is_refused(
    flow_store: Store, written: str, message: str
) -> None:
    def save_model(self: Any, estimator: Any, file: BinaryIO) -> Any:
        if written == "file.close()":
            file.close()
            return None
        return b"x"

    broken: type[mfprefect.Model] = type("Broken", (Written,), {"save_model": save_model})
    with pytest.raises(ConfigurationError, match=message):
        broken.flows().train(DAY)


def test_a_hook_that_cannot_read_is_named(flow_store: Store) -> None:
    trained = Written.flows().train(DAY)
    for load, message in (
        (lambda *_: None, "Reader.load_model returned None"),
        (lambda *_: 1 / 0, "Reader.load_model could not read the stored model .ZeroDivision"),
    ):
        reader = type("Reader", (Written,), {"load_model": load})
        with pytest.raises(ConfigurationError, match=message):
            flow_store.load_model(trained, model=reader)


def test_a_format_of_the_class(flow_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pickled(Base):
        format = "pickle"

    with pytest.raises(ConfigurationError, match="MFPREFECT_SIGNING_KEY"):
        Pickled.flows().train(DAY)
    assert Pickled.fits == 0  # refused before it is trained for hours
    monkeypatch.setenv("MFPREFECT_SIGNING_KEY", "a secret of the team")
    flows = Pickled.flows()
    flows.train(DAY)
    scored = flows.score(DAY)
    assert len(flow_store.scores(scored)) == 300


def test_model_tests_use_the_hooks(flow_store: Store) -> None:
    assert_round_trip(TrainedModel(Written, DAY), flow_store)
    assert_round_trip(TrainedModel(type("Pickled", (Base,), {"format": "pickle"}), DAY), flow_store)


class Text(Written):
    """Its source gives numbers as text."""

    gates: ClassVar[Any] = ()

    data = customers().assign(x=lambda frame: frame["x"].astype(str), extra="not declared")
    checks = [
        pa.DataFrameSchema(
            {"x": pa.Column(float, coerce=True, parsers=pa.Parser(lambda x: x.astype(float) * 2))},
            strict="filter",
        )
    ]
    checked_rows = 50


def test_the_model_gets_what_the_schema_makes(flow_store: Store) -> None:
    flows = Text.flows()
    trained, scored = flows.train(DAY), flows.score(DAY)
    summaries = flow_store.input_summary(trained, scored)
    assert set(summaries["variable"]) == {"x"}
    expected = Base.data["x"].mean() * 2  # parsed once
    np.testing.assert_allclose(summaries["mean"].astype(float), expected)
    assert len(flow_store.scores(scored)) == 300
    checks = flow_store.checks(trained)
    assert checks["passed"].all()
    assert checks["message"].str.contains("sample of 50 of 300").any()


def test_all_rows_are_coerced_and_a_sample_checked(flow_store: Store) -> None:
    broken = Text.data.assign(x=["oops", *Text.data["x"][1:]])
    kind: type[mfprefect.Model] = type("Broken", (Text,), {"data": broken, "checked_rows": 1})
    with pytest.raises(ChecksFailed):
        kind.flows().train(DAY)
    assert kind.fits == Text.fits  # type: ignore[attr-defined]


def test_model_tests_get_what_the_flow_gets(flow_store: Store) -> None:
    model = TrainedModel(Text, DAY)
    assert model.features == ["x"]
    assert_checks_accept(model)
