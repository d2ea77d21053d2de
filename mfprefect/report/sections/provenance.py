"""The provenance of a session: its run, code, inputs and environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Block, Code, Column, Section, Table
from mfprefect.report.formats import MISSING, duration, moment, number, present, size, text
from mfprefect.report.sections.gates import stages_table

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import SessionReport

__all__ = ["elapsed", "provenance_section"]

PAIRS = (Column("what"), Column("value"))
MOST_INPUTS = 100
MOST_FILES = 100
DRAWN = ("confusion_matrix", "prediction_errors", "score_distribution")
"""Details of the test results that other sections show."""


def provenance_section(report: SessionReport) -> Section:
    """Return run, provenance, parameters, inputs, metadata, artifacts, files and environment."""
    blocks: list[Block] = [Table(PAIRS, _pairs(_run(report)), "The run")]
    if len(report.attempts) > 1:
        blocks.append(_attempts(report))
    if report.session["params"]:
        params = {str(k): text(v) for k, v in dict(report.session["params"]).items()}
        blocks.append(Table(PAIRS, _pairs(params), "Parameters"))
    if report.stages:
        blocks.append(stages_table(report.stages, "Stages, newest first", named=False))
    blocks += _inputs(report.inputs)
    blocks += _metadata(report.metadata)
    blocks += _artifacts(report.artifacts)
    blocks += _files(report.files)
    blocks.append(_environment(report.environment))
    return Section("Run and provenance", blocks)


def _pairs(values: Mapping[str, Any]) -> list[list[str]]:
    return [[name, str(value)] for name, value in values.items() if present(value)]


def elapsed(row: Mapping[str, Any]) -> str:
    """Return the duration of a session, or an empty text while it runs."""
    if not present(row["ended_at"]):
        return ""
    return duration((row["ended_at"] - row["started_at"]).total_seconds())


def _run(report: SessionReport) -> dict[str, Any]:
    row = report.session
    dirty = {True: "uncommitted changes", False: "clean"}
    return {
        "session": row["session_id"],
        "model": row["model_id"],
        "purpose": row["purpose"],
        "status": row["status"],
        "attempt": row["attempt"],
        "started": moment(row["started_at"]),
        "ended": moment(row["ended_at"]) if present(row["ended_at"]) else None,
        "took": elapsed(row),
        "data as of": row["as_of"],
        "training session": row["parent_session_id"],
        "run by": f"{row['run_by']} on {row['host']}",
        "deployment": row["deployment"],
        "flow run": row["flow_run_id"],
        "repository": row["git_remote"],
        "branch": row["git_branch"],
        "commit": row["git_commit"] if present(row["git_commit"]) else "unknown: no checkout",
        "author": row["git_author"],
        "working copy": dirty[bool(row["git_dirty"])] if present(row["git_dirty"]) else None,
        "seal": row["seal"],
    }


def _attempts(report: SessionReport) -> Table:
    columns = [
        *(Column("attempt"), Column("status"), Column("commit", "code"), Column("branch")),
        *(Column("environment", "code"), Column("run by"), Column("started"), Column("ended")),
        *(Column("parts written", "number"), Column("failure")),
    ]
    writers = [] if report.parts is None else list(report.parts["attempt"])
    rows = [
        [
            str(row["attempt"]),
            row["status"],
            (row["git_commit"] or MISSING)[:12] + (" changed" if row["git_dirty"] else ""),
            row["git_branch"] or MISSING,
            (row["environment_digest"] or MISSING)[:12],
            f"{row['run_by'] or 'unknown'} on {row['host']}",
            moment(row["started_at"]),
            moment(row["ended_at"]),
            number(writers.count(row["attempt"])),
            text(row["failure_text"]) if row["failure_text"] else "",
        ]
        for row in report.attempts
    ]
    return Table(columns, rows, "Attempts: each with its own code, environment and machine")


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
    limit = f", first {MOST_INPUTS} of {len(inputs)}" if len(inputs) > MOST_INPUTS else ""
    queries = list(dict.fromkeys(str(row["query"]) for row in rows if present(row["query"])))
    return [
        Table(columns, cells, f"Inputs{limit}"),
        *(Code(text(query), "Input query") for query in queries[:10]),
    ]


def _metadata(metadata: pd.DataFrame) -> list[Block]:
    # Other sections show the gates, and the details of test results in `DRAWN`.
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


def _files(files: pd.DataFrame) -> list[Block]:
    if files.empty:
        return []
    columns = [Column("file"), Column("type"), Column("size", "number"), Column("SHA-256", "code")]
    rows = [
        [str(row["name"]), str(row["media_type"]), size(row["bytes"]), str(row["sha256"])]
        for row in files.to_dict("records")
    ]
    limit = f", first {MOST_FILES} of {len(rows)}" if len(rows) > MOST_FILES else ""
    caption = f"Files{limit}: mfprefect files reads them"
    return [Table(columns, rows[:MOST_FILES], caption)]


def _environment(environment: Mapping[str, Any]) -> Table:
    packages = {str(k): str(v) for k, v in sorted(environment["packages"].items())}
    rows = [["Python", environment["python"]], ["platform", environment["platform"]]]
    rows += [[name, version] for name, version in packages.items()]
    caption = f"Python {environment['python']} and {len(packages)} packages"
    return Table([Column("package"), Column("version")], rows, caption, folded=True)
