"""One database: its engine, its transactions and the translation of driver errors."""

from __future__ import annotations

import copy
import functools
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mfprefect.audit import signing
from mfprefect.backend import SESSION_OPTION, WRITE_OPTION, parse_url
from mfprefect.errors import (
    DatabaseError,
    DatabaseUnavailable,
    IntegrityError,
    InvalidValue,
    MfprefectError,
    PermissionDenied,
)
from mfprefect.redaction import Redactor, redact_urls, secrets
from mfprefect.schema import Schema
from mfprefect.store.database import denied, engine_cache
from mfprefect.util.references import unset_references

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.settings import Settings

__all__ = ["Database"]

log = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
# A generator of its own: a retry must not change the random numbers of a training.
_jitter = random.Random()  # noqa: S311 - no secret depends on it
LONGEST_RACE_PAUSE = 0.2


class Database:
    """Reads and writes in transactions, retrying what is transient."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.backend, self.engine = engine_cache.acquire(settings)
        self.schema: Schema = self.backend.schema
        self.views_only = False
        """Whether this user may read the views alone, as the role `reader`; found out by the first
        statement that the database refuses: see `Base._visible`."""
        self._owns_engine = True
        # After one wait in vain, the next statement does not wait again.
        self._gave_up_waiting = False
        self._snapshot: sa.Connection | None = None

    def for_session(self, **names: str) -> Database:
        """Return the same database with connections that carry the names of their session.

        Args:
            names: the `session`, its `model`, and the flow `run` if there is one.
        """
        other = copy.copy(self)
        other.engine = self.engine.execution_options(**{SESSION_OPTION: names})
        other._owns_engine = False
        return other

    def close(self) -> None:
        """Close the pooled connections."""
        if self._owns_engine:
            self._owns_engine = False
            engine_cache.release(self.settings, self.backend, self.engine)

    def fetch_all(
        self, statement: sa.Select[*tuple[Any, ...]] | sa.CompoundSelect[*tuple[Any, ...]]
    ) -> list[sa.Row[*tuple[Any, ...]]]:
        """Return all rows of a select."""
        return self.read_transaction(lambda connection: list(connection.execute(statement)))

    def read_transaction(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work(connection)`, which must only read, in one transaction.

        Outside a snapshot, each of its statements may see what was committed before it.
        """
        if self._snapshot is not None:
            return work(self._snapshot)

        def step(_: bool) -> T:
            with self._translated(), self.engine.connect() as connection:
                return work(connection)

        return self._retry(step)

    def snapshot(self, work: Callable[[Database], T]) -> T:
        """Run `work(database)`, which must only read: all its statements see the same moment.

        So does what `work` calls with the database that it gets. Teradata has no snapshots: there,
        each statement sees what it finds.
        """
        if self._snapshot is not None:
            return work(self)

        def step(_: bool) -> T:
            with self._translated(), self.engine.connect() as connection:
                self.backend.begin_snapshot(connection)
                return work(self._within(connection))

        return self._retry(step)

    def _within(self, connection: sa.Connection) -> Database:
        other = copy.copy(self)
        other._snapshot, other._owns_engine = connection, False
        return other

    def read_snapshot(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work(connection)`, which must only read, in a snapshot: see `snapshot`."""
        return self.snapshot(lambda moment: moment.read_transaction(work))

    def frame(self, statement: sa.Select[*tuple[Any, ...]]) -> pd.DataFrame:
        """Return a select as a DataFrame whose columns are named by the schema's keys."""
        return self.framed(statement, self.fetch_all(statement))

    @staticmethod
    def framed(
        statement: sa.Select[*tuple[Any, ...]], rows: Iterable[sa.Row[*tuple[Any, ...]]]
    ) -> pd.DataFrame:
        """Return rows of a select as a DataFrame whose columns are named by the schema's keys."""
        import pandas as pd

        columns = list(statement.selected_columns)
        # Plain tuples: pandas would read a row's column `dtype` as its type.
        tuples = [tuple(row) for row in rows]
        frame = pd.DataFrame(tuples, columns=[c.key for c in columns])
        for column in columns:
            if isinstance(column.type, (sa.Double, sa.Float)):
                # Some drivers return NULL as None; a missing figure is NaN on every database.
                frame[column.key] = frame[column.key].astype("float64")
        return frame

    def stream(
        self,
        select: sa.Select[*tuple[Any, ...]],
        schema: pa.Schema,
        count: Callable[[], int] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a select as Arrow batches; errors are not retried.

        Args:
            select: of texts and numbers.
            schema: of the batches.
            count: returns how many rows there are, if the select is in the order of its first
                column: a backend may have another way for many.
        """
        if self._snapshot is not None:
            yield from self.backend.stream(self._snapshot, select, schema)
            return
        least = self.backend.unloads_from
        rows = count() if least and count is not None else 0
        with self._translated(), self.engine.connect() as connection:
            if least and rows >= least:
                yield from self.backend.unload(connection, select, schema, rows)
            else:
                yield from self.backend.stream(connection, select, schema)

    def write_transaction(
        self,
        work: Callable[[sa.Connection, bool], T],
        *,
        retry: bool = True,
        also_retry: type[DatabaseError] | None = None,
    ) -> T:
        """Run `work(connection, again)` in one transaction and commit it.

        Args:
            work: must be idempotent: after a transient error it runs again from the start. `again`
                is true if the connection broke during an earlier commit, which may have succeeded.
            retry: whether to retry transient errors, for `retry_seconds`.
            also_retry: a terminal error to retry as well, such as losing the race for a number.

        Raises:
            DatabaseError: or one of its subclasses.
        """
        if not retry:
            return self._write(work, again=False)
        return self._retry(lambda again: self._write(work, again), also_retry)

    def _write(self, work: Callable[[sa.Connection, bool], T], again: bool) -> T:
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(**{WRITE_OPTION: True})
            transaction = connection.begin()
            try:
                result = work(connection, again)
            except BaseException:
                self._roll_back(transaction)
                raise
            try:
                transaction.commit()
            except DBAPIError as exc:
                self._roll_back(transaction)
                error = self.translate(exc)
                error.__dict__["in_commit"] = True
                raise error from exc
            return result

    @staticmethod
    def _roll_back(transaction: sa.Transaction) -> None:
        try:
            transaction.rollback()
        except DBAPIError:  # the connection is lost, and its transaction with it
            log.debug("rollback on a lost connection", exc_info=True)

    def retry(self, step: Callable[[], T]) -> T:
        """Run `step()`, which reads in several transactions, again after transient errors."""
        return self._retry(lambda _: step())

    def _retry(self, step: Callable[[bool], T], also_retry: type[DatabaseError] | None = None) -> T:
        began = time.monotonic()
        pause, again = FIRST_PAUSE, False
        while True:
            tried = time.monotonic()
            try:
                result = step(again)
                self._gave_up_waiting = False
                return result
            except DatabaseError as exc:
                if "deadlock" in exc.__dict__:  # how long it waited is the server's setting
                    began += time.monotonic() - tried
                transient, away = exc.transient, isinstance(exc, DatabaseUnavailable)
                retriable = transient or (also_retry and isinstance(exc, also_retry))
                patience = 0 if away and self._gave_up_waiting else self.settings.retry_seconds
                if not retriable or time.monotonic() + pause > began + patience:
                    self._gave_up_waiting = self._gave_up_waiting or away
                    raise
                again = again or "in_commit" in exc.__dict__
                log.info("trying again in %.2f s: %s", pause, exc)
            # Full jitter: competing writers must not retry at the same moment.
            time.sleep(pause * _jitter.random())
            pause = min(pause * 2, LONGEST_PAUSE if transient else LONGEST_RACE_PAUSE)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as exc:
            raise self.translate(exc) from exc
        except (UnicodeEncodeError, OverflowError) as exc:  # by the driver, before it sends
            raise InvalidValue(f"{self.place} cannot store a value: {exc}.") from exc
        except ValueError as exc:
            if isinstance(exc, MfprefectError) or "NUL" not in str(exc):
                raise
            raise InvalidValue(
                "an id or another text of this call holds a NUL character, which SQL text cannot; "
                "nothing was read or written."
            ) from exc
        except PoolTimeoutError as exc:
            raise DatabaseUnavailable(
                f"no free connection to {self.place}: all connections of the pool are in use."
            ) from exc

    def translate(self, exc: DBAPIError) -> DatabaseError:
        """Return the mfprefect error for a driver's error."""
        kind = self.backend.classify(exc)
        cause = self.backend.error_text(exc)
        for secret in self.backend.secrets():
            cause = cause.replace(secret, "***")
        cause = self.without_secrets(cause)
        hint = {
            DatabaseUnavailable: "Check that the server runs and is reachable, and the host and "
            "port of MFPREFECT_URL.",
            IntegrityError: "A constraint of the schema was violated.",
            PermissionDenied: denied.explanation(self.schema, exc.statement, cause),
            DatabaseError: "Check user, password, database and certificates; `mfprefect doctor` "
            "shows more.",
        }.get(kind, "Another transaction holds a lock or changed the same rows.")
        special = self.backend.hint(exc)
        stop = "" if cause.endswith((".", "?", "!")) else "."
        said = f"{self.place} says: {cause}{stop}"
        error = kind(f"{said} {special or hint}")
        if self.backend.is_deadlock(exc):
            error.__dict__["deadlock"] = True
        if special is None:
            error.__dict__["said"] = said  # what a method may explain better: see `right_of`
        return error

    @property
    def keyring(self) -> signing.Keyring:
        """The keys that sign seals and audit events, and the keys that verify them."""
        keys = (self.settings.signing_key, self.settings.seal_key)
        return signing.keyring(
            *(None if key is None else key.get_secret_value() for key in keys),
            # A run needs none of them; `require_verify_keys` is for those who verify.
            tuple(
                key.get_secret_value()
                for key in self.settings.verify_keys.values()
                if not any(unset_references(key))
            ),
        )

    def require_verify_keys(self) -> None:
        """Refuse to verify while a key refers to a variable that is not set.

        Raises:
            ConfigurationError: names the key and the variable.
        """
        for key in self.settings.verify_keys.values():
            key.get_secret_value()

    @property
    def place(self) -> str:
        """The database's name in messages: its URL without the password."""
        url = parse_url(self.settings.url.get_secret_value())
        return url.set(query={}).render_as_string(hide_password=True)

    @functools.cached_property
    def _redactor(self) -> Redactor:
        return Redactor(secrets(self.settings))

    def without_secrets(self, text: str) -> str:
        """Return a text without the settings' secrets and without credentials in URLs."""
        return redact_urls(self._redactor(text))
