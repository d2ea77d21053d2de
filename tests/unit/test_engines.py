"""What a process keeps of a closed store for its next one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.store.database import engine_cache


@pytest.fixture(autouse=True)
def no_idle_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cache, "_idle", {})


@pytest.fixture
def url(tmp_path: Path) -> str:
    database_url = f"sqlite:///{tmp_path / 'a.db'}"
    with mfprefect.connect(database_url) as store:
        store.create_schema()
        store.add_model("churn", "who leaves")
    return database_url


def engine_of(store: Store) -> sa.Engine:
    return store.database.engine


def test_the_next_store_of_the_same_settings_has_the_engine(url: str) -> None:
    with mfprefect.connect(url) as first:
        first.models()
    with mfprefect.connect(url) as second:
        assert list(second.models()["model_id"]) == ["churn"]
        assert engine_of(second) is engine_of(first)


def test_nothing_stays_connected(url: str, tmp_path: Path) -> None:
    with mfprefect.connect(url) as store:
        store.models()
        assert (tmp_path / "a.db-wal").exists()
    # The last connection of a SQLite database takes its log along.
    assert not (tmp_path / "a.db-wal").exists()
    (tmp_path / "a.db").unlink()
    with (
        mfprefect.connect(url) as store,
        pytest.raises(mfprefect.SchemaOutdated, match="no mfprefect schema"),
    ):
        store.models()


def test_stores_that_are_open_at_once_share_no_engine(url: str) -> None:
    stores: list[Store] = []
    ready = threading.Barrier(8)

    def connect() -> None:
        ready.wait()
        stores.append(mfprefect.connect(url))

    mfprefect.connect(url).close()
    threads = [threading.Thread(target=connect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(engine_of(store)) for store in stores}) == 8
    for store in stores:
        store.close()
    assert len(engine_cache._idle) == engine_cache.MAX_IDLE


def test_closing_twice_hands_an_engine_out_once(url: str) -> None:
    first = mfprefect.connect(url)
    first.close()
    second = mfprefect.connect(url)
    first.close()
    with mfprefect.connect(url) as third:
        assert engine_of(third) is not engine_of(second)
    second.close()


def test_other_settings_have_another_engine(url: str) -> None:
    with mfprefect.connect(url) as first:
        pass
    with mfprefect.connect(url, connect_timeout=1) as second:
        assert engine_of(second) is not engine_of(first)


def test_a_store_in_memory_is_gone_with_it() -> None:
    with mfprefect.connect("sqlite://") as first:
        first.create_schema()
    with mfprefect.connect("sqlite://") as second, pytest.raises(mfprefect.SchemaOutdated):
        second.models()
