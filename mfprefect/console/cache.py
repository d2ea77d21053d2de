"""What was rendered of sealed sessions, which do not change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

__all__ = ["Rendered"]


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
