"""Both models score today's data in Python, part by part; only scores and segments are kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.inputs.query import plain
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.part_checks import masked_columns, scoring_checks
from mfprefect.lifecycle.plan_job import Contender, PlanJob
from mfprefect.quality.checks import checked
from mfprefect.quality.checks.result import failures, label
from mfprefect.quality.learning import key_columns
from mfprefect.quality.metrics.class_scores import top_class
from mfprefect.quality.predictions import predictions
from mfprefect.quality.score_changes import score_changes
from mfprefect.quality.unsupervised import split_labels
from mfprefect.scores import entity_ids
from mfprefect.store.plan import ScoredData

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["scored_in_python"]


def scored_in_python(job: PlanJob, reason: str | None = None) -> ScoredData:
    """Score the data with both models, and compare.

    Args:
        job: the models and the data.
        reason: why the database does not; it becomes a note.
    """
    rows = _Rows(job, reason)
    for part in range(1, job.model_class.parts + 1):
        frames = [rows.read(side, part) for side in job.readers]
        for side, frame in zip(job.sides, frames * len(job.sides), strict=False):
            if (lacking := job.lacking(side, frame.columns, rows.null_shares)) is not None:
                return lacking
        try:
            rows.add(frames)
        except Exception as exc:
            if tasks.is_transient(exc):
                raise
            text = " ".join(f"{type(exc).__name__}: {exc}".split())
            text = job.store.database.without_secrets(text)
            return ScoredData(
                f"the data of {job.as_of} cannot be scored: {text}",
                None,
                rows.null_shares,
                tuple(rows.notes),
            )
    return rows.data()


class _Rows:
    """What is kept of the rows of all parts."""

    def __init__(self, job: PlanJob, reason: str | None) -> None:
        settings = job.store.database.settings
        self._job = job
        self._checks = [
            check for checks in scoring_checks(job.model_class, settings) for check in checks
        ]
        self._masked = masked_columns(job.model_class, settings)
        self.notes = [] if reason is None else [f"scored in Python: {reason}"]
        self._nulls: Counter[str] = Counter()
        self._rows = self._total = 0
        self._scores: tuple[list[Any], list[Any]] = ([], [])
        self._classes: tuple[list[Any], list[Any]] = ([], [])
        self._segments: dict[str, list[Any]] = {}

    @property
    def null_shares(self) -> dict[str, float]:
        """The share of NULL in each column that a model needs and the data has."""
        return {name: count / max(1, self._total) for name, count in self._nulls.items()}

    def read(self, side: Contender, part: int) -> pd.DataFrame:
        """Return the rows of a part, as schemas make them."""
        job, model = self._job, side.model
        model.reader.lazily = False
        frame = plain(
            model.reader.load(lambda: model.scoring_data(job.as_of, part), "scoring_data")
        )
        results, frame = checked(
            frame, self._checks, masked=self._masked, keys=key_columns(type(model), frame.columns)
        )
        if failed := failures(results):
            names = ", ".join(dict.fromkeys(map(label, failed)))
            self._note(f"checks of this data fail, and a scoring would stop: {names}")
        if side is job.readers[0]:
            self._total += len(frame)
            self._nulls.update(dict.fromkeys(map(str, frame.columns), 0))
            for name in {*frame.columns} & {*job.needed}:
                self._nulls[name] += int(frame[name].isna().sum())
        return frame

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def add(self, frames: Sequence[pd.DataFrame]) -> None:
        """Score the rows of a part; each model its own ones if they have extras."""
        job = self._job
        chosen = self._same_entities([self._sampled(frame) for frame in frames])
        for number, side in enumerate(job.sides):
            frame = chosen[number] if len(chosen) > 1 else chosen[0]
            if len(frame):
                score, classes = _scores(side, frame[side.features])
                self._scores[number].append(score)
                self._classes[number].append(classes)
        for name in job.segments:
            if name in chosen[0].columns:
                self._segments.setdefault(name, []).extend(chosen[0][name].tolist())
        self._rows += len(chosen[0])

    def _sampled(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows with the smallest hashes of their ids."""
        import pandas as pd

        if self._job.sample is None:
            return frame
        most = math.ceil(self._job.sample / self._job.model_class.parts)
        ids = frame[self._job.model_class.entity_id].astype(str).to_numpy(object)
        hashes = pd.util.hash_array(ids)
        return frame.iloc[np.sort(np.argsort(hashes, kind="stable")[:most])]

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

    def data(self) -> ScoredData:
        """Return the comparison of all rows."""
        job, notes = self._job, tuple(self.notes)
        if not self._rows:
            return ScoredData(f"the data of {job.as_of} has no rows", None, self.null_shares, notes)
        has_classes = all(x is not None for side in self._classes for x in side)
        changes = score_changes(
            np.concatenate(self._scores[0]),
            np.concatenate(self._scores[1]),
            threshold=job.threshold,
            classes=_joined(self._classes) if has_classes else None,
            segments={n: x for n, x in self._segments.items() if len(x) == self._rows},
        )
        basis = job.basis(self._rows, self._total, "Python")
        return ScoredData(basis, changes, self.null_shares, notes)


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
