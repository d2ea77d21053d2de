from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mfprefect

NAMES = [
    "AlreadyPromoted",
    "ArtifactCorrupt",
    "ArtifactUntrusted",
    "BackendNotFound",
    "ChecksFailed",
    "CommandFailed",
    "CommandModel",
    "ConfigurationError",
    "DatabaseConflict",
    "DatabaseError",
    "DatabaseUnavailable",
    "Gate",
    "GateFailed",
    "IntegrityError",
    "InvalidScores",
    "InvalidValue",
    "MfprefectError",
    "Model",
    "NotReproducible",
    "PermissionDenied",
    "SchemaOutdated",
    "SealBroken",
    "Session",
    "SessionClosed",
    "Settings",
    "SpoolRefused",
    "SpoolUnusable",
    "Store",
    "UnknownModel",
    "UnknownSession",
    "__version__",
    "connect",
    "metric",
]
DRIVERS = ["psycopg2", "psycopg", "pymysql", "MySQLdb", "teradatasql"]
HEAVY = ["prefect", "pandas", "numpy", "pyarrow", "sqlalchemy", "pydantic", "alembic"]


def loaded(code: str, names: list[str], folder: Path) -> str:
    """Return which of the modules a fresh interpreter has loaded after running some code."""
    script = f"import sys\n{code}\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    assert loaded("import mfprefect", HEAVY + DRIVERS, tmp_path) == ""


def test_naming_an_error_loads_nothing_heavy(tmp_path: Path) -> None:
    assert loaded("from mfprefect import InvalidScores", HEAVY + DRIVERS, tmp_path) == ""


def test_connecting_loads_neither_prefect_nor_a_driver_that_is_not_used(tmp_path: Path) -> None:
    code = "import mfprefect\nmfprefect.connect('sqlite:///f.db').create_schema()"
    assert loaded(code, ["sqlite3", "prefect", *DRIVERS], tmp_path) == "sqlite3"


def test_the_public_names_are_these() -> None:
    assert sorted(mfprefect.__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_resolves(name: str) -> None:
    value = getattr(mfprefect, name)
    assert name == "__version__" or value.__name__ == name
    assert name in dir(mfprefect)


def test_an_unknown_name_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'mfprefect' has no attribute 'Modle'"):
        mfprefect.Modle  # noqa: B018 - the access is what is tested
