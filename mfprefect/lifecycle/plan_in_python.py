"""Both models score today's data in Python, part by part; only scores and segments are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.errors import DatabaseError
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.plan_job import Contender, PlanJob
from mfprefect.lifecycle.plan_sample import SampledRows
from mfprefect.quality.metrics.class_scores import top_class
from mfprefect.quality.predictions import predictions
from mfprefect.quality.score_changes import score_changes
from mfprefect.quality.unsupervised import split_labels
from mfprefect.scores import entity_ids
from mfprefect.store.plan import ScoredData

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.inputs.query_rows import QueryRows

__all__ = ["scored_in_python"]


def scored_in_python(job: PlanJob, reason: str | None = None) -> ScoredData:
    """Score the data with both models, and compare.

    Args:
        job: the models and the data.
        reason: why the database does not; it becomes a note.
    """
    job.checks.clear()
    scoring = _Scoring(job, reason)
    try:
        if job.sample is not None and (data := scoring.sampled_by_database()) is not None:
            return data
        return scoring.of_parts()
    except _CannotScore as exc:
        return scoring.without_scores(f"the data of {job.as_of} cannot be scored: {exc}")


class _CannotScore(Exception):
    """A model, or the scores' rules, refuse the data; the text is the reason."""


@contextmanager
def _refusals(job: PlanJob) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        if tasks.is_transient(exc):
            raise
        text = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise _CannotScore(job.store.database.without_secrets(text)) from exc


class _Scoring:
    """Reads rows and scores them; keeps what the comparison needs of them."""

    def __init__(self, job: PlanJob, reason: str | None) -> None:
        self._job = job
        self.notes = [] if reason is None else [f"scored in Python: {reason}"]
        self._nulls: Counter[str] = Counter()
        self._rows = self._total = 0
        self._parts: int | None = None
        """How many parts were read; None: all."""
        self._scores: tuple[list[Any], list[Any]] = ([], [])
        self._classes: tuple[list[Any], list[Any]] = ([], [])
        self._segments: dict[str, list[Any]] = {}

    @property
    def _null_shares(self) -> dict[str, float]:
        """The share of NULL in each column that a model needs and the data has."""
        return {name: count / max(1, self._total) for name, count in self._nulls.items()}

    def of_parts(self) -> ScoredData:
        """Read all rows of one part after the other, until the time is over."""
        job, parts = self._job, self._job.model_class.parts
        sample = None if job.sample is None else SampledRows(job.sample)
        for part in range(1, parts + 1):
            if part > 1 and job.is_over:
                text = f"{job.limit}: of {parts} parts, only the first {part - 1} were read"
                self._note(text)
                self._parts = part - 1
                job.checks.not_read(text)
                break
            frames = [self._read(side, part) for side in job.readers]
            if (lacking := self._lacking(frames)) is not None:
                return lacking
            with _refusals(job):
                chosen = self._same_entities(frames)
                if sample is None:
                    self._add(chosen)
                else:
                    sample.add(chosen, chosen[0][job.model_class.entity_id])
        with _refusals(job):
            if sample is not None and (frames := sample.frames()):
                self._add(frames)
        return self._compared()

    def sampled_by_database(self) -> ScoredData | None:
        """Read a sample that the database of the source takes; None if it cannot, or need not."""
        queries = self._job.queries()
        if isinstance(queries, str):
            return None
        reader = self._job.candidate.model.reader
        try:
            with reader.query_rows(queries[0]) as first:
                if first.backend is None or not first.backend.scores_in_sql:
                    return None
                with first.time_limit(self._job.remaining):
                    return self._of_sample([first, *map(first.beside, queries[1:])])
        except DatabaseError as exc:
            if not self._job.is_over:
                if exc.transient:
                    raise
                return None
            return self.without_scores(
                f"the data of {self._job.as_of} was not scored: {self._job.limit}"
            )

    def _of_sample(self, parts: list[QueryRows]) -> ScoredData | None:
        job, counts = self._job, []
        for rows in parts:
            names = [name for name in job.needed if name in rows.columns]
            count, nulls = rows.null_counts(names)
            counts.append(count)
            self._nulls.update(dict.fromkeys(rows.columns, 0) | nulls)
        self._total = sum(counts)
        share = self._total // (job.sample or 1)
        if share <= 1:
            self._total, self._nulls = 0, Counter()
            return None
        for part, rows in enumerate(parts, 1):
            job.checks.part = part
            job.checks.of_database(rows)
            frame = rows.sample(rows.columns, job.model_class.entity_id, share)
            if frame.empty:
                continue
            frames = [job.checks.of_sample(frame, counts[part - 1])]
            if (lacking := self._lacking(frames)) is not None:
                return lacking
            with _refusals(job):
                self._add(self._same_entities(frames))
        return self._compared()

    def _read(self, side: Contender, part: int) -> pd.DataFrame:
        """Return the rows of a part, as schemas make them."""
        job = self._job
        rows = job.rows(side, part)
        if side is not job.candidate:
            return job.checks.changed(rows)
        job.checks.part = part
        frame = job.checks.of_frame(rows)
        self._total += len(frame)
        self._nulls.update(dict.fromkeys(map(str, frame.columns), 0))
        for name in {*frame.columns} & {*job.needed}:
            self._nulls[name] += int(frame[name].isna().sum())
        return frame

    def _lacking(self, frames: Sequence[pd.DataFrame]) -> ScoredData | None:
        for side, frame in zip(self._job.sides, [*frames, *frames], strict=False):
            if (data := self._job.lacking(side, frame.columns, self._null_shares)) is not None:
                return data
        return None

    def without_scores(self, basis: str) -> ScoredData:
        """Return what is known of data that was not scored, and why it was not."""
        return self._job.scored(basis, None, self._null_shares, self.notes)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _add(self, frames: Sequence[pd.DataFrame]) -> None:
        """Score rows; each model its own ones if they have extras."""
        job = self._job
        for number, side in enumerate(job.sides):
            frame = frames[number] if len(frames) > 1 else frames[0]
            if len(frame):
                score, classes = _scores(side, frame[side.features])
                self._scores[number].append(score)
                self._classes[number].append(classes)
        for name in job.segments:
            if name in frames[0].columns:
                self._segments.setdefault(name, []).extend(frames[0][name].tolist())
        self._rows += len(frames[0])

    def _same_entities(self, frames: list[pd.DataFrame]) -> list[pd.DataFrame]:
        """Return the rows of the entities that all frames have, in one order."""
        name = self._job.model_class.entity_id
        ids = [entity_ids(frame[name], name) for frame in frames]
        if len(frames) == 1:
            return frames
        places = [{entity: place for place, entity in enumerate(of_frame)} for of_frame in ids]
        common = [entity for entity in ids[0] if entity in places[1]]
        if len(common) < max(map(len, ids)):
            self._note("the models' extras select different entities; those of both are compared")
        return [
            frame.iloc[[place[entity] for entity in common]]
            for frame, place in zip(frames, places, strict=True)
        ]

    def _compared(self) -> ScoredData:
        """Return the comparison of all rows."""
        job = self._job
        if not self._rows:
            return self.without_scores(f"the data of {job.as_of} has no rows")
        has_classes = all(x is not None for side in self._classes for x in side)
        changes = score_changes(
            np.concatenate(self._scores[0]),
            np.concatenate(self._scores[1]),
            threshold=job.threshold,
            classes=_joined(self._classes) if has_classes else None,
            segments={n: x for n, x in self._segments.items() if len(x) == self._rows},
        )
        basis = job.basis(self._rows, self._total, "Python", self._parts)
        return job.scored(basis, changes, self._null_shares, self.notes)


def _joined(classes: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
    a, b = ([str(x) for piece in side for x in piece] for side in classes)
    return a, b


def _scores(side: Contender, features: pd.DataFrame) -> tuple[Any, Any]:
    """Return a model's scores, and its classes or None, as a scoring stores them."""
    score = predictions(side.model, side.estimator, features)
    if side.model.model_type == "multiclass":
        return top_class(score)
    if hasattr(score, "columns"):
        return split_labels(score)
    return score, side.model.score_class(score)
