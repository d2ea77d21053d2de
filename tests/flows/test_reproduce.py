"""`mfprefect reproduce`: a real repository, a real model, runs in processes of their own."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Store
from mfprefect.cli import cli
from mfprefect.errors import NotReproducible
from mfprefect.inputs.digest import RULE_VARIABLE, rule_of
from mfprefect.reproduce import reproduce, worker
from mfprefect.reproduce.worker import load_class
from mfprefect.store.states import REPRODUCES

MODEL = """
import mfprefect
from sklearn.ensemble import RandomForestClassifier
from helpers import TREES


class Leaving(mfprefect.Model):
    model_id = "leaving"
    entity_id = "customer_id"
    target = "left_us"
    auto_promote = True
    gates = [mfprefect.Gate("auc", at_least=0.1)]
    parts = 2

    def training_data(self, as_of):
        sql = "select * from customers where day <= :day order by customer_id"
        return self.read(sql, source="warehouse", day=as_of.isoformat()).drop(columns="day")

    def fit(self, features, target):
        return RandomForestClassifier(TREES, random_state=0).fit(features, target)

    def scoring_data(self, as_of, part):
        frame = self.training_data(as_of).drop(columns="left_us")
        return frame[frame["customer_id"] % 2 == part - 1]

    def importance(self, estimator, features, target):
        return {}


train, score, monitor = Leaving.flows()
"""
AS_OF = dt.date(2026, 3, 1)


class Place(NamedTuple):
    store: Store
    repository: Path
    warehouse: Path
    trained: str
    scored: str


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


def fill(warehouse: Path) -> None:
    rows = [(n, n % 7, (n * 13) % 11, int(n % 7 > 3 - n % 3), "2026-01-01") for n in range(200)]
    with closing(sqlite3.connect(warehouse)) as connection, connection:
        connection.execute("drop table if exists customers")
        connection.execute("create table customers (customer_id, calls, tenure, left_us, day)")
        connection.executemany("insert into customers values (?, ?, ?, ?, ?)", rows)


@pytest.fixture(scope="module")
def place(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("reproduce")
    repository, warehouse = folder / "team", folder / "warehouse.db"
    (repository / "flows").mkdir(parents=True)
    (repository / "flows" / "leaving.py").write_text(MODEL)
    (repository / "flows" / "helpers.py").write_text("TREES = 5\n")
    (repository / ".gitignore").write_text("__pycache__\n")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "first")
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {folder / 'hook_ran'}\n")
    hook.chmod(0o755)
    fill(warehouse)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MFPREFECT_URL", f"sqlite:///{folder / 'sessions.db'}")
        patch.setenv("MFPREFECT_SOURCES__WAREHOUSE__URL", f"sqlite:///{warehouse}")
        patch.setenv("MFPREFECT_NOTIFY__OPS__URL", "json://127.0.0.1:9/hook")
        patch.setenv("PREFECT_API_URL", prefect_api)
        with mfprefect.connect() as store:
            store.create_schema()
            flows = load_class(repository, "flows/leaving.py:Leaving").flows()
            trained = flows.train(as_of=AS_OF)
            scored = flows.score(as_of=AS_OF)
            # What the team does next: the run must come from the commit, not from the folder.
            (repository / "flows" / "helpers.py").write_text("TREES = 2\n")
            yield Place(store, repository, warehouse, trained, scored)


def test_a_training_comes_out_the_same(place: Place) -> None:
    store = place.store
    reproduction = reproduce(store, place.trained, repository=place.repository / "flows")
    assert reproduction.same
    assert len(reproduction.metrics) > 3
    assert all(row["same"] and row["difference"] == 0 for row in reproduction.metrics)
    assert [row["name"] for row in reproduction.inputs] == ["warehouse", "training_data"]
    assert all(row["same"] for row in reproduction.inputs)
    assert [row["same"] for row in reproduction.models] == [True]
    assert reproduction.environment == []
    row = store.show(reproduction.reproduction_id).iloc[0]
    assert (row["purpose"], row["status"], row["published_at"]) == ("adhoc", "succeeded", None)
    assert row["parent_session_id"] == place.trained
    assert json.loads(row["params"])[REPRODUCES] == place.trained
    assert (row["git_commit"], row["git_dirty"]) == (
        git(place.repository, "rev-parse", "HEAD"),
        False,
    )
    assert str(row["as_of"]) == "2026-03-01"
    # It is nobody's model, and no event.
    assert store.latest_training("leaving") == store.production("leaving") == place.trained
    assert store.notifications(reproduction.reproduction_id).empty
    assert store.models().iloc[0]["production"] == place.trained
    # Nothing stays behind.
    assert len(git(place.repository, "worktree", "list").splitlines()) == 1
    assert not (place.warehouse.parent / "hook_ran").exists()


def test_digests_of_an_earlier_version_can_be_compared(place: Place) -> None:
    store, helpers = place.store, place.repository / "flows" / "helpers.py"
    with pytest.MonkeyPatch.context() as patch:
        git(place.repository, "checkout", "-q", str(helpers))
        patch.setenv(RULE_VARIABLE, "1")  # as a version that knew no other rule
        trained = (
            load_class(place.repository, "flows/leaving.py:Leaving").flows().train(as_of=AS_OF)
        )
    helpers.write_text("TREES = 2\n")
    assert {len(digest) for digest in store.inputs(trained)["digest"]} == {64}
    assert {rule_of(digest) for digest in store.inputs(trained)["digest"]} == {1}
    assert {rule_of(digest) for digest in store.inputs(place.trained)["digest"]} == {2}
    reproduction = reproduce(store, trained, repository=place.repository)
    assert [row["same"] for row in reproduction.inputs] == [True, True]
    for name in (place.trained, trained):
        assert store.show(name).iloc[0]["status"] == "succeeded"


def test_scores_come_out_the_same_and_are_not_published(place: Place) -> None:
    command = ["reproduce", place.scored, "--repository", str(place.repository), "--json"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert [row["same"] for row in facts["scores"]] == [True, True]
    assert facts["same"] is True
    again = facts["reproduction_id"]
    assert place.store.scores(again).empty  # published scores alone are read
    assert place.store.show(again).iloc[0]["parent_session_id"] == place.trained
    published = place.store.latest_scores("leaving", "1", "2")
    assert set(published["session_id"]) == {place.scored}


def test_changed_data_is_told_by_digest_and_metric(place: Place) -> None:
    with closing(sqlite3.connect(place.warehouse)) as connection, connection:
        connection.execute("update customers set left_us = 1 - left_us where customer_id < 60")
    try:
        command = ["reproduce", place.trained, "--repository", str(place.repository)]
        done = CliRunner().invoke(cli, command)
    finally:
        fill(place.warehouse)
    assert done.exit_code == 3, done.output
    assert "different: " in done.stdout
    assert "Inputs: digests" in done.stdout
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert lines["auc"].endswith("different")
    assert lines["warehouse"].endswith("different")
    assert lines["n"].endswith("same")


def test_data_that_are_gone_are_a_reason(place: Place) -> None:
    with closing(sqlite3.connect(place.warehouse)) as connection, connection:
        connection.execute("drop table customers")
    try:
        with pytest.raises(NotReproducible, match="no such table: customers") as caught:
            reproduce(place.store, place.scored, repository=place.repository)
    finally:
        fill(place.warehouse)
    assert "does its input data still exist" in caught.value.reasons[0]
    last = place.store.sessions(limit=1).iloc[0]
    assert (last["purpose"], last["status"]) == ("adhoc", "failed")
    assert last["session_id"] in str(caught.value)
    assert place.store.notifications(last["session_id"]).empty


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "dirty": ({"git_dirty": True, "git_diff_digest": "ab" * 32}, "uncommitted changes.*abababab"),
    "no commit": ({"git_commit": None, "vcs": None}, "recorded no commit"),
    "other commit": ({"git_commit": "0" * 40}, "000000000000 is not in .*git -C .* fetch"),
    "an option": ({"git_commit": "--upload-pack=x"}, "recorded no commit"),
    "mercurial": ({"vcs": "hg"}, "Mercurial"),
    "adhoc": ({"purpose": "adhoc"}, "only train and score sessions"),
    "monitor": ({"purpose": "monitor"}, "only train and score sessions"),
    "failed": ({"status": "failed", "failure_kind": "TypeError"}, "its results are incomplete"),
    "no date": ({"as_of": None}, "date of its data"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_cannot_be_run_again_is_refused_with_reasons(place: Place, change: str) -> None:
    values, reason = CHANGES[change]
    with altered(place.store, place.trained, values), pytest.raises(NotReproducible, match=reason):
        reproduce(place.store, place.trained, repository=place.repository)


class altered:
    """Change a session's row for a while."""

    def __init__(self, store: Store, session_id: str, values: dict[str, Any]) -> None:
        self.store, self.session_id, self.values = store, session_id, values

    def _write(self, values: dict[str, Any]) -> None:
        s = self.store.database.schema.sessions
        statement = s.update().where(s.c.session_id == self.session_id)
        self.store.database.write_transaction(lambda c, _: c.execute(statement, values))

    def __enter__(self) -> None:
        s = self.store.database.schema.sessions
        select = sa.select(s).where(s.c.session_id == self.session_id)
        row = self.store.database.fetch_all(select)[0]._mapping
        self.before = {name: row[s.c[name]] for name in self.values}
        self._write(self.values)

    def __exit__(self, *_: object) -> None:
        self._write(self.before)


def test_all_reasons_are_told_at_once(place: Place, tmp_path: Path) -> None:
    changes = {"git_dirty": True, "status": "crashed"}
    with altered(place.store, place.trained, changes), pytest.raises(NotReproducible) as caught:
        reproduce(place.store, place.trained, repository=tmp_path)
    assert len(caught.value.reasons) == 3
    assert "not in a git checkout" in caught.value.reasons[-1]
    command = ["reproduce", place.trained, "--repository", str(tmp_path), "--json"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 1
    assert json.loads(done.stderr)["error"] == "NotReproducible"


def test_another_python_is_another_environment(place: Place) -> None:
    store = place.store
    e = store.database.schema.environments
    other = {
        "environment_digest": "f" * 64, "python_version": "CPython 3.99.1",
        "platform_name": "x", "packages": '{"numpy":"1.0"}',
    }  # fmt: skip
    store.database.write_transaction(lambda c, _: c.execute(e.insert(), other))
    with altered(store, place.trained, {"environment_digest": "f" * 64}):
        with pytest.raises(NotReproducible, match=r"ran with CPython 3\.99\.1.*--install"):
            reproduce(store, place.trained, repository=place.repository)
        with pytest.raises(NotReproducible, match=r"python3\.99 is not installed"):
            reproduce(store, place.trained, repository=place.repository, install=True)


def test_a_class_that_is_not_there(place: Place, tmp_path: Path) -> None:
    for name, reason in {
        "flows/leaving.py:Gone": "no model class 'Gone'",
        "flows/leaving.py:Leaving.fit": "no model class",
        "flows/missing.py:Leaving": "no file 'flows/missing.py'",
        "../outside.py:Leaving": "no file",
        "flows/broken.py:Leaving": r"cannot be imported \(ZeroDivisionError",
        "README.md:Leaving": "no file",
    }.items():
        (place.repository.parent / "outside.py").write_text(MODEL)
        (place.repository / "flows" / "broken.py").write_text("1 / 0\n")
        with pytest.raises(mfprefect.ConfigurationError, match=reason):
            load_class(place.repository, name)
    # What the process answers is the reason that is told.
    request, answer = tmp_path / "request", tmp_path / "answer"
    asked = {"root": str(place.repository), "model_id": "leaving"}
    for change, reason in (
        ({"entrypoint": "flows/leaving.py:Gone"}, "no model class 'Gone'"),
        ({"entrypoint": "flows/leaving.py:Leaving", "model_id": "x"}, "is the model 'leaving'"),
    ):
        request.write_text(json.dumps(asked | change))
        assert worker.main(request, answer) == 1
        assert reason in json.loads(answer.read_text())["reason"]
