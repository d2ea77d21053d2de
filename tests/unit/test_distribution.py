"""The wheel holds what users need and nothing else; the sdist also holds what the tests need."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel and an sdist built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    return folder


def test_the_wheel_holds_the_packages_and_no_development_tools(distributions: Path) -> None:
    (path,) = distributions.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        code = {name: wheel.read(name).decode() for name in names if name.endswith(".py")}
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"mfprefect", "mfprefect_backends"}
    assert "mfprefect/py.typed" in names
    assert [name for name, text in code.items() if "mfprefect_dev" in text] == []


def test_the_sdist_holds_the_development_tools(distributions: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    tools = {str(file.relative_to(ROOT)) for file in (ROOT / "devtools").rglob("*.py")}
    assert len(tools) > 30
    assert tools <= names
    assert "tests/unit/test_distribution.py" in names
