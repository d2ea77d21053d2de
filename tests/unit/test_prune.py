from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Store
from mfprefect.cli import cli
from mfprefect.store.retention.archive import archive_session
from mfprefect.store.retention.archive_files import check_archive
from mfprefect.store.retention.delete import delete_session
from mfprefect.testing.contract.helpers import fill, orphans


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url) as opened:
        opened.add_model("churn")
        yield opened


def session_of(store: Store, days: float, purpose: str = "score", **options: Any) -> str:
    """Run a session that fills every table, and make it so many days old."""
    with store.session("churn", purpose=purpose, **options) as session:
        fill(session)
    age(store, session.session_id, days)
    return session.session_id


def age(store: Store, name: str, days: float, **changes: Any) -> None:
    s = store.database.schema.sessions
    row = {"ended_at": dt.datetime.now(dt.UTC) - dt.timedelta(days=days), **changes}
    store.database.write_transaction(
        lambda c, _: c.execute(s.update().where(s.c.session_id == name), row)
    )


def stage(store: Store, name: str, stage: str, days: float) -> None:
    row = {
        "model_id": "churn",
        "session_no": int(store.show(name)["session_no"][0]),
        "stage": stage,
        "set_at": dt.datetime.now(dt.UTC) - dt.timedelta(days=days),
        "set_by": "ann",
    }
    table = store.database.schema.model_stages
    store.database.write_transaction(lambda c, _: c.execute(table.insert(), row))


def events(store: Store) -> list[tuple[str, str, dict[str, Any]]]:
    e = store.database.schema.audit_events.c
    rows = store.database.fetch_all(sa.select(e.action, e.subject, e.detail).order_by(e.event_no))
    return [(row.action, row.subject, json.loads(row.detail)) for row in rows]


def test_what_is_old_is_archived_and_goes_and_what_is_needed_stays(
    store: Store, tmp_path: Path
) -> None:
    unused = session_of(store, 100, "train")
    trained = session_of(store, 99, "train")
    promoted = session_of(store, 98, "train")
    stage(store, promoted, "production", 97)
    old = session_of(store, 90, parent=unused)
    child = session_of(store, 20, parent=trained)
    failed = session_of(store, 10)
    age(store, failed, 10, status="failed", published_at=None)
    newest = session_of(store, 1, "train")
    running = store.session("churn")

    before = {name: read(store, name) for name in (unused, old)}
    shown = {name: store.show(name).iloc[0] for name in (unused, old)}
    limits: dict[str, Any] = {"keep_days": 30, "failed_days": 7, "archive_to": tmp_path / "kept"}
    planned = store.prune(**limits, dry_run=True).set_index("session_id")
    with pytest.raises(mfprefect.ConfigurationError, match="mount"):
        store.prune(**limits)
    assert not (tmp_path / "kept").exists()
    assert len(store.sessions()) == 8
    (tmp_path / "kept").mkdir()
    pruned = store.prune(**limits).set_index("session_id")
    pd.testing.assert_frame_equal(pruned.drop(columns="archived"), planned.drop(columns="archived"))
    assert pruned["verdict"].to_dict() == {
        running.session_id: "keep",
        newest: "keep",
        failed: "delete",
        child: "keep",
        old: "delete",
        promoted: "keep",
        trained: "keep",
        unused: "delete",
    }
    assert pruned["reason"][promoted] == "in production"
    assert pruned["reason"][trained] == f"needed by {child}"
    stay = {running.session_id, newest, child, promoted, trained}
    assert set(store.sessions()["session_id"]) == stay
    running.close()
    assert orphans(store) == {}
    deletions = {subject: detail for action, subject, detail in events(store) if "delete" in action}
    assert set(deletions) == {unused, old, failed}
    for name, tables in before.items():
        folder = tmp_path / "kept" / "churn" / name
        assert deletions[name]["archive"] == pruned["archived"][name] == str(folder)
        assert deletions[name]["retention"] == "succeeded, older than keep_days = 30"
        check(folder, tables)
    assert not (tmp_path / "kept" / "churn" / failed / "scores.parquet").exists()
    assert store.prune(**limits)["verdict"].eq("keep").all()

    for name in (unused, old):
        rows = shown[name]
        assert store.restore(tmp_path / "kept" / "churn" / name) == name
        assert read(store, name) == before[name]
        pd.testing.assert_series_equal(store.show(name).iloc[0], rows)
    assert store.restore(tmp_path / "kept" / "churn" / failed) == failed
    assert store.show(failed)["status"].tolist() == ["failed"]
    assert store.score_parts(failed).empty  # a retry must not take them for complete
    assert store.load_model(unused) == b"a model of another language"
    with pytest.raises(mfprefect.InvalidValue, match="exists"):
        store.restore(tmp_path / "kept" / "churn" / old)
    assert orphans(store) == {}


TABLES = ["metrics", "session_metadata", "gate_results", "inputs", "input_summary", "check_results"]
TABLES += [
    "session_params",
    "metric_steps",
    "variable_importance",
    "test_curve",
    "backtests",
    "artifacts",
    "score_parts",
]


def read(store: Store, name: str) -> dict[str, list[dict[str, Any]]]:
    number = int(store.show(name)["session_no"][0])
    tables = store.database.schema.tables
    contents = {}
    for table_name in [*TABLES, "scores", "artifact_chunks"]:
        table = tables[table_name]
        columns = [c for c in table.c if c.key != "session_no"]
        select = sa.select(*columns).where(table.c.session_no == number)
        rows = store.database.fetch_all(select.order_by(*table.primary_key.columns))
        contents[table_name] = [
            dict(zip([c.key for c in columns], row, strict=True)) for row in rows
        ]
    return contents


def check(folder: Path, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Hold an archive against what was in the database, by what the documentation says of it."""
    head = json.loads((folder / "session.json").read_bytes())
    assert head["format"] == "mfprefect archive 1"
    assert head["session"]["session_id"] == folder.name
    assert {name: table["rows"] for name, table in head["tables"].items()} == {
        name: len(rows) for name, rows in tables.items()
    }
    for name, rows in tables.items():
        assert rows
        assert pq.read_table(folder / f"{name}.parquet").to_pylist() == rows


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_stages_rollback_and_retirement(store: Store) -> None:
    names = [session_of(store, 100 - n, "train") for n in range(4)]
    for number, name in enumerate(names[:3]):
        stage(store, name, "production", 90 - 30 * number)
    assert store.prune(keep_days=30)["verdict"].eq("keep").all()
    with pytest.raises(mfprefect.InvalidValue, match="in production"):  # promoted a moment ago
        delete_session(store.database, names[2], with_stages=True)
    pruned = store.prune(keep_days=30, retired_days=50).set_index("session_id")
    assert pruned["verdict"].tolist() == ["keep", "keep", "keep", "delete"]
    assert "rollback" in pruned["reason"][names[1]]
    action, subject, detail = events(store)[-1]
    assert (action, subject) == ("delete_session", names[0])
    assert [row["stage"] for row in detail["stages"]] == ["production"]
    stage(store, names[2], "retired", 10)
    assert store.prune(keep_days=5, retired_days=11)["verdict"].tolist() == ["keep"] * 2 + [
        "delete"
    ]
    assert store.prune(keep_days=5, retired_days=9)["verdict"].tolist() == ["keep", "delete"]
    assert orphans(store) == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_sessions_that_drift_was_measured_against_stay(store: Store) -> None:
    first, _, last = (session_of(store, days) for days in (90, 80, 1))
    with store.session("churn", purpose="monitor") as monitor:
        drift = {"variable": "age", "measure": "psi", "value": 0.1, "threshold": 0.2}
        monitor.log_drift([drift | {"verdict": "ok"}], reference=first)
    assert set(store.prune(keep_days=30).query("verdict == 'keep'")["session_id"]) == {
        first,
        last,
        monitor.session_id,
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_scores_alone_go_and_are_archived(store: Store, tmp_path: Path) -> None:
    old, new = session_of(store, 90), session_of(store, 1)
    shadow = store.session("churn", purpose="score")
    fill(shadow)
    shadow.close(publish=False)
    age(store, shadow.session_id, 0.5)
    pruned = store.prune(scores_days=30, archive_to=tmp_path)
    assert pruned["verdict"].tolist() == ["keep", "keep", "delete scores"]
    assert (len(store.scores(new)), len(store.scores(old))) == (2, 0)
    assert len(store.metrics(old)) == len(store.metrics(new))
    metadata = store.metadata(old)
    note = json.loads(metadata["value"][metadata["meta_name"] == "scores_deleted"].item())
    assert note["archive"] == str(tmp_path / "churn" / old)
    assert pq.read_table(tmp_path / "churn" / old / "scores.parquet").num_rows == 2
    assert store.prune(scores_days=30)["verdict"].eq("keep").all()
    # The archive of its scores is still there when the session goes.
    pruned = store.prune(keep_days=30, archive_to=tmp_path)
    assert pruned["verdict"].tolist() == ["keep", "keep", "delete"]
    assert pq.read_table(tmp_path / "churn" / old / "scores.parquet").num_rows == 2
    # Scores in the shadow are scores as well, once they are not the newest.
    age(store, shadow.session_id, 40)
    session_of(store, 0)
    pruned = store.prune(scores_days=30, archive_to=tmp_path).set_index("session_id")
    assert pruned["verdict"][shadow.session_id] == "delete scores"
    archived = pq.read_table(tmp_path / "churn" / shadow.session_id / "scores.parquet")
    assert archived["score"].to_pylist() == [0.1, 0.2]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_goes_whose_archive_is_not_sound(store: Store, tmp_path: Path) -> None:
    old, _ = session_of(store, 90), session_of(store, 1)
    (tmp_path / "churn").touch()  # where the model's folder should be
    with pytest.raises(OSError):
        store.prune(keep_days=30, archive_to=tmp_path)
    (tmp_path / "churn").unlink()
    scores = store.database.schema.scores
    tampered = scores.update().where(scores.c.entity_id == "a").values(score=0.7)
    store.database.write_transaction(lambda c, _: c.execute(tampered))
    with pytest.raises(mfprefect.ArtifactCorrupt, match="part 1"):
        store.prune(keep_days=30, archive_to=tmp_path)
    assert list((tmp_path / "churn").iterdir()) == []
    store.database.write_transaction(lambda c, _: c.execute(tampered.values(score=0.1)))
    only_archived = store.prune(keep_days=30, archive_to=tmp_path, only=[])
    assert only_archived["verdict"].eq("keep").all()
    assert old in set(store.sessions()["session_id"])
    # As if a run had been killed between the archive and the deletion.
    folder, _ = archive_session(store.database, old, tmp_path)
    written = (folder / "session.json").stat()
    store.prune(keep_days=30, archive_to=tmp_path)
    assert old not in set(store.sessions()["session_id"])
    assert (folder / "session.json").stat() == written
    assert folder == tmp_path / "churn" / old
    assert check_archive(folder)["session"]["session_id"] == old
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[:-20] + b"X" + content[-19:])
        with pytest.raises(mfprefect.ArtifactCorrupt):
            check_archive(folder)
        path.write_bytes(content)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_shows_asks_and_deletes(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, new = session_of(store, 90), session_of(store, 1)
    monkeypatch.setenv("MFPREFECT_RETENTION__KEEP_DAYS", "30")
    monkeypatch.setenv("MFPREFECT_RETENTION__ARCHIVE_TO", str(tmp_path))

    def prune(*options: str) -> Any:
        return CliRunner().invoke(cli, ["prune", "--url", database_url, *options])

    shown = prune("--dry-run")
    assert shown.exit_code == 0, shown.output
    assert old in shown.stdout
    assert new not in shown.stdout
    assert "older than keep_days = 30" in shown.stdout
    assert "among the newest of purpose score" in shown.stdout
    assert prune("--dry-run", "--keep-days", "100").stdout.count(old) == 0
    refused = prune()
    assert (refused.exit_code, "--yes" in refused.output) == (2, True)
    assert len(store.sessions()) == 2
    done = prune("--yes", "--json")
    document = json.loads(done.stdout)
    assert [row["session_id"] for row in document["going"]] == [old]
    assert document["going"][0]["archived"] == str(tmp_path / "churn" / old)
    staying = [{"reason": "among the newest of purpose score", "sessions": 1, "scores": 2}]
    assert document["staying"] == staying
    assert store.sessions()["session_id"].tolist() == [new]
    assert "nothing to delete" in prune("--yes").output
    options = ["restore", str(tmp_path / "churn" / old), "--json", "--url", database_url]
    assert json.loads(CliRunner().invoke(cli, options).stdout)["session_id"] == old
    assert len(store.scores(old)) == 2
