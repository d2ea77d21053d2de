"""Staging tables: created for one load, dropped when its connection returns to the pool.

Their names hold the time of creation, to find those that a killed process left behind:
`<table>_stage_`, eight hex digits of seconds since 1970, eight random ones.
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

__all__ = ["Staging", "drop", "drop_stale", "error_table", "quoted_name", "staging_table"]

log = logging.getLogger(__name__)

_STAGED = "mfprefect_staged"
STATISTICS_SECONDS = 600
"""How often one process collects statistics; the server skips tables that changed too little."""
STALE_SECONDS = 86_400
"""Older staging tables are stale, even if clocks differ: a load takes minutes."""


def staging_table(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> sa.Table:
    """Return a staging table for rows: the target's columns, without its partitions and indexes."""
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


def quoted_name(connection: sa.Connection, table: sa.TableClause) -> str:
    """Return a table's name, quoted as needed."""
    return connection.dialect.identifier_preparer.format_table(table)


def error_table(name: str, suffix: str) -> str:
    """Return the quoted name of a FastLoad error table: `_ERR_1` or `_ERR_2`."""
    return name[:-1] + suffix + '"' if name.endswith('"') else name + suffix


def drop_stale(connection: sa.Connection, target: sa.Table) -> list[str]:
    """Drop the staging tables of a target left by killed processes; return their names."""
    pattern = re.compile(
        re.escape(f"{target.name[:90]}_stage_") + "([0-9a-f]{8})[0-9a-f]{8}", re.IGNORECASE
    )
    before = time.time() - STALE_SECONDS
    names = {
        match[0]: int(match[1], 16)
        for name in sa.inspect(connection).get_table_names(target.schema)
        if (match := pattern.match(name))  # for an error table, its staging table
    }
    connection.rollback()  # end the lookup: DDL needs its own transaction
    driver: Any = connection.connection.dbapi_connection
    dropped = []
    for name in sorted(name for name, when in names.items() if when < before):
        error = _drop(driver, quoted_name(connection, sa.table(name, schema=target.schema)))
        if error is None:
            dropped.append(name)
        elif codes.is_lost(error):
            break
    return dropped


class Staging:
    """The staging tables of one engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orphans: list[str] = []
        self._due: dict[str, float] = {}

    def register(self, connection: sa.Connection, staged: sa.Table, target: sa.Table) -> None:
        """At check-in, drop this staging table and collect its target's statistics."""
        staged_names = connection.connection.info.setdefault(_STAGED, {})
        staged_names[quoted_name(connection, staged)] = quoted_name(connection, target)

    def keep_orphans(self, driver: Any, record: Any, exception: Any) -> None:
        """Remember the staging tables of a lost connection; the next check-in drops them."""
        with self._lock:
            self._orphans += record.info.pop(_STAGED, {})

    def drop_staged(self, driver: Any, record: Any) -> None:
        """Drop the staging tables of a connection at check-in, after its transaction."""
        staged = record.info.pop(_STAGED, {})
        if driver is None or not (staged or self._orphans):
            return
        with self._lock:
            names = [*staged, *self._orphans]
            self._orphans = []
        for number, name in enumerate(names):
            error = _drop(driver, name)
            if error is None:
                continue
            lost = codes.is_lost(error)
            if lost or codes.kind(error).transient:  # the next check-in tries again
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
        error = _execute(driver, f"COLLECT STATISTICS ON {target}")
        if error is not None:
            log.warning(
                "could not collect the statistics of %s: %s", target, str(error).splitlines()[0]
            )


def drop(connection: sa.Connection, staged: sa.Table) -> None:
    """Drop a staging table and its error tables; what cannot be dropped is logged."""
    _drop(connection.connection.dbapi_connection, quoted_name(connection, staged))


def _drop(driver: Any, name: str) -> Exception | None:
    """Drop a staging table and its error tables; return what the driver raised."""
    for table in (name, error_table(name, "_ERR_1"), error_table(name, "_ERR_2")):
        error = _execute(driver, f"DROP TABLE {table}")
        if error is None or codes.code(error) == codes.MISSING:
            continue
        if not codes.kind(error).transient:
            reason = str(error).splitlines()[0]
            log.warning("could not drop the staging table %s; drop it by hand: %s", table, reason)
        return error
    return None


def _execute(driver: Any, statement: str) -> Exception | None:
    """Execute a statement in a transaction of its own; return what the driver raised."""
    try:
        with driver.cursor() as cursor:
            cursor.execute(statement)
        driver.commit()
    except Exception as exc:  # noqa: BLE001 - the rows are stored already
        if not codes.is_lost(exc):
            driver.rollback()
        return exc
    return None
