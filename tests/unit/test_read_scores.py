"""Scores of some entities, of a range, and the latest of an entity, on each database."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import random
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.testing.contract.helpers import fit

IDS = [
    "7", "007", "a", "A", "a ", "it's", 'say "x"', "back\\slash", "\\'", "100%", "%%", "%s",
    "%(x)s", ":name", "?", "a,b", "new\nline", "tab\t", "é", "漢", "😀", "$1", "{}", "--",
]  # fmt: skip
TODAY = dt.datetime.now(dt.UTC).date()
NUMBERS = [0.0, -0.0, 5e-324, -5e-324, 1e300, -1e300, 1 / 3, 0.1, 0.1 + 2**-56, 0.5, 1.0, -2.5]


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url) as opened:
        opened.add_model("churn")
        opened.add_model("fraud")
        yield opened


def scored(store: Store, frame: pd.DataFrame, model: str = "churn") -> str:
    with store.session(model, "score") as session:
        session.write_scores(frame, entity_id="entity_id", score_class="score_class")
    return str(session.session_id)


def frame_of(ids: list[str], scores: list[float]) -> pd.DataFrame:
    classes = [None if place % 3 == 0 else f"c{place % 3}" for place in range(len(ids))]
    return pd.DataFrame({"entity_id": ids, "score": scores, "score_class": classes})


def rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [
        (id_, score, None if pd.isna(kind) else kind)
        for id_, score, kind in frame[["entity_id", "score", "score_class"]].itertuples(index=False)
    ]


def test_filters_choose_what_pandas_would(store: Store) -> None:
    stored_ids = fit(store, IDS)
    frame = frame_of(
        stored_ids, [NUMBERS[place % len(NUMBERS)] for place in range(len(stored_ids))]
    )
    session_id = scored(store, frame)
    chance = random.Random(1)  # noqa: S311 - no secret
    strangers = fit(store, ["nobody", "a  "])
    ends: list[float | None] = [None, math.inf, -math.inf, *NUMBERS, 2]
    for _ in range(80):
        ids = chance.choice([None, chance.sample([*stored_ids, *strangers], chance.randrange(20))])
        low, high = chance.choice(ends), chance.choice(ends)
        wanted = frame
        if ids is not None:
            wanted = wanted[wanted["entity_id"].isin(ids)]
        if low is not None:
            wanted = wanted[wanted["score"] >= low]
        if high is not None:
            wanted = wanted[wanted["score"] <= high]
        filtered = store.scores(session_id, entity_ids=ids, at_least=low, at_most=high)
        assert rows(filtered) == rows(wanted.sort_values("entity_id")), (ids, low, high)


def test_any_number_of_ids_in_any_form(store: Store) -> None:
    frame = frame_of([str(n) for n in range(3_000)], [n / 7 for n in range(3_000)])
    session_id = scored(store, frame)
    asked = range(1_000, 4_000)  # a third of them was never scored
    wanted = rows(frame[1_000:].sort_values("entity_id"))
    forms: list[Any] = [asked, [*asked, *asked], map(str, asked), np.array(asked)]
    forms += [pd.Series(asked), pd.Series(asked, dtype="Int64"), pd.Series(asked).astype(str)]
    forms += [pa.array(asked), pa.chunked_array([asked])]
    for form in forms:
        assert rows(store.scores(session_id, entity_ids=form)) == wanted
    batches = list(store.iter_scores(session_id, entity_ids=asked, at_most=200))
    table = pa.Table.from_batches(batches).to_pandas()
    assert rows(table) == [row for row in wanted if row[1] <= 200]
    assert len(store.scores(session_id, entity_ids=[])) == 0


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"at_least": float("nan")}, "at_least=nan is no number"),
        ({"at_most": np.float64("nan")}, "at_most"),
        ({"at_most": "0.5"}, "at_most='0.5'"),
        ({"entity_ids": "abc"}, r"pass \['abc'\]"),
        ({"entity_ids": 7}, r"pass \[7\]"),
        ({"entity_ids": [7.0]}, "Int64"),
        ({"entity_ids": [True]}, "must be text"),
        ({"entity_ids": [None]}, "must be text"),
        ({"entity_ids": ["a\0"]}, "NUL"),
        ({"entity_ids": ["a", ""]}, "empty"),
        ({"entity_ids": ["\ud800"]}, "Unicode"),
    ],
)
def test_what_no_score_can_match_is_refused(
    tmp_path: Any, wanted: dict[str, Any], message: str
) -> None:
    with mfprefect.connect(f"sqlite:///{tmp_path}/s.db") as store:
        store.create_schema()
        store.add_model("churn")
        session_id = scored(store, frame_of(["a"], [0.5]))
        with pytest.raises(mfprefect.InvalidValue, match=message):
            store.scores(session_id, **wanted)
        with pytest.raises(mfprefect.InvalidValue, match=message):
            store.iter_scores(session_id, **wanted)  # at once, not with the first batch
        with pytest.raises(mfprefect.UnknownSession):
            store.iter_scores("nobody's")


def test_publication_between_two_statements_shows_no_half(store: Store, database_url: str) -> None:
    frame = frame_of([f"{n:05}" for n in range(1_200)], [0.5] * 1_200)
    ids = frame["entity_id"]
    with mfprefect.connect(database_url) as reader, store.session("churn", "score") as session:
        session.write_scores(frame, entity_id="entity_id", score_class="score_class")
        assert len(reader.scores(session.session_id, entity_ids=ids)) == 0

        def publish(*details: Any) -> None:
            if "published_at" in details[2] and session.status == "running":
                session.close()

        sa.event.listen(reader.database.engine, "after_cursor_execute", publish)
        assert len(reader.scores(session.session_id, entity_ids=ids)) in (0, 1_200)
        assert session.status == "succeeded"
    assert len(store.scores(session.session_id, entity_ids=ids)) == 1_200


def test_a_session_removed_while_it_is_read_is_missed(store: Store) -> None:
    frame = frame_of([f"{n:05}" for n in range(1_200)], [0.5] * 1_200)
    session_id = scored(store, frame)
    batches = store.iter_scores(session_id, entity_ids=frame["entity_id"])
    assert next(batches).num_rows > 0
    store.delete_session(session_id)
    with pytest.raises(mfprefect.UnknownSession):
        list(batches)


def latest_view(store: Store, view: str = "latest_scores") -> Any:
    names = ("model_id", "session_id", "entity_id", "score", "score_class")
    schema = store.database.schema
    columns = [sa.column(name, sa.String if name != "score" else sa.Double) for name in names]
    return sa.table(schema.name(view), *columns, schema=schema.layout.schema)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_latest_score_is_that_of_the_newest_published_session(store: Store, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    people = [*fit(store, IDS[:8]), "42"]
    oracle = []
    for place in range(14):
        model = chance.choice(["churn", "fraud"])
        end = chance.choice(["succeeded", "succeeded", "succeeded", "failed", "open"])
        ids = chance.sample(people, chance.randrange(1, len(people)))
        frame = frame_of(ids, [place + chance.random() for _ in ids])
        day = chance.choice([None, *(TODAY + dt.timedelta(days=days) for days in (-2, -1, 1))])
        session = store.session(model, "score", as_of=day)
        session.write_scores(frame, entity_id="entity_id", score_class="score_class")
        if end == "open":
            session.leave_open()
            continue
        with contextlib.suppress(ZeroDivisionError), session:
            if end == "failed":
                raise ZeroDivisionError
        if end == "succeeded":
            # One published after the other: of one day, the last in this list is the newest.
            named = frame.assign(model_id=model, session_id=session.session_id)
            oracle.append(named.assign(day=day or TODAY))
    scores = pd.concat(oracle).sort_values("day", kind="stable")
    newest = scores.drop_duplicates(["model_id", "entity_id"], keep="last")
    wanted = {
        (row.model_id, row.entity_id, row.score, row.score_class or None, row.session_id)
        for row in newest.astype(object).where(newest.notna(), None).itertuples()
    }
    view = latest_view(store)
    names = ("model_id", "entity_id", "score", "score_class", "session_id")
    latest = store.database.fetch_all(sa.select(*(view.c[name] for name in names)))
    assert len(latest) == len(wanted)
    assert {tuple(row) for row in latest} == wanted
    for model in ("churn", "fraud"):
        frame = store.latest_scores(model, *people, "nobody", 42)
        assert list(frame["entity_id"]) == sorted(frame["entity_id"])
        assert {
            (model, id_, score, kind, session)
            for (id_, score, kind), session in zip(rows(frame), frame["session_id"], strict=True)
        } == {row for row in wanted if row[0] == model}
        shown = store.get_sessions(*frame["session_id"].unique()).set_index("session_id")[
            "published_at"
        ]
        assert list(frame["published_at"]) == list(shown[frame["session_id"]])
        of_model = scores[scores["model_id"] == model]
        current = of_model[of_model["session_id"] == of_model["session_id"].iloc[-1]]
        assert rows(store.current_scores(model)) == rows(current.sort_values("entity_id"))
        assert store.current_session(model) == current["session_id"].iloc[0]


def test_what_latest_scores_wants_to_know(store: Store) -> None:
    columns = ["entity_id", "score", "score_class", "session_id", "as_of", "published_at"]
    empty = store.latest_scores("churn", "nobody")
    assert list(empty.columns) == columns
    assert len(empty) == 0
    with store.session("churn", "score", as_of=dt.date(2026, 11, 1)) as session:
        session.write_scores(pd.DataFrame({"id": [42], "score": [0.5]}), entity_id="id")
    (row,) = store.latest_scores("churn", 42).to_dict("records")
    assert row["session_id"] == session.session_id
    assert (row["entity_id"], row["as_of"]) == ("42", dt.date(2026, 11, 1))
    with pytest.raises(mfprefect.UnknownModel, match="churn, fraud"):
        store.latest_scores("nothing", "a")
    with pytest.raises(mfprefect.InvalidValue, match="at least one entity"):
        store.latest_scores("churn")


SESSIONS, ENTITIES = 300, 1_000


def fill(store: Store) -> None:
    """Make many published sessions of a first one, as years of scoring would."""
    with store.session("churn", "score") as session:
        session.write_scores(pd.DataFrame({"id": ["e0"], "score": [0.5]}), entity_id="id")
    db, s = store.database, store.database.schema.sessions
    first = db.fetch_all(sa.select(*s.c))[0]._mapping
    ids = sorted(f"e{n}" for n in range(ENTITIES))

    def work(connection: sa.Connection, _: bool) -> None:
        for number in range(2, SESSIONS + 1):
            identity = {"session_no": number, "session_id": f"s{number}"}
            connection.execute(s.insert(), {**first, **identity, "flow_run_seq": None})
        for number in range(2, SESSIONS + 1):
            table = pa.table(
                {
                    "session_no": pa.array([number] * ENTITIES, pa.int32()),
                    "entity_id": pa.array(ids, pa.large_string()),
                    "score": pa.array([float(number)] * ENTITIES),
                    "score_class": pa.nulls(ENTITIES, pa.large_string()),
                    "part_no": pa.array([1] * ENTITIES, pa.int32()),
                }
            )
            db.backend.append(connection, db.schema.scores, table)

    db.write_transaction(work)


def full_scans(
    connection: sa.Connection, statement: str, parameters: Any = None, whole_key: bool = True
) -> list[str]:
    """Return the steps of a plan that read `scores` otherwise than by its key.

    That is the whole key, or with whole_key=False only the session.
    """
    key = ("session_no", "entity_id")[: 2 if whole_key else 1]
    kind = connection.dialect.name
    # MySQL prints a tree by default.
    explains = {
        "sqlite": "EXPLAIN QUERY PLAN",
        "mysql": "EXPLAIN FORMAT = TRADITIONAL",
        "postgresql": "EXPLAIN (ANALYZE)",
    }
    explain = explains.get(kind, "EXPLAIN")
    plan = connection.exec_driver_sql(f"{explain} {statement}", parameters).mappings().all()
    if kind == "sqlite":
        steps = [
            row["detail"] for row in plan if re.match(r"(SCAN|SEARCH) scores\b", row["detail"])
        ]
        assert steps
        wanted = " AND ".join(f"{column}=?" for column in key)
        return [step for step in steps if f"({wanted})" not in step]
    if kind == "postgresql":
        lines = [str(next(iter(row.values()))).strip() for row in plan]
        return [
            line
            for place, line in enumerate(lines)
            if "Scan" in line and " scores" in line and not is_by_key(lines[place + 1 :], key)
        ]
    assert any(row["table"] == "scores" for row in plan)
    steps = [row for row in plan if row["table"] == "scores"]
    if not whole_key:
        return [str(row) for row in steps if (row["type"], row["key"]) != ("ref", "PRIMARY")]
    # By the whole key: one row for each session before it, or for each pair of two lists.
    by_key = [row for row in steps if row["type"] in ("eq_ref", "const")]
    by_key += [row for row in steps if row["type"] == "range" and int(row["key_len"]) > 255]
    return [str(row) for row in steps if row not in by_key]


def is_by_key(details: list[str], key: tuple[str, ...]) -> bool:
    """Return whether what follows a step of PostgreSQL's plan is a search by this key.

    A part of the key reads all of it, but for a skip scan of 18 and later: it searches for the
    rest of the key in each session.
    """
    condition, searches = (*details, "", "")[:2]
    if "Index Cond" not in condition or key[-1] not in condition:
        return False
    number = re.fullmatch(r"Index Searches: (\d+)", searches)
    skips = number is not None and int(number[1]) <= SESSIONS + 1
    return "session_no =" in condition or skips


# How Teradata's optimizer goes about it, an emulated one cannot know.
@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mysql"], indirect=True)
def test_one_entity_is_answered_by_the_key_of_scores(store: Store) -> None:
    db = store.database
    fill(store)
    analyze = {"sqlite": "ANALYZE {}", "postgresql": "ANALYZE {}"}
    ran: list[tuple[str, Any]] = []
    view = latest_view(store)
    chosen = sa.select(view).where(view.c.model_id == "churn", view.c.entity_id == "e77")
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        preparer = connection.dialect.identifier_preparer
        for table in (db.schema.sessions, db.schema.scores):
            command = analyze.get(connection.dialect.name, "ANALYZE TABLE {}")
            connection.exec_driver_sql(command.format(preparer.format_table(table))).close()
    sa.event.listen(
        db.engine, "before_cursor_execute", lambda *details: ran.append((details[2], details[3]))
    )
    (row,) = db.fetch_all(chosen)
    assert (row.session_id, row.score) == (f"s{SESSIONS}", SESSIONS)
    assert store.latest_scores("churn", "e77")["session_id"].tolist() == [f"s{SESSIONS}"]
    asked = [(text, values) for text, values in ran if "scores" in text and "entity_id" in text]
    assert len(asked) == 2
    ran.clear()
    store.set_threshold("churn", 0.1, "population")  # whose decision needs a rank
    ran.clear()
    assert store.trace("churn", "e77", on=dt.datetime.now(dt.UTC)).scores[0].score == SESSIONS
    of_scores = [(text, values) for text, values in ran if " scores" in text or "scores." in text]
    traced = [step for step in of_scores if "entity_id" in step[0]]
    ranked = [step for step in of_scores if "count(" in step[0].lower() and "score <" in step[0]]
    assert len(traced) == len(ranked) == 1
    current = latest_view(store, "current_scores")
    ran.clear()
    assert len(db.fetch_all(sa.select(current).where(current.c.model_id == "churn"))) == ENTITIES
    (asked_current,) = list(ran)
    with db.engine.connect() as connection:
        for text, values in [*asked, *traced]:
            assert full_scans(connection, text, values) == []
        assert full_scans(connection, *ranked[0], whole_key=False) == []
        assert full_scans(connection, *asked_current, whole_key=False) == []
        # The same eyes see one where there is one.
        name = preparer.format_table(db.schema.scores)
        assert full_scans(connection, f"SELECT sum(score) FROM {name} AS scores")  # noqa: S608
        of_entity = f"SELECT sum(score) FROM {name} AS scores WHERE entity_id = 'e77'"  # noqa: S608
        dialect = connection.dialect
        skips = dialect.name == "postgresql" and (dialect.server_version_info or ()) >= (18,)
        assert bool(full_scans(connection, of_entity)) is not skips


def test_get_sessions_and_its_alias(tmp_path: Any) -> None:
    with mfprefect.connect(f"sqlite:///{tmp_path}/s.db") as store:
        store.create_schema()
        store.add_model("churn")
        first, second = (scored(store, frame_of(["a"], [0.5])) for _ in range(2))
        sessions = store.get_sessions(first, second)
        assert sessions["session_id"].tolist() == [second, first]
        pd.testing.assert_frame_equal(sessions, store.show(first, second))
        with pytest.raises(mfprefect.UnknownSession, match="nowhere"):
            store.get_sessions(first, "nowhere")
