"""Plans of promotions on today's data: in SQL as in Python, by the command, before a promotion."""

from __future__ import annotations

import datetime as dt
import importlib
import importlib.util
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import mfprefect
from mfprefect import AlreadyPromoted, Gate, InvalidValue, Store
from mfprefect.backend import Backend, backend_for
from mfprefect.checks import NewCategories, NullShare, Range, RowCount, SharedCheck, on
from mfprefect.cli import cli
from mfprefect.errors import ChecksFailed
from mfprefect.lifecycle.promotion_plan import plan_on_data
from mfprefect.settings import load_settings
from mfprefect_backends.sqlite import SqliteBackend

ROOT = Path(__file__).parents[2]
DAY = dt.date(2026, 1, 31)
ROWS, PARTS = 1_200, 2


def customers() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number:05}" for number in rng.permutation(ROWS)],
            "income": rng.gamma(2, 20, ROWS),
            "age": rng.integers(18, 90, ROWS),
            "visits": rng.poisson(3, ROWS).astype(float),
            "region": rng.choice(np.array(["north", "North", "south", None], object), ROWS),
        }
    )
    frame.loc[rng.random(ROWS) < 0.1, "region"] = "east"
    risk = frame["income"] / 40 - frame["age"] / 50 + rng.normal(size=ROWS)
    return frame.assign(gone=(risk > 0).astype(int), part=np.arange(ROWS) % PARTS + 1)


class Churn(mfprefect.Model):
    model_id = "churn"
    entity_id = "customer_id"
    target = "gone"
    features: ClassVar[Any] = ("income", "age")
    parts = PARTS
    segments = ("region",)
    gates = (Gate("auc", at_least=0.5),)
    query = "select * from customer where part = :part"

    def training_data(self, as_of: dt.date) -> Any:
        return self.read("select * from customer")

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        if "visits" in features:
            return DecisionTreeClassifier(max_depth=4, random_state=0).fit(features, target)
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        return self.read(self.query, part=part)

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        return {}


@pytest.fixture
def same_place(
    flow_store: Store, schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """The store, whose database is the source too."""
    monkeypatch.setenv("MFPREFECT_SOURCES__WAREHOUSE__URL", schema_url)
    monkeypatch.setenv("MFPREFECT_DEFAULT_SOURCE", "warehouse")
    engine = backend_for(load_settings(url=schema_url)).create_engine()
    types = {"customer_id": sa.String(64), "region": sa.String(10)}
    customers().to_sql("customer", engine, index=False, if_exists="replace", dtype=types)
    engine.dispose()
    with mfprefect.connect() as store:  # knows the source
        yield store


@pytest.fixture
def sqlite_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite compare models too: it can, only slower than Python."""
    monkeypatch.setattr(SqliteBackend, "longest_plan", 300_000)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_plan_with_sqlite_is_made_in_python(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, challenger = two_trainings(same_place, monkeypatch)
    for sample in (None, 300):
        plan = plan_on_data(same_place, Churn, challenger, as_of=DAY, sample=sample)
        assert plan.basis.endswith("scored in Python")
        assert plan.notes == ("scored in Python: a plan with sqlite is faster so",)


@pytest.mark.parametrize("database_url", ["postgres", "mysql"], indirect=True)
def test_a_plan_with_a_large_forest_is_made_in_python(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, challenger = two_trainings(same_place, monkeypatch)
    monkeypatch.setattr(Backend, "longest_plan", 1_000)
    plan = plan_on_data(same_place, Churn, challenger, as_of=DAY)
    assert plan.basis.endswith("scored in Python")
    (note,) = plan.notes
    assert note.startswith("scored in Python: the SELECT of both models has ")
    assert note.endswith(" characters, and above 1,000 Python is faster")
    assert plan.rows == ROWS


def two_trainings(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return a logistic regression, which is in production, and a tree with a further column."""
    champion = Churn.flows().train(DAY)
    store.promote("churn", champion)
    monkeypatch.setattr(Churn, "features", ("income", "age", "visits"))
    return champion, Churn.flows().train(DAY)


@pytest.mark.usefixtures("sqlite_plans")
def test_the_database_says_what_python_says(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = same_place
    champion, challenger = two_trainings(store, monkeypatch)
    store.set_threshold("churn", 0.4)
    before = len(store.sessions("churn")), store.audit_log()["event_no"].max()
    in_sql = plan_on_data(store, Churn, challenger, as_of=DAY)
    monkeypatch.setattr(Churn, "scoring", "python")
    in_python = plan_on_data(store, Churn, challenger, as_of=DAY)
    assert in_sql.notes == in_python.notes == ()
    assert in_sql.basis == "the scoring data of 2026-01-31, scored in SQL"
    assert in_python.basis == "the scoring data of 2026-01-31, scored in Python"

    assert in_sql.rows == in_python.rows == ROWS
    assert in_sql.production_session_id == champion
    pd.testing.assert_frame_equal(in_sql.movement, in_python.movement, rtol=1e-9, atol=1e-12)
    for name in ("flips", "segments", "columns", "gates"):
        pd.testing.assert_frame_equal(getattr(in_sql, name), getattr(in_python, name), rtol=1e-9)
    assert set(in_sql.segments["segment"]) == {
        f"region={level}" for level in ("north", "North", "south", "east", "<NULL>")
    }
    assert in_sql.flipped is not None
    assert 0 < in_sql.flipped < ROWS
    data = customers()
    scores = [
        store.load_model(name, trusted=True).predict_proba(data[list(columns)])[:, 1] >= 0.4
        for name, columns in ((champion, ("income", "age")), (challenger, Churn.features))
    ]
    assert in_sql.flipped == int((scores[0] != scores[1]).sum())
    needs = {row["name"]: row for row in in_sql.columns.to_dict("records")}
    assert needs["visits"]["needed_by"] == "candidate"
    assert (needs["visits"]["in_data"], needs["visits"]["null_share"]) == (True, 0.0)
    assert needs["warehouse"]["needed_by"] == "both"
    assert (len(store.sessions("churn")), store.audit_log()["event_no"].max()) == before


class Checked(Churn):
    """Compares with the training of the model that scores, and with earlier scorings."""

    model_id = "checked"
    features: ClassVar[Any] = ("income", "age", "region")
    checks: ClassVar[Any] = [
        NewCategories("region"),
        on("score", RowCount(within=0.1)),
        Range("age", severity="warning"),
        NullShare("region", at_most=0.9),
    ]
    learned = "select * from customer where region <> 'east'"

    def training_data(self, as_of: dt.date) -> Any:
        return self.read(self.learned)

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        encoded = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["region"]), remainder="passthrough"
        )
        return make_pipeline(encoded, LogisticRegression(max_iter=500)).fit(features, target)


def verdicts_of(frame: pd.DataFrame) -> dict[tuple[str, Any], list[bool]]:
    """Return the verdicts of each check and column, over all parts."""
    groups = frame.groupby(["check", "column"], dropna=False)["passed"]
    return {
        (str(check), None if column != column else column): sorted(map(bool, passed))
        for (check, column), passed in groups
    }


@pytest.mark.usefixtures("sqlite_plans")
def test_checks_are_those_that_the_next_scoring_would_run(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan says of today's data what a scoring with the candidate then says of it."""
    store = same_place
    monkeypatch.setattr(Checked, "learned", "select * from customer")
    store.promote("checked", Checked.flows().train(DAY))
    Checked.flows().score(DAY - dt.timedelta(days=1))
    monkeypatch.setattr(Checked, "learned", "select * from customer where region <> 'east'")
    candidate = Checked.flows().train(DAY)
    monkeypatch.setattr(
        Checked, "query", "select * from customer where part = :part and (part = 1 or age > 60)"
    )
    plans = {}
    for scoring in ("sql", "python"):
        monkeypatch.setattr(Checked, "scoring", scoring)
        plans[scoring] = plan_on_data(store, Checked, candidate, as_of=DAY)
    assert plans["sql"].basis.endswith("in SQL")
    assert plans["python"].basis.endswith("in Python")
    store.promote("checked", candidate)
    for scoring, plan in plans.items():
        monkeypatch.setattr(Checked, "scoring", scoring)
        with pytest.raises(ChecksFailed) as error:
            Checked.flows().score(DAY)
        session_id = store.sessions("checked", purpose="score")["session_id"].iloc[0]
        of_plan = verdicts_of(plan.checks)
        # Parts fail, so that nothing is said of all rows together: the plan says that too.
        for check, verdicts in verdicts_of(store.checks(session_id)).items():
            assert [x for x in of_plan[check] if x in verdicts], (check, of_plan, verdicts)
        failed = {row["check"] for row in error.value.failures}
        assert failed == {"new_categories", "row_count"}
        # The training of the candidate knew no `east`; that of production did.
        text = plan.verdicts[5]
        assert "a scoring of this data would stop: new_categories(region)" in text
        assert "row_count" in text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_person_accepted_stops_no_scoring_in_a_plan(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = same_place
    monkeypatch.setattr(Checked, "learned", "select * from customer")
    store.promote("checked", Checked.flows().train(DAY))
    monkeypatch.setattr(Checked, "learned", "select * from customer where region <> 'east'")
    candidate = Checked.flows().train(DAY)
    with pytest.raises(ChecksFailed):
        Checked.flows().score(DAY, training_session_id=candidate)
    failed = store.sessions("checked", purpose="score")["session_id"].iloc[0]
    plan = plan_on_data(store, Checked, candidate, as_of=DAY)
    assert "would stop: new_categories(region)" in plan.verdicts[5]
    store.accept_check(failed, "new_categories", column="region", reason="east is new")
    plan = plan_on_data(store, Checked, candidate, as_of=DAY)
    assert "would stop" not in plan.verdicts[5]
    assert "failed and were accepted" in plan.verdicts[5] or "was accepted" in plan.verdicts[5]


class Whole(SharedCheck):
    """A team's own check, which no database answers."""

    name = "whole"

    def judge(self, data: Any, *_: Any) -> Any:
        yield self._row(None, data.rows == ROWS // PARTS, f"{data.rows} rows")


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
def test_a_check_that_a_sample_cannot_answer_is_not_run_and_the_plan_says_so(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, challenger = two_trainings(same_place, monkeypatch)
    schema = pa.DataFrameSchema({"age": pa.Column(float, pa.Check.ge(40), coerce=True)})
    monkeypatch.setattr(Churn, "checks", [schema, Whole(), NullShare("region", at_most=0.1)])
    plan = plan_on_data(same_place, Churn, challenger, as_of=DAY)
    checks = plan.checks.set_index("check")["message"]
    assert checks["whole"].tolist() == [f"{ROWS // PARTS} rows"] * PARTS
    assert all("sample" not in text for text in checks)
    plan = plan_on_data(same_place, Churn, challenger, as_of=DAY, sample=300)
    assert plan.basis.endswith("a sample of 1,200 rows by a hash of their ids, scored in Python")
    checks = plan.checks.set_index("check")["message"]
    assert checks["whole"] == "not checked: it needs all rows, and a sample was read"
    assert all(
        f"of {ROWS // PARTS:,} rows)" in text for text in checks["greater_than_or_equal_to(40)"]
    )
    assert "whole not checked: it needs all rows, and a sample was read" in plan.verdicts[5]
    assert (
        "a scoring of this data would stop: age: greater_than_or_equal_to(40)" in (plan.verdicts[5])
    )
    # The database looked at all rows.
    nulls = (customers()["region"].isna()).mean()
    assert nulls > 0.1
    assert "null_share(region)" in plan.verdicts[5]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_verdict_of_psi_is_that_of_the_models_own_threshold(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, challenger = two_trainings(same_place, monkeypatch)
    words = []
    for threshold in (None, 0.001, 50.0):
        monkeypatch.setattr(Churn, "drift_threshold", threshold)
        for scoring in ("auto", "python"):
            monkeypatch.setattr(Churn, "scoring", scoring)
            plan = plan_on_data(same_place, Churn, challenger, as_of=DAY)
            words.append(plan.movement["verdict"].iloc[0])
    value = plan.movement["value"].iloc[0]
    assert 0.1 < value < 20
    assert words[2:] == ["alarm", "alarm", "ok", "ok"]
    # An operator's comes first, also without the class.
    monkeypatch.setenv("MFPREFECT_DRIFT__MODELS__CHURN__PSI", "60")
    monkeypatch.setattr(Churn, "drift_threshold", 0.001)
    with mfprefect.connect() as store:
        plan = plan_on_data(store, Churn, challenger, as_of=DAY)
        assert plan.movement["verdict"].iloc[0] == "ok"
        frame = pd.DataFrame({"production": np.arange(100.0), "candidate": np.zeros(100)})
        assert store.plan("churn", challenger, frame).movement["verdict"].iloc[0] == "ok"


@pytest.mark.usefixtures("sqlite_plans")
@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
def test_a_database_stops_when_the_time_is_over(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes too long is not waited for, and the plan says what it leaves out."""
    _, challenger = two_trainings(same_place, monkeypatch)
    slow = (
        "select * from customer where part = :part and customer_id in (select {a}.customer_id from "
    )
    slow += "customer {a}, customer b, customer c, customer d, customer e where {a}.age + b.age + "
    slow += "c.age + d.age + e.age < 0)"
    monkeypatch.setattr(Churn, "query", slow.format(a="a"))
    plan = plan_on_data(same_place, Churn, challenger, as_of=DAY, seconds=1.5)
    assert plan.rows == 0
    assert plan.verdicts[0] == (
        "scores: not compared: the data of 2026-01-31 was not scored: the time limit of 1.5 s was "
        "reached"
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_parts_that_were_not_read_in_time_are_left_out(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, challenger = two_trainings(same_place, monkeypatch)
    monkeypatch.setattr(Churn, "scoring", "python")
    monkeypatch.setattr(Churn, "checks", [RowCount(at_least=1)])
    plan = plan_on_data(same_place, Churn, challenger, as_of=DAY, seconds=1e-9)
    text = "the time limit of 1e-09 s was reached: of 2 parts, only the first 1 were read"
    assert plan.notes == (text,)
    assert plan.basis == (
        "the scoring data of 2026-01-31, the first 1 of 2 parts, scored in Python"
    )
    assert plan.rows == ROWS // PARTS
    assert f"row_count not checked: {text}" in plan.verdicts[5]


@pytest.mark.usefixtures("sqlite_plans")
def test_a_sample_by_a_hash_of_ids(same_place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, challenger = two_trainings(same_place, monkeypatch)
    for scoring in ("sql", "python"):
        monkeypatch.setattr(Churn, "scoring", scoring)
        plan = plan_on_data(same_place, Churn, challenger, as_of=DAY, sample=300)
        assert 150 < plan.rows < 500
        assert "a sample of 1,200 rows by a hash of their ids" in plan.basis
        again = plan_on_data(same_place, Churn, challenger, as_of=DAY, sample=300)
        pd.testing.assert_frame_equal(plan.movement, again.movement)
    with pytest.raises(InvalidValue, match="choose 1 or more"):
        plan_on_data(same_place, Churn, challenger, sample=0)


@pytest.mark.usefixtures("sqlite_plans")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_data_that_cannot_be_scored(same_place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    champion, challenger = two_trainings(same_place, monkeypatch)
    with pytest.raises(AlreadyPromoted):
        plan_on_data(same_place, Churn, champion, as_of=DAY)
    query = "select customer_id, income, age from customer where part = :part"
    monkeypatch.setattr(Churn, "query", query)
    for scoring in ("auto", "python"):
        monkeypatch.setattr(Churn, "scoring", scoring)
        plan = plan_on_data(same_place, Churn, challenger, as_of=DAY)
        assert plan.rows == 0
        assert plan.verdicts[0] == (
            "scores: not compared: the data of 2026-01-31 has no column 'visits', which the "
            "candidate needs"
        )
        assert plan.verdicts[3] == "data: new: visits; missing in the data: visits"
    monkeypatch.setattr(Churn, "scoring", "auto")
    monkeypatch.setattr(Churn, "query", "select * from customer where :part < 0")
    plan = plan_on_data(same_place, Churn, challenger, as_of=DAY)
    assert "has no rows" in plan.verdicts[0]
    # An id twice: what a scoring refuses.
    twice = "select * from customer where part = 1 and :part > 0 union all select * from customer"
    monkeypatch.setattr(Churn, "query", twice)
    plan = plan_on_data(same_place, Churn, challenger, as_of=DAY)
    assert plan.rows == 0
    assert "cannot be scored: InvalidScores" in plan.verdicts[0]
    assert plan.notes == ("scored in Python: an id has several rows, or there is none",)


class Bands(Churn):
    model_id = "bands"
    target = "band"
    model_type = "multiclass"
    gates = (Gate("accuracy", at_least=0.1),)

    def training_data(self, as_of: dt.date) -> Any:
        frame = self.read("select * from customer")
        return frame.assign(band=np.digitize(frame["income"], [20, 60]).astype(str))

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return DecisionTreeClassifier(max_depth=len(features.columns), random_state=0).fit(
            features, target
        )


@pytest.mark.usefixtures("sqlite_plans")
@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
def test_classes_flip(same_place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store = same_place
    monkeypatch.setattr(Bands, "features", ("age",))
    store.promote("bands", Bands.flows().train(DAY))
    monkeypatch.setattr(Bands, "features", ("age", "income"))
    challenger = Bands.flows().train(DAY)
    plans = []
    for scoring in ("auto", "python"):
        monkeypatch.setattr(Bands, "scoring", scoring)
        plans.append(plan_on_data(store, Bands, challenger, as_of=DAY))
    assert plans[0].basis.endswith("in SQL")
    assert {*plans[0].flips["candidate"]} == {"0", "1", "2"}
    for name in ("flips", "segments"):
        a, b = (getattr(plan, name) for plan in plans)
        pd.testing.assert_frame_equal(a, b, rtol=1e-9)
    assert plans[0].flipped == plans[1].flipped
    assert plans[0].segments["production_acted"].isna().all()


class Grown(Churn):
    """Scores those who are at least as old as the youngest that `fit` saw."""

    model_id = "grown"
    floor = 40

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return super().fit(features, target), {"floor": self.floor}

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        frame = self.read(self.query, part=part)
        return frame[frame["age"] >= self.extras["floor"]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_model_reads_its_own_data(same_place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    same_place.promote("grown", Grown.flows().train(DAY))
    monkeypatch.setattr(Grown, "floor", 60)
    plan = plan_on_data(same_place, Grown, Grown.flows().train(DAY), as_of=DAY)
    assert plan.rows == (customers()["age"] >= 60).sum()
    assert plan.notes == (
        "scored in Python: scoring_data may depend on the models' extras",
        "the models' extras select different entities; those of both are compared",
    )


def demo_model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    file = ROOT / "flows" / "breast_cancer.py"
    spec = importlib.util.spec_from_file_location("breast_cancer", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "breast_cancer", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def demo(
    prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Store, str, str]]:
    """A store with two trainings of the demo's model, the first one in production."""
    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'test.db'}")
    monkeypatch.chdir(ROOT)
    module = demo_model(monkeypatch)
    with mfprefect.connect() as store:
        store.create_schema()
        first, second = module.train(), module.train()
        store.promote("breast_cancer", first)
        store.set_threshold("breast_cancer", 0.5)
        yield store, first, second


def run(*arguments: str, **options: Any) -> Any:
    return CliRunner().invoke(cli, arguments, **options)


def test_the_command(demo: tuple[Store, str, str], tmp_path: Path) -> None:
    store, first, second = demo
    result = run("plan", "breast_cancer", "latest", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["session_id"], document["production_session_id"]) == (second, first)
    assert (document["rows"], document["flipped"]) == (569, 0)
    measures = {row["measure"]: row["value"] for row in document["movement"]}
    assert (measures["psi"], measures["max_abs_difference"]) == (0, 0)
    assert measures["spearman"] == pytest.approx(1)
    assert len(document["columns"]) == 31
    assert {row["verdict"] for row in document["gates"]} == {"passed"}
    text = run("plan", "breast_cancer", second).output
    assert "decisions: 0 of 569 flip (0.0 %)" in text
    assert "gates: 2 of 2 passed" in text
    assert "scored in Python" in text
    assert "scored in Python: a schema of the checks needs the rows" in text
    assert "31 needed by both models" in text
    stored = run("plan", "breast_cancer", second, "--stored")
    assert "have no scorings of the same day" in stored.output
    # Somewhere else, the class is not to be found.
    elsewhere = run("plan", "breast_cancer", second, "--entrypoint", "nowhere.py:Model")
    assert elsewhere.exit_code == 1
    assert "has no file 'nowhere.py'" in str(elsewhere.output)
    text = run("plan", "breast_cancer", unknown_class(store)).output
    assert "recorded no class of its model; --entrypoint names the class" in text
    wrong = run("plan", "breast_cancer", second, "--entrypoint", "flows/diabetes.py:Diabetes")
    assert "is the model 'diabetes', not 'breast_cancer'" in str(wrong.output)
    assert len(store.sessions("breast_cancer")) == 3


def unknown_class(store: Store) -> str:
    with store.session("breast_cancer", purpose="train") as session:
        session.log_metrics({"auc": 0.9})
    return session.session_id


def test_promote_shows_the_plan_and_asks(
    demo: tuple[Store, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, first, second = demo
    planned: list[str] = []
    plan = Store.plan

    def counted(self: Store, *args: Any) -> Any:
        planned.append(args[1])
        return plan(self, *args)

    monkeypatch.setattr(Store, "plan", counted)
    monkeypatch.setattr("mfprefect.cli.commands.promote._on_terminal", lambda: True)
    refused = run("promote", "breast_cancer", second, input="n\n")
    assert refused.exit_code == 130
    assert store.production("breast_cancer") == first
    for line in plan(store, "breast_cancer", second).verdicts[2:5]:
        assert f"  {line}" in refused.output
    assert "decisions: 0 of 569 flip (0.0 %)" in refused.output
    assert planned == [second]
    asked = run("promote", "breast_cancer", second, input="y\n")
    assert asked.exit_code == 0
    assert store.production("breast_cancer") == second
    planned.clear()
    assert run("promote", "breast_cancer", first, "--yes").exit_code == 0
    assert store.production("breast_cancer") == first
    again = run("promote", "breast_cancer", first)
    assert "is already in production" in again.output
    assert "What changes" not in again.output
    monkeypatch.setattr("mfprefect.cli.commands.promote._on_terminal", lambda: False)
    assert run("promote", "breast_cancer", second).exit_code == 0  # a script is not asked
    assert planned == []


PROMPT = b"[y/N]: "


def on_terminal(answer: bytes, *arguments: str) -> tuple[int, str]:
    """Run the command on a terminal, answer its question; return exit code and output."""
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).parent / "mfprefect"), *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown, answered = b"", False
        while chunk := _chunk(ours):
            shown += chunk
            if not answered and shown.endswith(PROMPT):
                os.write(ours, answer)
                answered = True
        os.close(ours)
        code = process.wait()
    return code, " ".join(shown.decode().split())


def _chunk(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other side is closed
        return b""


def test_a_person_at_a_terminal_says_no_and_yes(demo: tuple[Store, str, str]) -> None:
    store, first, second = demo
    code, text = on_terminal(b"n\n", "promote", "breast_cancer", second)
    assert code == 130
    assert "What changes:" in text
    assert "decisions: 0 of 569 flip (0.0 %)" in text
    assert f"Promote {second} of breast_cancer? [y/N]: n" in text
    assert store.production("breast_cancer") == first
    code, text = on_terminal(b"y\n", "promote", "breast_cancer", second)
    assert code == 0
    assert "gates: 2 of 2 passed" in text
    assert store.production("breast_cancer") == second


def test_promote_waits_for_a_plan_only_so_long(
    demo: tuple[Store, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that answers late does not keep a person from deciding."""
    store, first, second = demo
    module = importlib.import_module("mfprefect.cli.commands.promote")
    monkeypatch.setattr(module, "_on_terminal", lambda: True)
    monkeypatch.setattr(module, "SECONDS", 0.2)
    monkeypatch.setattr(module, "GRACE", 0.0)
    late = threading.Event()

    def waiting(*_: Any, **__: Any) -> Any:
        late.wait()

    monkeypatch.setattr("mfprefect.lifecycle.promotion_plan.scored_in_python", waiting)
    result = run("promote", "breast_cancer", second, input="n\n")
    late.set()
    assert (
        "scores: not compared: today's data was not read and scored within 0.2 s; "
        f"`mfprefect plan breast_cancer {second}` takes the time that it needs" in result.output
    )
    assert "gates: 2 of 2 passed" in result.output
    assert store.production("breast_cancer") == first


def test_a_plan_that_fails_does_not_stop_the_question(
    demo: tuple[Store, str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store, _, second = demo
    monkeypatch.setattr("mfprefect.cli.commands.promote._on_terminal", lambda: True)
    folder = tmp_path / "repository"
    (folder / "flows").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)  # noqa: S607 - on the path
    text = (ROOT / "flows" / "breast_cancer.py").read_text()
    broken = text.replace('return self.training_data(as_of).drop(columns="malignant")', "1 / 0")
    assert broken != text
    (folder / "flows" / "breast_cancer.py").write_text(broken)
    monkeypatch.chdir(folder)
    result = run("promote", "breast_cancer", second, input="y\n")
    assert "not known: ZeroDivisionError" in result.output
    assert result.exit_code == 0
    assert store.production("breast_cancer") == second
