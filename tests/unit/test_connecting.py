"""What a person sees who gets the connection wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect.migrations import REVISIONS
from mfprefect_dev.servers import Server

SECRET = "s3cr3t-pässword"


def text_of(error: BaseException) -> str:
    """Return everything that a traceback would show."""
    import traceback

    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "postgresql//host/db", f"postgresql://u:{SECRET}@host:port/db", "://x", "/a"],
)
def test_a_malformed_url(url: str) -> None:
    with pytest.raises(mfprefect.ConfigurationError, match="MFPREFECT_URL") as refused:
        mfprefect.connect(url)
    assert SECRET not in text_of(refused.value)


def test_an_unknown_backend_names_the_installed_ones() -> None:
    with pytest.raises(mfprefect.BackendNotFound) as refused:
        mfprefect.connect("oracle://user:pw@host/db")
    message = str(refused.value)
    for part in ("oracle", "sqlite", "postgres", "mysql", "pip install 'mfprefect["):
        assert part in message


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        ("postgresql://u:p@localhost/db", "psycopg2", "mfprefect[postgres]"),
        ("mysql://u:p@localhost/db", "pymysql", "mfprefect[mysql]"),
    ],
)
def test_a_missing_driver_names_the_extra(url: str, driver: str, extra: str) -> None:
    script = (
        f"import sys; sys.modules[{driver!r}] = None; import mfprefect; mfprefect.connect({url!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "BackendNotFound" in last
    assert f"pip install '{extra}'" in last


def test_a_mysql_url_without_database() -> None:
    with pytest.raises(mfprefect.ConfigurationError, match="must name the database"):
        mfprefect.connect("mysql://user:pw@host")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "mysql", "mariadb"])
def test_an_unreachable_server(scheme: str, unused_port: int) -> None:
    url = f"{scheme}://someone:{SECRET}@127.0.0.1:{unused_port}/db"
    with (
        mfprefect.connect(url, retry_seconds=0) as store,
        pytest.raises(mfprefect.DatabaseUnavailable) as refused,
    ):
        store.sessions()
    assert f"127.0.0.1:{unused_port}" in str(refused.value)
    assert "server runs" in str(refused.value)
    assert SECRET not in text_of(refused.value)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_wrong_password(database_server: Server) -> None:
    url = sa.make_url(database_server.new_database()).set(password=SECRET)
    with (
        mfprefect.connect(url.render_as_string(hide_password=False)) as store,
        pytest.raises(mfprefect.DatabaseError, match="password") as refused,
    ):
        store.create_schema()
    assert not refused.value.transient
    assert SECRET not in text_of(refused.value)


def test_a_missing_database(database_server: Server) -> None:
    url = sa.make_url(database_server.new_database()).set(database="nowhere")
    with (
        mfprefect.connect(url.render_as_string(hide_password=False)) as store,
        pytest.raises(mfprefect.DatabaseError, match="nowhere") as refused,
    ):
        store.create_schema()
    assert not refused.value.transient


def test_missing_rights(database_server: Server) -> None:
    """A user who may log in and look, and nothing else."""
    url = sa.make_url(database_server.new_database())
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    quoted = admin.dialect.identifier_preparer.quote(url.database or "")
    with mfprefect.connect(url.render_as_string(hide_password=False)) as store:
        store.create_schema()
        store.add_model("churn")
    name = f"mf_reader_{os.getpid()}"
    if database_server.backend == "postgres":
        grants = [
            f"CREATE ROLE {name} LOGIN PASSWORD 'look'",
            f"GRANT USAGE ON SCHEMA model_factory TO {name}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA model_factory TO {name}",
        ]
        drops = [f"DROP OWNED BY {name}", f"DROP ROLE {name}"]
    else:
        grants = [
            f"CREATE USER {name} IDENTIFIED BY 'look'",
            f"GRANT SELECT ON {quoted}.* TO {name}",
        ]
        drops = [f"DROP USER {name}"]
    with admin.connect() as connection:
        for statement in grants:
            connection.exec_driver_sql(statement)
        try:
            reader = url.set(username=name, password="look").render_as_string(hide_password=False)
            with mfprefect.connect(reader, retry_seconds=0) as store:
                assert list(store.models()["model_id"]) == ["churn"]
                with pytest.raises(mfprefect.DatabaseError, match="denied") as refused:
                    store.session("churn")
                assert not refused.value.transient
                assert len(store.sessions()) == 0
        finally:
            for statement in drops:
                connection.exec_driver_sql(statement)
    admin.dispose()


def test_a_sqlite_folder_that_is_not_there(tmp_path: Path) -> None:
    with (
        mfprefect.connect(f"sqlite:///{tmp_path}/nowhere/store.db") as store,
        pytest.raises(mfprefect.DatabaseError, match="unable to open database file"),
    ):
        store.create_schema()


def test_an_older_schema_names_its_cure(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later version of mfprefect would see what this one made."""
    from mfprefect.store.database import migrate

    with mfprefect.connect(database_url) as store:
        store.create_schema()
    monkeypatch.setattr(migrate, "expected_revision", lambda: "9999")
    with (
        mfprefect.connect(database_url) as store,
        pytest.raises(
            mfprefect.SchemaOutdated, match=r"older than the 9999.*`mfprefect init`"
        ) as old,
    ):
        store.sessions()
    assert (old.value.found, old.value.expected) == (REVISIONS[-1], "9999")


@pytest.mark.parametrize("url", ["sqlite://file.db", "sqlite://user@/x"])
def test_a_sqlite_url_with_too_few_slashes(url: str) -> None:
    with pytest.raises(mfprefect.ConfigurationError, match="sqlite:///"):
        mfprefect.connect(url)


def test_reading_makes_no_empty_file(tmp_path: Path) -> None:
    with (
        mfprefect.connect(f"sqlite:///{tmp_path / 'none.db'}") as store,
        pytest.raises(mfprefect.SchemaOutdated, match="mfprefect init"),
    ):
        store.sessions()
    assert list(tmp_path.iterdir()) == []
