"""The spool: runs whose database is away lose nothing, and arrive once."""

from __future__ import annotations

import datetime as dt
import errno
import io
import json
import logging
import os
import platform
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Session, Store
from mfprefect.cli import cli
from mfprefect.errors import SpoolUnusable
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.session.recorder import Recorder
from mfprefect.spool.entry import Entry
from mfprefect.spool.files import encode_document
from mfprefect.store.handle import SessionHandle
from mfprefect.store.reconcile import find_crashed
from mfprefect.store.spool import delivery, staging
from mfprefect.store.spool.apply import apply
from mfprefect.store.spool.entry_import import EntryImport
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.spool.opening import open_in_spool
from mfprefect.testing.contract.helpers import fill, orphans

QUICK: dict[str, Any] = {"retry_seconds": 0.1, "connect_timeout": 0.02, "heartbeat_seconds": 600}
SCORES = pd.DataFrame({"id": ["a", "b", "c"], "score": [0.1, 0.2, 0.3]})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MFPREFECT_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def store(url: str, folder: Path) -> Iterator[Store]:
    with mfprefect.connect(url, **QUICK) as store:
        store.create_schema()
        store.add_model("churn")
        yield store


@contextmanager
def away(url: str) -> Iterator[None]:
    """Lock the database: nobody else can write to it."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()


def spooled(store: Store, url: str, count: int = 1) -> list[Session]:
    """Return sessions that ended while their database was away."""
    sessions = [store.session("churn", purpose="score") for _ in range(count)]
    with away(url):
        for session in sessions:
            with session:
                fill(session)
            assert session.status == "spooled"
    return sessions


def entries(store: Store) -> list[Entry]:
    spool, place = spool_of(store.database.settings), place_of(store.database)
    assert spool is not None
    return spool.entries(place)


def document(entry: Entry, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((entry.folder / name).read_bytes().partition(b"\n")[2])
    return content


def contents(store: Store, session_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of a session but what differs from run to run."""
    db, tables = store.database, {}
    s = db.schema.sessions.c
    number = db.fetch_all(sa.select(s.session_no).where(s.session_id == session_id))[0][0]
    varying = {"session_no", "written_at", "seconds", "started_at", "ended_at", "logged_at"}
    for name, table in db.schema.tables.items():
        if table in db.schema.session_tables():
            columns = [c for c in table.c if c.key not in varying]
            select = sa.select(*columns).where(table.c.session_no == number)
            rows = db.fetch_all(select.order_by(*table.primary_key.columns))
            tables[name] = [dict(row._mapping) for row in rows]
    return tables


def events(store: Store) -> list[dict[str, Any]]:
    e = store.database.schema.audit_events.c
    select = sa.select(e.detail).where(e.action == "deliver_spool").order_by(e.event_no)
    return [json.loads(row.detail) for row in store.database.fetch_all(select)]


@pytest.mark.parametrize("phase", ["opening", "middle", "closing"])
def test_all_that_a_run_makes_arrives_as_if_nothing_had_been(
    store: Store, url: str, folder: Path, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    with store.session("churn", purpose="train") as training:
        pass
    facts: dict[str, Any] = {"params": {"depth": 3}, "parent": training.session_id}
    with store.session("churn", purpose="score", **facts) as control:
        fill(control)
        control.log_params({"rate": 0.1})
        control.log_drift([_drift()], reference=training.session_id)
    held = away(url)
    if phase == "opening":
        held.__enter__()
    with store.session("churn", purpose="score", **facts, tags=["x"]) as session:
        if phase == "middle":
            session.log_metrics({"own": 0.1})  # replaced in the spool by what `fill` logs
            session.flush()
            held.__enter__()
        fill(session)
        session.log_params({"rate": 0.1})
        session.log_drift([_drift()], reference=training.session_id)
        if phase == "closing":
            session.flush()
            held.__enter__()
    ended = pd.Timestamp.now("UTC")
    assert (session.status, session.spooled) == ("spooled", True)
    assert f"session {session.session_id} ended as succeeded and waits in the spool" in caplog.text
    time.sleep(0.01)
    held.__exit__(None, None, None)
    assert store.scores(control.session_id)["entity_id"].tolist() == ["a", "b"]
    pushed = store.push_spool().iloc[0]
    assert (pushed["session_id"], pushed["verdict"]) == (session.session_id, "delivered")
    assert contents(store, session.session_id) == contents(store, control.session_id)
    row = store.show(session.session_id).iloc[0]
    assert (row["status"], row["attempt"]) == ("succeeded", 1)
    given = {"depth": 3, "rate": 0.1}
    assert json.loads(row["params"]).items() >= given.items()
    assert (row["tags"], row["parent_session_id"]) == ('["x"]', training.session_id)
    assert row["ended_at"] < ended < row["published_at"]
    assert row["git_commit"] == store.show(control.session_id)["git_commit"].iloc[0]
    assert store.load_model(session.session_id) == b"a model of another language"
    (event,) = events(store)
    assert (event["attempt"], event["status"]) == (1, "succeeded")
    assert store.push_spool().empty
    assert orphans(store) == {}
    assert list((folder / delivery_folder(store)).iterdir()) == []


def _drift() -> dict[str, Any]:
    return {"variable": "v", "measure": "psi", "value": 0.5, "threshold": None, "verdict": "ok"}


def delivery_folder(store: Store) -> str:
    place = place_of(store.database)
    assert place is not None
    return place.fingerprint


def test_a_failed_run_keeps_its_error_and_its_figures(store: Store, url: str) -> None:
    session = store.session("churn")
    with away(url), pytest.raises(ZeroDivisionError), session:
        session.log_metrics({"auc": 0.8})
        raise ZeroDivisionError("in the model")
    assert session.status == "spooled"
    with store.session("churn"):  # the next one delivers it
        pass
    row = store.show(session.session_id).iloc[0]
    assert (row["status"], row["failure_kind"]) == ("failed", "ZeroDivisionError")
    assert store.metrics(session.session_id)["value"].tolist() == [0.8]


def test_a_database_that_is_back_at_the_end_gets_the_session_at_once(
    store: Store, url: str
) -> None:
    with away(url):
        session = store.session("churn", purpose="score")
        fill(session)
    session.close()
    assert (session.status, session.session_no) == ("succeeded", 1)
    assert len(store.scores(session.session_id)) == 2
    assert entries(store) == []


def test_it_is_told_without_the_database_and_its_end_once_it_is_delivered(
    url: str, folder: Path, hooks: Any
) -> None:
    ops = {"url": hooks.url(), "events": ["spooled", "succeeded"]}
    other = {"url": hooks.url("/other"), "events": ["spooled"], "tags": ["prod"]}
    with mfprefect.connect(url, **QUICK, notify={"ops": ops, "other": other}) as store:
        store.create_schema()
        store.add_model("churn")
        (session,) = spooled(store, url)
        assert hooks.titles == ["churn: scoring is spooled, the database is unavailable"]
        assert session.spool_place in hooks.posts[0]["message"]
        store.push_spool()
        store.push_spool()
        assert hooks.titles[1:] == ["churn: scoring succeeded"]


def test_a_run_that_the_database_gave_up_meanwhile_is_no_lost_run(store: Store, url: str) -> None:
    session = store.session("churn", purpose="score")
    with away(url), session:
        fill(session)
    s = store.database.schema.sessions
    dead: dict[str, Any] = {"heartbeat_at": pd.Timestamp("2026-01-01", tz="UTC").to_pydatetime()}
    dead["process_key"] = "another-boot/1/1/1"
    suspect = {"suspected_at": pd.Timestamp("2026-01-01", tz="UTC").to_pydatetime()}
    store.database.write_transaction(lambda c, _: c.execute(s.update(), dead | suspect))
    (finding,) = find_crashed(store.database)
    assert finding.verdict == "crashed"
    assert store.push_spool()["status"].tolist() == ["succeeded"]
    row = store.show(session.session_id).iloc[0]
    assert row["status"] == "succeeded"
    assert pd.isna(row["failure_kind"])
    assert len(store.scores(session.session_id)) == 2


KILLED = """
import os, signal, sys
import mfprefect
from mfprefect.spool import entry as spool_entry
from mfprefect.store.spool import entry_import

url, where, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
count = 0

def dying(module, name, after):
    original = getattr(module, name)
    def wrapper(*args, **kwargs):
        global count
        count += 1
        result = original(*args, **kwargs) if after or count < number else None
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, wrapper)

module, name, after = {
    "written": (entry_import, "apply", True),
    "closing": (entry_import, "record", True),
    "closed": (spool_entry.Entry, "discard", False),
    "removing": (spool_entry, "remove_folder", False),
}[where]
dying(module, name, after)
with mfprefect.connect(url) as store:
    store.push_spool()
"""


@pytest.mark.parametrize(
    ("where", "number"), [("written", 4), ("closing", 1), ("closed", 1), ("removing", 1)]
)
def test_a_push_that_is_killed_is_done_by_the_next_one(
    store: Store, url: str, folder: Path, where: str, number: int
) -> None:
    with away(url):
        with store.session("churn", purpose="score") as session:
            fill(session)
            session.write_scores(SCORES.assign(id=["x", "y", "z"]), entity_id="id")
        assert session.status == "spooled"
    done = subprocess.run([sys.executable, "-c", KILLED, url, where, str(number)], check=False)
    assert done.returncode == -signal.SIGKILL
    published = len(store.scores(session.session_id))
    assert published == (5 if where in ("closed", "removing") else 0)
    find_crashed(store.database)
    with store.session("churn"):
        pass
    assert store.show(session.session_id)["status"].tolist() == ["succeeded"]
    assert store.scores(session.session_id)["entity_id"].tolist() == ["a", "b", "x", "y", "z"]
    assert len(contents(store, session.session_id)["metrics"]) > 5
    assert len(store.sessions()) == 2
    assert len(events(store)) == 1
    assert os.listdir(folder / delivery_folder(store)) == []
    assert orphans(store) == {}


@pytest.mark.parametrize("room", ["in memory", "on the disk", "none"])
def test_a_delivery_reads_each_file_once(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    """All is read before the first write. Without room to keep it, it is read again."""
    with away(url):
        with store.session("churn", purpose="score") as session:
            fill(session)
            session.write_scores(SCORES.assign(id=["x", "y", "z"]), entity_id="id", part=7)
            session.save_model(b"another", name="other")
        assert session.status == "spooled"
    (entry,) = entries(store)
    documents = sorted(entry.folder.glob("*.json"))
    ending = (entry.folder / "end.json").read_bytes().partition(b"\n")[2]
    parts = [p for p in documents if b'"op":"part"' in p.read_bytes()]
    if room == "on the disk":
        monkeypatch.setattr(staging, "IN_MEMORY", 1)
    elif room == "none":
        monkeypatch.setattr(tempfile, "SpooledTemporaryFile", FullDisk)
    counts: Counter[str] = Counter()
    count_reads(monkeypatch, counts, ending)
    assert store.push_spool()["verdict"].tolist() == ["delivered"]
    again = 2 if room == "none" else 1
    assert len(parts) == 2
    assert {p.name: counts[p.with_suffix(".blob").name] for p in parts} == dict.fromkeys(
        [p.name for p in parts], again
    )
    assert counts.pop("parsed endings") == 1
    assert {p.name: counts[p.name] for p in documents} == {
        p.name: again if p.name[0].isdigit() else 1 for p in documents
    }
    monkeypatch.undo()
    assert store.scores(session.session_id)["entity_id"].tolist() == ["a", "b", "x", "y", "z"]
    assert store.load_model(session.session_id, name="other") == b"another"
    assert store.verify().problems == []


def count_reads(monkeypatch: pytest.MonkeyPatch, counts: Counter[str], ending: bytes) -> None:
    """Count files that are read, endings that are parsed and Parquet files that are decoded."""
    read, parse, decode = Path.read_bytes, json.loads, pq.ParquetFile.iter_batches

    def counted_read(self: Path) -> bytes:
        counts[self.name] += 1
        return read(self)

    def counted_parse(text: Any, *args: Any, **options: Any) -> Any:
        counts["parsed endings"] += text == ending
        return parse(text, *args, **options)

    def counted_decode(self: Any, batch_size: int = 0, *args: Any, **options: Any) -> Any:
        if batch_size > 1:  # one row is read to see how long its texts are
            counts[Path(self.reader_path).name] += 1
        return decode(self, batch_size, *args, **options)

    made = pq.ParquetFile.__init__

    def with_path(self: Any, source: Any, *args: Any, **options: Any) -> None:
        self.reader_path = str(source)
        made(self, source, *args, **options)

    monkeypatch.setattr(Path, "read_bytes", counted_read)
    monkeypatch.setattr(json, "loads", counted_parse)
    monkeypatch.setattr(pq.ParquetFile, "__init__", with_path)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted_decode)


class FullDisk(io.BytesIO):
    """A temporary file on a disk that has no room left."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__()

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_many_push_at_once_and_each_session_arrives_once(store: Store, url: str) -> None:
    names = []
    with away(url):
        for _ in range(4):
            with store.session("churn", purpose="score") as session:
                session.write_scores(SCORES, entity_id="id")
            names.append(session.session_id)
    pushed: list[Any] = []

    def push() -> None:
        with mfprefect.connect(url, heartbeat_seconds=600) as pusher:
            pushed.extend(pusher.push_spool().itertuples())

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {x.verdict for x in pushed} <= {"delivered", "running"}
    delivered = [x.session_id for x in pushed if x.verdict == "delivered"]
    assert sorted(delivered) == sorted(names)
    assert sorted(store.sessions()["session_id"]) == sorted(names)
    assert len(events(store)) == 4


def test_two_machines_that_see_no_locks_of_each_other_lose_nothing(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is about to end the session when the other begins: with the scores of before to drop."""
    session = store.session("churn", purpose="score")
    with away(url), session:
        session.drop_parts()
        session.write_scores(SCORES, entity_id="id")
    real = EntryImport.close

    def close(self: EntryImport, handle: SessionHandle) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(platform, "node", lambda: "elsewhere")
            with mfprefect.connect(url, **QUICK) as elsewhere:
                other = EntryImport(elsewhere.database, self.entry, self.document)
                taken = elsewhere.database.write_transaction(other.claim)
                assert taken is not None
                write = next(self.document.writes())
                apply(elsewhere.database, taken, self.document, write)
        monkeypatch.setattr(EntryImport, "close", real)
        real(self, handle)

    monkeypatch.setattr(EntryImport, "close", close)
    (pushed,) = store.push_spool().itertuples()
    assert pushed.verdict == "running"
    assert "taken it over" in str(pushed.reason)
    assert store.show(session.session_id)["status"].tolist() == ["running"]
    assert store.push_spool()["verdict"].tolist() == ["delivered"]
    assert len(store.scores(session.session_id)) == 3
    assert store.verify().sessions == 1


@pytest.mark.parametrize(
    "damage",
    ["head.json", "000001.json", "blob", "end.json", "a write is missing", "a write too many"],
)
def test_what_is_corrupt_is_refused_and_kept(
    store: Store, url: str, folder: Path, damage: str
) -> None:
    session, sound = spooled(store, url, 2)
    (entry,) = [e for e in entries(store) if session.session_id in e.folder.name]
    victim = entry.folder / damage
    if damage == "blob":
        victim = next(entry.folder.glob("*.blob"))
    if damage == "a write is missing":
        (entry.folder / "000002.json").unlink()
    elif damage == "a write too many":
        text = (entry.folder / "000001.json").read_bytes()
        (entry.folder / "000099.json").write_bytes(text)
    else:
        data = bytearray(victim.read_bytes())
        data[-5] ^= 1
        victim.write_bytes(data)
    before = {path: path.read_bytes() for path in entry.folder.iterdir()}
    done = CliRunner().invoke(cli, ["spool", "verify", "--json", "--url", url])
    assert done.exit_code == 1
    problems = {row["session_id"]: row["problem"] for row in json.loads(done.stdout)}
    assert str(entry.folder) in problems[session.session_id]
    assert problems[sound.session_id] is None
    pushed = store.push_spool()
    verdicts = {session.session_id: "refused", sound.session_id: "delivered"}
    assert dict(zip(pushed["session_id"], pushed["verdict"], strict=True)) == verdicts
    assert {path: path.read_bytes() for path in entry.folder.iterdir()} == before
    assert store.show(session.session_id)["status"].tolist() == ["running"]


def test_one_entry_does_not_keep_all_runs_from_beginning(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong with it, a mistake of ours included."""

    def write(self: EntryImport, handle: SessionHandle) -> None:
        raise TypeError("of another version")

    (waiting,) = spooled(store, url)
    with monkeypatch.context() as patched:
        patched.setattr(EntryImport, "write", write)
        with store.session("churn") as session:
            pass
        assert session.status == "succeeded"
        assert "it cannot be delivered: TypeError: of another version" in caplog.text
        assert store.push_spool()["verdict"].tolist() == ["refused"]
    assert store.push_spool()["verdict"].tolist() == ["delivered"]
    assert store.show(waiting.session_id)["status"].tolist() == ["succeeded"]


def test_a_full_disk_leaves_no_entry_and_can_be_cleared(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    session = store.session("churn")
    with away(url):
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(SpoolUnusable, match="No space left"):
                session.flush()
        assert entries(store) == []
        session.log_metrics({"auc": 0.5})
        session.close()
    assert session.status == "spooled"
    assert store.push_spool()["verdict"].tolist() == ["delivered"]


@pytest.mark.parametrize(
    ("revision", "rows", "reason"),
    [
        ("0001", {}, None),
        ("0001", {"colour": "red"}, "metrics.colour is not in both"),
        ("9999", {}, "pip install --upgrade mfprefect"),
    ],
)
def test_another_schema_version_is_fitted_or_refused_and_never_dropped(
    store: Store, url: str, revision: str, rows: dict[str, str], reason: str | None
) -> None:
    with away(url):
        session = store.session("churn")
        session.log_metrics({"auc": 0.75})
        session.flush()
        (entry,) = entries(store)
        head = document(entry, "head.json") | {"revision": revision}
        (entry.folder / "head.json").write_bytes(encode_document(head))
        write = document(entry, "000001.json")
        write["tables"]["metrics"][0] |= rows
        (entry.folder / "000001.json").write_bytes(encode_document(write))
        session.close()
    pushed = store.push_spool().iloc[0]
    if reason is None:
        assert pushed["verdict"] == "delivered"
        assert store.metrics(session.session_id)["value"].tolist() == [0.75]
    else:
        assert pushed["verdict"] == "refused"
        assert reason in pushed["reason"]
        assert entry.complete


def test_what_does_not_fit_fails_loudly_and_names_the_fix(
    url: str, folder: Path, tmp_path: Path
) -> None:
    with mfprefect.connect(url, **QUICK, spool_max_bytes=400_000) as store:
        store.create_schema()
        store.add_model("churn")
        session = store.session("churn")
        with away(url):
            session.save_model(os.urandom(100_000))
            with pytest.raises(SpoolUnusable, match=r"is full: .*MFPREFECT_SPOOL_MAX_BYTES"):
                session.save_model(os.urandom(100_000), name="other")
            session.close()  # the end of a run always has room
        assert store.push_spool()["verdict"].tolist() == ["delivered"]
        assert store.artifacts(session.session_id)["artifact_name"].tolist() == ["model"]
    (tmp_path / "a file").touch()
    with mfprefect.connect(url, **QUICK, spool=tmp_path / "a file" / "spool") as store:
        session = store.session("churn")
        with away(url), pytest.raises(SpoolUnusable, match="another folder in MFPREFECT_SPOOL"):
            session.close()
        session.close()
    with mfprefect.connect(url, **QUICK, spool="off") as store:
        session = store.session("churn")
        with away(url), pytest.raises(mfprefect.DatabaseConflict, match="locked"):
            session.close()
        session.close()


def attempts(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Session]:
    """Return what opens the session of a flow run's attempt."""

    def attempt(number: int) -> Session:
        run = FlowRun("run-1", str(number), None)
        monkeypatch.setattr("mfprefect.store.api.sessions.current_flow_run", lambda: run)
        return store.session("churn", purpose="score")

    return attempt


def test_the_next_attempt_of_a_flow_run_delivers_the_last_one_and_resumes_it(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = attempts(store, monkeypatch)
    with away(url):
        first = attempt(1)
        first.write_scores(SCORES, entity_id="id", part=1)
        first.fail(OSError("link down"))
    second = attempt(2)
    assert (second.session_id, second.attempt) == (first.session_id, 2)
    assert second.keep_part(1) == 3
    second.fail(OSError("again"))
    with away(url):  # it can be read all the same: which session is resumed is known
        third = attempt(3)
        assert (third.session_id, third.attempt) == (first.session_id, 3)
        third.write_scores(SCORES.assign(score=0.5), entity_id="id", part=1)
        third.fail(OSError("and again"))
        fourth = attempt(4)
        assert (fourth.session_id, fourth.attempt) == (first.session_id, 4)
        fourth.write_scores(SCORES.assign(score=0.7), entity_id="id", part=1)
        fourth.close()
    assert store.push_spool()["verdict"].tolist() == ["delivered", "delivered"]
    sessions = store.sessions()
    assert sessions["attempt"].tolist() == [4]
    assert sessions["status"].tolist() == ["succeeded"]
    assert set(store.scores(first.session_id)["score"]) == {0.7}


def test_a_retry_that_never_saw_its_database_waits_for_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the database knows whether an earlier attempt has done everything."""

    attempt = attempts(store, monkeypatch)
    attempt(1).close()
    disk, gone = tmp_path / "store.db", tmp_path / "gone"
    store.database.engine.dispose()
    disk.rename(gone)
    disk.mkdir()
    with pytest.raises(mfprefect.DatabaseUnavailable):
        attempt(2)
    disk.rmdir()
    gone.rename(disk)
    with pytest.raises(mfprefect.SessionClosed, match="earlier attempt"):
        attempt(2)
    assert store.sessions()["status"].tolist() == ["succeeded"]


def test_a_retry_does_not_repeat_what_waits_in_the_spool(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its database is still away, or takes the session now."""
    attempt = attempts(store, monkeypatch)
    with away(url):
        first = attempt(1)
        first.close()
        assert first.status == "spooled"
        with pytest.raises(mfprefect.SessionClosed, match="earlier attempt") as closed:
            attempt(2)
        assert (closed.value.session_id, closed.value.done) == (first.session_id, "spooled")
        further = attempt(2)  # the flow's next session
        further.fail(OSError("link down"))
        with pytest.raises(mfprefect.SessionClosed) as closed:
            attempt(3)
        assert closed.value.session_id == first.session_id
        resumed = attempt(3)
        assert (resumed.session_id, resumed.attempt) == (further.session_id, 2)
        resumed.close()
    for session_id in (first.session_id, further.session_id):
        with pytest.raises(mfprefect.SessionClosed) as closed:
            attempt(4)
        assert (closed.value.session_id, closed.value.done) == (session_id, "succeeded")
    assert store.sessions()["attempt"].tolist() == [2, 1]


def test_a_spooled_flow_run_that_prefect_has_completed_runs_again(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = attempts(store, monkeypatch)
    with away(url):
        first = attempt(1)
        first.close()
        now = dt.datetime.now(dt.UTC)
        defaults = open_in_spool.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "completed", lambda _: now)
        second = attempt(2)
        assert (second.session_id == first.session_id, second.attempt) == (False, 1)
        second.close()
    assert store.push_spool()["verdict"].tolist() == ["delivered", "delivered"]


def test_a_run_that_died_before_it_spooled_anything_leaves_nothing(
    store: Store, folder: Path
) -> None:
    """Killed between its folder and its first file, or without room for that."""
    spool, place = spool_of(store.database.settings), place_of(store.database)
    assert spool is not None and place is not None
    dead, begins = (spool.entry(place, f"churn-{name}", 1) for name in ("dead", "begins"))
    with dead.locked():
        (dead.folder / ".owner").touch()
        (dead.folder / ".0123.part").write_bytes(b"half a head")
    with begins.locked():
        verified = CliRunner().invoke(cli, ["spool", "verify", "--url", _url_of(store)])
        assert (verified.exit_code, entries(store)) == (0, [])
        assert store.push_spool().empty
        assert [path.name for path in (folder / place.fingerprint).iterdir()] == ["churn-begins.1"]
    (begins.folder / "000001.json").touch()  # whose head was lost: that is no nothing
    assert store.push_spool()["verdict"].tolist() == ["refused"]


def _url_of(store: Store) -> str:
    return store.database.backend.url.render_as_string(hide_password=False)


def test_what_a_later_attempt_or_somebody_replaced_is_refused_and_kept(
    store: Store, url: str
) -> None:
    superseded, deleted = spooled(store, url, 2)
    s = store.database.schema.sessions
    of_superseded = s.c.session_id == superseded.session_id
    store.database.write_transaction(
        lambda c, _: c.execute(s.update().where(of_superseded), {"attempt": 2})
    )
    of_deleted = s.c.session_id == deleted.session_id
    store.database.write_transaction(
        lambda c, _: c.execute(s.update().where(of_deleted), {"status": "failed"})
    )
    store.delete_session(deleted.session_id)
    pushed = store.push_spool().set_index("session_id")
    assert "attempt 2 of session" in pushed["reason"][superseded.session_id]
    assert "was deleted" in pushed["reason"][deleted.session_id]
    assert pushed["verdict"][superseded.session_id] == "superseded"
    assert pushed["verdict"][deleted.session_id] == "refused"
    assert len(entries(store)) == 2


def test_a_process_that_dies_while_it_spools_leaves_what_it_had(
    store: Store, url: str, folder: Path
) -> None:
    program = f"""
import mfprefect, os, signal
store = mfprefect.connect({url!r}, **{QUICK!r})
session = store.session("churn", purpose="score")
session.log_metrics({{"auc": 0.5}})
session.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    with away(url):
        done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    pushed = store.push_spool()
    assert pushed[["verdict", "status"]].to_numpy().tolist() == [["delivered", "crashed"]]
    name = str(pushed["session_id"][0])
    assert store.metrics(name)["value"].tolist() == [0.5]
    shown = store.show(name).iloc[0]
    assert "is gone; it wrote to the spool at" in shown["failure_text"]


def test_workers_and_attached_sessions_spool_what_is_theirs(store: Store, url: str) -> None:
    """The run itself finds its database again, and takes along what its workers could not write."""
    session = store.session("churn", purpose="score")
    recorder = Recorder(
        store.database, session.handle, attached=True, last_numbers={"check": 10_000}
    )
    with away(url):
        recorder.write_scores(SCORES, entity_id="id", part=1)
        recorder.log_metrics({"from_worker": 1.0})
        recorder.flush()
        attached = store.attach(session.session_id)
        attached.log_metrics({"from_script": 2.0})
        attached.flush()
    session.require_spooled(recorder.spool_receipt)
    with pytest.raises(mfprefect.ConfigurationError, match="share in MFPREFECT_SPOOL"):
        session.require_spooled(f"{recorder.spool_place}/.seen.on-another-disk")
    assert store.push_spool()["verdict"].tolist() == ["running"]  # the run takes it up itself
    session.write_scores(SCORES.assign(id=["x", "y", "z"]), entity_id="id", part=2)
    assert session.parts() == ({1: 3, 2: 3}, True)
    session.close()
    assert session.status == "succeeded"
    assert store.metrics(session.session_id)["value"].tolist() == [2.0, 1.0]
    assert len(store.scores(session.session_id)) == 6
    assert entries(store) == []


def test_what_a_command_stored_is_not_missed_while_the_database_is_away(
    tmp_path: Path, folder: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mfprefect.connect(f"sqlite:///{disk / 'f.db'}", **QUICK) as other:
        other.create_schema()
        other.add_model("churn")
        with other.session("churn") as session:
            assert not session.has_results()
            attached = other.attach(session.session_id)
            attached.log_metrics({"from_script": 2.0})
            attached.flush()
            disk.rename(tmp_path / "gone")
            other.database.engine.dispose()
            assert session.has_results()
        with other.session("churn") as session:
            assert not session.has_results()


def test_gates_are_held_without_the_database(store: Store, url: str) -> None:
    with away(url):
        session = store.session("churn", purpose="train")
        session.log_metrics({"auc": 0.8})
        session.log_checks(SCORES, lambda frame: len(frame) == 3)
        gates = [mfprefect.Gate("auc", at_least=0.7), mfprefect.Gate.checks()]
        assert [verdict.passed for verdict in session.log_gates(gates)] == [True, True]
        with pytest.raises(mfprefect.GateFailed, match="production \\(unknown\\) cannot be compar"):
            session.log_gates([mfprefect.Gate("auc", not_worse_than_production_by=0.1)])
        session.close()
    store.push_spool()
    assert store.gates(session.session_id)["verdict"].tolist() == ["unknown"]


def test_no_secret_gets_into_the_spool_and_nobody_else_reads_it(folder: Path) -> None:
    planted = "pa55w0rd"
    url = f"postgresql://joe:{planted}@127.0.0.1:1/db?sslpassword={planted}"
    with (
        mfprefect.connect(url, **QUICK, signing_key=planted) as store,
        store.session("churn") as session,
    ):
        session.log_metrics({"auc": 0.5})
    assert session.status == "spooled"
    paths = [folder, *folder.rglob("*")]
    assert not [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
    text = b"".join(path.read_bytes() for path in paths if path.is_file())
    assert planted.encode() not in text
    assert b"joe" not in text
    assert b"postgres://127.0.0.1:1/db" in text


def test_another_database_gets_nothing_unless_it_has_moved(
    store: Store, url: str, tmp_path: Path
) -> None:
    with away(url), store.session("churn") as session:
        pass
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    run = CliRunner()
    with mfprefect.connect(elsewhere, **QUICK) as other:
        other.create_schema()
        other.add_model("churn")
        assert other.push_spool().empty
        (row,) = json.loads(run.invoke(cli, ["spool", "list", "--json", "--url", elsewhere]).stdout)
        assert (row["session_id"], row["here"], row["ended"]) == (
            session.session_id,
            False,
            "succeeded",
        )
        done = run.invoke(
            cli, ["spool", "push", "--url", elsewhere, "--moved-from", row["fingerprint"]]
        )
        assert done.exit_code == 0, done.output
        assert other.show(session.session_id)["status"].tolist() == ["succeeded"]


def test_the_commands_and_the_doctor_tell_what_waits(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFPREFECT_URL", url)
    for name, value in QUICK.items():
        monkeypatch.setenv(f"MFPREFECT_{name.upper()}", str(value))
    run = CliRunner()
    with away(url):
        opened = run.invoke(cli, ["session", "open", "churn"])
        assert opened.exit_code == 0, opened.output
        name = opened.stdout.strip()
        listed = run.invoke(cli, ["spool", "list", "--json"])
        assert [row["state"] for row in json.loads(listed.stdout)] == ["running"]
        logged = run.invoke(cli, ["session", "log", name, "--metric", "auc=0.75"])
        assert logged.exit_code == 0, logged.output
        closed = run.invoke(cli, ["session", "close", name, "--json"])
        assert json.loads(closed.stdout)["status"] == "spooled"
        assert run.invoke(cli, ["spool", "push"]).exit_code == 1
        result = run.invoke(cli, ["doctor", "--json"])
        texts = [x["detail"] for x in json.loads(result.stdout) if x["check"] == "spool"]
        assert texts[1] == "1 session waits to be delivered, 1 to this database"
    text = run.invoke(cli, ["spool", "list"]).stdout
    assert name in text
    assert "this one" in text
    assert run.invoke(cli, ["spool", "verify"]).exit_code == 0
    pushed = run.invoke(cli, ["spool", "push", "--json"])
    assert [row["status"] for row in json.loads(pushed.stdout)] == ["succeeded"]
    assert store.metrics(name)["value"].tolist() == [0.75]
    assert json.loads(run.invoke(cli, ["spool", "list", "--json"]).stdout) == []


def test_a_file_whose_disk_goes_away_is_an_unavailable_database(
    store: Store, tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "disk").mkdir()
    with mfprefect.connect(f"sqlite:///{tmp_path / 'disk' / 'f.db'}", **QUICK) as other:
        other.create_schema()
        other.add_model("churn")
        (tmp_path / "disk").rename(tmp_path / "gone")
        other.database.engine.dispose()
        with other.session("churn") as session:
            session.log_metrics({"auc": 0.5})
        assert session.status == "spooled"
        (tmp_path / "gone").rename(tmp_path / "disk")
        assert other.push_spool()["verdict"].tolist() == ["delivered"]


def test_a_command_reports_while_its_database_is_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the run handed over is enough to know the session by."""
    handed = {"SESSION_ID": "c-1", "MODEL_ID": "churn", "PURPOSE": "train", "ATTEMPT": "2"}
    with mfprefect.connect("postgresql://joe@127.0.0.1:1/db", **QUICK) as store:
        with pytest.raises(mfprefect.DatabaseUnavailable):
            store.attach("c-1")
        for name, value in handed.items():
            monkeypatch.setenv(f"MFPREFECT_{name}", value)
        attached = store.attach("c-1")
        attached.log_metrics({"auc": 0.5})
        attached.flush()
        (entry,) = entries(store)
        head = entry.head()
        assert (head.session_id, head.attempt, entry.owned) == ("c-1", 2, False)
        assert attached.has_results()


@pytest.mark.parametrize("name", ["顧客" * 32, "../../etc", "a/b.c", "x" * 64, "%2e%2e"])
def test_any_name_of_a_model_has_a_folder(folder: Path, name: str) -> None:
    with mfprefect.connect("postgresql://joe@127.0.0.1:1/db", **QUICK) as store:
        with store.session(name) as session:
            session.log_metrics({"auc": 0.5})
        assert session.status == "spooled"
        (entry,) = entries(store)
        assert entry.folder.parent.parent == folder
        pushed = delivery.push(store.database)
        assert [(x.session_id, x.verdict) for x in pushed] == [(session.session_id, "waiting")]


def test_waiting_in_vain_is_done_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    options: dict[str, Any] = {"retry_seconds": 1.0, "heartbeat_seconds": 600}
    with mfprefect.connect("postgresql://joe@127.0.0.1:1/db", **options) as store:
        store.register("churn", "who leaves")
        waits = caplog.text.count("trying again")
        assert waits > 0
        with store.session("churn", purpose="train") as session:
            session.save_model(b"model")
            session.log_metrics({"auc": 0.5})
        assert session.status == "spooled"
        assert caplog.text.count("trying again") == waits
        head = entries(store)[0].head()
        assert head.model is not None
        assert head.model["description"] == "who leaves"


def test_stray_files_do_not_keep_entries_from_delivery_and_are_named(
    store: Store, url: str, folder: Path
) -> None:
    [session] = spooled(store, url)
    database = entries(store)[0].folder.parent
    for name in ("README.txt", "Thumbs.db", "churn.7"):
        (database / name).write_text("do not delete")
    (database / "lost+found").mkdir()
    (folder / "README").write_text("do not delete")
    listed = CliRunner(env={"COLUMNS": "500"}).invoke(cli, ["spool", "list", "--url", url])
    for path in (folder / "README", database / "Thumbs.db", database / "lost+found"):
        assert f"passed over {path}: mfprefect did not write it" in listed.output
    pushed = CliRunner().invoke(cli, ["spool", "push", "--url", url])
    assert pushed.exit_code == 0, pushed.output
    assert store.sessions(session.model_id)["status"].tolist() == ["succeeded"]
    names = sorted(path.name for path in database.iterdir())
    assert names == ["README.txt", "Thumbs.db", "churn.7", "lost+found"]
