"""The test rows of a model without a target: the distribution of its scores, its clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfprefect.report.blocks import Block, Cell, Column, Gallery, Note, Section, Table
from mfprefect.report.content import noted_scores
from mfprefect.report.drawing.charts import bin_counts, distribution_chart
from mfprefect.report.formats import percent, text

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import SessionReport
    from mfprefect.report.drawing import Picture

__all__ = ["test_section"]

BINS = 20
MOST_NAME = 60
UNSUPERVISED = "unsupervised"


def test_section(report: SessionReport) -> Section | None:
    """Return scores and clusters of the test rows, None for a model with a target."""
    if _model_type(report.metadata) != UNSUPERVISED:
        return None
    blocks: list[Block] = []
    if report.score_source:
        blocks.append(Note(f"The score of a row is {_source(report.score_source)}."))
    if (picture := _scores(report)) is not None:
        blocks.append(Gallery([picture]))
    blocks += _clusters(report)
    nothing = ", and no variable importance" if report.importance.empty else ""
    blocks.append(Note(f"The model has no target: there is no error to measure{nothing}."))
    return Section("Scores of the test rows", blocks)


def _model_type(metadata: pd.DataFrame) -> str:
    rows = metadata[(metadata["meta_group"] == "test") & (metadata["meta_name"] == "model_type")]
    return str(rows["value"].iloc[0]) if len(rows) else ""


def _source(source: str) -> str:
    method, colon, meaning = source.partition(": ")
    return f"{meaning} ({method})" if colon else f"that of {source}"


def _scores(report: SessionReport) -> Picture | None:
    tested = noted_scores(report.metadata)
    if tested is None:
        return None
    before = report.previous.tested if report.previous else None
    frames = [tested] if before is None else [tested, before]
    low = min(float(frame["score"].min()) for frame in frames)
    high = max(float(frame["score"].max()) for frame in frames)
    if not low < high:
        return None
    edges = np.linspace(low, high, BINS + 1)
    names = zip("ac", ("this session", "previous session"), frames, strict=False)
    series = [
        (role, name, bin_counts(frame, "population", edges).tolist()) for role, name, frame in names
    ]
    return distribution_chart(edges.tolist(), series, "Distribution of the scores")


def _clusters(report: SessionReport) -> list[Block]:
    note = report.note("cluster_sizes")
    if not {"cluster", "rows"} <= note.keys() or not note["rows"]:
        return []
    total = int(sum(report.note("score_distribution").get("rows", note["rows"])))
    rows: list[list[Cell]] = [
        [text(name, MOST_NAME), f"{int(count):,}", percent(int(count) / total)]
        for name, count in zip(note["cluster"], note["rows"], strict=True)
    ]
    columns = [Column("cluster"), Column("rows", "number"), Column("share", "number")]
    blocks: list[Block] = [Table(columns, rows, "Clusters, most test rows first")]
    sample = report.note("cluster_sample")
    if sample.get("rows", 0) < sample.get("of", 0):
        blocks.append(
            Note(
                f"silhouette, calinski_harabasz and davies_bouldin compare {sample['rows']:,} of "
                f"{sample['of']:,} test rows."
            )
        )
    return blocks
