"""Planted secrets, looked for in all that Prefect keeps of flows, and what they leave on disk."""

# ruff: noqa: S608 - the statement is the test's own

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

import mfprefect

MARK = "Pl4nted"
SQL = """SELECT 'c' || i AS customer_id, (i * 7919 % 100) / 100.0 AS a, i % 7 AS b,
CAST(i * 7919 % 100 > 50 AS int) AS "left" FROM generate_series(1, 300) i"""
PROGRAM = f"""
import os
import mfprefect
from mfprefect.lifecycle.maintenance import maintain
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from sklearn.linear_model import LogisticRegression

class Planted(mfprefect.Model):
    model_id = "planted"
    entity_id = "customer_id"
    target = "left"
    parts = 2
    retries = 0
    auto_promote = False

    def training_data(self, as_of):
        return self.read({SQL!r}, source="crm")

    def scoring_data(self, as_of, part):
        frame = self.training_data(as_of).drop(columns="left")
        return frame[frame.index % 2 == part - 1]

    def fit(self, features, target):
        if text := os.environ.get("FAIL_WITH"):
            raise (OSError if "away" in text else ValueError)(f"cannot go on with {{text}}")
        return LogisticRegression().fit(features, target)

    def importance(self, estimator, features, target):
        return {{}}

train, score, _ = Planted.flows()

def ends(flow, name, **variables):
    kept = dict(os.environ)
    os.environ.update(variables)
    state = flow(return_state=True)
    os.environ.clear()
    os.environ.update(kept)
    print("ends", flow.name, state.name, "as", name, flush=True)
    assert state.name == name, state

# Joining its thread would make every run a second longer.
with temporary_settings({{PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}}):
    ends(train, "Completed")
    ends(score, "Completed")
    url = os.environ["MFPREFECT_URL"]
    ends(train, "Failed", FAIL_WITH=url)
    ends(train, "Failed", FAIL_WITH=os.environ["AWAY"])
    ends(train, "Failed", FAIL_WITH=os.environ["MFPREFECT_SIGNING_KEY"])
    ends(train, "Failed", FAIL_WITH=os.environ["MFPREFECT_NOTIFY__HOOK__URL"])
    ends(train, "Failed", MFPREFECT_URL=os.environ["REFUSED"])
    ends(train, "Failed", MFPREFECT_SOURCES__CRM__URL=os.environ["REFUSED"])
    ends(train, "Failed", MFPREFECT_URL=url + "x")
    ends(train, "Spooled", MFPREFECT_URL=os.environ["AWAY"])
    ends(score, "Failed", MFPREFECT_URL=os.environ["AWAY"])
    ends(maintain, "Completed")
"""


@pytest.fixture
def planted(
    postgres_login: Callable[[str], AbstractContextManager[str]], tmp_path: Path, prefect_api: str
) -> Iterator[dict[str, str]]:
    """The variables of a process whose settings are full of secrets."""
    away = f"postgresql://u:{MARK}Away@127.0.0.1:1/d"
    with postgres_login(f"{MARK}Database@/%") as url:
        yield os.environ | {
            "PREFECT_API_URL": prefect_api,
            "PREFECT_HOME": str(tmp_path / "home"),
            "PREFECT_LOGGING_LEVEL": "DEBUG",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "mfprefect,sqlalchemy",
            "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
            "MFPREFECT_URL": url,
            "MFPREFECT_RETRY_SECONDS": "0.1",
            "MFPREFECT_CONNECT_TIMEOUT": "0.1",
            "MFPREFECT_SPOOL": str(tmp_path / "spool"),
            "MFPREFECT_SIGNING_KEY": f"{MARK}SigningKeyOfTheTeam",
            "MFPREFECT_SEAL_KEY": f"{MARK}SealKeyOfTheTeamWhichIsLong",
            "MFPREFECT_SOURCES__CRM__URL": url,
            "MFPREFECT_NOTIFY__HOOK__URL": f"json://me:{MARK}Hook@127.0.0.1:1/{MARK}Token",
            "MFPREFECT_NOTIFY__HOOK__EVENTS": '["failed", "succeeded", "spooled"]',
            "AWAY": away,
            "REFUSED": url.replace(f"{MARK}Database", f"{MARK}Wrong"),
        }


def tables(file: Path) -> dict[str, str]:
    """Return the text of every table of Prefect's database."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        names = [
            n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {n: "\n".join(map(repr, connection.execute(f'SELECT * FROM "{n}"'))) for n in names}


def seen(text: str) -> list[str]:
    """Return the places of secrets, with what is around them."""
    places = []
    while (place := text.find(MARK)) >= 0:
        places.append(text[max(0, place - 200) : place + 60])
        text = text[place + len(MARK) :]
    return places


def test_nothing_of_it_is_kept_by_prefect_or_on_disk(
    planted: dict[str, str], tmp_path: Path
) -> None:
    with mfprefect.connect(planted["MFPREFECT_URL"]) as store:
        store.create_schema()
    (tmp_path / "planted.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "planted.py"],
        cwd=tmp_path,
        env=planted,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    file = Path(str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition("///")[2])
    stored = {}
    for _ in range(100):  # the server writes logs and events a moment later
        stored = tables(file)
        if "planted-train" in stored["events"] and "cannot go on" in stored["log"]:
            break
        time.sleep(0.1)
    assert "planted-score" in stored["flow"]
    assert "cannot go on with" in stored["flow_run_state"]
    stored |= {"the output": done.stdout + done.stderr}
    for folder in (tmp_path / "home", tmp_path / "spool"):
        files = [path for path in folder.rglob("*") if path.is_file()]
        stored |= {str(path): path.read_bytes().decode("latin1") for path in files}
    assert any("spool" in name and name.endswith("end.json") for name in stored)
    leaks = {name: seen(text) for name, text in stored.items() if MARK in text}
    assert not leaks, "\n".join(
        f"{name}: {len(p)} times, such as {p[0]!r}" for name, p in leaks.items()
    )
