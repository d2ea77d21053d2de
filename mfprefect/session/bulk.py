"""Models and scores: too large for the buffer, written at once in their own transactions."""

from __future__ import annotations

import numbers
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mfprefect.artifacts.extras import EXTRAS, Extras
from mfprefect.artifacts.files import FOLDER
from mfprefect.errors import InvalidValue
from mfprefect.session.base import RecorderBase
from mfprefect.session.partitions import Columns, write_partitions
from mfprefect.store import artifacts
from mfprefect.util import values
from mfprefect.util.spark import is_spark

if TYPE_CHECKING:
    from mfprefect.scores.sorting import SortedScores

__all__ = ["BulkMixin"]

LAST_PART = 2**31


class BulkMixin(RecorderBase):
    """Writes models and scores."""

    def save_model(
        self,
        estimator: Any,
        name: str = artifacts.MODEL,
        *,
        format: str | None = None,
        trusted_types: Collection[str] = (),
    ) -> None:
        """Store a model in chunks, with its digest; replace one of the same name.

        Args:
            estimator: a scikit-learn estimator (stored as skops), or bytes or the path of a file
                that holds a model of another language; or `Model.storable(estimator)`.
            name: the name to load it by; `file/` at its start is for files.
            format: `pickle` for anything else; loading that needs `trusted=True`.
            trusted_types: type names allowed in the model, besides those of the settings.

        Raises:
            ArtifactUntrusted: the model contains a type that is not allowed.
        """
        checked = values.name(name, "the artifact's name")
        if checked.startswith(FOLDER):
            raise InvalidValue(
                f"the artifact's name {name!r} begins as that of a file; store a file with "
                "session.log_file, or choose another name for the model."
            )
        self._require_running()
        self._destination.save_model(
            checked,
            estimator,
            format,
            {*values.names(trusted_types, "trusted_types"), *self._db.settings.trusted_types},
        )

    def save_extras(self, extras: Mapping[str, Any]) -> None:
        """Store what a model needs beside its estimator; `Store.load_extras` returns it.

        Args:
            extras: by name: values that JSON can hold, pandas frames and series, numpy arrays and
                bytes. They are stored like a model, with digest and signature, and without pickle.

        Raises:
            ConfigurationError: a value would not come back as it is.
        """
        self.save_model(Extras(extras), EXTRAS)

    def write_scores(
        self,
        data: Any,
        entity_id: str,
        score: str = "score",
        score_class: str | None = None,
        *,
        part: int | None = None,
    ) -> int:
        """Write scores, each part in one transaction; return the number of rows.

        Nobody can read them until the session succeeds.

        Args:
            data: a frame (pandas, polars, pyarrow, duckdb), a dict of columns, the path of a
                Parquet file, or an iterable of these; split into parts of 100,000 rows. Or a
                Spark DataFrame, whose executors write each partition as a part.
            entity_id: the column of ids: text or integers, unique in the session.
            score: the column of scores: finite numbers.
            score_class: the column of classes, if any.
            part: write all data as the part of this number, from 1, holding it in memory; by
                default, each part takes the next free number.

        Raises:
            InvalidScores: a value cannot be stored exactly; nothing of its part was written. In a
                large session, an entity in two parts may only be detected by `close`.
        """
        from mfprefect import scores

        if is_spark(data):
            if part is not None:
                raise InvalidValue(
                    f"part={part!r}: each partition of a Spark DataFrame is a part of its own; "
                    "leave `part` out."
                )
            return self._write_partitions(data, Columns(entity_id, score, score_class))
        chunks = scores.all_pieces(data, entity_id, score, score_class)
        if part is None:
            return self._write_parts(chunks)
        integer = isinstance(part, numbers.Integral) and not isinstance(part, bool)
        if not integer or not 1 <= part < LAST_PART:
            raise InvalidValue(f"the part is {part!r}; parts are numbered from 1.")
        rows = self._write_part(part, scores.joined(chunks, entity_id))
        self._buffer.reserve_number("part", part)
        return rows

    def _write_parts(self, chunks: Iterator[Any]) -> int:
        """Write each chunk as a part, while the caller's thread prepares the next one."""
        writers, rows = self._db.backend.writers, 0
        next_part = self._buffer.next_part
        if not writers:
            return sum(self._write_part(next_part(), chunk) for chunk in chunks)
        writes: deque[Future[int]] = deque()
        with ThreadPoolExecutor(writers, "mfprefect-scores") as pool:
            for chunk in chunks:
                if len(writes) == writers:
                    rows += writes.popleft().result()
                writes.append(pool.submit(self._write_part, next_part(), chunk))
            return rows + sum(write.result() for write in writes)

    def _write_part(self, part: int, table: Any) -> int:
        from mfprefect.scores.sorting import SortedScores

        return self._write_sorted(part, SortedScores.of(table))

    def _write_sorted(self, part: int, scores: SortedScores) -> int:
        self._require_running()
        self._destination.write_part(part, scores)
        return scores.num_rows

    def insert_scores(
        self,
        select: Any,
        names: tuple[str, str, str],
        *,
        part: int,
        verify: Callable[[Any], object] | None = None,
        session_rows: int = 0,
    ) -> Any | None:
        """Write a part that the session's database computes; return its scores, sorted.

        What `verify` adds to the session is written in the same transaction.

        Args:
            select: of `entity_id`, `score` and perhaps `score_class`.
            names: what errors call id, score and class.
            part: the number of the part.
            verify: gets the scores before they are kept; what it raises undoes them. It may be
                called again if the transaction has to be repeated.
            session_rows: about how many rows all parts have, if that is known.

        Returns:
            An Arrow table with the columns of `mfprefect.scores.SCHEMA`; None if nothing was
            written because writes go to the spool.

        Raises:
            InvalidScores: an id or a score is none that scores may have; nothing was written.
            DatabaseError: the database refuses the statement or a row.
        """
        self._require_running()
        with self._buffer.written_by() as pending:
            table = self._destination.insert_part(
                part, select, names, verify, pending, session_rows
            )
        if table is not None:
            self._buffer.reserve_number("part", part)
        return table

    def _write_partitions(self, frame: Any, columns: Columns) -> int:
        """Let Spark's executors write each partition of a frame as a part."""
        self._require_running()
        with self._buffer.part_lock:
            before = self._buffer.last_part()
            rows, last = write_partitions(self._db, self._destination, frame, columns, before)
            self._buffer.reserve_number("part", last)
        return rows

    def keep_part(self, part: int) -> int | None:
        """Keep a part that an earlier attempt completed; return its rows, None if incomplete."""
        self._require_running()
        rows = self._destination.keep_part(part)
        if rows is not None:
            self._buffer.reserve_number("part", part)
        return rows

    def parts(self) -> tuple[dict[int, int], bool]:
        """Return the number of rows by part of scores, and whether that is complete.

        It is incomplete while the database, which may hold other parts, is away.
        """
        return self._destination.parts()

    @property
    def spool_place(self) -> str:
        """The spool folder that writes go to; empty while they go to the database."""
        return self._destination.spool_folder

    @property
    def spool_receipt(self) -> str:
        """The path of a file in the spool, for `require_spooled`; empty if nothing was spooled."""
        return self._destination.spool_receipt

    def require_spooled(self, receipt: str) -> None:
        """Make sure that this process, which delivers the spool, sees what a worker spooled.

        Args:
            receipt: the worker's `spool_receipt`.

        Raises:
            ConfigurationError: the worker's spool is on a disk that this process does not see.
        """
        self._destination.require(receipt)

    def drop_parts(self) -> None:
        """Delete all scores of the session, to write them again from the start."""
        self._require_running()
        self._destination.drop_parts()
