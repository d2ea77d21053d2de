"""Seals and the audit trail: canonical content, manifests, differences, chained events.

The content of a session becomes a manifest: JSON text with the row count and SHA-256 of each table,
the identity of the session, its number in the model's chain and the previous seal. The seal is the
SHA-256 of that text. Pure: takes rows, returns digests; opens no connection.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.schema import Double, Instant
from mfprefect.util.values import json_text

__all__ = [
    "ADD_TARGET",
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
"""The version of `summary` and the manifest; old seals are verified by their own version."""
NOTICE = "notice"
"""The action of the events that record rows of `notifications`."""
ADD_TARGET = "add_target"
"""The action of the events that record since when a notification target hears of sessions."""
MANIFEST = {
    *("model_id", "session_id", "session_no", "attempt", "seal_no", "sealed_at"),
    *("previous_seal", "audit_event", "audit_digest", "tables"),
}
MOST_INDEXED = 1_100
"""The most rows of a table that the manifest indexes one by one; a test curve has 1,001."""
CHUNK = 1_000
SHORT = 8

_SEALED = ("event_no", "at", "actor", "action", "subject", "detail", "previous_digest")


def event_digest(event: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an event's canonical JSON, including the previous digest."""
    return _sha256(json_text({name: event[name] for name in _SEALED}, "the audit event"))


def environment_digest(python: str, platform: str, packages: str) -> str | None:
    """Return the digest of an environment, None if its packages are not canonical JSON."""
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


def plain_row(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row in the form that seals cover: values that are not NULL, by column name.

    Args:
        table: the table of the row.
        values: values by column key, as written or as read.
    """
    row = {}
    for column in table.c:
        value = values.get(column.key)
        if value is not None:
            row[column.name] = _plain(column.type, value)
    return row


def _plain(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    if isinstance(kind, Double):
        return float(value) + 0.0  # turns -0.0 into 0.0, as MySQL does
    if isinstance(kind, Instant):
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")
    if isinstance(kind, sa.Date):
        return value.isoformat()
    if isinstance(kind, sa.Boolean):
        return bool(value)
    return int(value) if isinstance(kind, sa.Integer) else str(value)


def summary(
    name: str,
    key: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    *,
    index: bool = True,
    ordered: bool = False,
) -> dict[str, Any]:
    """Return the manifest's entry for the rows of a table.

    `sha256` covers the name of the table and the JSON of each row, one per line, ordered by key.
    The rest only locates differences: the first digits of the SHA-256 of each column, and of each
    row with its key. Of many rows, the index has those of each key without its last column.

    Args:
        name: the name of the table.
        key: the columns that identify a row inside the session.
        rows: from `plain_row`, without `session_no`.
        index: whether to index single rows.
        ordered: whether the rows come by key; then they are never all in memory.
    """
    rows = iter(rows if ordered else sorted(rows, key=lambda row: [row[name] for name in key]))
    table = _Summary(name, key)
    while chunk := list(itertools.islice(rows, CHUNK)):
        table.add(chunk)
    return table.entry(index=index)


class _Summary:
    """The entry of a table, computed from chunks of its rows."""

    def __init__(self, name: str, key: Sequence[str]) -> None:
        self.key, self.rows = key, 0
        self.whole = hashlib.sha256(f"mfprefect {name} {SEAL_VERSION}".encode())
        self.columns: dict[str, Any] = {}
        self.index: list[list[Any]] = []
        self.groups: dict[tuple[Any, ...], Any] = {}

    def add(self, rows: list[Mapping[str, Any]]) -> None:
        lines = [_encode(row) for row in rows]
        self.whole.update("".join(f"\n{line}" for line in lines).encode())
        for column in {**self.columns, **{name: None for row in rows for name in row}}:
            cells = _encode([row.get(column) for row in rows])[1:-1].encode()
            if column in self.columns:
                self.columns[column].update(b", " + cells)
            else:
                start = b"[" + b"null, " * self.rows
                self.columns[column] = hashlib.sha256(start + cells)
        self.rows += len(rows)
        keys = ([row[name] for name in self.key] for row in rows)
        keyed = list(zip(keys, lines, strict=True))
        if self.rows <= MOST_INDEXED:
            self.index += ([*key, _short(line)] for key, line in keyed)
        for key, line in keyed:
            group = self.groups.get(tuple(key[:-1]))
            if group is None:
                group = self.groups[tuple(key[:-1])] = hashlib.sha256()
            group.update(f"{line}\n".encode())

    def entry(self, *, index: bool) -> dict[str, Any]:
        for digest in self.columns.values():
            digest.update(b"]")
        entry: dict[str, Any] = {
            "rows": self.rows,
            "sha256": self.whole.hexdigest(),
            "columns": {name: digest.hexdigest()[:SHORT] for name, digest in self.columns.items()},
        }
        if index and self.rows <= MOST_INDEXED:
            entry["index"] = self.index
        elif index and len(self.key) > 1 and len(self.groups) <= MOST_INDEXED:
            groups = self.groups.items()
            entry["groups"] = [[*key, digest.hexdigest()[:SHORT]] for key, digest in groups]
        return entry


# The same text as `values.json_text` in a fraction of the time: these values are plain already.
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False).encode


def _short(text: str) -> str:
    return _sha256(text)[:SHORT]


def column_matches(summary: Mapping[str, Any], column: str, value: Any) -> bool:
    """Say whether the summary of a one-row table was computed with this value in the column."""
    return bool(summary["columns"].get(column) == _short(_encode([value])))


def seal_of(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Return the text of a manifest and its SHA-256, the seal."""
    text = json_text(manifest, "the manifest")
    return text, _sha256(text)


def read_manifest(text: str, seal: str) -> dict[str, Any] | None:
    """Parse a manifest, None if the seal does not match its text."""
    if _sha256(text) != seal:
        return None
    try:
        document: dict[str, Any] = json.loads(text)
        complete = document["version"] == SEAL_VERSION and document.keys() >= MANIFEST
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return document if complete else None


@dataclass(frozen=True)
class Problem:
    """One difference from the sealed content."""

    what: str
    """`changed`, `added`, `removed`, `unsealed`, `chain`, `signature`, `audit` or `ill-typed`."""
    text: str
    """The message for people."""
    model_id: str | None = None
    session_id: str | None = None
    table: str | None = None
    key: tuple[Any, ...] = ()
    """The key of the row without `session_no`; for scores, the part."""
    columns: tuple[str, ...] = ()
    """The columns that differ, if they can be identified."""

    def __str__(self) -> str:
        subject = self.session_id or self.model_id
        return f"{subject}: {self.text}" if subject else self.text


def differences(
    name: str, sealed: Mapping[str, Any] | None, present: Mapping[str, Any] | None
) -> list[Problem]:
    """Compare the sealed and present summary of a table; locate rows and columns that differ."""
    empty: Mapping[str, Any] = {"rows": 0, "sha256": None, "columns": {}, "index": []}
    before, now = sealed or empty, present or empty
    if before["sha256"] == now["sha256"]:
        return []
    problems = _rows_differing(name, before, now)
    if problems:
        return problems
    columns = _columns_differing(before, now) if before["rows"] == now["rows"] else ()
    text = f"{name}: {now['rows']} rows differ from the {before['rows']} sealed ones"
    return [_problem("changed", text, name, (), columns)]


def _rows_differing(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    index = next((kind for kind in ("index", "groups") if kind in before and kind in now), None)
    if index is None:
        return []
    old, new = ({tuple(row[:-1]): row[-1] for row in x[index]} for x in (before, now))
    same = old.keys() == new.keys() and before["rows"] == now["rows"]
    columns = _columns_differing(before, now) if same else ()
    which = "the row" if index == "index" else "a row of"
    problems = []
    for key in sorted({*old, *new}):
        row = f"{name}: {which} ({', '.join(map(repr, key))})"
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
