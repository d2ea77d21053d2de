"""Backups by the databases' own programs: what is restored verifies against a head kept aside."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from upgradekit import files

import mfprefect
from mfprefect import Gate, Store
from mfprefect.cli import cli
from mfprefect_dev.servers import Server
from mfprefect_dev.servers.postgres import Postgres18Server


def sqlite_backup(url: str, copy: str, folder: Path) -> None:
    """As `sqlite3 file .backup`."""
    source, target = (str(sa.make_url(name).database) for name in (url, copy))
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def postgres_backup(url: str, copy: str, folder: Path) -> None:
    # The newest programs: they read and write for older servers.
    programs = Postgres18Server._tree() / "bin"
    plain = [
        sa.make_url(name).set(drivername="postgresql").render_as_string(hide_password=False)
        for name in (url, copy)
    ]
    file = str(folder / "backup.dump")
    dump = [str(programs / "pg_dump"), "--format=custom", f"--file={file}", plain[0]]
    script = str(folder / "backup.sql")
    write = [str(programs / "pg_restore"), f"--file={script}", file]
    for command in (dump, write):
        subprocess.run(command, check=True, capture_output=True)
    # Older servers know no such setting.
    statements = [
        line
        for line in Path(script).read_text("utf-8").splitlines(keepends=True)
        if line != "SET transaction_timeout = 0;\n"
    ]
    restore = [str(programs / "psql"), "--no-psqlrc", "--set=ON_ERROR_STOP=1", plain[1]]
    subprocess.run(restore, input="".join(statements), text=True, check=True, capture_output=True)


def mysql_backup(url: str, copy: str, folder: Path) -> None:
    """By mariadb-dump or mysqldump; where there is none, by our own statements of the same kind."""
    program = shutil.which("mariadb-dump") or shutil.which("mysqldump")
    client = shutil.which("mariadb") or shutil.which("mysql")
    if program is None or client is None:
        files.dump(url, folder)
        files.load(copy, folder)
        return
    given = [sa.make_url(name) for name in (url, copy)]
    place = [f"--host={given[0].host}", f"--port={given[0].port}", f"--user={given[0].username}"]
    env = os.environ | {"MYSQL_PWD": str(given[0].password)}
    options = ["--single-transaction", "--hex-blob", "--triggers"]
    dump = [program, *place, *options, str(given[0].database)]
    text = subprocess.run(dump, check=True, capture_output=True, env=env).stdout
    restore = [client, *place, str(given[1].database)]
    subprocess.run(restore, check=True, capture_output=True, env=env, input=text)


BACKUPS: dict[str, Callable[[str, str, Path], None]] = {
    "sqlite": sqlite_backup,
    "postgres": postgres_backup,
    "mysql": mysql_backup,
}


def history(store: Store) -> None:
    store.create_schema()
    store.add_model("churn")
    with store.session("churn", "train") as training:
        training.log_metrics({"auc": 0.1 + 0.2, "drop": -1e-300})
        training.save_model(bytes(range(256)) * 400)
        training.log_gates([Gate("auc", at_least=0.1)])
    store.promote("churn", training.session_id, reason="the 'first', ä; \\ %")
    score(store)


def score(store: Store) -> str:
    with store.session("churn", "score") as scoring:
        frame = pd.DataFrame(
            {"id": ["a", "A", "ä", "\\N", 'q"'], "score": [0.1, 0.2, 1e-310, 3, 4]}
        )
        scoring.write_scores(frame, "id")
    return scoring.session_id


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, list(arguments))
    return result.exit_code, result.output


@pytest.mark.parametrize("database_url", list(BACKUPS), indirect=True)
def test_what_is_restored_verifies_against_the_head(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> None:
    name = request.node.callspec.params["database_url"]
    server: Server | None = None if name == "sqlite" else request.getfixturevalue(f"{name}_server")
    copy = server.new_database() if server else f"sqlite:///{tmp_path / 'copy.db'}"
    with mfprefect.connect(database_url) as store:
        history(store)
        head = run("audit", "head", "--url", database_url, "--json")[1]
        BACKUPS[name](database_url, copy, tmp_path)
        later = score(store)
        newer = run("audit", "head", "--url", database_url, "--json")[1]
    (tmp_path / "head.json").write_text(head)
    (tmp_path / "newer.json").write_text(newer)
    verify = ("audit", "verify", "--url", copy, "--head")
    assert json.loads(run("audit", "head", "--url", copy, "--json")[1]) == json.loads(head)
    assert run(*verify, str(tmp_path / "head.json"))[0] == 0
    # A head of after the backup tells what the backup lacks.
    code, output = run(*verify, str(tmp_path / "newer.json"))
    assert code == 1
    assert "churn" in output
    with mfprefect.connect(copy) as restored:
        assert later not in set(restored.sessions()["session_id"])
        assert len(restored.sessions()) == 2
        _goes_on(restored)
        _changed_by_hand(restored)
    assert run(*verify, str(tmp_path / "head.json"))[0] == 1
    if server:
        server.drop_database(copy)


def _goes_on(store: Store) -> None:
    (scored,) = store.sessions(purpose="score")["session_id"]
    assert store.scores(scored)["score"].tolist() == [0.2, 3.0, 0.1, 4.0, 1e-310]
    assert store.load_model(str(store.production("churn"))) == bytes(range(256)) * 400
    score(store)
    store.verify()


def _changed_by_hand(store: Store) -> None:
    metrics: Any = store.database.schema.metrics
    store.database.write_transaction(lambda c, _: c.execute(metrics.update().values(value=0.5)))
