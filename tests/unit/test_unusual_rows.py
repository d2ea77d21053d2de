"""What no run of ours writes: NUL in ids, numbers at their limit, damaged rows of artifacts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import ArtifactCorrupt, MfprefectError, SealBroken, Session, Store
from mfprefect.errors import DatabaseError
from mfprefect.store.row_numbers import LARGEST

NUL = "a\0b"
READS: dict[str, Callable[[Store], Any]] = {
    "session": lambda store: store.get_sessions(NUL),
    "sessions": lambda store: store.sessions(NUL),
    "metrics": lambda store: store.metrics(NUL),
    "attempts": lambda store: store.attempts(NUL),
    "scores": lambda store: store.scores(NUL),
    "batches": lambda store: list(store.iter_scores(NUL)),
    "latest": lambda store: store.latest_scores("churn", NUL),
    "latest of a model": lambda store: store.latest_scores(NUL, "a"),
    "current": lambda store: store.current_session(NUL),
    "model": lambda store: store.load_model(NUL),
    "production": lambda store: store.production(NUL),
    "thresholds": lambda store: store.thresholds(NUL),
    "report": lambda store: store.report(NUL),
    "verify": lambda store: store.verify(session_id=NUL),
    "audit log": lambda store: store.audit_log(actor=NUL),
    "summary": lambda store: store.score_summary(NUL),
}
WRITES: dict[str, Callable[[Store, Session], Any]] = {
    "model": lambda store, _: store.add_model(NUL),
    "opening": lambda store, _: store.session(NUL),
    "parent": lambda store, _: store.session("churn", parent=NUL),
    "tag": lambda store, _: store.session("churn", tags=[NUL]),
    "promotion": lambda store, _: store.promote("churn", NUL, reason="r"),
    "reason": lambda store, session: store.promote("churn", session.session_id, reason=NUL),
    "deletion": lambda store, _: store.delete_session(NUL),
    "threshold": lambda store, _: store.set_threshold("churn", 0.5, NUL),
    "entity": lambda _, session: session.write_scores(
        pd.DataFrame({"id": [NUL], "score": [0.5]}), "id"
    ),
    "class": lambda _, session: session.write_scores(
        pd.DataFrame({"id": ["a"], "score": [0.5], "class": [NUL]}), "id", score_class="class"
    ),
    "metric": lambda _, session: session.log_metrics({NUL: 0.5}),
    "segment": lambda _, session: session.log_metrics({"auc": 0.5}, segment=NUL),
    "metadata": lambda _, session: session.log_metadata({"a": NUL}),
    "variable": lambda _, session: session.log_input_summary(pd.DataFrame({NUL: [1.0]})),
    "artifact": lambda _, session: session.save_model(b"x", NUL),
}


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url, retry_seconds=5, heartbeat_seconds=600) as opened:
        opened.add_model("churn")
        yield opened


def count_rows(store: Store) -> dict[str, int]:
    tables = store.database.schema.tables
    return {name: len(store.database.fetch_all(sa.select(t))) for name, t in tables.items()}


def test_an_id_with_nul_finds_nothing_and_writes_nothing(store: Store) -> None:
    with store.session("churn") as session:
        for name, read in READS.items():
            try:
                answer = read(store)
            except MfprefectError:
                continue
            assert answer is None or len(answer) == 0, name
        before = count_rows(store)
        for name, write in WRITES.items():
            with pytest.raises(MfprefectError):
                write(store, session)
            assert count_rows(store) == before, name
    assert store.get_sessions(session.session_id)["status"].tolist() == ["succeeded"]


def add_session(store: Store, session: Session, number: int) -> None:
    """Copy a session's row to another number, as somebody could who may write."""
    s = store.database.schema.sessions

    def copy(connection: sa.Connection, _: bool) -> None:
        row = connection.execute(sa.select(s).where(s.c.session_no == session.session_no)).one()
        new = dict(zip(s.c.keys(), row, strict=True))
        new |= {"session_no": number, "session_id": f"added-{number}", "flow_run_seq": number}
        connection.execute(s.insert(), new)

    store.database.write_transaction(copy)


def test_a_row_with_the_largest_number_stops_no_opening(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with store.session("churn") as first:
        pass
    for number in (LARGEST, LARGEST - 1):
        add_session(store, first, number)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with store.session("churn") as session:
                session.write_scores(pd.DataFrame({"id": ["a"], "score": [0.5]}), "id")
            assert len(store.scores(session.session_id)) == 1
    assert session.session_no == first.session_no + 2
    assert f"'added-{LARGEST}' has session_no {LARGEST}" in caplog.text
    assert caplog.text.count("mfprefect audit verify") == 2
    with pytest.raises(SealBroken) as caught:
        store.verify()
    added = {problem.session_id for problem in caught.value.problems}
    assert added == {f"added-{LARGEST}", f"added-{LARGEST - 1}"}


def test_a_trail_that_cannot_go_on_is_named(tmp_path: Any) -> None:
    with mfprefect.connect(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.create_schema()
        store.add_model("churn")
        events = store.database.schema.audit_events
        last = {"event_no": LARGEST}
        store.database.write_transaction(lambda c, _: c.execute(events.update(), last))
        with pytest.raises(DatabaseError, match=f"audit event has the number {LARGEST}.*verify"):
            store.add_model("fraud")


DAMAGES = (
    "DELETE FROM artifact_chunks WHERE chunk_no = 0",
    "UPDATE artifact_chunks SET chunk_no = 7",
    "UPDATE artifact_chunks SET chunk_no = 'first'",
    "UPDATE artifact_chunks SET chunk_bytes = 'text'",
    "UPDATE artifact_chunks SET chunk_bytes = 5",
    "UPDATE artifact_chunks SET chunk_bytes = x''",
    "UPDATE artifact_chunks SET chunk_bytes = x'00'",
    "UPDATE artifact_chunks SET chunk_bytes = NULL",
    "INSERT INTO artifact_chunks SELECT session_no, artifact_name, 1, x'00' FROM artifact_chunks",
    "UPDATE artifacts SET byte_count = -1",
    "UPDATE artifacts SET byte_count = 'many'",
    "UPDATE artifacts SET byte_count = NULL",
    "UPDATE artifacts SET sha256 = 'none'",
    "UPDATE artifacts SET sha256 = NULL",
    "UPDATE artifacts SET artifact_format = x'00'",
    "UPDATE artifacts SET artifact_format = NULL",
    "UPDATE artifacts SET signature = x'00'",
    "UPDATE artifacts SET library_versions = '[]'",
    "UPDATE artifacts SET library_versions = 'python 3'",
    "UPDATE artifacts SET library_versions = NULL",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, str]]:
    """A store whose tables allow NULL, as a file that somebody changed may."""
    path = tmp_path_factory.mktemp("artifacts") / "s.db"
    with mfprefect.connect(f"sqlite:///{path}") as store:
        store.create_schema()
        store.add_model("churn")
        with store.session("churn", "train") as session:
            session.save_model(b"a model of another language")
        engine = store.database.engine
        with engine.begin() as connection:
            for name in ("artifact_chunks", "artifacts"):
                copy = f"CREATE TABLE copied AS SELECT * FROM {name}"  # noqa: S608 - ours
                move = f"ALTER TABLE copied RENAME TO {name}"
                for statement in (copy, f"DROP TABLE {name}", move):
                    connection.exec_driver_sql(statement)
        yield store, session.session_id


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_of_an_artifact_is_named(
    saved: tuple[Store, str], damage: str, tmp_path: Any
) -> None:
    store, name = saved
    with store.database.engine.begin() as connection:
        tables = {
            table: connection.exec_driver_sql(f"SELECT * FROM {table}").all()  # noqa: S608 - ours
            for table in ("artifacts", "artifact_chunks")
        }
        connection.exec_driver_sql(damage)
    try:
        for read in (store.load_model, lambda id_: store.copy_model(id_, tmp_path / "model")):
            with pytest.raises(ArtifactCorrupt, match=f"'model' of session '{name}'"):
                read(name)
    finally:
        with store.database.engine.begin() as connection:
            for table, content in tables.items():
                connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - ours
                marks = ", ".join("?" * len(content[0]))
                into = f"INSERT INTO {table} VALUES ({marks})"  # noqa: S608 - ours
                connection.exec_driver_sql(into, [tuple(row) for row in content])
