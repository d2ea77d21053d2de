"""Both models score today's data where it is; only scores and segments leave the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError, DatabaseError, InvalidValue
from mfprefect.lifecycle.plan_job import Contender, PlanJob
from mfprefect.lifecycle.sql_plan import plan_scoring
from mfprefect.lifecycle.sql_proof import Proof, no_bug_of_ours, prove
from mfprefect.sql_scoring import NotCompilable, compile_pair
from mfprefect.store.plan import ScoredData
from mfprefect.store.scores.changes import changes_of_rows

if TYPE_CHECKING:
    from mfprefect.inputs.query_rows import QueryRows

__all__ = ["NeedsPython", "scored_in_sql"]

PROOF_ROWS = 1_000
"""Rows that are scored both ways where a training has no proof for the database."""


class NeedsPython(Exception):
    """The database cannot score with both models; the text is the reason."""


def scored_in_sql(job: PlanJob) -> ScoredData | None:
    """Let the database of the source score the data with both models; compare the scores.

    Returns:
        None if the class wants Python.

    Raises:
        NeedsPython: it cannot.
        DatabaseError: the source is away.
    """
    if job.model_class.scoring == "python":
        return None
    try:
        with _refusals():
            proofs = [_proof_of_training(job, side) for side in job.sides]
            queries = job.queries()
            if isinstance(queries, str):
                raise NeedsPython(queries)
            with job.candidate.model.reader.query_rows(queries[0]) as first:
                if first.backend is None or not first.backend.scores_in_sql:
                    raise NeedsPython("the database of the source does not score")
                if not first.backend.longest_plan:
                    raise NeedsPython(f"a plan with {first.backend.name} is faster so")
                with first.time_limit(job.remaining):
                    parts = [first, *map(first.beside, queries[1:])]
                    return _compared(job, parts, proofs)
    except DatabaseError as exc:
        if job.is_over:
            return job.scored(f"the data of {job.as_of} was not scored: {job.limit}")
        if exc.transient:
            raise
        raise NeedsPython(f"the database refuses the statement: {exc}") from exc


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except NotCompilable as exc:
        raise NeedsPython(str(exc)) from exc
    except RecursionError as exc:
        raise NeedsPython("its statement is nested too deeply to be written") from exc


def _proof_of_training(job: PlanJob, side: Contender) -> Proof | None:
    try:
        plan = plan_scoring(
            job.store, job.model_class, side.session_id, side.features, side.estimator
        )
    except ConfigurationError as exc:  # of a class that asks for SQL: a plan may use Python
        raise NeedsPython(str(exc)) from exc
    if plan.reason is not None:
        raise NeedsPython(plan.reason)
    return plan.proof


def _compared(job: PlanJob, parts: list[QueryRows], proofs: list[Proof | None]) -> ScoredData:
    first = parts[0]
    counts = [rows.null_counts([x for x in job.needed if x in rows.columns]) for rows in parts]
    total = sum(count for count, _ in counts)
    nulls: Counter[str] = Counter(dict.fromkeys(first.columns, 0))
    for _, of_part in counts:
        nulls.update(of_part)
    shares = {name: count / max(1, total) for name, count in nulls.items()}
    for part, rows in enumerate(parts, 1):
        if job.is_over:
            return job.scored(f"the data of {job.as_of} was not scored: {job.limit}")
        job.checks.part = part
        job.checks.of_database(rows)
        for side in job.sides:
            if (lacking := job.lacking(side, rows.columns, shares)) is not None:
                return lacking
    if not total:
        return job.scored(f"the data of {job.as_of} has no rows", null_shares=shares)
    for side, proof in zip(job.sides, proofs, strict=True):
        _require_proof(side, proof, first, job.model_class.entity_id)
    share = 1 if job.sample is None else max(1, total // job.sample)
    return _changes(job, parts, share, total, shares)


def _require_proof(side: Contender, proof: Proof | None, rows: QueryRows, entity_id: str) -> None:
    if proof is None or proof.dialect != rows.dialect:
        count, _ = rows.null_counts([])
        sample = rows.sample(side.features, entity_id, max(1, count // PROOF_ROWS))
        if sample.empty:
            raise NeedsPython("there is no row to prove the SQL of the models on")
        proof = rows.on_connection(
            lambda *place: prove(side.model, side.estimator, sample.head(PROOF_ROWS), place)
        )
    if proof.reason is not None:
        raise NeedsPython(proof.reason)


def _require_short(select: Any, rows: QueryRows) -> None:
    text = rows.on_connection(lambda connection, _: str(select.compile(connection)))
    longest = 0 if rows.backend is None else rows.backend.longest_plan
    if len(text) > longest:
        raise NeedsPython(
            f"the SELECT of both models has {len(text):,} characters, and above {longest:,} Python "
            "is faster"
        )


def _changes(
    job: PlanJob, parts: list[QueryRows], share: int, total: int, shares: dict[str, float]
) -> ScoredData:
    """Score each row once with both models, in one SELECT for each part."""
    entity_id = job.model_class.entity_id
    segments = [name for name in job.segments if all(name in rows.columns for rows in parts)]
    passed = {f"segment_{number}": name for number, name in enumerate(segments, 1)}
    with no_bug_of_ours():
        pair = compile_pair(job.production.fitted, job.candidate.fitted)
    selects, expected = [], 0
    _require_short(pair.select(parts[0].for_model(entity_id, job.needed), {}), parts[0])
    for rows in parts:
        # Feature and segment may be the same column.
        names = list(dict.fromkeys([*job.needed, *segments]))
        of_models = rows.for_model(entity_id, names, share)
        count, distinct = rows.count(of_models, entity_id)
        if distinct < count:
            raise NeedsPython("an id has several rows, or there is none")
        expected += count
        selects.append(pair.select(of_models, passed))

    def compare(connection: Any, backend: Any) -> Any:
        backend.prepare_scoring(connection)
        return changes_of_rows(connection, selects, segments, job.threshold)

    try:
        changes = parts[0].on_connection(compare)
    except InvalidValue as exc:
        raise NeedsPython(str(exc).rstrip(".")) from exc
    if changes.rows != expected:
        raise NeedsPython("rows changed meanwhile")
    return job.scored(job.basis(changes.rows, total, "SQL"), changes, shares)
