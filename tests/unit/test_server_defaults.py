"""Defaults of a server, a database or a role that stand in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import ConfigurationError, DatabaseError
from mfprefect.cli import cli
from mfprefect.inputs.reader import Reader
from mfprefect_dev.servers import Server

BENDING = {
    "extra_float_digits": "-15",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
}


def bent(server: Server, *names: str) -> str:
    url = sa.make_url(server.new_database())
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for name in names:
            value = BENDING[name] if "," in BENDING[name] else f"'{BENDING[name]}'"
            connection.exec_driver_sql(f"ALTER DATABASE {url.database} SET {name} = {value}")
    admin.dispose()
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize("level", [None, "SERIALIZABLE", "AUTOCOMMIT"])
def test_a_commit_is_a_commit_at_every_isolation_level(
    postgres_server: Server, level: str | None
) -> None:
    with mfprefect.connect(postgres_server.new_database(), spool="off") as store:
        engine = store.database.engine
        other = engine.execution_options(isolation_level=level) if level else engine
        with other.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x int)")
            connection.commit()
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            connection.rollback()
        with engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT x FROM t").all()
            connection.exec_driver_sql("INSERT INTO t VALUES (2)")
        assert len(rows) == (level == "AUTOCOMMIT")
        with engine.connect() as connection:
            assert (2,) in connection.exec_driver_sql("SELECT x FROM t").all()


def test_a_source_is_read_exactly(postgres_server: Server) -> None:
    url = bent(postgres_server, *BENDING)
    with mfprefect.connect("sqlite://", sources={"dwh": {"url": url}}, spool="off") as store:
        query = "SELECT 0.1::float8 + 0.2 AS x, DATE '2026-02-01' AS day, 'a\\b' AS text"
        frame = Reader(store.database.settings).read(query.replace("'a", "E'a\\"), source="dwh")
    assert frame["x"].tolist() == [0.1 + 0.2]
    assert [str(day) for day in frame["day"]] == ["2026-02-01"]
    assert frame["text"].tolist() == ["a\\b"]


@pytest.mark.parametrize(
    "option",
    [
        "sslmode=verify_full",
        "unknown=1",
        "connect_timeout=soon",
        "keepalives=yes",
        "target_session_attrs=nonsense",
        "channel_binding=nonsense",
        "gssencmode=nonsense",
        "ssl_min_protocol_version=9",
        "options=-c%20nonsense%3D1",
        "service=nonsense",
    ],
)
def test_a_wrong_option_of_postgres_is_no_outage(
    postgres_server: Server, option: str, tmp_path: Path
) -> None:
    url = sa.make_url(postgres_server.new_database()).update_query_string(option)
    text = url.render_as_string(hide_password=False)
    store = mfprefect.connect(text, retry_seconds=30, spool=str(tmp_path))
    with pytest.raises(
        ConfigurationError, match="an option of the database URL is wrong"
    ) as caught:
        store.models()
    assert option.partition("=")[0] in str(caught.value) or "nonsense" in str(caught.value)
    assert str(url.password) not in str(caught.value)
    with pytest.raises(ConfigurationError), store.session("churn"):
        pass
    assert not list(tmp_path.rglob("head.json"))


@pytest.mark.parametrize("option", ["unknown=1", "compress=1", "read_timeout=soon", "ssl_ca=no"])
def test_a_wrong_option_of_mysql_is_no_outage(mysql_server: Server, option: str) -> None:
    url = sa.make_url(mysql_server.new_database()).update_query_string(option)
    text = url.render_as_string(hide_password=False)
    with pytest.raises(ConfigurationError, match="database URL is wrong"):
        mfprefect.connect(text, retry_seconds=30, spool="off").models()


# MySQL and MariaDB


@pytest.fixture(scope="module")
def limited_server(mysql_class: type[Server]) -> Iterator[Server]:
    """A server of small packets that logs statements."""
    arguments = ["--log-bin", "--binlog-format=STATEMENT", "--server-id=1"]
    with mysql_class.start([*arguments, "--max-allowed-packet=1M"]) as server:
        yield server


def test_mysql_names_its_variables_in_the_way(
    limited_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = limited_server.new_database()
    lines = json.loads(CliRunner().invoke(cli, ["doctor", "--url", url, "--json"]).stdout)
    cures = {line["detail"].split()[0]: line["cure"] for line in lines if line["check"] == "server"}
    assert set(cures) == {"max_allowed_packet", "binlog_format"}
    assert "SET GLOBAL binlog_format = ROW" in cures["binlog_format"]
    assert "SET GLOBAL max_allowed_packet" in cures["max_allowed_packet"]
    with mfprefect.connect(url, retry_seconds=1, spool="off") as store:
        store.database.engine.dispose()
        with pytest.raises(DatabaseError, match="SET GLOBAL binlog_format = ROW") as caught:
            store.create_schema()
            store.add_model("churn")
        assert "password" not in str(caught.value)
    admin = sa.create_engine(limited_server.admin_url)
    with admin.connect() as connection:
        connection.exec_driver_sql("SET GLOBAL binlog_format = ROW")
    admin.dispose()
    with mfprefect.connect(url, retry_seconds=1, spool="off") as store:
        store.create_schema()
        store.add_model("churn")
        with pytest.raises(DatabaseError, match=r"max_allowed_packet.*SET GLOBAL") as caught:  # noqa: SIM117
            with store.session("churn") as session:
                session.save_model(bytes(8_000_000))
        assert not caught.value.transient


def test_the_usual_server_has_no_such_problem(
    mysql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["doctor", "--url", mysql_server.new_database(), "--json"]
    lines = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert [line for line in lines if line["check"] == "server"] == []
