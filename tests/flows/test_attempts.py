"""A flow run fails on a commit, the next commit fixes it, and the run is retried by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from faultkit import flows

import mfprefect
from mfprefect import SealBroken, Store
from mfprefect.cli import cli

BIN = Path(sys.executable).parent


class Retried(NamedTuple):
    store: Store
    session_id: str
    repository: Path
    first: str
    """The commit with the bug."""
    fix: str


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@x.example")
    done = subprocess.run(
        ["git", *who, *arguments],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)
    return git(folder, "rev-parse", "HEAD")


def run(folder: Path, env: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def package(folder: Path, version: str) -> None:
    """Install a package of a version into a folder of the Python path."""
    for old in folder.glob("helper-*"):
        (old / "METADATA").unlink()
        old.rmdir()
    info = folder / f"helper-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: helper\nVersion: {version}\n")


@pytest.fixture(scope="module")
def retried(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retried]:
    folder = tmp_path_factory.mktemp("attempts")
    repository, installed = folder / "team", folder / "installed"
    repository.mkdir()
    flows.write_model(repository)
    (repository / ".gitignore").write_text("__pycache__\n")
    git(repository, "init", "-q", "-b", "main")
    url = f"sqlite:///{folder / 'sessions.db'}"
    env = os.environ | {
        "PREFECT_API_URL": prefect_api,
        "MFPREFECT_URL": url,
        "MFPREFECT_SPOOL": str(folder / "spool"),
        "PYTHONPATH": str(installed),
    }
    model = repository / "held.py"
    good = model.read_text()
    condition = 'if part == 3 and (HERE / "fail").exists():'
    assert condition in good
    model.write_text(good.replace(condition, "if part == 3:"))
    package(installed, "1.0")
    first = commit(repository, "with a bug")
    with mfprefect.connect(url) as store:
        store.create_schema()
        text = "import held; held.train(); held.score(return_state=True)"
        run(repository, env, sys.executable, "-c", text)
        session = store.sessions("held").iloc[0]
        assert (session["purpose"], session["status"]) == ("score", "failed")
        assert session["git_commit"] == first
        git(repository, "switch", "-qc", "fix")
        model.write_text(good)
        fix = commit(repository, "fixed")
        package(installed, "2.0")
        retry = ("flow-run", "retry", str(session["flow_run_id"]), "--entrypoint", "held.py:score")
        run(repository, env, str(BIN / "prefect"), *retry)
        yield Retried(store, str(session["session_id"]), repository, first, fix)


def test_each_attempt_has_its_own_commit_and_environment(retried: Retried) -> None:
    store = retried.store
    attempts = store.attempts(retried.session_id)
    assert attempts["attempt"].tolist() == [1, 2]
    assert attempts["status"].tolist() == ["failed", "succeeded"]
    assert attempts["failure_text"].fillna("").tolist() == ["no data for part 3", ""]
    assert attempts["git_commit"].tolist() == [retried.first, retried.fix]
    assert attempts["git_branch"].tolist() == ["main", "fix"]
    assert attempts["git_dirty"].tolist() == [False, False]
    assert attempts["process_id"].nunique() == attempts["environment_digest"].nunique() == 2
    row = store.show(retried.session_id).iloc[0]
    assert (row["status"], row["attempt"], row["git_branch"]) == ("succeeded", 2, "fix")
    assert row["git_commit"] == retried.fix
    assert row["environment_digest"] == attempts["environment_digest"][1]
    assert row["process_id"] == attempts["process_id"][1]
    assert store.environment(retried.session_id)["packages"]["helper"] == "2.0"
    assert len(store.scores(retried.session_id)) == 400


def test_a_part_that_the_retry_kept_names_the_attempt_that_wrote_it(retried: Retried) -> None:
    parts = retried.store.score_parts(retried.session_id).set_index("part_no")
    assert parts["attempt"].to_dict() == {1: 1, 2: 1, 3: 2, 4: 1}
    assert parts["kept_by"][[1, 2, 4]].tolist() == [2, 2, 2]
    assert retried.store.verify(session_id=retried.session_id).problems == []


def test_a_changed_attempt_is_named(retried: Retried) -> None:
    store = retried.store
    a = store.database.schema.session_attempts

    number = int(store.show(retried.session_id)["session_no"][0])

    def write(commit: str) -> None:
        update = a.update().where(a.c.session_no == number, a.c.attempt == 1)
        store.database.write_transaction(lambda c, _: c.execute(update.values(git_commit=commit)))

    write(retried.fix)
    try:
        with pytest.raises(SealBroken) as broken:
            store.verify(session_id=retried.session_id)
    finally:
        write(retried.first)
    (problem,) = broken.value.problems
    assert (problem.table, problem.key, problem.columns) == (
        "session_attempts",
        (1,),
        ("git_commit",),
    )
    store.verify()


def test_it_is_run_again_on_the_commit_that_finished(
    retried: Retried, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("MFPREFECT_URL", retried.store.database.settings.url.get_secret_value())
    command = ["reproduce", retried.session_id, "--repository", str(retried.repository), "--json"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    facts: dict[str, Any] = json.loads(done.stdout)
    assert (facts["commit"], facts["same"]) == (retried.fix, True)
    (note,) = facts["notes"]
    assert f"attempt 1 wrote parts 1, 2, 4 of the scores (commit {retried.first[:12]}" in note
    again = retried.store.show(facts["reproduction_id"]).iloc[0]
    assert again["git_commit"] == retried.fix
