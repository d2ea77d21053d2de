"""All definitions, and the tables of docs/metrics.md: `python -m mfprefect.quality.document`."""

from __future__ import annotations

from collections.abc import Mapping

from mfprefect.quality.definitions import Metric
from mfprefect.quality.metrics import METRICS
from mfprefect.quality.multiclass import CLASS_METRICS, MULTICLASS_METRICS
from mfprefect.quality.regression import REGRESSION_METRICS
from mfprefect.quality.series import INTERVAL_METRICS, SERIES_METRICS

__all__ = ["BUILT_IN", "table"]

BUILT_IN: Mapping[str, Mapping[str, Metric]] = {
    "binary": METRICS,
    "multiclass": MULTICLASS_METRICS,
    "multiclass, of each class": CLASS_METRICS,
    "regression and time series": REGRESSION_METRICS,
    "time series": SERIES_METRICS,
    "prediction intervals": INTERVAL_METRICS,
}
"""The definitions by what they are of."""


def table(kind: str) -> str:
    """Return the Markdown table of one kind."""
    rows = [
        f"| `{m.name}` | {m.version} | {m.formula.replace('|', '&#124;')} | {m.source} |"
        for m in BUILT_IN[kind].values()
    ]
    return "\n".join(
        ["| metric | version | formula | source |", "| --- | --- | --- | --- |", *rows]
    )


if __name__ == "__main__":
    for name in BUILT_IN:
        print(f"## {name[0].upper()}{name[1:]}\n\n{table(name)}\n")  # noqa: T201
