"""What a scoring session records about its input, over all parts, processes and attempts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.errors import DatabaseError, MfprefectError
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.run import as_of_date
from mfprefect.lifecycle.thresholds import thresholds_for
from mfprefect.quality.checks.batches import BatchChecks
from mfprefect.quality.checks.masking import Disclosure, disclosure_for, without_cells
from mfprefect.quality.checks.parts import NotedAnswers, PartAnswers
from mfprefect.quality.drift.features import feature_drift
from mfprefect.quality.summary.merge import SummaryMerger
from mfprefect.session.recorder import Recorder
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.results.check_context import check_context
from mfprefect.store.results.monitoring import published_scorings
from mfprefect.util import values
from mfprefect.util.frames import records

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.quality.checks.base import ModelCheck
    from mfprefect.quality.checks.context import CheckContext
    from mfprefect.quality.checks.frame_data import PartData
    from mfprefect.quality.summary.sample import InputSummarizer
    from mfprefect.scores.sorting import SortedScores
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = [
    "ANSWERS",
    "NUMBERS_A_PART",
    "PARTITION",
    "PREVIOUS",
    "PartRecorder",
    "PreviousScoring",
    "ScoringInputs",
    "references_of",
    "with_suffix",
]

NUMBERS_A_PART = 10_000
"""How many checks and inputs a part may record; the next part's numbers begin after them."""
SAMPLE = 5
TABLES = {"inputs": "input_no", "check_results": "check_no"}
SUMMARY, PREVIOUS, COMPARED, ANSWERS = "summary", "previous", "compared", "answers"
SAMPLED = "sampled"
"""Where the document of a part has how many rows its summary looked at, and of how many."""
WAY = "scoring"
"""Where the document of a part says which way it was scored."""
PARTITION = "partition"
"""Where the document of a part has the digest of its rows, if it was a partition of Spark's."""

Asked = tuple[Iterable["ModelCheck"], "CheckContext"]
"""Checks, and what they compare with."""


class PreviousScoring(NamedTuple):
    """The newest published scoring session with data no newer than this one's, None if none."""

    session_id: str | None = None
    other_bins: bool = False
    """Whether it was counted in different bins, as after a new training."""


class SourceChecks(NamedTuple):
    """What the checks say of the rows of a part in their database."""

    results: list[dict[str, Any]]
    """Of the checks of the part."""
    not_run: list[dict[str, Any]]
    """Results of the checks of all parts that cannot run."""
    answers: dict[str, Any]
    """What the others need of this part."""


class PartRecorder(Recorder):
    """Writes one part's records under a scoring session, and what a retry needs to repeat them."""

    def __init__(
        self,
        database: Database,
        handle: SessionHandle,
        part: int,
        *,
        after: int = 0,
        partition: str | None = None,
    ) -> None:
        """Begin.

        Args:
            database: the session's database.
            handle: the attempt of the session.
            part: its number.
            after: of the part's numbers of inputs and checks, the last that is in use.
            partition: the digest of its rows, if it is a partition of Spark's.
        """
        first = NUMBERS_A_PART * (part - 1) + after
        last_numbers = {"check": first, "input": first}
        super().__init__(database, handle, attached=True, last_numbers=last_numbers)
        self._part, self._partition = part, partition
        self._seen: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
        self.answers: dict[str, Any] = {}
        """What the checks of all rows need of this part."""
        self.way: dict[str, Any] = {}
        """Which way it is scored, in SQL or in Python, how its rows were read, and why."""

    @property
    def database(self) -> Database:
        """The session's database."""
        return self._db

    def _add(self, table: str, rows: Iterable[Mapping[str, Any]], keys: tuple[str, ...]) -> None:
        copies = [dict(row) for row in rows]
        if table in self._seen:
            self._seen[table] += copies
        super()._add(table, copies, keys)

    def note_reading(self, text: str) -> None:
        """Note for the part's input document how its rows were read, unless they are in SQL."""
        if self.way.get("way") == "sql":
            return
        place = "" if self._partition is None else "by Spark's executors, "
        self.way = self.way | {"reading": place + text}

    def mark(self) -> Callable[[], None]:
        """Return a function that takes back what is recorded from now on.

        The rows that follow get the same numbers, and so replace it.
        """
        numbers, checks = self._buffer.last_numbers(), list(self._check_rows)
        seen = {table: list(rows) for table, rows in self._seen.items()}

        def back() -> None:
            self._buffer.reuse_numbers(numbers)
            self._check_rows, self._seen = checks, seen

        return back

    def answer(
        self,
        frame: pd.DataFrame,
        checks: Iterable[ModelCheck],
        context: CheckContext,
        masked: Collection[str],
    ) -> None:
        """Answer the checks of the rows of all parts from this part's rows.

        Raises:
            ChecksFailed: an error-level check cannot run on them.
        """
        disclosure = disclosure_for(frame, SAMPLE, self._masked(masked))
        noted = PartAnswers(frame, disclosure)
        rows = [row for check in checks for row in check.ask(noted, context, disclosure)]
        self.log_answers(rows, noted.document())

    def log_answers(self, not_run: list[dict[str, Any]], answers: dict[str, Any]) -> None:
        """Take what the checks of all rows need, and store the results of those that cannot run.

        Raises:
            ChecksFailed: one of them is at the level of an error.
        """
        self.log_check_results(not_run)
        self.answers = answers

    def masked(self, masked: Collection[str]) -> set[str]:
        """Return the columns whose cells are never stored: those of the model and the settings."""
        return self._masked(masked)

    def batch_checks(
        self, checks: Sequence[Any], keys: Collection[str], masked: Collection[str]
    ) -> BatchChecks:
        """Return the checks of the part for its batches, as `checked_frame` runs them on a frame.

        Args:
            checks: none that needs all rows.
            keys: columns that are not features.
            masked: columns whose cells are never stored.
        """
        return BatchChecks(checks, self.check_context(checks, keys), self._masked(masked), keys)

    def write_sorted(self, part: int, scores: SortedScores) -> None:
        """Write the sorted scores of the part, in one transaction."""
        self._write_sorted(part, scores)
        self._buffer.reserve_number("part", part)

    def check_context(self, checks: Any, keys: Collection[str]) -> CheckContext:
        """Return what the checks of the part compare with."""
        return check_context(self._db, self.handle, checks, keys, self._part)

    def source_checks(
        self, data: PartData, each: Asked, joint: Asked, masked: Collection[str]
    ) -> SourceChecks:
        """Run checks on the part's rows in their database, as `checked_frame` does on a frame.

        Nothing is stored: see `log_part_checks`.

        Args:
            data: answers them.
            each: the checks of the part, and what they compare with.
            joint: the checks of the rows of all parts, and what they compare with.
            masked: columns whose cells are never stored.
        """
        disclosure = Disclosure(SAMPLE, frozenset(self._masked(masked)))
        checks, context = each
        results = [row for check in checks for row in check.results(data, context, disclosure)]
        noted = NotedAnswers(data, disclosure)
        checks, context = joint
        not_run = [row for check in checks for row in check.ask(noted, context, disclosure)]
        return SourceChecks(results, not_run, noted.document())

    def log_part_checks(self, checks: SourceChecks) -> None:
        """Store what `source_checks` returned.

        Raises:
            ChecksFailed: an error-level check failed.
        """
        self.log_check_results(checks.results)
        self.log_answers(checks.not_run, checks.answers)

    def keep_summary(
        self, summarizer: InputSummarizer, compared: PreviousScoring, masked: Collection[str]
    ) -> None:
        """Write the part's input document before its scores, because a retry may keep the scores.

        Within `insert_scores`, it is written with them.

        Args:
            summarizer: has the rows about to be scored, none if the part has no rows.
            compared: the earlier scoring session to compare with.
            masked: columns whose cells are never stored.
        """
        hidden = self._masked(masked)
        summaries: dict[str, list[Any]] = {
            name: records(without_cells(summary, hidden)) if summarizer.rows else []
            for name, summary in summarizer.summaries().items()
        }
        sampled = [summarizer.sampled, summarizer.rows]
        digest = {} if self._partition is None else {PARTITION: self._partition}
        document: dict[str, Any] = {
            **self._seen,
            **summaries,
            **digest,
            COMPARED: compared,
            ANSWERS: self.answers,
            SAMPLED: sampled,
        }
        document |= {WAY: self.way} if self.way else {}
        text = values.json_text(document, f"what part {self._part} read")
        self._add("part_inputs", [{"part_no": self._part, "document": text}], ("part_no",))
        self.flush()


class ScoringInputs:
    """The input of a scoring session, merged from all parts, including those kept from before."""

    def __init__(
        self, store: Store, model_class: type[Model], session: Session, training: str
    ) -> None:
        self._store, self._model_class, self._session = store, model_class, session
        self._training = training
        self.parts: Collection[int] = range(1, model_class.parts + 1)
        """The parts that count; others are of an attempt with more of them."""
        self.ways: list[dict[str, Any]] = []
        """Which way each part was scored, once `log` has merged them."""
        self._sampled: list[list[int]] = []
        """Of each part: how many rows its summary looked at, and of how many."""
        day = as_of_date(session)
        published = published_scorings(store.database, model_class.model_id, 1, until=day)
        self.compared = PreviousScoring()
        if published:
            other = published[0].training_session_id != training
            self.compared = PreviousScoring(published[0].session_id, other)

    @functools.cached_property
    def references(self) -> dict[str, pd.DataFrame]:
        """The input summaries whose bins the parts are counted in, read once."""
        return references_of(self._store, self._training, self.compared)

    def restrict(self, parts: Collection[int]) -> None:
        """Count only these parts from now on."""
        self.parts = set(parts)

    def compare_like(self, parts: Collection[int]) -> None:
        """Compare with the scoring that these parts of an earlier attempt were compared with."""
        for part, document in self._session.part_documents():
            if part in parts:
                self.compared = PreviousScoring(*document[COMPARED])

    def take_over(self, parts: Collection[int]) -> None:
        """Restore what an earlier attempt read and checked for the parts that are kept."""
        for part, document in self._session.part_documents():
            if part in parts:
                seen = {table: document[table] for table in TABLES}
                self._session.restore_rows(seen, TABLES)
                # The other parts must be counted in the same bins.
                self.compared = PreviousScoring(*document[COMPARED])

    def log(self) -> None:
        """Store the summary of all parts and its drift from training and from the last scoring.

        While the database is away, only the parts in the spool are covered; metadata says so.
        """
        references = self.references
        merged = {name: SummaryMerger(reference) for name, reference in references.items()}
        parts = self._merge(merged)
        if not parts or not merged[SUMMARY].has_rows:
            return
        if len(parts) < len(self.parts):
            counts = {"summarised": parts, "of": len(self.parts)}
            self._session.log_metadata(counts, "parts")
        summary = merged[SUMMARY].summary()
        self._session.log_summary(summary)
        self._log_sample()
        limits = thresholds_for(self._model_class, self._store.database.settings)
        drift = feature_drift(references[SUMMARY], summary, limits)
        self._session.log_drift(drift, reference=self._training)
        earlier = self.compared.session_id
        if earlier is None:
            return
        before: pd.DataFrame | None
        if self.compared.other_bins:
            before, summary = references[PREVIOUS], merged[PREVIOUS].summary()
        else:
            before = self._summary_of(earlier)
        if before is not None and not before.empty:
            drift = feature_drift(before, summary, limits, PREVIOUS)
            self._session.log_drift(with_suffix(drift), reference=earlier)

    def _summary_of(self, session_id: str) -> pd.DataFrame | None:
        try:
            return self._store.input_summary(session_id)
        except DatabaseError as exc:
            if not (exc.transient and self._session.spooled):
                raise
            tasks.log().warning("drift from %s could not be computed: %s", session_id, exc)
            return None

    def log_some(self) -> None:
        """Store the summary of the existing parts for a session that is about to fail."""
        try:
            self.log()
        except MfprefectError as exc:  # the error that ended the run must not be masked
            tasks.log().warning("the input of the parts was not summarised: %s", exc)

    def _log_sample(self) -> None:
        """Record of how many rows the summary is an estimate, if it does not describe all."""
        sampled, rows = (sum(counts) for counts in zip(*self._sampled, strict=True))
        if sampled < rows:
            text = f"estimated from {sampled:,} of {rows:,} rows, chosen by a hash of their ids"
            self._session.log_metadata({"input_summary": text}, group="scoring")

    def _merge(self, merged: Mapping[str, SummaryMerger]) -> list[int]:
        import pandas as pd

        parts: list[int] = []
        self.ways, self._sampled = [], []
        for part, document in self._session.part_documents():
            if part not in self.parts:
                continue
            parts.append(part)
            self.ways.append(document.get(WAY) or {})
            for name, merger in merged.items():
                merger.add(pd.DataFrame(document[name]))
            self._sampled.append(document.get(SAMPLED) or [0, 0])
        return parts


def references_of(
    store: Store, training: str, compared: PreviousScoring
) -> dict[str, pd.DataFrame]:
    """Return the input summaries whose bins a part is counted in."""
    references = {SUMMARY: store.input_summary(training)}
    if compared.session_id is not None and compared.other_bins:
        references[PREVIOUS] = store.input_summary(compared.session_id)
    return references


def with_suffix(drift: pd.DataFrame) -> pd.DataFrame:
    """Return input drift rows, renaming an input called `score` to set it apart from scores."""
    clash = (drift["variable"] == "score") & drift["measure"].str.endswith(f"_{PREVIOUS}")
    return drift.assign(variable=drift["variable"].mask(clash, "score (input)"))
