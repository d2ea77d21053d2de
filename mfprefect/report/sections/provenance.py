"""Where a session comes from: the run, its code, its inputs, its environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Block, Code, Column, Section, Table
from mfprefect.report.formats import MISSING, duration, moment, number, present, size, text
from mfprefect.report.sections.gates import stages_table

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import SessionReport

__all__ = ["origins_section", "took"]

PAIRS = (Column("what"), Column("value"))
MOST_INPUTS = 100
DRAWN = ("confusion_matrix", "prediction_errors", "score_distribution")
"""Notes of test results that are shown as pictures and tables."""


def origins_section(facts: SessionReport) -> Section:
    """Return run, provenance, parameters, inputs, metadata, artifacts and environment."""
    blocks: list[Block] = [Table(PAIRS, _pairs(_run(facts)), "The run")]
    if facts.session["params"]:
        given = {str(k): text(v) for k, v in dict(facts.session["params"]).items()}
        blocks.append(Table(PAIRS, _pairs(given), "Parameters"))
    if facts.stages:
        blocks.append(stages_table(facts.stages, "Its stages, the newest first", named=False))
    blocks += _inputs(facts.inputs)
    blocks += _metadata(facts.metadata)
    blocks += _artifacts(facts.artifacts)
    blocks.append(_environment(facts.environment))
    return Section("Run and provenance", blocks)


def _pairs(values: Mapping[str, Any]) -> list[list[str]]:
    return [[name, str(value)] for name, value in values.items() if present(value)]


def took(row: Mapping[str, Any]) -> str:
    """Return how long a session took, or an empty text while it runs."""
    if not present(row["ended_at"]):
        return ""
    return duration((row["ended_at"] - row["started_at"]).total_seconds())


def _run(facts: SessionReport) -> dict[str, Any]:
    row = facts.session
    dirty = {True: "with changes that are not committed", False: "clean"}
    return {
        "session": row["session_id"],
        "model": row["model_id"],
        "purpose": row["purpose"],
        "status": row["status"],
        "attempt": row["attempt"],
        "started": moment(row["started_at"]),
        "ended": moment(row["ended_at"]) if present(row["ended_at"]) else None,
        "took": took(row),
        "data as of": row["as_of"],
        "training session": row["parent_session_id"],
        "run by": f"{row['run_by']} on {row['host']}",
        "deployment": row["deployment"],
        "flow run": row["flow_run_id"],
        "repository": row["git_remote"],
        "branch": row["git_branch"],
        "commit": row["git_commit"] if present(row["git_commit"]) else "unknown: no checkout",
        "working copy": dirty[bool(row["git_dirty"])] if present(row["git_dirty"]) else None,
        "seal": row["seal"],
    }


def _inputs(inputs: pd.DataFrame) -> list[Block]:
    if inputs.empty:
        return []
    columns = [
        Column("source"),
        Column("rows", "number"),
        Column("columns", "number"),
        Column("took", "number"),
        Column("digest", "code"),
    ]
    rows = inputs.to_dict("records")[:MOST_INPUTS]
    cells = [
        [
            str(row["source"]),
            number(row["rows"]),
            number(len(row["columns"]) if isinstance(row["columns"], Mapping) else None),
            duration(float(row["seconds"])),
            str(row["digest"])[:12] if present(row["digest"]) else MISSING,
        ]
        for row in rows
    ]
    left = f", {MOST_INPUTS} of {len(inputs)}" if len(inputs) > MOST_INPUTS else ""
    queries = list(dict.fromkeys(str(row["query"]) for row in rows if present(row["query"])))
    return [
        Table(columns, cells, f"Inputs{left}"),
        *(Code(text(query), "Query of an input") for query in queries[:10]),
    ]


def _metadata(metadata: pd.DataFrame) -> list[Block]:
    # Gates and pictures of the test rows have sections of their own.
    drawn = (metadata["meta_group"] == "test") & metadata["meta_name"].isin(DRAWN)
    metadata = metadata[(metadata["meta_group"] != "gates") & ~drawn]
    if metadata.empty:
        return []
    columns = [Column("name"), Column("group"), Column("value")]
    rows = [
        [str(row["meta_name"]), str(row["meta_group"]), text(row["value"])]
        for row in metadata.to_dict("records")
    ]
    caption = f"{len(rows)} metadata value{'s' if len(rows) > 1 else ''}"
    return [Table(columns, rows[:200], caption, folded=len(rows) > 3)]


def _artifacts(artifacts: pd.DataFrame) -> list[Block]:
    if artifacts.empty:
        return []
    columns = [
        Column("name"),
        Column("format"),
        Column("size", "number"),
        Column("SHA-256", "code"),
    ]
    rows = [
        [str(row["artifact_name"]), str(row["format"]), size(row["bytes"]), str(row["sha256"])]
        for row in artifacts.to_dict("records")
    ]
    return [Table(columns, rows, "Artifacts")]


def _environment(environment: Mapping[str, Any]) -> Table:
    packages = {str(k): str(v) for k, v in sorted(environment["packages"].items())}
    rows = [["Python", environment["python"]], ["platform", environment["platform"]]]
    rows += [[name, version] for name, version in packages.items()]
    caption = f"Python {environment['python']} and {len(packages)} packages"
    return Table([Column("package"), Column("version")], rows, caption, folded=True)
