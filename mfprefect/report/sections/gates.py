"""The gates of a session, and its stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Badge, Cell, Column, Section, Table
from mfprefect.report.formats import MISSING, brief, moment, number, present, text

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import Row

__all__ = ["current_stage", "gates_section", "stage_reason", "stages_table"]

LEVELS = {"passed": "good", "failed": "bad", "undecided": "warn", "unknown": "warn"}


def gates_section(gates: pd.DataFrame) -> Section | None:
    """Return the gate results, gates that did not pass first."""
    if gates.empty:
        return None
    rows = sorted(gates.to_dict("records"), key=lambda row: row["verdict"] == "passed")
    compared = any(present(row["production_figure"]) for row in rows)
    columns = [Column("gate"), Column("verdict"), Column("figure", "number")]
    if compared:
        columns += [Column("in production", "number"), Column("difference (95 %)", "short")]
    columns.append(Column("reason"))
    cells = [_gate(row, compared) for row in rows]
    passed = sum(row["verdict"] == "passed" for row in rows)
    return Section("Gates", [Table(columns, cells, f"{passed} of {len(rows)} gates passed")])


def _gate(row: dict[Any, Any], compared: bool) -> list[Cell]:
    verdict = str(row["verdict"])
    cells: list[Cell] = [
        str(row["gate"]),
        Badge(verdict, LEVELS.get(verdict, "info")),
        number(row["figure"]),
    ]
    if compared:
        cells += [number(row["production_figure"]), _difference(row)]
    return [*cells, text(row["reason"])]


def _difference(row: dict[Any, Any]) -> str:
    if not present(row["difference"]):
        return MISSING
    ends = [brief(row[name]) for name in ("low", "high") if present(row[name])]
    return brief(row["difference"]) + (f" ({' to '.join(ends)})" if len(ends) == 2 else "")


def current_stage(stages: Sequence[Row]) -> str:
    """Return the current stage of a session, or an empty text."""
    if not stages or present(stages[0]["until"]):
        return ""
    return f"{stages[0]['stage']} since {moment(stages[0]['set_at'])}"


def stages_table(stages: Sequence[Row], caption: str, *, named: bool) -> Table:
    """Return a table of stages: who set them, when and why.

    Args:
        stages: newest first.
        caption: the caption of the table.
        named: whether to show the session of each stage.
    """
    columns = [Column("set"), Column("stage", "short"), Column("until", "short")]
    columns += [Column("session")] if named else []
    columns += [Column("by"), Column("reason")]
    rows = [
        [
            moment(row["set_at"]),
            str(row["stage"]),
            moment(row["until"]) if present(row["until"]) else "",
            *([str(row["session_id"])] if named else []),
            str(row["set_by"]),
            stage_reason(row),
        ]
        for row in stages
    ]
    return Table(columns, rows, caption)


def stage_reason(row: Row) -> str:
    """Return why a stage was set: the reason given, an override, a rollback."""
    reasons = [str(row["reason"])] if present(row["reason"]) else []
    if present(row["override"]):
        reasons.append(f"gates overridden: {row['override']}")
    if present(row["rolled_back_from"]):
        reasons.append(f"rolled back from {row['rolled_back_from']}")
    return text("; ".join(reasons), 300)
