"""Sources of tests: small files in the repository, as tables of an SQLite database a source."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError
from mfprefect.inputs.reader import Reader
from mfprefect.quality.checks.base import RowCount

__all__ = ["HINT", "VARIABLE", "sample_urls", "sources_variable", "without_row_counts"]

VARIABLE = "MFPREFECT_SOURCES"
HINT = (
    "These tests read the files of `mf_sample` (pytest.ini) as tables of SQLite: "
    "SOURCE/TABLE.csv or SOURCE/SCHEMA/TABLE.csv. "
    "`MFPREFECT_SOURCES__<SOURCE>__URL=.. pytest` reads the source itself."
)
_schemas: dict[str, dict[str, Path]] = {}
"""The databases of the schemas of a source, by the file of its own tables."""


def sample_urls(sample: Path, databases: Path) -> dict[str, str]:
    """Write the files of a folder into SQLite databases; return their URLs by source.

    Args:
        sample: holds a folder for each source, with a file for each table: `warehouse/sales.csv`
            is the table `sales` of the source `warehouse`, and `warehouse/crm/people.csv` its
            table `crm.people`. A missing folder holds no source.
        databases: the folder to write the databases into.

    Raises:
        ConfigurationError: a file cannot be read as a table.
    """
    return {
        folder.name: _source(folder, databases)
        for folder in sorted(sample.glob("*/"))
        if any(map(any, map(_tables, (folder, *_folders(folder)))))
    }


def _source(folder: Path, databases: Path) -> str:
    file = databases / f"{folder.name}.db"
    schemas = {part.name: databases / f"{folder.name}.{part.name}.db" for part in _folders(folder)}
    for part, its_file in ((folder, file), *zip(_folders(folder), schemas.values(), strict=True)):
        _write(part, its_file)
    if schemas:
        _schemas[str(file.resolve())] = schemas
        if not sa.event.contains(sa.Pool, "connect", _attach):
            sa.event.listen(sa.Pool, "connect", _attach)
    return f"sqlite:///{file}"


def _attach(connection: Any, _: object) -> None:
    """Give a connection to the database of a source the schemas of that source."""
    if type(connection).__module__ != "sqlite3":
        return
    file = connection.execute("PRAGMA database_list").fetchone()[2]
    for name, schema in _schemas.get(file, {}).items():
        quoted = name.replace('"', '""')
        connection.execute(f'ATTACH DATABASE ? AS "{quoted}"', [str(schema)])


def sources_variable(urls: Mapping[str, str]) -> str:
    """Return MFPREFECT_SOURCES with these sources; those that the environment names stay."""
    configured = {}
    with suppress(ValueError):
        configured = json.loads(os.environ.get(VARIABLE) or "{}")
    named = {name.upper() for name in os.environ}
    missing = {
        source: {"url": url}
        for source, url in urls.items()
        if f"{VARIABLE}__{source}__URL".upper() not in named
    }
    return json.dumps(missing | configured)


@contextmanager
def without_row_counts() -> Iterator[None]:
    """Let `RowCount` judge nothing: a sample has fewer rows than the table it stands for."""
    RowCount.judged = False
    try:
        yield
    finally:
        RowCount.judged = True


def _tables(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != ".")


def _folders(folder: Path) -> list[Path]:
    return [part for part in sorted(folder.glob("*/")) if part.name[0] != "."]


def _write(folder: Path, file: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    for path in _tables(folder):
        table = path.name.partition(".")[0]
        try:
            # Integers of a column with NULL stay integers, as in the table they stand for.
            frame = Reader().read(str(path), dtype_backend="numpy_nullable")
            frame.to_sql(table, engine, index=False)
        except (OSError, ValueError, sa.exc.SQLAlchemyError) as exc:
            raise ConfigurationError(f"{path} is no table for tests: {exc}") from exc
    engine.dispose()
