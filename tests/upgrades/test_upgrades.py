"""Databases of earlier versions open, upgrade, verify, deliver, report and prune as they did.

Each folder beside this file is named after the commit that made it, by `make_fixture.py`. It holds
a database of each kind with a long history, a spool and an archive that belong to it, and what that
commit's own readers said of it. `upgradekit/inside.py` has all names of mfprefect's inside.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from upgradekit import answers, files, inside, keys
from upgradekit.models import Churn

import mfprefect
from mfprefect import Gate, Store
from mfprefect.cli import cli
from mfprefect.errors import SchemaOutdated, UnknownSession
from mfprefect.testing.contract.helpers import wrong_comments

HERE = Path(__file__).parent
COMMITS = sorted(path.name for path in HERE.iterdir() if any(path.glob("*.json.gz")))
SETTINGS = {
    "MFPREFECT_HEARTBEAT_SECONDS": "600",
    "MFPREFECT_DETACHED_TIMEOUT": "1e9",  # a fixture gets old
    "MFPREFECT_SEAL_KEY": keys.SEAL_KEY,
    "MFPREFECT_VERIFY_KEYS__BEFORE": keys.HMAC_KEY,
}
POLICY = [f"--{name.replace('_', '-')}={value}" for name, value in answers.POLICY.items()]


@dataclass(frozen=True)
class Old:
    """A database as an earlier version left it."""

    url: str
    spool: Path
    archive: Path
    expected: dict[str, Any]
    """What that version said."""

    @property
    def deletions(self) -> dict[str, list[str]]:
        """The sessions, models and scores that were being deleted."""
        subjects: dict[str, list[str]] = self.expected["being_deleted"]
        return subjects

    @property
    def verified(self) -> dict[str, int]:
        """What `verify` counted."""
        answer: dict[str, int] = self.expected["answers"]["verified"]
        return answer


@pytest.fixture(params=COMMITS)
def old(
    request: pytest.FixtureRequest,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Old:
    if "teradata_real" in request.node.name:
        pytest.skip("the files are those of an emulated Teradata")
    folder, name = HERE / request.param, files.KINDS[sa.make_url(database_url).get_backend_name()]
    if not (folder / f"{name}.json.gz").exists():
        pytest.skip(f"{folder.name} has no database of {name}")
    files.load(database_url, folder)
    for part in ("spool", "archive"):
        files.unpack(folder / part / f"{name}.tar.gz", tmp_path / part)
    # Another one: each session that opens would deliver the old one's.
    variables = {"MFPREFECT_URL": database_url, "MFPREFECT_SPOOL": str(tmp_path / "new-spool")}
    for variable, value in {**SETTINGS, **variables}.items():
        monkeypatch.setenv(variable, value)
    expected = files.read(folder / f"{name}.json.gz")
    return Old(database_url, tmp_path / "spool", tmp_path / "archive", expected)


@pytest.fixture
def spool(old: Old, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what waits for the database, which is the one that the settings name."""
    monkeypatch.setenv("MFPREFECT_SPOOL", str(old.spool))
    (folder,) = old.spool.iterdir()
    return folder


@pytest.fixture
def store(old: Old) -> Iterator[Store]:
    """The store after the upgrade."""
    with mfprefect.connect() as opened:
        opened.create_schema()
        yield opened


def run(*arguments: str) -> Any:
    """Run a command; return the document that it prints."""
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def counts(store: Store, old: Old) -> dict[str, int]:
    return answers.verified(store, old.deletions)


def test_it_is_refused_until_it_is_upgraded(old: Old) -> None:
    with mfprefect.connect() as store:
        if old.expected["revision"] != inside.revision():
            with pytest.raises(SchemaOutdated, match="mfprefect init"):
                store.models()
            assert CliRunner().invoke(cli, ["models"]).exit_code != 0
        run("init")
        assert len(store.models()) >= len(old.expected["answers"]["models"])
        store.create_schema()
        # What was kept elsewhere before the upgrade shows that no end was cut off.
        head = old.expected["answers"]["head"]
        verified = answers.verified(store, old.deletions, head)
        assert verified["sessions"] == old.verified["sessions"]


def test_its_tables_and_columns_have_comments(store: Store, old: Old) -> None:
    assert wrong_comments(store) == {}


def test_it_says_what_it_said(store: Store, old: Old) -> None:
    expected, answer = old.expected["answers"], answers.answers(store, old.deletions)
    # An upgrade may be on record, and nothing else.
    answer["audit_log"] = answer["audit_log"][: len(expected["audit_log"])]
    del expected["head"]["event"]
    for counted in ("events", "unsigned"):
        assert answer["verified"].pop(counted) >= expected["verified"].pop(counted)
    assert list(answers.problems(expected, answer))[:20] == []


def test_attempts_of_before_are_those_of_their_sessions(store: Store, old: Old) -> None:
    names = ("attempt", "status", "ended_at", "failure_kind", "host", "process_id")
    origin = ("git_commit", "git_branch", "git_dirty", "run_by", "environment_digest")
    retried = 0
    for session in old.expected["answers"]["sessions"]:
        (attempt,) = answers.rows(store.attempts(session["session_id"]))
        assert [attempt[name] for name in names] == [session[name] for name in names]
        # Of a retried one, only the code of the first attempt was recorded.
        recorded = session["attempt"] == 1
        retried += not recorded
        expected = [session[name] if recorded else None for name in origin]
        assert [attempt[name] for name in origin] == expected
    assert retried


def test_the_history_of_gates_begins_with_the_old_verdicts(store: Store, old: Old) -> None:
    with store.session("plain", "train") as session:
        session.log_metrics({"auc": 0.9})
        session.log_gates([Gate("auc", at_least=0.5)])
    seen = [answers.plain(row) for row in inside.view_rows(store, "gate_history")]
    of_session = {row["session_id"]: row for row in old.expected["answers"]["sessions"]}
    names = ("gate", "kind", "verdict", "reason", "figure", "production_session_id", "difference")
    expected = [
        {"session_id": name, **{key: gate[key] for key in names}}
        for name, given in old.expected["answers"]["of_sessions"].items()
        if of_session[name]["status"] in ("succeeded", "failed")
        for gate in given.get("gates", ())
    ]
    assert len(expected) > 10
    seen.sort(key=lambda row: (row["session_id"], row["gate_no"]))
    expected.sort(key=lambda row: row["session_id"])
    new = [row for row in seen if row["session_id"] == session.session_id]
    assert [(row["gate_no"], row["gate"]) for row in new] == [(1, "auc at least 0.5")]
    shown = [{key: row[key] for key in ("session_id", *names)} for row in seen if row not in new]
    assert shown == expected


def test_reports_show_the_same_figures(store: Store, old: Old) -> None:
    for name, expected in old.expected["reports"].items():
        figures = answers.figures(answers.report_text(store.report(name)))
        assert figures == answers.figures(expected)
        assert len(figures) > 5
    text = answers.report_text(store.model_report("churn"))
    assert Churn.description in text
    assert any(old.expected["answers"]["of_models"]["churn"]["production"] in line for line in text)


def test_what_waits_in_the_spool_is_delivered_once(spool: Path, store: Store, old: Old) -> None:
    waiting = {path.name.rpartition(".")[0] for path in spool.iterdir()}
    push = ("spool", "push", "--moved-from", spool.name)
    delivered = {row["session_id"]: row for row in run(*push)}
    assert {row["verdict"] for row in delivered.values()} == {"delivered"}
    assert set(delivered) == waiting
    assert run(*push) == []
    ended = store.show(*waiting).set_index("purpose")
    assert ended["status"].to_dict() == {
        "adhoc": "succeeded",
        "train": "succeeded",
        "score": "failed",
    }
    names = ended["session_id"]
    assert store.metrics(names["adhoc"])["value"].tolist() == [0.5]
    assert store.gates(names["train"])["verdict"].tolist() == ["passed", "passed"]
    assert store.load_model(names["train"]) == b"a model of another language"
    assert store.score_parts(names["score"])["rows"].tolist() == [120]
    assert counts(store, old)["sessions"] == old.verified["sessions"] + len(waiting)
    assert len(store.audit_log(action="deliver_spool")) == len(waiting)


def test_the_retry_of_a_delivered_run_keeps_its_part(spool: Path, store: Store, old: Old) -> None:
    store.push_spool(moved_from=spool.name)
    parts = inside.parts_of_failed(store)
    (failed,) = set(parts) - set(old.expected["parts"])
    assert parts[failed]["rows"] == 120
    assert list(parts[failed]["inputs"]) == ["1"]


def test_the_retry_of_a_run_that_failed_before_keeps_its_part(store: Store, old: Old) -> None:
    expected, parts = old.expected["parts"], inside.parts_of_failed(store)
    assert expected
    assert list(answers.problems(expected, answers.plain(parts))) == []
    # From now on both attempts are on record, and sealed.
    commits = {x["session_id"]: x["git_commit"] for x in old.expected["answers"]["sessions"]}
    for name in parts:
        attempts = store.attempts(name)
        assert attempts["status"].tolist() == ["failed", "cancelled"]
        assert attempts["git_commit"][0] == commits[name]
    assert counts(store, old)["sessions"] == old.verified["sessions"]


def test_its_archive_is_restored(store: Store, old: Old) -> None:
    folders = {}
    for head in old.archive.rglob("session.json"):
        folders[json.loads(head.read_bytes())["session"]["purpose"]] = head.parent
    for folder in folders.values():
        with pytest.raises(UnknownSession):
            store.show(folder.name)
    for again in range(2):
        for purpose in ("train", "score"):  # one needs the other
            assert run("restore", str(folders[purpose]))["session_id"] == folders[purpose].name
        train, score = (folders[purpose].name for purpose in ("train", "score"))
        assert store.gates(train)["verdict"].tolist() == ["passed"]
        assert type(store.load_model(train)).__name__ == "LogisticRegression"
        assert store.show(score)["status"].tolist() == ["failed"]
        answer = counts(store, old)
        assert answer["sessions"] == old.verified["sessions"] + 2
        assert answer["tombstones"] == old.verified["tombstones"] - 2
        if not again:
            store.delete_session(score)
            store.delete_session(train)


def test_what_need_not_be_kept_is_pruned(store: Store, old: Old, tmp_path: Path) -> None:
    expected, plan = old.expected["plan"], answers.plan(store, old.deletions)
    assert list(answers.problems(expected, plan)) == []
    archive = tmp_path / "pruned"
    archive.mkdir()
    document = run("prune", *POLICY, "--yes", "--archive-to", str(archive))
    goes = {row["session_id"] for row in expected if row["verdict"] == "delete"}
    hidden = answers.hidden(old.deletions)
    assert {row["session_id"] for row in document["going"]} - hidden == goes
    stays = {row["session_id"] for row in expected} - goes
    (emptied,) = old.deletions["scores"]
    assert set(store.sessions(limit=None)["session_id"]) == stays | {emptied}
    assert store.metadata(emptied)["meta_name"].tolist() == ["scores_deleted"]
    assert not set(store.models()["model_id"]) & set(old.deletions["models"])
    sealed = {row["session_id"] for row in old.expected["answers"]["sessions"] if row["seal"]}
    assert run("audit", "verify")["sessions"] == old.verified["sessions"] - len(sealed & goes)
    # What was archived a moment ago comes back as well.
    folder = next(path.parent for path in archive.rglob("session.json"))
    assert run("restore", str(folder))["session_id"] == folder.name
    store.verify()


def test_what_ran_goes_on(store: Store, old: Old) -> None:
    running = store.sessions(status="running", limit=None)
    (name,) = running[running["process_id"] == 0]["session_id"]
    session = store.attach(name)
    session.log_metrics({"after_the_upgrade": 2.0})
    session.close()
    assert store.metrics(name)["value"].tolist() == [2.0, 1.0]
    assert counts(store, old)["sessions"] == old.verified["sessions"] + 1


def test_new_sessions_follow_the_old_ones(store: Store, old: Old) -> None:
    before = {row["model_id"]: row["seal_no"] for row in store.audit_head()["seals"]}
    with store.session("plain", "train", as_of=dt.date(2027, 1, 1)) as training:
        training.log_metrics({"auc": 0.9})
        training.log_checks(pd.DataFrame({"age": [1.0, 2.0]}), lambda frame: len(frame) == 2)
        training.save_model(b"a new model")
        training.log_gates([Gate("auc", at_least=0.5), Gate.checks()])
    store.promote("plain", training.session_id)
    with store.session("plain", "score", parent=training.session_id) as scoring:
        for part in (1, 2):
            scores = pd.DataFrame({"entity_id": [f"e{part}01", f"x{part}"], "score": [0.1, 0.2]})
            scoring.write_scores(scores, entity_id="entity_id", part=part)
    assert store.gates(training.session_id)["verdict"].tolist() == ["passed", "passed"]
    assert store.production("plain") == training.session_id
    latest = store.latest_scores("plain", "e101", "e102").set_index("entity_id")
    assert latest["session_id"]["e101"] == scoring.session_id
    assert latest["session_id"]["e102"] in {
        row["session_id"] for row in old.expected["answers"]["sessions"]
    }
    store.rename_model("plain", "renamed")
    answer, head = counts(store, old), {r["model_id"]: r["seal_no"] for r in _heads(store)}
    assert answer["sessions"] == old.verified["sessions"] + 2
    assert answer["unsigned"] == old.verified["unsigned"]
    assert head["plain"] == before["plain"] + 2
    store.rename_model("renamed", "plain")
    store.delete_session(scoring.session_id)
    assert counts(store, old)["sessions"] == old.verified["sessions"] + 1


def _heads(store: Store) -> list[dict[str, Any]]:
    heads: list[dict[str, Any]] = store.audit_head()["seals"]
    return heads


def test_flows_go_on_with_the_old_model(prefect_api: str, store: Store, old: Old) -> None:
    train, score, monitor = Churn.flows()
    production = old.expected["answers"]["of_models"]["churn"]["production"]
    as_of = dt.date(2027, 1, 1)
    trained = train(as_of=as_of)
    gates = store.gates(trained).set_index("kind")
    assert gates["production_session_id"]["production"] == production
    scored = score(as_of=as_of)
    assert store.show(scored)["parent_session_id"].tolist() == [production]
    measured = store.drift(scored)
    previous = measured[measured["measure"].str.endswith("_previous")]["reference_session_id"]
    published = old.expected["answers"]["sessions"]
    churn = [row for row in published if row["model_id"] == "churn" and row["published_at"]]
    assert set(previous) == {churn[0]["session_id"]}
    monitored = monitor(as_of=as_of)
    assert len(store.metrics(monitored)["segment"].unique()) == len(churn) + 2
    store.promote("churn", trained)
    assert store.rollback("churn") == production
    assert counts(store, old)["sessions"] == old.verified["sessions"] + 3
