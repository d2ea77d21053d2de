"""`mfprefect columns`: the registry of input columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

__all__ = ["columns"]

COLUMNS = (
    Column("schema_name", "schema"),
    Column("table_name", "table"),
    Column("column_name", "column"),
    Column("verdict", "models may use it"),
    Column("note", "note"),
)


@click.command()
@click.argument("table", required=False)
@click.option("--schema", help="Only of this schema.")
@click.option(
    "--load",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV or Parquet file of columns to register or change. It needs the columns table, "
    "column and valid (true or false), and may have schema, test and note.",
)
@common
def columns(
    out: Output, url: str | None, table: str | None, schema: str | None, load: Path | None
) -> None:
    """List which columns of source tables models may use, for TABLE or for all tables.

    The check `mfprefect.checks.RegisteredColumns` compares a model's data with this registry.
    """
    import mfprefect
    from mfprefect.cli.formats import records

    with mfprefect.connect(url) as store:
        if load is not None:
            changed = store.set_input_columns(_rows(load))
            out.note(f"{load}: {changed} columns are new or changed")
        rows = records(store.input_columns(table, schema))
    if rows:
        out.table([row | {"verdict": _verdict(row)} for row in rows], COLUMNS)
    else:
        out.note("no columns are registered; `mfprefect columns --load FILE.csv` registers some.")
    out.document(rows)


def _verdict(row: dict[str, Any]) -> str:
    if not row["valid"]:
        return "no"
    return "on trial" if row["test"] else "yes"


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    from mfprefect.inputs.result_files import column, read_frame

    frame = read_frame(path, text=["schema", "table", "column", "note"])
    needed = [column(frame, name, "the column") for name in ("table", "column", "valid")]
    optional = {name: frame[name] for name in ("schema", "test", "note") if name in frame}
    for position, (table, name, valid) in enumerate(zip(*needed, strict=True)):
        options = {key: values.iloc[position] for key, values in optional.items()}
        yield {
            "table": table,
            "column": name,
            "valid": _flag(valid),
            "schema": options.get("schema") or "",
            "test": _flag(options.get("test", False)),
            "note": options.get("note") or None,
        }


def _flag(value: Any) -> Any:
    """Return a flag of the file as True or False; the store refuses anything else."""
    return bool(value) if str(value) in ("True", "False", "0", "1") else value
