"""A plan in sentences, for people who decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mfprefect.quality.checks.result import CheckCounts, failures, is_open, label
from mfprefect.quality.gates.verdicts import PASSED

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.store.plan.result import PromotionPlan

__all__ = ["sentences"]

MOST = 6
"""The most names in a sentence."""


def sentences(plan: PromotionPlan) -> tuple[str, ...]:
    """Return a sentence about scores, decisions, gates, data, readers and checks each."""
    first = _scores(plan), _decisions(plan), _gates(plan)
    return *first, _data(plan), _readers(plan), _checks(plan)


def _scores(plan: PromotionPlan) -> str:
    if not plan.rows:
        return f"scores: not compared: {plan.basis}"
    value = dict(zip(plan.movement["measure"], plan.movement["value"], strict=True))
    verdict, spearman = plan.movement["verdict"].iloc[0], value["spearman"]
    rank = "not defined" if math.isnan(spearman) else f"{spearman:.4f}"
    return (
        f"scores: PSI {value['psi']:.4f} ({verdict}), rank correlation {rank}, on "
        f"{plan.rows:,} rows: {plan.basis}"
    )


def _decisions(plan: PromotionPlan) -> str:
    if not plan.rows:
        return "decisions: not compared"
    if plan.flipped is None:
        return (
            "decisions: not known without an operating threshold; `mfprefect threshold "
            f"{plan.model_id} VALUE` sets it"
        )
    share = f"{100 * plan.flipped / plan.rows:.1f} %"
    text = f"decisions: {plan.flipped:,} of {plan.rows:,} flip ({share})"
    flips = plan.flips[plan.flips["flipped"]]
    if changes := [
        f"{row.rows:,} from {row.production} to {row.candidate}" for row in _rows(flips)
    ]:
        text += f": {_listed(changes)}"
    for row in _rows(plan.segments[plan.segments["flipped"] > 0].head(1)):
        text += f"; most in {row.segment}, {int(row.flipped):,} of {row.rows:,}"
    return text


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))


def _gates(plan: PromotionPlan) -> str:
    passed = int((plan.gates["verdict"] == PASSED).sum())
    text = f"gates: {passed} of {len(plan.gates)} passed" if len(plan.gates) else "gates: none"
    return text + (f"; promote refuses it: {'; '.join(plan.problems)}" if plan.problems else "")


def _data(plan: PromotionPlan) -> str:
    columns, words = plan.columns, []
    if plan.production_session_id is not None:
        for needed_by, word in (("candidate", "new"), ("production", "no longer needed")):
            names = columns.loc[columns["needed_by"] == needed_by, "name"].tolist()
            words += [f"{word}: {_listed(names)}"] if names else []
        words = words or ["the same columns and sources as production"]
    absent = columns.loc[columns["in_data"].eq(False), "name"].tolist()
    words += [f"missing in the data: {_listed(absent)}"] if absent else []
    return f"data: {'; '.join(words) or 'nothing to compare with'}"


def _readers(plan: PromotionPlan) -> str:
    texts = [
        f"{kind} {_listed(group['name'].tolist())}"
        for kind, group in plan.readers.groupby("kind", sort=False)
    ]
    return f"readers: {'; '.join(texts) or 'none on record'}"


def _checks(plan: PromotionPlan) -> str:
    rows = [{str(k): v for k, v in row.items()} for row in plan.checks.to_dict("records")]
    judged = [row for row in rows if row["passed"] is not None]
    texts = [CheckCounts.of(judged).words] if judged else []
    if failed := list(dict.fromkeys(map(label, failures(judged)))):
        texts += [f"a scoring of this data would stop: {_listed(failed)}"]
    if warned := list(dict.fromkeys(label(row) for row in judged if _warns(row))):
        texts += [f"warnings: {_listed(warned)}"]
    texts += [f"{row['check']} {row['message']}" for row in rows if row["passed"] is None]
    return f"checks: {'; '.join(texts) or 'none was run'}"


def _warns(row: dict[str, Any]) -> bool:
    return is_open(row) and row["severity"] != "error"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
