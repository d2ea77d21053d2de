"""The parameters of a training in few lines."""

from __future__ import annotations

import json
from typing import Any

from mfprefect.vocabulary import DEFAULTS, ESTIMATOR, LEARNING, SPLIT

__all__ = ["folded_parameters"]


def folded_parameters(
    params: dict[str, Any], document: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leave out estimator parameters at their default, and metadata that repeats parameters.

    Args:
        params: the parameters as texts.
        document: what `mfprefect show --json` writes.

    Returns:
        Both, with the number of what was left out as the last parameter.
    """
    metadata, defaults = [], set()
    for row in document["metadata"]:
        group, name = row["meta_group"], row["meta_name"]
        if (group, name) == (LEARNING, DEFAULTS):
            defaults = {f"{ESTIMATOR}.{parameter}" for parameter in json.loads(row["value"])}
        elif group not in (ESTIMATOR, SPLIT) or f"{group}.{name}" not in params:
            metadata.append(row)
    shown = {name: value for name, value in params.items() if name not in defaults}
    if folded := len(params) - len(shown):
        noun = "parameter has its" if folded == 1 else "parameters have their"
        shown[f"{ESTIMATOR}.*"] = f"{folded} more {noun} default (--all shows them)"
    return shown, document | {"metadata": metadata}
