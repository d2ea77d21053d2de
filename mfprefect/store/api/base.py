"""What all parts of `Store` share: the database, and the check of its schema."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from mfprefect.errors import PermissionDenied, SchemaOutdated
from mfprefect.store import session_params as params
from mfprefect.store import views
from mfprefect.store.database import Database, denied, migrate

__all__ = ["Base", "right_of"]

T = TypeVar("T")


@contextmanager
def right_of(role: str, what: str) -> Iterator[None]:
    """Say that `what` belongs to a role if the user lacks a right for any statement of it.

    The statement alone may need less: many methods begin with a SELECT, or an UPDATE that locks.
    """
    try:
        yield
    except PermissionDenied as exc:
        said = exc.__dict__.get("said")
        if said is None or denied.ENDED in said:
            raise
        raise PermissionDenied(f"{said} {denied.belongs_to(role, what)}") from exc


class Base:
    """A database of models and sessions. As a context manager, it closes its connections."""

    def __init__(self, database: Database) -> None:
        self.database = database
        """Its connections, settings and place; for programs that extend mfprefect."""
        self._checked = False
        # Models not registered yet, because the database is away: arguments of `add_model`, by id.
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
        """Create or upgrade tables and views; safe to repeat, and to run twice at the same time.

        After an upgrade, it makes the sessions of earlier versions searchable by their parameters,
        some hundred in a transaction; running sessions go on meanwhile.

        Raises:
            SchemaOutdated: the schema is newer than this version.
        """
        migrate.create_schema(self.database)
        params.add_missing(self.database)

    def require_schema(self) -> None:
        """Refuse a database without the schema, or with that of another version; asks it once.

        Other methods do so by themselves.

        Raises:
            SchemaOutdated: `create_schema` must run first.
        """
        _ = self._db

    def snapshot(self, work: Callable[[Self], T]) -> T:
        """Run `work(store)`, which must only read: all that it reads is of one moment.

        Not on Teradata, which has no snapshots.
        """

        def within(moment: Database) -> T:
            store = copy.copy(self)
            store.database = moment
            return work(store)

        # Not `_visible` of each read: PostgreSQL refuses what follows an error in a transaction.
        return self._visible(lambda database: database.snapshot(within))

    @property
    def _db(self) -> Database:
        if not self._checked:
            try:
                migrate.check_schema(self.database)
            except SchemaOutdated as exc:
                # An upgrade changes nothing that a view showed before, so readers need no new
                # version at the same moment; who writes or reads tables does.
                newer = exc.found is not None and not migrate.is_known(exc.found)
                if not (newer and views.tables_are_closed(self.database)):
                    raise
            self._checked = True
        return self.database

    def _visible(self, read: Callable[[Database], T]) -> T:
        """Return `read(database)`, which reads the views if the user may not read the tables.

        Trying the tables first costs other users nothing.
        """
        try:
            return read(self._db)
        except PermissionDenied:
            if self._db.views_only or not views.tables_are_closed(self._db):
                raise
        self._db.views_only = True
        return read(self._db)
