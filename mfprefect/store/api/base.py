"""What every part of a store's interface shares: the database, and a look at its schema."""

from __future__ import annotations

from typing import Any, Self

from mfprefect.store.database import Database, migrate

__all__ = ["Base"]


class Base:
    """One database that keeps models and sessions. Also a context manager that closes it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._checked = False
        # What could not be registered yet: the arguments of `add_model`, in order, by model.
        self._unregistered: dict[str, tuple[Any, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.database.place}>"

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def create_schema(self) -> None:
        """Create or upgrade tables and views; harmless when repeated, or begun twice at once.

        Raises:
            SchemaOutdated: the schema is newer than this version.
        """
        migrate.create_schema(self.database)

    @property
    def _db(self) -> Database:
        if not self._checked:
            migrate.check_schema(self.database)
            self._checked = True
        return self.database
