"""Declared parameters, experiments on the command line, charts, steps of a killed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import Store
from mfprefect.audit import MOST_INDEXED, differences, summary
from mfprefect.cli import cli
from mfprefect.cli.text_chart import MARKS, chart
from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.util.declared_params import form, recorded, run_params

untimed = settings(deadline=None)
DECLARED = {"depth": 6, "rate": 0.1, "kind": "tree", "warm": False, "layers": [8], "any": None}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'store.db'}")
    with mfprefect.connect() as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened
        opened.verify()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def fails(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exit_code != 0
    return result.output


# Parameters that a model declares


def test_a_run_has_the_defaults_and_what_was_given() -> None:
    assert run_params("M", DECLARED, None) == DECLARED
    given = {"depth": np.int64(8), "rate": 1, "any": {"a": [1]}, "warm": np.True_}
    params = run_params("M", DECLARED, given)
    assert params == DECLARED | {"depth": 8, "rate": 1.0, "any": {"a": [1]}, "warm": True}
    assert [type(params[name]) for name in given] == [int, float, dict, bool]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dept": 8}, "declares no parameter 'dept'; its parameters are 'depth', 'rate'"),
        ({"depth": "8"}, "'depth' of M is '8', and must be an integer, as its default 6 is"),
        ({"depth": 8.5}, "must be an integer"),
        ({"depth": True}, "must be an integer"),
        ({"rate": "x"}, "must be a number"),
        ({"kind": 1}, "must be text"),
        ({"warm": 1}, "must be true or false"),
        ({"layers": 8}, "must be a list"),
        ({"rate": float("nan")}, "JSON"),
        (["depth"], "pass a dict"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_choices(given: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        run_params("M", DECLARED, given)


@untimed
@given(
    st.dictionaries(
        st.sampled_from([*DECLARED, "x"]),
        st.one_of(st.booleans(), st.integers(), st.floats(), st.text(), st.none()),
    )
)
def test_params_have_the_types_of_their_defaults_or_are_refused(values: dict[str, Any]) -> None:
    try:
        params = run_params("M", DECLARED, values)
    except InvalidValue:
        return
    assert list(params) == list(DECLARED)
    for name, default in DECLARED.items():
        assert default is None or type(params[name]) is type(default)
    assert run_params("M", DECLARED, params) == params
    assert recorded(DECLARED, {**params, "as_of": None}) == params


def test_names_that_sessions_record_themselves_cannot_be_declared() -> None:
    for name in ("as_of", "estimator.depth", "shadow_of"):
        kind: Any = type("M", (mfprefect.Model,), {"params": {name: 1}})
        for attribute in ("model_id", "entity_id", "target"):
            setattr(kind, attribute, "x")
        with pytest.raises(ConfigurationError, match=f"the parameter '{name}', which sessions"):
            kind._require()


def test_the_form_shows_a_field_of_its_type_for_each_parameter() -> None:
    fields = form(DECLARED)["properties"]
    assert {name: field.get("type") for name, field in fields.items()} == {
        **{"depth": "integer", "rate": "number", "kind": "string", "warm": "boolean"},
        **{"layers": "array", "any": None},
    }
    assert {name: field["default"] for name, field in fields.items()} == DECLARED


# The command line


def test_a_shell_logs_steps(store: Store) -> None:
    session = store.session("churn", "train")
    for step, loss in enumerate((0.5, 0.25)):
        run("session", "log", session.session_id, "--metric", f"loss={loss}", "--step", str(step))
    session.close()
    assert store.metric_steps(session.session_id)["value"].tolist() == [0.5, 0.25]
    assert store.metrics(session.session_id)["value"].tolist() == [0.25]


@pytest.fixture
def trials(store: Store) -> list[str]:
    with store.session("churn", "train") as search:
        pass
    names = []
    for depth, auc in ((2, 0.7), (6, 0.9), (4, 0.8)):
        params = {"depth": depth, "kind": "tree", "shape": "round" if depth > 3 else "flat"}
        parent = search.session_id
        with store.session("churn", "trial", params=params, parent=parent) as trial:
            for step in range(4):
                trial.log_metrics({"loss": depth / (1 + step)}, step=step)
            trial.log_metrics({"auc": auc})
        names.append(trial.session_id)
    return names


def test_experiments_are_listed_the_best_first(trials: list[str]) -> None:
    lines = run("experiments", "churn", "--sort", "-auc", "--where", "depth>=2").splitlines()
    assert lines[0].split()[:5] == ["session", "auc", "loss", "depth", "shape"]
    assert [line.split()[0] for line in lines[1:]] == [trials[1], trials[2], trials[0]]
    assert "kind" not in lines[0]  # it is the same in all
    assert "kind" in run("experiments", "churn", "--where", "depth>=2", "--all").splitlines()[0]
    rows = json.loads(run("experiments", "churn", "--sort", "-auc", "--limit", "1", "--json"))
    assert [(row["session_id"], row["params.depth"], row["metrics.auc"]) for row in rows] == [
        (trials[1], 6, 0.9)
    ]
    assert "has metrics.auc" in fails("experiments", "churn", "--sort", "acu")


def test_conditions_find_sessions_by_keys(store: Store, trials: list[str]) -> None:
    statements: list[tuple[str, Any]] = []
    engine = store.database.engine

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        statements.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    where = ["depth=6", "shape=round", "auc>0.8"]
    assert store.experiments("churn", where=where)["session_id"].tolist() == [trials[1]]
    sa.event.remove(engine, "before_cursor_execute", note)
    text, parameters = next(entry for entry in statements if "run_by" in entry[0])
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
        plan = " ".join(row[-1] for row in rows)
    indexes = ("ix_session_params_number", "ix_session_params_text", "ix_metrics_value")
    assert [name for name in indexes if f"COVERING INDEX {name}" not in plan] == []
    assert "SCAN" not in plan


def test_trials_are_listed_on_request(trials: list[str]) -> None:
    listed = json.loads(run("sessions", "--json"))
    assert [row["purpose"] for row in listed] == ["train"]
    listed = json.loads(run("sessions", "--trials", "--json"))
    assert [row["purpose"] for row in listed] == ["trial"] * 3 + ["train"]


def test_a_chart_is_drawn_in_characters(trials: list[str]) -> None:
    lines = run("plot", "churn", "loss").splitlines()
    assert lines[0] == "loss over step"
    assert lines[-3:] == [f"{MARKS[n]} {name}" for n, name in enumerate(trials[::-1])]
    document = json.loads(run("plot", "churn", "auc", "--by", "depth", "--json"))
    assert document["series"][0]["points"] == [[2.0, 0.7], [6.0, 0.9], [4.0, 0.8]]
    words = run("plot", "churn", "auc", "--by", "shape").splitlines()
    assert words[-2:] == ["0: flat", "1: round"]
    assert "auc over session" in run("plot", "churn", "auc")
    assert "has metrics.auc" in fails("plot", "churn", "acu")
    assert "params.depth" in fails("plot", "churn", "auc", "--by", "dept")


def test_a_chart_is_written_as_a_picture(trials: list[str], tmp_path: Path) -> None:
    from matplotlib import image

    for arguments in (["loss"], ["auc", "--by", "depth"], ["auc", "--by", "shape"]):
        path = tmp_path / "chart.png"
        run("plot", "churn", *arguments, "--output", str(path))
        picture = image.imread(path)
        assert picture.shape[:2] == (675, 1200)
        assert 0.01 < (picture[..., :3].min(axis=2) < 0.9).mean() < 0.5  # neither empty nor full
        path.unlink()


@untimed
@given(
    st.lists(
        st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1, max_size=9),
        min_size=1,
        max_size=12,
    )
)
def test_every_chart_has_its_points_inside_of_its_frame(series: Any) -> None:
    lines = chart(series, width=40, height=9)
    assert len(lines) == 11
    assert len({line.index("|") for line in lines[:9]}) == 1
    marks = sum(cell in MARKS for line in lines[:9] for cell in line.partition("|")[2])
    assert 1 <= marks <= sum(map(len, series))
    assert all(len(line.partition("|")[2]) <= 40 for line in lines[:9])


# Seals of many rows


@untimed
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 3_000), st.none() | st.floats(0, 1)),
        max_size=40,
        unique_by=lambda row: row[:2],
    ),
    st.integers(1, 7),
)
def test_a_summary_does_not_depend_on_how_its_rows_arrive(rows: Any, chunk: int) -> None:
    import hashlib

    plain = [
        {"name": name, "step": step, **({} if value is None else {"value": value})}
        for name, step, value in rows
    ]
    ordered = sorted(plain, key=lambda row: [row["name"], row["step"]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfprefect.audit.CHUNK", chunk)
        streamed = summary("steps", ("name", "step"), iter(ordered), ordered=True)
    assert streamed == summary("steps", ("name", "step"), plain)

    def text(value: Any) -> str:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)

    lines = ["mfprefect steps 1", *map(text, ordered)]
    assert streamed["sha256"] == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    for name, short in streamed["columns"].items():
        cells = text([row.get(name) for row in ordered])
        assert hashlib.sha256(cells.encode()).hexdigest().startswith(short)


def test_of_many_rows_the_curve_is_named() -> None:
    rows = [
        {"name": name, "segment": "", "step": step, "value": 0.5}
        for name in ("acc", "loss")
        for step in range(MOST_INDEXED)
    ]
    key = ("name", "segment", "step")
    sealed = summary("metric_steps", key, rows)
    rows[-1]["value"] = 0.75
    (problem,) = differences("metric_steps", sealed, summary("metric_steps", key, rows))
    assert str(problem) == "metric_steps: a row of ('loss', '') was changed, in value"


# A run that is killed

KILLED = """
import sys, time, mfprefect
store = mfprefect.connect(sys.argv[1], heartbeat_seconds=0.5)
session = store.session("churn", "train")
print(session.session_id, flush=True)
step = 0
while True:
    session.log_metrics({"loss": 1 / (1 + step)}, step=step)
    print(step, time.time(), flush=True)
    step += 1
    time.sleep(0.002)
"""


def test_a_killed_run_loses_no_more_than_the_steps_since_its_last_heartbeat(
    store: Store, tmp_path: Path
) -> None:
    url = os.environ["MFPREFECT_URL"]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-c", KILLED, url], stdout=file)
        deadline = time.monotonic() + 60
        while log.read_text().count("\n") < 1_000 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    name, *lines = log.read_text().split("\n")[:-1]
    times = {int(line.split()[0]): float(line.split()[1]) for line in lines}
    beat = store.show(name)["heartbeat_at"].iloc[0].timestamp()
    steps = store.metric_steps(name)["step"].tolist()
    assert steps == list(range(len(steps)))
    # The heartbeat takes the steps first, and then the time.
    logged_before = [step for step, at in times.items() if at < beat - 0.1]
    assert len(logged_before) > 100
    assert set(logged_before) <= set(steps)
    assert store.metrics(name)["value"].tolist() == [1 / len(steps)]
