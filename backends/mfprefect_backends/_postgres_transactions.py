"""Transactions of PostgreSQL that begin with the settings that they need."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from mfprefect.backend import WRITE_OPTION

__all__ = ["choose", "exact"]

EXACT = {
    "extra_float_digits": "1",  # the shortest text that is the same double
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",  # the only one that the driver reads
    "bytea_output": "hex",
}
STRINGS = "standard_conforming_strings"
LIMITS = {"statement_timeout": 0, "transaction_timeout": 170000}
"""Limits for people's queries that a load may exceed, with the first version that has them."""
IDLE = 0
"""libpq's PQTRANS_IDLE."""


def exact(engine: sa.Engine) -> None:
    """Let an engine of psycopg2 begin, commit and roll back by itself.

    psycopg2 sends BEGIN before the first statement, in a round trip of its own. Ours takes its
    place and sets, for this transaction only, what a database or a role may have changed.
    """
    dialect: Any = engine.dialect
    event.listen(engine, "connect", _connected)
    without: weakref.WeakSet[Any] = weakref.WeakSet()
    set_level = dialect.set_isolation_level

    def set_isolation_level(driver: Any, level: str) -> None:
        set_level(driver, level)
        (without.add if level == "AUTOCOMMIT" else without.discard)(driver)

    def begin(connection: Any) -> None:
        if connection.dbapi_connection not in without:
            _begin(connection)

    dialect.set_isolation_level = set_isolation_level
    dialect.do_begin = begin
    dialect.do_commit = lambda connection: _end(connection, "COMMIT")
    dialect.do_rollback = lambda connection: _end(connection, "ROLLBACK")


def choose(connection: sa.Connection) -> None:
    """Choose how a transaction of the store begins, whatever the server's defaults.

    Writes may take their time: a large model or part must not fail because of a limit that is
    meant for people's queries. Reads keep the limits.
    """
    info = connection.connection.info
    info["begin"] = "BEGIN ISOLATION LEVEL READ COMMITTED"
    write = connection.get_execution_options().get(WRITE_OPTION)
    version: int = connection.connection.dbapi_connection.server_version  # type: ignore[union-attr]
    info["limits"] = _set_local(
        {name: 0 for name, first in LIMITS.items() if write and version >= first}
    )


def _connected(connection: Any, record: Any) -> None:
    connection.autocommit = True
    # The driver decides now, for good, how it escapes texts; the server has to read them so.
    strings = connection.get_parameter_status(STRINGS) or "on"
    record.info["exact"] = _set_local({**EXACT, STRINGS: strings})


def _set_local(settings: Mapping[str, Any]) -> list[str]:
    return [f"SET LOCAL {name} = '{value}'" for name, value in settings.items()]


def _begin(connection: Any) -> None:
    info = connection.info
    # Without autocommit, as after another isolation level, the driver sends its own BEGIN.
    begin = [info.get("begin", "BEGIN")] if connection.autocommit else []
    _execute(connection, "; ".join([*begin, *info["exact"], *info.get("limits", ())]))


def _end(connection: Any, statement: str) -> None:
    if not connection.autocommit:
        (connection.commit if statement == "COMMIT" else connection.rollback)()
    elif connection.get_transaction_status() != IDLE:
        _execute(connection, statement)


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
