"""Read inputs from SQL, files and frames, and describe each read for the session's lineage."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.backend import Backend, backend_for, parse_url
from mfprefect.errors import (
    BackendNotFound,
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailable,
    InvalidValue,
)
from mfprefect.inputs.files import is_path, read_file, without_credentials
from mfprefect.inputs.parameters import bind, hint, subquery_text
from mfprefect.quality.checks import in_database
from mfprefect.quality.checks.result import checks_failed, failures
from mfprefect.redaction import Redactor, secrets
from mfprefect.util.frames import arrow_stream

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.inputs.query import Query
    from mfprefect.inputs.query_rows import QueryRows
    from mfprefect.quality.checks.base import ModelCheck
    from mfprefect.quality.checks.frame_data import CheckData
    from mfprefect.settings import Settings

__all__ = ["Read", "Reader", "frame_digest"]

QuerySource = Callable[["Collection[str]"], "CheckData"]
"""Queries a source; takes the columns whose minimum and maximum are needed."""
TAKEN = (
    "SQL text, a path, a frame (pandas, polars, pyarrow, duckdb, or another with "
    "__arrow_c_stream__ or to_pandas), or an iterable of frames or Arrow batches"
)


@dataclass(frozen=True)
class Read:
    """One read: its source and query, and the rows it returned."""

    source: str
    query: str | None
    rows: int
    columns: dict[str, str]
    digest: str | None
    """None: the rows did not leave their database."""
    seconds: float


class Reader:
    """Read frames and report each read to a callback, such as a session's."""

    def __init__(
        self,
        settings: Settings | None = None,
        on_read: Callable[[Read], None] | None = None,
        judge: Callable[[QuerySource, Sequence[ModelCheck]], object] | None = None,
    ) -> None:
        self._settings = settings
        self._on_read = on_read
        self._judge = judge or _judge_without_session
        self._last: pd.DataFrame | None = None
        """The last frame that `read` returned; a model may return it, which `load` recognises."""
        self.lazily = False
        """Whether `read` leaves SQL text unread until somebody looks at its frame."""
        self.refusal: str | None = None
        """What to say to those who look at a frame that must stay unread."""
        self.source: str | None = None
        """The source of the last SQL text, None before the first."""

    def read(
        self, what: Any, source: str | None = None, *, checks: Any = None, **params: Any
    ) -> pd.DataFrame:
        """Return a frame from SQL text, a path or URL, a frame, or an iterable of batches.

        Args:
            what: SQL text, a path or URL, a frame of any library, or an iterable of batches.
            source: for SQL text: the source.
            checks: for SQL text: checks that the database computes before any row is read.
            params: the parameters of SQL text, or keywords for the reader of a file.

        Raises:
            InvalidValue: it cannot be read, or takes no such parameter.
            ChecksFailed: an error-level check of the query failed; no row was read.
        """
        if checks is not None:
            self._check(what, source, in_database(checks), params)
        return self._read_and_record(time.perf_counter(), what, source, "frame", params)

    def load(self, produce: Callable[[], Any], name: str) -> pd.DataFrame:
        """Return the data that a model's function produces, reading it if it is not a frame.

        A frame that `read` has just returned is recorded already; any other is recorded as `name`.
        """
        started = time.perf_counter()
        what = produce()
        if self.lazily:
            from mfprefect.inputs.query import QueryFrame, plain, unread_query

            if isinstance(what, QueryFrame):
                return plain(what) if unread_query(what) is None else what
        if (last := self._last) is not None and what is last:
            return last
        return self._read_and_record(started, what, None, name, {})

    def _read_and_record(
        self, started: float, what: Any, source: str | None, name: str, params: dict[str, Any]
    ) -> pd.DataFrame:
        if self.lazily and isinstance(what, str) and not is_path(what):
            return self._unread(what, self._source_name(source), name, params)
        return self._read_now(started, what, source, name, params)

    def _unread(self, text: str, source: str, name: str, params: dict[str, Any]) -> pd.DataFrame:
        from mfprefect.inputs.query import Query, QueryFrame

        def read() -> pd.DataFrame:
            if self.refusal is not None:
                raise ConfigurationError(self.refusal)
            return self._read_now(time.perf_counter(), text, source, name, params)

        return QueryFrame(Query(text, source, params, read))

    def _read_now(
        self, started: float, what: Any, source: str | None, name: str, params: dict[str, Any]
    ) -> pd.DataFrame:
        frame, origin, query = self._load(what, source, name, params)
        seconds = time.perf_counter() - started
        if self._on_read is not None:
            types = {str(column): str(dtype) for column, dtype in frame.dtypes.items()}
            digest = frame_digest(frame)
            self._on_read(Read(origin, query, len(frame), types, digest, seconds))
        self._last = frame
        return frame

    def _load(
        self, what: Any, source: str | None, name: str, params: dict[str, Any]
    ) -> tuple[pd.DataFrame, str, str | None]:
        import pandas as pd

        if isinstance(what, Path) or (isinstance(what, str) and is_path(what)):
            _require_no_source(source, f"the file {without_credentials(str(what))}")
            return read_file(str(what), params), without_credentials(str(what))[:255], None
        if isinstance(what, str):
            self.source = source = self._source_name(source)
            return self._read_sql(what, source, params), source, what
        if (frame := _frame(what)) is not None:
            kind = f"a {type(what).__name__}"
            _require_no_source(source, kind)
            if params:
                raise InvalidValue(
                    f"{kind} takes no keywords, but {', '.join(params)} was passed; they are for "
                    "files and for parameters of SQL text."
                )
            return frame, name, None
        if _is_batches(what):
            pieces = [self._load(_piece(piece), source, name, params)[0] for piece in what]
            return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(), name, None
        cure = " Make a frame of it: pandas.DataFrame(..)." if hasattr(what, "__len__") else ""
        raise InvalidValue(f"cannot read a {type(what).__name__}; pass {TAKEN}.{cure}")

    def _source_name(self, source: str | None) -> str:
        from mfprefect.settings import load_settings

        self._settings = self._settings or load_settings()
        name = source or self._settings.default_source
        if name is None or name not in self._settings.sources:
            sources = ", ".join(self._settings.sources) or "none"
            missing = "no default_source is set" if name is None else f"there is no source {name!r}"
            raise ConfigurationError(
                f"SQL text needs a named source, but {missing}; the sources: {sources}. "
                f'Add to mfprefect.toml: [sources.{name or "warehouse"}] url = "..".'
            )
        return name

    def _check(
        self, what: Any, source: str | None, checks: list[ModelCheck], params: dict[str, Any]
    ) -> None:
        from mfprefect.inputs.sql_data import SourceData

        if not isinstance(what, str) or is_path(what):
            raise InvalidValue(
                "checks of a read are computed by a database: pass SQL text, or list them in the "
                "model's checks."
            )
        source_name = self._source_name(source)
        with self._connected(source_name) as connection:
            native = connection.dialect.supports_native_decimal
            text, values = bind(subquery_text(what), params, native_decimal=native)

            def ask(compared: Collection[str]) -> CheckData:
                return SourceData(connection, text, values, compared=compared, source=source_name)

            with _named_parameters(values):
                self._judge(ask, checks)

    def _read_sql(self, text: str, source: str, params: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        with self._connected(source) as connection:
            native = connection.dialect.supports_native_decimal
            statement, values = bind(text, params, native_decimal=native)
            with _named_parameters(values):
                frame: pd.DataFrame = pd.read_sql(statement, connection, params=values)
            return frame

    @contextmanager
    def query_rows(self, query: Query) -> Iterator[QueryRows]:
        """Yield the rows of a query where they are: in a snapshot of the database of its source.

        Raises:
            DatabaseError: the source says no; the text holds no secret.
            InvalidValue: the query has no such parameter.
        """
        from mfprefect.inputs.query_rows import QueryRows

        with self._connected(query.source) as connection, _named_parameters(query.params):
            if (backend := self._backend(query.source)) is not None:
                backend.begin_snapshot(connection)
            yield QueryRows(connection, backend, query)

    def record(self, query: Query, rows: int, columns: Mapping[str, str], seconds: float) -> None:
        """Report a query whose rows did not leave their database."""
        if self._on_read is not None:
            self._on_read(Read(query.source, query.text, rows, dict(columns), None, seconds))

    @contextmanager
    def connected(self, source: str) -> Iterator[tuple[sa.Connection, Backend | None]]:
        """Yield a connection to a source, and its backend if there is one for its database.

        Raises:
            DatabaseError: the source says no; the text holds no secret.
        """
        source = self._source_name(source)
        with self._connected(source) as connection:
            yield connection, self._backend(source)

    @contextmanager
    def _connected(self, source: str) -> Iterator[sa.Connection]:
        import pandas as pd

        engine, backend = self._engine(source)
        try:
            with engine.connect() as connection:
                yield connection
        except (sa.exc.SQLAlchemyError, pd.errors.DatabaseError) as exc:
            # pandas wraps errors that occur while a statement runs.
            cause = exc.__cause__ if isinstance(exc, pd.errors.DatabaseError) else exc
            text = str(getattr(cause, "orig", None) or cause).strip()
            text = " ".join([text, *getattr(exc, "__notes__", ())])
            if self._settings is not None:
                text = Redactor(secrets(self._settings))(text)
            raise _classify(backend, cause)(f"source {source!r} says: {text}") from exc
        finally:
            engine.dispose()

    def connect(self, source: str) -> None:
        """Open a connection to a source and close it again; read and write nothing.

        Raises:
            DatabaseError: the source says no; the text holds no secret.
            BackendNotFound: its dialect or driver is not installed.
        """
        engine, backend = self._engine(source)
        engine.dispose()
        if backend is not None and not backend.exists():  # connecting would make it
            raise DatabaseError(f"source {source!r} says: its file does not exist")
        with self._connected(source):
            pass

    def _engine(self, source: str) -> tuple[sa.Engine, Backend | None]:
        if self._settings is None:
            raise AssertionError("_source_name has loaded the settings")
        url = parse_url(self._settings.sources[source].url.get_secret_value())
        backend = self._backend(source)
        if backend is not None and "+" not in url.drivername:
            url = backend.url  # names the driver that the extra installs, not SQLAlchemy's default
        try:
            engine = sa.create_engine(url, hide_parameters=True)
        except (sa.exc.NoSuchModuleError, ModuleNotFoundError) as exc:
            raise BackendNotFound(
                f"source {source!r} cannot be read: {exc}. Install the SQLAlchemy dialect and the "
                f"driver for {url.drivername!r} URLs."
            ) from exc
        if backend is not None and backend.url.drivername == url.drivername:
            backend.read_exactly(engine)
        return engine, backend

    def _backend(self, source: str) -> Backend | None:
        if self._settings is None:
            raise AssertionError("_source_name has loaded the settings")
        secret = self._settings.sources[source].url
        with suppress(BackendNotFound):  # any database can be a source
            return backend_for(self._settings.model_copy(update={"url": secret}))
        return None


@contextmanager
def _named_parameters(values: Mapping[str, Any]) -> Iterator[None]:
    """Say in the error of a statement which parameters a driver may not take."""
    import pandas as pd

    try:
        yield
    except OverflowError as exc:  # SQLite's, which SQLAlchemy does not wrap
        names = ", ".join(name for name, value in values.items() if not isinstance(value, str))
        raise InvalidValue(f"a parameter of the SQL ({names}) is out of range: {exc}.") from exc
    except (sa.exc.SQLAlchemyError, pd.errors.DatabaseError) as exc:
        if advice := hint(values):
            exc.add_note(advice.strip())
        raise


def _frame(what: Any) -> pd.DataFrame | None:
    """Return a frame of any library as one of pandas; None if it is no frame."""
    import pandas as pd

    if isinstance(what, pd.DataFrame):
        return what
    stream = arrow_stream(what)
    return None if stream is None else stream.read_all().to_pandas()


def _is_batches(what: Any) -> bool:
    column = hasattr(what, "dtype") or hasattr(what, "to_pylist")
    return isinstance(what, Iterable) and not column and not isinstance(what, (Mapping, bytes, Set))


def _require_no_source(source: str | None, what: str) -> None:
    if source is not None:
        raise InvalidValue(
            f"source {source!r} is for SQL text, and {what} has no source; leave source= out."
        )


def _judge_without_session(ask: QuerySource, checks: Sequence[ModelCheck]) -> None:
    """Run checks without earlier sessions to compare with, and without storing results."""
    from mfprefect.quality.checks.context import CheckContext
    from mfprefect.quality.checks.masking import Disclosure

    context, disclosure = CheckContext(), Disclosure(5)
    data = ask({name for check in checks for name in check.compared(context)})
    rows = [row for check in checks for row in check.results(data, context, disclosure)]
    if failures(rows):
        raise checks_failed({1: rows})


def _classify(backend: Backend | None, error: BaseException | None) -> type[DatabaseError]:
    if not isinstance(error, sa.exc.DBAPIError):
        return DatabaseError  # a missing parameter, or a statement that returns no rows
    if backend is not None:
        return backend.classify(error)
    # Without a backend to classify the error, only a broken connection is surely transient.
    return DatabaseUnavailable if error.connection_invalidated else DatabaseError


def _piece(piece: Any) -> Any:
    if isinstance(piece, str):
        raise InvalidValue(
            f"a batch cannot be the text {piece[:60]!r}; pass frames or Arrow batches."
        )
    return piece


def frame_digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a frame's column names, types and values, ignoring its index."""
    import pandas as pd

    sha = hashlib.sha256()
    for name, dtype in frame.dtypes.items():
        sha.update(f"{name}\0{dtype}\0".encode())
    try:
        hashes = pd.util.hash_pandas_object(frame, index=False)
    except TypeError:  # unhashable cells, such as lists
        hashes = pd.util.hash_pandas_object(frame.astype(str), index=False)
    sha.update(hashes.to_numpy().tobytes())
    return sha.hexdigest()
