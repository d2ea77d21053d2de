"""Test rows that a request brings: evaluated as `Session.log_test_results` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.console.api.bodies import Uploaded
from mfprefect.console.api.problems import ProblemError
from mfprefect.console.api.score_files import CSV, PARQUET
from mfprefect.errors import InvalidValue
from mfprefect.inputs.result_files import column, read_frame

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.session.requests import RequestRecorder

__all__ = ["ENDINGS", "TestColumns", "log_rows", "rows_of_body"]

ENDINGS = {CSV: ".csv", PARQUET: ".parquet"}
UNSUPERVISED = "unsupervised"


@dataclass(frozen=True)
class TestColumns:
    """Which columns hold what."""

    __test__ = False  # no test of pytest's

    actual: str | None
    score: str | None
    classes: tuple[str, ...]
    score_class: str | None
    segment_by: tuple[str, ...]
    segment: str | None
    model_type: str | None

    def require(self) -> None:
        """Refuse what does not fit together.

        Raises:
            InvalidValue: a column is not named, or too many are.
        """
        if self.actual is None and self.model_type != UNSUPERVISED:
            raise InvalidValue("name the column of actual values: ?actual=..")
        if (self.score is None) == (not self.classes):
            raise InvalidValue(
                "name the column of scores, ?score=.., or those of classes, ?class=.."
            )


def rows_of_body(upload: Uploaded) -> pd.DataFrame:
    """Return the rows of a body, CSV or Parquet.

    Raises:
        ProblemError: it is of another type.
        InvalidValue: it cannot be read.
    """
    if (ending := ENDINGS.get(upload.media_type)) is None:
        raise ProblemError(
            415,
            "UnsupportedMediaType",
            f"the content type is {upload.media_type[:60]!r}; send {' or '.join(ENDINGS)}.",
            headers={"Accept": ", ".join(ENDINGS)},
        )
    return read_frame(Path(upload.path), ending=ending, name="the body")


def log_rows(
    recorder: RequestRecorder, frame: pd.DataFrame, columns: TestColumns
) -> dict[str, float]:
    """Evaluate test rows and store what comes out; return the metrics.

    Raises:
        InvalidValue: a column is missing, or what it holds cannot be evaluated.
    """
    score: Any
    if columns.classes:
        for name in columns.classes:
            column(frame, name, "class")
        score = frame[list(columns.classes)]
    else:
        score = column(frame, columns.score or "", "score")
    if columns.score_class is not None and columns.model_type == UNSUPERVISED:
        labels = column(frame, columns.score_class, "score_class")
        score = score.to_frame("score").assign(score_class=labels)
    actual = None if columns.actual is None else column(frame, columns.actual, "actual")
    segments = {name: column(frame, name, "segment_by") for name in columns.segment_by}
    return recorder.log_test_results(
        actual,
        score,
        columns.segment,
        model_type=columns.model_type or ("multiclass" if columns.classes else None),
        segments=segments or None,
    )
