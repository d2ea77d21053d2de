"""Read inputs from SQL, files and frames, and describe each read for the session's lineage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.inputs.batches import BATCH_ROWS, Batches, Unstreamable
from mfprefect.inputs.digest import FrameDigest, frame_digest
from mfprefect.inputs.files import is_path, read_file, without_credentials
from mfprefect.inputs.frames import as_frame
from mfprefect.inputs.parameters import bind, subquery_text
from mfprefect.inputs.sources import Connected, SourceQuery, Sources, named_parameters
from mfprefect.quality.checks import in_database
from mfprefect.quality.checks.result import checks_failed, failures
from mfprefect.util.frames import arrow_stream

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.backend import ArrowRows
    from mfprefect.inputs.query import Query
    from mfprefect.inputs.query_rows import QueryRows
    from mfprefect.quality.checks.base import ModelCheck
    from mfprefect.quality.checks.frame_data import CheckData
    from mfprefect.settings import Settings

__all__ = ["Read", "Reader", "frame_digest", "is_batches"]

log = logging.getLogger(__name__)

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


class _Loaded(NamedTuple):
    """Rows that were read, where they came from, and their digest if it is known."""

    frame: pd.DataFrame
    origin: str
    query: str | None = None
    digest: str | None = None


class Reader:
    """Read frames and report each read to a callback, such as a session's."""

    def __init__(
        self,
        settings: Settings | None = None,
        on_read: Callable[[Read], None] | None = None,
        judge: Callable[[QuerySource, Sequence[ModelCheck]], object] | None = None,
    ) -> None:
        self._sources = Sources(settings)
        self._on_read = on_read
        self._judge = judge or _judge_without_session
        self._reasons: set[tuple[str, str]] = set()
        """Why which sources were read by the driver's rows, so that the log says it once."""
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
        A frame that `read` left unread is read now.
        """
        from mfprefect.inputs.query import QueryFrame, plain

        started = time.perf_counter()
        what = produce()
        if isinstance(what, QueryFrame):
            return plain(what)
        if (last := self._last) is not None and what is last:
            return last
        return self._read_and_record(started, what, None, name, {})

    def _read_and_record(
        self, started: float, what: Any, source: str | None, name: str, params: dict[str, Any]
    ) -> pd.DataFrame:
        if self.lazily and isinstance(what, str) and not is_path(what):
            return self._unread(what, self._sources.name(source), name, params)
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
        loaded = self._load(what, source, name, params)
        return self._record(loaded, time.perf_counter() - started)

    def _record(self, loaded: _Loaded, seconds: float) -> pd.DataFrame:
        frame = loaded.frame
        if self._on_read is not None:
            types = {str(column): str(dtype) for column, dtype in frame.dtypes.items()}
            digest = loaded.digest or frame_digest(frame)
            self._on_read(Read(loaded.origin, loaded.query, len(frame), types, digest, seconds))
        self._last = frame
        return frame

    def _load(self, what: Any, source: str | None, name: str, params: dict[str, Any]) -> _Loaded:
        import pandas as pd

        if isinstance(what, Path) or (isinstance(what, str) and is_path(what)):
            _require_no_source(source, f"the file {without_credentials(str(what))}")
            file = read_file(str(what), params)
            return _Loaded(file, without_credentials(str(what))[:255])
        if isinstance(what, str):
            self.source = self._sources.name(source)
            return self._read_sql(what, self.source, params)
        if (frame := _frame(what)) is not None:
            kind = f"a {type(what).__name__}"
            _require_no_source(source, kind)
            if params:
                raise InvalidValue(
                    f"{kind} takes no keywords, but {', '.join(params)} was passed; they are for "
                    "files and for parameters of SQL text."
                )
            return _Loaded(frame, name)
        if is_batches(what):
            pieces = [self._load(_piece(piece), source, name, params).frame for piece in what]
            joined = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame()
            return _Loaded(joined, name)
        cure = " Make a frame of it: pandas.DataFrame(..)." if hasattr(what, "__len__") else ""
        raise InvalidValue(f"cannot read a {type(what).__name__}; pass {TAKEN}.{cure}")

    def _check(
        self, what: Any, source: str | None, checks: list[ModelCheck], params: dict[str, Any]
    ) -> None:
        from mfprefect.inputs.sql_data import SourceData

        if not isinstance(what, str) or is_path(what):
            raise InvalidValue(
                "checks of a read are computed by a database: pass SQL text, or list them in the "
                "model's checks."
            )
        source_name = self._sources.name(source)
        with self._sources.connected(source_name) as (connection, _):
            native = connection.dialect.supports_native_decimal
            text, values = bind(subquery_text(what), params, native_decimal=native)

            def ask(compared: Collection[str]) -> CheckData:
                return SourceData(connection, text, values, compared=compared, source=source_name)

            with named_parameters(values):
                self._judge(ask, checks)

    def connect(self, source: str) -> None:
        """Open a connection to a source and close it again; read and write nothing.

        Raises:
            DatabaseError: the source says no; the text holds no secret.
            BackendNotFound: its dialect or driver is not installed.
        """
        self._sources.connect(source)

    @contextmanager
    def connected(self, source: str) -> Iterator[Connected]:
        """Yield a connection to a source, with its backend.

        Raises:
            ConfigurationError: there is no such source.
            DatabaseError: the source says no; the text holds no secret.
        """
        with self._sources.connected(self._sources.name(source)) as connected:
            yield connected

    @contextmanager
    def query_rows(self, query: Query) -> Iterator[QueryRows]:
        """Yield the rows of a query where they are: in a snapshot of the database of its source.

        Raises:
            DatabaseError: the source says no; the text holds no secret.
            InvalidValue: the query has no such parameter.
        """
        from mfprefect.inputs.query_rows import QueryRows

        with self.connected(query.source) as (connection, backend), named_parameters(query.params):
            if backend is not None:
                backend.begin_snapshot(connection)
            yield QueryRows(connection, backend, query)

    def frame_of(self, piece: Any) -> pd.DataFrame:
        """Return one of the frames or Arrow batches that `read` takes an iterable of."""
        return self._load(_piece(piece), None, "frame", {}).frame

    def record(self, read: Read) -> None:
        """Report a read that was not done by this object."""
        if self._on_read is not None:
            self._on_read(read)

    @contextmanager
    def batches(
        self, what: Any, source: str | None = None, *, rows: int = BATCH_ROWS, **params: Any
    ) -> Iterator[Batches]:
        """Yield what `read` would return as Arrow batches, which arrive while one iterates.

        The rows of SQL text arrive as the database sends them, so that memory does not grow with
        them; where the database or a column's type has no such way, and of all that is not SQL
        text, all rows are read first, and `whole` of the batches says why. `as_frame` of
        `mfprefect.inputs.frames` makes a frame of a batch. The read is reported to the callback
        when the last batch has been taken.

        Args:
            what: as for `read`.
            source: for SQL text: the source.
            rows: how many rows a batch has.
            params: as for `read`.

        Raises:
            InvalidValue: as `read`, or `rows` is not positive.
            Unstreamable: while iterating, if a row does not fit the types of the batches; start
                over with `read`.
        """
        if rows < 1:
            raise InvalidValue(f"rows={rows}: a batch has at least one row.")
        started = time.perf_counter()
        if not isinstance(what, str) or is_path(what):
            frame = self._read_now(started, what, source, "frame", params)
            yield Batches.of_frame(frame, "it is no SQL text")
            return
        with self.query_batches(what, self._sources.name(source), params, rows) as batches:
            yield batches

    @contextmanager
    def query_batches(
        self, what: str, name: str, params: Mapping[str, Any], rows: int
    ) -> Iterator[Batches]:
        """Yield what `batches` does, of SQL text for a source; parameters may have any name."""
        self.source, started = name, time.perf_counter()
        with self._sources.opened(name) as connected:
            with self._sources.errors(name):
                query = SourceQuery(connected.connection, what, params)
                arrow = self._begin(connected, query, name)
                if isinstance(arrow, str):
                    loaded = _Loaded(query.rows(), name, what)
            if isinstance(arrow, str):
                self._record(loaded, time.perf_counter() - started)
                yield Batches.of_frame(loaded.frame, arrow)
                return

            def record(digest: FrameDigest, seconds: float) -> None:
                if self._on_read is not None:
                    totals = digest.rows, digest.columns, digest.hexdigest(), seconds
                    self._on_read(Read(name, what, *totals))

            with closing(arrow.batches):
                batches, spent = self._named(arrow.batches, name), time.perf_counter() - started
                yield Batches(arrow.schema, batches, record, rows=rows, seconds=spent)

    def _named(self, batches: Iterator[pa.RecordBatch], source: str) -> Iterator[pa.RecordBatch]:
        with self._sources.errors(source):
            yield from batches

    def _begin(self, connected: Connected, query: SourceQuery, source: str) -> ArrowRows | str:
        """Begin to read as Arrow, or return why not; say that once in the log."""
        arrow = query.begin(connected.backend)
        if isinstance(arrow, str) and (source, arrow) not in self._reasons:
            self._reasons.add((source, arrow))
            log.info("source %r is read by the rows of its driver, because %s.", source, arrow)
        return arrow

    def _read_sql(self, text: str, source: str, params: dict[str, Any]) -> _Loaded:
        with self._sources.connected(source) as connected:
            query = SourceQuery(connected.connection, text, params)
            arrow = self._begin(connected, query, source)
            if isinstance(arrow, str):
                return _Loaded(query.rows(), source, text)
            try:
                return _whole(arrow, source, text)
            except Unstreamable as exc:
                log.info("source %r is read a second time, because %s.", source, exc)
        with self._sources.connected(source) as connected:
            return _Loaded(SourceQuery(connected.connection, text, params).rows(), source, text)


def _whole(arrow: ArrowRows, source: str, text: str) -> _Loaded:
    import pyarrow as pa

    digest, tables = FrameDigest(arrow.schema), []
    with closing(arrow.batches):
        for batch in arrow.batches:
            if batch.schema == arrow.schema:
                digest.update(batch)
            tables.append(pa.Table.from_batches([batch]))
    if digest.rows == sum(table.num_rows for table in tables):
        table = pa.concat_tables(tables) if tables else arrow.schema.empty_table()
        return _Loaded(as_frame(table), source, text, digest.hexdigest())
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as exc:
        raise Unstreamable("a column holds values of several types") from exc
    return _Loaded(as_frame(table), source, text)


def _frame(what: Any) -> pd.DataFrame | None:
    """Return a frame of any library as one of pandas; None if it is no frame."""
    import pandas as pd

    if isinstance(what, pd.DataFrame):
        return what
    stream = arrow_stream(what)
    return None if stream is None else stream.read_all().to_pandas()


def is_batches(what: Any) -> bool:
    """Return whether it is an iterable whose items may be frames or Arrow batches."""
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


def _piece(piece: Any) -> Any:
    if isinstance(piece, str):
        raise InvalidValue(
            f"a batch cannot be the text {piece[:60]!r}; pass frames or Arrow batches."
        )
    return piece
