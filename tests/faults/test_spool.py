"""A database that stops in the middle of runs, and stays away until they have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect.testing.contract.helpers import fill, orphans
from mfprefect_dev.servers import Server

QUICK: dict[str, Any] = {"retry_seconds": 0.5, "heartbeat_seconds": 600}
ROWS = 150_000

PUSH = """
import os, signal, sys
import mfprefect
from mfprefect.store.spool import entry_import

original, count = entry_import.apply, 0

def apply(*args):
    global count
    original(*args)
    count += 1
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)

entry_import.apply = apply
with mfprefect.connect(sys.argv[1]) as store:
    store.push_spool()
"""


def scores(count: int = ROWS) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"c{n:07d}" for n in range(count)], "score": 0.25})


def test_runs_whose_database_stops_lose_nothing(
    database_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its opening, in the middle and at the end; the first push is killed half-way."""
    if not database_server.private:
        pytest.fail("needs a private server: unset MFPREFECT_TEST_*_URL")
    monkeypatch.setenv("MFPREFECT_SPOOL", str(tmp_path))
    url = database_server.new_database()
    with mfprefect.connect(url, **QUICK) as store:
        store.create_schema()
        store.add_model("churn")
        middle, closing = (store.session("churn", purpose="score") for _ in range(2))
        middle.write_scores(scores(1_000), entity_id="id")
        fill(closing)
        closing.flush()
        database_server.kill()
        try:
            with store.session("churn", purpose="train") as opening:
                fill(opening)
            middle.write_scores(scores()[1_000:], entity_id="id")
            middle.log_metrics({"rows_scored": ROWS})
            middle.save_model(b"model")
            middle.close()
            closing.close()
        finally:
            database_server.restart()
        runs = [opening, middle, closing]
        assert [run.status for run in runs] == ["spooled"] * 3
        assert store.show(middle.session_id)["status"].tolist() == ["running"]
        assert count(store, "published_scores") == 0
        done = subprocess.run([sys.executable, "-c", PUSH, url], check=False, env=os.environ)
        assert done.returncode == -signal.SIGKILL
        assert count(store, "published_scores") in (0, 2)
        with store.session("churn"):  # delivers them before it opens
            pass
        for run in runs:
            assert store.show(run.session_id)["status"].tolist() == ["succeeded"]
        assert len(store.sessions()) == 4
        assert store.score_parts(middle.session_id)["rows"].sum() == ROWS
        assert count(store, "published_scores") == ROWS + 4
        assert store.load_model(middle.session_id) == b"model"
        assert store.load_model(opening.session_id) == b"a model of another language"
        assert store.push_spool().empty
        assert orphans(store) == {}
    database_server.drop_database(url)


def test_a_server_that_is_read_only_for_a_while_is_away(
    database_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the one that was failed over from."""
    monkeypatch.setenv("MFPREFECT_SPOOL", str(tmp_path))
    created = database_server.new_database()
    url = sa.make_url(created)
    mysql = database_server.backend == "mysql"
    name = f"{url.database}_u"[-30:]
    admin = sa.create_engine(database_server.admin_url, isolation_level="AUTOCOMMIT")

    def command(*statements: str) -> None:
        with admin.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    if mysql:  # the superuser may write all the same
        command(
            f"CREATE USER {name} IDENTIFIED BY 'pw'", f"GRANT ALL ON {url.database}.* TO {name}"
        )
        url = url.set(username=name, password="pw")
        switch = "SET GLOBAL read_only = {}"
    else:
        switch = f"ALTER DATABASE {url.database} SET default_transaction_read_only = {{}}"
    with mfprefect.connect(url.render_as_string(hide_password=False), **QUICK) as store:
        store.create_schema()
        store.add_model("churn")
        try:
            with store.session("churn") as session:
                command(switch.format("ON"))
                store.database.engine.dispose()
                fill(session)
            assert session.status == "spooled"
        finally:
            command(switch.format("OFF"))
        store.database.engine.dispose()
        assert store.push_spool()["verdict"].tolist() == ["delivered"]
        assert store.show(session.session_id)["status"].tolist() == ["succeeded"]
    database_server.drop_database(created)
    if mysql:
        command(f"DROP USER {name}")
    admin.dispose()


def count(store: mfprefect.Store, view: str) -> int:
    table = sa.table(view, schema=store.database.schema.layout.schema)
    return int(store.database.fetch_all(sa.select(sa.func.count()).select_from(table))[0][0])
