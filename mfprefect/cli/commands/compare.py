"""`mfprefect compare`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output
from mfprefect.cli.readable import Readable
from mfprefect.vocabulary import DEFAULTS, LEARNING, is_of_training

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare"]

FIGURES = (
    Column("a", "A", "number"),
    Column("b", "B", "number"),
    Column("difference", "B - A", "signed"),
    Column("note", ""),
)


@click.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--outcomes",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="CSV or Parquet file of real outcomes: compare both sessions' scores with it.",
)
@click.option(
    "--entity-id", default="entity_id", show_default=True, help="Column of entities in FILE."
)
@click.option("--actual", default="actual", show_default=True, help="Column of outcomes in FILE.")
@common
def compare(
    out: Output, url: str | None, a: str, b: str, outcomes: str | None, entity_id: str, actual: str
) -> None:
    """Compare sessions A and B: metrics, parameters, importances and scores.

    Name each by its id, `latest`, `latest:MODEL` or `production:MODEL`.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_session

    with mfprefect.connect(url) as store:
        rows = [resolve_session(store, name) for name in (a, b)]
        sides = [Readable(store, row["session_id"]) for row in rows]
        document = {
            "a": rows[0]["session_id"],
            "b": rows[1]["session_id"],
            "metrics": _metrics(sides),
            "params": _params(sides, rows),
            "importance": _figures(
                sides, "variable_importance", ("kind", "variable"), "importance"
            ),
            "scores": _scores(sides, outcomes, entity_id, actual),
            "hidden": list(dict.fromkeys(sides[0].hidden + sides[1].hidden)),
        }
    if rows[0]["model_id"] != rows[1]["model_id"]:
        out.note("the sessions belong to different models.")
    if names := sorted({row["metric_name"] for row in document["metrics"] if row["redefined"]}):
        out.note(
            f"{', '.join(names)}: the sessions used different versions of the definition; their "
            "figures are not comparable."
        )
    _write(out, document)
    if document["hidden"]:
        hidden = ", ".join(document["hidden"]).replace("_", " ")
        out.note(f"not compared for the role reader, but for auditors: {hidden}.")
    out.document(document)


def _metrics(sides: Sequence[Readable]) -> list[dict[str, Any]]:
    """Return metrics side by side, without a difference if the definitions differ."""
    key = ("metric_name", "segment")
    figures = _figures(sides, "metrics", key, "value")
    versions = _figures(sides, "metrics", key, "definition_version")
    compared = []
    for figure, version in zip(figures, versions, strict=True):
        redefined = bool(version["difference"])
        compared.append({**figure, **({"difference": None} if redefined else {})})
        compared[-1]["redefined"] = redefined
    return compared


def _figures(
    sides: Sequence[Readable], method: str, key: tuple[str, str], figure: str
) -> list[dict[str, Any]]:
    figures: list[dict[Any, Any]] = [
        {(row[key[0]], row[key[1]]): row[figure] for row in side.rows(method)} for side in sides
    ]
    return [
        {key[0]: names[0], key[1]: names[1], **_side_by_side(figures, names)}
        for names in dict.fromkeys([*figures[0], *figures[1]])
    ]


def _scores(
    sides: Sequence[Readable], outcomes: str | None, entity_id: str, actual: str
) -> dict[str, Any] | None:
    from mfprefect.errors import InvalidValue

    a, b = (side.session_id for side in sides)
    if outcomes is not None:
        frame = _frame(outcomes, entity_id)
        return sides[0].store.compare_scores(a, b, frame, entity_id=entity_id, actual=actual)
    try:
        scores: dict[str, Any] | None = sides[0]("compare_scores", None, a, b)
        return scores
    except InvalidValue:  # one session has no scores, or they have no entity in common
        return None


def _frame(path: str, entity_id: str) -> pd.DataFrame:
    from mfprefect.inputs.result_files import read_frame

    return read_frame(Path(path), text=[entity_id])  # "007" is not 7


def _side_by_side(sides: Sequence[Mapping[Any, Any]], name: Any) -> dict[str, Any]:
    a, b = (side.get(name) for side in sides)
    difference = None if a is None or b is None else b - a
    return {"a": a, "b": b, "difference": difference, "only_in": _only(sides, name)}


def _only(sides: Sequence[Mapping[Any, Any]], name: Any) -> str | None:
    if name in sides[0] and name in sides[1]:
        return None
    return "a" if name in sides[0] else "b"


def _texts(row: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter as text on the sides that have it; null is a value too."""
    from mfprefect.cli.commands.show import text_of

    return {side: text_of(row[side]) for side in "ab" if row["only_in"] in (None, side)}


def _params(sides: Sequence[Readable], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return parameters side by side, with those of estimator and split such as `estimator.C`."""
    documents = []
    for side, row in zip(sides, rows, strict=True):
        params = row["params"] if isinstance(row["params"], dict) else {}
        has_training = any(map(is_of_training, params))
        documents.append(params if has_training else params | _older(side))
    return _changes(documents)


def _older(side: Readable) -> dict[str, Any]:
    """Return what a training of an earlier version recorded of estimator and split."""
    return {
        name: _value(row["value"])
        for row in side.rows("metadata")
        if is_of_training(name := f"{row['meta_group']}.{row['meta_name']}")
        and name not in ("split.rows", "split.test_rows", f"{LEARNING}.{DEFAULTS}")
    }


def _value(text: str) -> Any:
    """Return the value of metadata, which holds texts as they are and others as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _changes(sides: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "a": sides[0].get(name),
            "b": sides[1].get(name),
            "only_in": _only(sides, name),
            "changed": sides[0].get(name) != sides[1].get(name) or _only(sides, name) is not None,
        }
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]


def _write(out: Output, document: dict[str, Any]) -> None:
    out.pairs({"A": document["a"], "B": document["b"]})
    metrics, params = document["metrics"], document["params"]
    importance, scores = document["importance"], document["scores"]
    if metrics:
        segment = [Column("segment", "segment")] if any(row["segment"] for row in metrics) else []
        columns = [Column("metric_name", "metric"), *segment, *_figure_columns(metrics)]
        out.table(_with_notes(metrics), columns, "Metrics")
    if params:
        _write_params(out, params)
    if importance:
        names = (Column("kind", "kind"), Column("variable", "variable"))
        columns = [*names, *_figure_columns(importance)]
        out.table(_with_notes(importance), columns, "Variable importance")
    if scores:
        _write_scores(out, scores)
    if not (metrics or params or importance or scores):
        out.note("neither session has metrics, parameters or importances.")


def _write_params(out: Output, params: list[dict[str, Any]]) -> None:
    """Write the parameters; of estimator and split those that differ."""
    shown = [row for row in params if row["changed"] or not is_of_training(row["name"])]
    columns = [Column("name", "name"), Column("a", "A"), Column("b", "B"), Column("note", "")]
    if shown:
        out.table(_with_notes([row | _texts(row) for row in shown]), columns, "Parameters")
    if equal := len(params) - len(shown):
        out.note(f"{equal} parameters of estimator and split are equal; --json lists them.")


def _write_scores(out: Output, scores: dict[str, Any]) -> None:
    thresholds = [
        f"{threshold['kind']} {threshold['value']:g}"
        for threshold in (scores["threshold_a"], scores["threshold_b"])
        if threshold is not None
    ]
    out.pairs(
        {
            "entities in both": f"{scores['rows']} of {scores['rows_a']} and {scores['rows_b']}",
            "rank correlation": scores["spearman"],
            "mean difference": scores["mean_difference"],
            "mean absolute difference": scores["mean_abs_difference"],
            "largest absolute difference": scores["max_abs_difference"],
            "operating threshold": " and ".join(dict.fromkeys(thresholds))
            or "not set; `mfprefect threshold` sets it",
            "equal decisions": scores["agreement"],
            "only A acts on": scores["only_a"],
            "only B acts on": scores["only_b"],
        },
        "Scores (B - A)",
    )
    columns = [Column("metric_name", "metric"), *FIGURES[:3]]
    if scores["metrics"]:
        out.table(scores["metrics"], columns, "Metrics of the two models, on their test rows")
    if "outcomes" in scores:
        interval = (Column("low", "from", "signed"), Column("high", "to", "signed"))
        title = f"Metrics of the scores, on {scores['outcomes']['rows']} known outcomes"
        out.table(scores["outcomes"]["metrics"], [*columns, *interval], title)


def _figure_columns(rows: list[dict[str, Any]]) -> list[Column]:
    has_notes = any(row["only_in"] for row in rows)
    return [column for column in FIGURES if has_notes or column.key != "note"]


def _with_notes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"note": _note(row)} for row in rows]


def _note(row: dict[str, Any]) -> str:
    if row["only_in"]:
        return f"only in {row['only_in'].upper()}"
    # A space for an empty cell: a dash would mean that something is missing.
    return "changed" if row.get("changed") else " "
