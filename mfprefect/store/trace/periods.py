"""When a score was the newest of its entity, and until when its session was the current one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

__all__ = ["Period", "Publication", "Window", "periods", "window"]

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Publication:
    """Scores of a session that readers could see."""

    session_no: int
    session_id: str
    day: dt.date
    """Of the data."""
    published_at: dt.datetime
    deleted_at: dt.datetime | None = None

    @property
    def rank(self) -> tuple[dt.date, dt.datetime, int]:
        """The order of `mfprefect.schema.newest_first`: newer ones are larger."""
        return self.day, self.published_at, self.session_no


@dataclass(frozen=True)
class Period:
    """When a score was the newest."""

    newest_from: dt.datetime | None
    newest_until: dt.datetime | None
    replaced_by: str | None
    current_until: dt.datetime | None


@dataclass(frozen=True)
class Window:
    """The time that a trace is of: an instant if both ends are equal, else without its end."""

    start: dt.datetime
    end: dt.datetime

    def meets(self, start: dt.datetime, end: dt.datetime | None) -> bool:
        """Return whether a period from `start` to before `end` was in it."""
        begun = start <= self.start or start < self.end
        return begun and (end is None or end > self.start)


def window(on: dt.date | None) -> Window | None:
    """Return the time of a day in UTC, or of an instant."""
    if on is None:
        return None
    if isinstance(on, dt.datetime):
        return Window(on, on)
    start = dt.datetime.combine(on, dt.time(), dt.UTC)
    return Window(start, start + _DAY)


def periods(publications: Iterable[Publication], scored: Collection[int]) -> dict[int, Period]:
    """Return the period of each session in `scored`, which have a score of the entity.

    Args:
        publications: all of the model, also those whose scores were deleted since.
        scored: numbers of sessions; their scores are there.
    """
    order = sorted(publications, key=lambda p: (p.published_at, p.session_no))
    newest = _newest([p for p in order if p.session_no in scored])
    current = _newest(order)
    return {
        p.session_no: Period(*newest[p.session_no], _until(p, current[p.session_no]))
        for p in order
        if p.session_no in scored
    }


_Newest = tuple[dt.datetime | None, dt.datetime | None, str | None]
"""From, until, and the session that came then; None, None, None if it never was the newest."""


def _newest(order: Iterable[Publication]) -> dict[int, _Newest]:
    """Return when each publication had the highest rank, given in the order of publication."""
    result: dict[int, _Newest] = {}
    last: Publication | None = None
    for publication in order:
        if last is not None and publication.rank < last.rank:
            result[publication.session_no] = (None, None, None)
            continue
        if last is not None:
            until = (last.published_at, publication.published_at, publication.session_id)
            result[last.session_no] = until
        result[publication.session_no] = (publication.published_at, None, None)
        last = publication
    return result


def _until(publication: Publication, current: _Newest) -> dt.datetime | None:
    return publication.published_at if current[0] is None else current[1]
