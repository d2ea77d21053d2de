"""Parts whose rows are in the store's database: written there, read back, digested as any other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from mfprefect import MfprefectError, Store
from mfprefect.schema import Double, Id
from mfprefect.session import Session
from mfprefect.testing.contract.helpers import rows, unfit

NAMES = ("customer_id", "the score", "its class")
IDS = ["7", "a", "A", "a ", "it's", "back\\slash", "100%", "é😀\n"]


@pytest.fixture
def source(store: Store) -> Iterator[sa.Table]:
    """A table of ids and numbers beside those of the store."""
    schema = store.database.schema
    table = sa.Table(
        schema.name("source_rows"),
        sa.MetaData(schema=schema.layout.schema),
        sa.Column("row_no", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("id", Id(300)),
        sa.Column("x", Double()),
        **store.database.backend.table_options("source_rows"),
    )
    with store.database.engine.begin() as connection:
        table.create(connection)
    yield table
    with store.database.engine.begin() as connection:
        table.drop(connection)


def _fill(store: Store, source: sa.Table, ids: list[Any], numbers: list[Any]) -> None:
    pairs = enumerate(zip(ids, numbers, strict=True))
    listed = [{"row_no": n, "id": name, "x": number} for n, (name, number) in pairs]
    store.database.write_transaction(lambda c, _: c.execute(source.insert(), listed))


def _select(source: sa.Table, **columns: Any) -> sa.Select[Any]:
    score = (source.c.x / sa.cast(7, Double())).label("score")
    extra = [column.label(name) for name, column in columns.items()]
    return sa.select(source.c.id.label("entity_id"), score, *extra)


def test_a_part_is_inserted_where_its_rows_are(store: Store, source: sa.Table) -> None:
    ids = [name for name in IDS if not unfit(store, name)]
    numbers = [float(number) for number in range(len(ids))]
    _fill(store, source, ids, numbers)
    select = _select(source, score_class=source.c.id)
    with store.session("churn", purpose="score") as session:
        table = session.insert_scores(select, NAMES, part=1)
        assert table is not None
        assert table.column_names == ["entity_id", "score", "score_class"]
        assert len(store.scores(session.session_id)) == 0
    with store.session("churn", purpose="score") as other:
        frame = pd.DataFrame({"id": ids, "score": [x / 7 for x in numbers], "k": ids})
        other.write_scores(frame, entity_id="id", score_class="k")
    both = [session.session_id, other.session_id]
    ours, theirs = (store.scores(name) for name in both)
    pd.testing.assert_frame_equal(ours, theirs)
    assert store.score_parts(*both)["digest"].nunique() == 1
    assert store.verify(session_id=session.session_id).problems == []


@pytest.mark.parametrize("large", [True, False])
def test_a_part_is_inserted_again(
    store: Store, source: sa.Table, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfprefect.store.scores.write.LARGE_PART", 2 if large else 100)
    _fill(store, source, ["a", "b", "c"], [1.0, 2.0, 3.0])
    with store.session("churn", purpose="score") as session:
        session.insert_scores(_select(source), NAMES, part=1, session_rows=3)
        some = _select(source).where(source.c.id > "a")
        session.insert_scores(some, NAMES, part=1, session_rows=3)
        frame = pd.DataFrame({"id": ["x", "y", "z"], "score": 0.5})
        session.write_scores(frame, entity_id="id", part=2)
    assert store.score_parts(session.session_id)["rows"].tolist() == [2, 3]
    assert store.scores(session.session_id)["entity_id"].tolist() == ["b", "c", "x", "y", "z"]


BAD_ROWS: dict[str, tuple[list[Any], list[Any]]] = {
    "duplicate ids": (["a", "b", "a"], [1.0, 2.0, 3.0]),
    "a NULL id": (["a", None, "c"], [1.0, 2.0, 3.0]),
    "an empty id": (["a", "", "c"], [1.0, 2.0, 3.0]),
    "an over-long id": (["a", "b" * 256, "c"], [1.0, 2.0, 3.0]),
    "a NULL score": (["a", "b", "c"], [1.0, None, 3.0]),
}


@pytest.mark.parametrize("case", BAD_ROWS)
@pytest.mark.parametrize("large", [True, False])
def test_bad_rows_leave_nothing(
    store: Store, source: sa.Table, case: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfprefect.store.scores.write.LARGE_PART", 2 if large else 100)
    _fill(store, source, *BAD_ROWS[case])
    with store.session("churn", purpose="score") as session:
        before = rows(store)
        with pytest.raises(MfprefectError):  # by the database, or by what reads them back
            session.insert_scores(_select(source), NAMES, part=1, session_rows=3)
        assert rows(store) == before
    assert len(store.scores(session.session_id)) == 0


def test_an_entity_of_another_part_is_refused(store: Store, source: sa.Table) -> None:
    _fill(store, source, ["a", "b"], [1.0, 2.0])
    with pytest.raises(MfprefectError), store.session("churn", purpose="score") as session:
        _write(session, "b")
        session.insert_scores(_select(source), NAMES, part=2)
    assert len(store.scores(session.session_id)) == 0


def _write(session: Session, name: str) -> None:
    session.write_scores(pd.DataFrame({"id": [name], "score": [0.5]}), entity_id="id")


class _Refused(Exception):
    """What looks at scores before they are kept refuses them."""


def test_refused_scores_are_not_inserted(store: Store, source: sa.Table) -> None:
    _fill(store, source, ["a", "b"], [1.0, 2.0])

    def refuse(table: Any) -> None:
        assert table["entity_id"].to_pylist() == ["a", "b"]
        session.log_metrics({"seen": 2.0})
        raise _Refused

    with store.session("churn", purpose="score") as session:
        before = rows(store)
        with pytest.raises(_Refused):
            session.insert_scores(_select(source), NAMES, part=1, verify=refuse)
        assert rows(store) == before
    # What was found out stays, as that of failed checks does.
    assert store.metrics(session.session_id)["value"].tolist() == [2.0]


def test_what_is_found_out_is_written_with_the_scores(store: Store, source: sa.Table) -> None:
    _fill(store, source, ["a", "b"], [1.0, 2.0])
    with store.session("churn", purpose="score") as session:

        def note(_: Any) -> None:
            session.log_metrics({f"m{number}": 1.0 for number in range(1_500)})
            assert len(store.metrics(session.session_id)) == 0

        session.insert_scores(_select(source), NAMES, part=1, verify=note)
        assert len(store.metrics(session.session_id)) == 1_500
    assert store.verify(session_id=session.session_id).problems == []


def test_a_closed_session_inserts_nothing(store: Store, source: sa.Table) -> None:
    _fill(store, source, ["a"], [1.0])
    with store.session("churn", purpose="score") as session:
        pass
    with pytest.raises(MfprefectError, match="succeeded"):
        session.insert_scores(_select(source), NAMES, part=1)
