"""One database: its engine, its transactions, and where driver errors are translated."""

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
    PermissionDenied,
)
from mfprefect.redaction import Redactor, redact_urls, secrets
from mfprefect.schema import Schema
from mfprefect.store.database import engine_cache

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.settings import Settings

__all__ = ["Database"]

log = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
# Of our own: a training must not find its random numbers changed by a retry.
_jitter = random.Random()  # noqa: S311 - no secret depends on it
LONGEST_RACE_PAUSE = 0.2


class Database:
    """Reads and writes in transactions, retrying what is transient."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.backend, self.engine = engine_cache.acquire(settings)
        self.schema: Schema = self.backend.schema
        self._mine = True
        # Whether it was waited for in vain: whoever comes next does not wait as long again.
        self._gave_up_waiting = False

    def for_session(self, **serves: str) -> Database:
        """Return the same database, whose connections tell which session they work for."""
        other = copy.copy(self)
        other.engine = self.engine.execution_options(**{SESSION_OPTION: serves})
        other._mine = False
        return other

    def close(self) -> None:
        """Close the pooled connections."""
        if self._mine:
            self._mine = False
            engine_cache.release(self.settings, self.backend, self.engine)

    def fetch_all(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        """Return all rows of a select."""
        return self.read_transaction(lambda connection: list(connection.execute(statement)))

    def read_transaction(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work(connection)`, which only reads, in one transaction."""

        def step(_: bool) -> T:
            with self._translated(), self.engine.connect() as connection:
                return work(connection)

        return self._retry(step)

    def frame(self, statement: sa.Select[Any]) -> pd.DataFrame:
        """Return a select as a DataFrame whose columns are named by the schema's keys."""
        return self.framed(statement, self.fetch_all(statement))

    @staticmethod
    def framed(statement: sa.Select[Any], found: Iterable[sa.Row[Any]]) -> pd.DataFrame:
        """Return rows of a select as a DataFrame whose columns are named by the schema's keys."""
        import pandas as pd

        columns = list(statement.selected_columns)
        # Plain tuples: pandas would take a row's attribute `dtype` for its type.
        rows = [tuple(row) for row in found]
        frame = pd.DataFrame(rows, columns=[c.key for c in columns])
        for column in columns:
            if isinstance(column.type, (sa.Double, sa.Float)):
                # NULL is None on some drivers; a figure that is missing is NaN on all of ours.
                frame[column.key] = frame[column.key].astype("float64")
        return frame

    def stream(self, select: sa.Select[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield a select as Arrow batches; not retried once rows have been handed out."""
        with self._translated(), self.engine.connect() as connection:
            yield from self.backend.stream(connection, select, schema)

    def write_transaction(
        self,
        work: Callable[[sa.Connection, bool], T],
        *,
        retry: bool = True,
        also_retry: type[DatabaseError] | None = None,
    ) -> T:
        """Run `work(connection, again)` in one transaction and commit it.

        `work` must be idempotent: after a transient error it runs once more, from the start, and
        with `again` true where an earlier commit was cut off and may have happened all the same.
        `also_retry` names a terminal error to be retried too: losing the race for a number.

        Raises:
            DatabaseError: or one of its kinds; a transient one after `retry_seconds`.
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
        except DBAPIError:  # the connection is gone, and the transaction with it
            log.debug("rollback on a lost connection", exc_info=True)

    def _retry(self, step: Callable[[bool], T], also_retry: type[DatabaseError] | None = None) -> T:
        began = time.monotonic()
        pause, again = FIRST_PAUSE, False
        while True:
            try:
                result = step(again)
                self._gave_up_waiting = False
                return result
            except DatabaseError as exc:
                transient, away = exc.transient, isinstance(exc, DatabaseUnavailable)
                retriable = transient or (also_retry and isinstance(exc, also_retry))
                patience = 0 if away and self._gave_up_waiting else self.settings.retry_seconds
                if not retriable or time.monotonic() + pause > began + patience:
                    self._gave_up_waiting = self._gave_up_waiting or away
                    raise
                again = again or "in_commit" in exc.__dict__
                log.info("trying again in %.2f s: %s", pause, exc)
            # Full jitter: contenders must not meet again at the same moment.
            time.sleep(pause * _jitter.random())
            pause = min(pause * 2, LONGEST_PAUSE if transient else LONGEST_RACE_PAUSE)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as exc:
            raise self.translate(exc) from exc
        except (UnicodeEncodeError, OverflowError) as exc:  # of the driver, before it sends
            raise InvalidValue(f"a value is none that {self.place} can take: {exc}.") from exc
        except PoolTimeoutError as exc:
            raise DatabaseUnavailable(
                f"no free connection to {self.place}: more than the pool holds are in use."
            ) from exc

    def translate(self, exc: DBAPIError) -> DatabaseError:
        """Return the error of ours that stands for a driver's."""
        kind = self.backend.classify(exc)
        cause = self.backend.error_text(exc)
        for secret in self.backend.secrets():
            cause = cause.replace(secret, "***")
        cause = self.without_secrets(cause)
        hint = {
            DatabaseUnavailable: "Check that the server runs and can be reached, and the host and "
            "port of MFPREFECT_URL.",
            IntegrityError: "A constraint of the schema was violated.",
            PermissionDenied: f"The right is missing for {_first_words(exc.statement)}. The owner "
            "of the tables gives it: `mfprefect grants --role writer` prints the statements; "
            "migrations, prune and deletions need the role admin.",
            DatabaseError: "Check user, password, database and certificates; `mfprefect doctor` "
            "tells more.",
        }.get(kind, "Another transaction was in the way.")
        return kind(f"{self.place} says: {cause} {hint}")

    @property
    def keyring(self) -> signing.Keyring:
        """The keys that sign seals and audit events, and those that verify them."""
        secrets = (self.settings.signing_key, self.settings.seal_key)
        return signing.keyring(
            *(None if key is None else key.get_secret_value() for key in secrets),
            tuple(key.get_secret_value() for key in self.settings.verify_keys.values()),
        )

    @property
    def place(self) -> str:
        """What to call the database in a message: its URL without the password."""
        url = parse_url(self.settings.url.get_secret_value())
        return url.set(query={}).render_as_string(hide_password=True)

    @functools.cached_property
    def _hidden(self) -> Redactor:
        return Redactor(secrets(self.settings))

    def without_secrets(self, text: str) -> str:
        """Return a text without the settings' secrets and the credentials of any URL."""
        return redact_urls(self._hidden(text))


def _first_words(statement: str | None) -> str:
    """Return what a statement is, without the values that it may hold."""
    words = (statement or "this").split()[:3]
    return " ".join(words[: 1 if words[0].upper() in ("SELECT", "UPDATE", "COPY") else 3])
