"""Errors on demand: any code, so many times, for requests and for commits.

They lie in a file beside the tables, so that processes which the test starts meet them, too.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

__all__ = ["LINK", "MOMENTS", "inject", "left", "take"]

LINK = 804
"""The link is lost: the session is gone, and its transaction with it."""
MOMENTS = ("request", "commit", "committed", "row")
"""Before a request is carried out; instead of a commit; after a commit, whose answer is lost; and
of a FastLoad's batch: its first row is dropped for that error."""


def inject(
    folder: Path,
    code: int,
    *,
    times: int = 1,
    moment: str = "request",
    match: str = "",
    skip: int = 0,
) -> None:
    """Raise error `code` the next `times` that the moment comes, after it came `skip` times.

    Args:
        folder: of the database.
        code: number of the error; `LINK` for a lost link.
        times: how often.
        moment: one of `MOMENTS`.
        match: regular expression that the request has to match; of a commit, one of the requests
            of its transaction.
        skip: how many matches pass first.
    """
    if moment not in MOMENTS:
        raise ValueError(f"the moment {moment!r} is none of {', '.join(MOMENTS)}")
    with sqlite3.connect(folder / "faults.db", timeout=30) as db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS faults "
            "(code INTEGER, times INTEGER, moment TEXT, match TEXT, skip INTEGER)"
        )
        db.execute("INSERT INTO faults VALUES (?, ?, ?, ?, ?)", (code, times, moment, match, skip))
    db.close()


def left(folder: Path) -> int:
    """Return how many injected errors have not come yet."""
    if not (folder / "faults.db").exists():
        return 0
    db = sqlite3.connect(folder / "faults.db", timeout=30)
    count = db.execute("SELECT coalesce(sum(times), 0) FROM faults").fetchone()[0]
    db.close()
    return int(count)


def take(folder: Path, moment: str, texts: list[str]) -> int | None:
    """Return the error that comes now, None where none does."""
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
