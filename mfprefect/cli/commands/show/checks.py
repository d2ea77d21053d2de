"""Input checks of a session in few lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["folded_checks"]

_ROWS_CHECKED = re.compile(r"(\d+) rows checked")
"""The whole message of a schema's check that passed: it says nothing else."""


def folded_checks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each check, over all parts; those of a column that only passed share one.

    Args:
        rows: with check, column, passed, verdict, failing_rows and message; of a scoring, those of
            each part.
    """
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        counts_rows = row["passed"] and _rows_of(row) is not None
        key = row["column"] if counts_rows else (row["check"], row["column"], row["verdict"])
        groups.setdefault(key, []).append(row)
    return [_folded(group) if len(group) > 1 else group[0] for group in groups.values()]


def _rows_of(row: Mapping[str, Any]) -> int | None:
    match = _ROWS_CHECKED.fullmatch(row["message"] or "")
    return int(match[1]) if match else None


def _folded(group: list[dict[str, Any]]) -> dict[str, Any]:
    from mfprefect.quality.checks.result import message_of

    first = group[0]
    if not first["passed"]:
        failing = sum(row["failing_rows"] for row in group)
        return first | {"failing_rows": failing, "message": message_of(group)}
    parts = [row for row in group if row["check"] == first["check"]]
    if _rows_of(first) is None:
        message = f"in {len(parts)} parts, the last: {group[-1]['message']}"
        return first | {"message": message}
    checked = sum(_rows_of(row) or 0 for row in parts)
    where = f" in {len(parts)} parts" if len(parts) > 1 else ""
    names = ", ".join(dict.fromkeys(row["check"] for row in group))
    return first | {"check": names, "message": f"{checked} rows checked{where}"}
