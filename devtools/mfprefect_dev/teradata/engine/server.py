"""Throwaway Teradata databases for tests: emulated, or on the real server that a variable names."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import mfprefect
from mfprefect.errors import ConfigurationError
from mfprefect_dev.teradata.engine import faults
from mfprefect_dev.teradata.engine.system import FOLDER

__all__ = ["REAL", "EmulatedTeradata", "RealTeradata", "install"]

REAL = "MFPREFECT_TEST_TERADATA_URL"
"""The variable with the URL of a real server and of a database that tests may fill."""
IN_PLACE = Path(__file__).parents[1] / "driver" / "in_place"
HOST = "emulated"


def install() -> None:
    """Make `import teradatasql` import the emulated driver, in this process and its children.

    Raises:
        ConfigurationError: the real driver is imported already.
    """
    there = sys.modules.get("teradatasql")
    if there is not None and not str(there.__file__).startswith(str(IN_PLACE)):
        raise ConfigurationError(
            f"the real driver is imported already, from {there.__file__}; install the emulated "
            "Teradata before anything imports teradatasql, or set " + REAL
        )
    if str(IN_PLACE) not in sys.path:
        sys.path.insert(0, str(IN_PLACE))
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(IN_PLACE) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(IN_PLACE), *filter(None, paths)])
    if FOLDER not in os.environ:
        root = tempfile.mkdtemp(prefix="mfp-teradata-")
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        os.environ[FOLDER] = root


class EmulatedTeradata:
    """Emulated databases, each in a folder that goes with it."""

    def __init__(self) -> None:
        install()
        self.folder = Path(os.environ[FOLDER]) / HOST
        self.folder.mkdir(exist_ok=True)

    @contextmanager
    def new_database(self, *, schema: bool = False) -> Iterator[str]:
        """Yield the URL of a database: an empty one, or a copy of one with the schema."""
        name = f"mfprefect_test_{secrets.token_hex(6)}"
        if schema:
            shutil.copytree(self._with_schema, self.folder / name)
        try:
            yield f"teradatasql://mfprefect:s3cret@{HOST}/?database={name}"
        finally:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @cached_property
    def _with_schema(self) -> Path:
        """The folder of a database on which `create_schema` ran; it goes with the process."""
        with ExitStack() as stack:
            url = stack.enter_context(self.new_database())
            with mfprefect.connect(url) as store:
                store.create_schema()
            atexit.register(stack.pop_all().close)
        return self._of(url)

    def inject(
        self,
        url: str,
        code: int,
        *,
        times: int = 1,
        moment: str = "request",
        match: str = "",
        skip: int = 0,
    ) -> None:
        """Raise an error in the sessions of a database; see `faults.inject`."""
        where = self._of(url)
        faults.inject(where, code, times=times, moment=moment, match=match, skip=skip)

    def left(self, url: str) -> int:
        """Return how many injected errors have not come yet."""
        return faults.left(self._of(url))

    def forget(self, url: str) -> None:
        """Withdraw the pending injected errors."""
        (self._of(url) / "faults.db").unlink(missing_ok=True)

    def _of(self, url: str) -> Path:
        return self.folder / str(sa.make_url(url).query["database"])


class RealTeradata:
    """A database on a real server; tests create tables under a prefix and drop them."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def new_database(self, *, schema: bool = False) -> Iterator[str]:
        """Yield the server's URL with a prefix in the settings; then drop the prefix's objects."""
        prefix = f"t{secrets.token_hex(4)}_"
        prefix_before = os.environ.get("MFPREFECT_PREFIX")
        os.environ["MFPREFECT_PREFIX"] = prefix
        try:
            if schema:
                with mfprefect.connect(self.url) as store:
                    store.create_schema()
            yield self.url
        finally:
            if prefix_before is None:
                os.environ.pop("MFPREFECT_PREFIX", None)
            else:
                os.environ["MFPREFECT_PREFIX"] = prefix_before
            self._drop(prefix)

    def _ask(self, *requests: str) -> list[Any]:
        """Execute requests directly with the driver; return the rows of the last one."""
        driver = importlib.import_module("teradatasql")
        url = sa.make_url(self.url)
        given = {"host": url.host, "user": url.username, "password": url.password, **url.query}
        if url.port:
            given["dbs_port"] = str(url.port)
        options = json.dumps(given | {"tmode": "ANSI"})
        with driver.connect(options) as connection, connection.cursor() as cursor:
            for request in requests:
                cursor.execute(request)
            return list(cursor.fetchall()) if cursor.description else []

    def objects(self, prefix: str) -> list[tuple[str, str]]:
        """Return the names and kinds of objects with a prefix, views first."""
        rows = self._ask(
            "SELECT TableName, TableKind FROM DBC.TablesV "
            "WHERE DatabaseName (NOT CASESPECIFIC) = DATABASE (NOT CASESPECIFIC) "
            "AND TableKind IN ('T', 'O', 'V')"
        )
        objects = [(str(name).strip(), str(kind).strip()) for name, kind in rows]
        prefixed = [pair for pair in objects if pair[0].lower().startswith(prefix)]
        return sorted(prefixed, key=lambda pair: pair[1] != "V")

    def _drop(self, prefix: str) -> None:
        for name, kind in self.objects(prefix):
            self._ask(f'DROP {"VIEW" if kind == "V" else "TABLE"} "{name}"')
