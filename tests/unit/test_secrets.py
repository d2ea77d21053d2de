"""Planted secrets, looked for wherever a run leaves a trace."""

# ruff: noqa: S608 - the statement is the test's own

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Store
from mfprefect.cli import cli
from mfprefect.inputs.reader import Reader
from mfprefect.redaction import redact_urls

MARK = "Pl4nted"
MAIN = Path(sys.executable).with_name("mfprefect")


def planted(what: str) -> str:
    """Return a secret; all have the mark, so that a piece of one is found too."""
    return f"{MARK}{what}{secrets.token_hex(6)}"


@pytest.fixture
def login(postgres_login: Callable[[str], AbstractContextManager[str]]) -> Iterator[str]:
    """The URL of a database, of a user whose password is planted, special characters included."""
    with postgres_login(f"{planted('Database')}@/%") as url:
        yield url


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What was said and shown; all loggers at DEBUG, as where somebody looks for a fault."""
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    caplog.set_level(logging.DEBUG)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield []
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def shown(attempt: Callable[[], object]) -> str:
    """Return what an attempt returns, or its error with all causes as Python prints them."""
    try:
        return repr(attempt())
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is looked through
        whole = "".join(traceback.format_exception(exc))
        return "\n".join([whole, str(exc), repr(exc), repr(vars(exc))])


def test_no_secret_is_shown_logged_or_stored(
    login: str,
    hooks: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    everything: list[str],
) -> None:
    monkeypatch.setenv("A_REFERENCE", planted("Reference"))
    monkeypatch.setenv("MFPREFECT_GIT_REMOTE", f"https://ann:{planted('Git')}@git.example/x")
    away = f"postgresql://u:{planted('Away')}@127.0.0.1:1/d"
    port = hooks.server.server_address[1]
    token = planted("Token")
    monkeypatch.chdir(tmp_path)
    refused = sa.make_url(login).set(password=planted("Wrong"))
    settings: dict[str, Any] = {
        "url": login,
        "signing_key": planted("Signing"),
        "sources": {
            "good": {"url": login},
            "referring": {"url": "postgresql://u:${A_REFERENCE}@127.0.0.1:1/d"},
            "refused": {"url": refused.render_as_string(hide_password=False)},
            "by_option": {"url": f"postgresql://127.0.0.1:1/d?user=u&password={planted('Option')}"},
        },
        "exports": {
            "away": {"table": "t", "url": away},
            "file": {"table": "t", "url": f"sqlite:///{tmp_path}/out.db?secret={planted('Query')}"},
        },
        "notify": {
            "hook": {"url": f"json://me:{planted('Hook')}@127.0.0.1:{port}/{token}?+X-Key={token}"},
            "down": {"url": f"json://127.0.0.1:1/{planted('Down')}"},
            "wrong": {"url": f"nonsense://{planted('Malformed')}"},
        },
    }  # fmt: skip
    toml: list[str] = []
    for name, value in settings.items():
        if isinstance(value, str):
            toml.insert(0, f"{name} = {json.dumps(value)}")
            continue
        for key, table in value.items():
            toml.append(f"[{name}.{key}]")
            toml += [f"{field} = {json.dumps(text)}" for field, text in table.items()]
            if name == "notify":
                toml.append('events = ["failed", "succeeded"]')
    (tmp_path / "mfprefect.toml").write_text("\n".join(toml))
    file = f"http://me:{planted('Path')}@127.0.0.1/x.parquet"

    with mfprefect.connect(retry_seconds=0) as store:
        everything.append(repr((store, store.database.backend, store.database.settings)))
        store.create_schema()
        store.add_model("churn")
        train(store, f"{file}?X-Signature={planted('Query')}", login)
        for failure in (ValueError(f"no way to {login}"), OSError(f"cannot open {away} now")):
            with pytest.raises(type(failure)), store.session("churn") as session:
                everything.append(repr(session))
                raise failure
        reader = Reader(store.database.settings)
        for source in ("good", "referring", "refused", "by_option"):
            everything.append(shown(partial(reader.read, "select nonsense", source=source)))
        for path in (file, file.replace("http", "s3"), file.replace("http", "hdfs")):
            everything.append(shown(partial(reader.read, path)))
        newest = str(store.sessions(status="succeeded")["session_id"][0])
        for export in ("away", "file", "unknown"):
            everything.append(shown(partial(store.export, newest, export)))
        everything.append(store.report(newest))
        everything.append(contents(store))
        assert "no way to ***" in everything[-1]
        assert "cannot open ***" in everything[-1]
    for wrong in ("x", "@", "?sslmode=verify-full&sslrootcert=missing", "?unknown=1"):
        everything.append(shown(partial(sessions_of, login + wrong)))
    everything += list(commands(login, newest))
    everything += [json.dumps(hooks.posts), caplog.text]
    texts = [text for text in everything if MARK in text.replace(token, "") or token in text]
    # The hook itself was sent to the address that it knows.
    texts = [t for t in texts if t != json.dumps(hooks.posts) or MARK in t.replace(f"/{token}", "")]
    assert [context(text) for text in texts] == []
    assert hooks.posts


def sessions_of(url: str) -> pd.DataFrame:
    return mfprefect.connect(url, retry_seconds=0).sessions()


def context(text: str) -> str:
    place = text.index(MARK)
    return text[max(0, place - 200) : place + 60]


def train(store: Store, file: str, login: str) -> None:
    with store.session("churn", "train") as session:
        session.log_input(file, query=f"select * from dblink('{login}')")
        session.log_metrics({"auc": 0.5})
        session.save_model(b"a model")
        session.write_scores(pd.DataFrame({"id": ["a"], "score": [0.5]}), "id")


def contents(store: Store) -> str:
    rows = [
        store.database.fetch_all(sa.select(*t.c)) for t in store.database.schema.tables.values()
    ]
    return "\n".join(map(repr, rows))


def commands(login: str, newest: str) -> Iterator[str]:
    """Run the command line on a database that works, and on some that do not."""
    runner = CliRunner()
    for line in (
        *("doctor", "sessions", f"show {newest}", "notify test", "grants --role admin"),
        f"export {newest} --to away",
    ):
        for options in ([], ["--json"]):
            result = runner.invoke(
                cli, [*line.split(), *options], env={"MFPREFECT_RETRY_SECONDS": "0"}
            )
            yield result.output + repr(result.exception)
    for url in (
        login + "x",
        login.replace("%40", "@"),
        "mysql://me:" + quote(login, safe="") + "@h",
    ):
        result = runner.invoke(
            cli, ["sessions"], env={"MFPREFECT_URL": url, "MFPREFECT_DEBUG": "1"}
        )
        assert result.exit_code == 1
        yield result.output + repr(result.exception)
    # What other users of the machine see of a running command.
    with subprocess.Popen([MAIN, "sessions"], stdout=subprocess.PIPE, text=True) as process:
        seen = [p.read_bytes().decode() for p in cmdlines()]
        out, _ = process.communicate()
        assert "churn" in out
        yield "\n".join(seen) + out


def cmdlines() -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            path.read_bytes()
        except OSError:
            continue
        yield path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("could not reach postgresql://ann:pw@db/x?y", "could not reach postgresql://***@db/x?y"),
        ("'s3://AKIA:a/b+c@bucket/k' is gone", "'s3://***@bucket/k' is gone"),
        ("https://example.com:80/a@b, ann@x.example", "https://example.com:80/a@b, ann@x.example"),
        ("no URL: a@b", "no URL: a@b"),
    ],
)  # fmt: skip
def test_credentials_in_any_url(text: str, expected: str) -> None:
    assert redact_urls(text) == expected
