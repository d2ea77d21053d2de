"""The assertions about models: each holds for a good model, and fails for one that breaks it."""

from __future__ import annotations

import datetime as dt
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
import sqlalchemy as sa
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mfprefect
from mfprefect import ConfigurationError
from mfprefect.checks import RegisteredColumns, RowCount, Unique
from mfprefect.testing import (
    TrainedModel,
    assert_checks_accept,
    assert_checks_refuse,
    assert_decreasing,
    assert_increasing,
    assert_invariant,
    assert_missing_column_fails,
    assert_reproducible,
    assert_round_trip,
    assert_rows_independent,
)
from mfprefect.testing.sample import sample_urls

ROWS = 600
USED = ["debt", "income"]


def borrowers() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "id": [f"b{number}" for number in range(ROWS)],
            "debt": rng.integers(0, 50, ROWS),
            "income": rng.gamma(2, 20, ROWS).round(1),
            "gender": rng.choice(["f", "m"], ROWS),
        }
    )
    risk = 0.1 * frame["debt"] - 0.08 * frame["income"]
    frame["late"] = (rng.random(ROWS) < 1 / (1 + np.exp(-risk))).astype(int)
    return frame


class Good(mfprefect.Model):
    model_id = "late_payers"
    entity_id = "id"
    target = "late"
    checks: ClassVar[Any] = [
        pa.DataFrameSchema(
            {
                "debt": pa.Column(int, pa.Check.ge(0)),
                "gender": pa.Column(str, pa.Check.isin(["f", "m"])),
            }
        ),
        RowCount(at_least=100),
        Unique("id"),
        RegisteredColumns("borrower"),  # of a store, which is none of this
    ]

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return borrowers()

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        model = make_pipeline(StandardScaler(), LogisticRegression())
        return model.fit(features[USED], target)

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return estimator.predict_proba(features[USED])[:, 1]


GOOD = TrainedModel(Good, dt.date(2026, 1, 31))


def bad(**members: Any) -> TrainedModel:
    return TrainedModel(type("Bad", (Good,), members))


def test_a_good_model_passes(mf_store: mfprefect.Store) -> None:
    assert_checks_accept(GOOD)
    assert_checks_refuse(GOOD, {"debt": -1, "gender": "x", "id": "b0"})
    assert_reproducible(GOOD)
    assert_rows_independent(GOOD)
    assert_missing_column_fails(GOOD)
    assert_round_trip(GOOD, mf_store)
    assert_invariant(GOOD, "gender")
    assert_invariant(GOOD, "income", at_most=1)
    assert_increasing(GOOD, "debt")
    assert_decreasing(GOOD, "income")
    assert_decreasing(GOOD, "income", by=0.5)


def test_checks_that_refuse_the_training_data() -> None:
    strict = bad(checks=pa.DataFrameSchema({"debt": pa.Column(int, pa.Check.le(10))}))
    with pytest.raises(AssertionError, match="checks refuse the data: debt "):
        assert_checks_accept(strict)
    with pytest.raises(AssertionError, match="600 rows; allowed: at least 601"):
        assert_checks_accept(bad(checks=RowCount(at_least=601, recent=0)))
    with pytest.raises(AssertionError, match=r"data: id \(unique\): 1,200 of"):
        assert_checks_accept(GOOD, pd.concat([borrowers()] * 2))


@pytest.mark.parametrize(
    ("checks", "broken", "message"),
    [
        (None, {"debt": -1}, "no check refuses debt = -1"),
        (Good.checks, {"debt": -1, "income": -5.0}, "no check refuses income = -5.0"),
        (
            pa.DataFrameSchema({"debt": pa.Column(int, pa.Check.ge(0, raise_warning=True))}),
            {"debt": -1},  # a warning stops nothing
            "no check refuses debt",
        ),
        (lambda frame: False, {"debt": -1}, "no check refuses debt"),  # it refuses everything
        (Good.checks, {"debts": -1}, "no column 'debts'"),
        (Good.checks, {}, "give wrong values by column"),
    ],
)
def test_checks_that_refuse_nothing(checks: Any, broken: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_checks_refuse(bad(checks=checks), broken)


def unseeded(self: Good, features: pd.DataFrame, target: Any) -> Any:
    return RandomForestClassifier(5).fit(features[USED], target)


def test_a_training_without_a_seed() -> None:
    with pytest.raises(AssertionError, match=r"two trainings differ: .* Set the seed"):
        assert_reproducible(bad(fit=unseeded))


def test_data_that_are_not_the_same_twice() -> None:
    draws = itertools.count(400, 100)

    def grows(self: Good, as_of: dt.date) -> pd.DataFrame:
        return borrowers().head(next(draws))

    with pytest.raises(AssertionError, match="two trainings differ"):
        assert_reproducible(bad(training_data=grows))


def ranked(self: Good, estimator: Any, features: pd.DataFrame) -> Any:
    return pd.Series(estimator.predict_proba(features[USED])[:, 1], features.index).rank(pct=True)


def numbered(self: Good, estimator: Any, features: pd.DataFrame) -> Any:
    return estimator.predict_proba(features[USED])[:, 1] + np.arange(len(features)) * 1e-6


def in_pairs(self: Good, estimator: Any, features: pd.DataFrame) -> Any:
    """Return scores that are right for an even number of rows."""
    return estimator.predict_proba(features[USED])[:, 1] - len(features) % 2 / 1000


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (ranked, "how many rows are scored at once"),
        (numbered, "the order of rows"),
        (in_pairs, "how many rows are scored at once"),
    ],
)
def test_scores_that_depend_on_other_rows(predict: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_rows_independent(bad(predict=predict))


def test_a_score_for_some_rows_only() -> None:
    with pytest.raises(
        mfprefect.InvalidValue, match=r"Bad.predict returned 1 scores of shape \(1,"
    ):
        assert_rows_independent(bad(predict=lambda self, estimator, features: [0.5]))


def forgiving(self: Good, estimator: Any, features: pd.DataFrame) -> Any:
    return estimator.predict_proba(features.reindex(columns=USED, fill_value=0))[:, 1]


def test_a_missing_column_that_goes_unnoticed() -> None:
    with pytest.raises(AssertionError, match="without the column 'income' the model still scores"):
        assert_missing_column_fails(bad(predict=forgiving))
    with pytest.raises(AssertionError, match="without the column 'gender'"):
        assert_missing_column_fails(bad(checks=None))  # which the model does not use
    assert_missing_column_fails(bad(predict=forgiving, checks=[lambda f: f["income"] >= 0, GENDER]))


GENDER = pa.DataFrameSchema({"debt": pa.Column(int), "gender": pa.Column(str)})


class Forgetful(LogisticRegression):  # type: ignore[misc]  # it has no types
    """Loses its coefficients when it is stored."""

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return state | {"coef_": state["coef_"] * 0} if "coef_" in state else state


def forgetful(self: Good, features: pd.DataFrame, target: Any) -> Any:
    return Forgetful().fit(features[USED], target)


def test_a_model_that_storing_changes(
    mf_store: mfprefect.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(mfprefect.ArtifactUntrusted):
        assert_round_trip(bad(fit=forgetful), mf_store)
    name = f"{Forgetful.__module__}.Forgetful"
    with mfprefect.connect(trusted_types=[name]) as trusting:
        monkeypatch.setitem(sys.modules, Forgetful.__module__, sys.modules[__name__])
        with pytest.raises(AssertionError, match="the stored model scores differently"):
            assert_round_trip(bad(fit=forgetful), trusting)


def unfair(self: Good, estimator: Any, features: pd.DataFrame) -> Any:
    return estimator.predict_proba(features[USED])[:, 1] + 0.01 * (features["gender"] == "m")


def test_a_score_that_depends_on_what_it_must_not() -> None:
    model = bad(predict=unfair)
    with pytest.raises(AssertionError, match=r"scores change with 'gender'; with 'f': \d+ of"):
        assert_invariant(model, "gender")
    assert_invariant(model, "gender", at_most=0.02)
    with pytest.raises(AssertionError, match="scores change with 'debt'"):
        assert_invariant(GOOD, "debt")
    with pytest.raises(AssertionError, match="scores change with 'income'; with 5"):
        assert_invariant(GOOD, "income", values=[5])
    alone = bad(training_data=lambda self, as_of: borrowers().assign(gender="f"))
    with pytest.raises(AssertionError, match="has one value"):
        assert_invariant(alone, "gender")
    assert_invariant(alone, "gender", values=["m", "other"])


def bumpy(self: Good, estimator: Any, features: pd.DataFrame) -> Any:
    return estimator.predict_proba(features[USED])[:, 1] - 0.9 * (features["debt"] > 55)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (lambda: assert_increasing(GOOD, "income"), "the score falls in"),
        (lambda: assert_decreasing(GOOD, "debt"), "the score rises in"),
        (lambda: assert_increasing(bad(predict=bumpy), "debt"), "the score falls in"),
        (lambda: assert_increasing(bad(predict=constant), "debt"), "the score rises in no row"),
        (lambda: assert_decreasing(bad(predict=constant), "debt"), "the score falls in no row"),
        (
            lambda: assert_increasing(GOOD, "age"),
            "'age' is not a feature; the features are: debt, income",
        ),
        (lambda: assert_increasing(GOOD, "debt", by=0), "pass by="),
    ],
)
def test_a_score_that_moves_the_wrong_way(claim: Callable[[], None], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        claim()


def constant(self: Good, estimator: Any, features: pd.DataFrame) -> Any:
    return np.full(len(features), 0.5)


class Species(mfprefect.Model):
    model_id, entity_id, target = "iris", "flower", "species"
    model_type = "multiclass"

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        data = load_iris(as_frame=True)
        frame: pd.DataFrame = data.data
        return frame.assign(flower=range(150), species=data.target_names[data.target])

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return LogisticRegression(max_iter=1_000).fit(features, target)


def test_a_model_of_several_classes() -> None:
    model = TrainedModel(Species)
    assert_reproducible(model)
    assert_rows_independent(model)
    assert_missing_column_fails(model)
    assert model.metrics()["accuracy"] > 0.9
    with pytest.raises(AssertionError, match=r"scores change .* \d+ of \d+ rows, most in row \d+"):
        assert_invariant(model, "petal width (cm)")
    with pytest.raises(AssertionError, match="several scores per row"):
        assert_increasing(model, "petal width (cm)")


class Steps(mfprefect.Model):
    model_id, entity_id, target = "steps", "day", "walked"
    model_type, period = "time_series", "number"

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        days = np.arange(40)
        frame = pd.DataFrame({"day": days.astype(str), "number": days, "walked": 10.0 + days})
        return frame.sample(frac=1, random_state=0)

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return LinearRegression().fit(features, target)


def test_a_time_series_is_tested_on_its_last_periods() -> None:
    model = TrainedModel(Steps)
    assert model.rows["number"].tolist() == list(range(28, 40))
    assert_reproducible(model)
    assert_increasing(model, "number")


TEAM = """
import os

from mfprefect.testing import ModelTests, assert_invariant
from test_model_testing import Good

class TestGood(ModelTests):
    model = Good
    broken = {"debt": -1}
    test_it_trains_scores_and_is_monitored = None  # needs a server

    def test_gender(self, mf_model):
        assert_invariant(mf_model, "gender")

class TestBad(TestGood):
    broken = {"income": -1}

MODEL = Good

def test_the_modules_model(mf_model, mf_store):
    assert mf_model.kind is Good
    assert mf_store.models().empty
    assert "MFPREFECT_PROFILE" not in os.environ
    assert "MFPREFECT_SOURCES__CRM__URL" in os.environ
    assert os.environ["PREFECT_HOME"] != "/the/teams"
"""


def test_the_plugin_in_a_teams_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_team.py").write_text(TEAM)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p mfprefect.testing.plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("MFPREFECT_PROFILE", "production")
    monkeypatch.setenv("MFPREFECT_SOURCES__CRM__URL", "sqlite:///crm.db")
    monkeypatch.setenv("PREFECT_HOME", "/the/teams")
    output = run_pytest(tmp_path)
    assert "no check refuses income = -1" in output
    assert "1 failed, 14 passed" in output, output


def run_pytest(folder: Path, *options: str) -> str:
    plugins = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_importing_it_loads_no_pytest(tmp_path: Path) -> None:
    code = "import sys, mfprefect, mfprefect.testing.models; print('pytest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


WAREHOUSE = """
import mfprefect
from mfprefect.inputs.reader import Reader
from mfprefect.settings import load_settings

def read(sql, source):
    return Reader(load_settings()).read(sql, source=source, day="2026-01-31")

def test_sources():
    rows = read("select id, day from sales where day <= :day order by id", "warehouse")
    assert rows.values.tolist() == [["a", "2026-01-01"], ["b", "2026-01-31"]]
    assert read("select id from people where :day is not null", "Crm")["id"].tolist() == ["007"]
    assert read("select x from real where :day is not null", "live")["x"].tolist() == [1]
"""


def test_sources_are_files_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in ("warehouse", "Crm", "live", "empty"):
        (tmp_path / "sample" / source).mkdir(parents=True)
    sales = "id,day\na,2026-01-01\nb,2026-01-31\nc,2026-02-01\n"
    (tmp_path / "sample/warehouse/sales.csv").write_text(sales)
    (tmp_path / "sample/warehouse/.hidden").write_text("no table")
    pd.DataFrame({"id": ["007"]}).to_parquet(tmp_path / "sample/Crm/people.parquet")
    (tmp_path / "sample/live/real.csv").write_text("x\n2\n")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'real.db'}")
    pd.DataFrame({"x": [1]}).to_sql("real", engine, index=False)
    engine.dispose()
    monkeypatch.setenv("MFPREFECT_SOURCES__LIVE__URL", f"sqlite:///{tmp_path / 'real.db'}")
    ini = "[pytest]\naddopts = -p mfprefect.testing.plugin\nmf_sample = sample missing\n"
    (tmp_path / "pytest.ini").write_text(ini)
    (tmp_path / "mfprefect.toml").write_text('[sources.warehouse]\nurl = "${WAREHOUSE}"\n')
    (tmp_path / "test_team.py").write_text(WAREHOUSE)
    assert "1 passed" in run_pytest(tmp_path)


PLANT = """
import datetime as dt
import mfprefect
from mfprefect.testing import ModelTests

class Failure(mfprefect.Model):
    model_id, entity_id, target, table = "failure", "id", "failed", "plant.machine"

    def training_data(self, as_of):
        sql = f"select m.id, s.name, m.failed from {self.table} m join site s on m.site = s.id"
        return self.read(sql, source="warehouse")

class Elsewhere(Failure):
    table = "depot.machine"

class TestPlant(ModelTests):
    model, as_of = Failure, dt.date(2026, 1, 31)

    def test_rows(self, mf_model):
        assert mf_model.read_data.to_dict("records") == [{"id": "m1", "name": "Ulm", "failed": 1}]

class TestDepot(TestPlant):
    model = Elsewhere
"""


def test_a_table_of_a_schema_is_a_file_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sample/warehouse/plant").mkdir(parents=True)
    (tmp_path / "sample/warehouse/site.csv").write_text("id,name\n1,Ulm\n")
    (tmp_path / "sample/warehouse/plant/machine.csv").write_text("id,site,failed\nm1,1,1\n")
    ini = "[pytest]\naddopts = -p mfprefect.testing.plugin -k test_rows\nmf_sample = sample\n"
    (tmp_path / "pytest.ini").write_text(ini)
    (tmp_path / "test_team.py").write_text(PLANT)
    said = run_pytest(tmp_path)
    assert "1 failed, 1 passed" in said
    assert "source 'warehouse' says: no such table: depot.machine" in said
    assert "These tests read the files of `mf_sample`" in said


SMALL = """
import datetime as dt
import mfprefect
from mfprefect.checks import RowCount
from mfprefect.testing import ModelTests
from sklearn.dummy import DummyClassifier

class Risk(mfprefect.Model):
    model_id, entity_id, target = "risk", "id", "bad"
    checks = [RowCount(at_least=1_000)]

    def training_data(self, as_of):
        sql = "select id, children, bad, cast(children as text) as text from loans"
        return self.read(sql, source="warehouse", checks=[RowCount(at_most=2)]).drop(columns="text")

    def scoring_data(self, as_of, part):
        return self.training_data(as_of).drop(columns="bad")

    def fit(self, features, target):
        return DummyClassifier().fit(features, target)

class TestRisk(ModelTests):
    model, as_of, broken = Risk, dt.date(2026, 1, 31), {"children": 99}

    def test_integers(self, mf_model):
        sql = "select coalesce(cast(children as text), '-') as text from loans order by id limit 2"
        assert mf_model.model.read(sql, source="warehouse")["text"].tolist() == ["0", "-"]
"""


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_a_sample_is_small_and_has_the_types_of_its_table(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "sample" / "warehouse"
    folder.mkdir(parents=True)
    children = pd.array([None if n % 5 == 1 else n % 3 for n in range(60)], dtype="Int64")
    ids = [f"{n:03}" for n in range(60)]
    loans = pd.DataFrame({"id": ids, "children": children, "bad": [n % 2 for n in range(60)]})
    if kind == "csv":
        loans.to_csv(folder / "loans.csv", index=False)
    elif kind == "json":
        loans.to_json(folder / "loans.json", orient="records")
    else:
        loans.to_parquet(folder / "loans.parquet", index=False)
    flows = " or trains_scores" if kind == "csv" else ""
    named = f"accept_the_training or integers{flows}"
    ini = f"[pytest]\naddopts = -p mfprefect.testing.plugin -k '{named}'\nmf_sample = sample\n"
    (tmp_path / "pytest.ini").write_text(ini)
    (tmp_path / "test_team.py").write_text(SMALL)
    said = run_pytest(tmp_path, "-v")
    assert f"{3 if flows else 2} passed" in said
    assert "warehouse read from `mf_sample`, on which RowCount checks judge nothing" in said


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "sales.parquet").write_text("no parquet")
    with pytest.raises(ConfigurationError, match=r"sales\.parquet is no table for tests"):
        sample_urls(tmp_path, tmp_path)
