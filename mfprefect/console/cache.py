"""What requests share: what was rendered of sealed sessions, and the state of all models."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Fresh", "Rendered"]

T = TypeVar("T")


class Fresh(Generic[T]):
    """A value that is made anew when it is older than some seconds; one request makes it for all.

    Args:
        seconds: how old it may be.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._made: tuple[float, T] | None = None

    def get(self, make: Callable[[], T]) -> T:
        """Return the value, made by `make()` if it is missing or too old."""
        with self._lock:
            if self._made is None or time.monotonic() - self._made[0] > self._seconds:
                self._made = time.monotonic(), make()
            return self._made[1]

    def clear(self) -> None:
        """Make it anew at the next request: somebody changed what it is made of."""
        with self._lock:
            self._made = None


class Rendered:
    """The texts that were read last."""

    MOST_BYTES = 32 * 1024 * 1024

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[Any, ...], str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...]) -> str | None:
        """Return the text of a key, None if it is not here."""
        with self._lock:
            if key in self._texts:
                self._texts.move_to_end(key)
            return self._texts.get(key)

    def put(self, key: tuple[Any, ...], text: str) -> None:
        """Keep a text; forget those that nobody read for the longest time."""
        with self._lock:
            self._texts[key] = text
            while len(self._texts) > 1 and sum(map(len, self._texts.values())) > self.MOST_BYTES:
                self._texts.popitem(last=False)
