"""Shared checks of columns: those of the training session, and those that are registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mfprefect.quality.checks.base import SEVERITIES, ModelCheck, Row
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.frame_data import CheckData
from mfprefect.quality.checks.masking import Disclosure

__all__ = ["Columns", "RegisteredColumns"]


class Columns(ModelCheck):
    """The columns are those that the training session had; the entity id and the target apart."""

    name = "columns"
    in_database = True
    needs = frozenset({"training"})

    def __init__(self, *, missing: str | None = "error", added: str | None = "warning") -> None:
        """Choose what it means.

        Args:
            missing: the severity of columns that are gone, `error` or `warning`; None: ignored.
            added: the severity of columns that are new.
        """
        super().__init__()
        self.severities = {"missing": missing, "added": added}
        for name, severity in self.severities.items():
            if severity is not None and severity not in SEVERITIES:
                raise self._wrong(f"has {name} = {severity!r}; choose error, warning or None")

    def judge(self, data: CheckData, background: CheckContext, shown: Disclosure) -> Iterator[Row]:
        """Yield a result for columns that are gone, and one for those that are new."""
        variables = background.variables
        if not variables:
            yield self._first()
            return
        differences = {
            "missing": [name for name in variables if name not in data.columns],
            "added": [n for n in data.columns if n not in variables and n not in background.keys],
        }
        for what, names in differences.items():
            if severity := self.severities[what]:
                message = f"{what}: {', '.join(names) or 'none'}"
                message += f"; compared with training session {background.training_session}"
                row = self._row(None, not names, message, severity=severity)
                yield row | {"check": f"columns_{what}"}


class RegisteredColumns(ModelCheck):
    """Each column is registered for its table as one that models may use."""

    name = "registered_columns"
    in_database = True
    needs = frozenset({"registry"})

    def __init__(
        self,
        table: str,
        *,
        schema: str = "",
        derived: Iterable[str] = (),
        trial: str | None = "warning",
        severity: str = "error",
    ) -> None:
        """Choose the table whose columns the data has.

        Args:
            table: as it is registered, by `mfprefect columns` or `store.set_input_column`.
            schema: as it is registered.
            derived: columns that are no column of the table, but computed from some.
            trial: the severity of a column that is on trial; None: it is good.
            severity: of one that is not registered, or as not valid.
        """
        super().__init__(severity=severity)
        if trial is not None and trial not in SEVERITIES:
            raise self._wrong(f"has trial = {trial!r}; choose error, warning or None")
        self.table = (schema, table)
        self.derived, self.trial = frozenset(derived), trial

    def judge(self, data: CheckData, background: CheckContext, shown: Disclosure) -> Iterator[Row]:
        """Yield a result for columns that may not be used, and one for those on trial."""
        registered = background.registry.get(self.table, {})
        place = ".".join(filter(None, self.table))
        used = [name for name in data.columns if name not in self.derived]
        refused = {name: "not registered" for name in used if name not in registered}
        refused |= {
            n: "registered as not valid"
            for n in used
            if n in registered and not registered[n].valid
        }
        message = ", ".join(f"{name} is {why}" for name, why in refused.items())
        cure = (
            "" if registered else "; nothing is: register it with `mfprefect columns --load FILE`"
        )
        yield self._row(None, not refused, f"{place}: {message or 'all may be used'}{cure}")
        if self.trial and (tried := [n for n in used if n in registered and registered[n].test]):
            message = f"{place}: on trial: {', '.join(tried)}"
            yield self._row(None, False, message, severity=self.trial) | {
                "check": "columns_on_trial"
            }
