"""Metrics of many segments in a line for each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["folded"]


def folded(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each group of segments: the part of `region=north` before the `=`.

    Its most important metric stands for a group.

    Args:
        rows: metrics, with metric_name, segment and value.

    Returns:
        group, count (of segments), metric_name, and its extremes: low, low_segment, high,
        high_segment.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["segment"]:
            groups.setdefault(row["segment"].partition("=")[0], []).append(row)
    return [_folded(group, members) for group, members in groups.items()]


def _folded(group: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    from mfprefect.quality.metrics.order import ordered

    metric = ordered({row["metric_name"] for row in rows})[0]
    ranked = sorted(
        (row for row in rows if row["metric_name"] == metric), key=lambda row: row["value"]
    )
    return {
        "group": group,
        "count": len({row["segment"] for row in rows}),
        "metric_name": metric,
        "low": ranked[0]["value"],
        "low_segment": _level(ranked[0]),
        "high": ranked[-1]["value"],
        "high_segment": _level(ranked[-1]),
    }


def _level(row: dict[str, Any]) -> str:
    """Return the part after the `=`."""
    segment: str = row["segment"]
    return segment.partition("=")[2] or segment
