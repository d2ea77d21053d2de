"""Attempts of a session in the spool, in archives, in databases of before, and as people read them.

What each database must hold of them is in `mfprefect/testing/contract/attempts.py`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Session, Store
from mfprefect import provenance as origin
from mfprefect.cli import cli
from mfprefect.errors import ArtifactCorrupt
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.reproduce.preconditions import other_code
from mfprefect.spool.files import encode_document
from mfprefect.testing.contract.helpers import orphans
from mfprefect.util.frames import records

A, B = "a" * 40, "b" * 40
QUICK: dict[str, Any] = {"retry_seconds": 0.1, "connect_timeout": 0.02, "heartbeat_seconds": 600}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MFPREFECT_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.chdir(tmp_path)  # no checkout: the variables name the commit
    monkeypatch.setenv("MFPREFECT_REPOSITORY", str(tmp_path))
    with mfprefect.connect(**QUICK) as store:
        store.create_schema()
        store.add_model("churn")
        yield store


class Run:
    """A flow run whose attempts run in processes of their own, on commits of their own."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.patch = store, monkeypatch

    def attempt(
        self, number: int, commit: str, *, elsewhere: bool = True, **options: Any
    ) -> Session:
        run = FlowRun("run-1", str(number), None)
        self.patch.setattr("mfprefect.store.api.sessions.current_flow_run", lambda: run)
        self.patch.setenv("MFPREFECT_GIT_COMMIT", commit)
        if elsewhere:
            origin._captured.cache_clear()  # as in another process
        return self.store.session("churn", purpose="score", **options)


@pytest.fixture
def run(store: Store, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(store, monkeypatch)


def write(session: Session, *parts: int) -> None:
    for part in parts:
        frame = pd.DataFrame({"id": [f"e{part}"], "score": [0.5]})
        session.write_scores(frame, entity_id="id", part=part)


def retried(run: Run) -> str:
    """Return a session that failed on commit A and finished on commit B."""
    first = run.attempt(1, A)
    write(first, 1)
    first.fail(OSError("link down"))
    with run.attempt(2, B) as second:
        assert second.keep_part(1) == 1
        write(second, 2)
    return first.session_id


def commits(store: Store, session_id: str) -> list[str | None]:
    return list(store.attempts(session_id)["git_commit"])


def test_the_same_process_runs_the_same_code(run: Run) -> None:
    """A commit that was checked out between two attempts of one process was not imported."""
    run.attempt(1, A).fail(OSError("link down"))
    with run.attempt(2, B, elsewhere=False) as second:
        pass
    assert second.attempt == 2
    assert commits(run.store, second.session_id) == [A, A]


def test_people_are_shown_which_attempt_made_what(run: Run) -> None:
    name = retried(run)
    shown = CliRunner().invoke(cli, ["show", name])
    assert shown.exit_code == 0, shown.output
    text = shown.stdout
    assert B in text
    lines = [line.split() for line in text.splitlines() if "link down" in line or B[:8] in line]
    assert ["1", "failed", A[:8]] in [line[:3] for line in lines]
    assert ["2", "succeeded", B[:8]] in [line[:3] for line in lines]
    document = json.loads(CliRunner().invoke(cli, ["show", name, "--json"]).stdout)
    rows = document["attempts"]
    assert [(row["attempt"], row["git_commit"], row["parts"]) for row in rows] == [
        (1, A, 1),
        (2, B, 1),
    ]
    page = run.store.report(name)
    assert "Attempts: each with its own code" in page
    assert A[:12] in page and B in page
    with run.store.session("churn") as once:
        pass
    assert "Attempts" not in CliRunner().invoke(cli, ["show", once.session_id]).stdout
    assert "Attempts:" not in run.store.report(once.session_id)


def test_a_reproduction_says_which_parts_another_commit_wrote(run: Run) -> None:
    name = retried(run)
    attempts, parts = records(run.store.attempts(name)), records(run.store.score_parts(name))
    (note,) = other_code(attempts, parts)
    assert note.startswith(f"attempt 1 wrote part 1 of the scores (commit {A[:12]}")
    same = [row | {"git_commit": B} for row in attempts]
    assert other_code(same, parts) == []
    assert other_code(attempts, parts[1:]) == []


def test_archives_hold_attempts_and_their_environments(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = run.store
    name = _retried_elsewhere(run, monkeypatch)
    before = store.attempts(name), store.score_parts(name)
    archive = tmp_path / "archive"
    archive.mkdir()
    for _ in range(2):
        with run.store.session("churn", purpose="score") as newer:
            write(newer, 1)
    store.prune("churn", keep_sessions=1, archive_to=archive, only=[name])
    assert name not in set(store.sessions()["session_id"])
    assert orphans(store) == {}
    (folder,) = (x.parent for x in archive.rglob("session.json"))
    assert store.restore(folder) == name
    after = store.attempts(name), store.score_parts(name)
    for one, other in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert store.environment(name)["packages"] == {"other": "1"}
    store.verify()
    e = store.database.schema.environments
    digest = before[0]["environment_digest"][0]
    forged = e.update().where(e.c.environment_digest == digest).values(python_version="x")
    store.database.write_transaction(lambda c, _: c.execute(forged))
    with pytest.raises(mfprefect.SealBroken, match="does not match its digest"):
        store.verify(session_id=name)


def _retried_elsewhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    first = run.attempt(1, A)
    write(first, 1)
    first.fail(OSError("link down"))
    here = origin.environment()
    packages = '{"other":"1"}'
    digest = mfprefect.audit.environment_digest(here.python, here.platform, packages)
    assert digest is not None
    other = origin.Environment(digest, here.python, here.platform, packages)
    with monkeypatch.context() as patch:
        patch.setattr(origin, "environment", lambda: other)
        with run.attempt(2, B) as second:
            assert second.keep_part(1) == 1
    return first.session_id


def test_an_archive_with_a_forged_environment_is_refused(run: Run, tmp_path: Path) -> None:
    name, archive = retried(run), tmp_path / "archive"
    archive.mkdir()
    with run.store.session("churn", purpose="score") as newer:
        write(newer, 1)
    run.store.prune("churn", keep_sessions=1, archive_to=archive, only=[name])
    (head,) = archive.rglob("session.json")
    content = json.loads(head.read_text())
    for forged in ({"environment_digest": "x"}, {**content["environment"], "packages": 7}, 7):
        head.write_text(json.dumps(content | {"environments": [forged]}))
        with pytest.raises(ArtifactCorrupt):
            run.store.restore(head.parent)
    head.write_text(json.dumps(content))
    assert run.store.restore(head.parent) == name


class Away:
    """A lock on the database: nobody else can write to it."""

    def __init__(self, tmp_path: Path) -> None:
        self.file = tmp_path / "store.db"

    def __enter__(self) -> None:
        self.connection = sqlite3.connect(self.file, isolation_level=None)
        self.connection.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *error: object) -> None:
        self.connection.close()


@pytest.mark.parametrize("early", [False, True], ids=["today's", "an earlier version's"])
def test_attempts_that_were_spooled_arrive_as_they_were(
    run: Run, tmp_path: Path, early: bool
) -> None:
    store = run.store
    first = run.attempt(1, A)
    write(first, 1)
    first.flush()
    with Away(tmp_path):
        first.fail(OSError("link down"))
        second = run.attempt(2, B)
        write(second, 2)
        second.close()
        assert (second.attempt, second.status) == (2, "spooled")
    if early:
        for head in (tmp_path / "spool").rglob("head.json"):
            _as_before(head)
    assert store.push_spool()["verdict"].tolist() == ["delivered", "delivered"]
    attempts = store.attempts(first.session_id)
    assert attempts["status"].tolist() == ["failed", "succeeded"]
    assert attempts["git_commit"].tolist() == [A, B]
    assert attempts["ended_at"][0] <= attempts["started_at"][1] <= attempts["ended_at"][1]
    assert store.show(first.session_id)["git_commit"].tolist() == [B]
    store.verify()


def _as_before(head: Path) -> None:
    """Take out of a head what an earlier version did not write."""
    written = head.stat().st_mtime_ns
    content = json.loads(head.read_bytes().partition(b"\n")[2])
    if content.get("session"):
        del content["session"]["attempt_started_at"]
    content["revision"] = "0004"
    head.write_bytes(encode_document(content))
    os.utime(head, ns=(written, written))


def test_an_attempt_given_up_while_it_lived_is_recorded_once_with_its_own_end(
    run: Run, tmp_path: Path
) -> None:
    store = run.store
    session = run.attempt(1, A)
    with Away(tmp_path):
        write(session, 1)
        session.close()
    s = store.database.schema.sessions
    elsewhere = s.update().values(process_key="another-boot/1/1/1")
    store.database.write_transaction(lambda c, _: c.execute(elsewhere))
    store.end_flow_run("run-1", "CRASHED")
    assert store.attempts(session.session_id)["status"].tolist() == ["crashed"]
    assert store.push_spool()["status"].tolist() == ["succeeded"]
    attempts = store.attempts(session.session_id)
    assert attempts["status"].tolist() == ["succeeded"]
    assert attempts["failure_kind"].tolist() == [None]
    store.verify()


def test_of_a_session_of_an_earlier_version_nothing_is_made_up(run: Run, tmp_path: Path) -> None:
    """It recorded the first attempt's code, and which attempt ran last."""
    with run.attempt(1, A) as once:
        pass
    run.patch.setattr("mfprefect.store.api.sessions.current_flow_run", lambda: None)
    twice = run.store.session("churn", purpose="score")
    twice.fail(OSError("link down"))
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("DELETE FROM session_attempts")
        connection.execute("UPDATE sessions SET attempt_started_at = NULL")
        connection.execute("UPDATE sessions SET attempt = 2 WHERE status = 'failed'")
    (row,) = records(run.store.attempts(once.session_id))
    assert (row["git_commit"], row["status"]) == (A, "succeeded")
    assert row["started_at"] == run.store.show(once.session_id)["started_at"][0]
    (row,) = records(run.store.attempts(twice.session_id))
    assert (row["attempt"], row["status"], row["host"] != "") == (2, "failed", True)
    assert [row[name] for name in ("git_commit", "environment_digest", "started_at")] == [None] * 3
    text = CliRunner().invoke(cli, ["show", twice.session_id]).stdout
    assert "the first attempt; of later ones it is unknown" in text
    (note,) = other_code([row], [])
    assert "recorded the commit and environment of attempt 1 only" in note


def test_only_retried_sessions_have_rows(run: Run) -> None:
    """What is not retried costs no statement more, and no row."""
    with run.store.session("churn"):
        pass
    name = retried(run)
    a = run.store.database.schema.session_attempts.c
    rows = run.store.database.fetch_all(sa.select(a.session_no, a.attempt).order_by(a.attempt))
    number = int(run.store.show(name)["session_no"][0])
    assert [tuple(row) for row in rows] == [(number, 1), (number, 2)]


def test_a_commit_in_a_real_checkout(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process finds what is checked out now."""
    team = tmp_path / "team"
    team.mkdir()
    monkeypatch.delenv("MFPREFECT_REPOSITORY")

    def commit(text: str) -> str:
        (team / "model.py").write_text(text)
        who = ("-c", "user.name=a", "-c", "user.email=a@x.example")
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
            subprocess.run(["git", *who, *arguments], cwd=team, check=True)  # noqa: S607
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            cwd=team,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    one = commit("1")
    with mfprefect.connect(**QUICK) as run.store:
        run.attempt(1, "", source=team).fail(OSError("link down"))
        other = commit("2")
        with run.attempt(2, "", source=team) as second:
            pass
        assert commits(run.store, second.session_id) == [one, other]
