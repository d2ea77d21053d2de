"""Input checks that every model can use: list them in `Model.checks`, or give them to `log_checks`.

    checks = [schema, RowCount(at_least=1_000), NullShare("income"), Unique("customer_id")]

`on("train", ..)` and `on("score", ..)` limit checks to training or scoring. docs/checks.md says
what each one compares with.
"""

from mfprefect.quality.checks.base import Fresh, ModelCheck, RowCount, Unique
from mfprefect.quality.checks.columns import Columns, RegisteredColumns
from mfprefect.quality.checks.phases import on
from mfprefect.quality.checks.values import NewCategories, NullShare, Range

__all__ = [
    "Columns",
    "Fresh",
    "NewCategories",
    "NullShare",
    "Range",
    "RegisteredColumns",
    "RowCount",
    "SharedCheck",
    "Unique",
    "on",
]

SharedCheck = ModelCheck
"""The base of these checks: subclass it to write another one."""
