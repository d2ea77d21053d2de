"""`mfprefect plan`."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.store import Store
    from mfprefect.store.plan import PromotionPlan

__all__ = ["model_class", "plan", "planned"]

MOVEMENT = (
    Column("measure", "measure"),
    Column("production", "production", "number"),
    Column("candidate", "candidate", "number"),
    Column("value", "value or difference", "number"),
    Column("verdict", "verdict"),
)
FLIPS = (
    Column("production", "production"),
    Column("candidate", "candidate"),
    Column("rows", "rows", "number"),
    Column("share", "share", "number"),
    Column("flipped", "flips"),
)
SEGMENTS = (
    Column("segment", "segment"),
    Column("rows", "rows", "number"),
    Column("flipped", "flips", "number"),
    Column("flipped_share", "share", "number"),
    Column("production_acted", "acted on: production", "number", 1),
    Column("candidate_acted", "candidate", "number", 1),
    Column("production_mean", "mean: production", "number", 2),
    Column("candidate_mean", "candidate", "number", 2),
)
COLUMNS = (
    Column("kind", "kind"),
    Column("name", "name"),
    Column("needed_by", "needed by"),
    Column("type", "type", drop=1),
    Column("null_share", "NULL today", "number"),
    Column("in_data", "in the data"),
    Column("registry", "registry", drop=2),
)
GATES = (
    Column("gate", "gate"),
    Column("verdict", "verdict"),
    Column("figure", "figure", "number"),
    Column("reason", "reason", drop=1),
)
CHECKS = (
    Column("check", "check"),
    Column("column", "column"),
    Column("passed", "passed"),
    Column("severity", "severity", drop=1),
    Column("message", "message"),
)
READERS = (
    Column("kind", "kind"),
    Column("name", "name"),
    Column("session_id", "session"),
    Column("as_of", "as of"),
    Column("at", "at (UTC)", "time"),
    Column("detail", "detail", drop=1),
)
MORE = {"columns": "needed by both models", "segments": "more segments", "checks": "checks passed"}
"""What the rows are that a table leaves out."""
MOST_SEGMENTS = 10
"""The segments of a table; --json has all."""


@click.command()
@click.argument("model")
@click.argument("session")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The date of the data to score; by default today.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="ROWS",
    help="Score about this many rows, chosen by a hash of their ids; by default all.",
)
@click.option(
    "--entrypoint",
    metavar="FILE:CLASS",
    help="The model's class; by default the one that SESSION recorded, in this checkout.",
)
@click.option("--stored", is_flag=True, help="Score nothing: compare stored scores.")
@common
def plan(
    out: Output,
    url: str | None,
    model: str,
    session: str,
    as_of: dt.datetime | None,
    sample: int | None,
    entrypoint: str | None,
    stored: bool,
) -> None:
    """Show what promoting a training SESSION of MODEL would change.

    Scores today's data with the model in production and with SESSION: how scores move, which
    decisions flip, gates, needed data, readers. Writes nothing. SESSION is an id, `latest` or
    `latest:MODEL`.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_training

    with mfprefect.connect(url) as store:
        session_id = resolve_training(store, session, model)
        if stored:
            result = store.plan(model, session_id)
        else:
            with out.working("scoring today's data with both models ..", keep=False):
                result = planned(
                    store, model, session_id, entrypoint, as_of and as_of.date(), sample
                )
    _write(out, result)
    out.document(_document(result))


def planned(
    store: Store,
    model: str,
    session_id: str,
    entrypoint: str | None = None,
    as_of: dt.date | None = None,
    sample: int | None = None,
    seconds: float | None = None,
) -> PromotionPlan:
    """Return the plan on today's data; on stored scores if the model's class is not here.

    Arguments are those of `plan_on_data`; `entrypoint` names the class.

    Raises:
        ConfigurationError: `entrypoint` names no class of the model.
    """
    from mfprefect.errors import ConfigurationError

    try:
        kind = model_class(store, model, session_id, entrypoint)
    except ConfigurationError as exc:
        if entrypoint is not None:
            raise
        reason = (
            f"today's data was not scored: {str(exc).rstrip('.')}; --entrypoint names the class"
        )
        return replace(store.plan(model, session_id), notes=(reason,))
    from mfprefect.lifecycle.promotion_plan import plan_on_data

    return plan_on_data(store, kind, session_id, as_of=as_of, sample=sample, seconds=seconds)


def model_class(store: Store, model: str, session_id: str, entrypoint: str | None) -> type[Model]:
    """Return the class of a model: the one named, or the one that a session recorded, from here.

    Raises:
        ConfigurationError: there is no such class, or it is another model's.
    """
    from mfprefect.errors import ConfigurationError
    from mfprefect.provenance.checkout import find_checkout
    from mfprefect.provenance.entrypoint import CODE
    from mfprefect.reproduce.worker import load_class

    root = Path.cwd()
    if entrypoint is None:
        _, checkout = find_checkout(root)
        root = checkout or root
        metadata = store.metadata(session_id)
        entry = (metadata["meta_group"] == CODE[0]) & (metadata["meta_name"] == CODE[1])
        if not entry.any():
            raise ConfigurationError(f"session {session_id} recorded no class of its model")
        entrypoint = str(metadata.loc[entry, "value"].iloc[0])
    kind = load_class(root, entrypoint)
    kind._require()
    if kind.model_id != model:
        raise ConfigurationError(f"{entrypoint} is the model {kind.model_id!r}, not {model!r}")
    return kind


def _document(result: PromotionPlan) -> dict[str, Any]:
    from mfprefect.cli.formats import records

    frames = ("movement", "flips", "segments", "columns", "checks", "gates", "readers")
    values = {name: value for name, value in vars(result).items() if name not in frames}
    return values | {name: records(getattr(result, name)) for name in frames}


def _write(out: Output, result: PromotionPlan) -> None:
    document = _document(result)
    threshold = result.threshold and f"{result.threshold['kind']} {result.threshold['value']:g}"
    out.pairs(
        {
            "model": result.model_id,
            "candidate": result.session_id,
            "production": result.production_session_id or "nothing",
            "rows": f"{result.rows:,}" if result.rows else "none",
            "of": result.basis,
            "operating threshold": threshold or "not set",
        },
        "Plan",
    )
    out.heading("Verdicts")
    for line in result.verdicts:
        out.line(f"  {line}")
    for note in result.notes:
        out.note(note)
    _write_tables(out, document)


def _write_tables(out: Output, document: dict[str, Any]) -> None:
    segments = document["segments"][:MOST_SEGMENTS]
    needs = [row for row in document["columns"] if _is_news(row)]
    checks = [row for row in document["checks"] if not row["passed"]]
    for name, rows, columns, title in (
        ("movement", document["movement"], MOVEMENT, "Scores"),
        ("flips", document["flips"], FLIPS, "Decisions"),
        ("segments", segments, SEGMENTS, "Segments, most flips first"),
        ("gates", document["gates"], GATES, "Gates of the candidate"),
        ("columns", needs, COLUMNS, "Data that changes"),
        ("checks", checks, CHECKS, "Checks that failed or were not run"),
        ("readers", document["readers"], READERS, "Who reads the scores"),
    ):
        shown = [c for c in columns if any(row[c.key] is not None for row in rows)]
        if rows:
            out.table(rows, shown, title)
        if len(rows) < len(document[name]):
            out.note(f"{len(document[name]) - len(rows)} {MORE[name]}; --json lists them.")


def _is_news(row: dict[str, Any]) -> bool:
    """Return whether a column or source is not needed by both models, or not there."""
    return row["needed_by"] != "both" or row["in_data"] is False
