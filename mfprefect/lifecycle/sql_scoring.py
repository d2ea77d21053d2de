"""Scoring in SQL: whether a part can, where it runs, and what the session records of it."""

from __future__ import annotations

import contextvars
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mfprefect.errors import DatabaseError
from mfprefect.inputs.query import unread_query
from mfprefect.inputs.reader import Read
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.part_checks import scoring_checks
from mfprefect.lifecycle.sql_plan import SqlPlan, in_python, not_in_sql
from mfprefect.lifecycle.sql_proof import (
    Proof,
    PythonScores,
    prove,
    python_scores,
    require_short,
    scoring_of,
)
from mfprefect.quality.learning import key_columns
from mfprefect.quality.score_figures import ScoreFigures
from mfprefect.scores import entity_ids
from mfprefect.sql_scoring import NotCompilable, Scoring

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.inputs.query import Query
    from mfprefect.inputs.query_rows import QueryRows
    from mfprefect.lifecycle.scoring_inputs import PartRecorder, SourceChecks
    from mfprefect.model import Model
    from mfprefect.quality.checks.context import CheckContext
    from mfprefect.quality.summary.sample import InputSummarizer
    from mfprefect.settings import Settings
    from mfprefect.sql_scoring import CompiledModel

__all__ = ["score_part_in_sql"]

SUMMARY_ROWS = 20_000
"""Rows of a scoring that are read for the input summary, over all parts."""
PROOF_ROWS = 1_000
"""Rows of a part that are scored both ways."""
NAMES = ("the score", "its class")
CHANGED = "its rows changed between the checks and the scores"
NOT_SQL = "scoring_data returns a frame, neither SQL text nor the read itself"


class Job(Protocol):
    """What a part needs of its scoring."""

    sql: SqlPlan
    features: list[str]
    training_session_id: str
    settings: Settings
    context: CheckContext

    @property
    def estimator(self) -> Any:
        """The fitted model."""

    def compiled_model(self) -> CompiledModel:
        """Return the estimator in SQL."""

    def sample_summarizer(self, sample: pd.DataFrame, rows: int) -> InputSummarizer:
        """Return what summarises the features of a sample as an estimate for so many rows."""

    def keep_summary(self, recorder: PartRecorder, summarizer: InputSummarizer) -> None:
        """Store what a part's input looks like."""


class _NeedsPython(Exception):
    """A part cannot be scored in SQL; the text is the reason."""


class _NoRows(Exception):
    """A part has no rows."""


class _NotRead(Exception):
    """Reading a part's rows raised an error, which is none of the transaction with its scores."""


class _RowsRead(NamedTuple):
    """What is read of the rows of a part besides their scores."""

    checks: SourceChecks
    read: Read
    summarizer: InputSummarizer
    proof: Proof
    expected: _Expected


def score_part_in_sql(
    job: Job, recorder: PartRecorder, model: Model, frame: Any, part: int
) -> ScoreFigures | None:
    """Check, score and store one part where its rows are; return None if that needs Python.

    So does a part without rows.

    Args:
        job: the scoring.
        recorder: of the part; it gets to know which way the part went, and why.
        model: the model, which has returned the part's data.
        frame: the data.
        part: the number of the part.

    Raises:
        ConfigurationError: it needs Python, and the class asks for SQL.
        ChecksFailed: data failed the checks.
        InvalidScores: an id or a score is none that scores may have.
    """
    plan = job.sql
    take_back = recorder.mark()
    try:
        if (query := unread_query(frame)) is None:
            raise _NeedsPython(NOT_SQL)
        with model.reader.query_rows(query) as rows:
            return _Part(job, recorder, model, part).score(query, rows)
    except (_NeedsPython, NotCompilable) as exc:
        reason = str(exc)
    except RecursionError:
        reason = "its statement is nested too deeply to be written"
    except DatabaseError as exc:
        if exc.transient:
            raise
        reason = f"the database refuses the statement: {exc}"
    if plan.mode == "sql":
        raise not_in_sql(type(model), reason)
    tasks.log().info("part %d is scored in Python: %s", part, reason)
    take_back()
    recorder.way = in_python(reason)
    return None


class _Part:
    """One part, scored in a snapshot of the database that has its rows.

    The database computes the scores while another connection checks and samples the rows; nothing
    is kept before both are done.
    """

    def __init__(self, job: Job, recorder: PartRecorder, model: Model, part: int) -> None:
        self._job, self._recorder, self._model, self._part = job, recorder, model, part
        self._logged = False

    def score(self, query: Query, rows: QueryRows) -> ScoreFigures | None:
        """Check, prove, summarise and score; return None if there are no rows."""
        self._require_columns(query, rows)
        scoring = self._compiled(rows)
        if self._job.sql.mode == "auto":
            rows.on_connection(partial(require_short, scoring))
        here = self._recorder.database.backend
        shared = rows.backend is not None and here.shares_database(rows.backend)
        size = rows.row_count() if shared and here.per_session_tables else 0
        with ThreadPoolExecutor(1, "mfprefect-checks") as pool:
            in_context = contextvars.copy_context().run
            self._reading = pool.submit(in_context, self._read, query, rows, scoring)
            try:
                table = self._inserted(scoring, size) if shared else None
                if table is None:
                    table = self._computed(query, rows, scoring)
            except _NotRead:
                error = self._reading.exception()
                if not isinstance(error, _NoRows):
                    raise error or AssertionError from None
                self._recorder.way = {"way": "sql"}
                return None
        classes = table["score_class"] if self._model.model_type == "multiclass" else None
        return ScoreFigures.of(table["score"], classes)

    def _require_columns(self, query: Query, rows: QueryRows) -> None:
        if rows.backend is None or not rows.backend.scores_in_sql:
            raise _NeedsPython(f"the database of source {query.source!r} does not score")
        needed = (self._model.entity_id, *self._job.features)
        if missing := [name for name in needed if name not in rows.columns]:
            raise _NeedsPython(f"the query has no column {missing[0]!r}")

    def _compiled(self, rows: QueryRows) -> Scoring:
        model, features = self._model, self._job.features
        of_model = rows.for_model(model.entity_id, features)
        return scoring_of(self._job.compiled_model(), of_model, model.entity_id)

    def _read(self, query: Query, rows: QueryRows, scoring: Scoring) -> _RowsRead:
        """Check and sample the rows, and score some of them in Python."""
        started = time.perf_counter()
        checks, count = self._checked(rows)
        sample = self._sample(rows, count)
        proof = self._proof_of_model(rows, sample)
        expected = self._expected(sample.head(PROOF_ROWS), scoring)
        types = {str(name): str(kind) for name, kind in sample.dtypes.items()}
        summarizer = self._job.sample_summarizer(sample[self._job.features], count)
        seconds = time.perf_counter() - started
        read = Read(query.source, query.text, count, types, None, seconds)
        return _RowsRead(checks, read, summarizer, proof, expected)

    def _checked(self, rows: QueryRows) -> tuple[SourceChecks, int]:
        """Run the checks; return what they say, and the number of rows."""
        model, recorder, joint_context = self._model, self._recorder, self._job.context
        each, joint = scoring_checks(type(model), self._job.settings)
        context = recorder.check_context(each, key_columns(type(model), rows.columns))
        pairs = [(check, context) for check in each] + [(check, joint_context) for check in joint]
        data = rows.check_data({name for check, c in pairs for name in check.compared(c)})
        if not data.rows:
            raise _NoRows  # of which only checks of their number can tell
        each_with, joint_with = (each, context), (joint, joint_context)
        return recorder.source_checks(data, each_with, joint_with, model.masked), data.rows

    def _sample(self, rows: QueryRows, count: int) -> pd.DataFrame:
        """Return a sample of the rows, with all their columns."""
        share = max(1, math.ceil(count * self._model.parts / SUMMARY_ROWS))
        sample = rows.sample(rows.columns, self._model.entity_id, share)
        if sample.empty:
            raise _NeedsPython("no row of it was sampled")
        return sample

    def _proof_of_model(self, rows: QueryRows, sample: pd.DataFrame) -> Proof:
        """Return the proof of the training, or one that is made now, on this database."""
        proof = self._job.sql.proof
        if proof is None or proof.dialect != rows.dialect:
            held_out = sample[self._job.features].head(PROOF_ROWS)
            proof = _proof(self._job, self._model, held_out, rows)
        if proof.reason is not None:
            raise _NeedsPython(proof.reason)
        return proof

    def _expected(self, rows: pd.DataFrame, scoring: Scoring) -> _Expected:
        """Score some rows in Python.

        Raises:
            InvalidScores: an id is none that scores may have.
        """
        ids = entity_ids(rows[self._model.entity_id], self._model.entity_id)
        features = rows[self._job.features]
        try:
            scores = python_scores(self._model, self._job.estimator, features)
        except Exception as exc:
            # What Python would say of these rows, it says when it scores all of them.
            raise _NeedsPython(f"{type(exc).__name__} when rows were scored in Python") from exc
        return _Expected(ids, scores, scoring.tolerance)

    def _rows_read(self) -> _RowsRead:
        """Wait for what is read besides the scores, and record what was checked.

        Raises:
            ChecksFailed: an error-level check failed.
        """
        if self._reading.exception() is not None:
            raise _NotRead
        part = self._reading.result()
        if not self._logged:
            self._logged = True
            self._recorder.log_part_checks(part.checks)
            self._model.reader.record(part.read)
        return part

    def _keep(self, where: str, table: pa.Table, scoring: Scoring) -> None:
        """Compare the scores with Python's, and store what the part's document has.

        Raises:
            ChecksFailed: an error-level check failed.
        """
        part = self._rows_read()
        if table.num_rows != part.read.rows:
            raise _NeedsPython(CHANGED)
        difference = part.expected.difference(table)
        self._recorder.way = {
            "way": "sql",
            "where": where,
            "difference": max(difference, part.proof.difference),
            "tolerance": scoring.tolerance,
            "compared": len(part.expected.ids),
        }
        self._job.keep_summary(self._recorder, part.summarizer)

    def _computed(self, query: Query, rows: QueryRows, scoring: Scoring) -> pa.Table:
        """Let the source compute the scores; write them and return them."""
        self._rows_read()
        table = rows.scores(scoring.select)
        self._keep(f"source {query.source!r}, which returned ids and scores", table, scoring)
        names = (self._model.entity_id, *NAMES)
        classes = names[2] if self._model.model_type == "multiclass" else None
        named = table.rename_columns(list(names))
        self._recorder.write_scores(named, names[0], names[1], classes, part=self._part)
        return table

    def _inserted(self, scoring: Scoring, size: int) -> Any | None:
        """Return the scores if they could be inserted.

        What the database refuses, such as a duplicate id, the other way refuses with its reason.
        """
        place = "the store's database, by INSERT .. SELECT"
        try:
            return self._recorder.insert_scores(
                scoring.select,
                (self._model.entity_id, *NAMES),
                part=self._part,
                verify=lambda table: self._keep(place, table, scoring),
                session_rows=size * self._model.parts,
            )
        except DatabaseError as exc:
            if exc.transient:
                raise
            tasks.log().info("part %d is not inserted where its rows are: %s", self._part, exc)
            return None


class _Expected:
    """What Python says of some rows of a part."""

    def __init__(self, ids: list[str], scores: PythonScores, tolerance: float) -> None:
        self.ids, self._scores, self._tolerance = ids, scores, tolerance

    def difference(self, table: pa.Table) -> float:
        """Return how far the scores of the whole part are from these: see `Proof.difference`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        ids = pa.array(self.ids, pa.large_string())
        table = table.filter(pc.is_in(table["entity_id"], ids))  # which needs no index of all
        places = pc.index_in(ids, table["entity_id"])
        if places.null_count:
            raise _NeedsPython("ids have another text in SQL than in Python")
        difference = self._scores.difference(table.take(places))
        proof = Proof("", len(self.ids), difference, self._tolerance)
        if proof.reason is not None:
            raise _NeedsPython(proof.reason)
        return difference


_lock = threading.Lock()
_proofs: dict[tuple[str, str], Proof] = {}
"""Proofs of trainings that have none for a database, by session and dialect; once a process."""


def _proof(job: Job, model: Model, held_out: pd.DataFrame, rows: QueryRows) -> Proof:
    key = (job.training_session_id, rows.dialect)
    with _lock:
        if key not in _proofs:
            _proofs[key] = rows.on_connection(
                lambda *place: prove(model, job.estimator, held_out, place, job.compiled_model())
            )
        return _proofs[key]
