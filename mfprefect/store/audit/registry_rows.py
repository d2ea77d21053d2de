"""Comparing rows of models, thresholds, stages, input columns and tokens with the audit trail.

Each event that writes such a row records its digest. The whole trail says which rows must exist.
Rows from before events recorded digests are skipped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from mfprefect.audit import Problem
from mfprefect.store.audit.events import row_digest
from mfprefect.store.database import Database

__all__ = ["RegistryRows"]

Key = tuple[str, ...]
WRITES = {
    **dict.fromkeys(("add_model", "change_model"), "models"),
    **dict.fromkeys(("promote", "rollback", "retire"), "model_stages"),
    "set_threshold": "model_thresholds",
    "set_input_column": "input_columns",
    **dict.fromkeys(("create_token", "revoke_token"), "api_tokens"),
}
"""Which table an event's digest refers to, by action."""
OF_NO_MODEL = ("input_columns", "api_tokens")


class _Entry(NamedTuple):
    """What the trail says of one row."""

    digest: str
    event_no: int
    session_id: str | None


class RegistryRows:
    """The rows that must exist."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, Key], _Entry] = {}
        self._since: dt.datetime | None = None
        self._older: set[tuple[str, str]] = set()
        """Tables and models with events from before digests were recorded."""

    def apply_event(self, event: Mapping[str, Any], detail: Mapping[str, Any]) -> None:
        """Update the rows that must exist."""
        action, subject = event["action"], event["subject"]
        if action == "rename_model":
            self._move(str(detail.get("old")), subject)
        elif action == "delete_model":
            self._drop(lambda key, _: key[1] == subject)
        elif action == "delete_session" and detail.get("stages"):
            self._drop(lambda _, entry: entry.session_id == subject)
        row, name = detail.get("row"), WRITES.get(action)
        if name is None:
            return
        model = "" if name in OF_NO_MODEL else subject
        if not isinstance(row, dict) or not {"table", "key", "sha256"} <= row.keys():
            self._older.add((name, model))
            return
        self._since = self._since or event["at"]
        entry = _Entry(row["sha256"], event["event_no"], detail.get("session"))
        self._entries[row["table"], model, tuple(row["key"])] = entry

    def _move(self, old: str, new: str) -> None:
        for key in [key for key in self._entries if key[1] == old]:
            self._entries[key[0], new, key[2]] = self._entries.pop(key)
        self._older |= {(name, new) for name, model in self._older if model == old}

    def _drop(self, goes: Any) -> None:
        for key in [key for key, entry in self._entries.items() if goes(key, entry)]:
            del self._entries[key]

    def _is_older(self, name: str, model: str, at: dt.datetime | None) -> bool:
        """Return whether a row without an event may be from before digests were recorded."""
        if (name, model) not in self._older:
            return False
        return at is None or self._since is None or at < self._since

    def problems(self, db: Database) -> Iterator[Problem]:
        """Yield the differences between the tables and the trail."""
        unmatched = dict(self._entries)
        for name in ("models", "model_thresholds", "model_stages", *OF_NO_MODEL):
            for model, session_id, at, row in _rows(db, name):
                digest = row_digest(db.schema, name, row)["row"]
                entry = unmatched.pop((name, model, tuple(digest["key"])), None)
                where = _shown(name, model, digest["key"])
                place: dict[str, Any] = {"model_id": model or None, "table": name}
                place["key"] = tuple(digest["key"])
                if entry is None:
                    if not self._is_older(name, model, at):
                        yield Problem("added", f"{where} was added", **place)
                elif entry.digest != digest["sha256"] or entry.session_id not in (None, session_id):
                    text = f"{where} differs from what audit event {entry.event_no} recorded"
                    yield Problem("changed", text, **place)
        for (name, model, key), entry in unmatched.items():
            text = f"{_shown(name, model, key)}, which audit event {entry.event_no} wrote, is gone"
            yield Problem("removed", text, model_id=model or None, table=name, key=key)


def _rows(db: Database, name: str) -> Iterator[tuple[str, str | None, Any, dict[str, Any]]]:
    """Yield model, session, time and columns of each row."""
    table, s = db.schema.tables[name], db.schema.sessions
    select = sa.select(*table.c)
    if name == "model_stages":
        joined = table.c.session_no == s.c.session_no
        select = sa.select(*table.c, s.c.session_id).join_from(table, s, joined, isouter=True)
    for stored in db.fetch_all(select):
        row = dict(zip(table.c.keys(), stored, strict=False))
        at = row.get("set_at") or row.get("created_at")
        session_id = stored[-1] if name == "model_stages" else None
        yield row.get("model_id", ""), session_id, at, row


def _shown(name: str, model: str, key: Any) -> str:
    return f"{name}: the row ({', '.join(map(repr, filter(None, [model, *key])))})"
