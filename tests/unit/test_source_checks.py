"""Checks that a source's database computes before a row is read, on each kind of database."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect.backend import backend_for
from mfprefect.checks import (
    Columns,
    Fresh,
    NewCategories,
    NullShare,
    Range,
    RegisteredColumns,
    RowCount,
    Unique,
)
from mfprefect.errors import ChecksFailed, ConfigurationError, DatabaseError, InvalidValue
from mfprefect.inputs.reader import Read, Reader
from mfprefect.quality import run_checks
from mfprefect.quality.checks.context import CheckContext
from mfprefect.settings import load_settings

ROWS = 300
SQL = "select * from customer where seen_at <= :day -- of that day;"
CHECKS: list[Any] = [
    RowCount(at_least=100, recent=0),
    NullShare("Income", at_most=0.2, severity="warning"),
    NullShare("age", at_most=0, severity="warning"),
    Range("age", at_least=20, at_most=60, severity="warning"),
    Range("age", at_least=0, severity="warning"),
    Range("Income", at_most=90.5, severity="warning"),
    Unique("customer_id", severity="warning"),
    Unique("customer_id", "seen_at", severity="warning"),
    Fresh("seen_at", dt.timedelta(days=2), severity="warning"),
    Fresh("seen_at", dt.timedelta(days=200), severity="warning"),
]
NO_PAST = CheckContext(as_of=dt.date(2026, 2, 1))


def customers() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    income = rng.gamma(2, 20, ROWS).round(2)
    return pd.DataFrame(
        {
            "customer_id": [f"c{number % (ROWS - 20)}" for number in range(ROWS)],
            "age": pd.array(rng.integers(10, 80, ROWS), dtype="Int64"),
            "Income": np.where(rng.random(ROWS) < 0.25, np.nan, income),
            "seen_at": pd.to_datetime("2026-01-01") + pd.to_timedelta(np.arange(ROWS) % 20, "D"),
        }
    )


FRAME = customers()


@pytest.fixture
def source(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The table `customer` in a source; the statements that are sent to it."""
    monkeypatch.setenv("MFPREFECT_SOURCES__WAREHOUSE__URL", database_url)
    engine = backend_for(load_settings(url=database_url)).create_engine()
    FRAME.to_sql("customer", engine, index=False, dtype={"customer_id": sa.String(64)})
    engine.dispose()
    sent: list[str] = []

    def listen(*args: Any) -> None:
        sent.append(args[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    yield sent
    sa.event.remove(sa.Engine, "before_cursor_execute", listen)


def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(x["check"], x["column"], x["passed"], x["failing_rows"]) for x in rows]


def found(
    checks: Any, sql: str = SQL, past: CheckContext = NO_PAST, on_read: Any = None
) -> list[dict[str, Any]]:
    """Return what the database says, with `past` for a background."""
    from mfprefect.quality.checks.masking import Disclosure

    rows: list[dict[str, Any]] = []

    def judge(ask: Any, listed: Any) -> None:
        data = ask({name for check in listed for name in check.compared(past)})
        for check in listed:
            rows.extend(check.results(data, past, Disclosure(5, frozenset({"customer_id"}))))

    Reader(on_read=on_read, judge=judge).read(
        sql, "warehouse", checks=checks, day=dt.datetime(2026, 1, 15, 12)
    )
    return rows


def test_a_database_says_what_the_rows_say(source: list[str]) -> None:
    rows = found(CHECKS)
    read = FRAME[FRAME["seen_at"] <= "2026-01-15"]
    expected = run_checks(read, CHECKS, context=NO_PAST)
    assert told(rows) == told(expected)
    assert {row["passed"] for row in rows} == {True, False}
    assert all(
        row["message"].endswith(" (of all rows, by the database of source 'warehouse')")
        for row in rows
    )
    ages = [case["value"] for case in json.loads(rows[3]["sample"])]
    assert len(ages) == 5
    assert not [age for age in ages if 20 <= age <= 60]
    keys = json.loads(rows[6]["sample"])  # masked
    assert {case["value"] for case in keys} == {"***"}


PASSING = [
    RowCount(recent=0),
    NullShare("age", at_most=1),
    Range("age", at_least=0, at_most=100),
    Fresh("seen_at", dt.timedelta(days=99)),
]


def test_one_query_where_nothing_fails(source: list[str]) -> None:
    reads: list[Read] = []
    found(PASSING, on_read=reads.append)
    rows = int((FRAME["seen_at"] <= "2026-01-15").sum())
    assert [(read.source, read.query, read.rows) for read in reads] == [("warehouse", SQL, rows)]
    about = [text for text in sent_to_customer(source) if "count(" in text]
    assert len(about) == 1
    # The columns and the figures. SQLAlchemy sees the read of the rows on some databases only.
    assert len([text for text in sent_to_customer(source) if "source_rows" in text]) == 2


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_the_table_is_scanned_once_for_the_checks_and_once_for_the_rows(
    source: list[str], database_url: str
) -> None:
    engine = backend_for(load_settings(url=database_url)).create_engine()

    def scans() -> int:
        query = "select seq_scan from pg_stat_user_tables where relname = 'customer'"
        with engine.connect() as connection:
            return int(connection.exec_driver_sql(query).scalar_one())

    def settled(at_least: int) -> int:
        # What a connection did counts once it is closed, a moment later.
        deadline = time.monotonic() + 30
        while scans() < at_least and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        return scans()

    before = settled(0)
    found(PASSING)
    assert settled(before + 2) == before + 2
    engine.dispose()


def sent_to_customer(source: list[str]) -> list[str]:
    return [text for text in source if "from customer" in text]


class Churn(mfprefect.Model):
    model_id = "churn"
    entity_id = "customer_id"
    target = "gone"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_failed_check_of_the_source_keeps_its_rows_from_being_read(
    source: list[str], mf_store: mfprefect.Store
) -> None:
    from mfprefect.lifecycle import tasks

    mf_store.add_model("churn")
    checks = [
        Range(), NullShare(), Columns(missing="warning"), RowCount(within=0.01),
        RegisteredColumns("customer", severity="warning"),
    ]  # fmt: skip
    with mf_store.session("churn", "train") as session:
        model = Churn(tasks.reader(mf_store.database.settings, session, Churn))
        first = model.read(SQL, "warehouse", checks=checks, day="2026-01-09 00:00")
        session.log_input_summary(first.drop(columns="customer_id"))
        session.save_model(b"of another language")
    assert mf_store.checks(session.session_id)["passed"].tolist() == [True] * 4 + [False]
    source.clear()
    with pytest.raises(ChecksFailed, match="the median of the last 1 sessions"), \
            mf_store.session("churn", "train") as session:  # fmt: skip
        model = Churn(tasks.reader(mf_store.database.settings, session, Churn))
        model.read(SQL, "warehouse", checks=checks, day="2026-01-20 00:00")
    assert session.status == "failed"
    stored = mf_store.checks(session.session_id)
    assert {"range", "null_share", "columns_missing", "row_count"} < set(stored["check"])
    assert mf_store.inputs(session.session_id).empty
    assert [text for text in sent_to_customer(source) if text.strip() == SQL.strip()] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_database_cannot_compute_is_refused(source: list[str]) -> None:
    day = {"day": "2026-01-20"}
    reader = Reader()
    for check in (NewCategories("age", known=["1"]), lambda frame: True, "age > 0"):
        with pytest.raises(ConfigurationError, match="cannot be computed by the database"):
            reader.read(SQL, "warehouse", checks=[check], **day)
    with pytest.raises(InvalidValue, match="pass SQL text"):
        reader.read(FRAME, checks=[Unique("age")])
    with pytest.raises(DatabaseError, match="source 'warehouse' says"):
        reader.read("select nothing from customer", "warehouse", checks=Unique("age"))
    with pytest.raises(ChecksFailed, match="column 'shoe' is missing"):
        reader.read(SQL, "warehouse", checks=NullShare("shoe", at_most=0), **day)
    with pytest.raises(ChecksFailed, match="not run: TypeError"):  # texts are no numbers
        reader.read(SQL, "warehouse", checks=Range("customer_id", at_least=0), **day)
    assert len(reader.read(SQL, "warehouse", checks=Range("age", at_least=0), **day)) > 0
