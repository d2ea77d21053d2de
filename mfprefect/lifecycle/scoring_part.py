"""Scoring a part, in this process or in another one: reading, checking, predicting and writing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.inputs.batches import Unstreamable
from mfprefect.inputs.stream import Whole, produced
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.batches import Scored, score_in_batches, why_whole
from mfprefect.lifecycle.error_redaction import redacted_errors
from mfprefect.lifecycle.part_checks import scoring_checks
from mfprefect.lifecycle.part_scores import SCORE, scores_of
from mfprefect.lifecycle.scoring_inputs import PartRecorder
from mfprefect.lifecycle.scoring_job import ScoringJob
from mfprefect.lifecycle.sql_scoring import score_part_in_sql
from mfprefect.quality.checks.base import RowCount
from mfprefect.quality.score_figures import ScoreFigures

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model

__all__ = ["PartDone", "score_one"]


class PartDone(NamedTuple):
    """A scored part."""

    figures: ScoreFigures
    spooled: str
    """The spool's receipt if the database was away, else empty."""
    answers: dict[str, Any]
    """What the checks of all rows need of the part."""


def score_one(scoring: ScoringJob, part: int) -> PartDone:
    """Read, check, score and store one part."""
    recorder = scoring.recorder(part)
    try:
        with redacted_errors():
            figures = _score(scoring, recorder, part)
    finally:
        recorder.flush()
    return PartDone(figures, recorder.spool_receipt, recorder.answers)


def _score(scoring: ScoringJob, recorder: PartRecorder, part: int) -> ScoreFigures:
    """Score a part where its rows are, or in Python; the recorder notes which, and why."""
    model = scoring.model(recorder, part)
    produce = partial(scoring.rows, model, part)
    if not scoring.sql.lazy:
        recorder.way = scoring.sql.way
        return _score_in_python(scoring, recorder, model, part, produce)
    data = produced(model.reader, produce)
    if (figures := score_part_in_sql(scoring, recorder, model, data, part)) is not None:
        return figures
    model.reader.refusal = None
    return _score_in_python(scoring, recorder, model, part, lambda: data)


def _score_in_python(
    scoring: ScoringJob, recorder: PartRecorder, model: Model, part: int, produce: Callable[[], Any]
) -> ScoreFigures:
    """Score a part in batches, or whole where that is not possible."""
    checks = scoring_checks(type(model), scoring.settings)
    if not (reason := why_whole(type(model), *checks)):
        try:
            outcome = score_in_batches(scoring, recorder, model, part, checks, produce)
            if isinstance(outcome, Scored):
                return outcome.figures
            return _score_whole(scoring, recorder, model, outcome, part)
        except Unstreamable as exc:
            tasks.log().info("part %d is read a second time, because %s", part, exc)
            reason, model = str(exc), scoring.model(recorder, part)
            produce = partial(scoring.rows, model, part)
    frame = model.reader.load(produce, f"scoring_data part {part}")
    return _score_whole(scoring, recorder, model, Whole(frame, reason), part)


def _score_whole(
    scoring: ScoringJob, recorder: PartRecorder, model: Model, rows: Whole, part: int
) -> ScoreFigures:
    recorder.note_reading(f"whole: {rows.reason}")
    frame = rows.frame
    each, joint = scoring_checks(type(model), scoring.settings)
    if len(frame) == 0:
        return _score_nothing(scoring, recorder, model, frame, each, part)
    frame = tasks.check(recorder, model, frame, each, part)
    recorder.answer(frame, joint, scoring.context, model.masked)
    tasks.require_columns(frame, [model.entity_id, *scoring.features], "scoring_data")
    features, ids = frame[scoring.features], frame[model.entity_id]
    summarizer = scoring.summarizer()
    summarizer.add(features, ids)
    scoring.keep_summary(recorder, summarizer)
    scores = scores_of(model, scoring.estimator, features, ids)
    recorder.write_scores(
        scores.frame,
        entity_id=model.entity_id,
        score=SCORE,
        score_class=scores.score_class,
        part=part,
    )
    return scores.figures


def _score_nothing(
    scoring: ScoringJob,
    recorder: PartRecorder,
    model: Model,
    frame: pd.DataFrame,
    checks: list[Any],
    part: int,
) -> ScoreFigures:
    """Write a part without rows; only checks of the number of rows can judge it."""
    import pandas as pd

    counts = [check for check in checks if isinstance(check, RowCount)]
    tasks.check(recorder, model, frame, counts, part)
    tasks.log().warning("part %d of %d has no rows", part, model.parts)
    recorder.answer(frame, [], scoring.context, model.masked)
    scoring.keep_summary(recorder, scoring.summarizer())
    nothing = pd.DataFrame({model.entity_id: [], SCORE: []})
    recorder.write_scores(nothing, entity_id=model.entity_id, score=SCORE, part=part)
    return ScoreFigures()
