"""A pytest plugin for tests of models: `addopts = -p mfprefect.testing.plugin` loads it.

It is not an entry point: installing mfprefect must not change how other tests of a project run.
Once loaded, it removes settings of Prefect and mfprefect from the environment, so that no test
reaches the team's server or database. Sources and trusted types stay, because models use them. What
`mf_sample` in pytest.ini names replaces sources of mfprefect.toml.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mfprefect.util.removal import remove_folder

if TYPE_CHECKING:
    import mfprefect
    from mfprefect.testing.models import TrainedModel

__all__ = ["mf_model", "mf_server", "mf_store"]

MODEL_SETTINGS = ("MFPREFECT_SOURCES", "MFPREFECT_DEFAULT_SOURCE", "MFPREFECT_TRUSTED_TYPES")
TEST_SETTINGS = "MFPREFECT_TEST_"
_SAMPLED = pytest.StashKey[str]()
"""The sources that tests read from files."""
_models: dict[object, TrainedModel] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Isolate the tests before the first conftest.py imports a flow, and with it Prefect."""
    for name in list(os.environ):
        keep = name.startswith((*MODEL_SETTINGS, TEST_SETTINGS))
        if name.startswith(("PREFECT_", "MFPREFECT_")) and not keep:
            del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="mfp-prefect-"))
    atexit.register(remove_folder, home, home.parent)
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of pytest.ini for the sources of tests."""
    text = "folders with a folder for each source, with a file for each of its tables"
    parser.addini("mf_sample", text, type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Let models read the sample instead of sources that only production reaches."""
    folders = [folder for folder in config.getini("mf_sample") if folder.is_dir()]
    if not folders:
        return
    from mfprefect.testing import sample

    place = Path(tempfile.mkdtemp(prefix="mfp-sample-"))
    atexit.register(remove_folder, place, place.parent)
    urls: dict[str, str] = {}
    for number, folder in enumerate(folders):
        (place / str(number)).mkdir()
        urls |= sample.sample_urls(folder, place / str(number))
    os.environ[sample.VARIABLE] = sample.sources_variable(urls)
    if any(url in os.environ[sample.VARIABLE] for url in urls.values()):
        config.stash[_SAMPLED] = ", ".join(sorted(urls))
        row_counts = ExitStack()
        row_counts.enter_context(sample.without_row_counts())
        config.add_cleanup(row_counts.close)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what the tests read, and what is not judged on it."""
    if (sources := config.stash.get(_SAMPLED, None)) is None:
        return None
    return f"mfprefect: {sources} read from `mf_sample`, on which RowCount checks judge nothing"


@pytest.fixture
def mf_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[mfprefect.Store]:
    """An empty store in an SQLite file, which flows find in their settings."""
    import mfprefect

    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'store.db'}")
    with mfprefect.connect() as store:
        store.create_schema()
        yield store


@pytest.fixture(scope="session")
def mf_server() -> Iterator[str]:
    """The API URL of a Prefect server for the tests; it takes some seconds to start."""
    from mfprefect.testing.prefect_server import temporary_server

    with temporary_server() as url:
        yield url


@pytest.fixture(scope="class")
def mf_model(request: pytest.FixtureRequest) -> TrainedModel:
    """The model under test, trained once: `model` of the test class, or `MODEL` of the module.

    Its date is `as_of` of the class, or `AS_OF` of the module, by default today.
    """
    from mfprefect.testing.models import TrainedModel

    model_class = getattr(request.cls, "model", None) or getattr(request.module, "MODEL", None)
    if model_class is None:
        raise pytest.UsageError(
            f"mf_model has no model for {request.node.nodeid}: set `model = YourModel` in the "
            "test class, or `MODEL = YourModel` in the module."
        )
    as_of = getattr(request.cls, "as_of", None) or getattr(request.module, "AS_OF", None)
    if (model_class, as_of) not in _models:
        _models[model_class, as_of] = TrainedModel(model_class, as_of)
    return _models[model_class, as_of]
