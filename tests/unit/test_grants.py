"""Real users of each role, on real servers: what each may do, and what the database refuses."""

# ruff: noqa: S608 - the statements are the test's own

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from sklearn.dummy import DummyClassifier

import mfprefect
from mfprefect import (
    AlreadyPromoted,
    PermissionDenied,
    SchemaOutdated,
    SealBroken,
    Store,
    UnknownModel,
    UnknownSession,
)
from mfprefect import grants as rights
from mfprefect.cli import cli
from mfprefect.cli.commands.doctor import database as doctor_database
from mfprefect.cli.commands.grants import ROLES
from mfprefect.console.api import api_app
from mfprefect.lifecycle.hyperparameters import record_hyperparameters
from mfprefect.migrations import REVISIONS, VERSION_TABLE
from mfprefect.provenance import capture, environment
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.schema import Schema
from mfprefect.store.sessions.opening import SessionRequest, open_session
from mfprefect.testing.contract.helpers import fill, rows
from mfprefect_dev.apikit import mounted, serving
from mfprefect_dev.servers import Server

SERVERS = ("postgres", "mysql", "mysql9")


@dataclass
class Team:
    """A database with a user of each role."""

    server: Server
    url: str
    urls: dict[str, str]
    ended: str
    """A session that the writer ran."""

    def store(self, role: str) -> Store:
        return mfprefect.connect(self.urls[role], retry_seconds=5, heartbeat_seconds=600)

    def sql(self, role: str, statement: str) -> None:
        """Execute and commit one statement as a user would, without the library."""
        engine = sa.create_engine(self.urls[role], poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)

    @property
    def admin_url(self) -> str:
        """The admin may grant and revoke; on MariaDB, root does."""
        return self.urls["admin"] if self.server.backend == "postgres" else self.url

    def scored(self) -> str:
        """Return the newest published scoring session."""
        with self.store("auditor") as store:
            return str(store.sessions("churn", "succeeded", purpose="score")["session_id"][0])

    def table(self, name: str) -> str:
        return f"model_factory.{name}" if self.server.backend == "postgres" else name


def grants(url: str, *options: str) -> str:
    result = CliRunner().invoke(cli, ["grants", "--url", url, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def run_script(url: str, script: str) -> None:
    """Run a script as psql or the mariadb client would."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    driver = engine.raw_connection()
    try:
        if engine.dialect.name == "postgresql":
            driver.cursor().execute(script)
            return
        delimiter, statement = ";", ""
        for line in script.splitlines():
            if line.startswith("DELIMITER "):
                delimiter = line.split()[1]
                continue
            statement += line + "\n"
            if statement.strip().endswith(delimiter):
                driver.cursor().execute(statement.strip().removesuffix(delimiter))
                statement = ""
        assert not statement
    finally:
        driver.close()


@pytest.fixture(scope="module", params=SERVERS)
def database_server(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(scope="module")
def team(database_server: Server) -> Iterator[Team]:
    url = database_server.new_database()
    with mfprefect.connect(url) as store:
        store.create_schema()
    names = {role: f"mfp_{role}_{secrets.token_hex(3)}" for role in ROLES}
    create_users(url, names.values())
    for role in ("admin", "writer", "reader", "auditor", "admin"):  # repeated: harmless
        run_script(url, grants(url, "--role", role, "--user", names[role]))
    roles = Team(database_server, url, urls_of(url, names), "")
    with roles.store("writer") as store:
        roles.ended = run(store)
    yield roles
    database_server.drop_database(url)
    drop_users(database_server, names.values())


def create_users(url: str, names: Iterable[str]) -> None:
    postgres = sa.make_url(url).get_backend_name() == "postgresql"
    create = (
        "CREATE ROLE {} LOGIN PASSWORD 'pw'" if postgres else "CREATE USER {} IDENTIFIED BY 'pw'"
    )
    run_script(url, "".join(f"{create.format(name)};\n" for name in names))


def drop_users(server: Server, names: Iterable[str]) -> None:
    run_script(server.admin_url, "".join(f"DROP USER {name};\n" for name in names))


def urls_of(url: str, names: Mapping[str, str]) -> dict[str, str]:
    parsed = sa.make_url(url)
    return {
        role: parsed.set(username=name, password="pw").render_as_string(hide_password=False)
        for role, name in names.items()
    }


def run(store: Store) -> str:
    """Train, promote and score as the flows do; return the training session."""
    store.add_model("churn", "who leaves", owner="team")
    store.add_model("churn", "who leaves us", owner="team")
    with store.session("churn", purpose="train", params={"depth": 3}) as training:
        fill(training)
    store.promote("churn", training.session_id, reason="good", override="no gates")
    with store.session("churn", purpose="score", parent=training.session_id) as scoring:
        assert store.load_model(training.session_id) == b"a model of another language"
        scoring.write_scores(pd.DataFrame({"id": list("abc"), "score": [0.1, 0.2, 0.3]}), "id")
    return training.session_id


def test_a_writer_delivers_from_the_spool_what_was_given_up_meanwhile(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFPREFECT_SPOOL", str(tmp_path))
    with team.store("writer") as store:
        session = store.session("churn", purpose="score")
        session._destination._fail_over(mfprefect.DatabaseUnavailable("away"))
        fill(session)
        given_up = "status = 'crashed', failure_kind = 'Crashed', ended_at = heartbeat_at"
        condition = f"session_no = {session.session_no}"
        team.sql("writer", f"UPDATE {team.table('sessions')} SET {given_up} WHERE {condition}")
        session.close()
        assert session.status == "succeeded"
        assert len(store.scores(session.session_id)) == 2


def retried(store: Store) -> str:
    """Return a session whose first attempt failed."""
    database, run_id = store.database, secrets.token_hex(8)

    def attempt(count: str) -> mfprefect.Session:
        run = FlowRun(run_id, count, None)
        facts = ("churn", "score", "{}", None, None)
        request = SessionRequest(*facts, capture(), environment(), run)
        return mfprefect.Session(database, open_session(database, request))

    session = attempt("1")
    fill(session)
    session.log_params({"C": 0.5})
    session.fail(OSError("link down"))
    again = attempt("2")
    assert (again.session_id, again.attempt) == (session.session_id, 2)
    fill(again)  # replaces what the first attempt wrote
    again.close()
    return again.session_id


def test_a_writer_runs_fails_resumes_and_reconciles(team: Team) -> None:
    with team.store("writer") as store:
        database, name = store.database, retried(store)
        assert len(store.scores(name)) == 2
        assert store.attempts(name)["status"].tolist() == ["failed", "succeeded"]
        lost = store.session("churn")
        lost.detach_process()
        store.end_flow_run("none", "CRASHED")
        s = database.schema.sessions
        gone = s.update().where(s.c.session_id == lost.session_id)
        database.write_transaction(
            lambda c, _: c.execute(gone, {"process_id": 0, "heartbeat_at": LONG_AGO})
        )
        assert list(store.reconcile()["verdict"]) == ["crashed"]
        store.create_schema()  # nothing to do, and so nothing that it may not


LONG_AGO = pd.Timestamp("2026-01-01", tz="UTC").to_pydatetime()

FORBIDDEN = (
    "UPDATE {sessions} SET status = 'failed' WHERE session_no = {no}",
    "UPDATE {sessions} SET status = 'running' WHERE session_no = {no}",
    "UPDATE {sessions} SET published_at = NULL WHERE session_no = {no}",
    "UPDATE {sessions} SET params = 'x' WHERE session_no = {no}",
    "UPDATE {sessions} SET session_no = 99 WHERE session_no = {no}",
    "DELETE FROM {sessions} WHERE session_no = {no}",
    "UPDATE {metrics} SET metric_value = 1 WHERE session_no = {no}",
    "DELETE FROM {metrics} WHERE session_no = {no}",
    "INSERT INTO {metrics} VALUES ({no}, 'auc2', '', 1, 1)",
    "DELETE FROM {scores} WHERE session_no = {no}",
    "UPDATE {scores} SET score = 1 WHERE session_no = {no}",
    "DELETE FROM {score_parts} WHERE session_no = {no}",
    "UPDATE {score_parts} SET attempt = 7 WHERE session_no = {no}",
    "UPDATE {score_parts} SET kept_by = 7 WHERE session_no = {no}",
    "UPDATE {sessions} SET git_commit = 'x' WHERE session_no = {no}",
    "DELETE FROM {session_attempts}",
    "UPDATE {session_attempts} SET git_commit = 'x'",
    "INSERT INTO {session_attempts} (session_no, attempt, status, host, process_id) "
    "VALUES ({no}, 9, 'failed', 'x', 1)",
    "DELETE FROM {artifacts} WHERE session_no = {no}",
    "DELETE FROM {artifact_chunks} WHERE session_no = {no}",
    "INSERT INTO {session_metadata} VALUES ({no}, 'a', 'b', 'c')",
    "DELETE FROM {gate_results} WHERE session_no = {no}",
    "UPDATE {gate_results} SET verdict = 'passed'",
    "INSERT INTO {part_inputs} VALUES ({no}, 1, '{{}}')",
    "INSERT INTO {session_params} VALUES ({no}, 'a', 'number', 1, NULL, NULL)",
    "UPDATE {session_params} SET number_value = 7",
    "DELETE FROM {session_params} WHERE session_no = {no}",
    "DELETE FROM {metric_steps} WHERE session_no = {no}",
    "UPDATE {metric_steps} SET step_value = 7",
    "DELETE FROM {api_tokens}",
    "UPDATE {sessions} SET deletion = 'session' WHERE session_no = {no}",
    "DELETE FROM {audit_events}",
    "UPDATE {audit_events} SET actor = 'nobody'",
    "DELETE FROM {model_stages}",
    "DELETE FROM {models}",
    "UPDATE {models} SET model_id = 'other'",
    "DELETE FROM {notifications}",
    "INSERT INTO {model_thresholds} SELECT * FROM {model_thresholds}",
    "DROP VIEW {published_scores}",
    "DROP TABLE {metrics}",
    "CREATE TABLE {of_my_own} (a int)",
    "ALTER TABLE {metrics} ADD COLUMN of_my_own int",
    "UPDATE {mfprefect_version} SET version_num = '0001'",
)


def test_a_training_does_not_need_a_right_that_is_new(team: Team) -> None:
    name = sa.make_url(team.urls["writer"]).username
    user = name if team.server.backend == "postgres" else f"'{name}'@'%'"
    right = f"UPDATE (params) ON {team.table('sessions')}"

    class Churn(mfprefect.Model):
        model_id, entity_id = "churn", "id"

    run_script(team.url, f"REVOKE {right} FROM {user};\n")
    try:
        with team.store("writer") as store, store.session("churn", "train") as session:
            with pytest.raises(PermissionDenied):
                session.log_params({"C": 1.0})
            record_hyperparameters(session, Churn, DummyClassifier(), (2, 1))
    finally:
        run_script(team.url, f"GRANT {right} TO {user};\n")
    with team.store("auditor") as store:
        groups = set(store.metadata(session.session_id)["meta_group"])
        assert {"estimator", "split"} <= groups
        assert store.show(session.session_id)["status"].tolist() == ["succeeded"]


def test_the_database_refuses_a_writer(team: Team) -> None:
    done = []
    with team.store("writer") as store:
        retried(store)
    with team.store("auditor") as store:
        number = int(store.show(team.ended)["session_no"][0])
        names = [*store.database.schema.tables, "published_scores", "of_my_own"]
        tables = {name: team.table(name) for name in (*names, "mfprefect_version")}
        before = contents(store)
        for statement in FORBIDDEN:
            try:
                team.sql("writer", statement.format(no=number, **tables))
            except sa.exc.DBAPIError as exc:
                if store.database.backend.classify(exc) is not PermissionDenied:
                    done.append((statement, str(exc)))
            else:
                done.append((statement, "was done"))
        assert done == []
        assert contents(store) == before
    # What runs need, they may.
    for column in ("last_exported_at = NULL", "heartbeat_at = heartbeat_at"):
        team.sql("writer", f"UPDATE {tables['sessions']} SET {column} WHERE session_no = {number}")


def filled(store: Store) -> mfprefect.Session:
    session = store.session("churn", purpose="score")
    fill(session)
    session.flush()
    return session


CHANGES = (
    "DELETE FROM {metrics} WHERE session_no = {no}",
    "INSERT INTO {metrics} VALUES ({no}, 'auc2', '', 1, 1)",
    "DELETE FROM {artifact_chunks} WHERE session_no = {no}",
    "UPDATE {score_parts} SET kept_by = 7 WHERE session_no = {no}",
    "DELETE FROM {scores} WHERE session_no = {no}",
)


def test_a_transaction_that_began_before_the_end_changes_nothing_after_it(team: Team) -> None:
    engine = sa.create_engine(
        team.urls["writer"], isolation_level="REPEATABLE READ", poolclass=sa.NullPool
    )
    with team.store("writer") as store, contextlib.ExitStack() as stack:
        session = filled(store)
        tables = {name: team.table(name) for name in store.database.schema.tables}
        select = f"SELECT status FROM {tables['sessions']} WHERE session_no = {session.session_no}"
        older = [stack.enter_context(engine.connect()) for _ in CHANGES]
        assert {old.exec_driver_sql(select).scalar() for old in older} == {"running"}
        session.close()
        for old, change in zip(older, CHANGES, strict=True):
            assert old.exec_driver_sql(select).scalar() == "running"  # it still sees no end
            with pytest.raises(sa.exc.DBAPIError):
                old.exec_driver_sql(change.format(no=session.session_no, **tables))
    with team.store("auditor") as store:
        assert store.verify(session_id=session.session_id).problems == []


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_an_end_waits_for_changes_that_are_not_committed(team: Team, level: Any) -> None:
    engine = sa.create_engine(team.urls["writer"], isolation_level=level, poolclass=sa.NullPool)
    with team.store("writer") as store, engine.connect() as other:
        session = filled(store)
        number = session.session_no
        other.exec_driver_sql(f"DELETE FROM {team.table('metrics')} WHERE session_no = {number}")
        closing = threading.Thread(target=session.close)
        closing.start()
        closing.join(0.5)
        assert closing.is_alive()
        other.rollback()
        closing.join()
        assert session.status == "succeeded"
        assert not store.metrics(session.session_id).empty
        assert store.verify(session_id=session.session_id).problems == []


@pytest.mark.parametrize("held", ["row of the session", "row of its metrics"])
def test_a_session_that_a_transaction_holds_keeps_no_other_from_opening(
    team: Team, held: str
) -> None:
    engine = sa.create_engine(team.urls["writer"], poolclass=sa.NullPool)
    with team.store("writer") as store, engine.connect() as other:
        lost = filled(store)
        lost.detach_process()
        where = f"WHERE session_no = {lost.session_no}"
        silent = "process_id = 0, heartbeat_at = '2026-01-01'"
        team.sql("writer", f"UPDATE {team.table('sessions')} SET {silent} {where}")
        statement = f"DELETE FROM {team.table('metrics')}"
        if held == "row of the session":  # as a writer that stopped while it closes it
            statement = f"UPDATE {team.table('sessions')} SET suspected_at = NULL"
        other.exec_driver_sql(f"{statement} {where}")
        began = time.monotonic()
        with store.session("churn"):
            pass
        # MariaDB would wait for 50 seconds, PostgreSQL for ever.
        assert time.monotonic() - began < 40
        assert store.show(lost.session_id)["status"][0] == "running"
        other.rollback()
        assert store.reconcile()["verdict"].tolist() == ["crashed"]


# Status, failure_kind, whether it is of a flow run and sealed; attempts more, whether it may.
REOPENINGS: tuple[tuple[str, str | None, bool, bool, int, bool], ...] = (
    ("cancelled", "Cancelled", False, True, 0, False),
    ("cancelled", "Cancelled", False, True, 1, False),
    ("cancelled", "Cancelled", True, True, 0, False),
    ("cancelled", "Cancelled", True, True, 1, True),
    ("cancelled", "Cancelled", True, False, 0, True),  # by reconcile of an earlier version
    ("cancelled", "Cancelled", False, False, 0, False),
    ("cancelled", "FlowRunCancelled", True, False, 0, True),
    ("crashed", "Crashed", False, False, 0, True),
    ("crashed", "Crashed", False, False, 1, False),
    ("crashed", "Crashed", False, True, 0, False),
    ("failed", "ValueError", False, True, 0, False),
    ("failed", "ValueError", True, True, 1, True),
    ("failed", "ValueError", True, True, 2, False),
    ("succeeded", None, True, True, 1, False),
)


def test_a_session_is_reopened_by_its_flow_run_or_where_nobody_sealed_it(team: Team) -> None:
    with team.store("writer") as store, team.store("admin") as admin:
        s = store.database.schema.sessions

        def execute(of: Store, statement: Any) -> None:
            of.database.write_transaction(lambda connection, _: connection.execute(statement))

        for status, kind, of_flow, sealed, more, may in REOPENINGS:
            run = FlowRun(secrets.token_hex(8), "1", None) if of_flow else None
            facts = ("churn", "score", "{}", None, None)
            request = SessionRequest(*facts, capture(), environment(), run)
            one = s.c.session_no == open_session(store.database, request).session_no
            ended = {"status": status, "failure_kind": kind, "seal": "0" * 64 if sealed else None}
            execute(store, s.update().where(one).values(ended))
            again = s.update().where(one).values(status="running", attempt=1 + more, seal=None)
            if may:
                execute(store, again)
            else:
                with pytest.raises(PermissionDenied):
                    execute(store, again)
            execute(admin, s.delete().where(one))


def test_scores_that_a_writer_slips_into_an_ended_session_are_found(team: Team) -> None:
    """The database lets them in, lest each row that is loaded costs more; the seals do not."""
    with team.store("auditor") as store:
        assert store.verify(model_id="churn").problems == []
        newest = store.sessions("churn", status="succeeded").query("purpose == 'score'").iloc[0]
        number = int(store.show(str(newest["session_id"]))["session_no"].iloc[0])
        row = f"({number}, 'slipped in', 0.5, NULL, 1)"
        columns = "session_no, entity_id, score, score_class, part_no"
        team.sql("writer", f"INSERT INTO {team.table('scores')} ({columns}) VALUES {row}")
        try:
            with pytest.raises(SealBroken) as broken:
                store.verify(model_id="churn")
            (problem,) = broken.value.problems
            assert newest["session_id"] in str(problem)
            assert "scores" in str(problem)
            env = {"MFPREFECT_URL": team.urls["auditor"]}
            result = CliRunner().invoke(cli, ["audit", "verify", "--model", "churn"], env=env)
            assert (result.exit_code, str(newest["session_id"]) in result.output) == (1, True)
        finally:
            condition = "entity_id = 'slipped in'"
            team.sql("admin", f"DELETE FROM {team.table('scores')} WHERE {condition}")
        assert store.verify(model_id="churn").problems == []


def contents(store: Store) -> list[object]:
    look = store.database.fetch_all
    tables = store.database.schema.tables
    return [
        [tuple(row) for row in look(sa.select(*t.c).order_by(*t.primary_key))]
        for t in tables.values()
    ]


def test_a_writer_forges_no_session(team: Team) -> None:
    with team.store("writer") as store:
        s = store.database.schema.sessions
        row = dict(store.database.fetch_all(sa.select(*s.c).limit(1))[0]._mapping)
        forged = {**row, "session_no": 999, "session_id": "forged", "status": "succeeded"}
        with pytest.raises(PermissionDenied):
            store.database.write_transaction(lambda c, _: c.execute(s.insert(), forged))


def test_a_writer_prunes_and_deletes_nothing(team: Team) -> None:
    with team.store("writer") as store:
        run(store)  # of two scoring sessions one may go
        before = rows(store)
        for attempt in (
            lambda: store.prune(keep_days=1e-9, keep_sessions=1),
            lambda: store.delete_session(newest(store)),
            lambda: store.delete_scores(newest(store)),
            lambda: store.set_threshold("churn", 0.5, "probability"),
        ):
            with pytest.raises(PermissionDenied, match="mfprefect grants"):
                attempt()
        assert rows(store) == before
    result = CliRunner().invoke(
        cli, ["prune", "--yes", "--keep-days", "1e-9", "--url", team.urls["writer"]]
    )
    assert result.exit_code == 1
    assert "belongs to the role admin" in result.stderr


def test_a_writer_makes_no_token(team: Team) -> None:
    with team.store("admin") as store:
        token = store.create_token("nightly", "writer").token
    with team.store("writer") as store:
        for attempt in (
            lambda: store.create_token("me", "admin"),
            lambda: store.revoke_token(token.split("_")[1]),
        ):
            with pytest.raises(PermissionDenied, match="role admin"):
                attempt()
        assert store.token_for(token) is not None
    table = team.table("api_tokens")
    for statement in (
        f"UPDATE {table} SET token_scope = 'admin'",
        f"UPDATE {table} SET revoked_at = NULL",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} SELECT * FROM {table}",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="denied"):
            team.sql("writer", statement)
    for role in ("auditor", "reader"):
        with team.store(role) as store, pytest.raises(PermissionDenied):
            store.create_token("me", "admin")


def test_the_api_needs_the_role_writer_and_no_more(team: Team) -> None:
    with team.store("admin") as store:
        token = store.create_token("nightly", "writer").token
    headers = {"Authorization": f"Bearer {token}"}
    with team.store("writer") as writer, team.store("auditor") as auditor:
        app = mounted(api_app(auditor, writer=writer))
        with serving(app) as url, httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            key = {"Idempotency-Key": "k"}
            body = {"model_id": "churn", "params": {"depth": 6}}
            opened = [client.post("/sessions", json=body, headers=key) for _ in range(2)]
            assert [answer.status_code for answer in opened] == [201, 201], opened[0].text
            path = f"/sessions/{opened[0].json()['session_id']}"
            answers = [
                client.post(f"{path}/log", json={"metrics": {"auc": 0.5}}),
                client.put(f"{path}/artifacts/model", content=b"model"),
                client.post(
                    f"{path}/scores",
                    content="entity_id,score\na,1\n",
                    headers={"Content-Type": "text/csv"},
                ),
                client.post(f"{path}/close", json={}),
                client.get(f"{path}/scores"),
                client.get("/models/churn/latest-scores?entity_id=a"),  # recorded by the writer
            ]
            assert [answer.status_code for answer in answers] == [200] * 6, answers[-1].text
            late = client.post(f"{path}/log", json={"metrics": {"auc": 0.6}})
            assert late.json()["error"] == "SessionClosed"
        auditor.verify()


def newest(store: Store) -> str:
    return str(store.sessions("churn", status="succeeded")["session_id"][0])


def test_an_upgrade_is_the_admins(team: Team) -> None:
    version = team.table("mfprefect_version")
    with team.store("writer") as writer, team.store("admin") as admin:
        constraints = admin.database.read_transaction(
            lambda c: c.exec_driver_sql(f"SELECT version_num FROM {version}").scalar()
        )
        team.sql("admin", f"UPDATE {version} SET version_num = '0001'")
        with pytest.raises(PermissionDenied, match="belongs to the role admin, like migrations"):
            writer.create_schema()
        with pytest.raises(mfprefect.SchemaOutdated):
            writer.session("churn")
        admin.create_schema()
        with admin.session("churn") as session:
            session.log_metrics({"own": 1})
        assert (
            admin.database.read_transaction(
                lambda c: c.exec_driver_sql(f"SELECT version_num FROM {version}").scalar()
            )
            == constraints
        )
    # The views are new ones.
    for role in ("writer", "reader", "auditor"):
        name = sa.make_url(team.urls[role]).username or ""
        run_script(team.url, grants(team.url, "--role", role, "--user", name))


def test_the_admin_upgrades_after_somebody_else_did(team: Team) -> None:
    """On MySQL, somebody with SYSTEM_USER takes the views along until the script runs again."""
    again = f"UPDATE {team.table('mfprefect_version')} SET version_num = '0001'"
    engine = sa.create_engine(team.url, poolclass=sa.NullPool)
    with mfprefect.connect(team.url) as root, engine.begin() as connection:
        connection.exec_driver_sql(again)
        connection.commit()
        root.create_schema()
        dialect: Any = connection.dialect
        oracle = dialect.name == "mysql" and not dialect.is_mariadb
    team.sql("admin", again)
    with team.store("admin") as admin:
        if oracle:
            with pytest.raises(PermissionDenied, match="`mfprefect grants --role admin` prints"):
                admin.create_schema()
        name = sa.make_url(team.urls["admin"]).username or ""
        run_script(team.url, grants(team.url, "--role", "admin", "--user", name))
        admin.create_schema()
    for role in ("writer", "reader", "auditor"):
        name = sa.make_url(team.urls[role]).username or ""
        run_script(team.url, grants(team.url, "--role", role, "--user", name))
    with team.store("reader") as reader:
        assert set(reader.sessions("churn")["status"]) >= {"succeeded"}


def test_an_admin_creates_alone_what_no_dba_may_give_it(database_server: Server) -> None:
    if database_server.backend != "mysql":
        return
    url, name = database_server.new_database(), f"mfp_admin_{secrets.token_hex(3)}"
    create_users(url, [name])
    try:
        lines = grants(url, "--role", "admin", "--user", name).splitlines(keepends=True)
        first = {line for line in lines if line.startswith("GRANT ")}
        run_script(url, "".join(first))
        admin_url = urls_of(url, {"admin": name})["admin"]
        with mfprefect.connect(admin_url) as store:
            store.create_schema()
            run_script(admin_url, "".join(line for line in lines if line not in first))
            run(store)
            assert len(store.latest_scores("churn", "a")) == 1
    finally:
        database_server.drop_database(url)
        drop_users(database_server, [name])


def test_a_reader_sees_the_views_alone(team: Team) -> None:
    with team.store("reader") as store:
        schema = store.database.schema
        for view, select in schema.views().items():
            shown = sa.select(sa.func.count()).select_from(
                sa.table(
                    view,
                    *(sa.column(c.name) for c in select.selected_columns),
                    schema=schema.layout.schema,
                )
            )
            assert store.database.fetch_all(shown)[0][0] > 0, view
        for name in rights.tables(schema):
            if name == schema.name(VERSION_TABLE):
                continue
            with pytest.raises(sa.exc.DBAPIError):
                team.sql("reader", f"SELECT * FROM {team.table(name)}")


def test_a_reader_needs_no_new_version_when_the_schema_gets_one(team: Team) -> None:
    set_revision = f"UPDATE {team.table(VERSION_TABLE)} SET version_num = '{{}}'"
    team.sql("admin", set_revision.format("9999"))
    try:
        with team.store("reader") as reader:
            assert len(reader.metrics(team.ended)) > 1
        for role in ("auditor", "writer"):
            with team.store(role) as store, pytest.raises(SchemaOutdated, match="--upgrade"):
                store.metrics(team.ended)
    finally:
        team.sql("admin", set_revision.format(REVISIONS[-1]))


def visible(frame: pd.DataFrame) -> list[Any]:
    """Return a frame's rows without what no view has."""
    return frame.drop(columns=list(HIDDEN & set(frame.columns))).astype(str).to_dict("records")


HIDDEN = {
    *("session_no", "environment_digest", "process_id", "process_key", "suspected_at"),
    *("attempt_started_at", "git_author"),
    *("description", "entity_type", "owner", "created_at", "max_age_seconds"),
}


def test_a_reader_reads_in_python_what_the_views_show(team: Team) -> None:
    scoring = team.scored()
    reads: dict[str, Callable[[Store], pd.DataFrame]] = {
        "sessions": lambda s: s.sessions("churn", since="1d", sort="ended"),
        "some": lambda s: s.sessions(purpose="train", status="succeeded", limit=1),
        "get_sessions": lambda s: s.get_sessions(team.ended, scoring),
        "models": lambda s: s.models(),
        "metrics": lambda s: s.metrics(team.ended),
        "gates": lambda s: s.gates(team.ended, scoring),
        "scores": lambda s: s.scores(scoring),
        "some scores": lambda s: s.scores(scoring, entity_ids=iter("ac"), at_least=0.2),
        "latest_scores": lambda s: s.latest_scores("churn", "a", "c", "z"),
        "histogram": lambda s: s.score_histogram(scoring, bins=3),
        "quantiles": lambda s: s.score_quantiles(scoring, [0.5, 1]),
        "summary": lambda s: pd.DataFrame([s.score_summary(scoring, distinct=True)]),
        "psi": lambda s: pd.DataFrame([s.score_psi(scoring, scoring, 2)]),
        "production": lambda s: pd.DataFrame([s.production("churn")]),
    }
    with team.store("reader") as reader, team.store("auditor") as auditor:
        for name, read in reads.items():
            assert visible(read(reader)) == visible(read(auditor)), name
        assert reader.sessions()["session_no"].isna().all()
        with pytest.raises(UnknownSession):
            reader.scores("nobody")
        with pytest.raises(UnknownSession):
            reader.metrics("nobody")
        with pytest.raises(UnknownModel):
            reader.production("nobody")


READS_TABLES: dict[str, Callable[[Store, str], object]] = {
    "inputs": lambda s, name: s.inputs(name),
    "metadata": lambda s, name: s.metadata(name),
    "checks": lambda s, name: s.checks(name),
    "input_summary": lambda s, name: s.input_summary(name),
    "drift": lambda s, name: s.drift(name),
    "variable_importance": lambda s, name: s.variable_importance(name),
    "backtests": lambda s, name: s.backtests(name),
    "notifications": lambda s, name: s.notifications(name),
    "artifacts": lambda s, name: s.artifacts(name),
    "files": lambda s, name: s.files(name),
    "trace": lambda s, name: s.trace("churn", "a"),
    "environment": lambda s, name: s.environment(name),
    "curve": lambda s, name: s.curve(name),
    "score_parts": lambda s, name: s.score_parts(name),
    "load_model": lambda s, name: s.load_model(name),
    "latest_training": lambda s, name: s.latest_training("churn"),
    "thresholds": lambda s, name: s.thresholds("churn"),
    "stages": lambda s, name: s.stages("churn"),
    "production then": lambda s, name: s.production("churn", at=LONG_AGO),
    "freshness": lambda s, name: s.freshness(),
    "input_columns": lambda s, name: s.input_columns(),
    "report": lambda s, name: s.report(name),
    "model_report": lambda s, name: s.model_report("churn"),
    "compare_scores": lambda s, name: s.compare_scores(name, name),
    "plan": lambda s, name: planned(s, name),
    "audit_log": lambda s, name: s.audit_log(),
    "audit_head": lambda s, name: s.audit_head(),
    "verify": lambda s, name: s.verify(session_id=name),
    "prune": lambda s, name: s.prune(keep_days=1, dry_run=True),
    "size": lambda s, name: s.size(),
}


def planned(store: Store, name: str) -> None:
    with contextlib.suppress(AlreadyPromoted):  # read far enough to know
        store.plan("churn", name)


def test_what_only_auditors_read_is_not_called_a_right_of_the_admin(team: Team) -> None:
    with team.store("reader") as reader, team.store("auditor") as auditor:
        for name, read in READS_TABLES.items():
            read(auditor, team.ended)
            with pytest.raises(PermissionDenied) as denied:
                read(reader, team.ended)
            said = str(denied.value).split("This user may not read the table")[1]
            assert "belong to the role auditor" in said, name
            assert "`mfprefect models`, `sessions`" in said, name
            assert not re.search("writer|admin", said), name


FOR_READERS: tuple[str, ...] = (
    *("models", "sessions", "sessions churn --purpose train --since 7d --sort ended"),
    *("show {trained}", "show latest:churn", "show production:churn", "show {scored}"),
    *("compare {trained} production:churn", "scores {scored}", "scores latest:churn"),
    *("scores {scored} -o {folder}/scores.csv --force", "scores {scored} --entity a"),
    *("grants --role reader", "spool list", "spool verify"),
)
FOR_AUDITORS: tuple[str, ...] = (
    *("report {trained} -o {folder}/a.html --force", "report churn -o {folder}/b.html --force"),
    *("stages churn", "columns", "threshold churn", "audit log", "audit head", "audit verify"),
    *("prune --dry-run --keep-days 1", "size", "plan churn {trained} --stored"),
    *("trace churn a", "files {trained}"),
)
FOR_WRITERS: tuple[str, ...] = (
    *("promote churn {trained}", "rollback churn", "retire churn", "session open churn"),
    "session open fraud --register",
)
FOR_ADMINS: tuple[str, ...] = (*("threshold churn 0.5", "columns --load {folder}/columns.csv"),)
PRUNE = "prune --yes --keep-days 1e-9"


def test_every_command_works_for_whom_it_is(team: Team, tmp_path: Path) -> None:
    (tmp_path / "columns.csv").write_text("table,column,valid\ncustomers,age,true\n")
    names = {"trained": team.ended, "scored": team.scored(), "folder": tmp_path}

    def run_as(role: str, command: str) -> Result:
        env = {"MFPREFECT_URL": team.urls[role], "MFPREFECT_SPOOL": str(tmp_path / "spool")}
        words = command.format(**names).split()
        return CliRunner().invoke(cli, words, env=env)

    with team.store("writer") as store:  # promoted anew below: not there already
        run(store)
    for role, commands in (("reader", FOR_READERS), ("auditor", (*FOR_READERS, *FOR_AUDITORS))):
        for command in commands:
            done = run_as(role, command)
            assert done.exit_code == 0, (role, command, done.output)
    for role, commands, owner in (
        ("reader", FOR_AUDITORS, "auditor"),
        ("reader", FOR_WRITERS, "writer"),
        ("reader", FOR_ADMINS, "admin"),
        ("auditor", FOR_WRITERS, "writer"),
        ("auditor", FOR_ADMINS, "admin"),
        ("writer", (*FOR_ADMINS, PRUNE), "admin"),
        ("auditor", (PRUNE,), "admin"),
    ):
        for command in commands:
            done = run_as(role, command)
            assert done.exit_code == 1, (role, command, done.output)
            assert f"the role {owner}" in done.stderr, (role, command, done.stderr)
            if owner == "auditor":
                assert not re.search("role (writer|admin)", done.stderr), command
    shown = run_as("reader", "show {trained}")
    said = "not shown to the role reader, but to auditors: checks, environment, score parts,"
    assert said in shown.stderr


def test_the_doctor_finds_readers_healthy(team: Team) -> None:
    said = {}
    for role in ROLES:
        results = list(doctor_database.database(team.urls[role]))
        assert {result.check: result.status for result in results}["schema"] == "ok", role
        said[role] = next((r.status, r.detail) for r in results if r.check == "rights")
    assert said["writer"][0] == said["admin"][0] == "ok"
    assert said["reader"] == (
        "warning",
        "this user reads the views (role reader) and starts no runs",
    )
    assert said["auditor"][0] == "warning"
    assert "role auditor" in said["auditor"][1]


def test_a_reader_by_older_statements_reads_the_views(team: Team) -> None:
    version = team.table(VERSION_TABLE)
    name = sa.make_url(team.urls["reader"]).username or ""
    run_script(team.admin_url, f"REVOKE SELECT ON {version} FROM {name};\n")
    try:
        with team.store("reader") as store:
            assert team.ended in set(store.sessions(limit=None)["session_id"])
        results = {r.check: r.status for r in doctor_database.database(team.urls["reader"])}
        assert (results["schema"], results["rights"]) == ("warning", "warning")
    finally:
        run_script(team.url, grants(team.url, "--role", "reader", "--user", name))


def test_the_script_of_the_admin_takes_nothing_from_others(
    database_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfprefect.store.scores.write.LARGE_PART", 2)
    url = database_server.new_database()
    people = {role: f"mfp_{role}_{secrets.token_hex(3)}" for role in (*ROLES, "owner", "analyst")}
    team = Team(database_server, url, urls_of(url, people), "")
    create_users(url, people.values())
    try:
        grant_database(team, people["owner"])
        with team.store("owner") as store:
            store.create_schema()
            team.ended = run(store)
        for role in ("writer", "reader", "auditor"):
            run_script(team.urls["owner"], grants(url, "--role", role, "--user", people[role]))
        sessions = team.table("sessions")
        run_script(team.urls["owner"], analysts_grant(team, sessions, people["analyst"]))
        everybody_works(team)
        run_script(url, grants(url, "--role", "admin", "--user", people["admin"]))
        everybody_works(team)
        ended = team.scored()
        # What an owner may in addition goes to the new owner: ended sessions are protected.
        with team.store("owner") as store, pytest.raises(PermissionDenied, match="role admin"):
            store.delete_session(ended)
        with team.store("admin") as store:
            store.create_schema()
            store.delete_session(ended)
    finally:
        database_server.drop_database(url)
        drop_users(database_server, people.values())


def grant_database(team: Team, name: str) -> None:
    database = sa.make_url(team.url).database
    postgres = team.server.backend == "postgres"
    what = f"CREATE ON DATABASE {database}" if postgres else f"ALL ON `{database}`.*"
    option = "" if postgres else " WITH GRANT OPTION"
    run_script(team.url, f"GRANT {what} TO {name}{option};\n")


def analysts_grant(team: Team, table: str, name: str) -> str:
    usage = f"GRANT USAGE ON SCHEMA model_factory TO {name};\n"
    select = f"GRANT SELECT ON {table} TO {name};\n"
    return usage + select if team.server.backend == "postgres" else select


def everybody_works(team: Team) -> None:
    for role in ("owner", "writer"):
        with team.store(role) as store:
            name = run(store)
            assert len(store.scores(newest(store))) == 3
            assert not store.metrics(name).empty
    with team.store("reader") as store:
        assert len(store.scores(str(store.sessions(purpose="score")["session_id"][0]))) == 3
    with team.store("auditor") as store:
        assert store.verify().problems == []
    team.sql("analyst", f"SELECT * FROM {team.table('sessions')}")


def test_an_auditor_reads_everything_and_writes_nothing(team: Team) -> None:
    with team.store("auditor") as store:
        assert set(store.sessions("churn")["status"]) >= {"succeeded"}
        assert len(store.scores(team.ended)) == 2
        assert not store.metrics(team.ended).empty
        assert store.load_model(team.ended) == b"a model of another language"
        with pytest.raises(PermissionDenied, match="belongs to the role writer"):
            store.session("churn")
        with pytest.raises(PermissionDenied):
            store.add_model("other")
        for table in rights.tables(store.database.schema):
            with pytest.raises(sa.exc.DBAPIError):
                team.sql("auditor", f"DELETE FROM {team.table(table)}")


def test_an_admin_prunes_large_sessions_that_stay_closed_to_writers(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfprefect.store.scores.write.LARGE_PART", 2)
    ids = []
    for role in ("writer", "admin"):  # the admin's has a table of its own on PostgreSQL
        with team.store(role) as store, store.session("churn", purpose="score") as session:
            session.write_scores(pd.DataFrame({"id": list("ab"), "score": [1.0, 2.0]}), "id")
        ids.append(session.session_id)
        with pytest.raises(sa.exc.DBAPIError, match="ended"):
            scores = team.table("scores")
            team.sql("writer", f"DELETE FROM {scores} WHERE session_no = {session.session_no}")
    with team.store("admin") as store:
        assert [len(store.scores(name)) for name in ids] == [2, 2]
        store.delete_scores(ids[0])
        store.delete_session(ids[1])
        run(store)
        gone = store.prune(keep_days=1e-9, keep_sessions=1)
        assert {"delete", "keep"} <= set(gone["verdict"])
        assert team.ended in set(store.sessions()["session_id"])  # it is in production
        store.rename_model("churn", "leavers")
        store.rename_model("leavers", "churn")


@pytest.mark.parametrize("role", ROLES)
def test_sqlite_says_what_there_is(role: str) -> None:
    assert "permissions of the" in grants("sqlite:///x.db", "--role", role)


def test_grants_connects_to_nothing_shows_no_password_and_quotes_names() -> None:
    postgres = "postgresql://dba:hidden-word@nowhere.invalid/analytics"
    name = 'O\'Brien "x" $$; DROP TABLE t; --'
    script = grants(postgres, "--role", "admin", "--user", name)
    assert "hidden-word" not in script
    assert '"O\'Brien ""x"" $$; DROP TABLE t; --"' in script
    assert "'O''Brien \"x\" $$; DROP TABLE t; --'" not in script.split("DO $")[0]
    mysql = "mysql://dba:hidden-word@nowhere.invalid/my_db"
    script = grants(mysql, "--role", "reader", "--user", "o`b@10.0.%")
    assert "GRANT SELECT ON `my_db`.`published_scores` TO `o``b`@`10.0.%`;" in script
    document = json.loads(grants(mysql, "--role", "writer", "--json"))
    assert document["user"] == "mfprefect_writer"
    result = CliRunner().invoke(cli, ["grants", "--role", "reader", "--user", "a\x1b[31m"])
    assert (result.exit_code, "\x1b" in result.output) == (1, False)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "teradatasql"])
@pytest.mark.parametrize("role", ROLES)
def test_comments_hold_no_semicolon_at_which_a_tool_would_cut(scheme: str, role: str) -> None:
    script = grants(f"{scheme}://dba:word@nowhere.invalid/analytics", "--role", role)
    assert [x for x in script.splitlines() if x.startswith("--") and ";" in x] == []


def test_every_table_has_its_rights() -> None:
    schema = Schema()
    assert set(ROLES) == set(rights.ROLES)
    columns = {name: {c.name for c in table.c} for name, table in schema.tables.items()}
    for right in rights.rights(schema, "writer"):
        assert set(right.columns) <= columns.get(right.table, set()), right
    closed = {name for name, _, _ in rights.guarded(schema)}
    assert closed == {t.name for t in schema.session_tables()} - {"notifications"}


def test_an_auditor_verifies_what_a_writer_sealed(team: Team) -> None:
    with team.store("auditor") as store:
        report = store.verify()
        assert report.sessions > 1
        assert store.audit_log(action="promote")["actor"].tolist()
        assert store.audit_head()["seals"]
    with team.store("writer") as writer, pytest.raises(PermissionDenied):
        seals = writer.database.schema.seals
        writer.database.write_transaction(
            lambda c, _: c.execute(seals.update().values(seal="0" * 64))
        )


def test_a_writer_adds_no_rows_to_a_session_that_does_not_exist(team: Team) -> None:
    """Not even with foreign keys turned off, as any user of MySQL can for a connection."""
    engine = sa.create_engine(team.urls["writer"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        if team.server.backend == "mysql":
            connection.exec_driver_sql("SET foreign_key_checks = 0")
        with pytest.raises(sa.exc.DBAPIError):
            metrics = team.table("metrics")
            connection.exec_driver_sql(f"INSERT INTO {metrics} VALUES (99999, 'auc', '', 1, 1)")
        connection.rollback()
    with team.store("auditor") as store:
        number = int(store.sessions(limit=1)["session_no"][0]) + 1
    scores = f"{team.table('scores')} (session_no, entity_id, score, part_no)"
    team.sql("writer", f"INSERT INTO {scores} VALUES ({number}, 'ghost', 0.5, 1)")
    with team.store("writer") as store, store.session("churn") as session:
        pass
    with team.store("auditor") as store:
        assert session.session_no == number
        assert store.scores(session.session_id).empty
        (event,) = store.audit_log(action="remove_orphans").to_dict("records")
        assert event["detail"]["tables"]["scores"]["rows"] == 1
