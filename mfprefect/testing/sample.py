"""Sources of tests: small files in the repository, as tables of an SQLite database a source."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError
from mfprefect.inputs.reader import Reader

__all__ = ["VARIABLE", "sample_urls", "sources_variable"]

VARIABLE = "MFPREFECT_SOURCES"


def sample_urls(sample: Path, databases: Path) -> dict[str, str]:
    """Write the files of a folder into SQLite databases; return their URLs by source.

    Args:
        sample: holds a folder for each source, with a file for each table: `warehouse/sales.csv`
            is the table `sales` of the source `warehouse`. A missing folder holds no source.
        databases: the folder to write the databases into.

    Raises:
        ConfigurationError: a file cannot be read as a table.
    """
    return {
        folder.name: _database(folder, databases / f"{folder.name}.db")
        for folder in sorted(sample.glob("*/"))
        if any(_tables(folder))
    }


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


def _tables(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != ".")


def _database(folder: Path, file: Path) -> str:
    url = f"sqlite:///{file}"
    engine = sa.create_engine(url)
    for path in _tables(folder):
        table = path.name.partition(".")[0]
        try:
            Reader().read(str(path)).to_sql(table, engine, index=False)
        except (OSError, ValueError, sa.exc.SQLAlchemyError) as exc:
            raise ConfigurationError(f"{path} is no table for tests: {exc}") from exc
    engine.dispose()
    return url
