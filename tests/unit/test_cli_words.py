"""What commands share: names of sessions, `-o`, `--since`; stages; what `show` says first."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import mfprefect
from mfprefect import AlreadyPromoted, Gate, GateFailed, InvalidValue
from mfprefect.cli import cli
from mfprefect.cli.segments import folded
from mfprefect.cli.sql_text import is_sql, sql_lines
from mfprefect.store.results.frames import sessions_frame
from mfprefect.testing.contract.stages import events, trained
from mfprefect.util import values

SCORES = pd.DataFrame({"id": ["a", "b"], "score": [0.1, 0.9]})


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with mfprefect.connect(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened


@pytest.fixture
def run(store: mfprefect.Store) -> Any:
    url = store.database.settings.url.get_secret_value()

    def run(*args: str, code: int = 0) -> Result:
        done = CliRunner().invoke(cli, args, env={"MFPREFECT_URL": url, "COLUMNS": "300"})
        assert done.exit_code == code, done.output
        return done

    return run


def with_model(store: mfprefect.Store, model_id: str = "churn") -> str:
    with store.session(model_id, "train") as session:
        session.log_metrics({"auc": 0.9})
        session.log_gates([Gate("auc", at_least=0.8)])
        session.save_model(b"a model")
    return session.session_id


def scored(store: mfprefect.Store) -> str:
    with store.session("churn", "score") as session:
        session.write_scores(SCORES, "id")
    return session.session_id


def test_every_command_takes_the_same_words(
    run: Any, store: mfprefect.Store, tmp_path: Path
) -> None:
    first = with_model(store)
    second = with_model(store)
    run("promote", "churn", first)
    scoring = scored(store)

    def session_of(*args: str) -> str:
        return str(json.loads(run(*args, "--json").stdout)["session"]["session_id"])

    assert session_of("show", "production:churn") == first
    assert session_of("show", "latest:churn") == scoring
    compared = json.loads(run("compare", "production:churn", second, "--json").stdout)
    assert (compared["a"], compared["b"]) == (first, second)
    page = tmp_path / "page.html"
    run("report", "production:churn", "-o", str(page))
    assert first in page.read_text()
    model = json.loads(
        run("session", "model", "production:churn", "-o", str(tmp_path / "m"), "--json").stdout
    )
    assert model["session_id"] == first
    assert first in run("audit", "log", "--session", "production:churn").stdout
    assert "1 sealed" in run("audit", "verify", "--session", "production:churn").stdout
    assert run("audit", "log", "--session", "deleted-long-ago").stdout == ""
    for nothing in ("production:nobody", "latest:nobody"):
        assert "unknown model 'nobody'" in run("show", nothing, code=1).stderr
    store.add_model("fraud")
    error = run("show", "production:fraud", code=1).stderr
    assert "model 'fraud' has nothing in production" in error
    assert "unknown session 'production'" in run("show", "production", code=1).stderr


def test_a_script_names_sessions_by_the_same_words(run: Any, store: mfprefect.Store) -> None:
    trained_id = with_model(store)
    store.promote("churn", trained_id)
    for word in ("production:churn", "latest", "latest:churn"):
        opened = run("session", "open", "churn", "--parent", word).stdout.strip()
        run("session", "log", "latest:churn", "--metric", "auc=0.7")
        run("session", "close", "latest:churn")
        (row,) = store.get_sessions(opened).to_dict("records")
        assert (row["status"], row["parent_session_id"]) == ("succeeded", trained_id)
        assert store.metrics(opened)["value"].tolist() == [0.7]
    # The rules for commands of a run hold by whatever name they call its session.
    running = store.session("churn")
    env = {"MFPREFECT_SESSION_ID": running.session_id, "MFPREFECT_ATTEMPT": "1"}
    url = store.database.settings.url.get_secret_value()
    words = ["session", "close", "latest", "--url", url]
    done = CliRunner().invoke(cli, words, env=env)
    assert done.exit_code == 2
    assert "the run that started this command ends session" in done.stderr
    running.close()


def test_the_latest_to_promote_is_a_training(run: Any, store: mfprefect.Store) -> None:
    assert "no successful training" in run("promote", "churn", "latest", code=1).stderr
    first = with_model(store)
    scored(store)
    assert first in run("promote", "churn", "latest:churn").stdout
    second = with_model(store)
    scored(store)
    assert json.loads(run("promote", "churn", "latest", "--json").stdout)[0]["session_id"] == second
    store.add_model("fraud")
    other = with_model(store, "fraud")
    error = run("promote", "churn", "latest:fraud", code=1).stderr
    assert f"session {other!r} cannot be promoted: it is a succeeded train session of" in error
    assert "unknown model 'x'" in run("promote", "churn", "latest:x", code=1).stderr


def test_what_is_in_production_is_not_promoted_again(run: Any, store: mfprefect.Store) -> None:
    first, second = with_model(store), with_model(store)
    store.promote("churn", first, reason="good")
    (row,) = store.stages("churn").to_dict("records")
    before = events(store, "promote")
    with pytest.raises(AlreadyPromoted) as refused:
        store.promote("churn", first, override="I insist")
    assert isinstance(refused.value, InvalidValue)
    assert (refused.value.session_id, refused.value.since, refused.value.by) == (
        first, row["set_at"].to_pydatetime(), row["set_by"],
    )  # fmt: skip
    error = run("promote", "churn", first, code=1).stderr
    assert f"session {first!r} is already in production for model 'churn'" in error
    assert f"{row['set_at']:%Y-%m-%d %H:%M:%S} UTC, set by {row['set_by']}" in error
    assert (len(store.stages("churn")), events(store, "promote")) == (1, before)
    # What was there before may come back.
    store.promote("churn", second)
    store.promote("churn", first)
    store.retire("churn")
    store.promote("churn", first)
    assert store.production("churn") == first
    store.add_model("pilot")
    trial = with_model(store, "pilot")
    store.promote("pilot", trial, stage="experimental")
    with pytest.raises(AlreadyPromoted, match="already experimental"):
        store.promote("pilot", trial, stage="experimental")
    store.promote("pilot", trial)


def test_stages_and_retire(run: Any, store: mfprefect.Store) -> None:
    assert "never in production" in run("stages", "churn").stderr
    assert json.loads(run("stages", "churn", "--json").stdout) == []
    assert "it was never promoted" in run("retire", "churn", code=1).stderr
    first, second = with_model(store), trained(store, gates=None)
    run("promote", "churn", first, "--reason", "the first")
    run("promote", "churn", second, "--override", "the board")
    assert "retired" in run("retire", "churn", "--reason", "no longer sold").stdout
    assert store.production("churn") is None
    rows = json.loads(run("stages", "churn", "--json").stdout)
    assert [(row["stage"], row["session_id"], row["reason"]) for row in rows] == [
        ("retired", second, "no longer sold"),
        ("production", second, None),
        ("production", first, "the first"),
    ]
    assert rows[0]["until"] is None
    assert rows[1]["override"] == "the board"
    assert rows[2]["gates"][0]["verdict"] == "passed"
    assert rows[2]["set_by"]
    text = run("stages", "churn").stdout
    assert "1 of 1 passed" in text
    error = run("retire", "churn", code=1).stderr
    assert f"its session {second!r} is retired since" in error
    assert events(store, "retire") == [{"session": second, "reason": "no longer sold"}]
    # A rollback restores what was retired, then goes on as before.
    run("rollback", "churn")
    assert store.production("churn") == second
    run("rollback", "churn")
    assert store.production("churn") == first
    assert "is the first" in run("rollback", "churn", code=1).stderr
    assert "unknown model" in run("stages", "nobody", code=1).stderr
    assert "unknown model" in run("retire", "nobody", code=1).stderr


def test_sessions_are_selected_and_sorted(run: Any, store: mfprefect.Store) -> None:
    training = with_model(store)
    long = store.session("churn", "adhoc")
    scoring = scored(store)
    long.close()
    running = store.session("churn", "adhoc")

    def ids(*args: str) -> list[str]:
        rows = json.loads(run("sessions", *args, "--json").stdout)
        return [row["session_id"] for row in rows]

    assert ids("--purpose", "train") == [training]
    assert ids("churn", "--purpose", "score", "--status", "succeeded") == [scoring]
    assert ids() == [running.session_id, scoring, long.session_id, training]
    assert ids("--sort", "ended") == [running.session_id, long.session_id, scoring, training]
    running.close()
    assert ids("--since", "1d", "--limit", "1") == [running.session_id]
    tomorrow = values.utc_now().date() + dt.timedelta(days=1)
    assert ids("--since", str(tomorrow)) == []
    assert "no such sessions" in run("sessions", "--since", str(tomorrow)).stderr
    for wrong in ("yesterday", "7 weeks", "-1d", "2026-13-01"):
        assert "is no date" in run("sessions", "--since", wrong, code=2).stderr
        assert "is no date" in run("audit", "log", "--since", wrong, code=2).stderr
    with pytest.raises(InvalidValue, match="purpose 'fit' is not one of"):
        store.sessions(purpose="fit")
    with pytest.raises(InvalidValue, match="order 'best' is not one of started, ended"):
        store.sessions(sort="best")
    with pytest.raises(InvalidValue, match="no time zone"):
        store.sessions(since=dt.datetime(2026, 1, 1))
    assert len(sessions_frame(store.database, since="1h")) == 4


def test_one_option_says_where_to_write(run: Any, store: mfprefect.Store, tmp_path: Path) -> None:
    training = with_model(store)
    name = scored(store)
    calls: list[tuple[str, ...]] = [
        ("scores", name),
        ("report", name),
        ("session", "model", training),
    ]
    for command in calls:
        written = []
        for option in ("-o", "--output", "--to"):
            file = tmp_path / f"{command[0]}{option}.csv"
            run(*command, option, str(file))
            written.append(len(file.read_bytes()))
        assert len(set(written)) == 1
    for command in (*(call[:-1] for call in calls), ("export",)):
        text = run(*command, "--help").stdout
        assert "-o, --output" in text
        assert "--to" not in text
    assert "--to" not in run("export", name, code=2).stderr


def test_a_file_that_is_read_only_has_no_roles(store: mfprefect.Store, tmp_path: Path) -> None:
    url = f"sqlite:///file:{tmp_path / 'store.db'}?mode=ro&uri=true"
    with mfprefect.connect(url, spool="off", retry_seconds=0) as opened:
        assert opened.sessions().empty
        with pytest.raises(mfprefect.PermissionDenied, match="permissions") as refused:
            opened.add_model("fraud")
    assert "role" not in str(refused.value)


def first_section(text: str) -> dict[str, str]:
    """Return the verdict at the start of what `show` writes."""
    section = text.split("\n\n")[0].splitlines()[1:]
    return dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in section)


def test_show_starts_with_the_verdict_on_a_training(run: Any, store: mfprefect.Store) -> None:
    name = with_model(store)
    said = first_section(run("show", name).stdout)
    assert list(said) == ["what happened", "can it be used", "what to do"]
    assert said["what happened"].startswith("Training succeeded on 20")
    assert said["what happened"].endswith("; 1 of 1 gates passed")
    assert said["can it be used"] == "yes: it passed its gates"
    assert f"`mfprefect promote churn {name}`" in said["what to do"]
    store.promote("churn", name)
    said = first_section(run("show", name).stdout)
    assert said["can it be used"].startswith("yes: it is in production since 20")
    assert said["what to do"] == "nothing"
    document = json.loads(run("show", name, "--json").stdout)
    assert document["verdict"]["next"] == "nothing"
    assert document["stage"]["stage"] == "production"
    assert document["hidden"] == []
    unjudged = trained(store, gates=None)
    said = first_section(run("show", unjudged).stdout)
    assert "no gate judged it" in said["can it be used"]
    assert "--override REASON" in said["what to do"]
    with pytest.raises(GateFailed), store.session("churn", "train") as failed:
        failed.log_metrics({"auc": 0.5})
        failed.log_gates([Gate("auc", at_least=0.8)])
    said = first_section(run("show", failed.session_id).stdout)
    assert "Training failed on 20" in said["what happened"]
    assert "GateFailed" in said["what happened"]
    assert said["can it be used"] == "no: it did not pass its gates"
    store.promote("churn", failed.session_id, override="the board")
    said = first_section(run("show", failed.session_id).stdout)
    assert said["can it be used"].startswith("yes: it is in production since 20")
    said = first_section(run("show", name).stdout)
    assert said["can it be used"].startswith("yes: it passed its gates; it was in stage production")
    store.retire("churn")
    said = first_section(run("show", failed.session_id).stdout)
    assert said["can it be used"].startswith("no: its model is retired since 20")
    assert said["what to do"].startswith("`mfprefect rollback churn`")


def test_show_starts_with_the_verdict_on_other_runs(run: Any, store: mfprefect.Store) -> None:
    name = scored(store)
    said = first_section(run("show", name).stdout)
    assert said["can it be used"].startswith("yes: readers see its 2 scores since 20")
    store.delete_scores(name)
    assert (
        first_section(run("show", name).stdout)["can it be used"] == "no: its scores were deleted"
    )
    with pytest.raises(KeyError), store.session("churn", "score") as broken:
        raise KeyError("no such column")
    said = first_section(run("show", broken.session_id).stdout)
    assert "KeyError" in said["what happened"]
    assert said["can it be used"] == "no: none of its scores can be seen"
    assert "run it again" in said["what to do"]
    running = store.session("churn", "monitor")
    said = first_section(run("show", running.session_id).stdout)
    assert said["what happened"].startswith("Monitoring is running since 20")
    assert said["can it be used"] == "not yet"
    running.close()
    said = first_section(run("show", running.session_id).stdout)
    assert said["can it be used"] == "yes: no drift measure is in alarm"


def test_segments_are_folded(run: Any, store: mfprefect.Store) -> None:
    with store.session("churn", "train") as session:
        session.log_metrics({"auc": 0.8, "n": 90})
        for place, auc in (("north", 0.7), ("south", 0.9), ("east", 0.8)):
            session.log_metrics({"auc": auc, "n": 30}, segment=f"region={place}")
        session.log_metrics({"auc": 0.6}, segment="new")
    text = run("show", "latest").stdout
    block = text[text.index("Segments (") :].split("\n\n")[0]
    assert [line.split() for line in block.splitlines()[2:]] == [
        ["new", "1", "auc", "0.6", "new", "0.6", "new"],
        ["region", "3", "auc", "0.7", "north", "0.9", "south"],
    ]
    assert "region=east" not in text
    assert "region=east" in run("show", "latest", "--segments").stdout
    metrics = json.loads(run("show", "latest", "--json").stdout)["metrics"]
    assert len(metrics) == 9
    assert folded([]) == []


QUERY = (
    "with c as (select id from x where a = 1 and b = 2) select c.id, o.total, 'from  here' as note "
    "from c left join orders o on o.id = c.id and o.kind = 'a' where o.day between :a and :b "
    "and o.total > 0 group by c.id order by c.id"
)


def test_sql_is_written_in_lines(run: Any, store: mfprefect.Store) -> None:
    assert sql_lines(QUERY) == [
        "with c as (select id from x where a = 1 and b = 2)",
        "select c.id, o.total, 'from  here' as note",
        "from c",
        "left join orders o on o.id = c.id",
        "  and o.kind = 'a'",
        "where o.day between :a and :b",
        "  and o.total > 0",
        "group by c.id",
        "order by c.id",
    ]
    broken = "\n    select a,\n           b  -- both\n    from t\n"
    assert sql_lines(broken) == ["select a,", "       b  -- both", "from t"]
    assert is_sql(QUERY)
    assert not is_sql("warehouse/customers.parquet")
    assert not is_sql("selections.csv")
    with store.session("churn") as session:
        session.log_input("crm", query=QUERY, rows=3, columns={"id": "int"})
        session.log_input("file", query="customers.parquet", rows=3, columns={"id": "int"})
    text = run("show", "latest").stdout
    assert "  SQL of crm\n    with c as (" in text
    assert "customers.parquet" in text
    assert max(len(line) for line in text.splitlines() if "SHA" not in line) < 300
    inputs = json.loads(run("show", "latest", "--json").stdout)["inputs"]
    assert inputs[0]["query"] == QUERY


@given(
    st.lists(
        st.sampled_from(
            [
                "select",
                "a",
                "from",
                "(",
                ")",
                "and",
                "'x y'",
                '"q ""r"',
                ",",
                "between",
                "1",
                "x" * 60,
            ]
        ),
        max_size=60,
    ),
    st.integers(20, 120),
)
def test_lines_of_sql_hold_the_same_words(words: list[str], width: int) -> None:
    text = " ".join(words)
    lines = sql_lines(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert len(line) <= width or len(line.split(maxsplit=1)) == 1 or "'" in line or '"' in line
