"""Checks of a scoring in parts: the verdict on all parts is the verdict on all rows."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given

from mfprefect.checks import (
    Columns,
    Fresh,
    NewCategories,
    NullShare,
    Range,
    RowCount,
    SharedCheck,
    Unique,
    on,
)
from mfprefect.errors import ChecksFailed, ConfigurationError
from mfprefect.quality import failures, input_summary, run_checks
from mfprefect.quality.checks import parts as parts_module
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.masking import Disclosure
from mfprefect.quality.checks.parts import PartAnswers, judge_parts, suffices
from mfprefect.quality.checks.phases import checks_for, of_parts
from mfprefect.quality.checks.result import CheckCounts, checks_failed, message_of

DAY = dt.date(2026, 3, 10)
TRAINED = pd.DataFrame({"age": [20.0, 30, 40, None], "plan": ["a", "b", "a", "b"]})
PAST = CheckContext(
    as_of=DAY, training_session="m-1", training=input_summary(TRAINED), row_counts=(10, 12, 8)
)
OPEN = Disclosure(5)
CHECKS: list[SharedCheck] = [
    RowCount(at_least=3, within=0.9),
    RowCount(at_most=6, recent=0),
    NullShare("age", at_most=0.4),
    NullShare("age", at_most=0),
    NullShare(rise=0.2),
    Range("age", at_least=18, at_most=60, share=0.3),
    Range(margin=0.5),
    NewCategories("plan", share=0.4),
    NewCategories("plan"),
    Unique("age", "plan"),
    Fresh("seen", dt.timedelta(days=2)),
]
ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, 17.0, 25.0, 33.0, 90.0, float("inf")]),
        st.sampled_from(["a", "b", "c", "d", None]),
        st.dates(DAY - dt.timedelta(days=4), DAY),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=14,
)


def judged_in_parts(
    frame: pd.DataFrame, numbers: Any, checks: list[Any], disclosure: Disclosure = OPEN
) -> list[dict[str, Any]]:
    """Return the results of all parts, as a scoring judges them; each document is stored."""
    each, joint = of_parts(checks, 4, disclosure.masked)
    rows, documents = [], {}
    for number in range(1, 5):
        part = frame[np.asarray(numbers) == number]
        if len(part):
            # Parts are compared with the same part, about which other tests are.
            alone = [check for check in each if not isinstance(check, RowCount)]
            rows += run_checks(part, alone, context=PAST, masked=disclosure.masked)
        answers = PartAnswers(part, disclosure)
        if len(part):
            for check in joint:
                rows += check.ask(answers, PAST, disclosure)
        documents[number] = json.loads(json.dumps(answers.document(), allow_nan=False))
    return rows + judge_parts(joint, documents, PAST, disclosure)


@given(ROWS, st.sampled_from(CHECKS))
def test_the_verdict_does_not_depend_on_the_parts(rows: Any, check: SharedCheck) -> None:
    frame = pd.DataFrame(
        {
            "age": pd.Series([row[0] for row in rows], dtype=float),
            "plan": pd.Series([row[1] for row in rows], dtype=object),
            "seen": pd.to_datetime([row[2] for row in rows]),
        }
    )
    whole = failures(run_checks(frame, check, context=PAST))
    in_parts = failures(judged_in_parts(frame, [row[3] for row in rows], [check]))
    assert bool(whole) == bool(in_parts)
    assert {row["column"] for row in whole} == {row["column"] for row in in_parts}
    joint = [row for row in in_parts if "in all 4 parts" in row["message"]]
    if len(joint) == len(in_parts) == 1:
        assert joint[0]["failing_rows"] == whole[0]["failing_rows"]
        assert joint[0]["message"] == f"{whole[0]['message']} (in all 4 parts)"


def test_new_categories_of_one_frequency_have_one_order() -> None:
    frame = pd.DataFrame({"plan": ["d", "c", "c", "d"]})
    check = NewCategories("plan", known=["a"], share=0.1)
    (whole,) = run_checks(frame, check, context=PAST)
    (joint,) = judged_in_parts(frame, [1, 2, 3, 4], [check])
    assert whole["message"] == "4 of 4 rows have a new category: 'c', 'd'"
    assert joint["message"] == f"{whole['message']} (in all 4 parts)"


def test_what_cannot_run_in_a_part_fails_there() -> None:
    frame = pd.DataFrame({"age": ["x", 1], "seen": ["soon", "2026-03-10"]}, dtype=object)
    checks = [Fresh("seen", dt.timedelta(2)), Range("age", at_most=5, share=0.1), NullShare("gone")]
    rows = failures(judged_in_parts(frame, [1, 1], checks))
    assert [row["message"].partition(":")[0] for row in rows] == ["not run"] * 6
    assert "part 1 did not answer" in rows[-2]["message"]  # where it is a warning, no part stops


def test_keys_are_compared_between_parts_whatever_their_type() -> None:
    disclosure = Disclosure(5)
    documents = {}
    for number, keys in {1: [1, 2], 2: [2.0, None], 3: ["2", "x"], 4: [None, None]}.items():
        answers = PartAnswers(pd.DataFrame({"k": keys}), disclosure)
        Unique("k").ask(answers, PAST, disclosure)
        documents[number] = answers.document()
    (row,) = judge_parts([Unique("k")], {1: documents[1], 2: documents[2]}, PAST, disclosure)
    assert (row["passed"], row["failing_rows"]) == (False, 2)
    assert judge_parts([Unique("k")], {1: documents[1], 4: documents[4]}, PAST, disclosure)[0][
        "passed"
    ]


def test_many_keys_are_not_compared_and_the_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MAX_KEYS", 2)
    frame = pd.DataFrame({"k": [1, 2, 3, 3]})
    rows = judged_in_parts(frame, [1, 1, 1, 2], [Unique("k")])
    assert rows[-1]["passed"]
    assert "not compared between parts: part 1 has more than 2" in rows[-1]["message"]


def test_no_cell_of_a_masked_column_is_in_a_document() -> None:
    secret = "jo.secret@mail.example"
    frame = pd.DataFrame({"mail": [secret, secret + "x"], "day": [dt.date(1971, 2, 3)] * 2})
    disclosure = Disclosure(5, frozenset({"mail", "day"}))
    checks = [
        NewCategories("mail", known=["x"], share=0.5),
        Range("mail", at_least="k", share=0.5),
        Unique("mail"),
        Fresh("day", dt.timedelta(2)),
    ]
    each, joint = of_parts(checks, 2, disclosure.masked)
    assert [type(check) for check in each] == [Unique, Fresh]  # alone: nothing is stored
    answers = PartAnswers(frame, disclosure)
    for check in joint:
        assert not check.ask(answers, PAST, disclosure)
    document = json.dumps(answers.document())
    assert "secret" not in document and "1971" not in document
    rows = judge_parts(joint, {1: answers.document(), 2: answers.document()}, PAST, disclosure)
    assert [(row["failing_rows"], row["passed"]) for row in rows] == [(4, False), (4, False)]
    assert "secret" not in str(rows)


def test_a_part_that_was_asked_other_questions_is_not_judged() -> None:
    answers = PartAnswers(TRAINED, OPEN)
    Range("age", at_most=60, share=0.1).ask(answers, PAST, OPEN)
    document = answers.document()
    assert suffices(document, [Range("age", at_most=60, share=0.2), RowCount()], PAST, OPEN)
    for changed in (Range("age", at_most=70, share=0.1), NullShare("age", at_most=0.1)):
        assert not suffices(document, [RowCount(), changed], PAST, OPEN)
    assert suffices(document | {"rows": 0}, [NullShare("age", at_most=0.1)], PAST, OPEN)


def test_checks_of_a_phase() -> None:
    schema, rows, share = pa.DataFrameSchema({}), RowCount(at_least=9), NullShare("age", at_most=1)
    checks = [schema, on("train", rows, Unique("age")), on("score", share), on("part", rows)]
    assert [type(check) for check in checks_for(checks, "train")[1:]] == [RowCount, Unique]
    assert checks_for(checks, "score") == [schema, share, rows]
    assert checks_for(checks, "monitor") == [schema] == checks_for(schema, "train")
    assert of_parts(checks, 1) == ([schema, share, rows], [])
    assert of_parts(checks, 2) == ([schema, rows], [share])
    assert of_parts([Columns(), Unique("id")], 2, entity_id="id")[1] == []
    for wrong in (("training", rows), ("train",), ("train", on("score", rows))):
        with pytest.raises(ConfigurationError, match=r"on\("):
            on(*wrong)
    with pytest.raises(ConfigurationError, match=r"on\(\.\.\) is for"):
        run_checks(TRAINED, on("train", rows))


def row(check: str, column: Any, failing: int = 0, *values: Any, **more: Any) -> Any:
    sample = json.dumps([{"index": 0, "value": value} for value in values])
    message = f"{failing} of 9 rows"
    return {
        "check": check, "column": column, "severity": "error", "passed": False,
        "failing_rows": failing, "sample": sample, "message": message, **more,
    }  # fmt: skip


def test_each_check_counts_once_by_its_worst_result() -> None:
    rows = [
        row("unique", "id", 4),
        row("unique", "id", passed=True),
        row("unique", "mail", 4, severity="warning"),
        row("row_count", None, severity="accepted"),
        row("row_count", None, passed=True),
        row("columns", math.nan, passed=True),  # NULL in a frame
        row("columns", None, passed=True),
    ]
    counts = CheckCounts.of(rows)
    assert counts == (4, 1, 1, 1) and not counts.passed
    words = "1 of 4 input checks failed, 1 gave a warning, 1 failed and was accepted"
    assert counts.words == words
    assert CheckCounts.of(rows[2:3]).words == "1 of 1 input check gave a warning"
    assert CheckCounts.of(rows[-1:]).words == "none of 1 input check failed"
    assert CheckCounts.of(rows[-1:]).passed
    assert message_of(rows[:1]) == "4 of 9 rows"
    assert message_of([rows[0], rows[0] | {"failing_rows": 1_000}]) == "1,004 rows in 2 parts"
    assert message_of([rows[3]] * 2) == "in 2 parts, the first: 0 of 9 rows"


def test_the_message_counts_over_the_parts_and_names_the_first() -> None:
    passed = row("row_count", None, passed=True)
    one = checks_failed({1: [row("unique", "id", 4, 17, "***"), passed]})
    assert str(one) == "1 of 2 input checks failed: unique(id): 4 of 9 rows, e.g. 17"
    error = checks_failed(
        {
            1: [row("unique", "id", 4, 17, 18), passed, row("row_count", None, message="3 rows")],
            3: [row("unique", "id", 10, 18, 20, 21), row("gt(0)", "age", 1, None), passed],
        }
    )
    assert isinstance(error, ChecksFailed)
    assert str(error) == (
        "3 of 3 input checks failed: unique(id): 14 rows in 2 parts, e.g. 17, 18, 20; "
        "row_count: 3 rows; age: gt(0): 1 of 9 rows"
    )
    assert len(error.failures) == 4 and len(error.results) == 6
    many = checks_failed({1: [row(f"c{number}", None) for number in range(8)]})
    assert str(many).endswith("c4: 0 of 9 rows; and 3 more")
