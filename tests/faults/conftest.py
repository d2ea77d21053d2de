"""Factories and laboratories, which all tests of one process share; what a machine cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from faultkit.disks import UNTESTED
from faultkit.factory import Factory
from faultkit.lab import Lab

# Its assertions fail with what they compared, as those of tests.
pytest.register_assert_rewrite("faultkit.injecting")


@pytest.fixture(scope="session")
def factories(
    prefect_api: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Factory]]:
    made: dict[str, Factory] = {}

    def factory(database: str) -> Factory:
        if database not in made:
            folder = tmp_path_factory.mktemp(database)
            server = None
            url = f"sqlite:///{folder / 'store.db'}"
            if database != "sqlite":
                server = request.getfixturevalue(f"{database}_server")
                url = server.new_database()
            made[database] = Factory(prefect_api, database, url, folder, server)
        return made[database]

    yield factory
    for made_factory in made.values():
        made_factory.close()
        # A private server may have stopped before, with its databases.
        if made_factory.server is not None and made_factory.server.private is None:
            made_factory.server.drop_database(made_factory.direct)


@pytest.fixture
def factory(factories: Callable[[str], Factory], request: pytest.FixtureRequest) -> Factory:
    return factories(request.param)


@pytest.fixture(scope="session")
def labs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Lab]]:
    """The laboratory of a database, which all tests share."""
    opened: dict[str, Lab] = {}

    def lab(database: str) -> Lab:
        if database not in opened:
            folder = tmp_path_factory.mktemp(database)
            if database == "sqlite":
                opened[database] = Lab(database, f"sqlite:///{folder / 'store.db'}", folder)
            else:
                server = request.getfixturevalue(f"{database}_server")
                opened[database] = Lab(database, server.new_database(), folder, server)
        return opened[database]

    yield lab
    for opened_lab in opened.values():
        opened_lab.close()
        server = opened_lab.server
        # A private one has been removed by now, with all its databases.
        if server is not None and server.private is None:
            server.drop_database(opened_lab.direct)


@pytest.fixture
def lab(labs: Callable[[str], Lab], request: pytest.FixtureRequest) -> Lab:
    return labs(request.param)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    for reason in sorted({str(report.longrepr[2]) for report in skipped}):
        if UNTESTED in reason:
            terminalreporter.write_line(f"!!! {reason} !!!", red=True, bold=True)
