"""Checks of columns: against the training session, and against the registry of input columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mfprefect.quality.checks.base import SEVERITIES, ModelCheck, Row
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.frame_data import CheckData
from mfprefect.quality.checks.masking import Disclosure

__all__ = ["Columns", "RegisteredColumns"]


class Columns(ModelCheck):
    """Require the columns of the training session, apart from the entity id and the target."""

    name = "columns"
    in_database = True
    needs = frozenset({"training"})

    def __init__(self, *, missing: str | None = "error", added: str | None = "warning") -> None:
        """Choose severities.

        Args:
            missing: the severity of missing columns, `error` or `warning`; None ignores them.
            added: the severity of new columns, likewise.
        """
        super().__init__()
        self.severities = {"missing": missing, "added": added}
        for name, severity in self.severities.items():
            if severity is not None and severity not in SEVERITIES:
                raise self._invalid(f"has {name} = {severity!r}; choose error, warning or None")

    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield a result for each missing and each new column, or one if there is none."""
        variables = context.variables
        if not variables:
            yield self._no_training()
            return
        differences = {
            "missing": [name for name in variables if name not in data.columns],
            "added": [n for n in data.columns if n not in variables and n not in context.keys],
        }
        for difference, names in differences.items():
            if severity := self.severities[difference]:
                wrong: list[str | None] = [*names] if names else [None]
                for name in wrong:
                    message = f"{difference}: {name or 'none'}"
                    message += f"; compared with training session {context.training_session}"
                    row = self._row(name, name is None, message, severity=severity)
                    yield row | {"check": f"columns_{difference}"}


class RegisteredColumns(ModelCheck):
    """Require that every column is registered as valid for its table."""

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
        """Choose the table that the columns come from.

        Args:
            table: its name as registered with `mfprefect columns` or `store.set_input_column`.
            schema: its schema as registered.
            derived: columns that the model computes; they need no registration.
            trial: the severity of a column on trial; None accepts it.
            severity: of a column that is not registered, or registered as not valid.
        """
        super().__init__(severity=severity)
        if trial is not None and trial not in SEVERITIES:
            raise self._invalid(f"has trial = {trial!r}; choose error, warning or None")
        self.table = (schema, table)
        self.derived, self.trial = frozenset(derived), trial

    def judge(
        self, data: CheckData, context: CheckContext, disclosure: Disclosure
    ) -> Iterator[Row]:
        """Yield a result for each column that must not be used, and for each on trial."""
        registered = context.registry.get(self.table, {})
        table = ".".join(filter(None, self.table))
        used = [name for name in data.columns if name not in self.derived]
        refused = {name: "not registered" for name in used if name not in registered}
        refused |= {
            n: "registered as not valid"
            for n in used
            if n in registered and not registered[n].valid
        }
        if not registered:
            message = f"{table} has no registered columns: run `mfprefect columns --load FILE`"
            yield self._row(None, not used, message)
            return
        for name, reason in refused.items():
            yield self._row(name, False, f"{table}: {name} is {reason}")
        if not refused:
            yield self._row(None, True, f"{table}: all may be used")
        for name in used if self.trial else ():
            if name in registered and registered[name].test:
                row = self._row(name, False, f"{table}: {name} is on trial", severity=self.trial)
                yield row | {"check": "columns_on_trial"}
