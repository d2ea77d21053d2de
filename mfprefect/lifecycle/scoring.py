"""Scoring: the parts of a session, mapped over the flow's task runner.

The task runner's thread or process reads, checks, scores and writes a part over a connection of
its own, in one transaction.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import cloudpickle
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed

from mfprefect.errors import ChecksFailed, GateFailed, InvalidValue
from mfprefect.inputs.batches import Unstreamable
from mfprefect.inputs.stream import Whole, produced
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.batches import Scored, score_in_batches, why_whole
from mfprefect.lifecycle.champion import features_of
from mfprefect.lifecycle.error_redaction import redacted_errors
from mfprefect.lifecycle.estimator import SCORES, score_source_of
from mfprefect.lifecycle.part_checks import JointChecks, combined, scoring_checks
from mfprefect.lifecycle.part_scores import SCORE, scores_of
from mfprefect.lifecycle.prefect_artifacts import Progress
from mfprefect.lifecycle.run_log import log_scored
from mfprefect.lifecycle.scoring_inputs import PartRecorder, ScoringInputs
from mfprefect.lifecycle.scoring_job import ScoringJob
from mfprefect.lifecycle.sql_plan import log_ways, plan_scoring
from mfprefect.lifecycle.sql_scoring import score_part_in_sql
from mfprefect.quality.checks.base import RowCount
from mfprefect.quality.score_figures import ScoreFigures
from mfprefect.store import Store
from mfprefect.store.states import Purpose, Status

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.session import Session

__all__ = ["apply_gates", "pickle_by_value", "require_trained", "score_model"]


def score_model(store: Store, model_class: type[Model], session: Session) -> int:
    """Score part by part with the session's training session; skip parts already complete.

    Returns:
        The number of rows of all parts.

    Raises:
        ChecksFailed: data failed the checks. Those of a part: the other parts are kept for the
            next attempt. Those of all rows: no part is kept.
    """
    training = session.parent_session_id
    if training is None:
        raise AssertionError("a scoring session has a training session")
    run = tasks.Runner(model_class)
    joint = JointChecks(store, model_class, session)
    trained = run(tasks.load, store, model_class(), training)
    complete = {}
    for part in filter(joint.may_keep, range(1, model_class.parts + 1)):
        if (rows := session.keep_part(part)) is not None:
            tasks.log().info("part %d of %d was complete", part, model_class.parts)
            complete[part] = rows
    inputs = ScoringInputs(store, model_class, session, training)
    inputs.take_over(complete)
    features = features_of(store, training)
    scoring = ScoringJob(
        model_class, store, session, training, features, trained, inputs, joint.context
    )
    scoring.sql = plan_scoring(store, model_class, training, features, trained.estimator)
    missing = [part for part in range(1, model_class.parts + 1) if part not in complete]
    try:
        figures = _score_parts(run, scoring, session, missing, joint)
    except Exception:
        inputs.log_some()
        raise
    inputs.log()
    log_ways(session, inputs.ways)
    joint.judge()
    rows = sum(complete.values()) + figures.n
    session.log_metrics({"rows_scored": rows})
    _require_rows(model_class, session, rows)
    if (source := score_source_of(store, training)) != "":
        session.log_metadata({SCORES[1]: source}, group=SCORES[0])
    log_scored(figures, model_class.parts, sum(complete.values()))
    return rows


def _require_rows(model_class: type[Model], session: Session, rows: int) -> None:
    """Refuse a scoring of fewer rows than `min_rows`; warn of one without rows."""
    if rows < model_class.min_rows:
        # A retry must read the data again, which may have arrived by then.
        session.drop_parts()
        raise InvalidValue(
            f"scoring_data returned {rows} rows in {model_class.parts} parts; "
            f"{model_class.__name__} has min_rows = {model_class.min_rows}. No score is published."
        )
    if not rows:
        tasks.log().warning(
            "scoring_data returned no rows, so no entity was scored; set min_rows in %s to let "
            "such a run fail",
            model_class.__name__,
        )
        session.log_metadata({"empty": "scoring_data returned no rows"}, group="scoring")


def apply_gates(model_class: type[Model], session: Session) -> None:
    """Apply a model's gates of scorings; if one fails, no score is published.

    Raises:
        GateFailed: a gate failed; summaries, drift and verdicts are kept.
    """
    if not model_class.scoring_gates:
        return
    try:
        session.log_gates(model_class.scoring_gates)
    except GateFailed:
        # A retry must read the data again, which may be mended by then.
        session.drop_parts()
        raise


def _score_parts(
    run: tasks.Runner,
    scoring: ScoringJob,
    session: Session,
    missing: Sequence[int],
    joint: JointChecks,
) -> ScoreFigures:
    """Score the missing parts; return how their scores are distributed."""
    model_class = scoring.model_class
    progress = Progress(session, model_class.parts, model_class.parts - len(missing))
    futures = [run.submit(score_part, scoring, part) for part in missing]
    for future in as_completed(futures):
        # Ask the future itself: Prefect's server learns of a finished task a little later.
        if isinstance(future.result(raise_on_failure=False), PartDone):
            progress.step()
    done: dict[int, PartDone] = {}
    errors: dict[int, Exception] = {}
    for part, future in zip(missing, futures, strict=True):
        try:
            done[part] = future.result()
        except Exception as exc:  # noqa: BLE001 - raised below
            errors[part] = exc
    if errors:
        _raise(errors)
    for part, scored in done.items():
        session.require_spooled(scored.spooled)
        joint.add(part, scored.answers)
    return reduce(ScoreFigures.merged, (scored.figures for scored in done.values()), ScoreFigures())


def _raise(errors: dict[int, Exception]) -> NoReturn:
    """Raise the error of the lowest failed part; failed checks with those of the other parts."""
    first = next(iter(errors.values()))
    if isinstance(first, ChecksFailed):
        failed = [(part, exc) for part, exc in errors.items() if isinstance(exc, ChecksFailed)]
        raise combined(failed)
    raise first


def require_trained(store: Store, model_class: type[Model], session_id: str) -> None:
    """Refuse anything but a training session of the model that succeeded or was promoted.

    Raises:
        UnknownSession: there is no such session.
        InvalidValue: it belongs to another model, has another purpose, or did not succeed.
    """
    row = store.show(session_id).iloc[0]
    is_training = (row["model_id"], row["purpose"]) == (model_class.model_id, Purpose.TRAIN)
    usable = row["status"] == Status.SUCCEEDED or session_id in set(
        # A person promoted it by an override, which is on record.
        store.stages(model_class.model_id)["session_id"]
    )
    if not (is_training and usable):
        raise InvalidValue(
            f"session {session_id!r} cannot be used for scoring: it is a {row['status']} "
            f"{row['purpose']} session of {row['model_id']!r}; name a successful training session "
            f"of {model_class.model_id!r}, or none to use the last one."
        )


def pickle_by_value(model_class: type[Model]) -> None:
    """Pickle a script's classes with their code, since other processes cannot import a script.

    Classes of installed packages are imported there; a package may rely on being loaded once.
    """
    name = model_class.__module__
    module = sys.modules.get(name)
    file = Path(getattr(module, "__file__", None) or "")
    installed = (Path(sysconfig.get_path(place)) for place in ("purelib", "platlib", "stdlib"))
    if module is None or name == "__main__" or "." in name:
        return  # pickled by value anyway, or part of a package
    if not any(file.is_relative_to(folder) for folder in installed):
        cloudpickle.register_pickle_by_value(module)


class PartDone(NamedTuple):
    """A scored part."""

    figures: ScoreFigures
    spooled: str
    """The spool's receipt if the database was away, else empty."""
    answers: dict[str, Any]
    """What the checks of all rows need of the part."""


@task(name="score part", cache_policy=NO_CACHE, persist_result=False)
def score_part(scoring: ScoringJob, part: int) -> PartDone:
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
    produce = partial(model.scoring_data, scoring.as_of, part)
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
            produce = partial(model.scoring_data, scoring.as_of, part)
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
