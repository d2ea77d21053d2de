"""What the documents of the spool look like: any other, whatever its digest, is refused unread."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mfprefect.errors import SpoolRefused
from mfprefect.spool.files import entry_name
from mfprefect.vocabulary import Status

__all__ = ["validate_ending", "validate_head", "validate_place", "validate_write"]

_NO = type(None)
_TEXT, _MAYBE, _COUNT = (str,), (str, _NO), (int,)
_HEAD: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("version", "revision", "database", "host", "run_by", "began_at"), _TEXT),
    **dict.fromkeys(("session_id", "model_id", "purpose"), _TEXT),
    **dict.fromkeys(("attempt", "session_no", "process_id"), _COUNT),
    **dict.fromkeys(("as_of", "parent_session_id", "flow_run_id", "tags", "fingerprint"), _MAYBE),
    "shadow": (bool, _NO),
    **dict.fromkeys(("session", "environment", "model"), (dict, _NO)),
}
_ENDING: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("status", "ended_at"), _TEXT),
    **dict.fromkeys(("failure_kind", "failure_text"), _MAYBE),
    **dict.fromkeys(("publish", "final"), (bool,)),
    "writes": (dict,),
}
_BLOB: dict[str, tuple[type, ...]] = {"sha256": _TEXT, "size": _COUNT}
_WRITES: dict[str, dict[str, tuple[type, ...]]] = {
    "rows": {"tables": (dict,), "sha256": (_NO,)},
    "artifact": {"name": _TEXT, "artifact": (dict,), **_BLOB},
    "part": {"part_no": _COUNT, "rows": _COUNT, "digest": _TEXT, **_BLOB},
    "drop_parts": {"sha256": (_NO,)},
}
_ARTIFACT: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("format", "sha256", "library_versions"), _TEXT),
    "size": _COUNT,
    "signature": _MAYBE,
}
_VALUES = (_NO, str, int, float, bool)
_LAST_PART = 2**31


def validate_head(head: Mapping[str, Any], where: object) -> None:
    """Refuse a head that no run wrote.

    Raises:
        SpoolRefused: and `where` is named.
    """
    _require(head, _HEAD, where)
    _instant(head["began_at"], f"{where}: began_at")
    if not 0 < head["attempt"] < _LAST_PART:
        raise SpoolRefused(f"{where}: the attempt {head['attempt']} is none; they begin with 1.")
    if head["as_of"] is not None:
        _parsed(dt.date.fromisoformat, head["as_of"], f"{where}: as_of")
    if "session" in head and not (head["session"] and head["environment"]):
        raise SpoolRefused(f"{where} does not say how the session was opened.")


def validate_place(head: Mapping[str, Any], folder: Path) -> None:
    """Refuse an entry that was copied to where it does not belong.

    Raises:
        SpoolRefused: the folder is another session's, or another database's.
    """
    name, place = entry_name(head["session_id"], head["attempt"]), folder.parent.name
    if name != folder.name:
        raise SpoolRefused(
            f"{folder} holds attempt {head['attempt']} of session {head['session_id'][:96]!r}, "
            f"whose folder is {name!r}; move it there, or remove it if it is a copy."
        )
    written_for = head.get("fingerprint") or place  # none in those of earlier versions
    if written_for != place:
        raise SpoolRefused(
            f"{folder} was written for another database, {head['database'][:200]!r}; move it to "
            f"the folder {written_for[:60]!r}, and push that with --moved-from if the database "
            "has another address now."
        )


def validate_ending(ending: Mapping[str, Any], where: object) -> None:
    """Refuse an ending that no run wrote.

    Raises:
        SpoolRefused: and `where` is named.
    """
    _require(ending, _ENDING, where)
    _instant(ending["ended_at"], f"{where}: ended_at")
    if ending["status"] not in Status.endings():
        raise SpoolRefused(f"{where}: no run ends as {ending['status'][:60]!r}.")


def validate_write(write: Mapping[str, Any], where: object) -> None:
    """Refuse a write that no run wrote.

    Raises:
        SpoolRefused: and `where` is named.
    """
    op = write.get("op")
    if not isinstance(op, str) or op not in _WRITES:
        raise SpoolRefused(f"{where}: this mfprefect does not know the write {str(op)[:60]!r}.")
    _require(write, _WRITES[op], where)
    if op == "part" and not 1 <= write["part_no"] < _LAST_PART:
        raise SpoolRefused(f"{where}: the part {write['part_no']} is none; they begin with 1.")
    if op == "artifact":
        _require(write["artifact"], _ARTIFACT, where)
        if odd := set(write["artifact"]) - set(_ARTIFACT):
            raise SpoolRefused(f"{where}: no artifact has {min(odd)[:60]!r}.")
    for name, rows in write["tables"].items() if op == "rows" else ():
        if type(rows) is not list or not all(map(_is_row, rows)):
            raise SpoolRefused(f"{where} holds no rows for {name[:60]!r}.")


def _is_row(row: Any) -> bool:
    return type(row) is dict and all(type(value) in _VALUES for value in row.values())


def _require(
    found: Mapping[str, Any], shape: Mapping[str, tuple[type, ...]], where: object
) -> None:
    for name, kinds in shape.items():
        # By its very type: to Python, True is an integer as well.
        if type(value := found.get(name)) not in kinds:
            told = "missing" if value is None else f"a {type(value).__name__}"
            wanted = " or ".join("null" if kind is _NO else kind.__name__ for kind in kinds)
            raise SpoolRefused(f"{where}: {name} is {told}, not {wanted}; no run wrote that.")


def _instant(text: str, what: str) -> None:
    if _parsed(dt.datetime.fromisoformat, text, what).tzinfo is None:
        raise SpoolRefused(f"{what} {text[:60]!r} has no time zone.")


def _parsed(parse: Callable[[str], Any], text: str, what: str) -> Any:
    try:
        return parse(text)
    except ValueError as exc:
        raise SpoolRefused(f"{what} {text[:60]!r} is no time that a run wrote.") from exc
