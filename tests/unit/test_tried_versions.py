"""Which versions of libraries were tried: what the doctor says, and what it takes it from."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from mfprefect.cli.commands.doctor import libraries

ROOT = Path(__file__).parents[2]


def install(folder: Path, name: str, version: str) -> None:
    """Give a folder of Python's path the metadata of a library."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    importlib.invalidate_caches()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_newer_than_any_that_was_tried(folder: Path) -> None:
    install(folder, "prefect", "3.99.0")
    (result,) = libraries.libraries(None)
    tried = libraries.tried_versions()["prefect"]
    assert result.status == "warning"
    assert f"prefect 3.99.0 ({tried.lowest} to {tried.highest})" in result.detail


def test_older_than_it_may_be(folder: Path) -> None:
    install(folder, "pandas", "1.5.3")
    results = {result.status: result for result in libraries.libraries(None)}
    assert "pandas 1.5.3" in results["failed"].detail
    assert results["failed"].cure == f"pip install 'pandas>={lowest_of('pandas')}'"


@pytest.mark.parametrize("name", ["prefect", "sqlalchemy", "pandas", "psycopg2-binary", "skops"])
def test_ranges_begin_at_the_minimum_and_end_at_the_pin(name: str) -> None:
    tried = libraries.tried_versions()[name]
    pins = dict(
        line.lower().split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    assert tried.highest == Version(pins[name])
    assert tried.lowest == Version(lowest_of(name)) <= tried.highest


def test_what_only_tests_need_is_no_concern_of_users() -> None:
    assert not {"pytest", "mypy", "hypothesis", "aiosmtpd"} & set(libraries.tried_versions())


def lowest_of(name: str) -> str:
    """Return what `make test-libraries` installs of a library as its lowest version."""
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        run_libraries = importlib.import_module("run_libraries")
    finally:
        sys.path.pop(0)
    pins = dict(pin.split("==") for pin in run_libraries.lowest())
    versions = {Requirement(key).name.lower(): value for key, value in pins.items()}
    return str(versions[name])
