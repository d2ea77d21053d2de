"""Injected errors: any code, any number of times, for requests and commits.

They are stored in a file beside the tables, so that child processes of a test meet them too.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

__all__ = ["LINK", "MOMENTS", "inject", "left", "take"]

LINK = 804
"""A lost link: the session and its transaction are gone."""
MOMENTS = ("request", "commit", "committed", "row")
"""Before a request; instead of a commit; after a commit, whose answer is lost; in a batch of
FastLoad, whose first row is dropped with that error."""


def inject(
    folder: Path,
    code: int,
    *,
    times: int = 1,
    moment: str = "request",
    match: str = "",
    skip: int = 0,
) -> None:
    """Raise error `code` at the next `times` matches of the moment, after the first `skip`.

    Args:
        folder: the folder of the database.
        code: the error code; `LINK` for a lost link.
        times: how often to raise it.
        moment: one of `MOMENTS`.
        match: regular expression for the request; for a commit, one request of its transaction
            has to match.
        skip: how many matches to let pass first.
    """
    if moment not in MOMENTS:
        raise ValueError(f"unknown moment {moment!r}; choices: {', '.join(MOMENTS)}")
    with sqlite3.connect(folder / "faults.db", timeout=30) as db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS faults "
            "(code INTEGER, times INTEGER, moment TEXT, match TEXT, skip INTEGER)"
        )
        db.execute("INSERT INTO faults VALUES (?, ?, ?, ?, ?)", (code, times, moment, match, skip))
    db.close()


def left(folder: Path) -> int:
    """Return how many injected errors are still pending."""
    if not (folder / "faults.db").exists():
        return 0
    db = sqlite3.connect(folder / "faults.db", timeout=30)
    count = db.execute("SELECT coalesce(sum(times), 0) FROM faults").fetchone()[0]
    db.close()
    return int(count)


def take(folder: Path, moment: str, texts: list[str]) -> int | None:
    """Return the error to raise now, None if none is due; count it as raised."""
    path = folder / "faults.db"
    if not path.exists():
        return None
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        rows = db.execute(
            "SELECT rowid, code, match, skip FROM faults WHERE times > 0 AND moment = ?", (moment,)
        ).fetchall()
        for rowid, code, match, skip in rows:
            if not any(re.search(match, text, re.IGNORECASE) for text in texts):
                continue
            column = "skip" if skip else "times"
            db.execute(f"UPDATE faults SET {column} = {column} - 1 WHERE rowid = ?", (rowid,))
            if not skip:
                return int(code)
        return None
    finally:
        db.execute("COMMIT")
        db.close()
