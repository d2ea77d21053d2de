"""Forged and damaged entries of the spool: delivered exactly, or refused by name and kept."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import ArtifactUntrusted
from mfprefect.cli import cli
from mfprefect.spool.entry import Entry
from mfprefect.spool.files import MOST_BYTES, encode_document
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.testing.contract.helpers import fill, rows

QUICK: dict[str, Any] = {"retry_seconds": 0.05, "connect_timeout": 0.02, "heartbeat_seconds": 600}
BOMB = "[" * 200_000


class Yard:
    """A database with a session that has ended, and a sound entry of another one to be forged."""

    def __init__(self, folder: Path) -> None:
        self.file, self.spool = folder / "test.db", folder / "spool"
        self.url = f"sqlite:///{self.file}"
        self.store = mfprefect.connect(self.url, spool=self.spool, **QUICK)
        self.store.create_schema()
        self.store.add_model("churn")
        with self.store.session("churn", purpose="train") as self.ended:
            fill(self.ended)
        holder = sqlite3.connect(self.file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        with self.store.session("churn", purpose="score", params={"a": 1}, tags=["t"]) as session:
            fill(session)
            session.log_drift([{**DRIFT, "value": 0.5}], reference=self.ended.session_id)
        holder.close()
        assert session.status == "spooled"
        self.session_id = session.session_id
        (self.entry,) = self.entries()
        self.sound = folder / "sound"
        shutil.copytree(self.entry.folder, self.sound)
        self.before = folder / "before.db"
        self.copy(self.file, self.before)

    def entries(self) -> list[Entry]:
        spool = spool_of(self.store.database.settings)
        assert spool is not None
        return spool.entries(place_of(self.store.database))

    def again(self) -> Path:
        """Lay the sound entry and the database as they were; return the entry's folder."""
        if self.store.sessions()["session_id"].tolist() != [self.ended.session_id]:
            self.store.database.engine.dispose()
            self.copy(self.before, self.file)
        shutil.rmtree(self.spool, ignore_errors=True)
        self.entry.folder.parent.mkdir(parents=True, mode=0o700)
        shutil.copytree(self.sound, self.entry.folder)
        return self.entry.folder

    @staticmethod
    def copy(of: Path, to: Path) -> None:
        with closing(sqlite3.connect(of)) as source, closing(sqlite3.connect(to)) as target:
            source.backup(target)

    def refused(self, folder: Path) -> str:
        """Push; the entry must stay as it is, and nothing of it be in the database."""
        files, stored = contents(folder), rows(self.store)
        pushed = self.store.push_spool()
        reasons = dict(zip(pushed["verdict"], pushed["reason"], strict=True))
        assert set(reasons) == {"refused"}, reasons
        assert contents(folder) == files
        assert rows(self.store) == stored
        return str(reasons["refused"])


DRIFT = {"variable": "v", "measure": "psi", "value": None, "threshold": None, "verdict": "ok"}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    made = Yard(tmp_path_factory.mktemp("yard"))
    yield made
    made.store.close()


def contents(folder: Path) -> dict[str, Any]:
    files: dict[str, Any] = {}
    for path in sorted(folder.parent.rglob("*")):
        state = path.lstat()
        large = state.st_size > 10**8
        text = path.read_bytes() if path.is_file() and not path.is_symlink() and not large else b""
        # Whoever delivers takes a lock; that is no content.
        if path.name not in (".lock", ".owner"):
            files[str(path)] = (state.st_mode, state.st_size, text)
    return files


def document(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes().partition(b"\n")[2])
    return content


def forge(folder: Path, name: str, change: Callable[[Any], object]) -> None:
    """Change a document, and make every digest fit, as its forger would."""
    content = document(folder / name)
    changed = change(content)
    text = changed if isinstance(changed, bytes) else encode_document(content)
    if isinstance(changed, str):
        text = hashlib.sha256(changed.encode()).hexdigest().encode() + b"\n" + changed.encode()
    (folder / name).write_bytes(text)
    seal_again(folder)


def seal_again(folder: Path) -> None:
    if not (folder / "end.json").is_file() or (folder / "end.json").is_symlink():
        return
    ending = document(folder / "end.json") if readable(folder / "end.json") else {}
    if "writes" in ending:
        files = sorted(p.name for p in folder.glob("[0-9]*.json"))
        ending["writes"] = {n: (folder / n).read_bytes()[:64].decode() for n in files}
        (folder / "end.json").write_bytes(encode_document(ending))


def readable(path: Path) -> bool:
    try:
        return isinstance(document(path), dict)
    except (ValueError, RecursionError):
        return False


def write_of(folder: Path, op: str) -> str:
    """Return the name of the first write of a kind."""
    names = sorted(p.name for p in folder.glob("[0-9]*.json"))
    return next(name for name in names if document(folder / name)["op"] == op)


def put(name: str, value: Any) -> Callable[[Any], None]:
    """Return what sets a field, named by a path such as `session.params`."""

    def change(content: Any) -> None:
        *parents, last = name.split(".")
        for parent in parents:
            content = content[int(parent)] if isinstance(content, list) else content[parent]
        if value is DROP:
            del content[last]
        elif isinstance(content, list):
            content[int(last)] = value
        else:
            content[last] = value

    return change


DROP = object()
HEADS: tuple[tuple[str, Any], ...] = (
    *(("session_id", "../../../etc/passwd"), ("session_id", "x" * 5000), ("session_id", "a\0b")),
    *(("session_id", 7), ("session_id", None), ("session_id", ""), ("model_id", "../x")),
    *(("model_id", {"$ne": 1}), ("purpose", "'; DROP TABLE sessions; --"), ("attempt", 0)),
    *(("attempt", 10**30), ("attempt", True), ("attempt", "1"), ("attempt", 2), ("attempt", -1)),
    *(("fingerprint", "0" * 16), ("fingerprint", 7), ("format", "mfprefect spool 2")),
    *(("format", ["x"]), ("revision", "; --"), ("revision", "../0001"), ("revision", None)),
    *(("began_at", "yesterday"), ("began_at", "2026-01-01T00:00:00"), ("as_of", "9" * 400)),
    *(("host", DROP), ("process_id", "1"), ("process_id", 10**99), ("host", "x" * 999),
 ("environment", None), ("session", {})),
    *(("tags", "{}"), ("tags", BOMB), ("parent_session_id", "nobody"), ("model", {"x": 1})),
    *(("model", {"model_id": "other"}), ("session.session_id", "another"), ("session.attempt", 7)),
    *(("session.status", "x" * 99), ("session.params", BOMB), ("session.params", "[]")),
    *(("session.params", 7), ("session.started_at", "2026-01-01")),
    *(("session.started_at", 1e999), ("session.git_dirty", "yes"), ("session.process_id", 2**80)),
    *(("session.model_id", "churn2"), ("session.nonsense", 1), ("session.host", "\0")),
    *(("environment.packages", BOMB), ("environment.environment_digest", "0" * 64)),
    *(("environment.nonsense", 1), ("session.as_of", "never"), ("session.run_by", None)),
)  # fmt: skip
ENDINGS: tuple[tuple[str, Any], ...] = (
    *(("status", "running"), ("status", "great"), ("status", []), ("publish", "yes")),
    *(("publish", DROP), ("ended_at", "now"), ("ended_at", None), ("final", 1)),
    *(("failure_kind", 7), ("failure_kind", "x" * 999), ("failure_text", "\0"),
 ("writes", []), ("writes", {}), ("ended_at", "2026-01-01T00:00:00")),
)  # fmt: skip
SESSION_OF_OTHERS = {"session_no": 1, "metric_name": "auc2", "segment": "", "value": 1.0}
METRIC = {"metric_name": "auc2", "segment": "", "value": 1.0, "definition_version": 1}
STAGE = {
    **{"model_id": "churn", "set_at": "2026-01-01T00:00:00+00:00", "stage": "production"},
    **{"session_no": 1, "set_by": "me", "reason": "x", "gates": None, "override_reason": None},
}
ROWS: tuple[tuple[str, Any], ...] = (
    *(("op", "exec"), ("op", ["rows"]), ("op", DROP), ("tables", []), ("tables", "metrics")),
    *(("tables", {"metrics": 7}), ("tables", {"metrics": [7]}), ("tables", {"metrics": [{}]})),
    *(("tables", {"nonsense": [{"a": 1}]}), ("tables", {"../metrics": [{"a": 1}]})),
    *(("tables", {"sessions; DROP TABLE metrics": [{"a": 1}]}), ("sha256", "0" * 64)),
    # Rows that are somebody else's, or that no run writes.
    *(("tables", {"metrics": [METRIC | {"session_no": 1}]}), ("tables", {"model_stages": [STAGE]})),
    *(("tables", {"sessions": [{"session_no": 1}]}), ("tables", {"audit_events": [{}]})),
    *(("tables", {"scores": [{"entity_id": "x"}]}), ("tables", {"seals": []})),
    ("tables", {"score_parts": [{"part_no": 1}]}),
    # Values of another type than the column's, which SQLite would take.
    *(("tables", {"metrics": [METRIC | {"value": "<b>"}]}),),
    *(("tables", {"metrics": [METRIC | {"value": None}]}),),
    *(("tables", {"metrics": [METRIC | {"value": True}]}),),
    *(("tables", {"metrics": [METRIC | {"metric_name": 7}]}),),
    *(("tables", {"metrics": [METRIC | {"metric_name": "x" * 500}]}),),
    *(("tables", {"metrics": [METRIC | {"metric_name": "a\0"}]}),),
    *(("tables", {"metrics": [METRIC | {"definition_version": 10**400}]}),),
    *(("tables", {"metrics": [METRIC | {"value": 10**400}]}),),
    *(("tables", {"metrics": [METRIC | {"value": [1]}]}),),
    *(("tables", {"metrics": [METRIC | {"value": float("inf")}]}),),
    *(("tables", {"metrics": [METRIC | {"reference_session_id": "x"}]}),),
    *(("tables", {"drift": [DRIFT | {"reference_session_id": 7}]}),),
)
PARTS: tuple[tuple[str, Any], ...] = (
    *(("part_no", 0), ("part_no", -1), ("part_no", "1"), ("part_no", 2**31), ("part_no", 10**99)),
    *(("rows", 10**18), ("rows", -1), ("rows", None), ("digest", "0" * 64), ("digest", 7)),
    *(("sha256", "0" * 64), ("sha256", DROP), ("size", "x"), ("op", "artifact")),
)  # fmt: skip
ARTIFACTS: tuple[tuple[str, Any], ...] = (
    *(("name", ""), ("name", "x" * 500), ("name", 7), ("artifact", {}), ("artifact.size", 10**30)),
    *(("artifact.size", 1), ("artifact.sha256", "0" * 64), ("artifact.format", 7)),
    *(("artifact.library_versions", BOMB), ("artifact.nonsense", 1), ("artifact", None)),
    *(("artifact.signature", ["x"]), ("artifact.format", "x" * 500), ("op", "part")),
    *(("name", "file/model"), ("name", "file/../../x"), ("artifact.format", "file")),
)  # fmt: skip


def forged() -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Yield documents whose digests all fit."""
    for field, value in HEADS:
        yield (
            f"head {field} {value!r:.40}",
            lambda f, n=field, v=value: forge(  # type: ignore[misc]
                f, "head.json", put(n, v)
            ),
        )
    for field, value in ENDINGS:
        yield (
            f"end {field} {value!r:.40}",
            lambda f, n=field, v=value: (  # type: ignore[misc]
                f / "end.json"
            ).write_bytes(encode_document(changed(document(f / "end.json"), put(n, v)))),
        )
    for op, fields in {"rows": ROWS, "part": PARTS, "artifact": ARTIFACTS}.items():
        for field, value in fields:
            yield (
                f"{op} {field} {value!r:.90}",
                lambda f, o=op, n=field, v=value: forge(  # type: ignore[misc]
                    f, write_of(f, o), put(n, v)
                ),
            )
    yield ("a file outside of its folder", lambda f: forge(f, write_of(f, "artifact"), _outside))
    for text in ("", "null", "[]", "7", "{", '"x"', BOMB, '{"a":' * 100_000, "9" * 10_000, "\x00"):
        for name in ("head.json", "000001.json", "end.json"):
            yield f"{name} is {text[:9]!r}", lambda f, n=name, t=text: forge(f, n, lambda _: t)  # type: ignore[misc]


def _outside(content: dict[str, Any]) -> None:
    content["name"], content["artifact"]["format"] = "file/../../x", "file"


def changed(content: dict[str, Any], change: Callable[[Any], object]) -> dict[str, Any]:
    change(content)
    return content


def test_a_forger_who_makes_all_digests_fit(yard: Yard) -> None:
    wrong = []
    for what, change in forged():
        folder = yard.again()
        change(folder)
        try:
            reason = yard.refused(folder)
            assert str(folder) in reason or "'nobody'" in reason, reason
            assert len(reason) < 1500, reason
        except Exception as exc:  # noqa: BLE001 - all of them are shown
            wrong.append((what, repr(exc)[:300]))
    assert wrong == [], "\n".join(map(str, wrong))


def folders() -> Iterator[tuple[str, Callable[[Path, Path], object]]]:
    """Yield what a folder may become, given the entry and a place outside of the spool."""
    for name in ("head.json", "000001.json", "end.json", ".lock", ".owner"):
        yield f"{name} links elsewhere", lambda f, o, n=name: link(f / n, o / n)  # type: ignore[misc]
        yield f"{name} is a pipe", lambda f, _, n=name: pipe(f / n)  # type: ignore[misc]
        yield f"{name} is a folder", lambda f, _, n=name: fresh(f / n).mkdir()  # type: ignore[misc]
    yield "head.json is gone", lambda f, _: (f / "head.json").unlink()
    yield "000001.json is gone", lambda f, _: (f / "000001.json").unlink()
    for name in ("head.json", "000001.json", "end.json"):
        yield f"{name} is huge", lambda f, _, n=name: os.truncate(f / n, MOST_BYTES * 8)  # type: ignore[misc]
        yield f"{name} is everybody's", lambda f, _, n=name: (f / n).chmod(0o666)  # type: ignore[misc]
        yield f"{name} is another user's", lambda f, _, n=name: os.chown(f / n, 4321, -1)  # type: ignore[misc]
    yield "the model links elsewhere", lambda f, o: link(blob(f, "artifact"), o / "blob")
    yield "the model is a pipe", lambda f, _: pipe(blob(f, "artifact"))
    yield "the model is gone", lambda f, _: blob(f, "artifact").unlink()
    yield "the scores are gone", lambda f, _: blob(f, "part").unlink()
    yield "the scores are a folder", lambda f, _: fresh(blob(f, "part")).mkdir()
    yield "the folder is everybody's", lambda f, _: f.chmod(0o777)
    yield "the folder of the database is everybody's", lambda f, _: f.parent.chmod(0o777)
    yield "the folder is another user's", lambda f, _: os.chown(f, 4321, -1)
    yield "the folder links elsewhere", lambda f, o: elsewhere(f, o)
    yield "the folder of the database links elsewhere", lambda f, o: elsewhere(f.parent, o)
    yield "one write too many", lambda f, _: shutil.copy(f / "000001.json", f / "000099.json")
    yield "a write with a path for a name", lambda f, _: forge_names(f, "000001/../../x.json")


def fresh(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


def pipe(path: Path) -> None:
    os.mkfifo(fresh(path))


def link(path: Path, to: Path) -> None:
    if path.exists():
        shutil.copy(path, to)
    fresh(path)
    path.symlink_to(to)


def blob(folder: Path, op: str) -> Path:
    return folder / write_of(folder, op).replace(".json", ".blob")


def elsewhere(folder: Path, outside: Path) -> None:
    folder.rename(outside / "place")
    folder.symlink_to(outside / "place")


def forge_names(folder: Path, name: str) -> None:
    ending = document(folder / "end.json")
    ending["writes"][name] = "0" * 64
    (folder / "end.json").write_bytes(encode_document(ending))


def test_folders_and_files_of_somebody_elses_making(yard: Yard, tmp_path: Path) -> None:
    wrong = []
    for number, (what, change) in enumerate(folders()):
        folder, outside = yard.again(), tmp_path / str(number)
        outside.mkdir()
        change(folder, outside)
        laid = contents(outside)
        try:
            yard.refused(folder)
            commands_answer(yard)
            assert contents(outside) == laid
        except Exception as exc:  # noqa: BLE001 - all of them are shown
            wrong.append((what, repr(exc)[:300]))
    assert wrong == [], "\n".join(map(str, wrong))


def commands_answer(yard: Yard) -> None:
    """The commands tell it in words, and the next session opens all the same."""
    env = {"MFPREFECT_URL": yard.url, "MFPREFECT_SPOOL": str(yard.spool)}
    for command, code in (("list", 0), ("verify", 1), ("push", 1)):
        done = CliRunner().invoke(cli, ["spool", command, "--json"], env=env)
        assert (done.exit_code, "unexpected" in done.stderr) == (code, False), done.output
        assert len(json.loads(done.stdout)) == 1


def test_copies_are_refused_and_the_entry_itself_arrives_once(yard: Yard) -> None:
    folder = yard.again()
    place = folder.parent
    strange = (
        *("x.1", f"{folder.name} copy", folder.name[:-1] + "2", "%2E%2E%2F%2E%2E%2Fetc.1", "-rf.1"),
        *("\u202e.\u0663", "$(id).1", "\x1b[31m.1", "'; DROP TABLE x; --.1", "x" * 250, "1" * 200),
    )
    for name in strange:
        shutil.copytree(folder, place / name)
    files = {name: contents(place / name / "x") for name in strange}
    done = CliRunner().invoke(
        cli, ["spool", "list"], env={"MFPREFECT_URL": yard.url, "MFPREFECT_SPOOL": str(yard.spool)}
    )
    assert (done.exit_code, set(done.output) & set("\x1b\u202e")) == (0, set())
    pushed = yard.store.push_spool()
    assert sorted(pushed["verdict"]) == ["delivered", *["refused"] * len(strange)]
    assert {name: contents(place / name / "x") for name in strange} == files
    stored = rows(yard.store)
    # Put back, the very entry is known to have been delivered, and only goes.
    shutil.copytree(yard.sound, folder)
    again = yard.store.push_spool()
    assert again[again["verdict"] == "delivered"]["reason"].tolist() == [
        "it had been delivered before"
    ]
    assert rows(yard.store) == stored
    assert not folder.exists()


def test_an_entry_of_another_database_is_not_taken_for_ones_own(yard: Yard, tmp_path: Path) -> None:
    folder = yard.again()
    with mfprefect.connect(f"sqlite:///{tmp_path / 'o.db'}", spool=yard.spool, **QUICK) as other:
        other.create_schema()
        other.add_model("churn")
        where = place_of(other.database)
        assert where is not None
        copied = yard.spool / where.fingerprint / folder.name
        shutil.copytree(folder, copied)
        pushed = other.push_spool()
        assert (pushed["verdict"].tolist(), other.sessions().empty) == (["refused"], True)
        assert "was written for another database" in pushed["reason"].iloc[0]
        # Where somebody says that it has moved, it is delivered.
        with other.session("churn", purpose="train") as parent:
            fill(parent)
        shutil.rmtree(copied)
        moved = other.push_spool(moved_from=folder.parent.name)
        assert moved["verdict"].tolist() == ["delivered"]


def test_what_a_forger_can_do_is_on_record(yard: Yard) -> None:
    """Who may write there writes in the run's name: the audit trail tells which files it was."""
    folder = yard.again()
    ran = yard.ended.session_id
    flag = folder.parent.parent.parent / "executed"
    payload = pickle.dumps(Payload(str(flag)))
    forge(folder, write_of(folder, "rows"), put("tables", {"metrics": [METRIC | {"value": 0.99}]}))
    name = write_of(folder, "artifact")
    model: dict[str, Any] = {"sha256": hashlib.sha256(payload).hexdigest(), "size": len(payload)}
    (folder / name.replace(".json", ".blob")).write_bytes(payload)
    forge(folder, name, lambda content: content.update(model))
    forge(folder, name, lambda content: content["artifact"].update(model, format="pickle"))
    entry = (folder / "end.json").read_bytes()[:64].decode()
    before = yard.store.scores(ran)
    assert yard.store.push_spool()["verdict"].tolist() == ["delivered"]
    assert yard.store.metrics(yard.session_id)["value"].tolist() == [0.99]
    assert yard.store.verify().problems == []
    with pytest.raises(ArtifactUntrusted):
        yard.store.load_model(yard.session_id)
    assert not flag.exists()
    assert yard.store.scores(ran).equals(before)
    events = yard.store.audit_log(action="deliver_spool")
    assert events["detail"].astype(str).str.contains(entry).tolist() == [True]


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def scores_forged() -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Yield what a part of scores may be, whose digests are those of its file."""
    score = pa.array([0.5])
    for what, columns in {
        "another column": {"id": ["a"], "score": score, "score_class": ["x"]},
        "numbers for text": {"entity_id": [1.5], "score": score, "score_class": ["x"]},
        "text for numbers": {"entity_id": ["a"], "score": ["0.5"], "score_class": ["x"]},
        "a struct": {"entity_id": [{"a": "b"}], "score": score, "score_class": ["x"]},
        "a list": {"entity_id": ["a"], "score": [[0.5]], "score_class": ["x"]},
        "NaN": {"entity_id": ["a"], "score": [float("nan")], "score_class": ["x"]},
        "NULL": {"entity_id": [None], "score": score, "score_class": ["x"]},
        "twice": {"entity_id": ["a", "a"], "score": [0.5, 0.5], "score_class": ["x", "x"]},
        "long": {"entity_id": ["x" * 300], "score": score, "score_class": ["x"]},
        "NUL": {"entity_id": ["a\0"], "score": score, "score_class": ["x"]},
    }.items():
        yield what, lambda path, c=columns: pq.write_table(pa.table(c), path)  # type: ignore[misc]
    yield "no Parquet", lambda path: path.write_bytes(b"PAR1" + b"\xff" * 99 + b"PAR1")
    yield "empty", lambda path: path.write_bytes(b"")
    yield "a pickle", lambda path: path.write_bytes(pickle.dumps(Payload("/nowhere")))
    yield (
        "a bomb of rows",
        lambda path: pq.write_table(
            pa.table({n: pa.repeat(pa.scalar(v), 10**6) for n, v in ROW.items()}),
            path,
            compression="zstd",
        ),
    )
    yield "a bomb of texts", texts_bomb


ROW: dict[str, Any] = {"entity_id": "a", "score": 0.5, "score_class": "x"}


def texts_bomb(path: Path) -> None:
    """A few kilobytes of which reading would make ten gigabytes."""
    text = pa.array(["x" * 10**6])
    ids = pa.DictionaryArray.from_arrays(pa.array([0] * 10**4, pa.int32()), text)
    rest = {n: pa.repeat(pa.scalar(ROW[n]), len(ids)) for n in ("score", "score_class")}
    pq.write_table(pa.table({"entity_id": ids, **rest}), path, compression="zstd")


def test_scores_of_somebody_elses_making(yard: Yard) -> None:
    wrong = []
    for what, make in scores_forged():
        folder = yard.again()
        make(path := blob(folder, "part"))
        text = path.read_bytes()
        changes = {"sha256": hashlib.sha256(text).hexdigest(), "size": len(text), "rows": 1}
        forge(folder, path.with_suffix(".json").name, lambda d, t=changes: d.update(t))  # type: ignore[misc]
        try:
            yard.refused(folder)
        except Exception as exc:  # noqa: BLE001 - all of them are shown
            wrong.append((what, repr(exc)[:300]))
    assert wrong == [], "\n".join(map(str, wrong))


@settings(max_examples=25)
@given(st.data())
def test_any_damage_is_found(yard: Yard, data: st.DataObject) -> None:
    """A bit turned, or the rest cut off, at any place of any file."""
    folder = yard.again()
    files = sorted(path for path in folder.iterdir() if path.stat().st_size)
    path = data.draw(st.sampled_from(files), "file")
    text = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(text) - 1), "place")
    if data.draw(st.booleans(), "cut"):
        del text[place:]
    else:
        text[place] ^= data.draw(st.integers(1, 255), "turned")
    path.write_bytes(text)
    yard.refused(folder)


def leaves(content: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value of a document."""
    items: Any = enumerate(content) if isinstance(content, list) else content.items()
    for key, value in items:
        if "." in str(key):  # a file's name, of which each is like the other
            continue
        here = f"{path}.{key}" if path else str(key)
        yield here
        if isinstance(value, (list, dict)):
            yield from leaves(value, here)


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, "", "\0", "\ud800", "x" * 300, [], {}, [[]], 10**400, -1, 2**63]),
    *(st.integers(), st.floats(), st.text(max_size=9)),
)


@settings(max_examples=40)
@given(st.data())
def test_any_value_in_any_place(yard: Yard, data: st.DataObject) -> None:
    """With digests that fit, it is stored as it is, or refused and nothing is."""
    folder = yard.again()
    name = data.draw(st.sampled_from(sorted(p.name for p in folder.glob("*.json"))), "file")
    place = data.draw(st.sampled_from(sorted(leaves(document(folder / name)))), "place")
    value = data.draw(VALUES, "value")
    if isinstance(value, str) and "\ud800" in value:
        value = value.replace("\ud800", "?")
    ending = name == "end.json"
    forged = changed(document(folder / name), put(place, value))
    (folder / name).write_bytes(encode_document(forged))
    if not ending:
        seal_again(folder)
    files, stored = contents(folder), rows(yard.store)
    verdicts = yard.store.push_spool()["verdict"].tolist()
    if verdicts != ["delivered"]:
        assert verdicts in (["refused"], ["running"])  # alive on another machine, it says
        assert (contents(folder), rows(yard.store)) == (files, stored)
    else:
        assert yard.store.verify().problems == []
        assert yard.store.metrics(yard.ended.session_id).shape[0] > 0
