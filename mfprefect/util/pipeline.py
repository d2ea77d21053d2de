"""Stages of a pipeline in threads: each takes what the one before hands over, a few items ahead.

Errors of a thread are raised in the thread that uses it. Leaving a block ends its thread, also
after an error or an interrupt. Threads have the context variables of the thread that made them.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

__all__ = ["AHEAD", "Prefetched", "Sink"]

T = TypeVar("T")
AHEAD = 2
"""How many items wait between two stages."""
WAKE_SECONDS = 0.5
"""How often a waiting thread looks up, for an exception that another thread raised in it."""


class _Stopped(Exception):
    """The other end of the channel will take no more, or give no more."""


class _Channel(Generic[T]):
    """Hands items from one thread to another."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        with self._changed:
            self._wait(lambda: len(self._items) < AHEAD or self._stopped)
            if self._stopped:
                raise _Stopped
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Return the next item; raise what the other end failed with, or _Stopped at the end."""
        with self._changed:
            self._wait(lambda: bool(self._items) or self._ended or self._stopped)
            if self._items and not self._stopped:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
        if self._error is not None:
            raise self._error
        raise _Stopped

    def end(self, error: BaseException | None = None) -> None:
        """Say that no item follows."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Say that nobody takes an item any more."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool]) -> None:
        while not self._changed.wait_for(ready, WAKE_SECONDS):
            pass


class _Stage:
    """A thread that runs in a copy of the context, and ends with the block."""

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._run,), name=name, daemon=True
        )
        self._channel: _Channel[Any] = _Channel()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.stop()
        self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError


class Prefetched(_Stage, Generic[T]):
    """Iterates over what a generator yields, which runs ahead in a thread.

    The thread makes, runs and closes the generator: what it opens never changes its thread.
    """

    def __init__(self, make: Callable[[], Generator[T] | Iterator[T]], name: str) -> None:
        super().__init__(name)
        self._make = make

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self._channel.get()
            except _Stopped:
                return
            yield item

    def _run(self) -> None:
        error: BaseException | None = None
        items = self._make()
        try:
            for item in items:
                self._channel.put(item)
        except _Stopped:
            pass
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that iterates
            error = exc
        try:
            if isinstance(items, Generator):
                items.close()
        except BaseException as exc:  # noqa: BLE001 - as above
            error = error or exc
        self._channel.end(error)


class Sink(_Stage, Generic[T]):
    """Calls a function with one item after another, in a thread."""

    def __init__(self, work: Callable[[T], object], name: str) -> None:
        super().__init__(name)
        self._work = work
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Hand over an item; raise what the function has raised for an earlier one."""
        try:
            self._channel.put(item)
        except _Stopped:
            raise self._error or AssertionError("the block was left") from None

    def finish(self) -> None:
        """Wait until all items are done; raise what the function has raised."""
        self._channel.end()
        while self._thread.is_alive():
            self._thread.join(WAKE_SECONDS)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while True:
                self._work(self._channel.get())
        except _Stopped:
            pass
        except BaseException as exc:  # noqa: BLE001 - raised again by `put` or `finish`
            self._error = exc
            self._channel.stop()
