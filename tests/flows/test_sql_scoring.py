"""Scores that databases compute: the same as Python's, with the same checks, or the reason."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import mfprefect
from mfprefect import ChecksFailed, ConfigurationError, InvalidScores, InvalidValue, Store
from mfprefect.backend import backend_for
from mfprefect.checks import Fresh, NewCategories, NullShare, Range, RowCount, Unique, on
from mfprefect.cli import cli
from mfprefect.settings import load_settings
from mfprefect.sql_scoring import CompiledModel, compile_model

DAY = dt.date(2026, 1, 31)
ROWS = 3_000
PARTS = 2
SQL = "select * from customer where part = :part -- of that part;"
FEATURES = ["income", "age", "visits"]


def customers() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number:05}" for number in rng.permutation(ROWS)],
            "income": rng.gamma(2, 20, ROWS),
            "age": rng.integers(18, 90, ROWS),
            "visits": rng.poisson(3, ROWS),
            "region": rng.choice(np.array(["north", "North", "south", None]), ROWS),
            "seen_at": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 30, ROWS), "D"),
        }
    )
    risk = frame["income"] / 40 - frame["age"] / 50 + rng.normal(size=ROWS)
    return frame.assign(gone=(risk > 0).astype(int), part=np.arange(ROWS) % PARTS + 1)


FRAME = customers()


class Churn(mfprefect.Model):
    model_id = "churn"
    entity_id = "customer_id"
    target = "gone"
    features = FEATURES
    parts = PARTS
    retry_delay_seconds = 0.0
    checks: ClassVar[Any] = [
        RowCount(at_least=10),
        NullShare("income", at_most=0.1),
        Range("age", at_least=0, at_most=120),
        Range("income", share=0.5),
        Fresh("seen_at", dt.timedelta(days=40)),
        NewCategories("region", known=["north"], severity="warning"),
        NewCategories("region", known=["south"], share=0.1, severity="warning"),
        on("part", Unique("region", severity="warning")),
    ]

    def training_data(self, as_of: dt.date) -> Any:
        return self.read("select * from customer")

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        return self.read(SQL, part=part)

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        return {}


def fill(url: str, frame: pd.DataFrame = FRAME) -> None:
    engine = backend_for(load_settings(url=url)).create_engine()
    kinds = {"customer_id": sa.String(64), "region": sa.String(16)}
    frame.to_sql("customer", engine, index=False, if_exists="replace", dtype=kinds)
    engine.dispose()


@pytest.fixture
def same_place(flow_store: Store, schema_url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store, whose database is the source too."""
    use_source(monkeypatch, schema_url)
    fill(schema_url)
    return flow_store


def use_source(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MFPREFECT_SOURCES__WAREHOUSE__URL", url)
    monkeypatch.setenv("MFPREFECT_DEFAULT_SOURCE", "warehouse")


def way(store: Store, session_id: str, group: str = "scoring") -> dict[str, str]:
    metadata = store.metadata(session_id)
    rows = metadata[metadata["meta_group"] == group]
    return dict(zip(rows["meta_name"], rows["value"], strict=True))


def verdicts(store: Store, session_id: str) -> list[tuple[Any, ...]]:
    checks = store.checks(session_id)
    names = ("check", "column", "passed", "failing_rows", "severity")
    return sorted(zip(*(checks[name].fillna("") for name in names), strict=True))


def scored_both_ways(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, str]:
    """Score in SQL and in Python; hold the records against each other; return the sessions."""
    flows = Churn.flows()
    trained = flows.train(DAY)
    sql = flows.score(DAY)
    monkeypatch.setattr(Churn, "scoring", "python")
    python = flows.score(DAY)
    monkeypatch.setattr(Churn, "scoring", "auto")
    ours, theirs = store.scores(sql), store.scores(python)
    assert len(ours) == ROWS
    assert ours["entity_id"].tolist() == theirs["entity_id"].tolist()
    np.testing.assert_allclose(ours["score"], theirs["score"], rtol=0, atol=1e-12)
    assert verdicts(store, sql) == verdicts(store, python)
    assert store.score_parts(sql)["rows"].tolist() == store.score_parts(python)["rows"].tolist()
    assert store.inputs(sql)["rows"].tolist() == store.inputs(python)["rows"].tolist()
    assert store.inputs(sql)["query"].tolist() == store.inputs(python)["query"].tolist()
    assert set(store.input_summary(sql)["variable"]) == set(FEATURES)
    drift = store.drift(sql)
    assert set(drift["measure"]) >= {"psi", "ks", "null_share"}
    assert store.verify(session_id=sql).problems == []
    return trained, sql, python


def test_the_same_scores_where_the_rows_are(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, sql, python = scored_both_ways(same_place, monkeypatch)
    entry = way(same_place, sql)
    assert entry["way"] == "sql"
    assert entry["where"] == "the store's database, by INSERT .. SELECT"
    assert float(entry["difference"]) <= 1e-12
    notes = way(same_place, python)
    assert notes.pop("reading").startswith("whole: ")
    assert notes == {}
    proof = json.loads(way(same_place, trained, "sql_scoring")["proof"])
    assert float(proof["difference"]) <= 1e-12
    assert proof["rows"] >= 800


SOURCES = [("sqlite", "postgres"), ("postgres", "sqlite"), ("mysql", "sqlite")]


@pytest.mark.parametrize(
    ("database_url", "kind"), [(b, a) for a, b in SOURCES], indirect=["database_url"]
)
def test_the_same_scores_where_the_rows_are_elsewhere(
    flow_store: Store, kind: str, new_database: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_database(kind, schema=False) as url:
        use_source(monkeypatch, url)
        fill(url)
        _, sql, _ = scored_both_ways(flow_store, monkeypatch)
    entry = way(flow_store, sql)
    assert entry["way"] == "sql"
    assert entry["where"] == "source 'warehouse', which returned ids and scores"


def refusing(name: str, **attributes: Any) -> type[Churn]:
    return type(name, (Churn,), {"model_id": name.lower(), **attributes})


def merged(self: Churn, as_of: dt.date, part: int) -> Any:
    return self.read(SQL, part=part).assign(extra=1)


def framed(self: Churn, as_of: dt.date, part: int) -> Any:
    return FRAME[FRAME["part"] == part]


def neighbours(self: Churn, features: pd.DataFrame, target: Any) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier().fit(features, target)


def overridden(self: Churn, estimator: Any, features: pd.DataFrame) -> Any:
    return estimator.predict_proba(features)[:, 1]


def classed(self: Churn, score: Any) -> Any:
    return np.where(score > 0.5, "high", "low")


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "Merged": ({"scoring_data": merged}, "scoring_data returns a frame"),
    "Framed": ({"scoring_data": framed}, "scoring_data returns a frame"),
    "Neighbours": ({"fit": neighbours}, "KNeighborsClassifier"),
    "Overridden": ({"predict": overridden}, "overrides predict"),
    "Classed": ({"score_class": classed}, "overrides score_class"),
    "Schema": ({"checks": [pa.DataFrameSchema({"age": pa.Column(int, pa.Check.ge(0))})]}, "schema"),
    "Function": ({"checks": [lambda frame: len(frame) > 0]}, "function <lambda>"),
    "Keys": ({"checks": [Unique("income", "age", "visits", "seen_at")]}, "unique"),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", REFUSALS)
def test_what_sql_cannot_do_is_done_in_python(same_place: Store, name: str) -> None:
    attributes, reason = REFUSALS[name]
    model = refusing(name, **attributes)
    flows = model.flows()
    flows.train(DAY)
    scored = flows.score(DAY)
    assert len(same_place.scores(scored)) == ROWS
    entry = way(same_place, scored)
    assert entry["way"] == "python"
    assert reason in entry["reason"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["Merged", "Neighbours", "Schema"])
def test_a_model_that_wants_sql_reads_nothing_otherwise(
    same_place: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes, _ = REFUSALS[name]
    model = refusing(name, **attributes)
    model.flows().train(DAY)
    monkeypatch.setattr(model, "scoring", "sql")
    sent: list[str] = []

    def listen(*args: Any) -> None:
        sent.append(args[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        with pytest.raises(ConfigurationError, match=r"cannot be computed in SQL.*auto"):
            model.flows().score(DAY)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)
    assert not [text for text in sent if "from customer" in text]
    row = same_place.sessions(model.model_id).iloc[0]
    assert (row["status"], row["purpose"]) == ("failed", "score")


BAD_IDS: dict[str, Any] = {
    "NULL": None,
    "duplicates": FRAME["customer_id"].iloc[-2],
    "longer than": "x" * 300,
    "empty": "",
}


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
@pytest.mark.parametrize("case", BAD_IDS)
def test_bad_ids_are_refused_as_in_python(
    same_place: Store, schema_url: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Churn.flows()
    flows.train(DAY)
    engine = backend_for(load_settings(url=schema_url)).create_engine()
    frame = FRAME.copy()
    frame.loc[ROWS - 4, "customer_id"] = BAD_IDS[case]
    kinds = {"customer_id": sa.String(400)}
    frame.to_sql("customer", engine, index=False, if_exists="replace", dtype=kinds)
    engine.dispose()
    texts = []
    for scoring in ("auto", "sql", "python"):
        monkeypatch.setattr(Churn, "scoring", scoring)
        with pytest.raises(InvalidScores, match=case) as caught:
            flows.score(DAY)
        texts.append(str(caught.value))
        session = same_place.sessions("churn").iloc[0]
        assert session["status"] == "failed"
        assert len(same_place.scores(session["session_id"])) == 0
        assert same_place.score_parts(session["session_id"])["part_no"].tolist() == [2]
    monkeypatch.setattr(Churn, "scoring", "auto")
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
def test_failed_checks_stop_the_run_before_a_score(
    same_place: Store, schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Churn.flows()
    flows.train(DAY)
    fill(schema_url, FRAME.assign(age=FRAME["age"].where(FRAME.index != 7, 150)))
    failures = []
    for scoring in ("auto", "python"):
        monkeypatch.setattr(Churn, "scoring", scoring)
        with pytest.raises(ChecksFailed) as caught:
            flows.score(DAY)
        failures.append(
            [(x["check"], x["column"], x["failing_rows"]) for x in caught.value.failures]
        )
    monkeypatch.setattr(Churn, "scoring", "auto")
    assert failures[0] == failures[1] == [("range", "age", 1)]


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_a_retry_scores_only_the_part_that_is_missing(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def scoring_data(self: Churn, as_of: dt.date, part: int) -> Any:
        asked.append(part)
        if part == 2 and asked.count(2) == 1:
            raise RuntimeError("the link is down")
        return self.read(SQL, part=part)

    monkeypatch.setattr(Churn, "scoring_data", scoring_data)
    flows = Churn.flows()
    flows.train(DAY)
    scored = flows.score.with_options(retries=1)(DAY)
    assert sorted(asked) == [1, 2, 2]
    assert len(same_place.scores(scored)) == ROWS
    assert way(same_place, scored)["way"] == "sql"
    assert same_place.verify(session_id=scored).problems == []


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_the_estimator_is_compiled_once_for_all_parts(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, score, _ = Churn.flows()
    train(DAY)
    compiled: list[Any] = []

    def counted(model: Any) -> Any:
        compiled.append(model)
        return compile_model(model)

    monkeypatch.setattr("mfprefect.lifecycle.sql_proof.compile_model", counted)
    monkeypatch.setattr(Churn, "parts", 4)
    monkeypatch.setattr(Churn, "scoring", "sql")
    frame = FRAME.assign(part=np.arange(ROWS) % 4 + 1)
    fill(os.environ["MFPREFECT_SOURCES__WAREHOUSE__URL"], frame)
    session_id = score(DAY)
    assert len(compiled) == 1
    assert len(same_place.scores(session_id)) == ROWS
    assert way(same_place, session_id)["way"] == "sql"


@pytest.mark.parametrize("scoring", ["auto", "sql"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_empty_part(same_place: Store, monkeypatch: pytest.MonkeyPatch, scoring: str) -> None:
    monkeypatch.setattr(Churn, "scoring", scoring)
    monkeypatch.setattr(Churn, "parts", PARTS + 1)
    monkeypatch.setattr(Churn, "checks", [])
    flows = Churn.flows()
    flows.train(DAY)
    scored = flows.score(DAY)
    assert same_place.score_parts(scored)["rows"].tolist() == [ROWS // 2, ROWS // 2, 0]
    entry = way(same_place, scored)
    assert entry["way"] == "sql" and "reading" not in entry


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_a_model_whose_sql_is_wrong_scores_in_python(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Churn.flows()
    trained = flows.train(DAY)
    right = CompiledModel.scoring

    def wrong(self: CompiledModel, rows: Any, entity_id: str) -> Any:
        scoring = right(self, rows, entity_id)
        scored = scoring.select.subquery("right_scores")
        select = sa.select(scored.c.entity_id, (scored.c.score * 1.0001).label("score"))
        return scoring._replace(select=select)

    monkeypatch.setattr(CompiledModel, "scoring", wrong)
    monkeypatch.setenv("MFPREFECT_BATCH_ROWS", "400")
    scored = flows.score(DAY, trained)
    entry = way(same_place, scored)
    assert entry["way"] == "python"
    assert "differ by up to" in entry["reason"]
    assert entry["reading"] == "in batches of 400 rows"
    assert len(same_place.scores(scored)) == ROWS
    # What was recorded before the difference was seen is recorded once.
    assert same_place.inputs(scored)["rows"].tolist() == [ROWS // PARTS] * PARTS
    monkeypatch.setattr(Churn, "scoring", "python")
    assert verdicts(same_place, scored) == verdicts(same_place, flows.score(DAY, trained))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_long_statements_are_left_to_python(
    same_place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Churn.flows()
    trained = flows.train(DAY)
    monkeypatch.setattr(type(same_place.database.backend), "longest_scoring", 100)
    scored = flows.score(DAY, trained)
    entry = way(same_place, scored)
    assert entry["way"] == "python"
    assert "characters, and above 100 sqlite takes longer to prepare it" in entry["reason"]
    retrained = flows.train(DAY)
    assert "above 100 sqlite" in way(same_place, retrained, "sql_scoring")["not_proven"]
    monkeypatch.setattr(Churn, "scoring", "sql")
    assert way(same_place, flows.score(DAY, trained))["way"] == "sql"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_sample_is_summarised(same_place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfprefect.lifecycle.sql_scoring.SUMMARY_ROWS", 1_000)
    flows = Churn.flows()
    flows.train(DAY)
    first, second = flows.score(DAY), flows.score(DAY)
    text = way(same_place, first)["input_summary"]
    sampled = re.fullmatch(
        r"estimated from ([\d,]+) of 3,000 rows, chosen by a hash of their ids", text
    )
    assert sampled is not None
    assert 700 < int(sampled[1].replace(",", "")) < 1_300
    both = [same_place.input_summary(name).set_index("variable") for name in (first, second)]
    pd.testing.assert_series_equal(both[0]["mean"], both[1]["mean"])
    assert (both[0]["n"] + both[0]["n_na"]).tolist() == [3_000] * len(FEATURES)
    # The number of rows is compared with the number of scores, not of sampled rows.
    messages = same_place.checks(second).set_index("check")["message"]
    assert "is 3,000" in str(messages["row_count"]) or "is 3,000" in messages["row_count"].iloc[-1]


def test_the_statement_runs_without_us(same_place: Store, schema_url: str) -> None:
    trained = Churn.flows().train(DAY)
    scored = Churn.flows().score(DAY)
    text = same_place.scoring_sql(trained, table="customer")
    engine = backend_for(load_settings(url=schema_url)).create_engine()
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(text.replace("%", "%%")).all()
    engine.dispose()
    scores = same_place.scores(scored).set_index("entity_id")["score"]
    assert len(rows) == ROWS
    for entity, score in rows:
        assert score == pytest.approx(scores[entity], rel=1e-12)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_statement_for_people(same_place: Store, schema_url: str) -> None:
    trained = Churn.flows().train(DAY)
    run = CliRunner().invoke
    printed = run(cli, ["sql", "latest:churn", "--url", schema_url])
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.strip() == same_place.scoring_sql(trained).strip()
    options = ["--dialect", "postgresql", "--table", "crm.customer", "--view", "crm.churn_score"]
    view = run(cli, ["sql", trained, "--url", schema_url, *options]).stdout
    assert view.startswith("CREATE VIEW crm.churn_score AS\nSELECT ")
    assert "FROM crm.customer" in view
    document = json.loads(run(cli, ["sql", trained, "--url", schema_url, "--json"]).stdout)
    assert document["sql"] == same_place.scoring_sql(trained)
    for dialect in ("mysql", "mariadb", "sqlite", "teradata"):
        assert "income" in same_place.scoring_sql(trained, dialect)
    with pytest.raises(InvalidValue, match=r"oracle.*postgresql, mysql"):
        same_place.scoring_sql(trained, "oracle")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_model_without_sql_prints_its_reason(same_place: Store) -> None:
    trained = refusing("Neighbours", fit=neighbours).flows().train(DAY)
    with pytest.raises(InvalidValue, match=r"cannot be scored in SQL: .*KNeighborsClassifier"):
        same_place.scoring_sql(trained)


def test_a_choice_that_does_not_exist() -> None:
    with pytest.raises(ConfigurationError, match="choose one of auto, python, sql"):
        refusing("Fast", scoring="fast").flows()


class Tiers(Churn):
    """Three classes, from numbers with NULLs and a category, by a forest."""

    model_id = "tiers"
    target = "tier"
    model_type = "multiclass"
    features = [*FEATURES, "region"]
    checks: ClassVar[Any] = [NullShare("income", at_most=0.2)]

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        encoder = OneHotEncoder(handle_unknown="ignore")
        columns = [("regions", encoder, ["region"]), ("numbers", SimpleImputer(), FEATURES)]
        forest = RandomForestClassifier(20, max_depth=6, random_state=0, n_jobs=1)
        return make_pipeline(ColumnTransformer(columns), forest).fit(features, target)


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
def test_a_forest_of_three_classes(
    same_place: Store, schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    income = FRAME["income"].where(FRAME.index % 11 > 0)
    tier = pd.cut(FRAME["income"] - FRAME["age"], 3, labels=["low", "middle", "high"]).astype(str)
    fill(schema_url, FRAME.assign(income=income, tier=tier))
    flows = Tiers.flows()
    flows.train(DAY)
    sql = flows.score(DAY)
    assert way(same_place, sql)["way"] == "sql", way(same_place, sql)
    monkeypatch.setattr(Tiers, "scoring", "python")
    ours, theirs = (same_place.scores(name) for name in (sql, flows.score(DAY)))
    assert ours["score_class"].tolist() == theirs["score_class"].tolist()
    assert ours["score_class"].nunique() == 3
    np.testing.assert_allclose(ours["score"], theirs["score"], rtol=0, atol=1e-12)
