"""Files of sessions: stored in chunks, read back verified, apart from models."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest

from mfprefect import Store
from mfprefect.artifacts import CHUNK_BYTES
from mfprefect.errors import (
    ArtifactCorrupt,
    InvalidValue,
    SealBroken,
    SessionClosed,
    UnknownSession,
)
from mfprefect.testing.contract.helpers import rows


def test_files_come_back_as_they_were(store: Store, tmp_path: Path) -> None:
    large = os.urandom(2 * CHUNK_BYTES + 1)
    (tmp_path / "weights.bin").write_bytes(large)
    contents = {"weights.bin": large, "empty.txt": b"", "Kurve é.csv": b"a,b\r\n\0\xff"}
    with store.session("churn", purpose="train") as session:
        assert session.log_file(tmp_path / "weights.bin") == "weights.bin"
        session.log_file(b"", "empty.txt")
        session.log_file(b"first", "Kurve é.csv")
        session.log_file(contents["Kurve é.csv"], "Kurve é.csv")  # replaces
    listed = store.files(session.session_id)
    assert [*listed.columns] == ["session_id", "name", "media_type", "bytes", "sha256"]
    assert set(listed["session_id"]) == {session.session_id}
    described = listed.set_index("name")
    for name, content in contents.items():
        with store.open_file(session.session_id, name) as file:
            assert file.read() == content
            file.seek(0)
            assert file.read(1) == content[:1]
        assert described.loc[name, "bytes"] == len(content)
        assert described.loc[name, "sha256"] == hashlib.sha256(content).hexdigest()
    assert described["media_type"].to_dict() == {
        "weights.bin": "application/octet-stream",
        "empty.txt": "text/plain",
        "Kurve é.csv": "text/csv",
    }
    assert rows(store)["artifact_chunks"] == 3 + 1
    store.verify(session_id=session.session_id)
    store.delete_session(session.session_id)
    assert rows(store)["artifacts"] == rows(store)["artifact_chunks"] == 0


def test_a_file_is_no_model(store: Store) -> None:
    with store.session("churn", purpose="train") as session:
        session.log_file(b"a file called model", "model")
    name = session.session_id
    assert store.artifacts(name).empty
    assert store.latest_training("churn") is None
    with pytest.raises(InvalidValue, match="has no artifact 'model'; it has: none"):
        store.load_model(name)
    with store.session("churn", purpose="train") as both:
        both.save_model(b"a model")
        both.log_file(b"a file called model", "model")
        with pytest.raises(InvalidValue, match="log_file"):
            both.save_model(b"a model", "file/model")
    assert store.load_model(both.session_id) == b"a model"
    assert store.artifacts(both.session_id)["artifact_name"].tolist() == ["model"]
    assert store.files(both.session_id)["name"].tolist() == ["model"]
    assert store.latest_training("churn") == both.session_id
    with store.open_file(both.session_id, "model") as file:
        assert file.read() == b"a file called model"
    with pytest.raises(InvalidValue, match="has no file 'file/model'; it has: model"):
        store.open_file(both.session_id, "file/model")
    with pytest.raises(UnknownSession):
        store.files("nobody")
    with pytest.raises(UnknownSession):
        store.open_file("nobody", "model")


def test_files_are_refused_before_anything_is_written(store: Store, tmp_path: Path) -> None:
    with store.session("churn") as session:
        for name in ("", "../x", "a/b", "a\\b", "c:x", ".bashrc", "a\nb", "x\u202egpj.exe", " a"):
            with pytest.raises(InvalidValue, match="the file's name"):
                session.log_file(b"x", name)
        with pytest.raises(InvalidValue, match="at most 123"):
            session.log_file(b"x", "x" * 124)
        with pytest.raises(InvalidValue, match="is no regular file"):
            session.log_file(tmp_path, "folder")
        with pytest.raises(InvalidValue, match="does not exist"):
            session.log_file(tmp_path / "missing.txt")
        with pytest.raises(InvalidValue, match="bytes have no name"):
            session.log_file(b"x")
        assert session.log_file(b"x", "x" * 123) == "x" * 123
    assert store.files(session.session_id)["name"].tolist() == ["x" * 123]
    with pytest.raises(SessionClosed):
        session.log_file(b"late", "late.txt")


def test_a_changed_file_is_not_read(store: Store) -> None:
    with store.session("churn") as session:
        session.log_file(b"what was stored", "notes.txt")
    db = store.database
    chunks = db.schema.artifact_chunks
    original = db.fetch_all(chunks.select())[0].chunk_bytes

    def put(content: bytes) -> None:
        db.write_transaction(
            lambda connection, _: connection.execute(chunks.update(), {"bytes": content})
        )

    put(b"what was altered")
    with pytest.raises(ArtifactCorrupt, match=r"notes\.txt"):
        store.open_file(session.session_id, "notes.txt")
    with pytest.raises(SealBroken, match=r"notes\.txt"):
        store.verify(session_id=session.session_id)
    put(original)


def test_files_are_archived_and_restored(store: Store, tmp_path: Path) -> None:
    content = os.urandom(CHUNK_BYTES + 5)
    with store.session("churn") as session:
        session.log_file(content, "curve.png")
        session.log_file(b"", "empty.txt")
        session.write_scores(pd.DataFrame({"id": [1], "score": [0.5]}), entity_id="id")
    before = store.files(session.session_id)
    with store.session("churn") as newest:  # which stays
        newest.write_scores(pd.DataFrame({"id": [1], "score": [0.5]}), entity_id="id")
    store.prune("churn", keep_sessions=1, archive_to=tmp_path, only=[session.session_id])
    with pytest.raises(UnknownSession):
        store.files(session.session_id)
    (folder,) = (path.parent for path in tmp_path.rglob("session.json"))
    assert store.restore(folder) == session.session_id
    pd.testing.assert_frame_equal(store.files(session.session_id), before)
    with store.open_file(session.session_id, "curve.png") as file:
        assert file.read() == content
