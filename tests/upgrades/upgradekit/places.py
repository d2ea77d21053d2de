"""Databases in which a history is made: empty ones, which can be taken away for a moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mfprefect_dev.servers import Server, server_for
from mfprefect_dev.teradata import EmulatedTeradata

__all__ = ["DATABASES", "Place", "place"]

RESTARTING = 3120
MANY = 10_000


@dataclass(frozen=True)
class Place:
    """An empty database."""

    name: str
    """`sqlite`, `postgres`, `mariadb` or `teradata`."""
    url: str
    away: Callable[[], AbstractContextManager[None]]
    """While its block lasts, nobody can write to the database."""
    pg_dump: str = ""


@contextmanager
def place(name: str, folder: Path) -> Iterator[Place]:
    """Make an empty database of a kind, which is gone when the block ends."""
    with DATABASES[name](folder) as made:
        yield made


@contextmanager
def _sqlite(folder: Path) -> Iterator[Place]:
    file = folder / "history.db"

    @contextmanager
    def away() -> Iterator[None]:
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.close()

    yield Place("sqlite", f"sqlite:///{file}", away)


@contextmanager
def _served(server: Server, name: str) -> Iterator[Place]:
    @contextmanager
    def away() -> Iterator[None]:
        server.kill()
        try:
            yield
        finally:
            server.restart()

    url = server.new_database()
    yield Place(name, url, away)
    server.drop_database(url)


@contextmanager
def _postgres(_: Path) -> Iterator[Place]:
    with server_for("postgres") as server, _served(server, "postgres") as made:
        yield made


@contextmanager
def _mariadb(_: Path) -> Iterator[Place]:
    with server_for("mariadb") as server, _served(server, "mariadb") as made:
        yield made


@contextmanager
def _teradata(_: Path) -> Iterator[Place]:
    server = EmulatedTeradata()
    with server.new_database() as url:

        @contextmanager
        def away() -> Iterator[None]:
            server.inject(url, RESTARTING, times=MANY)
            try:
                yield
            finally:
                server.forget(url)

        yield Place("teradata", url, away)


DATABASES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "mariadb": _mariadb,
    "teradata": _teradata,
}
