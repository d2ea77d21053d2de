"""Defaults of a server, a database or a user, and poolers: one run under each of them.

The run leaves the same sealed record as under ordinary settings, or is refused before it has
written anything, by an error that names the setting. docs/databases.md shows `CASES`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import DatabaseError, DatabaseUnavailable, Store
from mfprefect.cli.commands.doctor.database import database as doctor
from mfprefect.store.audit.seals import read_content, read_state
from mfprefect.store.lookup import find_session
from mfprefect_dev.servers import Server, server_class
from mfprefect_dev.servers.pooler import Pooler

SAME, REFUSED = "the same", "refused"
OK, WARNING, FAILED = "", "warning", "failed"


class Case(NamedTuple):
    """A value that differs from the server's default, what a run makes of it, and the doctor."""

    database: str
    setting: str
    value: str
    outcome: str = SAME
    doctor: str = OK


P, M, MARIADB, MYSQL = "PostgreSQL", "MySQL, MariaDB", "MariaDB", "MySQL"
CASES = [
    Case(P, "extra_float_digits", "-15"),
    Case(P, "DateStyle", "SQL, DMY"),
    Case(P, "IntervalStyle", "iso_8601"),
    Case(P, "bytea_output", "escape"),
    Case(P, "standard_conforming_strings", "off"),
    Case(P, "timezone", "Pacific/Auckland"),
    Case(P, "default_transaction_isolation", "repeatable read"),
    Case(P, "default_transaction_isolation", "serializable"),
    Case(P, "default_transaction_read_only", "on", REFUSED, FAILED),
    Case(P, "statement_timeout", "1s", SAME, WARNING),
    Case(P, "transaction_timeout", "1s", SAME, WARNING),  # since 17
    Case(P, "idle_in_transaction_session_timeout", "1s", SAME, WARNING),
    Case(M, "sql_mode", "ANSI_QUOTES"),
    Case(M, "sql_mode", "NO_BACKSLASH_ESCAPES"),
    Case(M, "sql_mode", "ONLY_FULL_GROUP_BY"),
    Case(M, "sql_mode", "PAD_CHAR_TO_FULL_LENGTH"),
    Case(M, "sql_mode", ""),
    Case(MARIADB, "sql_mode", "ORACLE"),
    Case(M, "time_zone", "+13:00"),
    Case(M, "transaction_isolation", "READ-UNCOMMITTED"),
    Case(M, "transaction_isolation", "REPEATABLE-READ"),
    Case(M, "transaction_isolation", "SERIALIZABLE"),
    Case(M, "transaction_read_only", "ON", REFUSED, FAILED),
    Case(M, "read_only", "ON", REFUSED, WARNING),
    Case(M, "autocommit", "OFF"),
    Case(M, "wait_timeout", "1"),
    Case(M, "max_allowed_packet", "4194304", SAME, FAILED),
    Case(M, "local_infile", "OFF", SAME, WARNING),
    Case(M, "binlog_format", "MIXED"),
    Case(M, "binlog_format", "STATEMENT", REFUSED, FAILED),
    Case(MARIADB, "innodb_force_primary_key", "ON"),
    Case(MYSQL, "sql_require_primary_key", "ON"),
]
POOLERS = {"session": SAME, "transaction": SAME, "statement": REFUSED}
HARMLESS = [case for case in CASES if case.database == P and case.doctor == OK]
OLDER_NAMES = {"transaction_isolation": "tx_isolation", "transaction_read_only": "tx_read_only"}
"""Of variables, in MariaDB before 11.1."""
DATABASES = {"postgres": P, "mariadb": MARIADB, "mysql": MYSQL}
"""By the start of a program's name."""


def tried(server: str) -> list[Any]:
    """Return the cases of a server; all go to one worker, because its defaults are everybody's."""
    database = DATABASES[server_class(server).program.rstrip("0123456789")]
    together = pytest.mark.xdist_group(f"settings_{server}")
    return [
        pytest.param(case, server, id=f"{server}-{case.setting}-{case.value}", marks=together)
        for case in CASES
        if database in case.database
    ]


TEXT = "C:\\new\\table 'q' \"d\" `b` \\\\ % \\' ä €   "
FIGURES = {"a": 0.1 + 0.2, "b": 1.7976931348623157e308, "c": 5e-324, "d": -0.0, "e": 1 / 3}
DAY = dt.date(2026, 2, 1)
INPUT = pd.DataFrame({"x": [1.5, -0.25, None], "day": [DAY, DAY, None], "text": ["a ", "A", TEXT]})
MODEL = np.random.default_rng(2).bytes(1_000_000)
SCORES = pd.DataFrame(
    {"id": [f"e\\{i:06d}" for i in range(1000)], "score": np.random.default_rng(3).random(1000)}
)
OWN = {"session_id", "session_no", "previous_seal", "seal", "process_id", "process_key", "seconds"}
"""What differs between any two runs, besides times."""
TIMES = {
    "started_at",
    "ended_at",
    "heartbeat_at",
    "published_at",
    "attempt_started_at",
    "written_at",
}


def run(store: Store, pause: float = 0) -> str:
    """Record what sessions record; idle for some seconds between two writes."""
    with store.session("churn", purpose="score", as_of=DAY, params={"text": TEXT}) as session:
        session.log_metrics(FIGURES)
        session.log_metadata({"text": TEXT, "day": DAY})
        session.log_input("dwh", query=TEXT, rows=3)
        session.log_input_summary(INPUT)
        session.log_test_results([0, 1, 1, 0], [0.1, 0.7, 0.4, 1 / 3], model_type="binary")
        session.save_model(MODEL)
        time.sleep(pause)
        session.write_scores(SCORES, entity_id="id")
    return session.session_id


def content(store: Store, session_id: str) -> dict[str, Any]:
    """Return what a session holds, verified, without what is its own in every run."""
    assert store.verify(session_id=session_id).problems == []
    handle = find_session(store.database, session_id)

    def read(connection: sa.Connection) -> dict[str, Any]:
        state = read_state(store.database, connection, handle.session_no)
        assert state is not None
        return {"sessions": [state.row], **read_content(store.database, connection, state)}

    tables = store.database.read_snapshot(read)
    now = dt.datetime.now(dt.UTC)
    assert all(
        abs(now - value) < dt.timedelta(minutes=10)
        for value in tables["sessions"][0].values()
        if isinstance(value, dt.datetime)
    )
    scores = store.scores(session_id).sort_values("entity_id")
    return {
        # Databases give rows in the order that they like.
        name: sorted(
            (
                {key: repr(value) for key, value in row.items() if key not in OWN | TIMES}
                for row in rows
            ),
            key=repr,
        )
        for name, rows in tables.items()
    } | {
        "scores": (tuple(scores["entity_id"]), scores["score"].to_numpy().tobytes()),
        "model": hashlib.sha256(store.load_model(session_id)).hexdigest(),
    }


@contextmanager
def administered(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def connect(url: str, **settings: Any) -> Store:
    return mfprefect.connect(url, spool="off", **{"retry_seconds": 20, **settings})


class Place:
    """A database whose user has other defaults, and its administrator, who has ordinary ones."""

    def __init__(self, server: Server) -> None:
        self.admin = server.new_database()
        url, self.user = sa.make_url(self.admin), f"mfp_{secrets.token_hex(4)}"
        with administered(self.admin) as connection:
            for statement in self.creation(str(url.database)):
                connection.exec_driver_sql(statement)
        login = url.set(username=self.user, password="secret")
        self.url = login.render_as_string(hide_password=False)
        with connect(self.url) as store:
            store.create_schema()
            store.add_model("churn", TEXT)
            session_id = run(store)
        with connect(self.admin) as store:
            self.reference = content(store, session_id)

    def creation(self, database: str) -> list[str]:
        raise NotImplementedError

    def changed(self, setting: str, value: str) -> AbstractContextManager[None]:
        raise NotImplementedError

    def harder(self, setting: str, store: Store) -> AbstractContextManager[object]:
        """Do what the setting is impatient with."""
        return nullcontext()

    def written(self) -> list[int]:
        """Return how many rows the tables have that every run writes to."""
        with connect(self.admin) as store:
            schema = store.database.schema
            tables = (schema.sessions, schema.audit_events, schema.models)
            counts = (sa.select(sa.func.count()).select_from(table) for table in tables)
            return [store.database.fetch_all(count)[0][0] for count in counts]


class PostgresPlace(Place):
    def creation(self, database: str) -> list[str]:
        create = f"CREATE ROLE {self.user} LOGIN PASSWORD 'secret'"
        return [create, f"GRANT CREATE ON DATABASE {database} TO {self.user}"]

    @contextmanager
    def changed(self, setting: str, value: str) -> Iterator[None]:
        with administered(self.admin) as connection:
            text = value if "," in value else f"'{value}'"
            connection.exec_driver_sql(f"ALTER ROLE {self.user} SET {setting} = {text}")
            yield
            connection.exec_driver_sql(f"ALTER ROLE {self.user} RESET {setting}")

    @contextmanager
    def harder(self, setting: str, store: Store) -> Iterator[None]:
        slow = setting in ("statement_timeout", "transaction_timeout")
        if setting == "idle_in_transaction_session_timeout":
            pauses = [1.5]  # once: the transaction is cut off, and starts over

            @sa.event.listens_for(store.database.engine, "after_cursor_execute")
            def pause(_: Any, __: Any, statement: str, *___: Any) -> None:
                if "INSERT INTO model_factory.metrics" in statement and pauses:
                    time.sleep(pauses.pop())

        with administered(self.admin) as connection:
            if slow:
                connection.exec_driver_sql(
                    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql "
                    "AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$"
                )
                connection.exec_driver_sql(
                    "CREATE TRIGGER slow AFTER INSERT ON model_factory.metrics "
                    "FOR EACH STATEMENT EXECUTE FUNCTION slow()"
                )
            yield
            if slow:
                connection.exec_driver_sql("DROP FUNCTION slow() CASCADE")
        assert setting != "idle_in_transaction_session_timeout" or not pauses


class MysqlPlace(Place):
    def harder(self, setting: str, store: Store) -> AbstractContextManager[object]:
        if setting in ("innodb_force_primary_key", "sql_require_primary_key"):
            with connect(self.url, prefix="keys_") as other:
                other.create_schema()
        return nullcontext()

    def creation(self, database: str) -> list[str]:
        create = f"CREATE USER {self.user}@'%%' IDENTIFIED BY 'secret'"
        return [create, f"GRANT ALL ON {database}.* TO {self.user}@'%%'"]

    @contextmanager
    def changed(self, setting: str, value: str) -> Iterator[None]:
        with administered(self.admin) as connection:
            like = {"names": [setting, OLDER_NAMES.get(setting, setting)]}
            show = sa.text("SHOW GLOBAL VARIABLES WHERE Variable_name IN :names")
            show = show.bindparams(sa.bindparam("names", expanding=True))
            name, before = connection.execute(show, like).first() or pytest.fail(setting)

            def put(new: str) -> None:
                text = new if new.isdigit() else f"'{new}'"
                connection.exec_driver_sql(f"SET GLOBAL {name} = {text}")

            put(value)
            try:
                yield
            finally:
                put(before)


@pytest.fixture(scope="module")
def postgres_place(postgres_server: Server) -> PostgresPlace:
    return PostgresPlace(postgres_server)


@contextmanager
def logging_place(kind: type[Server]) -> Iterator[MysqlPlace]:
    """A server of its own that writes a binary log."""
    with kind.start(["--log-bin", "--server-id=1"]) as server:
        yield MysqlPlace(server)


@pytest.fixture(scope="module")
def mysql_place(mysql_class: type[Server]) -> Iterator[MysqlPlace]:
    with logging_place(mysql_class) as place:
        yield place


@pytest.fixture(scope="module")
def mysql9_place() -> Iterator[MysqlPlace]:
    with logging_place(server_class("mysql9")) as place:
        yield place


@pytest.fixture
def place(server: str, request: pytest.FixtureRequest) -> Place:
    chosen: Place = request.getfixturevalue(f"{server}_place")
    return chosen


@pytest.mark.parametrize(
    ("case", "server"), [*tried("postgres"), *tried("mysql"), *tried("mysql9")]
)
def test_a_default_changes_nothing_or_is_named(case: Case, place: Place) -> None:
    before = place.written()
    with place.changed(case.setting, case.value):
        lines = [line for line in doctor(place.url) if line.check == "server"]
        if case.outcome == REFUSED:
            name = f"{case.setting}|{OLDER_NAMES.get(case.setting, case.setting)}"
            with connect(place.url, retry_seconds=0) as store:  # noqa: SIM117
                with pytest.raises(DatabaseError, match=name):
                    run(store)
        else:
            with connect(place.url) as store, place.harder(case.setting, store):
                session_id = run(store, 1.5 if case.setting == "wait_timeout" else 0)
                seen = content(store, session_id)
        assert [line.status for line in lines] == [case.doctor] * bool(case.doctor)
        with administered(place.admin) as connection:
            for line in lines:
                connection.exec_driver_sql(line.cure.partition(", and")[0])
        assert [line for line in doctor(place.url) if line.check == "server"] == []
    if case.outcome == REFUSED:
        assert place.written() == before
        return
    with connect(place.admin) as store:
        assert content(store, session_id) == place.reference
    assert seen == place.reference


@pytest.mark.xdist_group("settings_postgres")
@pytest.mark.parametrize(
    "alter", ["ALTER ROLE {user} IN DATABASE {database} SET", "ALTER DATABASE {database} SET", ""]
)
def test_the_cure_is_where_the_default_comes_from(
    postgres_server: Server, postgres_place: Place, alter: str
) -> None:
    url = sa.make_url(postgres_place.url)
    if alter:
        statement = alter.format(user=url.username, database=url.database)
        with administered(postgres_place.admin) as connection:
            connection.exec_driver_sql(f"{statement} default_transaction_read_only = on")
    else:
        statement = "remove it from `options` of the database URL"
        url = url.update_query_dict({"options": "-c default_transaction_read_only=on"})
    (line,) = (x for x in doctor(url.render_as_string(hide_password=False)) if x.check == "server")
    assert statement in line.cure
    if alter:
        with administered(postgres_place.admin) as connection:
            for cure in line.cure.split("; "):
                connection.exec_driver_sql(cure)
            cured = [x for x in doctor(postgres_place.url) if x.check == "server"]
            connection.exec_driver_sql(f"{statement[:-3]} RESET default_transaction_read_only")
        assert cured == []


def bent(server: Server) -> str:
    """Return the URL of a new database with all harmless defaults at once."""
    url = server.new_database()
    name = sa.make_url(url).database
    with administered(url) as connection:
        for case in HARMLESS:
            text = case.value if "," in case.value else f"'{case.value}'"
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET {case.setting} = {text}")
    return url


@pytest.mark.xdist_group("settings_postgres")
@pytest.mark.parametrize("mode", POOLERS)
def test_behind_pgbouncer(postgres_server: Server, postgres_place: Place, mode: str) -> None:
    """Two connections for everybody: each transaction gets one that others used, with defaults."""
    url = bent(postgres_server)
    with Pooler(postgres_server, mode) as pooler:
        pooled = pooler.url(url)
        if POOLERS[mode] == REFUSED:
            assert [line.status for line in doctor(pooled)] == ["failed"]
            with connect(pooled, retry_seconds=0) as store, pytest.raises(DatabaseUnavailable):
                store.create_schema()
            with administered(url) as connection:
                assert "model_factory" not in sa.inspect(connection).get_schema_names()
            return
        with connect(pooled) as store:
            store.create_schema()
            store.add_model("churn", TEXT)
            session_id = run(store)
            seen = content(store, session_id)
        lines = {line.check: line.status for line in doctor(pooled)}
        with administered(pooled) as connection:  # what others get has the database's defaults
            assert connection.exec_driver_sql("SHOW extra_float_digits").scalar() == "-15"
    with connect(url) as store:
        assert content(store, session_id) == seen == postgres_place.reference
    assert lines == dict.fromkeys(["database", "schema", "rights"], "ok")


@pytest.mark.xdist_group("settings_mysql")
def test_names_in_lower_case(mysql_place: Place, mysql_class: type[Server]) -> None:
    with mysql_class.start(["--lower-case-table-names=1"]) as server:
        with administered(server.admin_url) as connection:
            connection.exec_driver_sql("CREATE DATABASE Model_Factory")
        url = sa.make_url(server.admin_url).set(database="Model_Factory")
        text = url.render_as_string(hide_password=False)
        for _ in range(2):  # the second time, it has to find what it made
            with connect(text, prefix="team_") as store:
                store.create_schema()
                store.add_model("churn", TEXT)
                assert content(store, run(store)) == mysql_place.reference


def test_the_tables_of_the_docs() -> None:
    page = Path(__file__).parents[2] / "docs" / "databases.md"
    text = page.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([\w, ]+) \| `(\w+)` \| (.+) \| (the same|refused) \|(.*)\|$", text, re.M
    )
    assert [
        Case(database, setting, value.strip("'"), outcome, said.strip())
        for database, setting, values, outcome, said in rows
        for value in re.findall(r"`([^`]*)`", values)
    ] == CASES
    assert dict(re.findall(r"^\| `pool_mode = (\w+)` \| (.+) \|$", text, re.M)) == POOLERS
