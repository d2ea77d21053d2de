"""What a scoring tells of its input: of all parts, whichever process or attempt scored them."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.errors import DatabaseError, MfprefectError
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.thresholds import thresholds_for
from mfprefect.quality.checks.masking import without_cells
from mfprefect.quality.drift.features import feature_drift
from mfprefect.quality.summary import input_summary
from mfprefect.quality.summary.merge import SummaryMerger
from mfprefect.session.results import ResultsMixin
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.results.monitoring import published_scorings
from mfprefect.store.states import PART_EVIDENCE
from mfprefect.util.frames import records

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = [
    "PREVIOUS",
    "PartRecorder",
    "PreviousScoring",
    "ScoringInputs",
    "references_of",
    "with_suffix",
]

NUMBERS_A_PART = 10_000
"""How many checks and inputs a part can record before its numbers are the next part's."""
TABLES = {"inputs": "input_no", "check_results": "check_no"}
SUMMARY, PREVIOUS, COMPARED = "summary", "previous", "compared"


class PreviousScoring(NamedTuple):
    """The published scoring session before this one; None: there is none."""

    session_id: str | None = None
    other_bins: bool = False
    """Whether it was counted in other bins than this one, as after a new training."""


class PartRecorder(ResultsMixin):
    """Writes under a scoring session for one part, and keeps what a retry has to tell of it."""

    def __init__(self, database: Database, handle: SessionHandle, part: int) -> None:
        first = NUMBERS_A_PART * (part - 1)
        taken = {"check": first, "input": first}
        super().__init__(database, handle, attached=True, taken=taken)
        self._part = part
        self._seen: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}

    def _add(self, table: str, rows: Iterable[Mapping[str, Any]], keys: tuple[str, ...]) -> None:
        copies = [dict(row) for row in rows]
        if table in self._seen:
            self._seen[table] += copies
        super()._add(table, copies, keys)

    def keep(
        self,
        features: pd.DataFrame,
        references: Mapping[str, pd.DataFrame],
        compared: PreviousScoring,
        masked: Collection[str],
    ) -> None:
        """Write what was seen of the part, before its scores are: a retry may keep these.

        Args:
            features: what the model is about to score.
            references: `summary`, the training's, and perhaps `previous`: each an input summary in
                the bins of which the features are counted.
            compared: which scoring before it is compared with.
            masked: columns no cell of which is kept.
        """
        hidden = self._hidden(masked)
        summaries = {
            name: records(without_cells(input_summary(features, reference=reference), hidden))
            for name, reference in references.items()
        }
        document = {**self._seen, **summaries, COMPARED: compared}
        self.log_metadata({str(self._part): document}, PART_EVIDENCE)
        self.flush()


class ScoringInputs:
    """The input of a scoring session: taken over from kept parts, put together from all."""

    def __init__(self, store: Store, kind: type[Model], session: Session, training: str) -> None:
        self._store, self._kind, self._session = store, kind, session
        self._training = training
        published = published_scorings(store.database, kind.model_id, 1)
        self.compared = PreviousScoring()
        if published:
            other = published[0].training_session_id != training
            self.compared = PreviousScoring(published[0].session_id, other)

    @functools.cached_property
    def references(self) -> dict[str, pd.DataFrame]:
        """The input summaries in the bins of which the parts are counted, read once."""
        return references_of(self._store, self._training, self.compared)

    def take_over(self, parts: Collection[int]) -> None:
        """Tell again what an earlier attempt read and checked of the parts that are kept."""
        for part, document in self._session.part_documents():
            if part in parts:
                seen = {table: document[table] for table in TABLES}
                self._session.restore_rows(seen, TABLES)
                # The other parts have to be counted in the same bins.
                self.compared = PreviousScoring(*document[COMPARED])

    def log(self) -> None:
        """Store the summary of all parts, and its drift from training and the scoring before.

        While the database is away, of those parts that went to the spool; the metadata says so.
        """
        references = self.references
        merged = {name: SummaryMerger(reference) for name, reference in references.items()}
        parts = self._merge(merged)
        if not parts:
            return
        if len(parts) < self._kind.parts:
            counts = {"summarised": parts, "of": self._kind.parts}
            self._session.log_metadata(counts, "parts")
        summary = merged[SUMMARY].summary()
        self._session.log_summary(summary)
        limits = thresholds_for(self._kind, self._store.database.settings)
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
            tasks.log().warning("drift from %s is not known: %s", session_id, exc)
            return None

    def log_some(self) -> None:
        """Store the same of the parts that there are, of a session that is about to fail."""
        try:
            self.log()
        except MfprefectError as exc:  # the error that ended the run must come through
            tasks.log().warning("the input of the parts was not summarised: %s", exc)

    def _merge(self, merged: Mapping[str, SummaryMerger]) -> list[int]:
        import pandas as pd

        parts = []
        for part, document in self._session.part_documents():
            if part > self._kind.parts:
                continue  # of an attempt that had more of them
            parts.append(part)
            for name, merger in merged.items():
                merger.add(pd.DataFrame(document[name]))
        return parts


def references_of(
    store: Store, training: str, compared: PreviousScoring
) -> dict[str, pd.DataFrame]:
    """Return the input summaries in the bins of which a part is counted."""
    references = {SUMMARY: store.input_summary(training)}
    if compared.session_id is not None and compared.other_bins:
        references[PREVIOUS] = store.input_summary(compared.session_id)
    return references


def with_suffix(drift: pd.DataFrame) -> pd.DataFrame:
    """Return drift of inputs, with another name for an input `score` than published scores have."""
    clash = (drift["variable"] == "score") & drift["measure"].str.endswith(f"_{PREVIOUS}")
    return drift.assign(variable=drift["variable"].mask(clash, "score (input)"))
