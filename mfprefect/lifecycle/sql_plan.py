"""Which way a scoring may go, in SQL or in Python, and what its session records of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.sql_proof import Proof, compiled_model, proof_of_training
from mfprefect.lifecycle.sql_reasons import class_reason
from mfprefect.sql_scoring import CompiledModel, NotCompilable

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = [
    "SqlPlan",
    "in_python",
    "log_ways",
    "not_in_sql",
    "plan_of_spark",
    "plan_scoring",
    "refusal",
]

GROUP = "scoring"
"""Metadata group: which way a scoring went, and why."""
OF_SPARK = "scoring_data returned a Spark DataFrame, whose executors score"


@dataclass(frozen=True)
class SqlPlan:
    """Whether the parts of a scoring may be computed by databases."""

    mode: str
    """`auto`, `python` or `sql`."""
    reason: str | None = None
    """Why no part may; None: each finds out."""
    proof: Proof | None = None
    """That of the training."""
    compiled: CompiledModel | None = None
    """The estimator in SQL, compiled once for all parts; None if no part needs it."""

    @property
    def lazy(self) -> bool:
        """Whether queries of scoring_data stay unread at first."""
        return self.mode != "python" and self.reason is None

    @property
    def way(self) -> dict[str, Any]:
        """The way of each part if none may; empty if the class asks for Python."""
        return {} if self.mode == "python" else in_python(str(self.reason))


def in_python(reason: str) -> dict[str, Any]:
    """Return the way of a part that needs Python."""
    return {"way": "python", "reason": reason}


def plan_scoring(
    store: Store, model_class: type[Model], training: str, features: list[str], estimator: Any
) -> SqlPlan:
    """Find out whether a model's scores can be computed in SQL; nothing is read for it.

    Raises:
        ConfigurationError: they cannot, and the class asks for SQL.
    """
    mode = model_class.scoring
    if mode == "python":
        return SqlPlan(mode)
    proof = proof_of_training(store, training)
    reason = class_reason(model_class, store.database.settings) or (proof and proof.reason)
    compiled = None
    if reason is None:
        try:
            compiled = compiled_model(model_class, estimator, features)
        except NotCompilable as exc:
            reason = str(exc)
    if reason is not None and mode == "sql":
        raise not_in_sql(model_class, reason)
    return SqlPlan(mode, reason, proof, compiled)


def plan_of_spark(model_class: type[Model]) -> SqlPlan:
    """Return the plan of a Spark DataFrame, whose executors need Python.

    Raises:
        ConfigurationError: the class asks for SQL.
    """
    if model_class.scoring == "sql":
        raise not_in_sql(model_class, OF_SPARK)
    return SqlPlan(model_class.scoring, OF_SPARK)


def not_in_sql(model_class: type[Model], reason: str) -> ConfigurationError:
    """Return the error of a class that asks for SQL."""
    return ConfigurationError(
        f'{model_class.__name__} has scoring = "sql", and its scores cannot be computed in SQL: '
        f'{reason}. Change that, or set scoring = "auto", which computes them in Python.'
    )


def refusal(model_class: type[Model]) -> str:
    """Return the error of a scoring_data that looks at rows which must stay in their database."""
    return str(not_in_sql(model_class, "scoring_data works on the frame that it read"))


def log_ways(session: Session, ways: Sequence[Mapping[str, Any]]) -> None:
    """Record which way the parts went, those of earlier attempts too, and why.

    Args:
        session: the session.
        ways: of each part: `way` and what goes with it, `reading` if Python read its rows.
    """
    entry: dict[str, Any] = {}
    if any("way" in way for way in ways):
        entry = _way(ways)
        text = entry["way"] + "".join(f"; {entry[x]}" for x in ("where", "reason") if x in entry)
        tasks.log().info("scored in %s", text)
    if readings := Counter(way["reading"] for way in ways if "reading" in way):
        several = len(readings) > 1
        texts = [f"{n} parts {text}" if several else text for text, n in readings.items()]
        entry["reading"] = "; ".join(texts)
    if entry:
        session.log_metadata(entry, group=GROUP)


def _way(ways: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    in_sql = [way for way in ways if way.get("way") == "sql"]
    entry: dict[str, Any] = {"way": "sql" if len(in_sql) == len(ways) else "python"}
    if 0 < len(in_sql) < len(ways):
        entry["way"] = f"sql in {len(in_sql)} of {len(ways)} parts"
    if reasons := _distinct(way.get("reason") for way in ways):
        entry["reason"] = "; ".join(reasons)
    if places := _distinct(way.get("where") for way in in_sql):
        entry["where"] = "; ".join(places)
    if proven := [way for way in in_sql if "difference" in way]:
        entry |= _figures(proven)
    return entry


def _figures(ways: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "difference": max(way["difference"] for way in ways),
        "tolerance": max(way["tolerance"] for way in ways),
        "rows_compared": sum(way["compared"] for way in ways),
    }


def _distinct(texts: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
