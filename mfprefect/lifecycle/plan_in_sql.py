"""Both models score today's data where it is; only scores and segments leave the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError, DatabaseError, InvalidValue
from mfprefect.inputs.query import Query, unread_query
from mfprefect.inputs.stream import produced
from mfprefect.lifecycle.plan_job import Contender, PlanJob
from mfprefect.lifecycle.sql_plan import plan_scoring
from mfprefect.lifecycle.sql_proof import Proof, compiled, prove
from mfprefect.sql_scoring import NotCompilable
from mfprefect.store.plan import ScoredData
from mfprefect.store.scores.changes import Pairs, changes_of_rows, paired, united

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
            queries = _queries(job)
            with job.candidate.model.reader.query_rows(queries[0]) as first:
                parts = [first, *map(first.beside, queries[1:])]
                return _compared(job, parts, proofs)
    except DatabaseError as exc:
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


def _queries(job: PlanJob) -> list[Query]:
    """Return the queries of all parts, unread and of one source."""
    if len(job.readers) > 1:
        raise NeedsPython("scoring_data may depend on the models' extras")
    model = job.candidate.model
    queries = []
    for part in range(1, job.model_class.parts + 1):
        frame = produced(model.reader, partial(model.scoring_data, job.as_of, part))
        if (query := unread_query(frame)) is None:
            raise NeedsPython("scoring_data returns a frame, neither SQL text nor the read itself")
        queries.append(query)
    if len({query.source for query in queries}) > 1:
        raise NeedsPython("the parts come from several sources")
    return queries


def _compared(job: PlanJob, parts: list[QueryRows], proofs: list[Proof | None]) -> ScoredData:
    first = parts[0]
    if first.backend is None or not first.backend.scores_in_sql:
        raise NeedsPython("the database of the source does not score")
    counts = [rows.null_counts([x for x in job.needed if x in rows.columns]) for rows in parts]
    total = sum(count for count, _ in counts)
    nulls: Counter[str] = Counter(dict.fromkeys(first.columns, 0))
    for _, of_part in counts:
        nulls.update(of_part)
    shares = {name: count / max(1, total) for name, count in nulls.items()}
    for rows in parts:
        for side in job.sides:
            if (lacking := job.lacking(side, rows.columns, shares)) is not None:
                return lacking
    if not total:
        return ScoredData(f"the data of {job.as_of} has no rows", None, shares)
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


def _changes(
    job: PlanJob, parts: list[QueryRows], share: int, total: int, shares: dict[str, float]
) -> ScoredData:
    entity_id = job.model_class.entity_id
    segments = [name for name in job.segments if all(name in rows.columns for rows in parts)]
    selects, expected = [], 0
    for rows in parts:
        # Feature and segment may be the same column.
        names = list(dict.fromkeys([*job.needed, *segments]))
        of_models = rows.for_model(entity_id, names, share)
        expected += rows.count(of_models)
        one, other = (_select(side, of_models, entity_id) for side in job.sides)
        selects.append(paired(of_models, one, other, segments, entity_id))

    def compare(connection: Any, backend: Any) -> Any:
        backend.prepare_scoring(connection)
        pairs = Pairs(united(selects), segments)
        return changes_of_rows(connection, pairs, job.threshold)

    try:
        changes = parts[0].on_connection(compare)
    except InvalidValue as exc:
        raise NeedsPython(str(exc).rstrip(".")) from exc
    if changes.rows != expected:
        raise NeedsPython("an id has several rows, or rows changed meanwhile")
    return ScoredData(job.basis(changes.rows, total, "SQL"), changes, shares)


def _select(side: Contender, rows: Any, entity_id: str) -> Any:
    return compiled(side.model, side.estimator, rows, entity_id, side.features).select
