"""The contract that every backend keeps, as a pytest suite.

A third party runs it on a backend of its own with a test module of two parts:

    from mfprefect.testing.contract import *

    @pytest.fixture
    def database_url(tmp_path): ...     # the URL of a fresh, empty database
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import json
import math
import multiprocessing
import struct
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import Store
from mfprefect.flow_context import FlowRun
from mfprefect.provenance import capture, environment
from mfprefect.store import migrate
from mfprefect.store.opening import Opening, open_session

NASTY = [
    "plain",
    "a",
    "A",
    "a ",
    " a",
    "Zoë 😀 𝔘 你好",
    'o\'brien "q" `b` $1 %s %(x)s :x ? {0}',
    "back\\slash \\n \\0 \\.",
    "tab\tnew\nline\r\nreturn",
    "; DROP TABLE sessions; --",
    "NULL",
    "\\N",
    "é",
    "e\u0301",
]
DOUBLES = [0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1 + 0.2]
DOUBLES += [1 / 3, -1e-300, 123456789.123456789, 2**53 + 0.0, math.pi]


def bits(values: Any) -> list[bytes]:
    return [struct.pack(">d", float(value)) for value in values]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store with its schema and one model, `churn`, in a fresh database."""
    with mfprefect.connect(database_url, heartbeat_seconds=600, retry_seconds=30) as opened:
        opened.create_schema()
        opened.add_model("churn", "who leaves", entity_type="customer", owner="team")
        yield opened


def rows(store: Store) -> dict[str, int]:
    """Count the rows of every table."""
    tables = store.database.schema.tables
    return {
        name: store.database.read(sa.select(sa.func.count()).select_from(table))[0][0]
        for name, table in tables.items()
    }


def orphans(store: Store) -> dict[str, int]:
    """Count the rows that belong to no session, and the environments that none ran in."""
    schema = store.database.schema
    s = schema.sessions.c
    found = {}
    for table in [*schema.session_tables(), schema.model_stages]:
        alone = ~sa.exists().where(s.session_no == table.c.session_no)
        select = sa.select(sa.func.count()).select_from(table).where(alone)
        found[table.name] = store.database.read(select)[0][0]
    e = schema.environments
    unused = ~sa.exists().where(s.environment_digest == e.c.environment_digest)
    select = sa.select(sa.func.count()).select_from(e).where(unused)
    found[e.name] = store.database.read(select)[0][0]
    return {name: count for name, count in found.items() if count}


def fill(session: mfprefect.Session) -> None:
    """Write something into every table that a session writes to."""
    frame = pd.DataFrame({"age": [30.0, 41.0, None], "city": ["Bonn", "Köln", None]})
    session.log_metrics({"own": 0.5})
    session.log_metadata({"sources": "crm.customer"})
    session.log_input("crm", query="select 1", rows=3, columns={"age": "float"}, digest="d")
    session.log_input_summary(frame)
    session.log_checks(frame, lambda f: len(f) == 3)
    session.log_test_results([0, 1, 0, 1, 1], [0.1, 0.9, 0.4, 0.4, 0.8])
    importance = pd.DataFrame({"variable": ["age", "city"], "importance": [0.7, 0.1]})
    session.log_variable_importance(importance, kind="permutation")
    session.log_backtest(pd.DataFrame({"period": ["2026-01"], "predicted": [1.0], "actual": [2]}))
    session.save_model(b"a model of another language")
    scores = pd.DataFrame({"customer_id": ["a", "b"], "score": [0.1, 0.2]})
    session.write_scores(scores, entity_id="customer_id")


# The schema


def test_the_schema_is_created_once_and_again(database_url: str) -> None:
    with mfprefect.connect(database_url) as store:
        with pytest.raises(mfprefect.SchemaOutdated, match="mfprefect init") as refused:
            store.sessions()
        assert refused.value.found is None
        store.create_schema()
        store.add_model("kept")
        store.create_schema()
        assert list(store.models()["model_id"]) == ["kept"]


def test_the_database_has_what_schema_py_says(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    db = store.database
    known = {table.name for table in db.schema.tables.values()}
    options: dict[str, Any] = {
        "include_name": lambda name, kind, _: kind != "table" or name in known,
        "include_schemas": db.schema.layout.schema is not None,
        "version_table_schema": db.schema.layout.schema,
        "compare_type": False,
    }
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, db.schema.metadata) == []
        inspector = sa.inspect(connection)
        views = set(inspector.get_view_names(schema=db.schema.layout.schema))
    assert views == {db.schema.name(view) for view in db.schema.views()}
    for view in db.schema.views():
        name = sa.table(db.schema.name(view), schema=db.schema.layout.schema)
        assert db.read(sa.select(sa.func.count()).select_from(name)) is not None


def _create_schema(url: str) -> str:
    with mfprefect.connect(url, retry_seconds=60) as store:
        store.create_schema()
    return "created"


def test_the_schema_is_created_by_several_processes_at_once(database_url: str) -> None:
    with _processes(4) as pool:
        assert list(pool.map(_create_schema, [database_url] * 4)) == ["created"] * 4
    with mfprefect.connect(database_url) as store:
        assert len(store.models()) == 0


def _processes(count: int) -> concurrent.futures.ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(count, mp_context=context)


def test_an_interrupted_migration_can_be_run_again(database_url: str) -> None:
    """Cut off before every statement that creates something, in turn; then let it pass."""
    with mfprefect.connect(database_url, retry_seconds=0) as store:
        db = store.database
        left = {"n": 0}

        def cut(_: Any, __: Any, statement: str, *___: Any) -> None:
            if statement.lstrip().upper().startswith("CREATE"):
                left["n"] -= 1
                if left["n"] < 0:
                    raise KeyboardInterrupt

        sa.event.listen(db.engine, "before_cursor_execute", cut)
        for survived in range(0, 200, 3):
            left["n"] = survived
            try:
                store.create_schema()
            except KeyboardInterrupt:
                continue
            break
        else:
            pytest.fail("the migration never came to its end")
        sa.event.remove(db.engine, "before_cursor_execute", cut)
        assert survived > 0
        test_the_database_has_what_schema_py_says(store)
        store.add_model("churn")
        with store.session("churn") as session:
            fill(session)


def _set_revision(store: Store, revision: str) -> None:
    layout = store.database.schema.layout
    version = sa.table(
        layout.prefix + "mfprefect_version", sa.column("version_num"), schema=layout.schema
    )
    store.database.write(
        lambda connection, _: connection.execute(version.update().values(version_num=revision))
    )


def test_a_newer_schema_is_refused(store: Store, database_url: str) -> None:
    _set_revision(store, "9999")
    with mfprefect.connect(database_url) as other:
        with pytest.raises(mfprefect.SchemaOutdated, match="pip install --upgrade") as refused:
            other.sessions()
        assert (refused.value.found, refused.value.expected) == (
            "9999",
            migrate.expected_revision(),
        )
        with pytest.raises(mfprefect.SchemaOutdated, match="newer version"):
            other.create_schema()


def test_a_table_of_somebody_else_is_not_taken_for_ours(database_url: str) -> None:
    with mfprefect.connect(database_url) as store:
        db = store.database
        name, schema = db.schema.name("metrics"), db.schema.layout.schema
        if schema is not None:
            db.write(lambda c, _: c.execute(sa.schema.CreateSchema(schema)))
        foreign = sa.Table(name, sa.MetaData(schema=schema), sa.Column("run_uuid", sa.Integer))
        db.write(lambda connection, _: foreign.create(connection))
        with pytest.raises(mfprefect.ConfigurationError, match="MFPREFECT_PREFIX"):
            store.create_schema()


def test_two_installations_share_a_database_by_prefix(store: Store, database_url: str) -> None:
    with mfprefect.connect(database_url, prefix="mf2_") as second:
        second.create_schema()
        second.add_model("other")
        with second.session("other") as session:
            session.log_metrics({"auc": 0.5})
        assert list(second.models()["model_id"]) == ["other"]
        assert list(store.models()["model_id"]) == ["churn"]
        assert len(store.sessions()) == 0


# Sessions


def test_a_session_keeps_what_it_was_given(store: Store) -> None:
    before = dt.datetime.now(dt.UTC)
    params = {"n": 3, "country": "DE", "when": dt.date(2026, 1, 31), "np": np.float64(0.5)}
    with store.session("churn", purpose="train", params=params, as_of="2026-01-31") as session:
        assert store.show(session.session_id)["status"][0] == "running"
        fill(session)
    after = dt.datetime.now(dt.UTC)
    row = store.sessions().iloc[0]
    assert (row["session_id"], row["session_no"]) == (session.session_id, session.session_no)
    assert (row["status"], row["purpose"], row["attempt"]) == ("succeeded", "train", 1)
    assert json.loads(row["params"]) == {"n": 3, "country": "DE", "when": "2026-01-31", "np": 0.5}
    assert row["as_of"] == dt.date(2026, 1, 31)
    assert before <= row["started_at"] <= row["ended_at"] == row["published_at"] <= after
    assert row["started_at"].tzinfo is not None
    assert session.session_id.startswith("churn-" + f"{row['started_at']:%Y%m%d-%H%M}")
    ran = store.environment(session.session_id)
    assert ran["packages"]["sqlalchemy"] == sa.__version__
    metrics = store.metrics(session.session_id).set_index("metric_name")["value"]
    assert metrics["own"] == 0.5
    assert metrics["auc"] == pytest.approx(1 - 0.5 / 6)
    assert list(store.metadata(session.session_id)["value"]) == ["crm.customer"]
    assert list(store.inputs(session.session_id)["query"]) == ["select 1"]
    assert list(store.input_summary(session.session_id)["n_na"]) == [1, 1]
    assert list(store.checks(session.session_id)["passed"]) == [True]
    assert list(store.variable_importance(session.session_id)["variable"]) == ["age", "city"]
    assert list(store.backtests(session.session_id)["actual"]) == [2.0]
    assert list(store.artifacts(session.session_id)["bytes"]) == [27]
    assert store.load_model(session.session_id) == b"a model of another language"
    assert list(store.scores(session.session_id)["score"]) == [0.1, 0.2]
    assert store.curve(session.session_id)["tp"].is_monotonic_increasing
    assert store.roc(session.session_id)["tpr"].iloc[-1] == 1
    assert store.lift(session.session_id)["lift"].iloc[-1] == 1
    matrix = store.confusion_matrix(session.session_id, 0.5, "probability")
    assert [matrix[name] for name in ("tp", "fp", "tn", "fn")] == [2, 0, 2, 1]
    assert store.accuracy(session.session_id, 0.5, "probability") == pytest.approx(0.8)
    assert orphans(store) == {}


def test_many_sessions_are_read_at_once(store: Store) -> None:
    ids = []
    for value in (0.1, 0.2, 0.3):
        with store.session("churn") as session:
            session.log_metrics({"auc": value})
        ids.append(session.session_id)
    frame = store.metrics(*ids)
    assert list(zip(frame["session_id"], frame["value"], strict=True)) == list(
        zip(ids, (0.1, 0.2, 0.3), strict=True)
    )
    assert list(store.sessions(limit=2)["session_id"]) == ids[:0:-1]
    assert len(store.sessions("churn", status="succeeded")) == 3
    assert len(store.sessions("churn", status="failed")) == 0
    with pytest.raises(mfprefect.UnknownSession, match="nope"):
        store.metrics(ids[0], "nope")
    with pytest.raises(mfprefect.InvalidValue, match="succeeded"):
        store.sessions(status="done")


def test_a_run_costs_few_statements_and_commits(store: Store) -> None:
    """10 parameters, 20 metrics and 5 metadata values: at most 8 statements and 3 commits."""
    statements: list[str] = []
    commits: list[int] = []
    store.sessions()  # the schema's version is checked once a store
    engine = store.database.engine

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    sa.event.listen(engine, "before_cursor_execute", count)
    sa.event.listen(engine, "commit", lambda _: commits.append(1))
    with store.session("churn", params={f"p{i}": i for i in range(10)}) as session:
        session.log_metrics({f"m{i}": i / 7 for i in range(20)})
        session.log_metadata({f"k{i}": "v" for i in range(5)})
    sa.event.remove(engine, "before_cursor_execute", count)
    assert len(statements) <= 8, statements
    assert len(commits) <= 3
    assert len(store.metrics(session.session_id)) == 20
    assert len(store.metadata(session.session_id)) == 5


def test_a_failure_is_recorded_and_passes_through(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.session("churn") as session:
        session.log_metrics({"before": 1})
        session.write_scores(pd.DataFrame({"id": ["a"], "score": [1]}), entity_id="id")
        _ = 1 / 0
    row = store.show(session.session_id).iloc[0]
    assert (row["status"], row["failure_kind"]) == ("failed", "ZeroDivisionError")
    assert row["failure_text"] == "division by zero"
    assert row["ended_at"] is not None
    assert list(store.metrics(session.session_id)["value"]) == [1.0]
    assert len(store.scores(session.session_id)) == 0


def test_an_interrupt_cancels(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.session("churn") as session:
        raise KeyboardInterrupt
    assert store.show(session.session_id)["status"][0] == "cancelled"


def test_a_closed_session_refuses_writes(store: Store) -> None:
    with store.session("churn") as session:
        pass
    before = rows(store)
    scores = pd.DataFrame({"id": ["a"], "score": [1.0]})
    for write in (
        lambda: session.log_metrics({"late": 1}),
        lambda: session.log_metadata({"late": "x"}),
        lambda: session.write_scores(scores, entity_id="id"),
        lambda: session.save_model(b"late"),
        session.flush,
        session.close,
    ):
        with pytest.raises(mfprefect.SessionClosed, match="succeeded"):
            write()
    with pytest.raises(mfprefect.SessionClosed, match="succeeded"):
        store.attach(session.session_id)
    assert rows(store) == before


def test_a_session_deleted_elsewhere_refuses_writes(store: Store, database_url: str) -> None:
    session = store.session("churn")
    with mfprefect.connect(database_url) as other:
        with pytest.raises(mfprefect.InvalidValue, match="running"):
            other.delete_session(session.session_id)
        with other.attach(session.session_id) as same:
            same.log_metrics({"from": 2})
        same.cancel("by another process")
        other.delete_session(session.session_id)
    session.log_metrics({"late": 1})
    with pytest.raises(mfprefect.SessionClosed, match="deleted"):
        session.close()
    session.abandon()
    assert orphans(store) == {}


def test_a_repeated_figure_replaces_the_earlier_one(store: Store, database_url: str) -> None:
    with store.session("churn") as session:
        session.log_metrics({"auc": 0.1, "ks": 0.5})
        session.log_metrics({"auc": 0.2})
        session.flush()
        session.log_metrics({"auc": 0.3}, segment="region=north")
        session.log_metrics({"auc": 0.4})
        session.flush()
        with mfprefect.connect(database_url) as other, other.attach(session.session_id) as attached:
            attached.log_metrics({"auc": 0.9})
    frame = store.metrics(session.session_id).set_index(["metric_name", "segment"])["value"]
    assert frame.to_dict() == {("auc", ""): 0.9, ("auc", "region=north"): 0.3, ("ks", ""): 0.5}


def test_an_unknown_model_or_parent_is_refused(store: Store) -> None:
    before = rows(store)
    with pytest.raises(mfprefect.UnknownModel, match="churn"):
        store.session("chrun")
    with pytest.raises(mfprefect.UnknownSession, match="nobody"):
        store.session("churn", purpose="score", parent="nobody")
    with pytest.raises(mfprefect.InvalidValue, match="train, score, monitor, adhoc"):
        store.session("churn", purpose="testing")
    with pytest.raises(mfprefect.InvalidValue, match="params"):
        store.session("churn", params={"f": object()})
    with pytest.raises(mfprefect.InvalidValue, match="time zone"):
        store.session("churn", as_of=dt.datetime(2026, 1, 1))
    assert rows(store) == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", None, True])
def test_a_metric_is_a_finite_number(store: Store, value: Any) -> None:
    with store.session("churn") as session, pytest.raises(mfprefect.InvalidValue, match="auc"):
        session.log_metrics({"ok": 1, "auc": value})
    assert len(store.metrics(session.session_id)) == 0


def test_failed_checks_stop_the_run_and_stay_on_record(store: Store) -> None:
    frame = pd.DataFrame({"age": [1, 2]})
    with pytest.raises(mfprefect.ChecksFailed) as raised, store.session("churn") as session:
        session.log_checks(frame, [lambda f: len(f) == 2, lambda f: f["age"] > 1])
    assert len(raised.value.failures) == 1
    assert list(store.checks(session.session_id)["passed"]) == [True, False]
    assert store.show(session.session_id)["failure_kind"][0] == "ChecksFailed"


def test_checks_of_several_frames_stand_side_by_side(store: Store) -> None:
    with store.session("churn") as session:
        session.log_checks(pd.DataFrame({"a": [1]}), lambda f: len(f) == 1)
        session.log_checks(pd.DataFrame({"a": [1, 2]}), lambda f: len(f) == 2)
    assert list(store.checks(session.session_id)["check_no"]) == [1, 2]


# Attempts


def _opening(run: FlowRun, **changes: Any) -> Opening:
    facts: dict[str, Any] = {
        "model_id": "churn",
        "purpose": "train",
        "params": "{}",
        "as_of": None,
        "parent_session_id": None,
        "provenance": capture(),
        "environment": environment(),
        "flow_run": run,
    }
    return Opening(**(facts | changes))


def test_a_flow_run_resumes_its_session(store: Store) -> None:
    run = FlowRun("run-1", "1", None)
    first = open_session(store.database, _opening(run))
    session = mfprefect.Session(store.database, first)
    fill(session)
    session.log_metrics({"only_first": 1})
    session.fail(OSError("link down"))
    second = open_session(store.database, _opening(FlowRun("run-1", "2", None)))
    assert (second.session_id, second.attempt) == (first.session_id, 2)
    row = store.show(first.session_id).iloc[0]
    assert (row["status"], row["failure_kind"], row["ended_at"]) == ("running", None, pd.NaT) or (
        row["status"] == "running" and pd.isna(row["failure_kind"]) and pd.isna(row["ended_at"])
    )
    again = mfprefect.Session(store.database, second)
    again.log_metrics({"own": 2})
    assert again.keep_part(1) == 2
    again.close()
    metrics = store.metrics(first.session_id)
    assert list(metrics["metric_name"]) == ["own"]
    assert list(metrics["value"]) == [2.0]
    assert list(store.scores(first.session_id)["entity_id"]) == ["a", "b"]
    assert len(store.sessions()) == 1


def test_a_part_that_the_last_attempt_did_not_keep_goes(store: Store) -> None:
    run = FlowRun("run-1", "1", None)
    first = mfprefect.Session(store.database, open_session(store.database, _opening(run)))
    for part in (1, 2, 3):
        frame = pd.DataFrame({"id": [f"{part}"], "score": [part]})
        first.write_scores(frame, entity_id="id", part=part)
    first.fail(OSError("link down"))
    handle = open_session(store.database, _opening(FlowRun("run-1", "2", None)))
    second = mfprefect.Session(store.database, handle)
    second.write_scores(pd.DataFrame({"id": ["1"], "score": [7]}), entity_id="id", part=1)
    assert second.keep_part(2) == 1
    assert second.keep_part(9) is None
    second.close()
    scores = store.scores(second.session_id)
    assert scores[["entity_id", "score"]].to_numpy().tolist() == [["1", 7.0], ["2", 2.0]]


def test_a_superseded_attempt_is_shut_out(store: Store) -> None:
    first = mfprefect.Session(
        store.database, open_session(store.database, _opening(FlowRun("run-1", "1", None)))
    )
    handle = open_session(store.database, _opening(FlowRun("run-1", "2", None)))
    second = mfprefect.Session(store.database, handle)
    assert second.session_id == first.session_id
    scores = pd.DataFrame({"id": ["a"], "score": [1.0]})
    with pytest.raises(mfprefect.SessionClosed, match="attempt 2 took over"):
        first.write_scores(scores, entity_id="id")
    first.log_metrics({"late": 1})
    with pytest.raises(mfprefect.SessionClosed, match="attempt 2 took over"):
        first.close()
    first.abandon()
    second.close()
    assert len(store.metrics(second.session_id)) == 0
    assert len(store.scores(second.session_id)) == 0


def test_a_flow_run_may_hold_several_sessions(store: Store) -> None:
    run = FlowRun("run-1", "1", None)
    first = open_session(store.database, _opening(run))
    sibling = open_session(store.database, _opening(run, siblings=frozenset({first.session_id})))
    scoring = open_session(store.database, _opening(run, purpose="score"))
    ids = {first.session_id, sibling.session_id, scoring.session_id}
    assert len(ids) == 3
    for handle in (first, sibling, scoring):
        mfprefect.Session(store.database, handle).close()
    # Finished sessions are sealed: a further try is a new session.
    later = open_session(store.database, _opening(FlowRun("run-1", "2", None)))
    assert later.session_id not in ids
    assert later.attempt == 1
    mfprefect.Session(store.database, later).close()


# What survives


@pytest.mark.parametrize("text", NASTY)
def test_text_survives_exactly(store: Store, text: str) -> None:
    store.add_model(text, text, owner=text)
    with store.session(text, params={text: text}) as session:
        session.log_metadata({text: text}, group=text)
        session.log_metrics({text: 1}, segment=text)
    found = store.metadata(session.session_id).iloc[0]
    assert (found["meta_group"], found["meta_name"], found["value"]) == (text,) * 3
    metric = store.metrics(session.session_id).iloc[0]
    assert (metric["metric_name"], metric["segment"]) == (text, text)
    models = store.models().set_index("model_id")
    assert models.loc[text, "description"] == text
    row = store.show(session.session_id).iloc[0]
    assert json.loads(row["params"]) == {text: text}
    assert row["session_id"] == session.session_id


def test_names_that_differ_by_case_or_blanks_are_different(store: Store) -> None:
    names = ["a", "A", "a ", " a", "á", "é", "e\u0301"]
    with store.session("churn") as session:
        session.log_metrics({name: i for i, name in enumerate(names)})
        frame = pd.DataFrame({"id": names, "score": range(len(names))})
        session.write_scores(frame, entity_id="id")
    metrics = store.metrics(session.session_id).set_index("metric_name")["value"]
    assert metrics.to_dict() == {name: float(i) for i, name in enumerate(names)}
    scores = store.scores(session.session_id).set_index("entity_id")["score"]
    assert scores.to_dict() == {name: float(i) for i, name in enumerate(names)}


def test_doubles_survive_bit_for_bit(store: Store) -> None:
    with store.session("churn") as session:
        session.log_metrics({f"m{i:02}": value for i, value in enumerate(DOUBLES)})
        frame = pd.DataFrame({"id": [f"{i:02}" for i in range(len(DOUBLES))], "score": DOUBLES})
        session.write_scores(frame, entity_id="id")
    assert bits(store.metrics(session.session_id)["value"]) == bits(DOUBLES)
    assert bits(store.scores(session.session_id)["score"]) == bits(DOUBLES)


def test_negative_zero_survives_where_the_database_has_one(store: Store) -> None:
    with store.session("churn") as session:
        session.log_metrics({"zero": -0.0})
        session.write_scores(pd.DataFrame({"id": ["a"], "score": [-0.0]}), entity_id="id")
    sign = -1 if store.database.backend.keeps_negative_zero else 1
    assert math.copysign(1, store.metrics(session.session_id)["value"][0]) == sign
    assert math.copysign(1, store.scores(session.session_id)["score"][0]) == sign


SOME_TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)
# + 0.0: negative zero has a test of its own.
SOME_NUMBER = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.lists(
        st.tuples(SOME_TEXT, SOME_NUMBER, st.none() | SOME_TEXT | st.just("")),
        max_size=30,
        unique_by=lambda row: row[0],
    )
)
def test_any_scores_survive(store: Store, data: list[tuple[str, float, str | None]]) -> None:
    table = pa.table(
        {
            "id": pa.array([row[0] for row in data], pa.string()),
            "p": pa.array([row[1] for row in data], pa.float64()),
            "k": pa.array([row[2] for row in data], pa.string()),
        }
    )
    with store.session("churn") as session:
        session.write_scores(table, entity_id="id", score="p", score_class="k")
    read = [row for batch in store.iter_scores(session.session_id) for row in batch.to_pylist()]
    found = {row["entity_id"]: (bits([row["score"]]), row["score_class"]) for row in read}
    assert found == {name: (bits([value]), label) for name, value, label in data}
    assert [row["entity_id"] for row in read] == sorted(found, key=str.encode)


# Scores


def test_scores_are_seen_when_the_session_has_ended_well(store: Store) -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "p": [0.1, 0.2, 0.3], "k": ["x", None, ""]})
    views = store.database.schema

    def visible(view: str) -> int:
        table = sa.table(views.name(view), schema=views.layout.schema)
        return int(store.database.read(sa.select(sa.func.count()).select_from(table))[0][0])

    with store.session("churn", purpose="score") as session:
        assert session.write_scores(frame, entity_id="id", score="p", score_class="k") == 3
        assert len(store.scores(session.session_id)) == 0
        assert visible("published_scores") == visible("latest_scores") == 0
    found = store.scores(session.session_id)
    assert list(found["entity_id"]) == ["1", "2", "3"]
    assert found["score_class"].tolist()[::2] == ["x", ""]
    assert pd.isna(found["score_class"][1])
    with store.session("churn", purpose="score") as later:
        later.write_scores(frame.head(1), entity_id="id", score="p")
    assert visible("published_scores") == 4
    assert visible("latest_scores") == 3


def test_frames_batches_and_files_are_written_alike(store: Store, tmp_path: Any) -> None:
    import pyarrow.parquet as pq

    frame = pd.DataFrame({"id": [f"{i:03}" for i in range(100)], "score": np.arange(100) / 7})
    table = pa.Table.from_pandas(frame)
    pq.write_table(table, tmp_path / "scores.parquet")
    pieces = [table.slice(start, 30) for start in range(0, 100, 30)]
    forms: list[Any] = [frame, table, pieces, (p.to_pandas() for p in pieces)]
    forms += [table.to_batches(max_chunksize=10), tmp_path / "scores.parquet"]
    for form in forms:
        with store.session("churn") as session:
            assert session.write_scores(form, entity_id="id") == 100
        pd.testing.assert_frame_equal(
            store.scores(session.session_id)[["entity_id", "score"]],
            frame.rename(columns={"id": "entity_id"}),
            check_dtype=False,
        )


def test_a_reader_may_stop_early(store: Store) -> None:
    frame = pd.DataFrame({"id": range(120_000), "score": np.arange(120_000) / 7})
    with store.session("churn") as session:
        session.write_scores(frame, entity_id="id")
    for _ in range(3):
        batches = store.iter_scores(session.session_id)
        assert next(batches).num_rows > 0
        batches.close()  # type: ignore[attr-defined]
    read = sum(batch.num_rows for batch in store.iter_scores(session.session_id))
    assert read == 120_000


BAD_SCORES: dict[str, tuple[dict[str, list[Any]], str]] = {
    "duplicate ids": ({"id": ["a", "a"], "score": [1.0, 2.0]}, "duplicates"),
    "a NULL id": ({"id": ["a", None], "score": [1.0, 2.0]}, "NULL"),
    "an empty id": ({"id": ["a", ""], "score": [1.0, 2.0]}, "empty"),
    "NaN": ({"id": ["a", "b"], "score": [1.0, float("nan")]}, "NaN"),
    "infinity": ({"id": ["a", "b"], "score": [1.0, float("-inf")]}, "infinite"),
    "a NULL score": ({"id": ["a", "b"], "score": [1.0, None]}, "NULL"),
    "an over-long id": ({"id": ["a", "b" * 256], "score": [1.0, 2.0]}, "longer than 255"),
    "mixed types": ({"id": ["a", 1], "score": [1.0, 2.0]}, "mixes types"),
    "fractions as ids": ({"id": [1.5, 2.5], "score": [1.0, 2.0]}, "text or integers"),
    "text as scores": ({"id": ["a", "b"], "score": ["x", "y"]}, "numbers"),
    "a NUL character": ({"id": ["a", "b\0"], "score": [1.0, 2.0]}, "NUL"),
    "a missing column": ({"id": ["a", "b"]}, "no column 'score'"),
}


@pytest.mark.parametrize("case", BAD_SCORES)
def test_bad_scores_are_refused_before_anything_is_written(store: Store, case: str) -> None:
    data, message = BAD_SCORES[case]
    with store.session("churn") as session:
        before = rows(store)
        with pytest.raises(mfprefect.InvalidScores, match=message):
            session.write_scores(pd.DataFrame(data), entity_id="id")
        assert rows(store) == before


def test_an_entity_has_one_score_a_session(store: Store) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "score": [1.0, 2.0]})
    with store.session("churn") as session:
        session.write_scores(frame, entity_id="id")
        with pytest.raises(mfprefect.InvalidScores, match="part 2"):
            session.write_scores(frame, entity_id="id")
        session.write_scores(frame.assign(score=9), entity_id="id", part=1)
    assert list(store.scores(session.session_id)["score"]) == [9.0, 9.0]


def test_a_large_model_comes_back(store: Store) -> None:
    blob = np.random.default_rng(0).bytes(9 * 1024 * 1024 + 7)
    with store.session("churn", purpose="train") as session:
        session.save_model(blob)
        session.save_model(b"small", name="other")
    assert store.load_model(session.session_id) == blob
    assert store.load_model(session.session_id, "other") == b"small"
    with pytest.raises(mfprefect.InvalidValue, match="model, other"):
        store.load_model(session.session_id, "nope")


def test_an_altered_model_is_not_loaded(store: Store) -> None:
    with store.session("churn", purpose="train") as session:
        session.save_model(b"the model")
    chunks = store.database.schema.artifact_chunks
    store.database.write(lambda c, _: c.execute(chunks.update().values(bytes=b"a model !")))
    with pytest.raises(mfprefect.ArtifactCorrupt):
        store.load_model(session.session_id)


# Models


def test_models_are_registered_renamed_and_deleted(store: Store) -> None:
    with store.session("churn", purpose="train") as training:
        fill(training)
    with store.session("churn", purpose="score", parent=training.session_id) as scoring:
        fill(scoring)
    store.add_model("other")
    with store.session("other") as kept:
        fill(kept)
    store.set_threshold("churn", 0.4, "probability")
    store.set_threshold("churn", 0.1, "population")
    assert list(store.thresholds("churn")["value"]) == [0.1, 0.4]
    with pytest.raises(mfprefect.InvalidValue, match="already"):
        store.rename_model("churn", "other")
    store.rename_model("churn", "leavers")
    assert list(store.models()["model_id"]) == ["leavers", "other"]
    assert list(store.thresholds("leavers")["kind"]) == ["population", "probability"]
    assert set(store.sessions("leavers")["session_id"]) == {training.session_id, scoring.session_id}
    with pytest.raises(mfprefect.InvalidValue, match=scoring.session_id):
        store.delete_session(training.session_id)
    store.delete_session(scoring.session_id)
    with pytest.raises(mfprefect.UnknownSession):
        store.scores(scoring.session_id)
    assert orphans(store) == {}
    store.delete_model("leavers")
    assert orphans(store) == {}
    assert list(store.models()["model_id"]) == ["other"]
    assert list(store.sessions()["session_id"]) == [kept.session_id]
    with pytest.raises(mfprefect.UnknownModel, match="other"):
        store.delete_model("leavers")
    store.delete_model("other")
    counts = rows(store)
    assert counts.pop("audit_events") > 0
    assert set(counts.values()) == {0}


@pytest.mark.parametrize("bad", ["", "x" * 65, "nul\0", None, 7])
def test_a_bad_model_id_is_refused(store: Store, bad: Any) -> None:
    before = rows(store)
    with pytest.raises(mfprefect.InvalidValue, match="model id"):
        store.add_model(bad)
    assert rows(store) == before


def test_the_audit_trail_is_a_chain(store: Store) -> None:
    from mfprefect.audit import event_digest

    store.add_model("second", "one")
    store.add_model("second", "two")
    store.set_threshold("second", 0.5, "probability")
    store.delete_model("second")
    events = store.database.schema.audit_events
    trail = store.database.read(sa.select(*events.c).order_by(events.c.event_no))
    named = [dict(zip(events.c.keys(), row, strict=True)) for row in trail]
    assert [event["action"] for event in named] == [
        "add_model",
        "add_model",
        "change_model",
        "set_threshold",
        "delete_model",
    ]
    before = None
    for event in named:
        assert event["previous_digest"] == before
        assert event_digest(event) == event["digest"]
        before = event["digest"]


# Many at once


def _open_sessions(url: str, count: int) -> list[tuple[str, int]]:
    with mfprefect.connect(url, heartbeat_seconds=600, retry_seconds=120) as store:
        found = []

        def one() -> None:
            with store.session("churn") as session:
                session.log_metrics({"no": session.session_no})
            found.append((session.session_id, session.session_no))

        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


def test_sessions_opened_at_once_are_all_there(store: Store, database_url: str) -> None:
    """32 sessions from 8 processes: each has a number of its own and its own figures."""
    with _processes(8) as pool:
        found = [
            pair for done in pool.map(_open_sessions, [database_url] * 8, [4] * 8) for pair in done
        ]
    assert sorted(number for _, number in found) == list(range(1, 33))
    listed = store.sessions()
    assert set(listed["session_id"]) == {session_id for session_id, _ in found}
    assert set(listed["status"]) == {"succeeded"}
    metrics = store.metrics(*(session_id for session_id, _ in found))
    assert dict(zip(metrics["session_id"], metrics["value"], strict=True)) == dict(found)


def test_parts_written_at_once_are_all_there(store: Store) -> None:
    with store.session("churn", purpose="score") as session:

        def write(part: int) -> int:
            ids = [f"{part}-{i}" for i in range(500)]
            frame = pd.DataFrame({"id": ids, "score": np.arange(500) / 500})
            return session.write_scores(frame, entity_id="id", part=part)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(write, range(1, 9))) == [500] * 8
    assert len(store.scores(session.session_id)) == 4_000


def test_a_heartbeat_shows_that_the_session_is_alive(database_url: str) -> None:
    with mfprefect.connect(database_url, heartbeat_seconds=0.1) as store:
        store.create_schema()
        store.add_model("churn")
        with store.session("churn") as session:
            session.log_metrics({"so_far": 1})
            first = store.show(session.session_id)["heartbeat_at"][0]
            waited = threading.Event()
            for _ in range(200):
                waited.wait(0.05)
                if store.show(session.session_id)["heartbeat_at"][0] > first:
                    break
            else:
                pytest.fail("no heartbeat in ten seconds")
            # What was logged before the beat is safe from now on.
            assert list(store.metrics(session.session_id)["value"]) == [1.0]
