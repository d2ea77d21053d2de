"""What the store knows of drift and freshness, on every database."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import mfprefect
from mfprefect import InvalidValue, Store, UnknownSession
from mfprefect.cli import cli
from mfprefect.cli.commands.show import gather
from mfprefect.cli.formats import records
from mfprefect.store.notifications import content
from mfprefect.store.order import previous_success
from mfprefect.store.results.monitoring import published_scorings, stale
from mfprefect.store.results.report import load_session_report
from mfprefect.util import values

DAY = dt.timedelta(days=1)


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url) as store:
        yield store


def run(store: Store, model_id: str, purpose: str = "adhoc", **options: Any) -> str:
    with store.session(model_id, purpose=purpose, **options) as session:
        if purpose == "score":
            session.write_scores(pd.DataFrame({"id": ["a"], "score": [0.5]}), entity_id="id")
    return session.session_id


def move(store: Store, table: str, column: str, by: dt.timedelta, **where: str) -> None:
    """Move a time of some rows, as if it were that much later or earlier."""
    target = store.database.schema.tables[table]
    conditions = [target.c[name] == value for name, value in where.items()]
    statement = target.update().where(*conditions).values({column: values.utc_now() + by})
    store.database.write_transaction(lambda connection, _: connection.execute(statement))


def stage(store: Store, model_id: str, session_id: str, name: str, ago: dt.timedelta) -> None:
    number = int(store.get_sessions(session_id)["session_no"][0])
    row = {
        "model_id": model_id,
        "set_at": values.utc_now() - ago,
        "session_no": number,
        "stage": name,
        "set_by": "somebody",
    }
    statement = store.database.schema.model_stages.insert().values(row)
    store.database.write_transaction(lambda connection, _: connection.execute(statement))


def fresh(store: Store) -> dict[str, Any]:
    frame = store.freshness()
    assert frame.columns.tolist() == [
        "model_id", "last_scored_at", "max_age_seconds", "age_seconds", "stale", "session_id",
    ]  # fmt: skip
    return {row["model_id"]: row for row in frame.to_dict("records")}


def test_scores_grow_stale(store: Store) -> None:
    store.add_model("churn", max_age=7 * DAY)
    store.add_model("nobody_waits")
    scored = run(store, "churn", "score")
    newer = run(store, "churn", "monitor")
    run(store, "nobody_waits", "score")
    row = fresh(store)["churn"]
    assert (row["stale"], row["session_id"], row["max_age_seconds"]) == (False, scored, 604_800)
    assert 0 <= row["age_seconds"] < 600
    assert stale(store.database) == []

    move(store, "sessions", "published_at", -8 * DAY, session_id=scored)
    models = fresh(store)
    assert list(models) == ["churn"]
    row = models["churn"]
    assert (row["stale"], row["session_id"]) == (True, scored)
    assert row["age_seconds"] == pytest.approx(8 * 86_400, abs=600)
    assert row["last_scored_at"] == store.get_sessions(scored)["published_at"][0]
    number = int(store.get_sessions(scored)["session_no"][0])
    assert stale(store.database) == [("churn", number)]
    assert newer != scored

    again = run(store, "churn", "score")
    assert (fresh(store)["churn"]["stale"], fresh(store)["churn"]["session_id"]) == (False, again)
    store.add_model("churn", max_age=dt.timedelta(0))
    assert store.freshness().empty


def test_only_published_scores_keep_a_model_fresh(store: Store) -> None:
    store.add_model("churn", max_age=DAY)
    scored = run(store, "churn", "score")
    move(store, "sessions", "published_at", -2 * DAY, session_id=scored)
    with store.session("churn", purpose="score") as session:
        session.write_scores(pd.DataFrame({"id": ["a"], "score": [0.5]}), entity_id="id")
        session.close(publish=False)
    with pytest.raises(KeyError), store.session("churn", purpose="score"):
        raise KeyError("broken")
    row = fresh(store)["churn"]
    assert (row["stale"], row["session_id"]) == (True, scored)


def test_a_backfill_does_not_refresh_the_scores_that_readers_see(store: Store) -> None:
    store.add_model("churn", max_age=DAY)
    scored = run(store, "churn", "score", as_of="2026-02-28")
    move(store, "sessions", "published_at", -2 * DAY, session_id=scored)
    backfill = run(store, "churn", "score", as_of="2026-01-31")
    row = fresh(store)["churn"]
    assert (row["stale"], row["session_id"]) == (True, scored)
    assert row["last_scored_at"] == store.get_sessions(scored)["published_at"][0]
    waiting = content.session_row(store.database, int(store.show(backfill)["session_no"][0]))
    assert waiting is not None
    said = content.build_notice(store.database, waiting, "stale", "team").cause_text
    assert f"since {row['last_scored_at']:%Y-%m-%d %H:%M} UTC" in said
    again = run(store, "churn", "score", as_of="2026-02-28")
    assert (fresh(store)["churn"]["stale"], fresh(store)["churn"]["session_id"]) == (False, again)


def test_the_session_before_a_scoring_is_that_of_the_day_before(store: Store) -> None:
    store.add_model("churn")
    days = ("2026-01-31", "2026-03-31", "2026-02-28", "2026-03-31")
    scored = [run(store, "churn", "score", as_of=day) for day in days]
    trained = [run(store, "churn", "train", as_of=day) for day in days]

    def before(session_id: str) -> str | None:
        number = int(store.show(session_id)["session_no"][0])
        previous = previous_success(store.database, content.session_row(store.database, number))
        return None if previous is None else str(previous.session_id)

    january, march, february, again = scored
    assert [before(x) for x in scored] == [None, february, january, march]
    # A training follows the one that ran before it, whatever their days.
    assert [before(x) for x in trained] == [None, *trained[:-1]]
    report = load_session_report(store.database, february)
    assert report.previous is not None
    assert report.previous.session["session_id"] == january
    with store.session("churn", "score", as_of="2026-03-01") as running:
        assert before(running.session_id) == february
    assert again == scored[-1]


def test_a_model_that_was_never_scored_ages_from_its_registration(store: Store) -> None:
    store.add_model("new", max_age=DAY)
    move(store, "models", "created_at", -3 * DAY, model_id="new")
    row = fresh(store)["new"]
    assert row["age_seconds"] == pytest.approx(3 * 86_400, abs=600)
    # Nothing runs yet, and there is no session to tell of.
    assert (row["stale"], pd.isna(row["session_id"])) == (False, True)
    run(store, "new", "train")
    newest = run(store, "new", "train")
    row = fresh(store)["new"]
    assert (row["stale"], row["session_id"]) == (True, newest)
    assert pd.isna(row["last_scored_at"])


def test_nobody_waits_for_retired_and_experimental_models(store: Store) -> None:
    for model_id in ("retired", "experiment", "production", "back"):
        store.add_model(model_id, max_age=DAY)
        scored = run(store, model_id, "score")
        move(store, "sessions", "published_at", -2 * DAY, session_id=scored)
        stages = {
            "retired": ["production", "retired"],
            "experiment": ["experimental"],
            "production": ["experimental", "production"],
            "back": ["retired", "production"],
        }[model_id]
        for place, name in enumerate(stages):
            stage(store, model_id, scored, name, (5 - place) * DAY)
    assert list(fresh(store)) == ["back", "production"]
    assert [model_id for model_id, _ in stale(store.database)] == ["back", "production"]


def test_published_scorings_oldest_first(store: Store) -> None:
    store.add_model("churn")
    store.add_model("other")
    trained, retrained = run(store, "churn", "train"), run(store, "churn", "train")
    first = run(store, "churn", "score", parent=trained, as_of="2026-01-31")
    second = run(store, "churn", "score", parent=retrained, as_of="2026-02-28")
    third = run(store, "churn", "score", parent=trained)
    loose = run(store, "churn", "score")
    run(store, "other", "score")
    run(store, "churn", "monitor")
    scorings = published_scorings(store.database, "churn", 10)
    assert [(x.session_id, x.training_session_id, x.first_session_id) for x in scorings] == [
        (first, trained, first),
        (second, retrained, second),
        (third, trained, first),
        (loose, None, loose),
    ]
    assert [x.as_of for x in scorings[:2]] == [dt.date(2026, 1, 31), dt.date(2026, 2, 28)]
    assert scorings[2].as_of == store.get_sessions(third)["started_at"][0].date()
    last = published_scorings(store.database, "churn", 2)
    assert [x.session_id for x in last] == [third, loose]
    # A backfill takes the place of its day, and is nobody's first.
    backfill = run(store, "churn", "score", parent=trained, as_of="2025-12-31")
    scorings = published_scorings(store.database, "churn", 10)
    assert [x.session_id for x in scorings] == [backfill, first, second, third, loose]
    assert scorings[0].first_session_id == scorings[1].first_session_id == first
    until = published_scorings(store.database, "churn", 1, until=dt.date(2026, 2, 27))
    assert [x.session_id for x in until] == [first]


ROWS: list[dict[str, Any]] = [
    {"variable": "age", "measure": "psi", "value": 0.3, "threshold": 0.25, "verdict": "alarm"},
    {"variable": "age", "measure": "null_share", "value": 0, "threshold": 0.1, "verdict": "ok"},
    {"variable": "plan", "measure": "psi", "value": None, "threshold": None, "verdict": "unknown"},
]


def test_drift_is_stored_and_replaced(store: Store) -> None:
    store.add_model("churn")
    trained = run(store, "churn", "train")
    with store.session("churn") as session:
        session.log_drift(ROWS, reference=trained)
        session.flush()
        session.log_drift(pd.DataFrame([ROWS[0] | {"value": 0.5}]))
        session.log_drift([])
    frame = store.drift(session.session_id)
    assert frame.columns.tolist() == [
        "session_id", "variable", "measure", "value", "threshold", "verdict",
        "reference_session_id",
    ]  # fmt: skip
    rows = {(row["variable"], row["measure"]): row for row in frame.to_dict("records")}
    assert rows["age", "psi"]["value"] == 0.5
    assert pd.isna(rows["age", "psi"]["reference_session_id"])
    assert rows["age", "null_share"]["reference_session_id"] == trained
    assert pd.isna(rows["plan", "psi"]["value"])
    assert len(frame) == 3
    assert store.drift(trained).empty
    with pytest.raises(UnknownSession):
        store.drift("nobody")
    with pytest.raises(InvalidValue, match="at least one"):
        store.drift()
    (row,) = records(store.get_sessions(session.session_id))
    shown = gather(store, row)
    assert [row["verdict"] for row in shown["drift"]] == ["alarm", "unknown", "ok"]


def test_drift_is_shown_the_worst_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shown.db'}"
    with mfprefect.connect(url) as store:
        store.create_schema()
        store.add_model("churn")
        trained = run(store, "churn", "train")
        with store.session("churn") as session:
            session.log_drift(ROWS, reference=trained)
    shown = CliRunner().invoke(cli, ["show", session.session_id, "--url", url])
    assert shown.exit_code == 0, shown.output
    lines = shown.output.split("Drift: 1 of 3 measures in alarm")[1].splitlines()
    assert [line.split()[0] for line in lines if " psi " in line] == ["alarm", "unknown"]
    as_json = CliRunner().invoke(cli, ["show", session.session_id, "--url", url, "--json"])
    worst = json.loads(as_json.output)["drift"][0]
    assert worst == ROWS[0] | {"reference_session_id": trained}

    # Hundreds of variables that did not drift hide neither the others nor what follows.
    well = [ROWS[1] | {"variable": f"v{number}"} for number in range(12)]
    for rows in (ROWS + well, well):
        with mfprefect.connect(url) as store, store.session("churn") as session:
            session.log_drift(rows, reference=trained)
        shown = CliRunner().invoke(cli, ["show", session.session_id, "--url", url])
        title = next(line for line in shown.output.splitlines() if line.startswith("Drift: "))
        assert title.endswith(
            f"{sum(row['verdict'] == 'ok' for row in rows)} as expected (--json lists them)"
        )
        assert "v11" not in shown.output
        assert ("unknown  plan" in " ".join(shown.output.split(" "))) == (rows is not well)


def test_drift_that_is_refused(store: Store) -> None:
    store.add_model("churn")
    with store.session("churn") as session:
        with pytest.raises(InvalidValue, match="the verdict 'fine' is not one of ok, warning"):
            session.log_drift([ROWS[0] | {"verdict": "fine"}])
        with pytest.raises(InvalidValue, match="no column 'verdict'"):
            session.log_drift([{k: v for k, v in ROWS[0].items() if k != "verdict"}])
        with pytest.raises(InvalidValue, match="the drift is inf"):
            session.log_drift([ROWS[0] | {"value": float("inf")}])
        with pytest.raises(UnknownSession):
            session.log_drift(ROWS, reference="nobody")
    assert store.drift(session.session_id).empty


def test_performance_is_stored_under_its_segment(store: Store) -> None:
    store.add_model("churn")
    with store.session("churn") as session:
        session.log_performance([0, 1, 1], [0.1, 0.2, 0.9], segment="region=north")
        metrics = session.log_performance([1.0, 2.0], [2.0, 3.0], model_type="regression")
    assert metrics["bias"] == 1
    frame = store.metrics(session.session_id).set_index(["metric_name", "segment"])
    assert frame.loc[("auc", "region=north"), "value"] == 1
    assert frame.loc[("rmse", ""), "value"] == 1
    assert frame.loc[("rmse", ""), "definition_version"] == 1
