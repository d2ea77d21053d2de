"""A fourth database, as a third party would add it: one module and one entry point.

The toy keeps its tables in a SQLite file, but shares no line with our SQLite backend.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mfprefect
from mfprefect.backend import installed_backends
from mfprefect.provenance import environment
from mfprefect.testing.contract import *  # noqa: F403

MODULE = """
import contextlib, sqlite3
import sqlalchemy as sa
from mfprefect.backend import WRITE_OPTION, Backend
from mfprefect.errors import DatabaseConflict, DatabaseError, IntegrityError
from mfprefect.schema import Double, UtcDay
from sqlalchemy.ext.compiler import compiles


@compiles(Double, "sqlite")
def double(element, compiler, **options):
    return "DOUBLE_BLOB"  # a REAL column has no -0.0


@compiles(UtcDay, "sqlite")
def utc_day(element, compiler, **options):
    return f"date({compiler.process(element.clauses, **options)})"  # CAST would give the year


class ToyBackend(Backend):
    name = "toy"
    drivername = "sqlite+pysqlite"
    driver = "sqlite3"

    def engine_options(self):
        return {"connect_args": {"timeout": 30}}

    def configure(self, engine):
        @sa.event.listens_for(engine, "connect")
        def connect(connection, _):
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode = WAL")  # writers do not wait for readers

        @sa.event.listens_for(engine, "begin")
        def begin(connection):
            write = connection.get_execution_options().get(WRITE_OPTION)
            how = "BEGIN IMMEDIATE" if write else "BEGIN"
            connection.connection.dbapi_connection.execute(how)

    def lock(self, connection):
        return contextlib.nullcontext()

    def classify(self, error):
        if isinstance(error.orig, sqlite3.IntegrityError):
            return IntegrityError
        busy = "locked" in str(error.orig)
        return DatabaseConflict if busy else DatabaseError
"""


@pytest.fixture(scope="module", autouse=True)
def toy_package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the package as pip would lay it out."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "toy_backend.py").write_text(MODULE)
    info = folder / "toy_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mfprefect.backends]\ntoy = toy_backend:ToyBackend\n")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("toy_backend", None)
    environment.cache_clear()  # later sessions of this process must not record the toy


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"toy:///{tmp_path / 'toy.db'}"


def test_the_toy_is_found_by_its_entry_point(store: mfprefect.Store) -> None:
    assert "toy" in installed_backends()
    assert type(store.database.backend).__module__ == "toy_backend"
