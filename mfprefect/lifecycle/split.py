"""Which entities a model is tested on: decided by their ids, so always the same ones.

A stratified split takes that share of each class, by the order of the same digests: the same rows
are split in the same way, in whichever order they come.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model

__all__ = ["is_test", "split", "split_by_time", "split_rows", "split_rule", "split_stratified"]


def split_rows(
    model: Model | type[Model], frame: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows into those to learn from and those to test on, by entity.

    For a time series with a `period`, the last periods are the test rows; with `stratify`, a share
    of each class. An unsupervised model with a `test_share` of 0 learns from all rows and is tested
    on them.
    """
    if model.model_type == "time_series" and model.period is not None:
        return split_by_time(frame, model.period, model.test_share)
    if model.test_share == 0:
        return _both(frame, frame)
    if model.stratify and model.target is not None:
        return split_stratified(frame, model.entity_id, model.target, model.test_share)
    return split(frame, model.entity_id, model.test_share)


def split_rule(model_class: type[Model]) -> str:
    """Return in words how `split_rows` chooses the test rows of a model."""
    if model_class.model_type == "time_series" and model_class.period is not None:
        return f"the last periods by {model_class.period}"
    if model_class.test_share == 0:
        return "none is held out: all rows are learned from and tested on"
    digest = f"SHA-256 of {model_class.entity_id}, its first 8 bytes as a fraction"
    if model_class.stratify:
        return f"{digest}: of each {model_class.target}, the lowest test_share"
    return f"{digest} below test_share"


def is_test(entity_id: Any, share: float) -> bool:
    """Return whether an entity is held out: its id's SHA-256, as a fraction, is below `share`.

    The fraction is the first eight bytes of the digest as a big-endian integer over 2**64; any
    database or language can reproduce it.
    """
    return _fraction(entity_id) < share


def _fraction(entity_id: Any) -> float:
    first = hashlib.sha256(str(entity_id).encode()).digest()[:8]
    return int.from_bytes(first, "big") / 2**64


def split(frame: pd.DataFrame, entity_id: str, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to learn from and the rows to test on.

    Raises:
        InvalidValue: one of the two is empty.
    """
    import pandas as pd

    held_out = pd.Series([is_test(value, share) for value in frame[entity_id]], frame.index, bool)
    return _both(frame[~held_out], frame[held_out], share)


def split_stratified(
    frame: pd.DataFrame, entity_id: str, target: str, share: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to learn from and the rows to test on, with the same share of each class.

    Of a class with n rows, the max(1, round(share · n)) with the lowest fractions of `is_test` are
    test rows, but never all of them: a class of a single row is learned from. NULL is a class.

    Raises:
        InvalidValue: one of the two is empty.
    """
    import pandas as pd

    ids = frame[entity_id].astype(str)
    rows = pd.DataFrame({"fraction": ids.map(_fraction).to_numpy(), "id": ids.to_numpy()})
    rows["class"] = frame[target].astype(object).map(str, na_action="ignore").to_numpy()
    rows = rows.sort_values(["fraction", "id"])
    by_class = rows.groupby("class", dropna=False, sort=False)["id"]
    size, place = by_class.transform("size"), by_class.cumcount()
    tested = (size * share).round().clip(lower=1).clip(upper=size - 1)
    held_out = (place < tested).sort_index().set_axis(frame.index)
    return _both(frame[~held_out], frame[held_out], share)


def split_by_time(
    frame: pd.DataFrame, period: str, share: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of the first periods and those of the last ⌈share · periods⌉, in order.

    Raises:
        InvalidValue: either is empty, or a row has no period.
    """
    frame = frame.sort_values(period, kind="stable")
    if n := int(frame[period].isna().sum()):
        raise InvalidValue(f"{n} rows have no {period!r}; a time series needs each row's time.")
    periods = frame[period].unique()
    first = periods[-math.ceil(len(periods) * share) :][:1]
    held_out = frame[period] >= first[0] if len(first) else frame[period].isna()
    return _both(frame[~held_out], frame[held_out], share)


def _both(
    learn: pd.DataFrame, test: pd.DataFrame, share: float = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if learn.empty or test.empty:
        raise InvalidValue(
            f"{len(learn) + len(test)} rows give {len(learn)} to learn from and {len(test)} to "
            f"test on with test_share = {share}; use more rows or another share."
        )
    return learn, test
