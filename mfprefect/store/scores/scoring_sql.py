"""The SQL of a stored model, for people and programs that score without mfprefect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from mfprefect.backend import backend_for
from mfprefect.errors import BackendNotFound, InvalidValue
from mfprefect.settings import Settings
from mfprefect.sql_scoring import NotCompilable, Scoring, compile_scoring, statement_text

__all__ = ["DIALECTS", "GROUPS", "TABLE", "model_text"]

GROUPS = ("model", "sql_scoring")
"""Metadata groups of a training that say what its model is, and what it was fitted on."""
TABLE = "model_rows"
"""The table of a statement whose reader names none."""
DIALECTS = {
    "postgresql": "postgresql://",
    "mysql": "mysql+pymysql://host/database",
    "mariadb": "mariadb+pymysql://host/database",
    "sqlite": "sqlite://",
    "teradata": "teradatasql://host",
}
"""A URL of each dialect, by its name for people."""


def model_text(
    settings: Settings,
    estimator: Any,
    described: Mapping[str, str],
    dialect: str | None,
    *,
    table: str = TABLE,
    view: str | None = None,
) -> str:
    """Return the SELECT of a model's scores.

    Args:
        settings: of the store.
        estimator: the fitted model.
        described: the metadata of its training, of `GROUPS`.
        dialect: a key of `DIALECTS`; None: that of the store.
        table: where the rows are, perhaps with a schema: `crm.customer`.
        view: the name of a view that the statement shall create.

    Raises:
        InvalidValue: the model cannot be scored in SQL, or the training did not record what that
            needs; or there is no such dialect.
    """
    rendered = _dialect(settings, dialect)
    if missing := [x for x in ("features", "entity_id", "model_type") if x not in described]:
        raise InvalidValue(
            f"the session did not record the {missing[0]} of its model; train it again with this "
            "version."
        )
    features, entity_id = json.loads(described["features"]), described["entity_id"]
    classes = json.loads(described["classes"]) if "classes" in described else None
    kind = described["model_type"]
    try:
        scoring = _compiled(estimator, features, entity_id, kind, classes, table)
        text = statement_text(scoring, rendered)
    except NotCompilable as exc:
        raise InvalidValue(f"the model cannot be scored in SQL: {exc}.") from exc
    if view is None:
        return text
    name = rendered.identifier_preparer.format_table(_table(view, []))
    return f"CREATE VIEW {name} AS\n{text}"


def _compiled(
    estimator: Any,
    features: Sequence[str],
    entity_id: str,
    model_type: str,
    classes: Sequence[Any] | None,
    table: str,
) -> Scoring:
    return compile_scoring(
        estimator,
        _table(table, [entity_id, *features]),
        entity_id=entity_id,
        features=list(features),
        model_type=model_type,
        classes=classes,
    )


def _table(name: str, columns: Sequence[str]) -> sa.TableClause:
    schema, _, table = name.rpartition(".")
    return sa.table(table, *map(sa.column, columns), schema=schema or None)


def _dialect(settings: Settings, name: str | None) -> sa.Dialect:
    if name is None:
        return backend_for(settings).dialect()
    if name not in DIALECTS:
        raise InvalidValue(f"there is no dialect {name!r}; choose one of {', '.join(DIALECTS)}.")
    url = DIALECTS[name]
    with suppress(BackendNotFound):  # its driver is not needed to print
        return backend_for(settings.model_copy(update={"url": SecretStr(url)})).dialect()
    return sa.make_url(url).get_dialect()()
