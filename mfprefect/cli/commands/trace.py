"""`mfprefect trace`."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    from mfprefect.store.trace.result import Trace, TracedModel, TracedRun, TracedScore

__all__ = ["trace"]

DELETED = (
    Column("session_id", "session"),
    Column("published_at", "published (UTC)", "time"),
    Column("deleted_at", "deleted (UTC)", "time"),
    Column("deleted_by", "by"),
    Column("rows", "scores", "number", drop=1),
)
MOST_DELETED = 10
"""The lines of a table; --json has all."""


@click.command()
@click.argument("model")
@click.argument("entity")
@click.option(
    "--on",
    metavar="DATE",
    help="Only what readers saw then: on a day (UTC), or at an instant, 2026-11-23T08:30+01:00.",
)
@common
def trace(out: Output, url: str | None, model: str, entity: str, on: str | None) -> None:
    """Show every score of ENTITY that MODEL published: when readers saw it, and where it is from.

    Session, attempt, commit with its author, data, model and who promoted it, who or what started
    it, threshold and decision of that time.
    """
    import mfprefect

    with mfprefect.connect(url) as store:
        traced = store.trace(model, entity, on)
    out.document(asdict(traced))
    if out.as_json:
        return
    for score in traced.scores:
        out.pairs(block(score), f"Score {score.score:.6g}, published {_time(score.published_at)}")
    _write_deleted(out, traced)
    if not traced.scores:
        when = "" if on is None else f" that was the newest on {on}"
        out.note(f"model {model!r} has no published score of this entity{when}.")


def _write_deleted(out: Output, traced: Trace) -> None:
    if not traced.deleted:
        return
    from mfprefect.cli.formats import plain

    count, rows = len(traced.deleted), [plain(asdict(gone)) for gone in traced.deleted]
    title = f"Deleted scores of {count} session{'s' if count > 1 else ''}"
    title += f", the last {MOST_DELETED}" if count > MOST_DELETED else ""
    out.table(rows[-MOST_DELETED:], DELETED, f"{title}: whether this entity had one is not known")


def _time(instant: dt.datetime | None) -> str:
    if instant is None:
        return "at an unknown time"
    return f"{instant.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def block(score: TracedScore) -> dict[str, Any]:
    """Return what a person reads of a score, by its heading."""
    model, inputs = score.model, [_input(read) for read in score.inputs]
    if score.input_count > len(inputs):
        inputs.append(f"{score.input_count - len(inputs)} more")
    return {
        "class": score.score_class,
        "decision": _decision(score),
        "newest": _newest(score),
        "current": _current(score),
        "session": f"{score.session_id}, attempt {score.run.attempt}, part {score.part_no}",
        "data as of": str(score.as_of),
        "data": "; ".join(inputs),
        "started": _started(score),
        "code": code(score.run),
        "model": model and _model(model),
        "model's code": model and code(model.run),
        "promoted": model and _promoted(model),
        "flow run": score.flow_run_id,
        "seal": score.seal and f"{score.seal[:16]}..",
    }


def _decision(score: TracedScore) -> str | None:
    threshold = score.threshold
    if threshold is None:
        return None
    what = "at least" if threshold.kind == "probability" else "the top share of"
    when = f"{_time(threshold.set_at)} by {threshold.set_by}"
    limit = f"threshold: {what} {threshold.value:.6g}, set {when}"
    return f"{score.decision} ({limit})" if score.decision else limit


def _newest(score: TracedScore) -> str:
    if score.newest_from is None:
        return "never: a score of a newer day was there"
    began = f"from {_time(score.newest_from)}"
    if score.newest_until is None:
        return f"{began} until now"
    return f"{began} until {_time(score.newest_until)}, replaced by {score.replaced_by}"


def _current(score: TracedScore) -> str | None:
    """Return until when the session was the current one, if that is another time."""
    if score.current_until == score.newest_until or score.newest_from is None:
        return None
    return f"until {_time(score.current_until)}: a newer session does not have the entity"


def _started(score: TracedScore) -> str:
    run, deployment = score.run, score.deployment
    by = f"{run.run_by or 'an unknown user'} on {run.host or 'an unknown machine'}"
    if score.scheduled:
        by = f"the schedule of {deployment}, as {by}"
    elif deployment:
        by = f"a person or program through {deployment}, as {by}"
    return f"{_time(run.started_at)} by {by}"


def code(run: TracedRun) -> str:
    """Return commit, author, branch and repository."""
    if run.commit is None:
        return "unknown: not run from a git or Mercurial checkout"
    parts = [run.commit[:12] + (" with uncommitted changes" if run.dirty else "")]
    parts += [f"by {run.author}"] if run.author else []
    parts += [f"on {run.branch}"] if run.branch else []
    parts += [f"of {run.remote}"] if run.remote else []
    return " ".join(parts)


def _model(model: TracedModel) -> str:
    digests = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in model.artifacts.items())
    trained = f"trained {_time(model.run.started_at)} by {model.run.run_by or 'an unknown user'}"
    return f"{model.session_id}, {trained}" + (f" (SHA-256: {digests})" if digests else "")


def _promoted(model: TracedModel) -> str:
    promotion = model.promotion
    if promotion is None:
        return "never before these scores"
    text = f"{_time(promotion.promoted_at)} by {promotion.promoted_by}"
    text += f": {promotion.reason}" if promotion.reason else ""
    return text + (f" (despite its gates: {promotion.override})" if promotion.override else "")


def _input(read: Any) -> str:
    rows = "" if read.rows is None else f", {read.rows} rows"
    return f"{read.source}{rows}, digest {(read.digest or 'none')[:12]}"
