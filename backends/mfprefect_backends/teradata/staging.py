"""Staging tables: made for one load, dropped when its connection returns to the pool.

Their names tell when they were made, for what a killed process has left: `<table>_stage_`, eight
hex digits of seconds since 1970, eight random ones.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from mfprefect_backends.teradata import codes

__all__ = ["Staging", "drop_old", "like", "named", "suffixed"]

log = logging.getLogger(__name__)

_LEFT = "mfprefect_staged"
STATISTICS_SECONDS = 600
"""How often one process has them refreshed; the server leaves out what changed too little."""
OLD_SECONDS = 86_400
"""From when on a table is nobody's, whatever the clocks of machines say: a load takes minutes."""


def like(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> sa.Table:
    """Return a table for these rows: as their target, without its partitions and indexes."""
    name = f"{table.name[:90]}_stage_{int(time.time()):08x}{secrets.token_hex(4)}"
    keys = {column.name: column.key for column in table.columns}
    columns = [
        sa.Column(c.name, c.type, nullable=c.nullable, autoincrement=False)
        for c in (table.columns[keys[column]] for column in rows.column_names)
    ]
    last = list(table.primary_key.columns)[-1]
    quoted = connection.dialect.identifier_preparer.format_column(last)
    return sa.Table(
        name,
        sa.MetaData(),
        *columns,
        schema=table.schema,
        teradatasql_post_create=f"PRIMARY INDEX ({quoted})",
    )


def named(connection: sa.Connection, table: sa.TableClause) -> str:
    """Return a table's name as statements have it."""
    return connection.dialect.identifier_preparer.format_table(table)


def suffixed(name: str, suffix: str) -> str:
    """Return the name of an error table of FastLoad."""
    return name[:-1] + suffix + '"' if name.endswith('"') else name + suffix


def drop_old(connection: sa.Connection, target: sa.Table) -> list[str]:
    """Drop the staging tables of a target that killed processes have left; return their names."""
    made = re.compile(
        re.escape(f"{target.name[:90]}_stage_") + "([0-9a-f]{8})[0-9a-f]{8}", re.IGNORECASE
    )
    before = time.time() - OLD_SECONDS
    names = {
        match[0]: int(match[1], 16)
        for name in sa.inspect(connection).get_table_names(target.schema)
        if (match := made.match(name))  # of error tables the one that they belong to
    }
    connection.rollback()  # what was looked up: DDL ends a transaction of its own
    driver: Any = connection.connection.dbapi_connection
    gone = []
    for name in sorted(name for name, when in names.items() if when < before):
        error = _dropped(driver, named(connection, sa.table(name, schema=target.schema)))
        if error is None:
            gone.append(name)
        elif codes.is_lost(error):
            break
    return gone


class Staging:
    """What one engine has staged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orphans: list[str] = []
        self._due: dict[str, float] = {}

    def note(self, connection: sa.Connection, staged: sa.Table, target: sa.Table) -> None:
        """Have a table dropped when the connection returns, and its target's statistics renewed."""
        left = connection.connection.info.setdefault(_LEFT, {})
        left[named(connection, staged)] = named(connection, target)

    def lost(self, driver: Any, record: Any, exception: Any) -> None:
        """Keep the names of what a lost connection has staged: another one drops it."""
        with self._lock:
            self._orphans += record.info.pop(_LEFT, {})

    def sweep(self, driver: Any, record: Any) -> None:
        """Drop what was staged for a connection that returns to the pool, its transaction over."""
        staged = record.info.pop(_LEFT, {})
        if driver is None or not (staged or self._orphans):
            return
        with self._lock:
            names = [*staged, *self._orphans]
            self._orphans = []
        for number, name in enumerate(names):
            error = _dropped(driver, name)
            if error is None:
                continue
            lost = codes.is_lost(error)
            if lost or codes.kind(error).transient:  # the next one that returns tries once more
                with self._lock:
                    self._orphans += names[number:] if lost else [name]
            if lost:
                return
        for target in {*staged.values()}:
            self._collect(driver, target)

    def _collect(self, driver: Any, target: str) -> None:
        now = time.monotonic()
        if now < self._due.get(target, 0.0):
            return
        self._due[target] = now + STATISTICS_SECONDS
        error = _tried(driver, f"COLLECT STATISTICS ON {target}")
        if error is not None:
            log.warning("the statistics of %s are old: %s", target, str(error).splitlines()[0])


def _dropped(driver: Any, name: str) -> Exception | None:
    """Drop a staging table and its error tables; return what the driver raised."""
    for table in (name, suffixed(name, "_ERR_1"), suffixed(name, "_ERR_2")):
        error = _tried(driver, f"DROP TABLE {table}")
        if error is None or codes.code(error) == codes.MISSING:
            continue
        if not codes.kind(error).transient:
            said = str(error).splitlines()[0]
            log.warning("the staging table %s is left over; drop it: %s", table, said)
        return error
    return None


def _tried(driver: Any, statement: str) -> Exception | None:
    """Execute a statement in a transaction of its own; return what the driver raised."""
    try:
        with driver.cursor() as cursor:
            cursor.execute(statement)
        driver.commit()
    except Exception as exc:  # noqa: BLE001 - whatever the driver raises: the rows are stored
        if not codes.is_lost(exc):
            driver.rollback()
        return exc
    return None
