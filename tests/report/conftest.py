"""Sessions of every kind to report, and a real browser without a window to look at reports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

import mfprefect
from mfprefect_dev.browser_page import Browser, running_browser
from mfprefect_dev.sample_sessions import HOSTILE, Examples, fill


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser of our own, shared by the tests of a process."""
    with running_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    """A store with sessions of every kind; nothing here changes it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('report') / 'store.db'}"
    with mfprefect.connect(url) as store:
        store.create_schema()
        store.add_model("churn", "who leaves", entity_type="customer", max_age=dt.timedelta(days=1))
        yield Examples(store, url, fill(store))


@pytest.fixture(scope="session")
def hostile_text() -> str:
    return HOSTILE
