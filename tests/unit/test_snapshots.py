"""What the store says to each database, statement by statement, side by side.

A change of a statement shows in `snapshots/`, for a person to read. Written anew by

    MFPREFECT_TEST_SNAPSHOTS=write pytest tests/unit/test_snapshots.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.backend import Backend, backend_for
from mfprefect.settings import load_settings
from mfprefect.store.database.schema_script import schema_script
from mfprefect_backends.teradata.access import with_access_locks

FOLDER = Path(__file__).parent / "snapshots"
WRITE = os.environ.get("MFPREFECT_TEST_SNAPSHOTS") == "write"
URLS = {
    "sqlite": "sqlite:///mfprefect.db",
    "postgres": "postgresql://user@host/database",
    "mysql": "mysql://user@host/model_factory",
    "teradata": "teradatasql://user@host/?database=model_factory",
}


@pytest.fixture(scope="module")
def backends() -> dict[str, Backend]:
    return {name: backend_for(load_settings(url=url)) for name, url in URLS.items()}


@pytest.fixture
def store() -> Any:
    with mfprefect.connect("sqlite://", heartbeat_seconds=600) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened


def _train(store: Store) -> str:
    with store.session("churn", purpose="train", params={"depth": 6}) as session:
        session.log_metrics({"auc": 0.9})
        session.save_model(b"a model of another language")
    return session.session_id


def _score(store: Store) -> str:
    frame = pd.DataFrame({"id": ["a", "b"], "score": [0.1, 0.2]})
    with store.session("churn", purpose="score") as session:
        session.write_scores(frame, entity_id="id")
    return session.session_id


def _deleting(store: Store) -> Callable[[], Any]:
    session_id = _score(store)
    return lambda: store.delete_session(session_id)


def _promoting(store: Store) -> Callable[[], Any]:
    session_id = _train(store)
    return lambda: store.promote("churn", session_id, override="it is known")


def _reading(store: Store) -> Callable[[], Any]:
    session_id = _score(store)
    return lambda: (
        store.scores(session_id),
        store.scores(session_id, entity_ids=["a"], at_least=0.05),
        store.latest_scores("churn", "a"),
        store.score_histogram(session_id, bins=3),
    )


def _listing(store: Store) -> Callable[[], Any]:
    session_id = _train(store)
    return lambda: (
        store.models(),
        store.sessions("churn", status="succeeded", limit=20),
        store.metrics(session_id),
        store.production("churn"),
    )


OPERATIONS: dict[str, Callable[[Store], Callable[[], Any]]] = {
    "registering_a_model": lambda store: lambda: store.add_model("fraud"),
    "training": lambda store: lambda: _train(store),
    "scoring": lambda store: lambda: _score(store),
    "reading_scores": _reading,
    "listing": _listing,
    "promoting": _promoting,
    "renaming_a_model": lambda store: lambda: store.rename_model("churn", "leavers"),
    "deleting_a_session": _deleting,
    "reconciling": lambda store: lambda: store.reconcile(),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_statements_are_those_that_were_read(
    store: Store, backends: dict[str, Backend], operation: str
) -> None:
    run, said = OPERATIONS[operation](store), dict[str, _Said]()

    def hear(_: Any, statement: Any, many: Any, params: Any, options: Any) -> None:
        if isinstance(statement, sa.ClauseElement):
            keys = [*(many[0] if many else params)] or None
            if isinstance(statement, sa.Select):
                statement = statement.params(params)
            call = _Said(statement, keys, len(many) > 1, dict(options))
            said.setdefault(call.text("sqlite", backends["sqlite"]), call)

    sa.event.listen(store.database.engine, "before_execute", hear)
    run()
    blocks = []
    for number, call in enumerate(said.values(), start=1):
        texts: dict[str, list[str]] = {}
        for name, backend in backends.items():
            texts.setdefault(call.text(name, backend), []).append(name)
        blocks.append(f"-- {number} of {len(said)}")
        blocks += [f"-- {', '.join(names)}\n{text};" for text, names in texts.items()]
    _compare(f"{operation}.sql", "\n\n".join(blocks) + "\n")


class _Said(NamedTuple):
    """One statement that the store executed."""

    statement: Any
    keys: list[str] | None
    many: bool
    options: dict[str, Any]

    def text(self, name: str, backend: Backend) -> str:
        """Return it as a database gets it; parameters are written as question marks."""
        compiled = self.statement.compile(
            dialect=backend.dialect(),
            column_keys=self.keys,
            for_executemany=self.many,
            compile_kwargs={"render_postcompile": isinstance(self.statement, sa.Select)},
        )
        marks = r"__\[POSTCOMPILE_\w+\]|%\(\w+\)s|(?<![:\w]):\w+|%s"
        text = re.sub(marks, "?", str(compiled))
        if name == "teradata":
            text = with_access_locks(text, self.options)
        return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("name", URLS)
def test_the_schema_is_the_one_that_was_read(backends: dict[str, Backend], name: str) -> None:
    _compare(f"schema_{name}.sql", schema_script(backends[name]))


def _compare(file: str, text: str) -> None:
    path = FOLDER / file
    if WRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, (
        f"{path.name} says otherwise: read the difference, and write the snapshots anew with "
        "MFPREFECT_TEST_SNAPSHOTS=write pytest tests/unit/test_snapshots.py"
    )
