"""Checks in a model's flows: before the model sees the data, and nothing personal anywhere."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any, ClassVar

import pandas as pd
import pandera.pandas as pa
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Store
from mfprefect.checks import Columns, NewCategories, NullShare, RowCount, Unique, on
from mfprefect.cli import cli
from mfprefect.quality.checks.advice import after_failed_checks
from mfprefect.quality.checks.result import CheckCounts
from mfprefect.store.notifications.content import build_notice, session_row

SECRET = "jo.secret@mail.example"
DAY = dt.date(2026, 1, 31)


def customers(rows: int = 400) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": range(rows),
            "mail": [f"{number}.secret@mail.example" for number in range(rows)],
            "age": [number % 60 for number in range(rows)],
            "gone": [number % 2 for number in range(rows)],
        }
    )


class Churn(mfprefect.Model):
    model_id = "churn"
    entity_id = "customer_id"
    target = "gone"
    masked = ["mail"]
    checks = [
        pa.DataFrameSchema({"mail": pa.Column(str, pa.Check.str_contains("@"))}),
        RowCount(within=0.2),
        Columns(added="warning"),
        NewCategories("mail", known=["x"], severity="warning"),
    ]
    data = customers()
    fitted = 0

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return self.data

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        type(self).fitted += 1
        return LogisticRegression().fit(features[["age"]], target)

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return estimator.predict_proba(features[["age"]])[:, 1]

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        return {}

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return self.data.drop(columns="gone")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_shared_checks_and_masks(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    flows = Churn.flows()
    trained, scored = flows.train(DAY), flows.score(DAY)
    results = flow_store.checks(scored).set_index("check")
    assert results.loc["row_count", "passed"] and results.loc["columns_missing", "passed"]
    assert not results.loc["new_categories", "passed"]  # a warning stops nothing
    summary = flow_store.input_summary(trained, scored)
    assert set(summary["variable"]) == {"mail", "age"}

    # Half of the rows and a broken address stop the run; the model does not see them.
    wrong = customers(200)
    wrong.loc[3, "mail"] = SECRET.replace("@", " at ")
    monkeypatch.setattr(Churn, "data", wrong)
    for flow in (flows.train, flows.score):
        with pytest.raises(mfprefect.ChecksFailed) as caught:
            flow(DAY)
        failed = {(row["check"], row["failing_rows"]) for row in caught.value.failures}
        assert failed == {("str_contains('@')", 1), ("row_count", 0)}
        assert "secret" not in f"{caught.value} {caught.value.failures}"
    assert Churn.fitted == 1
    sessions = flow_store.sessions("churn")
    assert list(sessions["status"]) == ["failed", "failed", "succeeded", "succeeded"]

    # A column that is gone is told by the check, and stored.
    monkeypatch.setattr(Churn, "data", customers().drop(columns="age").assign(added=1))
    with pytest.raises(mfprefect.ChecksFailed, match="missing: age"):
        flows.score(DAY)
    stored = flow_store.checks(flow_store.sessions("churn")["session_id"].iloc[0])
    assert list(stored.loc[stored["check"] == "columns_added", "passed"]) == [False]

    assert_nowhere(flow_store, "secret")
    assert "secret" not in caplog.text


def assert_nowhere(store: Store, text: str) -> None:
    """Look into every table but those of models and of scores, whose ids are asked for."""
    for name, table in store.database.schema.tables.items():
        if name != "artifact_chunks":
            rows = [str(tuple(row)) for row in store.database.fetch_all(sa.select(*table.c))]
            assert not [row for row in rows if text in row], name


class Phased(Churn):
    """Checks of one phase, a schema with the target, and checks of all parts."""

    model_id = "phased"
    masked: ClassVar[list[str]] = []
    parts = 3
    checks = [
        pa.DataFrameSchema(
            {
                "age": pa.Column(float, coerce=True, nullable=True),
                "gone": pa.Column(int, pa.Check.isin([0, 1])),
            }
        ),
        on(
            "train",
            pa.DataFrameSchema(checks=pa.Check(lambda rows: rows["gone"].sum() > 9, name="gone")),
        ),
        on("score", pa.DataFrameSchema({"mail": pa.Column("category", coerce=True)})),
        RowCount(at_least=300),
        NullShare("age", at_most=0.1),
        Unique("mail"),
        Columns(),
    ]
    seen: ClassVar[list[tuple[str, str]]] = []

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        self.seen.append(("fit", f"{features['age'].dtype} {features['mail'].dtype}"))
        return LogisticRegression().fit(features[["age"]], target)

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        if "fit" in dict(self.seen):
            self.seen.append(("predict", f"{features['age'].dtype} {features['mail'].dtype}"))
        return estimator.predict_proba(features[["age"]].fillna(0))[:, 1]

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        frame = self.data.drop(columns="gone")
        return frame[frame["customer_id"] % self.parts == part - 1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_checks_of_a_phase_and_of_all_parts(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Phased.flows()
    trained = flows.train(DAY)
    Phased.seen.clear()
    Phased.seen.append(("fit", ""))
    scored = flows.score(DAY)
    assert set(Phased.seen[1:]) == {("predict", "float64 category")}
    results = flow_store.checks(trained)
    assert "gone" in set(results["check"]) and "dtype('category')" not in set(results["check"])
    checks = flow_store.checks(scored)
    assert "gone" not in set(checks["check"]) and "dtype('category')" in set(checks["check"])
    together = checks[checks["check_no"] > 30_000].set_index("check")
    assert list(together.index) == ["row_count", "null_share", "unique"]
    assert str(together.loc["row_count", "message"]).startswith("400 rows; ")

    # In each part little is wrong; over all parts the run must not publish.
    wrong = customers()
    wrong.loc[[0, 3], "age"] = None
    wrong.loc[[0, 1, 2], "mail"] = "one@mail.example"
    monkeypatch.setattr(Phased, "data", wrong)
    with pytest.raises(mfprefect.ChecksFailed) as caught:
        flows.score(DAY)
    failed = flow_store.sessions("phased").iloc[0]
    # Error, mail and `show` count each check once, over all parts.
    stored: Any = flow_store.checks(failed["session_id"]).to_dict("records")
    words = CheckCounts.of(stored).words
    assert words == "1 of 10 input checks failed"
    unique = "unique(mail): 3 of 400 rows share their key with another row (in all 3 parts)"
    assert str(caught.value) == f"{words}: {unique}"
    database = flow_store.database
    row: Any = session_row(database, int(failed["session_no"]))
    notice = build_notice(database, row, "checks_failed", "ops")
    assert notice.title == f"phased: scoring failed, {words}"
    assert f"Checks: {words}\n" in notice.plain
    shown = CliRunner().invoke(cli, ["show", failed["session_id"]]).stdout
    assert f"\nChecks: {words}\n" in shown
    # What to do is the same sentence in both, and its command works as it is printed.
    todo, command = after_failed_checks(failed["session_id"], stored)
    assert (notice._body.action.lower(), notice._body.command) == (todo, command)
    assert f"{todo} `{command}`" in " ".join(shown.split())
    assert command.endswith(" unique --column mail --reason REASON")
    assert (failed["status"], failed["failure_kind"]) == ("failed", "ChecksFailed")
    assert flow_store.score_parts(failed["session_id"]).empty  # a retry reads the data again
    assert flow_store.latest_scores("phased", 0)["session_id"].tolist() == [scored]

    # The same failure in several parts is one line, which counts over them.
    monkeypatch.setattr(Phased, "data", wrong.assign(mail=["a", "b"] * 200))
    with pytest.raises(mfprefect.ChecksFailed, match=r"unique\(mail\): 400 rows in 3 parts, e\.g"):
        flows.score(DAY)

    # A person accepts that addresses repeat: the scoring goes on and says so.
    failed = flow_store.sessions("phased").iloc[0]["session_id"]
    flow_store.accept_check(failed, "unique", reason="shared mailboxes")
    accepted = flows.score(DAY)
    rows = flow_store.checks(accepted)
    rows = rows[rows["severity"] == "accepted"]
    assert set(rows["check"]) == {"unique"} and len(rows) == 4
    assert rows["message"].str.contains("shared mailboxes").all()
    assert len(flow_store.scores(accepted)) == 400
    assert flow_store.show(accepted)["published_at"].notna().all()
