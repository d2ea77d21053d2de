"""Readers of the previous minor version go on reading the views, during an upgrade and after it.

`readers` holds databases as that version left them, what it sends for a reader, and the rows that
came back: see `make_readers.py`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from upgradekit import answers, files, inside

import mfprefect
from mfprefect import Store
from mfprefect.backend import backend_for
from mfprefect.settings import load_settings
from mfprefect.testing.contract.helpers import wrong_comments

FOLDER = Path(__file__).parent / "readers"


class Reader(threading.Thread):
    """Sends what the previous version sends, again and again."""

    def __init__(self, url: str, requests: list[dict[str, Any]]) -> None:
        super().__init__()
        self.url, self.requests = url, requests
        self.rounds, self.stopping = 0, threading.Event()
        self.began = threading.Event()
        self.problems: list[str] = []

    def run(self) -> None:
        engine = backend_for(load_settings(url=self.url)).create_engine()
        try:
            while not self.stopping.is_set() and not self.problems:
                self.problems = changed(engine, self.requests)
                self.rounds += 1
                self.began.set()
        except Exception as exc:  # noqa: BLE001 - whatever a reader would have met
            self.problems.append(repr(exc))
        self.began.set()
        engine.dispose()

    def read_twice_more(self) -> None:
        """Wait until everything was read after now."""
        until = self.rounds + 2
        while self.rounds < until and not self.problems:
            self.stopping.wait(0.05)


def changed(engine: sa.Engine, requests: list[dict[str, Any]]) -> list[str]:
    """Return the statements that return other rows than they did."""
    problems = []
    for request in requests:
        parameters = request["parameters"]
        given = parameters if isinstance(parameters, dict) else tuple(parameters)
        with engine.connect() as connection:
            result = connection.exec_driver_sql(request["statement"], given)
            rows = answers.plain(sorted(([*row] for row in result), key=repr))
        if list(answers.problems(request["rows"], rows)):
            problems.append(f"{request['statement']}: {request['rows']} became {rows}")
    return problems


def test_readers_of_the_version_before_go_on(
    request: pytest.FixtureRequest, database_url: str
) -> None:
    if "teradata_real" in request.node.name:
        pytest.skip("the files are those of an emulated Teradata")
    name = files.KINDS[sa.make_url(database_url).get_backend_name()]
    recorded = files.read(FOLDER / f"{name}.requests.gz")
    files.load(database_url, FOLDER)
    assert recorded["revision"] != inside.revision()
    assert len(recorded["requests"]) > 20
    requests = recorded["requests"]
    if name == "mariadb" and not is_mariadb(database_url):
        # That version's gate_history, recorded on MariaDB, could not be read on MySQL.
        requests = [x for x in requests if "gate_history" not in x["statement"]]
        assert len(requests) > 20
    readers = [Reader(database_url, requests) for _ in range(2)]
    for reader in readers:
        reader.start()
    with mfprefect.connect(database_url, retry_seconds=60) as store:
        for reader in readers:
            assert reader.began.wait(60)
        rounds = [reader.rounds for reader in readers]
        store.create_schema()
        assert wrong_comments(store) == {}
        after = [reader.rounds for reader in readers]
        while any(
            r.rounds < count + 2 and not r.problems for r, count in zip(readers, after, strict=True)
        ):
            readers[0].stopping.wait(0.05)
        for reader in readers:
            reader.stopping.set()
            reader.join()
        assert [problem for reader in readers for problem in reader.problems] == []
        assert all(reader.rounds > count for reader, count in zip(readers, rounds, strict=True))
        _writes_on(store)


def is_mariadb(url: str) -> bool:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return bool(getattr(connection.dialect, "is_mariadb", False))


def _writes_on(store: Store) -> None:
    """Nothing of the old database is in the way of new sessions."""
    with store.session("churn") as session:
        session.log_metrics({"auc": 0.8})
    assert store.metrics(session.session_id)["value"].tolist() == [0.8]
    store.verify()
