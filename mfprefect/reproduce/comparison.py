"""Whether a session that was run again came out the same: figure by figure, digest by digest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Reproduction", "compare_digests", "compare_environments", "compare_metrics"]

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Reproduction:
    """A session, the one that ran it again, and what they have in common."""

    session_id: str
    reproduction_id: str
    """The adhoc session; its parameter `reproduces` names the other one."""
    commit: str
    tolerance: float
    environment: Rows
    """What differs: name, recorded, present; a version that is None was not installed."""
    packages: int
    """How many packages were recorded."""
    metrics: Rows
    """metric_name, segment, recorded, reproduced, difference, same, note."""
    inputs: Rows
    """name, recorded, reproduced (digests), same."""
    models: Rows
    """The same of artifacts."""
    scores: Rows
    """The same of parts of scores."""

    @property
    def same(self) -> bool:
        """Whether every metric and every part of the scores came out the same.

        A run that recorded neither is judged by its model. That inputs, models or packages differ
        explains a difference, and is none: a library may write the same model in another way.
        """
        judged = [*self.metrics, *self.scores] or self.models
        return bool(judged) and all(row["same"] for row in judged)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values of JSON."""
        return {"same": self.same, **asdict(self)}


def compare_metrics(
    recorded: Iterable[Mapping[str, Any]], again: Iterable[Mapping[str, Any]], tolerance: float
) -> Rows:
    """Set metrics side by side.

    Args:
        recorded: rows with metric_name, segment, value, definition_version.
        again: those of the run that followed.
        tolerance: how far apart two may be and count as the same, as a share of the larger one.
    """
    one, other = ({(r["metric_name"], r["segment"]): r for r in rows} for rows in (recorded, again))
    found = []
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key), other.get(key)
        row: dict[str, Any] = {"metric_name": key[0], "segment": key[1]}
        if a is None or b is None:
            kept = {"recorded": a and a["value"], "reproduced": b and b["value"]}
            gone = "was not computed this time" if b is None else "was not recorded"
            found.append(row | kept | {"difference": None, "same": False, "note": gone})
            continue
        x, y = a["value"], b["value"]
        redefined = a["definition_version"] != b["definition_version"]
        note = "another version of its definition" if redefined else None
        found.append(
            row
            | {"recorded": x, "reproduced": y, "difference": None if redefined else y - x}
            | {"same": not redefined and _close(x, y, tolerance), "note": note}
        )
    return found


def _close(x: float, y: float, tolerance: float) -> bool:
    if x == y or (math.isnan(x) and math.isnan(y)):
        return True
    return abs(x - y) <= tolerance * max(abs(x), abs(y))


def compare_digests(recorded: Sequence[tuple[str, Any]], again: Sequence[tuple[str, Any]]) -> Rows:
    """Set digests side by side, by name and, where several have the same name, in their order."""
    one, other = _numbered(recorded), _numbered(again)
    return [
        {
            "name": key[0],
            "recorded": one.get(key),
            "reproduced": other.get(key),
            "same": one.get(key) is not None and one.get(key) == other.get(key),
        }
        for key in dict.fromkeys([*one, *other])
    ]


def _numbered(pairs: Sequence[tuple[str, Any]]) -> dict[tuple[str, int], Any]:
    found: dict[tuple[str, int], Any] = {}
    for name, digest in pairs:
        found[name, sum(key[0] == name for key in found)] = digest
    return found


def compare_environments(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> Rows:
    """Return what differs between two environments: python, platform, packages by name."""
    rows = [
        {"name": name, "recorded": recorded[name], "present": present[name]}
        for name in ("python", "platform")
    ]
    one, other = recorded["packages"], present["packages"]
    rows += [
        {"name": name, "recorded": one.get(name), "present": other.get(name)}
        for name in sorted({*one, *other})
    ]
    return [row for row in rows if row["recorded"] != row["present"]]
