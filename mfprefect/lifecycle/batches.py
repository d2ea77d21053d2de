"""Scoring a part in batches: one is predicted while the next is read and the last one sorted.

The results are those of a part that is read whole. Nothing of the part reaches the database before
its last batch was checked: until then its scores are in memory or in a temporary file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.inputs.batches import Unstreamable
from mfprefect.inputs.stream import Whole, streamed
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.part_scores import SCORE, SCORE_CLASS, PartScores, scores_of
from mfprefect.quality.checks.base import ModelCheck
from mfprefect.quality.checks.batches import BatchChecks, JointAnswers, needs_all_rows
from mfprefect.quality.learning import key_columns
from mfprefect.quality.score_figures import ScoreFigures
from mfprefect.scores import validated
from mfprefect.scores.sorting import ScoreSorter
from mfprefect.util.pipeline import Prefetched, Sink

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.lifecycle.scoring_inputs import PartRecorder
    from mfprefect.model import Model
    from mfprefect.quality.checks.context import CheckContext
    from mfprefect.quality.summary.sample import InputSummarizer
    from mfprefect.settings import Settings

__all__ = ["Scored", "Whole", "score_in_batches", "why_whole"]

COMPARED_ROWS = 500
"""How many rows of the first batch are predicted a second time, without the rows beside them."""
TOLERANCE = 1e-6
"""The relative difference that the number of rows may make: sums of float32 in another order."""


def why_whole(model: type[Model], checks: Sequence[Any], joint: Sequence[ModelCheck]) -> str:
    """Return why the parts of a model are not read in batches; empty if they are.

    Args:
        model: the model.
        checks: the checks of each part.
        joint: the checks of the rows of all parts.
    """
    from mfprefect.model import Model

    if model.batched is False:
        return "batched = False"
    if model.batched is None:
        for name in ("predict", "score_class"):
            if getattr(model, name) is not getattr(Model, name):
                return f"{name} is overridden; batched = True says that it takes each row alone"
        if model.model_type == "time_series":
            return "a time series may need all rows; batched = True says that it does not"
    if reason := needs_all_rows([*checks, *joint], functions_by_row=model.batched is True):
        return reason
    if model.checked_rows is not None and any(not isinstance(c, ModelCheck) for c in checks):
        return f"checked_rows = {model.checked_rows} takes a sample of all rows of a part"
    return ""


class Job(Protocol):
    """What scoring a part needs: a `ScoringJob`."""

    context: CheckContext
    features: list[str]
    settings: Settings

    @property
    def estimator(self) -> Any:
        """The fitted model."""

    def summarizer(self) -> InputSummarizer:
        """Return what summarises a part's input."""

    def keep_summary(self, recorder: PartRecorder, summarizer: InputSummarizer) -> None:
        """Store what a part's input looks like."""


class Scored:
    """What scoring a part in batches gave."""

    def __init__(self, figures: ScoreFigures, batches: int) -> None:
        self.figures, self.batches = figures, batches


def score_in_batches(
    scoring: Job,
    recorder: PartRecorder,
    model: Model,
    part: int,
    checks: tuple[Sequence[Any], Sequence[ModelCheck]],
    produce: Callable[[], Any],
) -> Scored | Whole:
    """Read, check, score and write a part; return its rows instead if they came at once.

    Args:
        scoring: the scoring.
        recorder: of the part.
        model: the model.
        part: the number of the part.
        checks: those of the part, and those of the rows of all parts.
        produce: returns what the model's `scoring_data` returned.

    Raises:
        ChecksFailed: an error-level check failed; nothing was written, as after any other error.
    """
    rows = scoring.settings.batch_rows

    def read() -> Iterator[pd.DataFrame | Whole]:
        name = f"scoring_data part {part}"
        return streamed(model.reader, produce, name, rows)

    with Prefetched(read, f"mfprefect-read-{part}") as frames:
        arriving = iter(frames)
        first = next(arriving)
        if isinstance(first, Whole):
            return first
        with ScoreSorter(model.entity_id) as sorter:
            batches = _Batches(scoring, recorder, model, part, checks)
            with Sink(_Sorting(model, sorter, part).add, f"mfprefect-write-{part}") as sink:
                batches.score(first, sink)
                del first
                for frame in arriving:
                    if isinstance(frame, Whole):
                        raise AssertionError("rows that came in batches cannot come at once")
                    batches.score(frame, sink)
                batches.judge()
                sink.finish()
            scores = sorter.finish()
            recorder.note_reading(f"in batches of {rows:,} rows")
            scoring.keep_summary(recorder, batches.summarizer)
            recorder.write_sorted(part, scores)
    return Scored(batches.figures, batches.count)


class _Batches:
    """Checks, summarises and predicts one batch after another."""

    def __init__(
        self,
        scoring: Job,
        recorder: PartRecorder,
        model: Model,
        part: int,
        checks: tuple[Sequence[Any], Sequence[ModelCheck]],
    ) -> None:
        self._scoring, self._recorder, self._model, self._part = scoring, recorder, model, part
        self._each, joint = checks
        self._checks: BatchChecks | None = None
        self._joint = JointAnswers(joint, scoring.context, recorder.masked(model.masked))
        self._failure: Exception | None = None
        self.summarizer = scoring.summarizer()
        self.figures, self.count = ScoreFigures(), 0

    def score(self, frame: pd.DataFrame, sink: Sink[tuple[PartScores, str]]) -> None:
        """Check a batch, and hand its scores over.

        What goes wrong after the checks is raised by `judge`: rows of a later batch may fail them,
        which tells more.
        """
        if self._checks is None:
            keys = key_columns(type(self._model), frame.columns)
            self._checks = self._recorder.batch_checks(self._each, keys, self._model.masked)
        changed = self._checks.look(frame)
        self._joint.look(changed)
        self.count += 1
        if self._failure is None and len(changed):
            place = f" (rows {frame.index[0]:,} to {frame.index[-1]:,} of part {self._part})"
            try:
                sink.put((self._scored(changed, place), place))
            except Unstreamable:
                raise
            except Exception as exc:  # noqa: BLE001 - raised by `judge`
                self._failure = exc

    def _scored(self, frame: pd.DataFrame, place: str) -> PartScores:
        model, estimator = self._model, self._scoring.estimator
        tasks.require_columns(frame, [model.entity_id, *self._scoring.features], "scoring_data")
        features, ids = frame[self._scoring.features], frame[model.entity_id]
        self.summarizer.add(features, ids)
        try:
            scores = scores_of(model, estimator, features, ids)
        except (InvalidScores, InvalidValue) as exc:
            raise _with_place(exc, place) from exc
        if self.figures.n == 0:
            _require_independence(model, estimator, features, ids, scores)
        self.figures = self.figures.merged(scores.figures)
        return scores

    def judge(self) -> None:
        """Store the results of the checks of all batches, and raise what went wrong.

        Raises:
            ChecksFailed: an error-level check failed.
        """
        if self._checks is not None:
            self._recorder.log_check_results(self._checks.rows())
        self._recorder.log_answers(self._joint.not_run, self._joint.document())
        if self._failure is not None:
            raise self._failure


class _Sorting:
    """Validates scores in the order of the batches, and gives them to a sorter."""

    def __init__(self, model: Model, sorter: ScoreSorter, part: int) -> None:
        self._entity_id, self._sorter = model.entity_id, sorter
        self._integers: bool | None = None

    def add(self, item: tuple[PartScores, str]) -> None:
        """Add the scores of a batch; the text says which rows they are of."""
        scores, place = item
        integers = scores.frame[self._entity_id].dtype.kind in "iu"
        try:
            if self._integers not in (None, integers):
                raise InvalidScores(
                    f"column {self._entity_id!r} holds integers in some batches and not in others; "
                    "convert it to one type."
                )
            self._integers = integers
            table = validated(scores.frame, self._entity_id, SCORE, scores.score_class)
        except InvalidScores as exc:
            raise _with_place(exc, place) from exc
        self._sorter.add(table)


def _with_place(error: InvalidScores | InvalidValue, place: str) -> InvalidScores | InvalidValue:
    if isinstance(error, InvalidScores):
        return InvalidScores(f"{error}{place}", examples=error.examples)
    return InvalidValue(f"{error}{place}")


def _require_independence(
    model: Model, estimator: Any, features: pd.DataFrame, ids: Any, scores: PartScores
) -> None:
    """Predict some rows alone: an estimator may look at the rows beside them, as their mean.

    Raises:
        Unstreamable: their scores are others then.
    """
    rows = min(COMPARED_ROWS, len(features) // 2)
    if not rows:
        return
    try:
        alone = scores_of(model, estimator, features.iloc[:rows], ids.iloc[:rows]).frame
    except Exception as exc:
        raise Unstreamable(f"predict fails for fewer rows: {type(exc).__name__}") from exc
    beside = scores.frame.iloc[:rows]
    same = np.allclose(alone[SCORE], beside[SCORE], rtol=TOLERANCE, atol=1e-9)
    if not same or (scores.score_class and not alone[SCORE_CLASS].equals(beside[SCORE_CLASS])):
        raise Unstreamable("the scores of rows depend on the rows beside them")
