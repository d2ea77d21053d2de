"""What is sealed, and how: canonical content, manifests, differences; and the chained audit trail.

A session's content becomes a manifest: JSON text that holds the number of rows and the SHA-256 of
each table, what the session is, its place in the model's chain and the seal before it. The seal is
the SHA-256 of that text. Pure: takes rows, returns digests; opens no connection.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.schema import Double, Instant
from mfprefect.util.values import json_text

__all__ = [
    "NOTICE",
    "SEAL_VERSION",
    "Problem",
    "column_matches",
    "differences",
    "environment_digest",
    "event_digest",
    "plain_row",
    "read_manifest",
    "seal_of",
    "summary",
]

SEAL_VERSION = 1
"""What `summary` and the manifest say; old seals are verified as they were made."""
NOTICE = "notice"
"""The action of the events that tell what the rows of `notifications` hold."""
MANIFEST = {
    *("model_id", "session_id", "session_no", "attempt", "seal_no", "sealed_at"),
    *("previous_seal", "audit_event", "audit_digest", "tables"),
}
MOST_INDEXED = 1_100
"""Rows of a table up to which the manifest tells them apart; a test curve has 1,001."""
SHORT = 8

_SEALED = ("event_no", "at", "actor", "action", "subject", "detail", "previous_digest")


def event_digest(event: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an event's canonical JSON, its predecessor's digest included."""
    return _sha256(json_text({name: event[name] for name in _SEALED}, "the audit event"))


def environment_digest(python: str, platform: str, packages: str) -> str | None:
    """Return the key of an environment, None where its packages are not the JSON they were."""
    try:
        content = {"packages": json.loads(packages), "platform": platform, "python": python}
    except ValueError:
        return None
    if _compact(content["packages"]) != packages:
        return None
    return _sha256(_compact(content))


def _compact(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plain_row(table: sa.Table, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as it is sealed: what is not NULL, by its column's name in the database.

    Args:
        table: the row's table.
        given: values by the columns' keys, as they are written or as they were read.
    """
    found = {}
    for column in table.c:
        value = given.get(column.key)
        if value is not None:
            found[column.name] = _plain(column.type, value)
    return found


def _plain(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    if isinstance(kind, Double):
        return float(value) + 0.0  # makes -0.0 the 0.0 that MySQL stores in its place
    if isinstance(kind, Instant):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(kind, sa.Date):
        return value.isoformat()
    if isinstance(kind, sa.Boolean):
        return bool(value)
    return int(value) if isinstance(kind, sa.Integer) else str(value)


def summary(
    name: str, key: Sequence[str], rows: Iterable[Mapping[str, Any]], *, index: bool = True
) -> dict[str, Any]:
    """Return what a manifest says of a table's rows.

    `sha256` is over the table's name and each row's JSON, a line each, ordered by key. The rest
    only tells where a difference is: the first digits of the SHA-256 of each column's values, and
    of each row, with its key.

    Args:
        name: the table.
        key: the columns that identify a row inside the session.
        rows: what `plain_row` returned, without `session_no`.
        index: whether single rows are to be told apart.
    """
    ordered = sorted(rows, key=lambda row: [row[name] for name in key])
    lines = [_encode(row) for row in ordered]
    columns = {column: None for row in ordered for column in row}
    found: dict[str, Any] = {
        "rows": len(lines),
        "sha256": _sha256("\n".join([f"mfprefect {name} {SEAL_VERSION}", *lines])),
        "columns": {
            column: _short(_encode([row.get(column) for row in ordered])) for column in columns
        },
    }
    if index and len(lines) <= MOST_INDEXED:
        found["index"] = [
            [*(row[name] for name in key), _short(line)]
            for row, line in zip(ordered, lines, strict=True)
        ]
    return found


# As `values.json_text` writes it, at a fraction of the time: these values are plain already.
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False).encode


def _short(text: str) -> str:
    return _sha256(text)[:SHORT]


def column_matches(summary: Mapping[str, Any], column: str, value: Any) -> bool:
    """Return whether a table of one row held a plain value in a column, by what `summary` says."""
    return bool(summary["columns"].get(column) == _short(_encode([value])))


def seal_of(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Return a manifest's text and its SHA-256, which is the seal."""
    text = json_text(manifest, "the manifest")
    return text, _sha256(text)


def read_manifest(text: str, seal: str) -> dict[str, Any] | None:
    """Return a manifest, None where its text is not the one that was sealed."""
    if _sha256(text) != seal:
        return None
    try:
        found: dict[str, Any] = json.loads(text)
        return found if found["version"] == SEAL_VERSION and found.keys() >= MANIFEST else None
    except (ValueError, TypeError, KeyError):
        return None


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it was sealed."""

    what: str
    """`changed`, `added`, `removed`, `unsealed`, `chain`, `signature` or `audit`."""
    text: str
    """What a person is told."""
    model_id: str | None = None
    session_id: str | None = None
    table: str | None = None
    key: tuple[Any, ...] = ()
    """Of the row: the values of its key without `session_no`; the part of scores."""
    columns: tuple[str, ...] = ()
    """Which columns differ, where that can be known."""

    def __str__(self) -> str:
        place = self.session_id or self.model_id
        return f"{place}: {self.text}" if place else self.text


def differences(
    name: str, sealed: Mapping[str, Any] | None, found: Mapping[str, Any] | None
) -> list[Problem]:
    """Return how the rows of a table differ from the sealed ones: which, and in what columns."""
    none: Mapping[str, Any] = {"rows": 0, "sha256": None, "columns": {}, "index": []}
    before, now = sealed or none, found or none
    if before["sha256"] == now["sha256"]:
        return []
    problems = _rows_differing(name, before, now)
    if problems:
        return problems
    columns = _columns_differing(before, now) if before["rows"] == now["rows"] else ()
    text = f"{name}: {now['rows']} rows, {before['rows']} were sealed, and they differ"
    return [_problem("changed", text, name, (), columns)]


def _rows_differing(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    if "index" not in before or "index" not in now:
        return []
    old, new = ({tuple(row[:-1]): row[-1] for row in x["index"]} for x in (before, now))
    columns = _columns_differing(before, now) if old.keys() == new.keys() else ()
    problems = []
    for key in sorted({*old, *new}):
        row = f"{name}: the row {_shown(key)}"
        if key not in new:
            problems.append(_problem("removed", f"{row} is gone", name, key))
        elif key not in old:
            problems.append(_problem("added", f"{row} was added", name, key))
        elif old[key] != new[key]:
            text = f"{row} was changed" if key else f"{name}: was changed"
            problems.append(_problem("changed", text, name, key, columns))
    return problems


def _columns_differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    old, new = before["columns"], now["columns"]
    return tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))


def _problem(
    what: str, text: str, table: str, key: tuple[Any, ...], columns: tuple[str, ...] = ()
) -> Problem:
    if columns:
        text += f", in {', '.join(columns)}"
    return Problem(what, text, table=table, key=key, columns=columns)


def _shown(key: tuple[Any, ...]) -> str:
    return "(" + ", ".join(map(repr, key)) + ")"
