"""The data that two models need: their features and sources, and what is registered of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.store.database import Database
from mfprefect.store.results.frames import of_sessions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["needs_frame"]

FEATURES = ("model", "features")
"""Metadata group and name: the columns that a model was fitted on, as JSON."""
NAMES = ["kind", "name", "needed_by", "type", "null_share", "in_data", "registry"]
ORDER = ("candidate", "production", "both")


def needs_frame(
    db: Database,
    production: str | None,
    candidate: str,
    null_shares: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the features and sources of both models; what the candidate alone needs comes first.

    Args:
        db: the database.
        production: the training session in production, None if there is none.
        candidate: the other training session.
        null_shares: the share of NULL in each column of today's data, if that is known.
    """
    import pandas as pd

    now = _needs(db, candidate)
    before: dict[tuple[str, str], str | None] = {} if production is None else _needs(db, production)
    registry, rows = _registry(db), []
    for need in dict.fromkeys([*now, *before]):
        needed_by = "both" if need in now and need in before else ORDER[need not in now]
        row: dict[str, Any] = dict(zip(NAMES, (*need, needed_by), strict=False))
        row["type"] = now.get(need) or before.get(need)
        if need[0] == "feature":
            row["registry"] = registry.get(need[1])
            if null_shares is not None:
                row |= {"null_share": null_shares.get(need[1]), "in_data": need[1] in null_shares}
        rows.append(row)
    rows.sort(key=lambda row: ORDER.index(row["needed_by"]))
    frame = pd.DataFrame(rows, columns=NAMES, dtype=object)
    frame = frame.where(frame.notna(), None)
    return frame.astype({"null_share": "float64"})


def _needs(db: Database, session_id: str) -> dict[tuple[str, str], str | None]:
    """Return the kind and name of what a training needed, with the type of each feature."""
    summary = of_sessions(db, "input_summary", (session_id,))
    types = {
        str(name): json.loads(text).get("kind") if isinstance(text, str) else None
        for name, text in zip(summary["variable"], summary["bin_counts"], strict=True)
    }
    metadata = of_sessions(db, "session_metadata", (session_id,))
    keys = zip(metadata["meta_group"], metadata["meta_name"], strict=True)
    text = dict(zip(keys, metadata["value"], strict=True)).get(FEATURES)
    # A session that recorded no features, such as one of a command, may have a summary.
    features = list(types) if text is None else json.loads(text)
    inputs = of_sessions(db, "inputs", (session_id,))
    return {("feature", str(name)): types.get(str(name)) for name in features} | {
        ("source", str(name)): None for name in inputs["source"]
    }


def _registry(db: Database) -> dict[str, str]:
    """Return what the registry of input columns says, by name of the column."""
    c = db.schema.input_columns.c
    select = sa.select(c.schema_name, c.table_name, c.column_name, c.valid, c.test)
    texts: dict[str, list[str]] = {}
    for schema, table, column, valid, test in db.fetch_all(
        select.order_by(*select.selected_columns)
    ):
        word = "not valid" if not valid else "only for tests" if test else "valid"
        place = f"{schema}.{table}" if schema else table
        texts.setdefault(column, []).append(f"{place}: {word}")
    return {column: "; ".join(entries) for column, entries in texts.items()}
