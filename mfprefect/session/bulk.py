"""What a run writes at once, in transactions of its own: models and scores."""

from __future__ import annotations

import numbers
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mfprefect.errors import InvalidValue
from mfprefect.session.buffer import RowBuffer
from mfprefect.store import artifacts
from mfprefect.util import values

__all__ = ["BulkMixin"]

LAST_PART = 2**31


class BulkMixin(RowBuffer):
    """Takes what is too large for a buffer."""

    def save_model(
        self,
        estimator: Any,
        name: str = artifacts.MODEL,
        *,
        format: str | None = None,
        trusted_types: Collection[str] = (),
    ) -> None:
        """Store a model in chunks, with its digest; one of the same name is replaced.

        Args:
            estimator: a scikit-learn estimator (stored as skops), or bytes or the path of a file
                that holds a model of another language.
            name: what to load it by.
            format: `pickle` for anything else; loading that needs `trusted=True`.
            trusted_types: type names allowed in the blob, beside the setting's.

        Raises:
            ArtifactUntrusted: the blob would hold a type that is not allowed.
        """
        self._require_running()
        self._destination.save_model(
            values.name(name, "the artifact's name"),
            estimator,
            format,
            {*trusted_types, *self._db.settings.trusted_types},
        )

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

        They can be read when the session has ended well, and not before.

        Args:
            data: a DataFrame, an Arrow table, the path of a Parquet file, or an iterable of
                frames, tables or record batches; a part is made of each 100,000 rows.
            entity_id: the column of ids: text or integers, unique in the session.
            score: the column of scores: finite numbers.
            score_class: the column of classes, if there is one.
            part: the number of the part, which is held in memory and written whole; by default
                numbers that are free.

        Raises:
            InvalidScores: something would not be stored exactly; nothing of the part was written.
                That two parts of a large session hold the same entity may be found only when it
                is closed.
        """
        from mfprefect import scores

        pieces = scores.all_pieces(data, entity_id, score, score_class)
        if part is None:
            return self._write_parts(pieces)
        whole = isinstance(part, numbers.Integral) and not isinstance(part, bool)
        if not whole or not 1 <= part < LAST_PART:
            raise InvalidValue(f"the part is {part!r}; parts are numbered from 1.")
        rows = self._write_part(part, scores.joined(pieces, entity_id))
        self._reserve_number("part", part)
        return rows

    def _write_parts(self, pieces: Iterator[Any]) -> int:
        """Write each piece as a part, while the caller's thread prepares the next one."""
        writers, rows = self._db.backend.writers, 0
        if not writers:
            return sum(self._write_part(self._next_number("part"), piece) for piece in pieces)
        written: deque[Future[int]] = deque()
        with ThreadPoolExecutor(writers, "mfprefect-scores") as pool:
            for piece in pieces:
                if len(written) == writers:
                    rows += written.popleft().result()
                written.append(pool.submit(self._write_part, self._next_number("part"), piece))
            return rows + sum(future.result() for future in written)

    def _write_part(self, part: int, table: Any) -> int:
        self._require_running()
        self._destination.write_part(part, table)
        return int(table.num_rows)

    def keep_part(self, part: int) -> int | None:
        """Keep a part that an earlier attempt wrote completely; return its rows, None if none."""
        self._require_running()
        rows = self._destination.keep_part(part)
        if rows is not None:
            self._reserve_number("part", part)
        return rows

    def parts(self) -> tuple[dict[int, int], bool]:
        """Return the rows of each part of scores that the session has.

        And whether that is certain: parts in a database that is away are not known.
        """
        return self._destination.parts()

    @property
    def spool_place(self) -> str:
        """The folder of the spool that writes go to, empty where the database takes them."""
        return self._destination.spool_folder

    @property
    def spool_receipt(self) -> str:
        """What `require_spooled` of the run's own process asks for; empty if nothing was spooled.

        It is the path of a file in the spool.
        """
        return self._destination.spool_receipt

    def require_spooled(self, receipt: str) -> None:
        """Make sure that what a worker spooled is seen by this process, which delivers it.

        Raises:
            ConfigurationError: the worker's spool is on another disk.
        """
        self._destination.require(receipt)

    def drop_parts(self) -> None:
        """Delete all scores of the session: it begins to write them anew."""
        self._require_running()
        self._destination.drop_parts()
