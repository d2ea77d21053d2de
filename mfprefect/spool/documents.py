"""The documents of an entry: its head, its writes and its ending.

Parsing checks the type of every field, because a digest proves no more than that a file is whole.
Whether the content fits a database is checked in `mfprefect.store.spool.validation`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfprefect.errors import SpoolRefused
from mfprefect.spool.files import entry_name
from mfprefect.util.files import file_digest
from mfprefect.vocabulary import Status

__all__ = [
    "FORMAT",
    "ArtifactWrite",
    "Blob",
    "DropPartsWrite",
    "Ending",
    "Head",
    "PartWrite",
    "RowsWrite",
    "Write",
    "parse_ending",
    "parse_head",
    "parse_write",
]

FORMAT = "mfprefect spool 1"


@dataclass(frozen=True)
class Head:
    """Which session an entry belongs to."""

    version: str
    """The mfprefect that wrote it."""
    revision: str
    """The schema that its rows fit."""
    database: str
    fingerprint: str | None
    """That of the database; None in entries of early versions."""
    session_id: str
    model_id: str
    purpose: str
    attempt: int
    session_no: int
    as_of: str | None
    parent_session_id: str | None
    flow_run_id: str | None
    shadow: bool | None
    tags: str | None
    """JSON list."""
    host: str
    process_id: int
    process_key: str | None
    """None in entries of earlier versions."""
    run_by: str
    began_at: str
    session: Mapping[str, Any] | None
    """The session's row, if it was opened in the spool."""
    environment: Mapping[str, Any] | None
    model: Mapping[str, Any] | None
    """The model's row, if the run registered it."""


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    status: str
    failure_kind: str | None
    failure_text: str | None
    publish: bool
    final: bool
    """Whether no retry of the flow run follows."""
    ended_at: str
    writes: Mapping[str, Any]
    """The SHA-256 of every write, by its file's name."""


@dataclass(frozen=True)
class Blob:
    """The file that belongs to a write."""

    path: Path
    sha256: str
    size: int

    def check(self) -> None:
        """Read the file.

        Raises:
            SpoolRefused: it is missing, or does not match its SHA-256.
        """
        try:
            digest = file_digest(self.path)
        except OSError as exc:
            raise SpoolRefused(f"{self.path} cannot be read: {exc}.") from exc
        if digest != self.sha256:
            raise SpoolRefused(f"{self.path} is corrupt: its SHA-256 is not what the run wrote.")


@dataclass(frozen=True)
class RowsWrite:
    """Rows of several tables."""

    name: str
    tables: Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class ArtifactWrite:
    """A model."""

    name: str
    artifact_name: str
    artifact: Mapping[str, Any]
    blob: Blob


@dataclass(frozen=True)
class PartWrite:
    """A part of the scores."""

    name: str
    part_no: int
    rows: int
    digest: str
    """That of the scores; the blob's is that of the file."""
    blob: Blob


@dataclass(frozen=True)
class DropPartsWrite:
    """Delete all scores that were written before."""

    name: str


@dataclass(frozen=True)
class ParamsWrite:
    """Parameters of the session."""

    name: str
    params: Mapping[str, Any]


Write = RowsWrite | ArtifactWrite | PartWrite | DropPartsWrite | ParamsWrite

_NO = type(None)
_Types = Mapping[str, tuple[type, ...]]
_TEXT, _TEXT_OR_NONE, _INTEGER = (str,), (str, _NO), (int,)
_HEAD: _Types = {
    **dict.fromkeys(("version", "revision", "database", "host", "run_by", "began_at"), _TEXT),
    **dict.fromkeys(("session_id", "model_id", "purpose"), _TEXT),
    **dict.fromkeys(("attempt", "session_no", "process_id"), _INTEGER),
    **dict.fromkeys(("as_of", "parent_session_id", "flow_run_id"), _TEXT_OR_NONE),
    **dict.fromkeys(("tags", "fingerprint", "process_key"), _TEXT_OR_NONE),
    "shadow": (bool, _NO),
    **dict.fromkeys(("session", "environment", "model"), (dict, _NO)),
}
_ENDING: _Types = {
    **dict.fromkeys(("status", "ended_at"), _TEXT),
    **dict.fromkeys(("failure_kind", "failure_text"), _TEXT_OR_NONE),
    **dict.fromkeys(("publish", "final"), (bool,)),
    "writes": (dict,),
}
_BLOB: _Types = {"sha256": _TEXT, "size": _INTEGER}
_NO_BLOB: _Types = {"sha256": (_NO,)}
_WRITES: Mapping[str, _Types] = {
    "rows": {"tables": (dict,), **_NO_BLOB},
    "artifact": {"name": _TEXT, "artifact": (dict,), **_BLOB},
    "part": {"part_no": _INTEGER, "rows": _INTEGER, "digest": _TEXT, **_BLOB},
    "drop_parts": _NO_BLOB,
    "params": {"params": (dict,), **_NO_BLOB},
}
_ARTIFACT: _Types = {
    **dict.fromkeys(("format", "sha256", "library_versions"), _TEXT),
    "size": _INTEGER,
    "signature": _TEXT_OR_NONE,
}
_VALUES = (_NO, str, int, float, bool)
_NUMBERS_END = 2**31


def parse_head(content: Mapping[str, Any], path: Path) -> Head:
    """Return a head.

    Raises:
        SpoolRefused: no run wrote it, another version did, or its folder is not that of its
            session or of its database.
    """
    if content.get("format") != FORMAT:
        raise SpoolRefused(
            f"{path.parent} has the format {str(content.get('format'))[:60]!r}, and this mfprefect "
            f"reads {FORMAT!r}: deliver it with the version that wrote it."
        )
    _require_types(content, _HEAD, path)
    head = Head(**_fields(content, _HEAD))
    _require_instant(head.began_at, f"{path}: began_at")
    if not 0 < head.attempt < _NUMBERS_END:
        raise SpoolRefused(f"{path}: the attempt is {head.attempt}; attempts are numbered from 1.")
    if head.as_of is not None:
        _parse_time(dt.date.fromisoformat, head.as_of, f"{path}: as_of")
    if "session" in content and not (head.session and head.environment):
        raise SpoolRefused(f"{path} does not say how the session was opened.")
    _require_folder(head, path.parent)
    return head


def _fields(content: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: content.get(name) for name in names}


def _require_folder(head: Head, folder: Path) -> None:
    """Refuse an entry that was copied to another session's or another database's folder."""
    name, fingerprint = entry_name(head.session_id, head.attempt), folder.parent.name
    if name != folder.name:
        raise SpoolRefused(
            f"{folder} holds attempt {head.attempt} of session {head.session_id[:96]!r}, "
            f"which belongs in the folder {name!r}; move it there, or remove it if it is a copy."
        )
    written_for = head.fingerprint or fingerprint
    if written_for != fingerprint:
        raise SpoolRefused(
            f"{folder} was written for another database, {head.database[:200]!r}; move it to "
            f"the folder {written_for[:60]!r}, and push that with --moved-from if the database "
            "has another address now."
        )


def parse_ending(content: Mapping[str, Any], path: Path) -> Ending:
    """Return an ending.

    Raises:
        SpoolRefused: no run wrote it.
    """
    _require_types(content, _ENDING, path)
    ending = Ending(**_fields(content, _ENDING))
    _require_instant(ending.ended_at, f"{path}: ended_at")
    if ending.status not in Status.endings():
        choices = ", ".join(Status.endings())
        raise SpoolRefused(f"{path}: the status is {ending.status[:60]!r}; runs end as {choices}.")
    return ending


def parse_write(content: Mapping[str, Any], path: Path) -> Write:
    """Return a write.

    Raises:
        SpoolRefused: no run wrote it.
    """
    op, name = content.get("op"), path.name.removesuffix(".json")
    if not isinstance(op, str) or op not in _WRITES:
        raise SpoolRefused(
            f"{path}: the write {str(op)[:60]!r} is unknown; known are {', '.join(_WRITES)}."
        )
    _require_types(content, _WRITES[op], path)
    if op == "rows":
        _require_rows(content["tables"], path)
        return RowsWrite(name, content["tables"])
    if op == "drop_parts":
        return DropPartsWrite(name)
    if op == "params":
        return ParamsWrite(name, content["params"])
    blob = Blob(path.with_name(f"{name}.blob"), content["sha256"], content["size"])
    if op == "artifact":
        _require_artifact(content["artifact"], path)
        return ArtifactWrite(name, content["name"], content["artifact"], blob)
    if not 1 <= content["part_no"] < _NUMBERS_END:
        raise SpoolRefused(f"{path}: the part is {content['part_no']}; parts are numbered from 1.")
    return PartWrite(name, content["part_no"], content["rows"], content["digest"], blob)


def _require_rows(tables: Mapping[str, Any], path: Path) -> None:
    for name, rows in tables.items():
        if type(rows) is not list or not all(map(_is_row, rows)):
            raise SpoolRefused(f"{path}: the table {name[:60]!r} must be a list of rows.")


def _is_row(row: Any) -> bool:
    return type(row) is dict and all(type(value) in _VALUES for value in row.values())


def _require_artifact(artifact: Mapping[str, Any], path: Path) -> None:
    _require_types(artifact, _ARTIFACT, path)
    if odd := set(artifact) - set(_ARTIFACT):
        raise SpoolRefused(f"{path}: an artifact has no field {min(odd)[:60]!r}.")


def _require_types(content: Mapping[str, Any], types: _Types, path: Path) -> None:
    for name, allowed in types.items():
        # The exact type: in Python, True is an integer as well.
        if type(value := content.get(name)) not in allowed:
            actual = "missing" if value is None else f"a {type(value).__name__}"
            choices = " or ".join("null" if kind is _NO else kind.__name__ for kind in allowed)
            raise SpoolRefused(f"{path}: {name} is {actual}, not {choices}; no run wrote that.")


def _require_instant(text: str, what: str) -> None:
    if _parse_time(dt.datetime.fromisoformat, text, what).tzinfo is None:
        raise SpoolRefused(f"{what} {text[:60]!r} has no time zone.")


def _parse_time(parse: Callable[[str], Any], text: str, what: str) -> Any:
    try:
        return parse(text)
    except ValueError as exc:
        raise SpoolRefused(f"{what} {text[:60]!r} is not a time that a run wrote.") from exc
