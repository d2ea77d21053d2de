"""docs/dba.md describes tables, indexes, pools and limits as they are."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa

from mfprefect.backend import backend_for
from mfprefect.quality.metrics.curve import MAX_POINTS
from mfprefect.schema import Schema
from mfprefect.settings import load_settings
from mfprefect_backends import _mysql_comments, postgres

PAGE = (Path(__file__).parents[2] / "docs" / "dba.md").read_text()
URLS = {
    "PostgreSQL": "postgresql://h/d",
    "MySQL, MariaDB": "mysql://h/d",
    "SQLite": "sqlite:///file.db",
    "Teradata": "teradatasql://h/?database=d",
}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_table_is_listed_with_its_key() -> None:
    listed = {cells[0].strip("` "): cells[1].strip("` ") for cells in rows("What is created")}
    tables = Schema().tables
    keys = {name: ", ".join(c.name for c in table.primary_key) for name, table in tables.items()}
    assert listed == keys
    assert list(listed) == list(tables)


def test_every_index_is_listed_with_its_columns() -> None:
    listed = {(cells[0].strip("` "), cells[1].strip("` ")) for cells in rows("Indexes, and why")}
    indexes = set()
    for table in Schema().tables.values():
        items: list[sa.Index | sa.UniqueConstraint] = [*table.indexes]
        items += (c for c in table.constraints if isinstance(c, sa.UniqueConstraint))
        for index in items:
            columns = ", ".join(column.name for column in index.columns)
            indexes.add((str(index.name or "unique"), f"{table.name} ({columns})"))
    assert listed == indexes
    assert all(len(cells[2]) > 20 for cells in rows("Indexes, and why"))


def test_the_pools_are_those_of_the_engines() -> None:
    listed = {cells[0]: (int(cells[1]), int(cells[2])) for cells in rows("Connections")}
    pools = {}
    for name, url in URLS.items():
        pool = backend_for(load_settings(url=url)).create_engine().pool
        assert isinstance(pool, sa.QueuePool)
        pools[name] = (pool.size(), pool._max_overflow)
    assert listed == pools


def test_the_limits_are_those_of_the_code() -> None:
    settings = load_settings(url="sqlite://")
    assert f"`connect_timeout`, {settings.connect_timeout:g} s" in PAGE
    assert f"`retry_seconds`, {settings.retry_seconds:g} s" in PAGE
    assert "'500ms'" in postgres._GIVE_UP_SOON
    assert f"{_mysql_comments.WAIT_SECONDS} s (MySQL, MariaDB)" in PAGE
    assert f"at most {postgres.OWN_TABLES} of" in PAGE
    assert f"at most {MAX_POINTS:,} |" in PAGE
