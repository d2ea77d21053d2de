"""Models and their operating thresholds; each change becomes an audit event."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidValue
from mfprefect.schema import MODEL_ID_LENGTH
from mfprefect.store.audit import seals
from mfprefect.store.audit.events import actor, record, row_digest
from mfprefect.store.database import Database
from mfprefect.store.held_rows import WITHOUT_LOCK
from mfprefect.store.lookup import model_ids, require_model
from mfprefect.store.models.stages import lock_model
from mfprefect.util import values

__all__ = ["THRESHOLD_KINDS", "add_model", "model_row", "rename_model", "set_threshold"]

THRESHOLD_KINDS = ("probability", "population")


def model_row(
    model_id: str,
    description: str,
    entity_type: str,
    owner: str | None,
    max_age: dt.timedelta | None = None,
) -> dict[str, Any]:
    """Return the row of a model, without `created_at`."""
    return {
        "model_id": values.name(model_id, "the model id", MODEL_ID_LENGTH),
        "description": values.text(description, "the description"),
        "entity_type": values.text(entity_type, "the entity type"),
        "owner": values.name(owner or actor(), "the owner"),
        "max_age_seconds": _whole_seconds(max_age),
    }


def add_model(
    db: Database,
    model_id: str,
    description: str,
    entity_type: str,
    owner: str | None,
    max_age: dt.timedelta | None = None,
) -> None:
    """Register a model, or update its description."""
    row = model_row(model_id, description, entity_type, owner, max_age)
    # None leaves the stored value as it is.
    unchanged = {
        key for key, value in (("owner", owner), ("max_age_seconds", max_age)) if value is None
    }
    unchanged.add("model_id")
    models = db.schema.models
    columns = [models.c[name] for name in row]
    changed = {key: value for key, value in row.items() if key not in unchanged}

    def same(connection: sa.Connection) -> bool | None:
        select = sa.select(*columns).where(models.c.model_id == model_id)
        stored = connection.execute(select, execution_options=WITHOUT_LOCK).first()
        if stored is None:
            return None
        return all(stored._mapping[key] == value for key, value in changed.items())

    def work(connection: sa.Connection, _: bool) -> None:
        same_row = same(connection)
        of_model = models.c.model_id == model_id
        if same_row is None:
            new = row | {"created_at": values.utc_now()}
            connection.execute(models.insert(), new)
            detail = row | row_digest(db.schema, "models", new)
            record(db, connection, "add_model", model_id, **detail)
        elif not same_row:
            connection.execute(models.update().where(of_model), changed)
            now = connection.execute(sa.select(models).where(of_model)).one()
            detail = changed | row_digest(db.schema, "models", now._asdict())
            record(db, connection, "change_model", model_id, **detail)

    # Read first: every run registers its model, and few change it.
    if not db.read_transaction(same):
        db.write_transaction(work, also_retry=IntegrityError)


def _whole_seconds(max_age: dt.timedelta | None) -> int | None:
    if max_age is None or not max_age:
        return None
    if max_age < dt.timedelta(seconds=1):
        raise InvalidValue(f"max_age = {max_age!r} is under a second; give a timedelta of more.")
    return int(max_age.total_seconds())


def rename_model(db: Database, old: str, new: str) -> None:
    """Change a model's id. Its sessions keep their ids, which other systems may have stored.

    Raises:
        UnknownModel: `old` does not exist.
        InvalidValue: `new` exists already.
    """
    new = values.name(new, "the new model id", MODEL_ID_LENGTH)
    schema = db.schema

    def work(connection: sa.Connection, _: bool) -> None:
        lock_model(db, connection, old)
        if new in model_ids(db, connection):
            raise InvalidValue(f"there is a model {new!r} already; choose another id.")
        copy = [
            sa.literal(new).label(c.name) if c.key == "model_id" else c for c in schema.models.c
        ]
        select = sa.select(*copy).where(schema.models.c.model_id == old)
        connection.execute(schema.models.insert().from_select(schema.models.c.keys(), select))
        for table in (schema.sessions, schema.model_thresholds, schema.model_stages):
            connection.execute(table.update().where(table.c.model_id == old).values(model_id=new))
        connection.execute(schema.models.delete().where(schema.models.c.model_id == old))
        # Seals keep the old name: its chain ends here, and a new one starts under the new name.
        record(db, connection, "rename_model", new, old=old, **seals.head(db, connection, old))

    db.write_transaction(work, also_retry=IntegrityError)


def set_threshold(
    db: Database, model_id: str, value: float, kind: str, reason: str | None = None
) -> None:
    """Set a model's operating threshold. Earlier ones stay in the history."""
    why = {} if reason is None else {"reason": values.text(reason, "the reason")}
    kind = values.choice(kind, "the kind of threshold", THRESHOLD_KINDS)
    value = values.figure(value, "the threshold")
    if not 0 <= value <= 1:
        raise InvalidValue(f"the threshold {value} is outside 0 to 1.")
    table = db.schema.model_thresholds
    row = {"model_id": model_id, "value": value, "kind": kind, "set_by": actor()}

    def work(connection: sa.Connection, _: bool) -> None:
        require_model(db, connection, model_id)
        new = row | {"set_at": values.utc_now()}
        connection.execute(table.insert(), new)
        detail = {"value": value, "kind": kind, **why}
        detail |= row_digest(db.schema, "model_thresholds", new)
        record(db, connection, "set_threshold", model_id, **detail)

    db.write_transaction(work, also_retry=IntegrityError)
