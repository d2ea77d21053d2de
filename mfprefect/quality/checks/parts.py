"""Judge the rows of all parts of a scoring together, from what each part answered.

A part is gone when the next one is read, and may be read by another process. So each part answers
the questions of the checks from its rows, and notes the answers in a small JSON document. Together
they answer the same questions for all rows: rows, NULLs, extremes and rows out of range or of new
categories exactly, repeated keys by 64-bit digests of the keys.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.quality.checks.base import ModelCheck, RowCount
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.frame_data import FailingRows, FrameData, PartData, by_frequency
from mfprefect.quality.checks.masking import Disclosure
from mfprefect.quality.checks.repeated_keys import RepeatedKeys
from mfprefect.quality.checks.result import plain, result_row

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MAX_KEYS",
    "AllParts",
    "NotAnswered",
    "NotedAnswers",
    "PartAnswers",
    "judge_parts",
    "merged",
    "suffices",
]

MAX_KEYS = 500_000
"""Of a part with more rows, no keys are noted: eight bytes each, in one document."""
MAX_LEVELS = 1_000
"""How many new categories a part names; all are counted."""
Answers = Mapping[str, Any]


class NotAnswered(Exception):
    """A part cannot answer a question, because it was asked others."""


class _NotCompared(Exception):
    """Keys of all parts cannot be compared."""


class NotedAnswers:
    """Answers checks from the rows of one part, wherever they are, and notes each answer."""

    how = ""

    def __init__(self, data: PartData, disclosure: Disclosure, *, stored: bool = True) -> None:
        """Begin.

        Args:
            data: the rows.
            disclosure: what results may disclose.
            stored: whether the answers are stored: then they are JSON without any cell of a masked
                column. Those of a batch stay in memory: extremes are values, of any column.
        """
        self._data, self._disclosure, self._stored = data, disclosure, stored
        self.rows, self.columns = data.rows, data.columns
        self._noted: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """Return what `AllParts` needs of this part."""
        return {"rows": self.rows, "columns": self.columns, "answers": self._noted}

    def nulls(self, column: str, most: int) -> FailingRows:
        """Return the rows whose cell is NULL."""
        return self._note(_key("nulls", column), [column], self._data.nulls(column, most))

    def extremes(self, column: str) -> tuple[Any, Any]:
        """Return the minimum and maximum of a column, None if all cells are NULL."""
        ends = self._data.extremes(column)
        if not self._stored:
            self._noted[_key("extremes", column)] = ends
        elif not self._disclosure.hides(column):
            # As text, because the document is strict JSON, which has no infinity.
            self._noted[_key("extremes", column)] = json.dumps([_ordered(end) for end in ends])
        return ends

    def outside(self, column: str, low: Any, high: Any, most: int) -> FailingRows:
        """Return the rows below `low` or above `high`; None means no bound."""
        rows = self._data.outside(column, low, high, most)
        self.extremes(column)  # asked for if any other part has such rows
        return self._note(_key("outside", column, low, high), [column], rows)

    def repeated(self, columns: Sequence[str], most: int) -> FailingRows:
        """Return the rows that share their key with another row of the part."""
        rows = self._data.repeated(columns, most)
        self._noted[_key("repeated", *columns)] = self._keys(columns, rows)
        return rows

    def _keys(self, columns: Sequence[str], rows: FailingRows) -> RepeatedKeys | str | None:
        """Return what is noted of all keys of the part, None if that is too much."""
        return None

    def levels(
        self, column: str, levels: Collection[str], most: int
    ) -> tuple[FailingRows, list[str]]:
        """Return the rows of categories outside `levels`, and these categories by frequency."""
        rows, new = self._data.levels(column, levels, most)
        counts = {}
        if new and not self._disclosure.hides(column):
            counts = self._data.level_counts(column, new[:MAX_LEVELS])
        self._note(_key("levels", column, *sorted(levels)), [column], rows, levels=counts)
        return rows, new

    def _note(self, key: str, columns: list[object], rows: FailingRows, **more: Any) -> FailingRows:
        cases = self._disclosure.cases(columns, rows.cases)
        texts = [[plain(label), plain(value)] for label, value in cases]
        self._noted[key] = {"count": rows.count, "cases": texts} | more
        return rows


class PartAnswers(NotedAnswers):
    """Answers checks from the frame of one part, and notes each answer."""

    def __init__(self, frame: pd.DataFrame, disclosure: Disclosure, *, stored: bool = True) -> None:
        super().__init__(FrameData(frame), disclosure, stored=stored)
        self._frame = frame

    def _keys(self, columns: Sequence[str], rows: FailingRows) -> RepeatedKeys | str | None:
        keys = self._frame[list(columns)].dropna()
        if not self._stored:
            return RepeatedKeys(keys, self._disclosure.cases(columns, rows.cases))
        return _digests(keys) if len(keys) <= MAX_KEYS else None


class AllParts:
    """Answers checks for the rows of all parts."""

    def __init__(self, parts: Mapping[int, Answers], *, labelled: bool = True) -> None:
        """Take the documents of the parts by number; parts without rows have no say.

        Args:
            parts: the documents.
            labelled: whether the labels of failing rows name their part.
        """
        self._labelled = labelled
        self._parts = {part: answers for part, answers in sorted(parts.items()) if answers["rows"]}
        self.rows = sum(int(answers["rows"]) for answers in self._parts.values())
        self.how = f" (in all {len(parts)} parts)" if len(parts) > 1 else ""
        columns = [list(answers["columns"]) for answers in self._parts.values()]
        first = columns[0] if columns else []
        self.columns = [name for name in first if all(name in others for others in columns)]

    def _answers(self, *question: Any) -> Iterator[tuple[int, Any]]:
        key = _key(*question)
        for part, answers in self._parts.items():
            if key not in answers["answers"]:
                raise NotAnswered(f"part {part} did not answer: {question[0]}")
            yield part, answers["answers"][key]

    def nulls(self, column: str, most: int) -> FailingRows:
        """Return the rows whose cell is NULL."""
        return self._sum(self._answers("nulls", column), most)

    def extremes(self, column: str) -> tuple[Any, Any]:
        """Return the minimum and maximum of a column, None if all cells are NULL."""
        return _extremes(_ends(answer) for _, answer in self._answers("extremes", column))

    def outside(self, column: str, low: Any, high: Any, most: int) -> FailingRows:
        """Return the rows below `low` or above `high`; None means no bound."""
        return self._sum(self._answers("outside", column, low, high), most)

    def repeated(self, columns: Sequence[str], most: int) -> FailingRows:
        """Return the rows that share their key with another row, of any part; no cases."""
        digests = dict(self._answers("repeated", *columns))
        for answer in digests.values():
            if isinstance(answer, RepeatedKeys):  # of the batches of a single part
                return answer.rows(most)
        if large := [part for part, text in digests.items() if text is None]:
            raise _NotCompared(
                f"keys are unique in each part, and not compared between parts: part {large[0]} "
                f"has more than {MAX_KEYS:,}; check them where they are read, read(.., checks=[..])"
            )
        every = np.concatenate([_decoded(text) for text in digests.values()])
        _, counts = np.unique(every, return_counts=True)
        return FailingRows(int(counts[counts > 1].sum()), [])

    def levels(
        self, column: str, levels: Collection[str], most: int
    ) -> tuple[FailingRows, list[str]]:
        """Return the rows of categories outside `levels`, and these categories by frequency."""
        answers = list(self._answers("levels", column, *sorted(levels)))
        new: Counter[str] = Counter()
        for _, answer in answers:
            new.update(answer["levels"])
        return self._sum(answers, most), by_frequency(new)

    def _sum(self, answers: Iterable[tuple[int, Any]], most: int) -> FailingRows:
        count, cases = 0, []
        for part, answer in answers:
            count += int(answer["count"])
            for label, value in answer["cases"]:
                cases.append((f"part {part}: {label}" if self._labelled else label, value))
        return FailingRows(count, cases[:most])


def merged(one: Answers | None, other: Answers, most: int) -> Answers:
    """Return the answers of consecutive batches of one part as those of all their rows.

    A question that was not put to both is not answered. Of a key that repeats, cases are listed
    only if the rows are in one batch.

    Args:
        one: the answers of the batches before, None at first.
        other: those of the next batch.
        most: the most failing cases of a question.
    """
    if one is None:
        return other
    answers = {
        key: _merged(answer, other["answers"][key], most)
        for key, answer in one["answers"].items()
        if key in other["answers"]
    }
    columns = [name for name in one["columns"] if name in other["columns"]]
    return {"rows": one["rows"] + other["rows"], "columns": columns, "answers": answers}


def _merged(one: Any, other: Any, most: int) -> Any:
    match one:
        case RepeatedKeys():
            return one.joined(other)
        case tuple():
            return _extremes([one, other])
        case str() if one.startswith("["):
            return json.dumps(_extremes([_ends(one), _ends(other)]))
        case str() | None:
            return _joined_digests(one, other)
    answer = {
        "count": one["count"] + other["count"],
        "cases": (one["cases"] + other["cases"])[:most],
    }
    if "levels" in one:
        levels = Counter(one["levels"])
        levels.update(other["levels"])
        answer["levels"] = {level: levels[level] for level in by_frequency(levels)[:MAX_LEVELS]}
    return answer


def _ends(answer: Any) -> Any:
    return json.loads(answer) if isinstance(answer, str) else answer


def _extremes(ends: Iterable[Any]) -> tuple[Any, Any]:
    present = [pair for pair in ends if pair[0] is not None]
    if not present:
        return None, None
    return min(low for low, _ in present), max(high for _, high in present)


def _joined_digests(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return None
    digests = np.sort(np.concatenate([_decoded(one), _decoded(other)]))
    return _encoded(digests) if len(digests) <= MAX_KEYS else None


def judge_parts(
    checks: Iterable[ModelCheck],
    parts: Mapping[int, Answers],
    context: CheckContext,
    disclosure: Disclosure,
) -> list[dict[str, Any]]:
    """Return the result rows of the checks for the rows of all parts, without `check_no`.

    Of parts without any row, only their number is judged. A check that could not run on a part
    fails.
    """
    data = AllParts(parts)
    rows: list[dict[str, Any]] = []
    for check in checks:
        if not data.rows and not isinstance(check, RowCount):
            continue
        column = ", ".join(check.columns) or None
        try:
            rows += check.results(data, context, disclosure)
        except _NotCompared as exc:
            rows.append(result_row(check.name, column, passed=True, message=str(exc)))
        except NotAnswered as exc:
            rows.append(
                result_row(
                    check.name,
                    column,
                    passed=False,
                    severity=check.severity,
                    message=f"not run: {exc}",
                )
            )
    return rows


def suffices(
    answers: Answers, checks: Iterable[ModelCheck], context: CheckContext, disclosure: Disclosure
) -> bool:
    """Return whether a part was asked what the checks ask, and not before they were changed."""
    part = AllParts({1: answers})
    for check in checks if part.rows else ():
        try:
            check.results(part, context, disclosure)
        except NotAnswered:
            return False
        except _NotCompared:
            continue
    return True


def _key(*question: Any) -> str:
    text = json.dumps([_ordered(item) for item in question], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _ordered(value: Any) -> Any:
    """Return a value of JSON that sorts like the value: a number or a text."""
    import pandas as pd

    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime(warn=False)
    if isinstance(value, dt.datetime):
        # These texts sort like the times, in the same zone.
        return str(value if value.tzinfo is None else value.astimezone(dt.UTC))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if isinstance(value, dt.date) else plain(value)


def _digests(keys: pd.DataFrame) -> str:
    """Return digests of the rows, sorted; the same number gives the same in each numeric type."""
    import pandas as pd

    columns = {}
    for name, column in keys.items():
        if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
            columns[name] = column.astype(object).map(str)
            continue
        columns[name] = column.map(_number_text)
    hashes = pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy()
    return _encoded(np.sort(hashes))


def _encoded(digests: NDArray[np.uint64]) -> str:
    return base64.b64encode(digests.astype("<u8").tobytes()).decode()


def _number_text(value: Any) -> str:
    """Return 1 for 1 and for 1.0: a part without NULLs may have another type than its neighbour."""
    return str(int(value)) if value == value // 1 else repr(float(value))


def _decoded(text: str) -> NDArray[np.uint64]:
    return np.frombuffer(base64.b64decode(text), dtype="<u8")
