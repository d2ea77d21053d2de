"""Which entities a model is tested on: decided by their ids alone, for ever the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_test", "split"]


def is_test(entity_id: Any, share: float) -> bool:
    """Return whether an entity is held out: its id's SHA-256, as a fraction, is below `share`.

    The first eight bytes of the digest are read as a big-endian integer over 2**64, which any
    database or language can repeat.
    """
    first = hashlib.sha256(str(entity_id).encode()).digest()[:8]
    return int.from_bytes(first, "big") / 2**64 < share


def split(frame: pd.DataFrame, entity_id: str, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to learn from and the rows to test on.

    Raises:
        InvalidValue: one of the two is empty.
    """
    import pandas as pd

    held_out = pd.Series([is_test(value, share) for value in frame[entity_id]], frame.index, bool)
    learn, test = frame[~held_out], frame[held_out]
    if learn.empty or test.empty:
        raise InvalidValue(
            f"{len(frame)} rows give {len(learn)} to learn from and {len(test)} to test on with "
            f"test_share = {share}; more rows or another share are needed."
        )
    return learn, test
