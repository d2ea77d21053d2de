"""Rows with numbers of several scales, NULLs, and categories that a database may confuse."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["FEATURES", "HOSTILE", "frame", "special_rows", "targets"]

NUMBERS = ["height", "income", "balance", "Age in years"]
GAPS = ["visits", "rate"]
FEATURES = [*NUMBERS, *GAPS, "orders", "color", "place", "grade", "member"]
"""Doubles, doubles with NULL, integers, texts, texts with NULL, numeric categories, booleans."""
COLORS = ["red", "Red", "red ", "blue", "green"]
HOSTILE = ["it's", 'a "b"', "back\\slash", "\\'; DROP TABLE t; --", "100%s", ":name", "é€", "?"]


def frame(count: int, seed: int = 0) -> pd.DataFrame:
    """Return rows with an `id` and the features."""
    rng = np.random.default_rng(seed)
    missing = rng.random((count, 3)) < [0.1, 0.3, 0.2]
    rows = pd.DataFrame(
        {
            "id": [f"c{number:05}" for number in range(count)],
            "height": rng.normal(1.7, 0.1, count),
            "income": rng.lognormal(10, 1, count),
            "balance": rng.normal(0, 1000, count).round(2),
            "Age in years": rng.integers(18, 90, count).astype(float),
            "visits": np.where(missing[:, 0], np.nan, rng.normal(3, 2, count)),
            "rate": np.where(missing[:, 1], np.nan, rng.random(count)),
            "orders": rng.integers(-3, 50, count),
            "color": rng.choice(COLORS, count),
            "place": rng.choice(HOSTILE, count),
            "grade": rng.choice([1.0, 2.0, 2.5], count),
            "member": rng.random(count) < 0.4,
        }
    )
    rows["place"] = rows["place"].where(~missing[:, 2], None)
    return rows


def targets(rows: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Return targets: `binary`, `multiclass` (texts), `codes` of these, `regression`, `count`."""
    rng = np.random.default_rng(seed)
    signal = (
        (rows["height"] - 1.7) * 10
        + np.log(rows["income"]) / 3
        + rows["balance"] / 1000
        + rows["visits"].fillna(5) / 4
        + rows["rate"].fillna(-1)
        + rows["orders"] / 25
        + rows["color"].map({"red": 1.0, "Red": -1.0, "red ": 0.5}).fillna(0)
        + rows["place"].map({"it's": 1.0, ":name": -1.0}).fillna(0.3)
        + rows["grade"] / 3
        + rng.normal(0, 0.7, len(rows))
    )
    names = np.array(["high", "low", "it's mid"], dtype=object)
    return pd.DataFrame(
        {
            "binary": (signal > signal.median()).astype(int),
            "multiclass": names[np.digitize(signal, signal.quantile([0.3, 0.7]))],
            "codes": np.digitize(signal, signal.quantile([0.3, 0.7])),
            "regression": signal,
            "count": rng.poisson(np.exp((signal - signal.mean()) / 3)).astype(float) + 0.5,
        }
    )


def special_rows(rows: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    """Return rows with NULL, an infinity or an unseen category in a column that may have them."""
    special: list[pd.DataFrame] = []
    for name in features:
        kind = rows[name].dtype.kind
        if kind in "ib":
            continue
        for value in (None, np.inf, -np.inf) if kind == "f" else (None, "new", "", "RED", "red  "):
            row = rows.iloc[[len(special) % len(rows)]].copy()
            row[name] = pd.Series([value], row.index, dtype=rows[name].dtype)
            special.append(row)
    return pd.concat(special, ignore_index=True) if special else rows[:0]
