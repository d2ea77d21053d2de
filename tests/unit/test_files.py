"""Files and figures of sessions, where the contract of the databases does not say it."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import matplotlib.figure
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import mfprefect
from mfprefect import Session, Store
from mfprefect.artifacts import Artifact, files, load
from mfprefect.cli import cli
from mfprefect.errors import ArtifactUntrusted, ConfigurationError, InvalidValue
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.store.database import Database

QUICK: dict[str, Any] = {"retry_seconds": 0.1, "connect_timeout": 0.02, "heartbeat_seconds": 600}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'store.db'}")
    with mfprefect.connect(spool=tmp_path / "spool", **QUICK) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened


def content(store: Store, session: Session, name: str) -> bytes:
    with store.open_file(session.session_id, name) as file:
        return file.read()


def run(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, [*arguments])
    assert done.exit_code == code, done.output
    return done


# Names


@given(st.text(max_size=130))
def test_a_name_that_is_taken_is_a_plain_file_of_its_folder(name: str) -> None:
    try:
        assert files.file_name(name) == name
    except InvalidValue as exc:
        assert "the file's name" in str(exc)
        return
    path = Path("/folder") / name
    assert os.path.normpath(path) == str(path)
    assert path.parent == Path("/folder")
    assert not name.startswith(".")
    assert len(os.fsencode(name)) <= 255
    assert name.isprintable() or " " in name or not name.isascii()
    assert len(files.artifact_name(name)) <= 128


def test_a_name_too_long_for_a_disk_is_refused() -> None:
    assert files.file_name("é" * 120) == "é" * 120
    with pytest.raises(InvalidValue, match="492 bytes in UTF-8"):
        files.file_name("\U00020000" * 123)
    with pytest.raises(InvalidValue, match="write 'a_b_c'"):
        files.file_name("a/b:c")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PNG", "image/png"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.csv.gz", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("model.card.md", "text/markdown"),
    ],
)
def test_the_ending_says_the_type(name: str, kind: str) -> None:
    assert files.media_type(name) == kind


# Figures


def drawing() -> matplotlib.figure.Figure:
    figure = matplotlib.figure.Figure()
    figure.subplots().plot([0, 1], [0.2, 0.8])
    return figure


def test_figures_of_matplotlib_are_png(store: Store) -> None:
    figure = drawing()
    with store.session("churn") as session:
        assert session.log_figure(figure, "roc") == "roc.png"
        assert session.log_figure(figure.axes[0], "axes v1.2") == "axes v1.2.png"
        assert session.log_figure(drawing(), "again.PNG") == "again.PNG"
    picture = content(store, session, "roc.png")
    pixels = matplotlib.image.imread(io.BytesIO(picture), format="png")
    assert pixels.shape[:2] == (480, 640)
    assert np.ptp(pixels[..., 0]) > 0
    assert content(store, session, "axes v1.2.png") == content(store, session, "again.PNG")
    assert picture == content(store, session, "again.PNG")
    assert b"matplotlib" not in picture


def test_what_is_no_figure_is_refused(store: Store) -> None:
    with store.session("churn") as session:
        with pytest.raises(InvalidValue, match="a list is no figure"):
            session.log_figure([1, 2], "list")
        with pytest.raises(InvalidValue, match=r"ends in \.svg; .* stored as \.png"):
            session.log_figure(drawing(), "roc.svg")
        with pytest.raises(InvalidValue, match="has the character '/'"):
            session.log_figure(drawing(), "a/roc")
    assert store.files(session.session_id).empty


# Where they go


def test_a_large_file_does_not_pass_through_memory(store: Store, tmp_path: Path) -> None:
    size = 64 * 1024 * 1024
    path = tmp_path / "large.bin"
    with path.open("wb") as large:
        large.truncate(size)
    tracemalloc.start()
    try:
        with store.session("churn") as session:
            session.log_file(path)
        with store.open_file(session.session_id, "large.bin") as file:
            assert sum(len(piece) for piece in iter(lambda: file.read(1 << 20), b"")) == size
        assert tracemalloc.get_traced_memory()[1] < 40 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rows", [3, 600_000])  # in memory, and in a temporary file
def test_what_reads_files_reads_a_stored_one(store: Store, tmp_path: Path, rows: int) -> None:
    frame = pd.DataFrame({"n": range(rows), "text": "a text of thirty characters .."})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    with store.session("churn") as session:
        for name in ("rows.csv", "rows.parquet"):
            session.log_file(str(tmp_path / name))
    with store.open_file(session.session_id, "rows.csv") as file:
        assert pd.read_csv(file).equals(frame)
        file.seek(0)
        assert io.TextIOWrapper(file, "utf-8").readline() == "n,text\n"
    with store.open_file(session.session_id, "rows.parquet") as file:
        assert pd.read_parquet(file).equals(frame)


def test_files_wait_in_the_spool_while_the_database_is_away(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with store.session("churn", purpose="train") as session:
            session.log_file(b"written while the database is away", "notes.txt")
            assert session.spooled
            assert not session.has_results()  # nothing that a score could use
            session.log_figure(drawing(), "roc")
    assert session.status == "spooled"
    assert store.push_spool()["verdict"].tolist() == ["delivered"]
    assert store.files(session.session_id)["name"].tolist() == ["notes.txt", "roc.png"]
    assert content(store, session, "notes.txt") == b"written while the database is away"
    assert store.latest_training("churn") is None
    store.verify()


def test_a_retry_begins_without_the_files_of_the_attempt_before_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempt(number: int) -> Session:
        flow_run = FlowRun("run-1", str(number), None)
        monkeypatch.setattr("mfprefect.store.api.sessions.current_flow_run", lambda: flow_run)
        return store.session("churn")

    first = attempt(1)
    first.log_file(b"first", "notes.txt")
    first.log_file(b"first", "only the first.txt")
    first.fail(OSError("link down"))
    assert len(store.files(first.session_id)) == 2  # a failed session keeps what it has
    with attempt(2) as second:
        second.log_file(b"second", "notes.txt")
    assert second.session_id == first.session_id
    assert store.files(first.session_id)["name"].tolist() == ["notes.txt"]
    assert content(store, second, "notes.txt") == b"second"


def test_a_file_is_signed_by_the_team_like_a_model(store: Store, tmp_path: Path) -> None:
    with mfprefect.connect(signing_key="the key", spool="off") as team:
        with team.session("churn") as session:
            session.log_file(b"signed", "notes.txt")
        assert content(team, session, "notes.txt") == b"signed"
        with store.session("churn") as unsigned:
            unsigned.log_file(b"not signed", "notes.txt")
        with pytest.raises(ArtifactUntrusted, match=r"notes\.txt"):
            team.open_file(unsigned.session_id, "notes.txt")
    with pytest.raises(ConfigurationError, match=r"store\.open_file"):
        load(io.BytesIO(b""), Artifact(files.FILE, 0, "", "{}"), trusted=True)


def test_a_report_lists_the_files(store: Store) -> None:
    with store.session("churn") as session:
        session.log_file(b"<script>alert(1)</script>", "a <b>.html")
    page = store.report(session.session_id)
    assert "a &lt;b&gt;.html" in page
    assert "alert(1)" not in page


# The command line


def test_files_are_listed_and_written_to_a_folder(store: Store, tmp_path: Path) -> None:
    with store.session("churn") as session:
        session.log_file(b"one", "one.txt")
        session.log_file(b"two", "two.csv")
    with store.session("churn") as empty:
        pass
    text = run("files", "latest:churn").output
    assert f"session {empty.session_id} has no files" in text
    text = run("files", session.session_id).output
    assert "one.txt" in text and "text/csv" in text
    document = json.loads(run("files", session.session_id, "--json").output)
    assert [row["name"] for row in document] == ["one.txt", "two.csv"]
    folder = tmp_path / "out"
    done = run("files", session.session_id, "two.csv", "-o", str(folder))
    assert f"1 files of {session.session_id} written to" in done.output
    assert [path.name for path in folder.iterdir()] == ["two.csv"]
    refused = run("files", session.session_id, "-o", str(folder), code=1)
    assert "exists" in refused.output and "--force" in refused.output
    assert [path.name for path in folder.iterdir()] == ["two.csv"]
    run("files", session.session_id, "-o", str(folder), "--force")
    assert (folder / "one.txt").read_bytes() == b"one"
    missing = run("files", session.session_id, "three", code=1)
    assert "has no file 'three'; it has: one.txt, two.csv" in missing.output
    shown = run("show", session.session_id).output
    assert "Files (mfprefect files reads them)" in shown


def execute(db: Database, statement: sa.Executable) -> None:
    db.write_transaction(lambda connection, _: connection.execute(statement))


def test_a_name_that_somebody_put_into_the_database_stays_out_of_other_folders(
    store: Store, tmp_path: Path
) -> None:
    with store.session("churn") as session:
        session.log_file(b"one", "one.txt")
    db = store.database
    for table in (db.schema.artifact_chunks, db.schema.artifacts):
        update = table.update().values(artifact_name="file/../../outside.txt")
        execute(db, update)
    done = run("files", session.session_id, "-o", str(tmp_path / "out"), code=1)
    assert "has the character '/'" in done.output
    assert not list(tmp_path.rglob("outside*"))


def test_a_shell_step_logs_files(store: Store, tmp_path: Path) -> None:
    for name in ("a.txt", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    session_id = run("session", "open", "churn").output.strip()
    options = [f"--file={tmp_path / name}" for name in ("a.txt", "b.png")]
    assert "files: 2" in run("session", "log", session_id, *options).output
    run("session", "close", session_id)
    assert store.files(session_id)["name"].tolist() == ["a.txt", "b.png"]
