"""Estimators that SQL scores, for tests on each database: their data, and what they predict."""

from mfprefect_dev.sql_forms.data import FEATURES, frame, special_rows, targets
from mfprefect_dev.sql_forms.forms import FORMS, Form, trained
from mfprefect_dev.sql_forms.scoring import (
    Difference,
    compare,
    create_rows,
    difference_of,
    expected,
)

__all__ = [
    "FEATURES",
    "FORMS",
    "Difference",
    "Form",
    "compare",
    "create_rows",
    "difference_of",
    "expected",
    "frame",
    "special_rows",
    "targets",
    "trained",
]
