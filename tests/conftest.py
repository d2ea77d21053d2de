"""Databases for the tests, and an environment that hides the developer's settings.

`MFPREFECT_TEST_WITHOUT=postgres,mysql,browser` skips the tests of these databases, and those that
open reports in a browser, and says so loudly; otherwise a missing server or browser is a failure.
`mysql` is MariaDB, or what `MFPREFECT_TEST_MYSQL` chooses: with `mysql9`, its tests run on MySQL 9
instead; without, some modules run there too. In the same way, `postgres` is PostgreSQL 17, or what
`MFPREFECT_TEST_POSTGRES` chooses: `postgres18` or `postgres12`. `MFPREFECT_TEST_POSTGRES_URL` and
`MFPREFECT_TEST_MYSQL_URL` name real servers to use instead of private ones. Teradata is *emulated*,
unless `MFPREFECT_TEST_TERADATA_URL` names a real one: there, tests create tables under a throwaway
prefix and drop them again.
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import certifi
import httpx
import hypothesis
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect_dev import teradata
from mfprefect_dev.servers import Server, server_class, server_for
from mfprefect_dev.teradata import lint
from mfprefect_dev.teradata.engine.server import REAL

SERVERS = ("postgres", "mysql")
NEWER = {
    "postgres18": {
        "test_contract",
        "test_grants",
        "test_postgres",
        "test_postgres_tables",
        "test_reading_parity",
        "test_servers",
        "test_sql_scoring_databases",
        "test_views",
    },
    "mysql9": {
        "test_contract",
        "test_database_injections",
        "test_disk_injections",
        "test_grants",
        "test_injections",
        "test_lifecycle",
        "test_mysql",
        "test_reader_functions",
        "test_reading_parity",
        "test_retry",
        "test_server_settings",
        "test_servers",
        "test_spool",
        "test_sql_scoring_databases",
        "test_tls",
        "test_views",
    },
}
"""Servers beside these: the parameter, and the modules that run on it."""
TERADATA = "teradata_real" if REAL in os.environ else "teradata_emulated"
"""The parameter of tests on Teradata."""
SOME_EMULATED = {
    "test_maintenance": {"test_it_ends_what_crashed_and_leaves_what_runs"},
    "test_notices": {
        "test_a_new_target_hears_nothing_old",
        "test_a_trained_model_that_waits",
        "test_drift_in_words",
        "test_several_maintainers_send_once",
        "test_undelivered_notices_are_sent_again",
        "test_what_readers_see",
    },
    "test_notifications": {"test_a_flow_that_prefect_retries"},
    "test_readme": {"test_a_session_anywhere"},
    "test_reconcile": {"test_a_process_that_is_gone", "test_the_next_opening_ends_it"},
    "test_task_runners": {"test_a_part_that_fails_leaves_the_others"},
}
"""Modules whose queries other modules also run: on an emulated Teradata, run only these tests of
them, which saves a minute."""
BROWSER = "browser"
"""The fixture of tests/report, and the name in MFPREFECT_TEST_WITHOUT."""
FLOWS = Path(__file__).parent / "flows"
ENGINES = Path(__file__).parent / "engines"
"""Tests that need Ray or Spark, which `make test` does not install; `make engines` names them."""


def _one_authority(folder: Path) -> str:
    """Write the first of the public certificate authorities; return the file's path.

    No test connects to a public server. Each HTTP client and each connection to MySQL loads all
    authorities, which takes 30 ms.
    """
    end = "-----END CERTIFICATE-----\n"
    file = folder / "authority.pem"
    file.write_text(certifi.contents().partition(end)[0] + end)
    return str(file)


def _isolate() -> None:
    """Remove the developer's settings: no test may reach the team's database or Prefect server."""
    for name in list(os.environ):
        if name.startswith(("PREFECT_", "MFPREFECT_")) and not name.startswith("MFPREFECT_TEST_"):
            del os.environ[name]
    # A shell's background jobs ignore Ctrl-C, and so do their children.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = tempfile.mkdtemp(prefix="mfp-prefect-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(
        PREFECT_HOME=home,
        XDG_STATE_HOME=home,  # the spool's folder
        SSL_CERT_FILE=_one_authority(Path(home)),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="180",
        PREFECT_LOGGING_LEVEL="WARNING",
    )


# CI uses the same examples each time, so that only a change can break it.
hypothesis.settings.register_profile(
    "mfprefect", deadline=None, print_blob=True, derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("mfprefect")

# Failed assertions there then show the compared values.
pytest.register_assert_rewrite("mfprefect.testing.contract")

_isolate()  # before any test module imports Prefect, which then reads its settings
if REAL not in os.environ:
    teradata.install()
lint.watch(sa.Engine)  # checks every statement that any test sends to Teradata


def _left_out() -> set[str]:
    names = set(re.findall(r"[^,\s]+", os.environ.get("MFPREFECT_TEST_WITHOUT", "")))
    return names | {newer for newer in NEWER if server_class(newer).backend in names}


def _used(item: pytest.Item) -> set[str]:
    """Return the servers that a test needs."""
    names = set(getattr(item, "fixturenames", ()))
    used = {x for x in (*SERVERS, *NEWER) if {f"{x}_server", f"{x}_class"} & names}
    # A fixture or test with such a parameter asks for `<parameter>_server` when it runs.
    params = item.callspec.params if hasattr(item, "callspec") and "request" in names else {}
    places = {*SERVERS, *NEWER, TERADATA}
    used |= {value for value in params.values() if isinstance(value, str)} & places
    return used | names & {BROWSER}


def _is_needless(item: pytest.Item) -> bool:
    """Return whether a test is on a newer server and runs there anyway, or need not."""
    chosen = {server_class(server).program for server in SERVERS}
    newer = _used(item) & NEWER.keys()
    return any(name in chosen or item.path.stem not in NEWER[name] for name in newer)


def _is_elsewhere(item: pytest.Item) -> bool:
    """Return whether a test is for the other kind of Teradata.

    Emulated and real exclude each other: their drivers share a name.
    """
    if REAL in os.environ:
        return "emulated_teradata" in getattr(item, "fixturenames", ())
    chosen = SOME_EMULATED.get(item.path.stem)
    name = getattr(item, "originalname", item.name)
    return chosen is not None and name not in chosen and TERADATA in _used(item)


def _loud_line() -> str:
    names = ", ".join(sorted(_left_out()))
    notes = [f"MFPREFECT_TEST_WITHOUT: NOTHING IS TESTED ON {names}"] if names else []
    if REAL in os.environ:
        notes.append(f"{REAL}: TESTS OF THE EMULATED TERADATA DO NOT RUN")
    return f"!!! {'; '.join(notes)} !!!" if notes else ""


def pytest_configure(config: pytest.Config) -> None:
    if unknown := _left_out().difference(SERVERS, NEWER, [BROWSER]):
        raise pytest.UsageError(
            f"MFPREFECT_TEST_WITHOUT names {', '.join(sorted(unknown))}; "
            f"choices: {', '.join([*SERVERS, *NEWER, BROWSER])}"
        )
    config.addinivalue_line("markers", "server: needs a PostgreSQL, a MariaDB or a MySQL")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    named = (Path(arg.partition("::")[0]).resolve() for arg in config.args)
    if collection_path == ENGINES and not any(path.is_relative_to(ENGINES) for path in named):
        return True
    return None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if FLOWS in item.path.parents or "prefect_api" in getattr(item, "fixturenames", ()):
            # One server for each pytest process, and workers that the tests of a module share.
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if _used(item) & {*SERVERS, *NEWER}:
            item.add_marker(pytest.mark.server)  # to run only these: -m server
    without = _left_out()
    dropped = {
        item for item in items if _used(item) & without or _is_needless(item) or _is_elsewhere(item)
    }
    if dropped:
        config.hook.pytest_deselected(items=list(dropped))
        items[:] = [item for item in items if item not in dropped]


def pytest_report_header() -> list[str]:
    return [line] if (line := _loud_line()) else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if line := _loud_line():
        terminalreporter.write_line(line, red=True, bold=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with server_for("postgres") as server:
        yield server


@pytest.fixture(scope="session")
def postgres18_server() -> Iterator[Server]:
    with server_for("postgres18") as server:
        yield server


@pytest.fixture(params=["postgres", "postgres18"])
def each_postgres(request: pytest.FixtureRequest) -> Server:
    """Each version of PostgreSQL in turn."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def postgres_login(postgres_server: Server) -> Callable[[str], AbstractContextManager[str]]:
    """Create a database and a user with a given password: `with postgres_login("pw") as url`."""

    @contextmanager
    def made(password: str) -> Iterator[str]:
        url = sa.make_url(postgres_server.new_database())
        name = f"mfp_{secrets.token_hex(4)}"
        _administer(
            postgres_server,
            f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
            f"GRANT CREATE ON DATABASE {url.database} TO {name}",
        )
        user_url = url.set(username=name, password=password)
        yield user_url.render_as_string(hide_password=False)
        postgres_server.drop_database(url.render_as_string(hide_password=False))
        _administer(postgres_server, f"DROP ROLE {name}")

    return made


def _administer(server: Server, *statements: str) -> None:
    engine = sa.create_engine(server.admin_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[Server]:
    with server_for("mysql") as server:
        yield server


@pytest.fixture(scope="session")
def mysql_class() -> type[Server]:
    """What `mysql_server` is, to start another with options."""
    return server_class("mysql")


@pytest.fixture(scope="session")
def mysql9_server() -> Iterator[Server]:
    with server_for("mysql9") as server:
        yield server


@pytest.fixture(params=[*SERVERS, *NEWER])
def database_server(request: pytest.FixtureRequest) -> Server:
    """Each server in turn; a test that kills it restarts it."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(scope="session")
def teradata_server() -> teradata.EmulatedTeradata | teradata.RealTeradata:
    """An emulated Teradata, or the real one that the variable names."""
    if REAL in os.environ:
        return teradata.RealTeradata(os.environ[REAL])
    return teradata.EmulatedTeradata()


@pytest.fixture(scope="session")
def emulated_teradata() -> teradata.EmulatedTeradata:
    """An emulated Teradata, for what a real one cannot do: injected errors, for example."""
    return teradata.EmulatedTeradata()


@pytest.fixture(scope="session")
def schema_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the schema, to copy: that is faster than to create one."""
    file = tmp_path_factory.mktemp("schema") / "schema.db"
    with mfprefect.connect(f"sqlite:///{file}") as store:
        store.create_schema()
    return file


@pytest.fixture
def new_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[..., AbstractContextManager[str]]:
    """Create a database: `with new_database("postgres", schema=True) as url`."""

    @contextmanager
    def made(kind: str, *, schema: bool) -> Iterator[str]:
        if kind == "sqlite":
            file = tmp_path / ("test.db" if schema else "empty.db")
            if schema:
                shutil.copyfile(request.getfixturevalue("schema_file"), file)
            yield f"sqlite:///{file}"
        elif kind == TERADATA:
            with request.getfixturevalue("teradata_server").new_database(schema=schema) as url:
                yield url
        else:
            server: Server = request.getfixturevalue(f"{kind}_server")
            url = server.new_database(schema=schema)
            yield url
            server.drop_database(url)

    return made


@pytest.fixture(params=["sqlite", *SERVERS, *NEWER, TERADATA])
def database_url(
    request: pytest.FixtureRequest, new_database: Callable[..., AbstractContextManager[str]]
) -> Iterator[str]:
    """The URL of a new database, on each kind of database in turn.

    It is empty, unless the test or one of its fixtures asks for `schema_url`.
    """
    with new_database(request.param, schema="schema_url" in request.fixturenames) as url:
        yield url


@pytest.fixture
def schema_url(database_url: str) -> str:
    """The same, with the schema: a copy of a database on which `create_schema` ran."""
    return database_url


@pytest.fixture(scope="session")
def prefect_api(mf_server: str) -> str:
    """The API URL of a real, temporary Prefect server."""
    return mf_server


@contextmanager
def _prefect_server(folder: Path, **env: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}/api"
    prefect = Path(sys.executable).with_name("prefect")
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [prefect, "server", "start", "--host", "127.0.0.1", "--port", port],
            env=os.environ | {"PREFECT_HOME": str(folder)} | env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await_health(process, url, folder / "server.log")
            yield url
        finally:
            # Its child process answers the requests.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_health(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(360):
        assert server.poll() is None, log.read_text()
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health").is_success:
                return
        time.sleep(0.5)
    raise AssertionError(url)


@pytest.fixture(scope="session")
def prefect_server() -> Callable[..., AbstractContextManager[str]]:
    """Start a server with its schedules, as users do: `prefect_server(folder, NAME="value")`."""
    return _prefect_server


@pytest.fixture
def flow_store(
    prefect_api: str, schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """The store in the settings of flows."""
    monkeypatch.setenv("MFPREFECT_URL", schema_url)
    with mfprefect.connect() as store:
        yield store
