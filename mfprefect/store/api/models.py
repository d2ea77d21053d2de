"""Registering models, and which of their sessions is in production."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mfprefect.errors import DatabaseError
from mfprefect.store.api.base import Base
from mfprefect.store.models import input_columns, promotion, registry
from mfprefect.store.notifications import send
from mfprefect.store.retention import delete

__all__ = ["ModelsApi"]

log = logging.getLogger(__name__)


class ModelsApi(Base):
    """The half of a store that writes about models."""

    def add_model(
        self,
        model_id: str,
        description: str = "",
        *,
        entity_type: str = "",
        owner: str | None = None,
        max_age: dt.timedelta | None = None,
    ) -> None:
        """Register a model, or bring its description up to date.

        Args:
            model_id: at most 64 characters.
            description: what it predicts, for whom.
            entity_type: what a score is about, such as `customer`.
            owner: who answers for it; by default whoever registers it.
            max_age: how old its last scores may get before that is an alarm; `timedelta(0)`:
                nobody waits for them; None leaves it as it is.
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
        """Register a model as `add_model` does; if the database is away, with its next session."""
        told = (model_id, description, entity_type, owner, max_age)
        try:
            registry.add_model(self._db, *told)
        except DatabaseError as exc:
            if not exc.transient or self.database.settings.spool_folder is None:
                raise
            log.warning("model %s is registered with its next session: %s", model_id, exc)
            self._unregistered[model_id] = told

    def rename_model(self, old: str, new: str) -> None:
        """Give a model another id; its sessions keep theirs, which are on record elsewhere."""
        registry.rename_model(self._db, old, new)

    def delete_model(self, model_id: str) -> None:
        """Delete a model with all its sessions and everything they produced.

        Many scores go in batches, as in `delete_session`.

        Raises:
            UnknownModel: there is no such model.
            InvalidValue: a session of it is running, or another model's session used one of its.
        """
        delete.delete_model(self._db, model_id)

    def set_threshold(self, model_id: str, value: float, kind: str = "probability") -> None:
        """Set the operating threshold, a `probability` or a share of the `population`.

        Earlier thresholds stay on record: see `thresholds`.
        """
        registry.set_threshold(self._db, model_id, value, kind)

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
        """Register a column of a table that models read, or change what is registered of it.

        `mfprefect.checks.RegisteredColumns` holds data against it; `mfprefect columns` shows it,
        and loads many from a file.

        Args:
            table: the table's name.
            column: the column's name.
            schema: the table's schema; empty: the connection's own.
            valid: whether models may use it.
            test: whether it is on trial: good for experiments, not for production.
            note: what to know about it.
        """
        row = {"table": table, "column": column, "schema": schema, "valid": valid, "test": test}
        self.set_input_columns([row | {"note": note}])

    def set_input_columns(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Register many columns in one transaction; return how many were new or changed.

        Args:
            rows: the arguments of `set_input_column` by name, a mapping a column.

        Raises:
            InvalidValue: a name or a flag cannot be kept; nothing was written.
        """
        checked = [input_columns.row_of(**row) for row in rows]
        return input_columns.set_input_columns(self._db, checked)

    # Stages

    def promote(
        self,
        model_id: str,
        session_id: str,
        *,
        reason: str | None = None,
        override: str | None = None,
        stage: str = "production",
    ) -> None:
        """Put a training session into production, in place of what is there; see `stages`.

        Args:
            model_id: the model.
            session_id: a training session of it that succeeded.
            reason: why; stays on record.
            override: why it goes to production without having passed its gates; stays on record.
                A training that failed by its gates alone can be promoted only so.
            stage: `experimental`, before a model has anything in production: scores are made, and
                nobody waits for them.

        Raises:
            UnknownModel: there is no such model.
            UnknownSession: there is no such session.
            InvalidValue: it is no training session of the model that succeeded.
            GateFailed: it was held against no gate, did not pass one, or was compared with another
                model than the one that is in production now.
        """
        number = promotion.promote(
            self._db, model_id, session_id, stage=stage, reason=reason, override=override
        )
        if stage == "production":
            send.notify(self._db, number, "promoted")

    def rollback(self, model_id: str, *, reason: str | None = None) -> str:
        """Put back what was in production before, and return its session.

        Each further rollback goes one step further back: what was rolled back from is never gone
        back to. Of a model that was retired, what was in production last.

        Raises:
            UnknownModel: there is no such model.
            InvalidValue: nothing was in production before.
        """
        was, now = promotion.rollback(self._db, model_id, reason)
        send.notify(self._db, was.session_no, "rolled_back")
        return now.session_id

    def retire(self, model_id: str, *, reason: str | None = None) -> None:
        """Take what is in production out of it, with nothing in its place.

        Raises:
            UnknownModel: there is no such model.
            InvalidValue: nothing is in production.
        """
        promotion.retire(self._db, model_id, reason)
