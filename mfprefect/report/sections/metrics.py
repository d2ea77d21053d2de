"""Metrics: the most important ones, their changes, and their definitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mfprefect.quality.metrics.order import COUNTS, ordered
from mfprefect.report.blocks import Cell, Column, Gallery, Key, Note, Section, Table
from mfprefect.report.content import overall
from mfprefect.report.drawing.charts import history_chart
from mfprefect.report.formats import brief, change, number

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import SessionReport
    from mfprefect.report.drawing import Picture

__all__ = ["history_section", "key_figures", "metrics_section"]

MOST_FIGURES = 5
MOST_CHARTS = 6
MOST_SEGMENTS = 60
MOST_TABLES = 8
MOST_COLUMNS = 8


def key_figures(report: SessionReport) -> list[tuple[str, str, str]]:
    """Return name, value and change of the most important metrics."""
    now = overall(report.metrics)
    before = overall(report.previous.metrics) if report.previous else {}
    names = ordered(now)[:MOST_FIGURES]
    return [(name, brief(now[name]), _change(name, now, before)) for name in names]


def _change(name: str, now: dict[str, float], before: dict[str, float]) -> str:
    if name not in before:
        return ""
    if number(before[name]) == number(now[name]):
        return "unchanged"
    return f"{change(before[name], now[name])} since the previous session"


def metrics_section(report: SessionReport) -> Section | None:
    """Return all metrics with those of the previous session, and metrics by segment."""
    if report.metrics.empty:
        return None
    now = overall(report.metrics)
    before = overall(report.previous.metrics) if report.previous else {}
    blocks = [_table(now, before)] if now else []
    return Section("Metrics", [*_source_note(report), *blocks, *_segments(report.metrics)])


def _source_note(report: SessionReport) -> list[Note]:
    """Warn of scores that are no probabilities, or may be labels."""
    source = report.score_source
    if source == "decision_function":
        return [
            Note(
                "The scores are the estimator's decision_function, not probabilities: brier, "
                "log_loss, ece and the calibration are left out."
            )
        ]
    if source.endswith("0 and 1 only"):
        return [Note(f"Every score of the test rows is 0 or 1 ({source}): they may be labels.")]
    return []


def _table(now: dict[str, float], before: dict[str, float]) -> Table:
    columns = [Column("metric"), Column("value", "number")]
    if before:
        columns += [Column("before", "number"), Column("change", "number")]
    rows, formulas = [], _formulas(now)
    for name in ordered(now):
        cells: list[Cell] = [Key(name, formulas.get(name, "")), number(now[name])]
        if before:
            cells += [number(before.get(name)), change(before.get(name), now[name])]
        rows.append(cells)
    return Table(columns, rows, "Metrics of all rows")


def _formulas(names: Iterable[str]) -> dict[str, str]:
    """Return formulas by name; for a shared name, that of the model type with most names."""
    from mfprefect.quality.metrics.registry import BUILT_IN, CUSTOM

    requested, formulas = set(names), {}
    by_overlap = sorted(BUILT_IN.values(), key=lambda table: len(requested & set(table)))
    for table in (CUSTOM, *by_overlap):
        texts = {name: table[name].formula.replace("`", "") for name in table if name in requested}
        formulas.update(texts)
    return formulas


def _segments(metrics: pd.DataFrame) -> list[Table | Note]:
    """Return a table for each segment column, because segments can have different metrics."""
    parts = metrics[metrics["segment"] != ""]
    blocks: list[Table | Note] = []
    column = parts["segment"].str.extract(r"^([^=]*)=", expand=False)
    groups = list(parts.groupby(column.fillna(""), sort=False))
    for name, rows in groups[:MOST_TABLES]:
        blocks += _by_segment(str(name), rows)
    if len(groups) > MOST_TABLES:
        blocks.append(Note(f"Not shown: segments by {len(groups) - MOST_TABLES} more columns."))
    return blocks


def _by_segment(column: str, parts: pd.DataFrame) -> list[Table | Note]:
    names = ordered(parts["metric_name"])
    values = parts.pivot(index="segment", columns="metric_name", values="value")
    values = values.reindex(parts["segment"].unique())
    rows = [
        [
            str(segment).removeprefix(f"{column}="),
            *(number(row[name]) for name in names[:MOST_COLUMNS]),
        ]
        for segment, row in values.head(MOST_SEGMENTS).iterrows()
    ]
    first = column or "segment"
    columns = [Column(first), *(Column(name, "number") for name in names[:MOST_COLUMNS])]
    blocks: list[Table | Note] = [Table(columns, rows, f"Metrics by {first}")]
    omitted = {"segments": len(values) - MOST_SEGMENTS, "metrics": len(names) - MOST_COLUMNS}
    counts = [f"{count} {noun}" for noun, count in omitted.items() if count > 0]
    if counts:
        blocks.append(Note(f"Not shown: {' and '.join(counts)} more; mfprefect show lists all."))
    return blocks


def history_section(history: pd.DataFrame, title: str = "Metrics over time") -> Section | None:
    """Return small charts of the most important metrics that several sessions have."""
    pictures: list[Picture] = []
    for name in ordered(history["metric_name"]):
        rows = history[history["metric_name"] == name]
        if rows["value"].nunique() < 2 or name in COUNTS or len(pictures) == MOST_CHARTS:
            continue  # a single point, or a constant metric
        pictures.append(
            history_chart(name, list(rows["started_at"]), [float(x) for x in rows["value"]])
        )
    if not pictures:
        return None
    count = history["session_id"].nunique()
    note = f"The last {count} sessions, oldest first; of the earlier ones only successful ones."
    return Section(title, [Note(note), Gallery(pictures)])
