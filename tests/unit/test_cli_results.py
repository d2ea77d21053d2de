"""Commands that show what sessions produced."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

import mfprefect
from mfprefect.checks import RowCount, Unique
from mfprefect.cli import cli

NUMBERS = [0.1, -0.0, 5e-324, 1e300, 1 / 3, 0.5, 1.0]
SCORES = {
    "entity_id": ["007", "a", "b\nnew line", 'c"quote', "d,comma", "z ", "é漢😀"],
    "score": NUMBERS,
    "score_class": ["", None, "NA", "null", "x ", "a\r\nb", '"'],
}


@pytest.fixture
def store(tmp_path: Path) -> mfprefect.Store:
    store = mfprefect.connect(f"sqlite:///{tmp_path / 'store.db'}")
    store.create_schema()
    return store


@pytest.fixture
def run(store: mfprefect.Store) -> Any:
    url = store.database.settings.url.get_secret_value()

    def run(*args: str, code: int = 0) -> Result:
        done = CliRunner().invoke(cli, args, env={"MFPREFECT_URL": url})
        assert done.exit_code == code, done.output
        return done

    return run


def ok(_: pd.DataFrame) -> bool:
    return True


def wrong(_: pd.DataFrame) -> bool:
    return False


@pytest.fixture
def trained(store: mfprefect.Store) -> str:
    store.add_model("churn", "who leaves", entity_type="customer")
    with store.session("churn", "train", params={"depth": 3, "note": None}) as session:
        frame = pd.DataFrame({"age": [20, 30, 40], "income": [1.0, None, 3.0]})
        session.log_input("crm.customer", query="select 1", rows=3, columns={"age": "int"})
        session.log_checks(frame, [ok])
        session.log_input_summary(frame)
        session.log_metrics({"auc": 0.75, "gini": 0.5})
        session.log_metrics({"auc": 0.7}, segment="region=north")
        session.log_metadata({"tool": "R"}, group="made")
        figures = pd.DataFrame(
            {"variable": [f"v{n:02d}" for n in range(12)], "importance": range(12)}
        )
        session.log_variable_importance(figures, "permutation")
        session.save_model(b"12345")
    return str(session.session_id)


@pytest.fixture
def scored(store: mfprefect.Store, trained: str) -> str:
    with store.session("churn", "score", parent=trained, params={"depth": 4}) as session:
        session.log_metrics({"auc": 0.8, "ks": 0.6})
        session.write_scores(pd.DataFrame(SCORES), "entity_id", score_class="score_class")
    return str(session.session_id)


def test_nothing_yet(run: Any) -> None:
    for command in ("models", "sessions"):
        done = run(command)
        assert done.stdout == ""
        assert "yet" in done.stderr
        assert json.loads(run(command, "--json").stdout) == []
    assert "'latest'" in run("show", "latest", code=1).stderr


def test_models(run: Any, scored: str) -> None:
    header, row = run("models").stdout.splitlines()
    assert header.split() == [
        "model", "description", "entity", "owner", "sessions", "last", "session", "(UTC)",
        "in", "production",
    ]  # fmt: skip
    assert "who leaves" in row
    (model,) = json.loads(run("models", "--json").stdout)
    assert model["model_id"] == "churn"
    assert model["sessions"] == 2
    assert model["last_started_at"].endswith("+00:00")


def test_sessions(run: Any, store: mfprefect.Store, trained: str, scored: str) -> None:
    store.add_model("other")
    with pytest.raises(RuntimeError), store.session("other"):
        raise RuntimeError("no luck")
    lines = run("sessions").stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [scored, trained]
    assert lines[0].split() == [
        "session", "model", "purpose", "status", "try", "started", "(UTC)", "took", "commit",
    ]  # fmt: skip
    failed = json.loads(run("sessions", "--status", "failed", "--json").stdout)
    assert [row["model_id"] for row in failed] == ["other"]
    assert failed[0]["failure_kind"] == "RuntimeError"
    started = dt.datetime.fromisoformat(failed[0]["started_at"])
    assert started.utcoffset() == dt.timedelta(0)
    assert failed[0]["as_of"] is None
    rows = json.loads(run("sessions", "churn", "--json").stdout)
    assert [row["session_id"] for row in rows] == [scored, trained]
    assert rows[1]["params"] == {"depth": 3, "note": None}
    one = run("sessions", "churn", "--limit", "1")
    assert trained not in one.stdout
    assert "--limit shows more" in one.stderr
    assert "unknown model 'nobody'; registered models: churn, other" in (
        run("sessions", "nobody", code=1).stderr
    )
    assert run("sessions", "--status", "odd", code=2)


def test_show_a_training(run: Any, trained: str) -> None:
    text = run("show", trained).stdout
    sections = [line for line in text.splitlines() if line and not line.startswith(" ")]
    for title in ("Session", "Environment", "Parameters", "Inputs", "Checks", "Metadata"):
        assert any(line.startswith(title) for line in sections), title
    assert "Variable importance: the top 10" in text
    assert "v02" in text
    assert "v01" not in text
    assert "region=north" not in text  # folded: the only one is both extremes
    assert "region=north" in run("show", trained, "--segments").stdout
    assert "Scores" not in text
    facts = json.loads(run("show", trained, "--json").stdout)
    assert facts["session"]["session_id"] == trained
    assert facts["session"]["params"] == {"depth": 3, "note": None}
    assert facts["inputs"][0]["columns"] == {"age": "int"}
    assert facts["inputs"][0]["rows"] == 3
    assert len(facts["importance"]) == 12
    assert facts["importance"][0]["coefficient"] is None
    assert {m["segment"]: m["value"] for m in facts["metrics"] if m["metric_name"] == "auc"} == {
        "": 0.75, "region=north": 0.7,
    }  # fmt: skip
    assert facts["artifacts"][0]["bytes"] == 5
    assert facts["scores"] == {"rows": 0, "parts": 0, "empty_parts": 0, "published": False}


def test_show_a_scoring_and_its_names(run: Any, trained: str, scored: str) -> None:
    for name in (scored, "latest", "latest:churn"):
        text = run("show", name).stdout
        assert f"Session {scored}" in text
        assert trained in text  # whose model it used
        assert "Artifacts" not in text
    assert json.loads(run("show", "latest", "--json").stdout)["scores"]["rows"] == 7


def test_the_latest_is_none_that_runs_another_again(
    run: Any, store: mfprefect.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfprefect.cli.lookup.NEWEST", 2)
    store.add_model("churn")

    def named(**params: str) -> str:
        with store.session("churn", params=params) as session:
            pass
        return str(session.session_id)

    again = named(reproduces="one that was deleted")
    assert f"Session {again}" in run("show", "latest:churn").stdout  # better than nothing
    first = named()
    for _ in range(3):
        named(reproduces=first)
    for name in ("latest", "latest:churn"):
        assert f"Session {first}" in run("show", name).stdout


def test_parts_without_rows_are_named_first(run: Any, store: mfprefect.Store) -> None:
    store.add_model("m")
    with store.session("m", purpose="score") as session:
        for part, ids in ((1, ["a", "b"]), (2, [])):
            frame = pd.DataFrame({"id": ids, "p": [0.5] * len(ids)})
            session.write_scores(frame, entity_id="id", score="p", part=part)
    happened = run("show", "latest").stdout.partition("can it be used")[0]
    assert "1 of 2 parts had no rows" in " ".join(happened.split())


def test_failed_checks_come_first(run: Any, store: mfprefect.Store) -> None:
    store.add_model("m")
    with pytest.raises(mfprefect.ChecksFailed), store.session("m") as session:
        session.log_checks(pd.DataFrame({"a": [1]}), [ok, wrong])
    text = run("show", "latest").stdout
    assert "Checks: 1 of 2 input checks failed\n" in text
    checks = text[text.index("Checks: ") :]
    assert checks.index("failed  ") < checks.index("ok  ")
    assert "ChecksFailed: 1 of 2" in text
    assert json.loads(run("show", "latest", "--json").stdout)["checks"][0]["passed"] is False


def test_a_failed_check_names_the_command_that_accepts_it(run: Any, store: mfprefect.Store) -> None:
    store.add_model("m")
    schema = pa.DataFrameSchema({"a b": pa.Column(str, pa.Check.isin(["it's"]))})
    with pytest.raises(mfprefect.ChecksFailed), store.session("m") as session:
        session.log_checks(pd.DataFrame({"a b": ["x"]}), schema)
    todo = " ".join(run("show", "latest:m").stdout.split())
    command = re.search("if the data are right: `mfprefect (.*) --reason REASON`", todo)
    assert command is not None
    run(*shlex.split(command[1]), "--reason", "x is new")
    (row,) = json.loads(run("checks", "accepted", "m", "--json").stdout)
    assert (row["check"], row["column"], row["state"]) == ('isin(["it\'s"])', "a b", "active")


def test_checks_of_a_schema_that_passed_take_a_line_for_each_column(
    run: Any, store: mfprefect.Store
) -> None:
    schema = pa.DataFrameSchema(
        {"a": pa.Column(int, pa.Check.ge(0)), "b": pa.Column(int, pa.Check.lt(9))}
    )
    store.add_model("m")
    with pytest.raises(mfprefect.ChecksFailed), store.session("m", purpose="score") as session:
        for part, rows in ((1, 3), (2, 4)):
            session.log_checks(pd.DataFrame({"a": [part] * rows, "b": [1] * rows}), schema)
        session.log_checks(pd.DataFrame({"a": [1], "b": [9]}), schema)
    text = run("show", "latest").stdout
    lines = text[text.index("Checks: ") :].partition("\n\n")[0].splitlines()
    assert lines[0] == "Checks: 1 of 8 input checks failed"
    assert lines[2].split()[:3] == ["failed", "less_than(9)", "b"]
    assert [line.split()[-6:] for line in lines[3:]] == [
        ["8", *["rows", "checked", "in", "3", "parts"]]
    ] * 2
    for name in ("column_in_dataframe", "dtype('int64')", "not_nullable"):
        assert [name in line for line in lines[3:]] == [True, True]


def test_an_unknown_session_names_the_near_ones(run: Any, trained: str) -> None:
    error = run("show", trained[:-1], code=1).stderr
    assert f"unknown session {trained[:-1]!r}" in error
    assert f"Did you mean {trained}?" in error
    assert "Did you mean" not in run("show", "zzz", code=1).stderr
    assert "unknown model 'x'" in run("show", "latest:x", code=1).stderr


def test_compare(run: Any, trained: str, scored: str) -> None:
    facts = json.loads(run("compare", trained, scored, "--json").stdout)
    assert (facts["a"], facts["b"]) == (trained, scored)
    metrics = {(m["metric_name"], m["segment"]): m for m in facts["metrics"]}
    auc = metrics["auc", ""]
    assert (auc["a"], auc["b"], auc["only_in"]) == (0.75, 0.8, None)
    assert auc["difference"] == pytest.approx(0.05)
    assert metrics["gini", ""]["only_in"] == "a"
    assert metrics["ks", ""] == {
        "metric_name": "ks", "segment": "", "a": None, "b": 0.6, "difference": None, "only_in": "b",
        "redefined": False,
    }  # fmt: skip
    assert {p["name"]: (p["changed"], p["only_in"]) for p in facts["params"]} == {
        "depth": (True, None), "note": (True, "a"),
    }  # fmt: skip
    assert len(facts["importance"]) == 12
    lines = run("compare", trained, scored).stdout.splitlines()
    assert any(line.split() == ["auc", "-", "0.75", "0.8", "+0.05"] for line in lines)
    assert any(line.split()[:2] == ["gini", "-"] and "only in A" in line for line in lines)
    assert any(line.split() == ["depth", "3", "4", "changed"] for line in lines)
    assert any(line.split()[:2] == ["note", "null"] for line in lines)


def test_compare_warns_of_different_models(run: Any, store: mfprefect.Store, trained: str) -> None:
    store.add_model("other")
    with store.session("other"):
        pass
    assert "different models" in run("compare", trained, "latest").stderr


def test_scores_are_printed(run: Any, scored: str) -> None:
    done = run("scores", "latest", "--limit", "2")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["entity", "score", "class"], ["007", "0.1", "-"], ["a", "0", "-"],
    ]  # fmt: skip
    assert "2 of 7 scores" in done.stderr
    rows = json.loads(run("scores", scored, "--json").stdout)
    assert [row["score_class"] for row in rows] == SCORES["score_class"]
    assert [row["entity_id"] for row in rows] == SCORES["entity_id"]
    assert [row["score"].hex() for row in rows] == [s.hex() for s in NUMBERS]


def test_some_scores(run: Any, scored: str, tmp_path: Path) -> None:
    done = run("scores", scored, "--entity", "z ", "--entity", "007", "--entity", "nobody")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["entity", "007", "z"]
    assert done.stderr == ""
    ends = ("--at-least", "0.1", "--at-most", "0.5")
    rows = json.loads(run("scores", scored, *ends, "--json").stdout)
    assert [row["score"] for row in rows] == [0.1, 1 / 3, 0.5]
    done = run("scores", scored, *ends, "--limit", "2")
    assert len(done.stdout.splitlines()) == 3
    assert "2 of the matching scores" in done.stderr
    for name in ("s.parquet", "s.csv"):
        done = run("scores", scored, *ends, "--entity", "007", "--to", str(tmp_path / name))
        assert "1 scores" in done.stderr
    assert pyarrow.parquet.read_table(tmp_path / "s.parquet")["entity_id"].to_pylist() == ["007"]
    assert (tmp_path / "s.csv").read_text().splitlines()[1:] == ['"007",0.1,""']
    file = tmp_path / "n.csv"
    error = run("scores", scored, "--at-least", "nan", "--to", str(file), code=1).stderr
    assert "at_least=nan is no number" in error
    assert not file.exists()


def test_a_spreadsheet_runs_nothing_of_a_file_that_is_meant_for_it(
    store: mfprefect.Store, run: Any, tmp_path: Path
) -> None:
    store.add_model("churn")
    ids = ["+1", "-1", "1", "=cmd|'/c calc'!A0", "@SUM(1)", "\t=1", "\n=1", "a=1", "\uff1d1"]
    classes = ["=1", None, "", "x", "-", "'=1", "\r=1", "1-1", "=\x00"[:1]]
    frame = pd.DataFrame({"id": ids, "score": [-0.5] * 9, "class": classes})
    with store.session("churn", "score") as session:
        session.write_scores(frame, "id", score_class="class")
    plain, sheet = (str(tmp_path / name) for name in ("plain.csv", "sheet.csv"))
    run("scores", session.session_id, "-o", plain)
    run("scores", session.session_id, "-o", sheet, "--spreadsheet")
    read: dict[str, Any] = {
        "dtype": {"entity_id": str, "score_class": str},
        "keep_default_na": False,
    }
    before, after = (pd.read_csv(file, **read, lineterminator="\n") for file in (plain, sheet))
    assert set(before["entity_id"]) == set(ids)
    assert list(after["score"]) == list(before["score"])
    for column in ("entity_id", "score_class"):
        formulas = before[column].str.match(r"[=+\-@\t\r\n\uff1d]")
        assert formulas.any()
        assert list(after[column]) == list(before[column].where(~formulas, "'" + before[column]))
    for target in ((), ("-o", str(tmp_path / "sheet.parquet"))):
        result = run("scores", session.session_id, *target, "--spreadsheet", code=2)
        assert "-o FILE.csv" in result.stderr


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_scores_survive_a_file_exactly(
    run: Any, store: mfprefect.Store, scored: str, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"scores.{ending}"
    done = run("scores", scored, "--to", str(file))
    assert "7 scores" in done.stderr
    assert done.stdout == ""
    with store.session("churn", "score") as session:
        id_ = session.session_id
        session.leave_open()
        names = ("--entity-id", "entity_id", "--score", "score", "--score-class", "score_class")
        run("session", "log", id_, "--scores", str(file), *names)
    again = json.loads(run("scores", id_, "--json").stdout)
    assert again == json.loads(run("scores", scored, "--json").stdout)
    assert [row["score_class"] for row in again] == SCORES["score_class"]
    assert [row["score"].hex() for row in again] == [s.hex() for s in NUMBERS]


def test_other_programs_read_the_files(run: Any, scored: str, tmp_path: Path) -> None:
    run("scores", scored, "--to", str(tmp_path / "s.parquet"))
    table = pyarrow.parquet.read_table(tmp_path / "s.parquet")
    assert table.to_pydict() == SCORES
    run("scores", scored, "--to", str(tmp_path / "s.csv"), "--limit", "2")
    frame = pd.read_csv(tmp_path / "s.csv", dtype={"entity_id": str})
    assert frame["entity_id"].tolist() == ["007", "a"]


def test_files_are_not_overwritten_and_not_left_half(
    run: Any, scored: str, trained: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    file = folder / "s.csv"
    file.write_text("mine")
    assert "--force" in run("scores", scored, "--to", str(file), code=1).stderr
    assert file.read_text() == "mine"
    run("scores", scored, "--to", str(file), "--force")
    assert file.read_text().startswith('"entity_id"')
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~mask
    assert "wrote no scores" in run("scores", trained, "--to", str(folder / "n.csv"), code=1).stderr
    assert ".csv or .parquet" in run("scores", scored, "--to", "s.txt", code=2).stderr
    assert "no folder" in run("scores", scored, "--to", str(folder / "x/s.csv"), code=1).stderr
    assert [path.name for path in folder.iterdir()] == ["s.csv"]


def test_scores_that_are_not_published(run: Any, store: mfprefect.Store, trained: str) -> None:
    with pytest.raises(RuntimeError), store.session("churn", "score") as session:
        session.write_scores(pd.DataFrame(SCORES), "entity_id")
        raise RuntimeError
    error = run("scores", "latest", code=1).stderr
    assert "are not published: it is failed" in error


def test_threshold(run: Any, trained: str) -> None:
    run("threshold", "churn", "0.25")
    rows = json.loads(run("threshold", "churn", "0.1", "--kind", "population", "--json").stdout)
    assert [(row["value"], row["kind"]) for row in rows] == [
        (0.1, "population"), (0.25, "probability"),
    ]  # fmt: skip
    assert "outside 0 to 1" in run("threshold", "churn", "7", code=1).stderr
    assert "unknown model 'nobody'" in run("threshold", "nobody", "0.5", code=1).stderr
    assert run("threshold", "churn", "high", code=2)
    assert run("threshold", "churn", "nan", code=1)


def test_the_registry_of_input_columns(run: Any, store: mfprefect.Store, tmp_path: Path) -> None:
    assert "no columns are registered" in run("columns").stderr
    file = tmp_path / "columns.csv"
    file.write_text(
        "schema,table,column,valid,test,note\n"
        "crm,customer,age,true,false,in years\n"
        "crm,customer,NA,false,false,\n"
        "crm,customer,income,true,true,\n"
        "crm,orders,amount,true,false,\n"
    )
    done = run("columns", "customer", "--load", str(file))
    assert "4 columns are new or changed" in done.stderr
    assert "0 columns are new or changed" in run("columns", "--load", str(file)).stderr
    rows = json.loads(run("columns", "customer", "--schema", "crm", "--json").stdout)
    shown = [(row["column_name"], row["valid"], row["test"], row["note"]) for row in rows]
    assert shown == [
        ("NA", False, False, None),
        ("age", True, False, "in years"),
        ("income", True, True, None),
    ]
    assert "on trial" in done.stdout
    assert "amount" not in done.stdout
    file.write_text("table,column,valid\norders,amount,perhaps\n")
    assert (
        "valid of column 'amount' is 'perhaps'"
        in run("columns", "--load", str(file), code=1).stderr
    )
    file.write_text("table,valid\norders,true\n")
    assert "'column'" in run("columns", "--load", str(file), code=1).stderr


def test_a_failed_check_is_accepted(run: Any, store: mfprefect.Store) -> None:
    def score(status: str) -> str:
        session = store.session("m", purpose="score")
        with suppress(mfprefect.ChecksFailed), session:
            session.log_checks(pd.DataFrame({"id": [1, 1, 2]}), [Unique("id"), RowCount(recent=0)])
        row = store.show(session.session_id).iloc[0]
        assert (row["status"], row["failure_kind"]) == (
            status, "ChecksFailed" if status == "failed" else None,
        )  # fmt: skip
        return session.session_id

    store.add_model("m")
    score("failed")
    assert "no check of m is accepted" in run("checks", "accepted", "m").stderr
    assert run("checks", "accept", "latest:m", "unique", code=2)  # without a reason
    wrong = run("checks", "accept", "latest:m", "uniq", "--reason", "x", code=1).stderr
    assert "uniq did not fail" in wrong and "failed checks: unique(id)" in wrong
    past = ("--reason", "x", "--until", "2020-01-01")
    assert "is past" in run("checks", "accept", "latest:m", "unique", *past, code=1).stderr
    assert (
        "is empty" in run("checks", "accept", "latest:m", "unique", "--reason", " ", code=1).stderr
    )

    options = ("--reason", "twins", "--until", "2999-12-31")
    done = run("checks", "accept", "latest:m", "unique", *options)
    assert "twins" in done.stdout and "until another model scores" in done.stderr
    accepted = score("succeeded")
    text = run("show", accepted).stdout
    words = "1 of 2 input checks failed and was accepted"
    assert f"Checks: {words}\n" in text
    assert "until 2999-12-31: twins (acceptance" in " ".join(text.split())
    report = store.report(accepted)
    assert f'aria-label="{words}"' in report
    assert f"{words}: unique(id)" in report
    # What is run again accepts what the original accepted, whatever was decided since.
    (row,) = json.loads(run("checks", "accepted", "m", "--json").stdout)
    assert (row["state"], row["until"], row["check"]) == ("active", "2999-12-31", "unique")
    number = str(row["acceptance_no"])
    shown = run("checks", "withdraw", "m", number, "--reason", "no twins").stdout
    assert "withdrawn: by" in shown and "no twins" in shown
    assert "no acceptance 999" in run(
        "checks", "withdraw", "m", "999", "--reason", "x", code=1
    ).stderr  # fmt: skip
    score("failed")
    again = {"reproduces": accepted}
    with store.session("m", purpose="adhoc", params=again) as session:
        (result, _) = session.log_checks(
            pd.DataFrame({"id": [1, 1]}), [Unique("id"), RowCount(recent=0)]
        )
    assert result["severity"] == "accepted" and f"accepted in {accepted}" in result["message"]


def test_parameters_at_their_default_are_counted(run: Any, store: mfprefect.Store) -> None:
    store.add_model("m")
    params = {"class": "sklearn.Ridge", "alpha": 2.0, "tol": 0.01, "copy_X": True}
    with store.session("m", "train", params={"as_of": None}) as session:
        session.log_params({f"estimator.{name}": value for name, value in params.items()})
        session.log_params({"split.rule": "hash"})
        session.log_metadata({"rows": 70, "rule": "hash"}, group="split")
        session.log_metadata(params, group="estimator")
        session.log_metadata({"defaults": ["copy_X", "tol"]}, group="learning")
    text = run("show", session.session_id).stdout
    assert "estimator.alpha  2.0" in text and "estimator.tol" not in text
    assert "estimator.*      2 more parameters have their default (--all shows them)" in text
    metadata = text[text.index("Metadata") :]
    assert "rows" in metadata and "alpha" not in metadata and "defaults" not in metadata
    everything = run("show", session.session_id, "--all").stdout
    assert "estimator.tol" in everything and "more parameters" not in everything
    assert "defaults" in everything[everything.index("Metadata") :]
    document = json.loads(run("show", session.session_id, "--json").stdout)
    assert document["session"]["params"]["estimator.tol"] == 0.01
