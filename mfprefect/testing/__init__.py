"""Test helpers for teams and for mfprefect itself; this module does not import pytest.

Names are loaded on first use. The fixtures are in `mfprefect.testing.plugin`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfprefect.testing.directions import assert_decreasing, assert_increasing, assert_invariant
    from mfprefect.testing.model_tests import ModelTests
    from mfprefect.testing.models import (
        TrainedModel,
        assert_checks_accept,
        assert_checks_refuse,
        assert_flows_run,
        assert_missing_column_fails,
        assert_reproducible,
        assert_round_trip,
        assert_rows_independent,
    )

__all__ = [
    "ModelTests",
    "TrainedModel",
    "assert_checks_accept",
    "assert_checks_refuse",
    "assert_decreasing",
    "assert_flows_run",
    "assert_increasing",
    "assert_invariant",
    "assert_missing_column_fails",
    "assert_reproducible",
    "assert_round_trip",
    "assert_rows_independent",
]

_MODULES = {
    "ModelTests": "model_tests",
    "assert_decreasing": "directions",
    "assert_increasing": "directions",
    "assert_invariant": "directions",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'models')}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
