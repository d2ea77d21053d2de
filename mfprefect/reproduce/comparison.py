"""Compare a session with its reproduction, metric by metric and digest by digest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Reproduction", "compare_digests", "compare_environments", "compare_metrics"]

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Reproduction:
    """The comparison of a session with its reproduction."""

    session_id: str
    reproduction_id: str
    """The adhoc session; its parameter `reproduces` names the original."""
    commit: str
    tolerance: float
    environment: Rows
    """Differences: name, recorded, present; None if a package was not installed."""
    packages: int
    """The number of recorded packages."""
    metrics: Rows
    """metric_name, segment, recorded, reproduced, difference, same, note."""
    inputs: Rows
    """name, recorded, reproduced (digests), same."""
    models: Rows
    """The same columns for artifacts."""
    scores: Rows
    """The same columns for parts of scores."""
    notes: Sequence[str] = field(default=(), kw_only=True)
    """What else may explain a difference: parts that another commit wrote."""

    @property
    def same(self) -> bool:
        """Whether every metric and every part of the scores is the same.

        Without metrics and scores, the model decides. Different inputs, models or packages may
        explain a difference but do not count as one: a library may write an equal model
        differently.
        """
        results = [*self.metrics, *self.scores] or self.models
        return bool(results) and all(row["same"] for row in results)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as a JSON object."""
        return {"same": self.same, **asdict(self)}


def compare_metrics(
    recorded: Iterable[Mapping[str, Any]], reproduced: Iterable[Mapping[str, Any]], tolerance: float
) -> Rows:
    """Compare metrics by name and segment.

    Args:
        recorded: rows with metric_name, segment, value, definition_version.
        reproduced: the same rows of the reproduction.
        tolerance: the largest difference that counts as the same, as a share of the larger value.
    """
    one, other = (
        {(r["metric_name"], r["segment"]): r for r in rows} for rows in (recorded, reproduced)
    )
    return [
        {"metric_name": key[0], "segment": key[1]}
        | _compare_metric(one.get(key), other.get(key), tolerance)
        for key in dict.fromkeys([*one, *other])
    ]


def _compare_metric(
    a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, tolerance: float
) -> dict[str, Any]:
    row: dict[str, Any] = {"recorded": a and a["value"], "reproduced": b and b["value"]}
    if a is None or b is None:
        note = "was not computed this time" if b is None else "was not recorded"
        return row | {"difference": None, "same": False, "note": note}
    if a["definition_version"] != b["definition_version"]:
        return row | {
            "difference": None,
            "same": False,
            "note": "another version of its definition",
        }
    x, y = a["value"], b["value"]
    return row | {"difference": y - x, "same": _close(x, y, tolerance), "note": None}


def _close(x: float, y: float, tolerance: float) -> bool:
    if x == y or (math.isnan(x) and math.isnan(y)):
        return True
    return abs(x - y) <= tolerance * max(abs(x), abs(y))


def compare_digests(
    recorded: Sequence[tuple[str, Any]], reproduced: Sequence[tuple[str, Any]]
) -> Rows:
    """Compare digests by name; digests with the same name are matched in their order."""
    one, other = _numbered(recorded), _numbered(reproduced)
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
    numbered: dict[tuple[str, int], Any] = {}
    for name, digest in pairs:
        numbered[name, sum(key[0] == name for key in numbered)] = digest
    return numbered


def compare_environments(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> Rows:
    """Return the differences of two environments: python, platform, packages by name."""
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
