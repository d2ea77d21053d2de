"""Rows under the number of no session: named, recorded, and inherited by none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

import mfprefect
from mfprefect import SealBroken, Store
from mfprefect.store.retention.archive import archive_session
from mfprefect.store.retention.restore import restore_session
from mfprefect.testing.contract.helpers import fill


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url, spool = f"sqlite:///{tmp_path / 'x.db'}", str(tmp_path / "spool")
    with mfprefect.connect(url, spool=spool) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened
        opened.verify()


def plant(tmp_path: Path, *statements: str) -> None:
    """Execute statements as somebody who does not use the library: no foreign keys, any type."""
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


SCORE = "INSERT INTO scores (session_no, entity_id, score, part_no) VALUES ({}, 'ghost', 0.9, 1)"
ODD = "INSERT INTO scores (session_no, entity_id, score, part_no) VALUES ({}, x'ff', 'many', 'x')"
METRIC = "INSERT INTO metrics VALUES ({}, 'auc', '', 0.99, 1)"
CHUNK = "INSERT INTO artifact_chunks VALUES ({}, 'model', 0, x'00ff')"
NOTICE = "INSERT INTO notifications VALUES ({}, 1, 'failed', 'ops', 'never', 1, NULL)"
PLANTED = (SCORE, ODD, METRIC, CHUNK, NOTICE)
TABLES = {"scores": 2, "metrics": 1, "artifact_chunks": 1, "notifications": 1}


def removed(store: Store) -> dict[str, int]:
    (event,) = store.audit_log(action="remove_orphans").to_dict("records")
    return {name: entry["rows"] for name, entry in event["detail"]["tables"].items()}


def test_verify_names_them_whatever_they_are(store: Store, tmp_path: Path) -> None:
    numbers = (-1, 7, 2**31 - 1)
    plant(tmp_path, *(text.format(number) for text in PLANTED for number in numbers))
    with pytest.raises(SealBroken) as broken:
        store.verify()
    problems = broken.value.problems
    ill_typed = [(p.key, p.columns) for p in problems if p.what == "ill-typed"]
    odd = [(("\\xff",), (cell,)) for cell in ("entity_id", "score", "part_no")]
    assert ill_typed == 3 * odd + 3 * [((1,), ("sent_at",))]
    named = [(str(p.table), p.key[0]) for p in problems if p.what != "ill-typed"]
    assert sorted(named) == sorted((table, number) for table in TABLES for number in numbers)
    with store.session("churn"):  # its number has none
        pass
    assert store.audit_log(action="remove_orphans").empty
    others = "DELETE FROM {} WHERE session_no <> 1"
    plant(tmp_path, *(others.format(table) for table in TABLES))


def test_a_session_from_the_spool_does_not_inherit_them(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with mfprefect.connect(
            store.database.settings.url.get_secret_value(),
            spool=str(tmp_path / "spool"),
            retry_seconds=0,
            connect_timeout=0.1,
        ) as away:
            session = away.session("churn", purpose="score")
            session.write_scores(pd.DataFrame({"id": ["a"], "score": [0.1]}), "id")
            session.close()
        holder.execute("ROLLBACK")
    plant(tmp_path, *(text.format(1) for text in PLANTED))
    assert store.push_spool()["status"].tolist() == ["succeeded"]
    assert store.scores(session.session_id)["entity_id"].tolist() == ["a"]
    assert removed(store) == TABLES


def test_a_restored_session_does_not_inherit_them(store: Store, tmp_path: Path) -> None:
    with store.session("churn", purpose="score") as session:
        fill(session)
    archive, _ = archive_session(store.database, session.session_id, tmp_path / "archive")
    store.delete_session(session.session_id)
    plant(tmp_path, *(text.format(session.session_no) for text in PLANTED))
    restore_session(store.database, archive)
    assert store.scores(session.session_id)["entity_id"].tolist() == ["a", "b"]
    assert removed(store) == TABLES


def test_the_record_says_what_the_rows_were(store: Store, tmp_path: Path) -> None:
    digests = []
    for value in (0.9, 0.9, 0.8):
        with store.session("churn") as last:
            pass
        plant(tmp_path, SCORE.format(last.session_no + 1).replace("0.9", str(value)))
        with store.session("churn"):
            pass
        detail = store.audit_log(action="remove_orphans")["detail"][0]
        digests.append(detail["tables"]["scores"]["sha256"])
    assert digests[0] == digests[1] != digests[2]


def test_many_rows_are_read_page_by_page(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = set()
    for page in (2, 3, 10_000):
        monkeypatch.setattr("mfprefect.store.audit.orphans.PAGE", page)
        with store.session("churn") as last:
            pass
        ghosts = (SCORE.replace("ghost", name) for name in "abcdef")
        plant(tmp_path, *(text.format(last.session_no + 1) for text in ghosts))
        with store.session("churn"):
            pass
        entry = store.audit_log(action="remove_orphans")["detail"][0]["tables"]["scores"]
        assert entry["rows"] == 6
        digests.add(entry["sha256"])
    assert len(digests) == 1


@pytest.mark.parametrize("highest", [2**31 - 1, 2**31 - 2])
def test_a_session_below_the_largest_number_does_not_inherit_them(
    store: Store, tmp_path: Path, highest: int
) -> None:
    with store.session("churn") as first:
        pass
    copy = "CREATE TEMP TABLE copied AS SELECT * FROM sessions"
    change = "UPDATE copied SET session_no = {}, session_id = 'added', seal = NULL"
    number = 2 if highest == 2**31 - 1 else highest + 1
    planted = (text.format(number) for text in PLANTED)
    add = "INSERT INTO sessions SELECT * FROM copied"
    plant(tmp_path, copy, change.format(highest), add, *planted)
    with store.session("churn") as second:
        pass
    assert (first.session_no, second.session_no) == (1, number)
    assert removed(store) == TABLES
    plant(tmp_path, "DELETE FROM sessions WHERE session_id = 'added'")
