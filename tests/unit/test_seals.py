"""Seals: whatever is changed, added or removed behind our back is named."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import SealBroken, Store
from mfprefect.audit import Problem
from mfprefect.cli import cli
from mfprefect.errors import DatabaseUnavailable
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.schema import Double, Instant
from mfprefect.store.handle import SessionHandle
from mfprefect.store.notifications import send
from mfprefect.store.retention import delete, delete_scores
from mfprefect.store.sessions.writing import Outcome, close_session
from mfprefect.testing.contract.helpers import fill
from mfprefect_dev.servers import Server

AT = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
APART = {"models", "model_thresholds", "model_stages", "input_columns", "audit_events"}
"""Tables that are no session's: the audit trail tells of them."""


def open_store(url: str, **options: Any) -> Store:
    store = mfprefect.connect(url, heartbeat_seconds=600, **options)
    store.create_schema()
    store.add_model("churn")
    return store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with open_store(database_url) as opened:
        yield opened


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'seals.db'}") as opened:
        yield opened


def full_session(store: Store, **options: Any) -> str:
    """Return a session that has rows in every table of a session."""
    with store.session("churn", purpose="train", tags=["x"], **options) as session:
        fill(session)
        session.log_metrics({"minus zero": -0.0, "least": 5e-324, "most": 1.7976931348623157e308})
        session.log_metadata({"an odd one": " é\U0001f600\n' \\ "})
        drift = {"variable": "age", "measure": "psi", "value": 0.1, "threshold": 0.2}
        session._add(
            "drift",
            [{**drift, "verdict": "ok", "reference_session_no": 1}],
            ("variable", "measure"),
        )
        # As a session that was retried has.
        attempt = {"attempt": 1, "status": "failed", "host": "h", "process_id": 1, "vcs": "git"}
        session._add("session_attempts", [attempt], ("attempt",))
        # As a scoring session that failed has.
        session._add("part_inputs", [{"part_no": 1, "document": "{}"}], ("part_no",))
    with_notice(store, session.session_no)
    return session.session_id


def decide(store: Store, name: str) -> None:
    """Write what belongs to no session."""
    store.promote("churn", name, override="we know it")
    store.set_threshold("churn", 0.25)
    store.set_input_column("customer", "age", schema="crm", note="in years")


def with_notice(store: Store, session_no: int, failure: str | None = "it is away") -> None:
    claim = send._claim(store.database, session_no, "succeeded", "ops")
    assert claim is not None
    session_id = store.database.fetch_all(
        sa.select(store.database.schema.sessions.c.session_id).where(
            store.database.schema.sessions.c.session_no == session_no
        )
    )[0][0]
    send._record(store.database, claim, session_id, failure)


def problems(store: Store, **scope: Any) -> list[Problem]:
    try:
        store.verify(**scope)
    except SealBroken as exc:
        assert exc.problems
        return list(exc.problems)
    return []


def another(column: sa.Column[Any], value: Any) -> Any:
    """Return another value that the column could hold."""
    kind = column.type
    if value is None or isinstance(value, str):
        if isinstance(kind, Instant):
            return AT
        if isinstance(kind, sa.Boolean):
            return True
        if isinstance(kind, (sa.Integer, Double)):
            return 7
        if isinstance(kind, sa.Date):
            return AT.date()
        return f"{value or ''}x"[-1:] + (value or "")[1:]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + (1_000 if column.primary_key else 1)
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    return value + dt.timedelta(microseconds=1) if isinstance(value, dt.datetime) else AT.date()


ACCESS = {"api_tokens", "idempotency_keys"}
"""Tables of the API, which no session writes to and no seal covers."""


class Tampering:
    """Changes to a copy of a database, one at a time, behind the constraints' back."""

    def __init__(self, store: Store) -> None:
        self.store, self.engine = store, store.database.engine
        self.off = {
            "sqlite": "PRAGMA foreign_keys = OFF",
            "postgresql": "SET session_replication_role = replica",
            "mysql": "SET foreign_key_checks = 0",
            "mariadb": "SET foreign_key_checks = 0",
            "teradatasql": "SELECT 1",  # it looks at none
        }[self.engine.dialect.name]
        self.on = (
            self.off.replace("OFF", "ON").replace("= replica", "= origin").replace("= 0", "= 1")
        )

    def run(self, *statements: Any) -> None:
        with self.engine.connect() as connection:
            # SQLite ignores the pragma inside a transaction, which begins with the first statement.
            driver: Any = connection.connection.dbapi_connection
            cursor = driver.cursor()
            cursor.execute(self.off)
            try:
                for statement in statements:
                    connection.execute(statement)
                connection.commit()
            finally:
                connection.rollback()
                cursor.execute(self.on)
                driver.commit()

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        fetched = self.store.database.fetch_all(sa.select(table).order_by(*table.primary_key))
        return [dict(zip(table.c.keys(), row, strict=True)) for row in fetched]

    def mine(self, table: sa.Table, row: dict[str, Any]) -> list[Any]:
        return [table.c[c.key] == row[c.key] for c in table.primary_key]


def each_change(
    tampering: Tampering, table: sa.Table, row: dict[str, Any]
) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Yield what is done to a row, and how it is undone."""
    same_row = tampering.mine(table, row)
    for column in table.c:
        new = another(column, row[column.key])
        changed = {**row, column.key: new}
        back = table.update().where(*tampering.mine(table, changed)).values(row)
        yield column.name, [table.update().where(*same_row).values({column.key: new})], [back]
        if column.nullable and row[column.key] is not None:
            empty = table.update().where(*same_row).values({column.key: None})
            yield f"{column.name} to NULL", [empty], [table.update().where(*same_row).values(row)]
    yield "delete", [table.delete().where(*same_row)], [table.insert().values(row)]
    for key in [c for c in table.primary_key if c.key != "session_no"] or list(table.primary_key):
        value = row[key.key]
        new = f"{value}+"[-30:] if isinstance(value, str) else another(key, value)
        copy = {**row, key.key: new}
        if table.name == "sessions":
            copy |= {"session_id": "forged", "flow_run_id": None, "flow_run_seq": None}
        if table.name == "notifications":
            copy |= {"channel": "forged"}
        gone = table.delete().where(*tampering.mine(table, copy))
        yield f"add by {key.name}", [table.insert().values(copy)], [gone]


def tamper(store: Store, names: set[str], pick: Callable[[list[Any]], list[Any]]) -> int:
    """Try each change of one row of each table; return how many were tried."""
    tampering, tried = Tampering(store), 0
    for table in store.database.schema.tables.values():
        if table.name in ACCESS:
            continue
        row = tampering.rows(table)[tried % 2 - 1]
        for what, do, undo in pick(list(each_change(tampering, table, row))):
            if (table.name, what) == ("environments", "add by environment_digest"):
                continue  # no session ran in it
            tampering.run(*do)
            everything = problems(store)
            tampering.run(*undo)
            of_table = [p for p in everything if p.table == table.name]
            if (table.name, what) == ("audit_events", "delete"):
                of_table = everything  # of the last event, what it vouched for is told
            assert of_table, f"{what} of {table.name} was not found, but {everything}"
            writing = {p.session_id for p in of_table}
            assert writing & {*names, "forged"} or table.name in APART, (what, of_table)
            if what in table.c and not table.c[what].primary_key and of_table[0].columns:
                assert what in of_table[0].columns, (what, of_table)
            tried += 1
    assert problems(store) == []
    return tried


def test_every_change_of_every_table_is_found(tmp_path: Path) -> None:
    """Each column of each table: changed, emptied; each row: deleted, added; and it is named."""
    with open_store(f"sqlite:///{tmp_path / 'all.db'}", signing_key="s3cret") as store:
        name = full_session(store)
        names = {name, full_session(store, parent=name)}
        decide(store, name)
        assert problems(store) == []
        assert tamper(store, names, lambda changes: changes) > 180


@pytest.mark.parametrize("database", ["postgres", "mysql"])
def test_changes_are_found_on_servers(database: str, request: pytest.FixtureRequest) -> None:
    """A drawn sample: one change of each table."""
    server: Server = request.getfixturevalue(f"{database}_server")
    seed = SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    url, random = server.new_database(), Random(seed)  # noqa: S311 - a test's
    with open_store(url) as store:
        names = {full_session(store), full_session(store)}
        decide(store, min(names))
        assert problems(store) == []
        assert tamper(store, names, lambda changes: random.sample(changes, 2)) >= 30
    server.drop_database(url)


# Life after the end


def change(store: Store, statement: Any) -> None:
    Tampering(store).run(statement)


def scored(store: Store, rows: int = 30, model_id: str = "churn") -> str:
    with store.session(model_id, purpose="score") as session:
        frame = pd.DataFrame({"id": range(rows), "score": [i / rows for i in range(rows)]})
        session.write_scores(frame, entity_id="id", part=1)
        session.write_scores(frame.assign(id=frame["id"] + rows), entity_id="id", part=2)
    return session.session_id


def test_what_changes_lawfully_is_told_from_what_does_not(store: Store, tmp_path: Path) -> None:
    """Exports, notices, new names, scores deleted, restored sessions: all verify."""
    training = full_session(store)
    first, second = scored(store), scored(store)
    with_notice(store, int(store.show(first)["session_no"][0]), None)
    store.delete_scores(first)
    store.rename_model("churn", "leavers")
    third = scored(store, model_id="leavers")
    archive = tmp_path / "archive"
    archive.mkdir()
    store.prune("leavers", keep_sessions=1, archive_to=archive, only=[second])
    report = store.verify()
    assert (report.sessions, report.tombstones, report.unsealed) == (3, 1, 0)
    folders = [x.parent for x in archive.rglob("session.json")]
    assert store.restore(folders[0]) == second
    report = store.verify()
    assert (report.sessions, report.tombstones) == (4, 0)
    assert store.verify(session_id=second).sessions == 1
    assert store.verify(model_id="churn").sessions == 3
    assert store.verify(model_id="leavers").sessions == 1
    s, n = store.database.schema.sessions, store.database.schema.notifications
    p = store.database.schema.score_parts
    for statement in (
        s.update().where(s.c.session_id == first).values(published_at=AT),
        s.update().where(s.c.session_id == third).values(last_exported_at=AT),
        s.update().where(s.c.session_id == training).values(model_id="leavers", seal="0" * 64),
        n.delete(),
        p.update().where(p.c.part_no == 2).values(digest="0" * 64),
    ):
        change(store, statement)
    found_out = {(p.session_id, p.table, p.columns) for p in problems(store)}
    assert {
        (first, "sessions", ("published_at",)),
        (third, "sessions", ("last_exported_at",)),
        (training, "sessions", ("seal",)),
        (training, "notifications", ()),
        (third, "score_parts", ("digest",)),
        (third, "scores", ()),
    } <= found_out


def test_a_deleted_session_leaves_a_tombstone(lite: Store) -> None:
    first, second, third = scored(lite), scored(lite), scored(lite)
    lite.delete_session(second)
    lite.delete_session(third)
    assert lite.verify().tombstones == 2
    fourth = scored(lite)
    assert lite.verify().sessions == 2
    s, seals = lite.database.schema.sessions, lite.database.schema.seals
    tampering = Tampering(lite)
    (row,) = (x for x in tampering.rows(seals) if x["session_id"] == third)
    change(lite, seals.delete().where(seals.c.session_id == third))
    assert ["is gone" in str(p) for p in problems(lite)] == [True, True]
    change(lite, seals.insert().values(row))
    change(lite, s.delete().where(s.c.session_id == first))
    problem, *left_over = problems(lite)
    assert (problem.what, problem.session_id) == ("removed", first)
    assert "no audit event records its deletion" in str(problem)
    assert {(p.what, p.table) for p in left_over} >= {("added", "scores")}
    assert all("no session has" in str(p) for p in left_over)
    assert fourth in set(lite.sessions()["session_id"])


def test_a_deleted_model_leaves_its_chain(lite: Store) -> None:
    scored(lite)
    lite.rename_model("churn", "leavers")
    scored(lite, model_id="leavers")
    lite.delete_model("leavers")
    assert lite.verify().tombstones == 2
    lite.add_model("churn")
    scored(lite)
    report = lite.verify()
    assert (report.sessions, report.tombstones) == (1, 2)
    seals = lite.database.schema.seals
    change(lite, seals.delete().where(seals.c.model_id == "leavers"))
    (problem,) = problems(lite)
    assert (problem.what, problem.model_id) == ("chain", "leavers")


def test_large_scores_that_are_going_are_no_problem(
    lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    first, second = scored(lite), scored(lite)
    for module in (delete, delete_scores):
        monkeypatch.setattr(module, "LARGE", 5)
        monkeypatch.setattr(module, "delete_in_batches", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lite.delete_scores(first)
    with pytest.raises(KeyboardInterrupt):
        lite.delete_session(second)
    report = lite.verify()
    assert (report.sessions, report.tombstones) == (1, 1)


def test_failed_runs_are_sealed_and_a_later_attempt_has_its_own_seal(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FlowRun("run-1", "1", None)
    monkeypatch.setattr("mfprefect.store.api.sessions.current_flow_run", lambda: run)
    with pytest.raises(ZeroDivisionError), store.session("churn", purpose="score") as session:
        session.log_metrics({"auc": 0.5})
        session.write_scores(pd.DataFrame({"id": ["a"], "score": [1]}), entity_id="id", part=7)
        _ = 1 / 0
    assert store.verify().sessions == 1
    scores = store.database.schema.scores
    change(store, scores.update().values(score=2.0))
    assert {p.table for p in problems(store)} == {"scores"}
    change(store, scores.update().values(score=1.0))
    run = FlowRun("run-1", "2", None)
    again = store.session("churn", purpose="score")
    assert again.session_id == session.session_id
    assert store.verify().superseded == 1
    again.close()
    report = store.verify()
    assert (report.sessions, report.superseded) == (1, 1)


def test_sessions_of_before_are_unsealed_and_forged_ones_are_named(lite: Store) -> None:
    db = lite.database
    old = lite.session("churn")
    unsealed = Outcome("succeeded", sealed=False)
    close_session(db, old.handle, unsealed, {}, replace=False)
    old.detach_process()
    name = scored(lite)
    assert lite.verify().unsealed == 1
    s = db.schema.sessions
    (row,) = (x for x in Tampering(lite).rows(s) if x["session_id"] == name)
    forged = {**row, "session_no": 99, "session_id": "forged", "seal": None, "previous_seal": None}
    forged["started_at"] = dt.datetime.now(dt.UTC)
    change(lite, s.insert().values(forged))
    assert [(p.what, p.session_id) for p in problems(lite)] == [("unsealed", "forged")]


@pytest.mark.parametrize("status", ["crashed", "cancelled", "running"])
def test_only_what_has_succeeded_is_published(lite: Store, status: str) -> None:
    s = lite.database.schema.sessions
    scored(lite)
    (row,) = Tampering(lite).rows(s)
    forged = {**row, "session_no": 99, "session_id": "forged", "seal": None, "previous_seal": None}
    change(lite, s.insert().values({**forged, "status": status}))
    assert [(p.what, p.session_id) for p in problems(lite)] == [("added", "forged")]


def test_what_has_succeeded_is_not_taken_for_an_earlier_attempt(lite: Store) -> None:
    s = lite.database.schema.sessions
    name = scored(lite)
    forged = {"seal": None, "previous_seal": None, "attempt": 2, "status": "crashed"}
    change(lite, s.update().values(forged))
    assert {p.session_id for p in problems(lite)} == {name}


def test_what_is_done_while_it_verifies_is_no_problem(lite: Store) -> None:
    for _ in range(2):
        scored(lite)
    lite.add_model("old")
    steps = [
        lambda: lite.set_threshold("churn", 0.5),
        lambda: lite.add_model("new"),
        lambda: scored(lite),
        lambda: lite.rename_model("churn", "leaving"),
        lambda: lite.delete_model("leaving"),
    ]
    for step in steps:
        left = [step]
        # After the trail and the first session were read.
        report = lite.verify(progress=lambda *_, left=left: left and left.pop()())
        assert left == []
        assert report.events == lite.verify().events
    rows = lite.database.schema.models
    change(lite, rows.update().where(rows.c.model_id == "old").values(owner="me"))
    assert [p.table for p in problems(lite)] == ["models"]


def test_a_session_is_restored_in_one_step(
    lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it runs, without a seal: nothing is wrong with it, and nobody sees it."""
    from mfprefect.store.retention import restore
    from mfprefect.store.scores import write as scores

    name = scored(lite)
    scored(lite)
    lite.prune(keep_sessions=1, archive_to=tmp_path)
    real, seen = scores.write_part, []

    def write_part(*arguments: Any) -> None:
        seen.append(problems(lite))
        real(*arguments)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scores, "write_part", write_part)
    with monkeypatch.context() as patched:
        patched.setattr(restore, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            lite.restore(tmp_path / "churn" / name)
    assert seen
    assert not any(seen)
    shown = lite.show(name).iloc[0]
    assert shown["status"] == "running"
    assert pd.isna(shown["published_at"])
    s = lite.database.schema.sessions
    change(lite, s.update().where(s.c.session_id == name).values(status="crashed"))
    lite.delete_session(name)
    lite.restore(tmp_path / "churn" / name)
    assert lite.verify().sessions == 2


def test_a_commit_that_was_cut_off_may_happen_after_the_next_try_has_begun(
    lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first commit's answer is lost, and it happens while the second try looks."""
    from mfprefect.store.sessions import writing

    db, real, tries = lite.database, lite.database._write, [0]

    def write(work: Any, again: bool) -> Any:
        tries[0] += 1
        if tries[0] == 1:
            error = DatabaseUnavailable("gone")
            error.__dict__["in_commit"] = True
            raise error
        outcome = real(work, again)
        if tries[0] == 2:
            raise writing._ConcurrentChange("it was written to meanwhile")
        return outcome

    session = lite.session("churn")
    session.detach_process()
    monkeypatch.setattr(db, "_write", write)
    close_session(db, session.handle, Outcome("succeeded"), {}, replace=False)
    assert tries == [3]
    assert lite.verify().sessions == 1


def _close_all(handles: list[SessionHandle], url: str) -> None:
    barrier = threading.Barrier(len(handles))

    def close(handle: SessionHandle) -> None:
        with mfprefect.connect(url, retry_seconds=60) as store:
            barrier.wait()
            pending = {"metrics": [{"metric_name": "a", "segment": "", "value": 1.0}]}
            close_session(store.database, handle, Outcome("succeeded"), pending, replace=False)

    threads = [threading.Thread(target=close, args=[handle]) for handle in handles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_sessions_that_close_at_once_are_one_chain(store: Store, database_url: str) -> None:
    opened = [store.session("churn") for _ in range(12)]
    _close_all([session.handle for session in opened], database_url)
    for session in opened:
        session.detach_process()
    assert store.verify().sessions == 12
    seals = store.database.schema.seals.c
    assert [
        n for (n,) in store.database.fetch_all(sa.select(seals.seal_no).order_by(seals.seal_no))
    ] == [*range(1, 13)]


def test_what_others_write_while_a_session_closes_is_in_the_seal(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes between the look at the content and the end."""
    from mfprefect.store.audit import seals

    real, left = seals.read_content, [1]
    db = store.database
    # For test_teradata_locks.py: where the session's row is locked first.
    writers_wait = db.engine.dialect.name == "sqlite" or db.backend.reads_uncommitted

    def read_content(*arguments: Any, **options: Any) -> Any:
        content = real(*arguments, **options)
        if left and not writers_wait:
            left.pop()
            with mfprefect.connect(database_url) as other, other.attach(name) as attached:
                attached.log_metrics({"late": 1.0})
        return content

    session = store.session("churn")
    name = session.session_id
    monkeypatch.setattr(seals, "read_content", read_content)
    session.close()
    assert store.verify().sessions == 1
    assert len(store.metrics(name)) == (0 if left else 1)


# Keys


def pem() -> tuple[str, str]:
    from cryptography.hazmat.primitives import serialization as to
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, to.NoEncryption())
    public = key.public_key().public_bytes(to.Encoding.PEM, to.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def forge(store: Store) -> None:
    """Do what somebody can who has all rights and no key: change a figure and seal it anew."""
    from mfprefect.store.audit import seals

    db = store.database
    m, t, s = db.schema.metrics, db.schema.seals, db.schema.sessions
    change(store, m.update().values(value=0.99))
    with db.engine.connect() as connection:
        state = seals.read_state(db, connection, 1, "churn")
        assert state is not None
        content = seals.read_content(db, connection, state)
    (row,) = Tampering(store).rows(t)
    before = seals.State(state.row, state.counts, 0, None, *_trail(row["manifest"]))
    new = seals.seal_row(db, before, state.row, content, row["sealed_at"])
    Tampering(store).run(
        t.update().values(manifest=new["manifest"], seal=new["seal"]),
        s.update().values(seal=new["seal"]),
    )


def _trail(manifest: str) -> tuple[int, str]:
    document = json.loads(manifest)
    return document["audit_event"], document["audit_digest"]


def test_who_has_no_key_cannot_forge_and_keys_can_be_changed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    (private, public), (_, foreign) = pem(), pem()
    (tmp_path / "key.pem").write_text(private)
    with open_store(url, signing_key="s3cret") as store, store.session("churn") as session:
        session.log_metrics({"auc": 0.5})
        session.save_model(b"m")
    for older, loads in ({"old": "s3cret"}, True), ({"public": public}, False), ({}, False):
        with open_store(url, signing_key="new", verify_keys=older) as store:
            if loads:
                assert store.load_model(session.session_id) == b"m"
                continue
            with pytest.raises(mfprefect.ArtifactUntrusted, match="verify_keys"):
                store.load_model(session.session_id)
    ed = f"file:{tmp_path / 'key.pem'}"
    with open_store(url, seal_key=ed, verify_keys={"old": "s3cret"}) as store:
        scored(store)
        report = store.verify()
        assert (report.sessions, report.unsigned, report.unchecked) == (2, 0, 0)
    keys = {"old": "s3cret", "now": public}
    with mfprefect.connect(url, verify_keys=keys) as auditor:
        assert auditor.verify().unchecked == 0
        with auditor.session("churn"):
            pass
        assert [p.what for p in problems(auditor)] == ["signature"]  # not signed any more
    with mfprefect.connect(url) as store:
        assert problems(store)  # older ones are signed
        seals = store.database.schema.seals
        change(store, seals.delete().where(seals.c.seal_no > 1))
        schema = store.database.schema
        for table in (*schema.session_tables(), schema.sessions):
            change(store, table.delete().where(table.c.session_no > 1))
        assert store.verify().unchecked == 2
        forge(store)
        assert store.verify().sessions == 1  # without a key, nobody can tell
    with mfprefect.connect(url, verify_keys=keys) as auditor:
        assert "does not match the key" in str(problems(auditor)[0])
        change(auditor, seals.update().values(key_id=None, signature=None))
        assert "not signed, although earlier ones are" in str(problems(auditor)[0])
    with mfprefect.connect(url, verify_keys={"foreign": foreign}) as auditor:
        assert "not one of the keys in the settings" in str(problems(auditor)[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seal_key": "file:/nowhere/key.pem"}, "seal_key cannot be read"),
        ({"seal_key": "-----BEGIN PRIVATE KEY-----\nTOPSECRET\n"}, "is not an Ed25519 key"),
        ({"seal_key": "public"}, "seal_key is a public key"),
        ({"signing_key": ""}, "signing_key is empty"),
        ({"verify_keys": {"a": ""}}, "verify_keys is empty"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_unseen(given: dict[str, Any], message: str) -> None:
    if given.get("seal_key") == "public":
        given = {"seal_key": pem()[1]}
    with (
        mfprefect.connect("sqlite://", **given) as store,
        pytest.raises(mfprefect.ConfigurationError, match=message) as caught,
    ):
        store.create_schema()
        store.add_model("churn")
    assert "TOPSECRET" not in str(caught.value)


# The command line


def run(url: str, *arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, [*arguments, "--url", url])
    return done.exit_code, done.stdout, done.stderr


def test_the_commands(tmp_path: Path) -> None:
    url, head_file = f"sqlite:///{tmp_path / 'cli.db'}", tmp_path / "head.json"
    with open_store(url) as store:
        with store.session("churn", purpose="train") as session:
            session.save_model(b"m")
        store.promote("churn", session.session_id, override="we know it")
        store.set_threshold("churn", 0.25)
        with_notice(store, session.session_no)
        scored(store)
        code, shown, note = run(url, "audit", "verify")
        assert (code, "2 sealed" in shown, "everything matches its seal" in note) == (0, True, True)
        head_file.write_text(run(url, "audit", "head", "--json")[1])
        assert (
            run(url, "audit", "verify", "--head", str(head_file), "--since", "2026-01-01")[0] == 0
        )
        code, shown, _ = run(url, "audit", "log", "--json")
        assert [event["action"] for event in json.loads(shown)] == [
            "set_threshold",
            "promote",
            "add_model",
        ]
        code, shown, _ = run(url, "audit", "log", "--session", session.session_id)
        assert "override=we know it" in shown
        assert "set_threshold" not in shown
        assert len(json.loads(run(url, "audit", "log", "--action", "notice", "--json")[1])) == 2
        assert run(url, "audit", "log", "--actor", "nobody", "--json")[1].strip() == "[]"
        assert "seal" in run(url, "show", session.session_id)[1]
        # The newest session is cut off, with all its traces.
        tampering, schema = Tampering(store), store.database.schema
        for table in (*schema.session_tables(), schema.sessions, schema.seals):
            tampering.run(table.delete().where(table.c.session_no == 2))
        assert run(url, "audit", "verify")[0] == 0
        code, shown, _ = run(url, "audit", "verify", "--head", str(head_file))
        assert (code, "not the one in the stored head" in shown) == (1, True)
        change(store, schema.artifact_chunks.update().values(bytes=b"n"))
        code, shown, _ = run(url, "audit", "verify", "--json", "--session", session.session_id)
        document = json.loads(shown)
        assert (code, document["ok"], document["problems"][0]["table"]) == (
            1,
            False,
            "artifact_chunks",
        )
    head_file.write_text("{}")
    assert "is not the output of" in run(url, "audit", "verify", "--head", str(head_file))[2]
    assert "unknown session" in run(url, "audit", "verify", "--session", "x")[2]
    assert "unknown model" in run(url, "audit", "verify", "--model", "x")[2]
