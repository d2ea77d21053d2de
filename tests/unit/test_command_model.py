"""What a CommandModel takes, what its commands are handed, and how they are run."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import mfprefect
from mfprefect import CommandFailed, CommandModel, ConfigurationError, Store
from mfprefect.cli import cli
from mfprefect.lifecycle import settings_env
from mfprefect.lifecycle.commands import environment
from mfprefect.lifecycle.commands.process import Command, run_command
from mfprefect.lifecycle.settings_env import without_settings
from mfprefect.lifecycle.tasks import is_transient
from mfprefect.util.processes import find_process
from mfprefect.util.values import utc_now

BIN = Path(sys.executable).parent
CHECKOUT = Path(__file__).parents[2]


class Churn(CommandModel):
    model_id = "churn"
    entity_id = "customer_id"
    train_command = ["Rscript", "train.R"]
    score_command = ["Rscript", "score.R"]


def variant(**changes: Any) -> type[CommandModel]:
    return type("Variant", (Churn,), changes)


# The class


def test_its_flows_are_those_of_any_model() -> None:
    train, score, monitor = Churn.flows()
    assert [train.name, score.name, monitor.name] == [
        "churn-train", "churn-score", "churn-monitor",
    ]  # fmt: skip
    assert set(score.parameters.properties) == {"as_of", "training_session_id", "shadow"}
    assert variant(score_command=None).flows()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_id": None}, "has no model_id"),
        ({"entity_id": None}, "has no entity_id"),
        ({"parts": 0}, "parts = 0"),
        ({"train_command": None, "score_command": None}, r'set it in the class: \["Rscript"'),
        ({"train_command": "Rscript train.R"}, r"use a list: \['Rscript', 'train.R'\]"),
        ({"train_command": "bash 'x"}, r"use a list: \['bash', '-c', \"bash 'x\"\]"),
        ({"score_command": []}, r"score_command = \[\]; use a list of texts"),
        ({"score_command": ["Rscript", 7]}, "use a list of texts"),
        ({"score_command": ["a\0b"]}, "use a list of texts"),
        ({"checks": [len]}, "checks = .*it has no effect"),
        ({"task_runner": "dask"}, "task_runner = 'dask'; .*it has no effect"),
        ({"folder": 7}, "folder = 7"),
        ({"grace_seconds": "10"}, "grace_seconds = '10'"),
        ({"grace_seconds": -1}, "grace_seconds = -1"),
        ({"transient_exit_codes": (0,)}, r"transient_exit_codes = \(0,\)"),
    ],
)
def test_what_cannot_run_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        variant(**changes).flows()


def test_no_setting_of_this_process_is_handed_over() -> None:
    """Neither what the run overrides, nor targets of notifications, whose URLs hold passwords."""
    variables = {"MFPREFECT_NOTIFY__OPS__URL": "x", "mfprefect_notify": "x", "MFPREFECT_URL": "x"}
    assert without_settings({**variables, "MFPREFECTED": "y"}) == {"MFPREFECTED": "y"}


@pytest.mark.parametrize("wrong", [{"A=B": "x"}, {"KEY": 7}, {"": "x"}, {"KEY": "a\0"}, "KEY=x"])
def test_a_wrong_environment_is_refused_without_being_shown(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^Variant has a wrong environment; it must map"):
        variant(environment=wrong).flows()


def test_commands_run_in_the_checkout_of_the_models_file() -> None:
    assert Churn.working_folder() == CHECKOUT
    assert variant(folder="models/r").working_folder() == CHECKOUT / "models" / "r"
    assert variant(folder=Path("/srv/r")).working_folder() == Path("/srv/r")


def test_without_a_checkout_they_run_beside_the_models_file(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(
        "import mfprefect\nclass Alone(mfprefect.CommandModel):\n    model_id = 'alone'\n"
        "print(Alone.working_folder())\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "alone.py"], cwd="/", text=True, check=True, capture_output=True
    )
    assert done.stdout.strip() == str(tmp_path)


# What a command is handed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The process's folder; commands run in another one."""
    (tmp_path / "process").mkdir()
    (tmp_path / "command").mkdir()
    monkeypatch.chdir(tmp_path / "process")
    return tmp_path


@pytest.fixture
def store(here: Path) -> Iterator[Store]:
    with mfprefect.connect("sqlite:///store.db", prefix="mf_") as store:
        store.create_schema()
        store.add_model("churn")
        yield store


def handed(store: Store, session: Any, part: int = 1, **changes: Any) -> dict[str, str]:
    return environment.environment(store, variant(**changes), session, part)


def test_a_command_is_told_its_session(store: Store) -> None:
    with store.session("churn", purpose="train", as_of="2026-11-30") as trained:
        variables = handed(store, trained, parts=3)
    assert {name: variables[f"MFPREFECT_{name}"] for name in ("MODEL_ID", "PURPOSE", "PARTS")} == {
        "MODEL_ID": "churn", "PURPOSE": "train", "PARTS": "1",
    }  # fmt: skip
    assert "MFPREFECT_TRAINING_SESSION_ID" not in variables
    with store.session("churn", purpose="score", parent=trained.session_id) as session:
        variables = handed(store, session, 2, parts=3, environment={"REGION": "north"})
    assert variables["MFPREFECT_SESSION_ID"] == session.session_id
    assert variables["MFPREFECT_TRAINING_SESSION_ID"] == trained.session_id
    assert (variables["MFPREFECT_PART"], variables["MFPREFECT_PARTS"]) == ("2", "3")
    assert variables["MFPREFECT_ATTEMPT"] == "1"
    assert variables["REGION"] == "north"
    assert variables["HOME"] == os.environ["HOME"]


def test_a_reproduction_is_told_what_it_repeats(store: Store) -> None:
    with store.session("churn", purpose="train") as trained:
        pass
    with store.session("churn", purpose="adhoc", parent=trained.session_id) as session:
        kind = variant(parts=3)
        train = environment.environment(store, kind, session, 1, "train")
        score = environment.environment(store, kind, session, 2, "score")
    assert (train["MFPREFECT_PURPOSE"], train["MFPREFECT_PARTS"]) == ("train", "1")
    assert "MFPREFECT_TRAINING_SESSION_ID" not in train
    assert (score["MFPREFECT_PURPOSE"], score["MFPREFECT_PARTS"]) == ("score", "3")
    assert score["MFPREFECT_TRAINING_SESSION_ID"] == trained.session_id


def test_the_date_of_the_run_is_handed_over(store: Store) -> None:
    with store.session("churn", as_of="2026-11-30") as session:
        assert handed(store, session)["MFPREFECT_AS_OF"] == "2026-11-30"
    with store.session("churn") as session:
        assert handed(store, session)["MFPREFECT_AS_OF"] == str(utc_now().date())


def test_the_programs_beside_python_are_found_first(store: Store) -> None:
    with store.session("churn") as session:
        assert handed(store, session, environment={"PATH": "/opt/r"})["PATH"] == f"{BIN}:/opt/r"


def test_a_command_reaches_the_same_store_from_another_folder(
    store: Store, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever says otherwise: the environment, and a file in the command's folder.
    monkeypatch.setenv("MFPREFECT_URL", "sqlite:///other.db")
    monkeypatch.setenv("MFPREFECT_PREFIX", "wrong_")
    monkeypatch.setenv("MFPREFECT_SESSION_ID", "an outer one")
    (here / "command" / "mfprefect.toml").write_text('prefix = "also_wrong_"\n')
    with store.session("churn") as session:
        run = Command(
            ["mfprefect", "session", "log", "--metric", "auc=0.75"],
            here / "command",
            handed(store, session),
            10,
            (),
            settings_env.Redactor(iter(())),
        )
        run_command(run)
    assert store.metrics(session.session_id)["value"].tolist() == [0.75]


def test_settings_arrive_whatever_characters_they_hold(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = 'ke"y ${HOME} \\ ü'
    monkeypatch.setenv("SIGNING", key)
    monkeypatch.setenv("WAREHOUSE", "postgresql://u:${x}@h/d")
    Path("mfprefect.toml").write_text(
        'url = "sqlite:///a b.db"\nsigning_key = "${SIGNING}"\ntrusted_types = ["a.B", "c.D"]\n'
        'retry_seconds = 3\n[sources.warehouse]\nurl = "${WAREHOUSE}"\n'
    )
    monkeypatch.setenv("MFPREFECT_SOURCES__WAREHOUSE__URL", "${WAREHOUSE}")
    with mfprefect.connect() as store:
        store.create_schema()
        store.add_model("churn")
        with store.session("churn") as session:
            variables = handed(store, session)
        code = (
            "import json; from mfprefect.settings import load_settings; s = load_settings(); "
            "print(json.dumps([s.url.get_secret_value(), s.signing_key.get_secret_value(), "
            "s.sources['warehouse'].url.get_secret_value(), s.trusted_types, s.retry_seconds]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd="/", env=variables, capture_output=True, check=True
        )
    assert json.loads(done.stdout) == [
        f"sqlite:///{here}/process/a b.db", key, "postgresql://u:${x}@h/d", ["a.B", "c.D"], 3,
    ]  # fmt: skip


def test_the_targets_of_notices_stay_behind(here: Path) -> None:
    notify: Any = {"ops": {"url": "json://user:hooked@h/x"}}
    with mfprefect.connect("sqlite:///s.db", notify=notify) as store:
        store.create_schema()
        store.add_model("churn")
        with store.session("churn") as session:
            assert "hooked" not in str(handed(store, session))


# How a command is run


class Lines(logging.Handler):
    """Keeps what the run's log got."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append((record.levelname, record.getMessage()))
        self.event.set()


@pytest.fixture
def lines() -> Iterator[Lines]:
    log, handler = logging.getLogger("mfprefect"), Lines()
    log.addHandler(handler)
    level = log.level
    log.setLevel(logging.INFO)
    yield handler
    log.setLevel(level)
    log.removeHandler(handler)


def bash(script: str, folder: Path, *secrets: str, grace: float = 10, **env: str) -> None:
    run(["bash", "-c", script], folder, *secrets, grace=grace, **env)


def run(arguments: list[str], folder: Path, *secrets: str, grace: float = 10, **env: str) -> None:
    hidden = settings_env.Redactor(iter(secrets))
    run_command(Command(arguments, folder, os.environ | env, grace, (75,), hidden))


def test_output_goes_to_the_log(tmp_path: Path, lines: Lines) -> None:
    bash("echo one; sleep 0.3; echo two >&2; sleep 0.3; printf three; pwd >&2", tmp_path)
    assert sorted(lines.found) == sorted(
        [("INFO", "one"), ("WARNING", "two"), ("INFO", "three"), ("WARNING", str(tmp_path))]
    )
    assert lines.found[:2] == [("INFO", "one"), ("WARNING", "two")]


def test_output_arrives_while_the_command_runs(tmp_path: Path, lines: Lines) -> None:
    go = tmp_path / "go"

    def answer() -> None:
        if lines.event.wait(60):
            go.touch()

    answering = threading.Thread(target=answer)
    answering.start()
    # It ends well only if its first line was seen before its end.
    bash("echo first; for i in {1..600}; do [ -e go ] && exit 0; sleep 0.1; done; exit 1", tmp_path)
    answering.join()


def test_any_bytes_and_any_length_can_be_printed(tmp_path: Path, lines: Lines) -> None:
    script = (
        r"printf 'caf\xc3\xa9 \xff\xfe\n10%%\r50%%\r100%%\r\n\x1b[31mred\x1b[0m\0\n'; "
        "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo; echo end"
    )
    bash(script, tmp_path)
    texts = [text for _, text in lines.found]
    assert texts[:3] == ["café ��", "100%", "red�"]
    assert texts[3] == "x" * 4000 + " .. (2996000 more characters)"
    assert texts[4:] == ["", "end"]


def test_secrets_are_hidden_wherever_they_stand(tmp_path: Path, lines: Lines) -> None:
    secret = "pass word"
    script = 'echo "a $S b"; echo "$(printf "%3995s" | tr " " x)$S"; echo "$S $S" >&2; exit 3'
    with pytest.raises(CommandFailed) as raised:
        run(["bash", "-c", script, secret], tmp_path, secret, S=secret)
    shown = [text for _, text in lines.found]
    assert "a *** b" in shown
    assert "*** ***" in shown
    everything = repr((shown, raised.value.args, vars(raised.value)))
    assert "pass" not in everything.replace("'bash'", "")


def test_which_secrets_are_known(here: Path) -> None:
    settings = mfprefect.settings.load_settings(
        url="postgresql://u:pass%20word@h/d",
        signing_key="sign",
        sources={"w": {"url": "mysql://v:hunter22@h/d?ssl=x"}},
        notify={"ops": {"url": "slack://token/#c"}},
    )
    hidden = settings_env.Redactor(settings_env.secrets(settings))
    text = "postgresql://u:pass%20word@h/d|pass word|pass%20word|sign|hunter22|slack://token/#c"
    assert hidden(text) == "***|***|***|***|***|***"
    plain = settings_env.Redactor(settings_env.secrets(mfprefect.Settings()))
    assert plain("sqlite:///mfprefect.db") == "sqlite:///mfprefect.db"


def test_a_command_that_fails_says_what_it_printed_last(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as raised:
        bash("for i in {1..80}; do echo line $i; done; exit 3", tmp_path)
    error = raised.value
    assert (error.exit_code, error.command[:2], error.transient) == (3, ("bash", "-c"), False)
    assert error.tail == tuple(f"line {number}" for number in range(31, 81))
    assert "ended with exit code 3. Its last output:\nline 31\n" in str(error)
    assert not is_transient(error)
    with pytest.raises(CommandFailed, match=r"exit code 1\. It printed nothing\.$"):
        run(["false"], tmp_path)


def test_a_long_end_keeps_its_last_characters(tmp_path: Path) -> None:
    script = "for i in {1..50}; do printf '%3000s\\n' $i; done; echo the cause; exit 1"
    with pytest.raises(CommandFailed) as raised:
        bash(script, tmp_path)
    assert str(raised.value).endswith("\nthe cause")
    assert len(str(raised.value)) < 10_000


def test_a_command_may_say_that_it_could_succeed_later(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as raised:
        bash("exit 75", tmp_path)
    assert is_transient(raised.value)


def test_a_command_that_is_killed_names_the_signal(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"was killed by SIGKILL .*memory") as raised:
        bash("kill -KILL $$", tmp_path)
    assert raised.value.exit_code == -signal.SIGKILL
    with pytest.raises(CommandFailed, match=r"was killed by SIGTERM\."):
        bash("kill -TERM $$", tmp_path)


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'Rscipt' is not installed .*PATH is /opt/none"):
        run(["Rscipt", "x.R"], tmp_path, PATH="/opt/none")
    with pytest.raises(ConfigurationError, match=r"'./none.sh' cannot be run: No such file"):
        run(["./none.sh"], tmp_path)
    (tmp_path / "script.sh").write_text("echo ran\n")
    with pytest.raises(ConfigurationError, match=r"Permission denied.*right to be executed"):
        run(["./script.sh"], tmp_path)
    (tmp_path / "script.sh").chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"Exec format error\. A script needs its first"):
        run(["./script.sh"], tmp_path)
    with pytest.raises(
        ConfigurationError, match=r"'/.*/none', which is not a folder; set `folder`"
    ):
        run(["true"], tmp_path / "none")


def pid(file: Path) -> int:
    return int(file.read_text())


def gone(number: int) -> bool:
    return find_process(number, utc_now()) == "gone"


def test_what_holds_the_pipe_open_does_not_hang_the_run(tmp_path: Path, lines: Lines) -> None:
    bash("sleep 600 & echo $! > child; echo done", tmp_path)
    assert lines.found[0] == ("INFO", "done")
    assert "left processes behind" in lines.found[1][1]
    assert gone(pid(tmp_path / "child"))


def test_what_goes_on_printing_does_not_hang_the_run(tmp_path: Path) -> None:
    bash("yes & echo $! > child", tmp_path)
    assert gone(pid(tmp_path / "child"))


def test_a_failure_ends_the_whole_group(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        bash("sleep 600 >/dev/null 2>&1 & echo $! > child; exit 1", tmp_path)
    assert gone(pid(tmp_path / "child"))


INTERRUPTED = """
import os, sys, logging
from pathlib import Path
from mfprefect.lifecycle.settings_env import Redactor
from mfprefect.lifecycle.commands.process import Command, run_command
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s", force=True)
run_command(Command(["bash", "-c", sys.argv[1]], Path.cwd(), os.environ, float(sys.argv[2]), (),
    Redactor(iter(()))))
"""


def interrupted(script: str, folder: Path, grace: str) -> str:
    """Interrupt a run once its command has printed `ready`; return all that was logged."""
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, script, grace],
            cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    if process.stdout is None:
        raise AssertionError
    with process.stdout as output:
        try:
            text = output.readline()
            assert text == "ready\n"
            process.send_signal(signal.SIGINT)
            text += output.read()
        finally:
            process.send_signal(signal.SIGINT)  # twice, if something is wrong
            assert process.wait() != 0
    assert "KeyboardInterrupt" in (folder / "errors").read_text()
    return text


def test_an_interrupt_lets_the_group_clean_up(tmp_path: Path) -> None:
    script = """
        trap 'echo cleaning up; exit 0' TERM
        sleep 600 & echo $! > child
        echo ready; wait
    """
    assert interrupted(script, tmp_path, "60") == "ready\ncleaning up\n"
    assert gone(pid(tmp_path / "child"))


def test_what_does_not_end_is_killed(tmp_path: Path) -> None:
    script = """
        trap '' TERM
        bash -c 'echo $$ > child; echo ready; while true; do sleep 1; done' & wait
    """
    assert interrupted(script, tmp_path, "0.5") == "ready\n"
    assert gone(pid(tmp_path / "child"))


# What such a command may do


@pytest.fixture
def cli_run(store: Store, here: Path) -> Any:
    def call(*args: str, code: int = 0, **env: str) -> Result:
        url = f"sqlite:///{here}/process/store.db"
        given = {"MFPREFECT_URL": url, "MFPREFECT_PREFIX": "mf_"} | env
        done = CliRunner().invoke(cli, ["session", *args], env=given)
        assert done.exit_code == code, done.output
        return done

    return call


def test_a_stored_model_becomes_a_file_again(store: Store, cli_run: Any, here: Path) -> None:
    content = os.urandom(5_000_000)  # more than one chunk
    with store.session("churn", purpose="train") as trained:
        trained.save_model(content)
        trained.save_model(b"other", "second")
    with store.session("churn", purpose="score") as scored:
        env = {
            "MFPREFECT_SESSION_ID": scored.session_id,
            "MFPREFECT_TRAINING_SESSION_ID": trained.session_id,
        }
        facts = json.loads(cli_run("model", "--to", "m.rds", "--json", **env).stdout)
        assert Path("m.rds").read_bytes() == content
        assert facts["sha256"] == hashlib.sha256(content).hexdigest()
        assert facts["session_id"] == trained.session_id
        again = cli_run("model", "--to", "m.rds", "--name", "second", code=1, **env)
        assert "exists; overwrite it with --force" in again.stderr
        cli_run("model", "--to", "m.rds", "--name", "second", "--force", **env)
        assert Path("m.rds").read_bytes() == b"other"
        none = cli_run("model", scored.session_id, "--to", "n.rds", code=1, **env)
        assert "has no artifact 'model'; it has: none" in none.stderr
    cli_run("model", "--to", "own.rds", MFPREFECT_SESSION_ID=trained.session_id)
    assert Path("own.rds").read_bytes() == content
    assert "SESSION" in cli_run("model", "--to", "n.rds", code=2).stderr
    assert "no folder" in cli_run("model", "x", "--to", "no/n.rds", code=1).stderr
    assert not list(here.glob("process/.*.part")) and not Path("n.rds").exists()


def test_a_model_that_was_tampered_with_becomes_no_file(store: Store, cli_run: Any) -> None:
    with store.session("churn", purpose="train") as trained:
        trained.save_model(b"good")
    chunks = store.database.schema.artifact_chunks
    with store.database.engine.begin() as connection:
        connection.execute(chunks.update(), {"bytes": b"evil"})
    result = cli_run("model", trained.session_id, "--to", "m.rds", code=1)
    assert "SHA-256" in result.stderr
    assert list(Path.cwd().glob("*m.rds*")) == []


def test_a_model_without_the_teams_signature_becomes_no_file(store: Store, cli_run: Any) -> None:
    with store.session("churn", purpose="train") as trained:
        trained.save_model(b"unsigned")
    result = cli_run(
        "model", trained.session_id, "--to", "m.rds", code=1, MFPREFECT_SIGNING_KEY="k"
    )
    assert "is not signed as its own with MFPREFECT_SIGNING_KEY" in result.stderr
    assert not Path("m.rds").exists()


def test_a_command_of_an_earlier_attempt_writes_nothing(store: Store, cli_run: Any) -> None:
    with store.session("churn") as session:
        env = {"MFPREFECT_SESSION_ID": session.session_id, "MFPREFECT_ATTEMPT": "1"}
        cli_run("log", "--metric", "a=1", **env)
        env["MFPREFECT_ATTEMPT"] = "2"
        late = cli_run("log", "--metric", "a=2", code=1, **env)
        assert "attempt 1 replaced attempt 2, which started this command" in late.stderr
    assert store.metrics(session.session_id)["value"].tolist() == [1.0]


def test_a_command_writes_its_own_part(store: Store, cli_run: Any) -> None:
    Path("s.csv").write_text("id,p\na,0.5\n")
    args = ("log", "--scores", "s.csv", "--entity-id", "id", "--score", "p")
    with store.session("churn", purpose="score") as session:
        env = {
            "MFPREFECT_SESSION_ID": session.session_id,
            "MFPREFECT_ATTEMPT": "1", "MFPREFECT_PART": "2", "MFPREFECT_PARTS": "3",
        }  # fmt: skip
        for wrong in ((), ("--part", "1")):
            done = cli_run(*args, *wrong, code=2, **env)
            assert "this command scores part 2: pass --part $MFPREFECT_PART" in done.stderr
        cli_run(*args, "--part", "2", **env)
        assert store.score_parts(session.session_id)["part_no"].tolist() == [2]


def test_a_command_does_not_end_the_runs_session(store: Store, cli_run: Any) -> None:
    with store.session("churn") as session:
        env = {"MFPREFECT_SESSION_ID": session.session_id, "MFPREFECT_ATTEMPT": "1"}
        assert "the run that started this command ends" in cli_run("close", code=2, **env).stderr
    assert session.status == "succeeded"
    # The sessions that a script opens itself are its own to close.
    session_id = cli_run("open", "churn", **env).stdout.strip()
    cli_run("close", session_id, **env)
