"""The locks of a SELECT, which SQLAlchemy does not know: they are put before its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.backend import HOLD_OPTION, NO_LOCK_OPTION, WRITE_OPTION
from mfprefect_backends.teradata import export

__all__ = ["ACCESS", "add_access_locks", "with_access_locks"]

ACCESS = "LOCKING ROW FOR ACCESS "
HOLD = "LOCKING ROW FOR WRITE "
"""A row hash lock on a select by a unique index; on any other one, a lock on the whole table."""


def add_access_locks(
    connection: sa.Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> tuple[str, Any]:
    """Give each SELECT of an engine its locks, and FastExport those that ask for it."""
    options = context.execution_options if context is not None else {}
    prefix = export.REQUIRE if options.get(export.EXPORT_OPTION) else ""
    return prefix + with_access_locks(statement, options), parameters


def with_access_locks(statement: str, options: Mapping[str, Any]) -> str:
    """Return a SELECT with access locks, so that it neither waits for writers nor blocks them.

    In a write transaction a SELECT takes read locks, except on the tables that NO_LOCK_OPTION
    names (True: on all); one with HOLD_OPTION locks its row for writing.
    """
    if not statement.startswith("SELECT"):
        return statement
    if options.get(HOLD_OPTION):
        return HOLD + statement
    without_lock = options.get(NO_LOCK_OPTION)
    if without_lock is True or not options.get(WRITE_OPTION):
        return ACCESS + statement
    locks = (f"LOCKING TABLE {table} FOR ACCESS " for table in without_lock or ())
    return "".join(locks) + statement
