"""`mfprefect reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    from mfprefect.reproduce.comparison import Reproduction

__all__ = ["reproduce"]

DIFFERENT = 3
"""The exit code if the results differ; 1 is any error, 2 wrong usage."""

SIDES = (Column("recorded", "recorded"), Column("reproduced", "now"), Column("verdict", "result"))
METRICS = (
    Column("recorded", "recorded", "number"),
    Column("reproduced", "now", "number"),
    Column("difference", "difference", "signed"),
    Column("verdict", "result"),
)


@click.command()
@click.argument("session")
@click.option(
    "--repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A clone that contains the commit; by default the one of the current folder.",
)
@click.option(
    "--entrypoint",
    metavar="FILE:CLASS",
    help="The model's class in that commit, if the session did not record it.",
)
@click.option(
    "--tolerance",
    type=float,
    default=0.0,
    show_default=True,
    help="How much a metric may differ, relative to its value.",
)
@click.option(
    "--install",
    is_flag=True,
    help="Install the recorded packages with pip into a temporary environment.",
)
@click.option("--without", multiple=True, metavar="PACKAGE", help="Do not install this package.")
@common
def reproduce(out: Output, url: str | None, session: str, **options: Any) -> None:
    """Run a train or score SESSION again and compare the results.

    Checks its commit out into a temporary worktree and runs it with the recorded parameters and
    date, as an adhoc session that is never published or promoted and sends no notices. Exits with
    0 if all metrics and scores are the same, 3 if not, 1 if the session cannot be run again.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_session
    from mfprefect.reproduce import reproduce as rerun

    with mfprefect.connect(url) as store:
        name = resolve_session(store, session)["session_id"]
        reproduction = rerun(store, name, say=out.note, **options)
    _write(out, reproduction)
    out.document(reproduction.as_dict())
    if not reproduction.same:
        click.get_current_context().exit(DIFFERENT)


def _write(out: Output, reproduction: Reproduction) -> None:
    out.pairs(
        {
            "session": reproduction.session_id,
            "run again as": reproduction.reproduction_id,
            "commit": reproduction.commit,
            "packages": _packages(reproduction),
            "note": "; ".join(reproduction.notes) or None,
            "result": _verdict(reproduction),
        },
        "Reproduction",
    )
    if reproduction.environment:
        columns = [Column("name", "name"), Column("recorded", "recorded"), Column("present", "now")]
        out.table(reproduction.environment, columns, "Environment: differences")
    if reproduction.metrics:
        segment = (
            [Column("segment", "segment")]
            if any(r["segment"] for r in reproduction.metrics)
            else []
        )
        columns = [Column("metric_name", "metric"), *segment, *METRICS]
        out.table(_with_verdicts(reproduction.metrics), columns, "Metrics")
    for title, name, rows in (
        ("Inputs", "source", reproduction.inputs),
        ("Model", "artifact", reproduction.models),
        ("Scores", "part", reproduction.scores),
    ):
        if rows:
            out.table(_short_digests(rows), [Column("name", name), *SIDES], f"{title}: digests")


def _packages(reproduction: Reproduction) -> str:
    changed = sum(row["name"] not in ("python", "platform") for row in reproduction.environment)
    return f"{reproduction.packages} recorded, {changed or 'none'} different now"


def _verdict(reproduction: Reproduction) -> str:
    if reproduction.same:
        return "the same"
    metrics = sum(not row["same"] for row in reproduction.metrics)
    parts = sum(not row["same"] for row in reproduction.scores)
    differences = [f"{metrics} of {len(reproduction.metrics)} metrics"] if metrics else []
    differences += [f"{parts} of {len(reproduction.scores)} parts of the scores"] if parts else []
    if differences:
        return f"different: {' and '.join(differences)}"
    return "different: the model" if reproduction.models else "it recorded nothing to compare"


def _with_verdicts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"verdict": row.get("note") or _same(row)} for row in rows]


def _short_digests(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sides = ("recorded", "reproduced")
    return [
        row | {side: (row[side] or "")[:12] for side in sides} | {"verdict": _same(row)}
        for row in rows
    ]


def _same(row: dict[str, Any]) -> str:
    return "same" if row["same"] else "different"
