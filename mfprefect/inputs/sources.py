"""Connections to the sources of the settings, and their errors without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from mfprefect.backend import Backend, backend_for, parse_url
from mfprefect.errors import (
    BackendNotFound,
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailable,
    InvalidValue,
)
from mfprefect.inputs.digest import rule
from mfprefect.inputs.frames import typed_like_arrow
from mfprefect.inputs.parameters import bind, hint
from mfprefect.redaction import Redactor, secrets

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.backend import ArrowRows
    from mfprefect.settings import Settings

__all__ = ["Connected", "SourceQuery", "Sources", "named_parameters"]


class Connected(NamedTuple):
    """An open connection to a source."""

    connection: sa.Connection
    backend: Backend | None
    """The backend of the connection's dialect and driver, None if there is none."""


class Sources:
    """The sources of some settings, which are loaded on first use."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings

    @property
    def settings(self) -> Settings:
        """The settings that name the sources."""
        from mfprefect.settings import load_settings

        self._settings = self._settings or load_settings()
        return self._settings

    def name(self, source: str | None) -> str:
        """Return the name of a source, of the default one for None.

        Raises:
            ConfigurationError: there is no such source.
        """
        name = source or self.settings.default_source
        if name is None or name not in self.settings.sources:
            sources = ", ".join(self.settings.sources) or "none"
            missing = "no default_source is set" if name is None else f"there is no source {name!r}"
            raise ConfigurationError(
                f"SQL text needs a named source, but {missing}; the sources: {sources}. "
                f'Add to mfprefect.toml: [sources.{name or "warehouse"}] url = "..".'
            )
        return name

    @contextmanager
    def connected(self, source: str) -> Iterator[Connected]:
        """Connect to a source; turn the errors of the block into ours."""
        with self.errors(source), self.opened(source) as connected:
            yield connected

    @contextmanager
    def opened(self, source: str) -> Iterator[Connected]:
        """Connect to a source; leave the errors of the block as they are."""
        engine, backend = self._engine(source)
        try:
            with self.errors(source):
                connection = engine.connect()
            with connection:
                yield Connected(connection, backend if _drives(backend, engine) else None)
        finally:
            engine.dispose()

    @contextmanager
    def errors(self, source: str) -> Iterator[None]:
        """Turn SQLAlchemy's and pandas' errors into ours, without secrets."""
        import pandas as pd

        try:
            yield
        except (sa.exc.SQLAlchemyError, pd.errors.DatabaseError) as exc:
            # pandas wraps errors that occur while a statement runs.
            cause = exc.__cause__ if isinstance(exc, pd.errors.DatabaseError) else exc
            text = str(getattr(cause, "orig", None) or cause).strip()
            text = " ".join([text, *getattr(exc, "__notes__", ())])
            text = Redactor(secrets(self.settings))(text)
            kind = _classify(self._backend(source), cause)
            raise kind(f"source {source!r} says: {text}") from exc

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
        with self.connected(source):
            pass

    def _backend(self, source: str) -> Backend | None:
        secret = self.settings.sources[source].url
        with suppress(BackendNotFound):  # any database can be a source
            return backend_for(self.settings.model_copy(update={"url": secret}))
        return None

    def _engine(self, source: str) -> tuple[sa.Engine, Backend | None]:
        url = parse_url(self.settings.sources[source].url.get_secret_value())
        backend = self._backend(source)
        if backend is not None and "+" not in url.drivername:
            url = backend.url  # names the driver that the extra installs, not SQLAlchemy's default
        ours = backend is not None and backend.url.drivername == url.drivername
        options = dict(backend.source_options()) if backend is not None and ours else {}
        try:
            engine = sa.create_engine(url, hide_parameters=True, connect_args=options)
        except (sa.exc.NoSuchModuleError, ModuleNotFoundError) as exc:
            raise BackendNotFound(
                f"source {source!r} cannot be read: {exc}. Install the SQLAlchemy dialect and the "
                f"driver for {url.drivername!r} URLs."
            ) from exc
        if backend is not None and ours:
            backend.read_exactly(engine)
        return engine, backend


class SourceQuery:
    """SQL text on a connection to a source, with the values of its parameters."""

    def __init__(self, connection: sa.Connection, text: str, params: Mapping[str, Any]) -> None:
        self._connection = connection
        native = connection.dialect.supports_native_decimal
        self._statement, self._values = bind(text, params, native_decimal=native)

    def begin(self, backend: Backend | None) -> ArrowRows | str:
        """Begin to read as Arrow, or return why not."""
        if rule() == 1:
            return "digests are to be comparable with those of an earlier version"
        if backend is None:
            return "no backend is installed for its dialect and driver"
        if not typed_like_arrow():
            return "pandas 3 with its own type of texts is needed for more"
        with named_parameters(self._values):
            return backend.read_arrow(self._connection, self._statement, self._values)

    def rows(self) -> pd.DataFrame:
        """Return all rows by pandas.read_sql."""
        import pandas as pd

        with named_parameters(self._values):
            frame: pd.DataFrame = pd.read_sql(
                self._statement, self._connection, params=self._values
            )
        return frame


def _drives(backend: Backend | None, engine: sa.Engine) -> bool:
    return backend is not None and backend.url.drivername == engine.url.drivername


@contextmanager
def named_parameters(values: Mapping[str, Any]) -> Iterator[None]:
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


def _classify(backend: Backend | None, error: BaseException | None) -> type[DatabaseError]:
    if not isinstance(error, sa.exc.DBAPIError):
        return DatabaseError  # a missing parameter, or a statement that returns no rows
    if backend is not None:
        return backend.classify(error)
    # Without a backend to classify the error, only a broken connection is surely transient.
    return DatabaseUnavailable if error.connection_invalidated else DatabaseError
