"""Models whose training and scoring are commands, on a real Prefect server."""

from __future__ import annotations

import datetime as dt
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from sklearn.metrics import roc_auc_score

import mfprefect
from mfprefect import CommandModel, Gate, Store
from mfprefect.util.processes import find_process
from mfprefect.util.values import utc_now

HERE = Path(__file__).parent
DOCUMENTED = (HERE.parents[1] / "docs" / "commands.md").read_text()
INTERPRETER = "Rscript" if shutil.which("Rscript") else "perl"
"""Where R cannot be had (see tests/install_servers.py), Perl stands in for it."""


@pytest.fixture
def store(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store in a file: what databases differ in is tested by the model in R."""
    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'test.db'}")
    monkeypatch.setenv("MFPREFECT_SIGNING_KEY", "open sesame")
    with mfprefect.connect() as store:
        store.create_schema()
        yield store


def script(folder: Path, name: str, language: str) -> None:
    """Write a script of the documentation into a folder."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCUMENTED, re.DOTALL)
    (source,) = (block for block in blocks if block.startswith(f"# {name}\n"))
    (folder / name).write_text(source)


def outcome(run: Callable[..., Any], **parameters: Any) -> Any:
    return run(**parameters, return_state=True)


def last(store: Store, model_id: str) -> Any:
    return store.sessions(model_id).iloc[0]


def model(folder_: Path, **changes: Any) -> Any:
    """Return the flows of a model whose commands are lines of bash, in a folder."""
    attributes = {
        "model_id": "shell",
        "entity_id": "id",
        "folder": folder_,
        "train_command": TRAIN,
        "score_command": SCORE,
        "retry_delay_seconds": 0,
    } | changes
    made: type[CommandModel] = type("Shell", (CommandModel,), attributes)
    return made.flows()


def bash(text: str) -> list[str]:
    return ["bash", "-euc", text]


TRAIN = bash("echo m > model; mfprefect session log --metric auc=0.8 --model model")
# Part 2 of 3 holds b2; which parts were run is noted in a file.
LOG_SCORES = (
    "echo $MFPREFECT_PART $MFPREFECT_ATTEMPT >> ran\n"
    "printf 'id,p\\na%s,0.25\\nb%s,0.5\\n' $MFPREFECT_PART $MFPREFECT_PART > s.csv\n"
    "mfprefect session log --scores s.csv --entity-id id --score p"
)
SCORE = bash(LOG_SCORES)
SCORE_PART = bash(f"{LOG_SCORES} --part $MFPREFECT_PART")


@pytest.mark.parametrize("interpreter", [INTERPRETER])
def test_another_language_trains_and_scores(
    interpreter: str, flow_store: Store, tmp_path: Path
) -> None:
    ending = {"Rscript": "R", "perl": "pl"}[interpreter]
    for step in ("train", "score"):
        if interpreter == "Rscript":
            script(tmp_path, f"{step}.R", "r")
        else:
            shutil.copy(HERE / "commands" / f"{step}.pl", tmp_path)

    class Infertility(CommandModel):
        model_id = "infertility"
        entity_id = "person"
        folder = tmp_path
        train_command = [interpreter, f"train.{ending}"]
        score_command = [interpreter, f"score.{ending}"]
        gates = [Gate("auc", at_least=0.6)]

    flows = Infertility.flows()
    trained = flows.train(as_of=dt.date(2026, 10, 31))
    scored = flows.score()

    sessions = flow_store.sessions("infertility").set_index("session_id")
    assert set(sessions["status"]) == {"succeeded"}
    assert sessions.loc[scored, "parent_session_id"] == trained
    assert sessions.loc[trained, "as_of"] == dt.date(2026, 10, 31)

    tested = pd.read_csv(tmp_path / "tested.csv")
    metrics = flow_store.metrics(trained).set_index("metric_name")["value"]
    assert metrics["auc"] == pytest.approx(roc_auc_score(tested["y"], tested["p"]), rel=1e-12)
    assert metrics["n"] == len(tested) > 50
    assert flow_store.curve(trained)["tp"].max() == tested["y"].sum()
    importance = flow_store.variable_importance(trained)
    assert set(importance["variable"]) == {"parity", "spontaneous", "induced"}
    assert importance["importance"].gt(0).all()

    assert flow_store.load_model(trained) == (tmp_path / "model.rds").read_bytes()
    assert (tmp_path / "used.rds").read_bytes() == (tmp_path / "model.rds").read_bytes()
    stored = flow_store.scores(scored).set_index("entity_id")["score"]
    written = pd.read_csv(tmp_path / "scores.csv", dtype={"person": str}).set_index("person")["p"]
    assert len(stored) == 248
    assert stored.loc[written.index].tolist() == written.tolist()
    # The model that came back from the store is the one that was tested.
    rows = written.index.astype(int) % 3 == 0
    assert written[rows].tolist() == pytest.approx(tested["p"].tolist(), rel=1e-12)
    rows_scored = flow_store.metrics(scored).set_index("metric_name")["value"]["rows_scored"]
    assert rows_scored == 248


def test_a_shell_script_trains(store: Store, tmp_path: Path) -> None:
    script(tmp_path, "train.sh", "bash")
    (tmp_path / "data.csv").write_text("id,x\na,1\nb,2.5\n")
    trained = model(tmp_path, train_command=["bash", "train.sh"]).train()
    assert store.metrics(trained)["value"].tolist() == [1.75]
    assert store.load_model(trained) == b"mean=1.75\n"


@pytest.mark.parametrize(
    ("end", "kind", "said"),
    [
        ("exit 3", "CommandFailed", "ended with exit code 3"),
        ("kill -SEGV $$", "CommandFailed", "was killed by SIGSEGV"),
        ("true", "InvalidValue", "reported nothing under session"),
    ],
)
def test_a_command_that_fails_fails_the_run(
    end: str, kind: str, said: str, store: Store, tmp_path: Path
) -> None:
    text = f"echo ran >> ran; echo the cause; {end}"
    state = outcome(model(tmp_path, train_command=bash(text)).train)
    assert state.is_failed()
    row = last(store, "shell")
    assert (row["status"], row["failure_kind"]) == ("failed", kind)
    assert said in row["failure_text"]
    assert said in state.message
    if kind == "CommandFailed":
        assert row["failure_text"].endswith("Its last output:\nthe cause")
    assert (tmp_path / "ran").read_text() == "ran\n"  # once: it would only fail again


def test_a_program_that_is_missing_fails_the_run(store: Store, tmp_path: Path) -> None:
    flows = model(tmp_path, train_command=["no-such-program"], score_command=None)
    assert outcome(flows.train).is_failed()
    row = last(store, "shell")
    assert row["failure_kind"] == "ConfigurationError"
    assert "'no-such-program' is not installed" in row["failure_text"]
    model(tmp_path).train()
    with pytest.raises(mfprefect.ConfigurationError, match="Shell has no score_command"):
        flows.score()


def test_gates_are_held_against_what_the_command_stored(store: Store, tmp_path: Path) -> None:
    log = "mfprefect session log --metric auc="
    command = bash(f"{log}0.8; {log}0.5 --segment region=north")
    gates = [Gate("auc", at_least=0.75), Gate("auc", at_least=0.6, segment="region=north")]
    for count, passed in [(1, True), (2, False)]:
        flows = model(tmp_path, train_command=command, gates=gates[:count])
        assert outcome(flows.train).is_completed() == passed
        row = last(store, "shell")
        assert row["failure_kind"] == (None if passed else "GateFailed")
    assert "auc of segment 'region=north' is 0.5" in row["failure_text"]


def test_a_challenger_scores_by_the_same_command(store: Store, tmp_path: Path) -> None:
    flows = model(tmp_path, score_command=bash(LOG_SCORES))
    champion, challenger = flows.train(), flows.train()
    store.promote("shell", champion, override="no gates")
    scored = flows.score(shadow="latest")
    rows = store.sessions("shell", limit=2).to_dict("records")
    assert [row["parent_session_id"] for row in rows] == [challenger, champion]
    assert [row["status"] for row in rows] == ["succeeded", "succeeded"]
    assert rows[1]["session_id"] == scored
    assert store.scores(rows[0]["session_id"]).empty
    assert store.compare_scores(scored, rows[0]["session_id"])["max_abs_difference"] == 0


def test_a_command_may_ask_to_be_run_again(store: Store, tmp_path: Path) -> None:
    flows = model(tmp_path, score_command=bash(f"{LOG_SCORES}\n[ $(wc -l < ran) = 3 ] || exit 75"))
    flows.train()
    scored = flows.score()
    assert (tmp_path / "ran").read_text() == "1 1\n" * 3
    # What each try wrote replaced what the try before it had written.
    assert store.scores(scored)["entity_id"].tolist() == ["a1", "b1"]
    assert store.score_parts(scored)["rows"].tolist() == [2]
    assert last(store, "shell")["attempt"] == 1


def test_a_retry_skips_the_parts_that_are_complete(store: Store, tmp_path: Path) -> None:
    command = bash(
        f"{LOG_SCORES} --part $MFPREFECT_PART\n"
        "if [ $MFPREFECT_PART$MFPREFECT_ATTEMPT = 21 ]; then exit 1; fi"
    )
    stopped = bash(f"[ $MFPREFECT_PART$MFPREFECT_ATTEMPT != 21 ]; {SCORE_PART[2]}")
    flows = model(tmp_path, score_command=stopped, parts=3)
    flows.train()
    assert outcome(flows.score.with_options(retries=1)).is_completed()
    assert (tmp_path / "ran").read_text() == "1 1\n2 2\n3 2\n"
    row = last(store, "shell")
    assert (row["status"], row["attempt"]) == ("succeeded", 2)
    scored = store.scores(row["session_id"])
    assert scored["entity_id"].tolist() == ["a1", "a2", "a3", "b1", "b2", "b3"]
    assert store.metrics(row["session_id"])["value"].tolist() == [6]
    undisturbed = store.scores(model(tmp_path, score_command=SCORE_PART, parts=3).score())
    pd.testing.assert_frame_equal(scored, undisturbed)
    # A part that was written completely before its command failed is complete.
    assert outcome(
        model(tmp_path, score_command=command, parts=2).score.with_options(retries=1)
    ).is_completed()
    assert (tmp_path / "ran").read_text().splitlines()[6:] == ["1 1", "2 1"]


def test_a_retry_of_one_part_starts_over(store: Store, tmp_path: Path) -> None:
    first = "if [ $MFPREFECT_ATTEMPT = 1 ]; then exit 1; fi"
    more = "sed -i s/a1/c1/ s.csv; sed -i /b1/d s.csv"
    log = LOG_SCORES.splitlines()[-1]
    command = bash(f"{LOG_SCORES}\n{first}\n{more}\n{log}")
    flows = model(tmp_path, score_command=command)
    flows.train()
    assert outcome(flows.score.with_options(retries=1)).is_completed()
    row = last(store, "shell")
    assert row["attempt"] == 2
    assert store.scores(row["session_id"])["entity_id"].tolist() == ["a1", "b1", "c1"]


@pytest.mark.parametrize(
    ("parts", "said"), [(1, "wrote no scores"), (2, "did not write part 1 of 2")]
)
def test_a_scoring_that_writes_no_scores_fails(
    parts: int, said: str, store: Store, tmp_path: Path
) -> None:
    flows = model(tmp_path, score_command=["true"], parts=parts)
    flows.train()
    assert outcome(flows.score).is_failed()
    row = last(store, "shell")
    assert row["failure_kind"] == "InvalidValue"
    assert said in row["failure_text"]


def test_the_count_of_scores_is_ours(store: Store, tmp_path: Path) -> None:
    log_command = "mfprefect session log --metric rows_scored=7"
    flows = model(tmp_path, score_command=bash(f"{log_command}\n{LOG_SCORES}"))
    flows.train()
    assert store.metrics(flows.score())["value"].tolist() == [2]


# The run's log


@pytest.fixture
def logged() -> Iterator[None]:
    """Let Prefect keep what is logged, which the tests have turned down."""
    loggers = [logging.getLogger(f"prefect.{name}") for name in ("flow_runs", "task_runs")]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.INFO)
    yield
    for log, level in zip(loggers, levels, strict=True):
        log.setLevel(level)


def messages(flow_run_id: Any) -> list[tuple[int, str]]:
    only = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        return [(entry.level, entry.message) for entry in client.read_logs(only, limit=200)]


def until_logged(store: Store, text: str, then: Callable[[], None]) -> threading.Thread:
    """Do something as soon as a text is in the log of the newest run."""

    def look() -> None:
        for _ in range(600):
            frame = store.sessions("shell", limit=1)
            if len(frame) and frame["status"][0] == "running":
                seen = messages(frame["flow_run_id"][0])
                if any(text in message for _, message in seen):
                    then()
                    return
            time.sleep(0.1)

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def test_output_is_in_the_runs_log_while_the_command_runs(
    store: Store, tmp_path: Path, logged: None
) -> None:
    wait = "for i in {1..600}; do if [ -e go ]; then break; fi; sleep 0.1; done; [ -e go ]"
    command = bash(f"echo to the log; echo a warning >&2; {wait}; {TRAIN[2]}")
    watching = until_logged(store, "to the log", (tmp_path / "go").touch)
    trained = model(tmp_path, train_command=command).train()
    watching.join()
    lines = messages(store.show(trained)["flow_run_id"][0])
    assert (logging.INFO, "to the log") in lines
    assert (logging.WARNING, "a warning") in lines


def test_secrets_are_in_no_log(store: Store, tmp_path: Path, logged: None) -> None:
    command = bash("env | grep MFPREFECT_ | tee /dev/stderr; exit 1")
    state = outcome(model(tmp_path, train_command=command).train)
    row = last(store, "shell")
    lines: list[str] = []
    while not any("Finished in state" in text for text in lines):  # the log is sent by and by
        lines = [text for _, text in messages(row["flow_run_id"])]
    for text in ("\n".join(lines), row["failure_text"], state.message):
        assert "MFPREFECT_SIGNING_KEY=***" in text
        assert "open sesame" not in text


# A run that is stopped

STOPPED = """
import sys
import mfprefect

class Shell(mfprefect.CommandModel):
    model_id = "shell"
    entity_id = "id"
    folder = sys.argv[1]
    train_command = ["bash", "-c", "sleep 600 & echo $! > child; echo $$ > shell; wait"]

Shell.flows().train()
"""


def until_gone(pid: int) -> None:
    """Wait for what was killed: the system takes its time."""
    for _ in range(100):
        if find_process(pid, utc_now()) == "gone":
            return
        time.sleep(0.1)
    raise AssertionError(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_ends_its_command(
    number: signal.Signals, store: Store, prefect_api: str, tmp_path: Path
) -> None:
    file = tmp_path / "shell"
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", STOPPED, str(tmp_path)],
            env=os.environ | {"PREFECT_API_URL": prefect_api},
            stdout=output,
            stderr=output,
        )
    try:
        while not (file.exists() and file.read_text().endswith("\n")):
            assert process.poll() is None, (tmp_path / "output").read_text()
            time.sleep(0.1)
        process.send_signal(number)
        process.wait(120)
    finally:
        process.kill()
        process.wait()
    for name in ("shell", "child"):
        pid = int((tmp_path / name).read_text())
        until_gone(pid)
    assert last(store, "shell")["status"] == "cancelled"
