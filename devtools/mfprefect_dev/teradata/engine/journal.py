"""The transient journal: requests change tables at once, and a transaction can be undone.

Triggers write what undoes a change. The journal lies beside the tables, so that another session can
undo what a dead process left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["clear_journal", "create_journal", "undo_changes", "writing"]


def create_journal(sqlite: sqlite3.Connection) -> None:
    """Create an empty journal."""
    sqlite.execute('CREATE TABLE "td writer" (session INTEGER)')
    sqlite.execute('INSERT INTO "td writer" VALUES (NULL)')
    sqlite.execute(
        'CREATE TABLE "td journal" (n INTEGER PRIMARY KEY, session INTEGER, place TEXT, '
        "number INTEGER, undo TEXT)"
    )
    sqlite.execute('CREATE INDEX "td journal of" ON "td journal" (session)')


@contextmanager
def writing(sqlite: sqlite3.Connection, session: int | None) -> Iterator[None]:
    """Write in one step, all or nothing; what a `session` changes can be undone later.

    Within DDL, it is a part of that.
    """
    outer = sqlite.in_transaction
    sqlite.execute("SAVEPOINT request" if outer else "BEGIN IMMEDIATE")
    try:
        sqlite.execute('UPDATE "td writer" SET session = ?', (session,))
        yield
    except BaseException:
        if sqlite.in_transaction:
            sqlite.execute("ROLLBACK TO request" if outer else "ROLLBACK")
        if outer:
            sqlite.execute("RELEASE request")
        raise
    sqlite.execute("RELEASE request" if outer else "COMMIT")


def clear_journal(sqlite: sqlite3.Connection, session: int) -> None:
    """Make the changes of a session's transaction final."""
    sqlite.execute('DELETE FROM "td journal" WHERE session = ?', (session,))


def undo_changes(sqlite: sqlite3.Connection, session: int) -> None:
    """Undo the changes of a session's transaction, the last one first."""
    changes = 'SELECT place, number, undo FROM "td journal" WHERE session = ? ORDER BY n DESC'
    with writing(sqlite, None):
        for place, number, undo in sqlite.execute(changes, (session,)).fetchall():
            sqlite.execute(undo or f"DELETE FROM {place} WHERE rowid = {number}")
        clear_journal(sqlite, session)
