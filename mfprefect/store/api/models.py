"""Registering models and choosing the session in production."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.errors import DatabaseError
from mfprefect.store.api.base import Base, right_of
from mfprefect.store.models import input_columns, promotion, registry
from mfprefect.store.notifications import send
from mfprefect.store.results import acceptances
from mfprefect.store.retention import delete

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ModelsApi"]

log = logging.getLogger(__name__)


class ModelsApi(Base):
    """The methods of a store that change models."""

    @right_of("writer", "register a model")
    def add_model(
        self,
        model_id: str,
        description: str = "",
        *,
        entity_type: str = "",
        owner: str | None = None,
        max_age: dt.timedelta | None = None,
    ) -> None:
        """Register a model, or update its description.

        Args:
            model_id: at most 64 characters.
            description: what it predicts, for whom.
            entity_type: what a score is about, such as `customer`.
            owner: who is responsible for it; by default the current user.
            max_age: maximum age of its last scores before an alarm; `timedelta(0)`: no alarm;
                None: unchanged.
        """
        registry.add_model(self._db, model_id, description, entity_type, owner, max_age)

    def register(
        self,
        model_id: str,
        description: str = "",
        *,
        entity_type: str = "",
        owner: str | None = None,
        max_age: dt.timedelta | None = None,
    ) -> None:
        """Register a model like `add_model`; with its next session if the database is away."""
        arguments = (model_id, description, entity_type, owner, max_age)
        try:
            registry.add_model(self._db, *arguments)
        except DatabaseError as exc:
            if not exc.transient or self.database.settings.spool_folder is None:
                raise
            log.warning("model %s is registered with its next session: %s", model_id, exc)
            self._unregistered[model_id] = arguments

    @right_of("admin", "rename a model")
    def rename_model(self, old: str, new: str) -> None:
        """Change a model's id. Its sessions keep their ids."""
        registry.rename_model(self._db, old, new)

    @right_of("admin", "delete a model")
    def delete_model(self, model_id: str) -> None:
        """Delete a model, its sessions and everything they produced.

        Deletes many scores in batches, like `delete_session`.

        Raises:
            UnknownModel: the model does not exist.
            InvalidValue: a session of it is running, or another model's session used one of them.
        """
        delete.delete_model(self._db, model_id)

    @right_of("admin", "set a threshold")
    def set_threshold(
        self, model_id: str, value: float, kind: str = "probability", *, reason: str | None = None
    ) -> None:
        """Set the operating threshold, a `probability` or a share of the `population`.

        Earlier thresholds stay in the history: see `thresholds`. The audit trail records `reason`.
        """
        registry.set_threshold(self._db, model_id, value, kind, reason)

    # The registry of input columns

    def set_input_column(
        self,
        table: str,
        column: str,
        *,
        schema: str = "",
        valid: bool = True,
        test: bool = False,
        note: str | None = None,
    ) -> None:
        """Register a column of a table that models read, or update it.

        `mfprefect.checks.RegisteredColumns` checks data against the registry; `mfprefect columns`
        shows it and loads columns from a file.

        Args:
            table: the table's name.
            column: the column's name.
            schema: the table's schema; empty: the connection's own.
            valid: whether models may use it.
            test: whether only experiments may use it, not production.
            note: a comment for people.
        """
        row = {"table": table, "column": column, "schema": schema, "valid": valid, "test": test}
        self.set_input_columns([row | {"note": note}])

    @right_of("admin", "register input columns")
    def set_input_columns(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Register columns in one transaction; return how many were new or changed.

        Args:
            rows: a mapping for each column, with the arguments of `set_input_column`.

        Raises:
            InvalidValue: a name or a flag cannot be stored; nothing was written.
        """
        checked = [input_columns.row_of(**row) for row in rows]
        return input_columns.set_input_columns(self._db, checked)

    # Accepted checks

    @right_of("writer", "accept a failed check")
    def accept_check(
        self,
        session_id: str,
        check: str,
        *,
        column: str | None = None,
        reason: str,
        until: dt.date | str | None = None,
    ) -> pd.DataFrame:
        """Accept that a check fails, as it did in a session; it stops later sessions no longer.

        Holds for the model's sessions of the same purpose that are compared with the same training
        session: until the next training succeeds, or another model scores. Their results say
        `accepted`, by whom and why. Who, when and why stay in the audit trail.

        Args:
            session_id: the session where the check failed, with severity error or warning.
            check: its name in `checks(session_id)`, such as `columns_missing`, or what the error
                says: `columns_missing(income)`.
            column: its column; None: each column for which it failed.
            reason: why the failure is right, or does no harm.
            until: the last day on which the acceptance holds (UTC), at the most.

        Returns:
            The new acceptances, as in `accepted_checks`.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: the check did not fail there, `until` is past, or the reason is empty.
        """
        model_id, numbers = acceptances.accept(self._db, session_id, check, column, reason, until)
        frame = acceptances.accepted_frame(self._db, model_id)
        return frame[frame["acceptance_no"].isin(numbers)].reset_index(drop=True)

    @right_of("writer", "withdraw an acceptance")
    def withdraw_acceptance(self, model_id: str, acceptance_no: int, *, reason: str) -> None:
        """Withdraw an acceptance: from now on, the check fails again. Both stay on record.

        Raises:
            UnknownModel: the model does not exist.
            InvalidValue: it has no such acceptance, or that is withdrawn, or the reason is empty.
        """
        acceptances.withdraw(self._db, model_id, acceptance_no, reason)

    def accepted_checks(self, model_id: str) -> pd.DataFrame:
        """Return the accepted checks of a model, newest first.

        Columns: acceptance_no, accepted_at, accepted_by, purpose, check, column, reason,
        session_id (where the check failed), training_session_id (what it was compared with),
        until, state and state_reason. An `active` one holds today; the others have `expired`
        on their day, `ended` with another training session to compare with, or were `replaced`
        by a newer one or `withdrawn`.

        Raises:
            UnknownModel: the model does not exist.
        """
        return acceptances.accepted_frame(self._db, model_id)

    # Stages

    @right_of("writer", "promote a session")
    def promote(
        self,
        model_id: str,
        session_id: str,
        *,
        reason: str | None = None,
        override: str | None = None,
        stage: str = "production",
    ) -> None:
        """Put a training session into production, replacing the current one; see `stages`.

        Args:
            model_id: the model.
            session_id: a successful training session of it.
            reason: why; stays in the history.
            override: why to promote it without passed gates; stays in the history. Required for a
                training that failed because of its gates.
            stage: `experimental` for a model with nothing in production: it scores without alarms
                about late scores.

        Raises:
            UnknownModel: the model does not exist.
            UnknownSession: the session does not exist.
            InvalidValue: it is not a successful training session of the model.
            AlreadyPromoted: it is in that stage already; an InvalidValue that says since when.
            GateFailed: it had no gates, did not pass one, or was compared with a model that is no
                longer in production.
        """
        number = promotion.promote(
            self._db, model_id, session_id, stage=stage, reason=reason, override=override
        )
        if stage == "production":
            send.notify(self._db, number, "promoted")

    @right_of("writer", "roll back a model")
    def rollback(self, model_id: str, *, reason: str | None = None) -> str:
        """Put the previous model back into production and return its session.

        Each rollback goes one step further back. It never returns to a model that was rolled back.
        For a retired model, it restores the last one in production.

        Raises:
            UnknownModel: the model does not exist.
            InvalidValue: there is no previous model.
        """
        was, now = promotion.rollback(self._db, model_id, reason)
        send.notify(self._db, was.session_no, "rolled_back")
        return now.session_id

    @right_of("writer", "retire a model")
    def retire(self, model_id: str, *, reason: str | None = None) -> None:
        """Take the model out of production, with no replacement.

        Raises:
            UnknownModel: the model does not exist.
            InvalidValue: nothing is in production.
        """
        was = promotion.retire(self._db, model_id, reason)
        send.notify(self._db, was.session_no, "retired")
