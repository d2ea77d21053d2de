"""Parts that are read in batches: the results of parts read whole, or nothing at all."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import mfprefect
from mfprefect import Store
from mfprefect.checks import Columns, Fresh, NewCategories, NullShare, Range, RowCount, Unique, on
from mfprefect.errors import ChecksFailed, InvalidScores, InvalidValue
from mfprefect.store.states import Status

DAY = dt.date(2026, 3, 10)
ROWS = 1_000


def customers(rows: int = ROWS, first: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(first)
    frame = pd.DataFrame(
        {
            "customer_id": np.arange(first, first + rows),
            "income": rng.lognormal(10, 1, rows).round(2),
            "calls": rng.poisson(3, rows),
            "plan": rng.choice(["s", "m", "l"], rows),
            "seen": pd.Timestamp("2026-03-09")
            + pd.to_timedelta(rng.integers(0, 80_000, rows), "s"),
        }
    )
    frame["gone"] = (frame["calls"] + rng.normal(size=rows) > 4).astype(int)
    return frame


class Churn(mfprefect.Model):
    model_id = "churn"
    entity_id = "customer_id"
    target = "gone"
    not_features = ("seen", "income")
    masked = ("income",)
    parts = 2
    retries = 0
    checks: ClassVar[Any] = [
        pa.DataFrameSchema(
            {
                "income": pa.Column(float, pa.Check.gt(0)),
                "calls": pa.Column("int64", pa.Check.le(6, raise_warning=True), coerce=True),
                "plan": pa.Column(str, pa.Check.isin(["s", "m", "l"])),
            }
        ),
        RowCount(at_least=10, within=0.9),
        Columns(),
        NullShare("plan", at_most=0.1),
        Range("calls", at_most=5, share=0.01, severity="warning"),
        NewCategories("plan"),
        on("score", Fresh("seen", dt.timedelta(days=3))),
        Unique("customer_id", "plan"),
        on("part", Unique("calls", severity="warning")),
    ]

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return customers()

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return make_pipeline(
            OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=500)
        ).fit(features, target)

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        return {}

    def scoring_data(self, as_of: dt.date, part: int) -> Iterator[pd.DataFrame]:
        frame = customers(ROWS, part * ROWS).drop(columns="gone")
        order = np.random.default_rng(1).permutation(ROWS)
        for start in range(0, ROWS, 130):
            yield frame.iloc[order[start : start + 130]]


class WholeChurn(Churn):
    model_id = "whole"
    batched = False


def without_session(frame: pd.DataFrame) -> pd.DataFrame:
    times = {"session_id", "model_id", "seconds", "written_at", "reference_session_id", "attempt"}
    return frame.drop(columns=[name for name in frame.columns if name in times])


def reading(store: Store, session_id: str) -> str:
    notes = store.metadata(session_id)
    row = notes[(notes["meta_group"] == "scoring") & (notes["meta_name"] == "reading")]
    return str(row["value"].iloc[0])


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("mfprefect-read", "mfprefect-write"))]


def test_the_results_are_those_of_parts_read_whole(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFPREFECT_BATCH_ROWS", "170")
    sessions = []
    for model in (Churn, WholeChurn):
        train, score, _ = model.flows()
        train(DAY)
        sessions.append(score(DAY))
        sessions.append(score(DAY))  # compared with the one before
    batched, again, whole, whole_again = sessions
    assert reading(flow_store, batched) == reading(flow_store, again) == "in batches of 170 rows"
    assert reading(flow_store, whole) == "whole: batched = False"
    for one, other in ((batched, whole), (again, whole_again)):
        for name in ("scores", "score_parts", "inputs", "input_summary", "drift", "metrics"):
            frames = [without_session(getattr(flow_store, name)(x)) for x in (one, other)]
            pd.testing.assert_frame_equal(*frames, obj=name)
        first, second = (without_session(flow_store.checks(x)) for x in (one, other))
        # Of a key that repeats, only rows of one batch are listed.
        repeats = first["check"] == "unique"
        first.loc[repeats, "sample"] = second.loc[repeats, "sample"]
        texts = [
            f["message"].str.replace(r"training session \S+", "", regex=True)
            for f in (first, second)
        ]
        pd.testing.assert_frame_equal(
            first.assign(message=texts[0]), second.assign(message=texts[1])
        )
        assert set(first["check"]) >= {"unique", "row_count", "fresh", "new_categories", "range"}
    assert len(flow_store.scores(batched)) == 2 * ROWS
    assert not flow_store.verify().problems


class Broken(Churn):
    """Something is wrong with the last batch of part 2."""

    model_id = "broken"
    checks: ClassVar[Any] = [Range("calls", at_most=1_000)]
    fault = "none"

    def scoring_data(self, as_of: dt.date, part: int) -> Iterator[pd.DataFrame]:
        frames = list(super().scoring_data(as_of, part))
        for number, frame in enumerate(frames):
            last = part == 2 and number == len(frames) - 1
            yield self.broken(frame.copy()) if last else frame

    def broken(self, frame: pd.DataFrame) -> pd.DataFrame:
        place = frame.columns.get_loc
        if self.fault == "reader":
            raise RuntimeError("the source is gone")
        if self.fault == "check":
            frame.iloc[-1, place("calls")] = 2_000
        if self.fault == "duplicate":
            frame.iloc[-1, place("customer_id")] = 2 * ROWS
        if self.fault == "null id":
            frame = frame.astype({"customer_id": "Int64"})
        if self.fault == "predict":
            frame.iloc[-1, place("calls")] = 999
        return frame

    def score_class(self, score: Any) -> Any:
        return np.where(np.asarray(score) > 0.5, "high", "low")

    batched = True

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        if self.fault == "predict" and (features["calls"] == 999).any():
            raise ZeroDivisionError("a row that nobody can predict")
        return super().predict(estimator, features)


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        ("reader", RuntimeError, "the source is gone"),
        ("check", ChecksFailed, "outside at most 1000"),
        ("duplicate", InvalidScores, f"1 of {ROWS} values in 'customer_id' are duplicates"),
        ("predict", ZeroDivisionError, "nobody can predict"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_failure_in_the_last_batch_leaves_nothing_of_its_part(
    flow_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    error: type[Exception],
    text: str,
) -> None:
    monkeypatch.setenv("MFPREFECT_BATCH_ROWS", "170")
    train, score, _ = Broken.flows()
    train(DAY)
    monkeypatch.setattr(Broken, "fault", fault)
    with pytest.raises(error, match=text):
        score(DAY)
    row = flow_store.sessions("broken").iloc[0]
    assert row["status"] == Status.FAILED
    assert flow_store.score_parts(row["session_id"])["part_no"].tolist() == [1]
    monkeypatch.setattr(Broken, "fault", "none")
    assert len(flow_store.scores(score(DAY))) == 2 * ROWS


class Centred:
    """An estimator that looks at the rows beside a row."""

    def predict_proba(self, features: pd.DataFrame) -> Any:
        calls = features["calls"].to_numpy(float)
        score = 1 / (1 + np.exp(calls.mean() - calls))
        return np.column_stack([1 - score, score])


class ByFunction(WholeChurn):
    batched = None
    checks: ClassVar[Any] = [lambda frame: bool(len(frame) == ROWS)]


class Sampled(WholeChurn):
    batched = None
    checks: ClassVar[Any] = None
    checked_rows = 100


class Classes(WholeChurn):
    batched = None
    checks: ClassVar[Any] = None

    def score_class(self, score: Any) -> Any:
        return np.where(np.asarray(score) > np.median(score), "high", "low")


class AsFrame(WholeChurn):
    batched = None

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        return pd.concat(super().scoring_data(as_of, part))


class FewRows(WholeChurn):
    batched = None

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        yield next(super().scoring_data(as_of, part))


class OtherTypes(WholeChurn):
    batched = None

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        first, *others = super().scoring_data(as_of, part)
        yield first.astype({"calls": float})
        yield from others


class Beside(WholeChurn):
    batched = None

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return Centred().predict_proba(features)[:, 1]


class SaysAlone(Beside):
    batched = True


REASONS = {
    ByFunction: "the check <lambda> looks at all rows of a part",
    Classes: "score_class is overridden; batched = True says that it takes each row alone",
    AsFrame: "scoring_data returned a frame, which holds all rows",
    FewRows: "they are no more than a batch",
    OtherTypes: "the columns or types of the batches differ",
    Beside: "predict is overridden; batched = True says that it takes each row alone",
    SaysAlone: "the scores of rows depend on the rows beside them",
}


@pytest.mark.parametrize("model", REASONS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_read_in_batches_is_read_whole_and_the_session_says_why(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch, model: type[mfprefect.Model]
) -> None:
    monkeypatch.setenv("MFPREFECT_BATCH_ROWS", "170")
    train, score, _ = model.flows()
    train(DAY)
    scored = score(DAY)
    assert reading(flow_store, scored) == f"whole: {REASONS[model]}"
    rows = 130 if model is FewRows else ROWS
    assert len(flow_store.scores(scored)) == 2 * rows
    assert flow_store.inputs(scored)["rows"].tolist() == [rows, rows]


class Large(Churn):
    model_id = "large"
    parts = 1
    checks: ClassVar[Any] = None

    def scoring_data(self, as_of: dt.date, part: int) -> Iterator[pd.DataFrame]:
        for first in range(0, 24_000, 4_000):
            yield customers(4_000, first).drop(columns="gone")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_summary_of_many_rows_is_of_a_sample_and_the_session_says_so(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFPREFECT_SUMMARY_ROWS", "10000")
    train, score, _ = Large.flows()
    train(DAY)
    verdicts = []
    for rows in ("5000", "50000"):  # in batches, and whole
        monkeypatch.setenv("MFPREFECT_BATCH_ROWS", rows)
        scored = score(DAY)
        notes = flow_store.metadata(scored).set_index("meta_name")["value"]
        assert str(notes["input_summary"]).startswith("estimated from 10,000 of 24,000 rows")
        summary = flow_store.input_summary(scored)
        assert (summary["n"] + summary["n_na"]).tolist() == [24_000] * len(summary)
        verdicts.append(flow_store.drift(scored)[["variable", "measure", "value", "verdict"]])
    # The same rows are in the sample however they were read.
    first = verdicts[0].reset_index(drop=True)
    both = verdicts[1][~verdicts[1]["measure"].str.endswith("_previous")].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, both)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_odd_id_is_named_with_its_rows(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFPREFECT_BATCH_ROWS", "170")

    class Odd(Churn):
        model_id = "odd"
        parts = 1
        checks: ClassVar[Any] = None

        def scoring_data(self, as_of: dt.date, part: int) -> Iterator[pd.DataFrame]:
            for number, frame in enumerate(super().scoring_data(as_of, part)):
                ids = frame["customer_id"].astype(str)
                yield frame.assign(customer_id=ids if number < 5 else ids.replace(ids.iloc[0], ""))

    train, score, _ = Odd.flows()
    train(DAY)
    with pytest.raises(InvalidScores, match=r"1 of 170 values in 'customer_id' are empty") as error:
        score(DAY)
    assert "(rows 510 to 679 of part 1)" in str(error.value)
    row = flow_store.sessions("odd").iloc[0]
    assert flow_store.score_parts(row["session_id"]).empty
