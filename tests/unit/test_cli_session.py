"""`mfprefect session`: steps in other languages under one session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import mfprefect
from mfprefect.cli import cli
from mfprefect.cli.commands.session import scalar

BIN = Path(sys.executable).parent


@pytest.fixture
def store(tmp_path: Path) -> mfprefect.Store:
    store = mfprefect.connect(f"sqlite:///{tmp_path / 'store.db'}")
    store.create_schema()
    store.add_model("churn")
    return store


@pytest.fixture
def run(store: mfprefect.Store) -> Any:
    url = store.database.settings.url.get_secret_value()

    def run(*args: str, code: int = 0, **env: str) -> Result:
        done = CliRunner().invoke(cli, ["session", *args], env={"MFPREFECT_URL": url} | env)
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def opened(run: Any) -> str:
    return str(run("open", "churn").stdout.strip())


def test_a_shell_script_reports_under_one_session(store: mfprefect.Store, tmp_path: Path) -> None:
    (tmp_path / "tested.csv").write_text("y,p\n0,0.1\n1,0.9\n1,0.8\n0,0.3\n")
    (tmp_path / "imp.csv").write_text('variable,importance,std\nNA,2.5,NA\n"age",1,0.1\n')
    (tmp_path / "back.csv").write_text("period,predicted,actual\n2026-01,10,11\n2026-02,12,\n")
    (tmp_path / "data.csv").write_text("age,city\n20,A\n,B\n30,\n")
    (tmp_path / "s.csv").write_text('id,p,class\n007,0.25,\n008,1e-9,""\n9,0.5,high\n')
    (tmp_path / "model.rds").write_bytes(b"\x00R model\xff")
    script = """
        export MFPREFECT_SESSION_ID=$(mfprefect session open churn --purpose train \
            --param depth=3 --param "note=a=b" --param flag=true --as-of 2026-11-01)
        mfprefect session log --metric auc=0.83 --metric loss=-1e-3 --metadata tool=R
        mfprefect session log --metric auc=0.7 --segment region=north
        mfprefect session log --test-results tested.csv --actual y --score p
        mfprefect session log --importance imp.csv --kind impurity --backtest back.csv \
            --input-summary data.csv --model model.rds
        mfprefect session log --scores s.csv --entity-id id --score p --score-class class
        mfprefect session close
        echo "$MFPREFECT_SESSION_ID"
    """
    url = store.database.settings.url.get_secret_value()
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"MFPREFECT_URL": url, "PATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    (session_id,) = done.stdout.split()
    row = store.show(session_id).iloc[0]
    assert (row["status"], row["purpose"], str(row["as_of"])) == (
        "succeeded", "train", "2026-11-01",
    )  # fmt: skip
    assert json.loads(row["params"]) == {"depth": 3, "note": "a=b", "flag": True}
    assert len(store.sessions()) == 1
    metrics = store.metrics(session_id).set_index(["metric_name", "segment"])["value"]
    assert metrics["auc", ""] == 1.0  # the test results' replaced the one given by hand
    assert metrics["auc", "region=north"] == 0.7
    assert metrics["loss", ""] == -0.001
    assert len(store.curve(session_id)) > 0
    importance = store.variable_importance(session_id).set_index("variable")
    assert importance["importance"].to_dict() == {"NA": 2.5, "age": 1.0}
    assert pd.isna(importance["std"]["NA"])
    assert len(store.backtests(session_id)) == 2
    assert set(store.input_summary(session_id)["variable"]) == {"age", "city"}
    assert store.load_model(session_id) == b"\x00R model\xff"
    scores = store.scores(session_id).astype(object).where(lambda f: f.notna(), None)
    assert scores.to_dict("list") == {
        "entity_id": ["007", "008", "9"],
        "score": [0.25, 1e-9, 0.5],
        "score_class": [None, "", "high"],
    }


def test_an_opened_session_outlives_its_process(store: mfprefect.Store, run: Any) -> None:
    url = store.database.settings.url.get_secret_value()
    done = subprocess.run(
        [BIN / "mfprefect", "session", "open", "churn"],
        env=os.environ | {"MFPREFECT_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("\n")
    assert store.show(done.stdout.strip())["status"].tolist() == ["running"]
    assert done.stderr == ""


def test_open_registers_an_unknown_model_when_told(run: Any, store: mfprefect.Store) -> None:
    store.add_model("known", "described before")
    for model in ("new", "known", "new"):
        assert run("open", model, "--register").stdout.startswith(f"{model}-")
    models = store.models().set_index("model_id")["description"]
    assert models.to_dict() == {"churn": "", "known": "described before", "new": ""}
    run("open", "other", code=1)


def test_open_refuses(run: Any) -> None:
    assert "registered models: churn" in run("open", "nobody", code=1).stderr
    assert "form name=value" in run("open", "churn", "--param", "depth", code=2).stderr
    assert "not a date" in run("open", "churn", "--as-of", "tomorrow", code=1).stderr
    assert "unknown session 'x'" in run("open", "churn", "--parent", "x", code=1).stderr
    assert json.loads(run("open", "churn", "--json").stdout)["session_id"].startswith("churn-")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-2.5e3", -2500.0), ("true", True), ("null", None), ("", ""), ("a=b", "a=b"),
        ("007", "007"), ("NaN", "NaN"), ("Infinity", "Infinity"), ('"x"', '"x"'), ("[1]", "[1]"),
        ("True", "True"), ("{}", "{}"),
    ],
)  # fmt: skip
def test_parameters_are_json_scalars_or_text(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_log_refuses_before_it_writes(
    run: Any, store: mfprefect.Store, opened: str, tmp_path: Path
) -> None:
    file = tmp_path / "f.csv"
    file.write_text("a,b\n1,2\n1,3\n")
    usage: list[tuple[str, ...]] = [
        (), ("--metric", "auc"), ("--metric", "auc=high"), ("--metric", "=1"),
        ("--segment", "s", "--metadata", "a=b"), ("--kind", "x", "--metric", "a=1"),
        ("--test-results", str(file), "--score", "b"), ("--importance", str(file)),
        ("--scores", str(file), "--entity-id", "a"), ("--backtest", str(tmp_path / "none.csv")),
        ("--part", "2", "--metric", "a=1"),
    ]  # fmt: skip
    for args in usage:
        run("log", opened, *args, code=2)
    scores = ("--scores", str(file), "--score", "b", "--entity-id")
    wrong = run("log", opened, "--metric", "auc=1", *scores, "a", code=1)
    assert "duplicates" in wrong.stderr
    assert "have no column 'c'" in run("log", opened, *scores, "c", code=1).stderr
    tested = ("--test-results", str(file), "--score", "b", "--actual")
    assert "it has: a, b" in run("log", opened, *tested, "c", code=1).stderr
    (tmp_path / "f.txt").write_text("a")
    assert (
        ".csv or .parquet" in run("log", opened, "--backtest", f"{tmp_path}/f.txt", code=1).stderr
    )
    (tmp_path / "f.parquet").write_text("no parquet")
    broken = run("log", opened, "--backtest", f"{tmp_path}/f.parquet", code=1)
    assert "cannot be read as parquet" in broken.stderr
    assert run("log", opened, "--metric", "auc=nan", code=1)
    assert store.metrics(opened).empty
    assert store.show(opened)["status"].tolist() == ["running"]


def test_a_part_is_written_again(
    run: Any, store: mfprefect.Store, opened: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for score in ("0.1", "0.2"):
        Path("s.csv").write_text(f"id,p\na,{score}\n")
        args = ("--scores", "s.csv", "--entity-id", "id", "--score", "p", "--part", "1")
        facts = run("log", *args, "--json", MFPREFECT_SESSION_ID=opened).stdout
        assert json.loads(facts) == {"session_id": opened, "logged": {"scores": 1}}
    Path("t.csv").write_text("id,p\nb,oops\n")
    text = ("--scores", "t.csv", "--entity-id", "id", "--score", "p")
    assert "cannot be read as csv" in run("log", opened, *text, code=1).stderr
    run("close", opened)
    assert store.scores(opened)["score"].tolist() == [0.2]


def test_close_with_a_failure(run: Any, store: mfprefect.Store, opened: str) -> None:
    run("close", opened, "--kind", "x", code=2)
    run("close", opened, "--status", "failed", "--kind", "OutOfMemory", "--reason", "R died")
    row = store.show(opened).iloc[0]
    assert (row["status"], row["failure_kind"], row["failure_text"]) == (
        "failed", "OutOfMemory", "R died",
    )  # fmt: skip
    for command in (["log", opened, "--metric", "a=1"], ["close", opened]):
        assert "takes no more writes: it is failed" in run(*command, code=1).stderr


def test_close_as_cancelled(run: Any, store: mfprefect.Store, opened: str) -> None:
    facts = json.loads(run("close", opened, "--status", "cancelled", "--json").stdout)
    assert facts == {"session_id": opened, "status": "cancelled"}
    assert store.show(opened).iloc[0]["failure_kind"] == "Cancelled"


def test_without_a_session(run: Any) -> None:
    assert "SESSION" in run("close", code=2, MFPREFECT_SESSION_ID="").stderr
    assert "unknown session 'x'" in run("close", code=1, MFPREFECT_SESSION_ID="x").stderr


def test_test_results_without_actual_values(
    store: mfprefect.Store, run: Any, opened: str, tmp_path: Path
) -> None:
    tested = tmp_path / "tested.csv"
    tested.write_text("distance,cluster\n1.5,1\n0.5,2\n1,1\n")
    given = ("--test-results", str(tested), "--score", "distance")
    run("log", opened, *given, "--score-class", "cluster", "--model-type", "unsupervised")
    metrics = store.metrics(opened).set_index("metric_name")["value"]
    assert (metrics["n_clusters"], metrics["score_mean"]) == (2, 1)
    assert "requires --actual" in run("log", opened, *given, code=2).output


def test_test_results_of_several_classes_and_of_a_regression(
    store: mfprefect.Store, run: Any, opened: str, tmp_path: Path
) -> None:
    tested = tmp_path / "tested.csv"
    tested.write_text("y,cat,dog,eel\ndog,0.1,0.8,0.1\ncat,0.2,0.7,0.1\neel,0.1,0.1,0.8\n")
    given = ("--test-results", str(tested), "--actual", "y")
    run("log", opened, *given, "--class", "cat", "--class", "dog", "--class", "eel")
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("y,p,shop\n1,2,a\n3,3,b\n")
    given = ("--test-results", str(numbers), "--actual", "y")
    run("log", opened, *given, "--score", "p", "--model-type", "regression", "--segment-by", "shop")
    metrics = store.metrics(opened).set_index(["metric_name", "segment"])["value"]
    assert metrics["accuracy", ""] == 2 / 3
    assert metrics["recall", "class=cat"] == 0
    assert (metrics["mae", ""], metrics["mae", "shop=a"], metrics["mae", "shop=b"]) == (0.5, 1, 0)
    for wrong, message in (
        (("--test-results", str(tested), "--actual", "y"), "requires --score or --class"),
        (("--metric", "a=1", "--segment-by", "shop"), "--segment-by belongs to --test-results"),
    ):
        assert message in run("log", opened, *wrong, code=2).output
