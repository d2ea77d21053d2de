"""What answers look like, for the description: rows as the schema's tables have them."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from mfprefect.schema import Schema
from mfprefect.util.json_rows import JSON_TEXT

__all__ = ["items_of", "page_of", "row", "rows_of"]

T = TypeVar("T")
TABLES = Schema()


class Items(BaseModel, Generic[T]):
    """All rows."""

    items: list[T]


class Page(BaseModel, Generic[T]):
    """Rows, and the place of the next ones."""

    items: list[T]
    next_cursor: str | None = Field(description="For the parameter cursor; null at the end.")


def items_of(model: Any) -> Any:
    """Return the model of a listing."""
    return Items[model]


def page_of(model: Any) -> Any:
    """Return the model of a page of a listing."""
    return Page[model]


def rows_of(table: str, *, without: tuple[str, ...] = (), **more: Any) -> Any:
    """Return the model of a table's rows under their session, with the comments of its columns."""
    columns = {c.key: c for c in TABLES.tables[table].c if c.key not in ("session_no", *without)}
    fields = {
        key: (_type(column), Field(description=column.comment)) for key, column in columns.items()
    }
    name = "".join(part.capitalize() for part in table.split("_"))
    return row(name, TABLES.tables[table].comment or "", **fields | more)


def row(name: str, text: str, /, **fields: Any) -> Any:
    """Return the model of a row: each field is a type, or a type and a pydantic field."""
    complete = {
        key: field if isinstance(field, tuple) else (field, ...) for key, field in fields.items()
    }
    config = ConfigDict(protected_namespaces=())
    definitions: dict[str, Any] = complete
    return create_model(name, __doc__=text, __config__=config, **definitions)


def _type(column: Any) -> Any:
    if column.key in JSON_TEXT or column.key == "tags":
        return Any
    kind = column.type.python_type
    return kind | None if column.nullable else kind
