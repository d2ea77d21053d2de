"""The command line as such: speed of help, errors, exit codes, output to pipes and terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import mfprefect
from mfprefect.cli import COMMANDS, cli
from mfprefect.cli.escape import escape, escape_lines, width
from mfprefect.cli.formats import duration, number, plain, size

HEAVY = ("prefect", "pandas", "sqlalchemy", "pydantic", "rich", "numpy", "pyarrow", "alembic")
SCRIPT = Path(sys.executable).parent / "mfprefect"
HOSTILE = "[red]a[/red]\nerror: b\x1b[31m\t\x9b2J\u202e:bug:"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str) -> mfprefect.Store:
    store = mfprefect.connect(url)
    store.create_schema()
    return store


def run(url: str, *args: str) -> Result:
    return CliRunner().invoke(cli, args, env={"MFPREFECT_URL": url})


def shell(url: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *args],
        env=os.environ | {"MFPREFECT_URL": url} | env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["session", "log", "--help"]])
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\nfrom mfprefect.cli import main\n"
        f"sys.argv = ['mfprefect', *{args!r}]\n"
        "try:\n    main()\n"
        f"finally:\n    print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout
    assert "mfprefect" in done.stdout.split("LOADED")[0]


def test_the_help_lists_every_command_without_importing_it() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom mfprefect.cli import COMMANDS, cli\n"
        "text = CliRunner().invoke(cli, ['--help']).stdout\n"
        "assert all(name in text and line in text for name, (_, line) in COMMANDS.items()), text\n"
        "modules = {f'mfprefect.cli.commands.{module}' for module, _ in COMMANDS.values()}\n"
        "assert not modules & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_takes_url_and_json(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    for each in commands:
        options = {option for param in each.params for option in param.opts}
        assert {"--url", "--json"} <= options
        assert each.help


def test_version() -> None:
    assert run("", "--version").stdout == f"mfprefect, version {mfprefect.__version__}\n"


def test_an_unknown_command_is_a_usage_error_that_names_the_near_one() -> None:
    done = run("", "sesions")
    assert done.exit_code == 2
    assert "did you mean 'sessions'?" in done.stderr


def test_an_error_of_ours_is_one_line_and_exit_code_1(url: str) -> None:
    done = shell(url, "sessions")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "holds no mfprefect schema; create it with `mfprefect init`" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_debug_variable_shows_the_traceback(url: str) -> None:
    done = shell(url, "sessions", MFPREFECT_DEBUG="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "SchemaOutdated" in done.stderr


def test_errors_are_json_with_json(url: str) -> None:
    done = run(url, "sessions", "--json")
    assert done.exit_code == 1
    assert done.stdout == ""
    error = json.loads(done.stderr)
    assert error["error"] == "SchemaOutdated"
    assert "mfprefect init" in error["message"]
    usage = run(url, "sessions", "--json", "--limit", "x")
    assert usage.exit_code == 2
    assert json.loads(usage.stderr)["error"] == "UsageError"


def test_a_password_is_never_shown() -> None:
    done = shell("postgresql://me:s3cretpw@localhost:1/x", "init", MFPREFECT_RETRY_SECONDS="0")
    assert done.returncode == 1
    assert "me:***@localhost" in done.stderr
    assert "s3cretpw" not in done.stdout + done.stderr


def test_url_overrides_the_environment(url: str, store: mfprefect.Store) -> None:
    assert run("nonsense", "models", "--url", url).exit_code == 0


def test_init_tells_what_it_did(url: str) -> None:
    first, second = run(url, "init"), run(url, "init", "--json")
    assert first.exit_code == second.exit_code == 0
    assert first.stdout.strip().endswith(": created")
    assert "store.db" in first.stderr
    facts = json.loads(second.stdout)
    assert facts["done"] == "already current"
    assert facts["schema"] == facts["before"]


def test_interrupting_ends_with_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process = subprocess.Popen(
            [SCRIPT, "models", "--url", f"mysql://u:p@127.0.0.1:{port}/x"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = server.accept()  # now it waits for the server's greeting
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.strip() == "error: interrupted"


def test_a_closed_pipe_is_silent(url: str, store: mfprefect.Store) -> None:
    store.add_model("m")
    with store.session("m", purpose="score") as session:
        rows = {"entity_id": [f"entity-{n:06d}" for n in range(20_000)], "score": [0.5] * 20_000}
        import pandas as pd

        session.write_scores(pd.DataFrame(rows), entity_id="entity_id")
    command = f"'{SCRIPT}' scores latest --limit 20000 | head -n 1"
    done = subprocess.run(
        ["/bin/bash", "-c", command],
        env=os.environ | {"MFPREFECT_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["entity", "score", "class"]
    assert done.stderr == ""


def in_terminal(url: str, *args: str, columns: int = 130) -> str:
    """Run a command whose stdout is a terminal, and return what it wrote there."""
    leader, follower = pty.openpty()
    env = os.environ | {"MFPREFECT_URL": url, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen(
        [SCRIPT, *args], env=env, stdin=follower, stdout=follower, stderr=subprocess.DEVNULL
    ) as process:
        os.close(follower)
        parts = []
        while True:
            try:
                part = os.read(leader, 65_536)
            except OSError:  # Linux: the other side is closed
                break
            if not part:
                break
            parts.append(part)
        assert process.wait() == 0
    os.close(leader)
    return b"".join(parts).decode()


def test_a_terminal_gets_a_rich_table_and_a_pipe_plain_text(
    url: str, store: mfprefect.Store
) -> None:
    store.add_model("churn", "d" * 300)
    terminal, pipe = in_terminal(url, "models"), shell(url, "models").stdout
    assert "\x1b[1m" in terminal
    assert "───" in terminal
    assert re.sub(r"[^d]", "", terminal).count("d") >= 300  # folded, not cut
    assert "\x1b" not in pipe
    assert "─" not in pipe
    assert "d" * 300 in pipe
    header, row = pipe.splitlines()
    assert header.index("description") == row.index("ddd")


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_ids_are_never_broken_or_cut_on_a_terminal(
    url: str, store: mfprefect.Store, columns: int
) -> None:
    store.add_model("churn")
    with store.session("churn") as session:
        pass
    assert session.session_id in in_terminal(url, "sessions", columns=columns)


@pytest.mark.parametrize("terminal", [True, False])
def test_what_people_stored_is_shown_and_not_obeyed(
    url: str, store: mfprefect.Store, terminal: bool
) -> None:
    store.add_model(HOSTILE, HOSTILE, owner=HOSTILE)
    with store.session(HOSTILE, params={HOSTILE: HOSTILE}) as session:
        session.log_metrics({HOSTILE: 1.0}, HOSTILE)
        session.log_metadata({HOSTILE: HOSTILE}, HOSTILE)
    for args in (["models"], ["sessions"], ["show", "latest"], ["compare", "latest", "latest"]):
        text = in_terminal(url, *args, columns=600) if terminal else shell(url, *args).stdout
        for forbidden in ("\x1b[31m", "\t", "\x9b", "\u202e", "\nerror: b", "🐛"):
            assert forbidden not in text
        assert escape(HOSTILE) in text
    # UnknownModel names the known ones.
    result = shell(url, "sessions", "nobody")
    assert result.returncode == 1
    assert "\x1b" not in result.stderr
    assert not re.search(r"^error: b", result.stderr, re.MULTILINE)
    raw = shell(url, "models", "--json").stdout
    assert raw.isascii()
    assert "\x1b" not in raw
    assert json.loads(raw)[0]["model_id"] == HOSTILE


def test_escape() -> None:
    assert escape("plain é 漢 😀") == "plain é 漢 😀"
    assert (
        escape("a\nb\r\t\x1b[0m\x7f\x85\u2028\ufeff")
        == "a\\nb\\r\\t\\x1b[0m\\x7f\\x85\\u2028\\ufeff"
    )
    assert escape("\udcff\U000e0001") == "\\udcff\\U000e0001"
    assert escape_lines("a\n\tb\x1b") == "a\n   b\\x1b"
    assert (width("ab"), width("漢字"), width("e\u0301")) == (2, 4, 1)


def test_formats() -> None:
    assert [number(v) for v in (1, 2**60, 0.1 + 0.2, 1e300, 3.0, -0.5)] == [
        "1", str(2**60), "0.3", "1e+300", "3", "-0.5",
    ]  # fmt: skip
    assert [duration(s) for s in (0.5, 1.25, 59.4, 192, 7500)] == [
        "0.5 s", "1.2 s", "59 s", "3m 12s", "2h 05m",
    ]  # fmt: skip
    assert [size(n) for n in (12, 3500, 5 * 1024**3)] == ["12 B", "3.4 KiB", "5.0 GiB"]


def test_plain_values() -> None:
    import datetime as dt

    import numpy as np
    import pandas as pd

    instant = dt.datetime(2026, 11, 23, 1, 2, 3, 4, tzinfo=dt.UTC)
    value = {
        "nan": float("nan"), "inf": float("inf"), "na": pd.NA, "nat": pd.NaT, "at": instant,
        "stamp": pd.Timestamp(instant), "day": dt.date(2026, 1, 2), "int": np.int64(3),
        "float": np.float64("nan"), "bool": np.bool_(True), "list": [np.float32(0.5)],
    }  # fmt: skip
    assert plain(value) == {
        "nan": None, "inf": None, "na": None, "nat": None, "at": "2026-11-23T01:02:03.000004+00:00",
        "stamp": "2026-11-23T01:02:03.000004+00:00", "day": "2026-01-02", "int": 3,
        "float": None, "bool": True, "list": [0.5],
    }  # fmt: skip
    assert plain(value)["bool"] is True
