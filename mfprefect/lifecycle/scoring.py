"""Scoring: the parts of a session, mapped over the flow's task runner.

The task runner's thread or process reads, checks, scores and writes a part over a connection of
its own, in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, NoReturn

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed

from mfprefect.errors import ChecksFailed, GateFailed, InvalidValue
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.by_value import pickle_by_value
from mfprefect.lifecycle.champion import features_of
from mfprefect.lifecycle.estimator import SCORES, score_source_of
from mfprefect.lifecycle.fitting import Trained
from mfprefect.lifecycle.part_checks import JointChecks, combined
from mfprefect.lifecycle.partitions import SparkRows, in_partitions, partition_digests, score_frame
from mfprefect.lifecycle.prefect_artifacts import Progress
from mfprefect.lifecycle.run_log import log_scored
from mfprefect.lifecycle.scoring_inputs import ScoringInputs
from mfprefect.lifecycle.scoring_job import InPartitions, ScoringJob
from mfprefect.lifecycle.scoring_part import PartDone, score_one
from mfprefect.lifecycle.sql_plan import SqlPlan, log_ways, plan_of_spark, plan_scoring
from mfprefect.quality.score_figures import ScoreFigures
from mfprefect.store import Store
from mfprefect.store.states import Purpose, Status

if TYPE_CHECKING:
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
    pickle_by_value(model_class)  # again: the task runner may have loaded its library since
    run = tasks.Runner(model_class)
    trained = run(tasks.load, store, model_class(), training)
    plan = _Plan(store, model_class, session, training, trained)
    earlier, complete = partition_digests(session), {}
    # Whether a partition has the rows of an earlier attempt can only be said by its executor.
    for part in filter(plan.joint.may_keep, () if earlier else range(1, model_class.parts + 1)):
        if (rows := session.keep_part(part)) is not None:
            tasks.log().info("part %d of %d was complete", part, model_class.parts)
            complete[part] = rows
    plan.inputs.take_over(complete)
    missing = [part for part in range(1, model_class.parts + 1) if part not in complete]
    parts = model_class.parts
    job = plan.job(plan_scoring(store, model_class, training, plan.features, trained.estimator))
    try:
        figures = _score_parts(run, job, session, missing, plan.joint)
        if isinstance(figures, SparkRows):
            plan = _Plan(store, in_partitions(model_class), session, training, trained)
            figures, complete = _score_partitions(run, plan, session, figures.frame, earlier)
            parts = len(plan.inputs.parts)
    except Exception:
        plan.inputs.log_some()
        raise
    plan.inputs.log()
    log_ways(session, plan.inputs.ways)
    plan.joint.judge()
    rows = sum(complete.values()) + figures.n
    session.log_metrics({"rows_scored": rows})
    _require_rows(model_class, session, rows, parts)
    if (source := score_source_of(store, training)) != "":
        session.log_metadata({SCORES[1]: source}, group=SCORES[0])
    log_scored(figures, parts, sum(complete.values()))
    return rows


class _Plan:
    """What the parts of a scoring have in common."""

    def __init__(
        self,
        store: Store,
        model_class: type[Model],
        session: Session,
        training: str,
        trained: Trained,
    ) -> None:
        self.joint = JointChecks(store, model_class, session)
        self.inputs = ScoringInputs(store, model_class, session, training)
        self.features = features_of(store, training)
        self._of = store, session, training, trained
        self.model_class = model_class

    def job(self, sql: SqlPlan) -> ScoringJob:
        """Return what scores a part, once it is known what the parts compare with.

        Args:
            sql: whether databases may compute the scores.
        """
        store, session, training, trained = self._of
        features, inputs, context = self.features, self.inputs, self.joint.context
        job = ScoringJob(
            self.model_class, store, session, training, features, trained, inputs, context
        )
        job.sql = sql
        return job


def _require_rows(model_class: type[Model], session: Session, rows: int, parts: int) -> None:
    """Refuse a scoring of fewer rows than `min_rows`; warn of one without rows."""
    if rows < model_class.min_rows:
        # A retry must read the data again, which may have arrived by then.
        session.drop_parts()
        raise InvalidValue(
            f"scoring_data returned {rows} rows in {parts} parts; "
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
) -> ScoreFigures | SparkRows:
    """Score the missing parts; return how their scores are distributed, or Spark's frame."""
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
            scored = future.result()
        except Exception as exc:  # noqa: BLE001 - raised below
            errors[part] = exc
            continue
        if isinstance(scored, SparkRows):
            return scored  # of the only part
        done[part] = scored
    if errors:
        _raise(errors)
    return _add_parts(session, done, joint)


def _score_partitions(
    run: tasks.Runner, plan: _Plan, session: Session, frame: Any, earlier: Mapping[int, str]
) -> tuple[ScoreFigures, dict[int, int]]:
    """Let Spark score a frame; return how scores are distributed, and the rows of kept parts.

    Args:
        run: runs tasks.
        plan: what the executors need; restricted to the parts that the frame has.
        session: the scoring session.
        frame: a Spark DataFrame.
        earlier: digests of the partitions of earlier attempts.
    """
    earlier = {part: digest for part, digest in earlier.items() if plan.joint.may_keep(part)}
    plan.inputs.restrict(())
    plan.inputs.compare_like(earlier)
    job = plan.job(plan_of_spark(plan.model_class))
    done, complete, errors = run(score_partitions, job, frame, session, earlier)
    plan.inputs.restrict({*done, *complete})
    plan.joint.restrict(complete)
    plan.inputs.take_over(complete)
    if earlier:
        text = "%d of %d partitions have the rows of an earlier attempt, which scored %d"
        tasks.log().info(text, len(complete), len({*done, *complete, *errors}), len(earlier))
    if errors:
        _raise(errors)
    session.log_metadata({"partitions": str(len(done) + len(complete))}, group="scoring")
    return _add_parts(session, done, plan.joint), complete


def _add_parts(session: Session, done: Mapping[int, PartDone], joint: JointChecks) -> ScoreFigures:
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


@task(name="score part", cache_policy=NO_CACHE, persist_result=False)
def score_part(scoring: ScoringJob, part: int) -> PartDone | SparkRows:
    """Read, check, score and store one part; return the rows of Spark instead."""
    try:
        return score_one(scoring, part)
    except InPartitions as exc:
        return SparkRows(exc.frame)


@task(name="score partitions", cache_policy=NO_CACHE, persist_result=False)
def score_partitions(
    scoring: ScoringJob, frame: Any, session: Session, earlier: Mapping[int, str]
) -> tuple[dict[int, PartDone], dict[int, int], dict[int, Exception]]:
    """Let Spark's executors score a frame; return scored and kept parts, and errors."""
    done, complete, errors = score_frame(scoring, frame, score_one, session, earlier)
    for error in errors.values():
        if tasks.is_transient(error):
            raise error
    return done, complete, errors
