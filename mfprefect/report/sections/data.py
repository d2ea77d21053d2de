"""What went into a model and what came out: checks, variables, drift and scores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Badge, Block, Cell, Column, Gallery, Key, Note, Section, Table
from mfprefect.report.drawing import sparklines
from mfprefect.report.drawing.charts import above, distribution_chart
from mfprefect.report.formats import MISSING, brief, number, percent, present, text
from mfprefect.report.sections.headline import LEVEL_OF_VERDICT

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import SessionReport
    from mfprefect.report.drawing import Picture

__all__ = ["checks_section", "drift_section", "scores_section", "summary_section"]

VERDICTS = ("alarm", "warning", "unknown", "ok")
MOST_ROWS = 500
MOST_MOVED = 20
"""Measures of drift that are shown, where fewer are in alarm; the others are folded."""
MOST_VARIABLES = 40
"""The variables that are seen; the others are folded."""
MOST_LEVELS = 4
MOST_SAMPLE = 300
ROLES = ("a", "b", "c")


def checks_section(checks: pd.DataFrame) -> Section | None:
    """Return the checks that failed, and, folded, those that passed."""
    if checks.empty:
        return None
    rows = checks.to_dict("records")
    failed = [row for row in rows if not row["passed"]]
    failed.sort(key=lambda row: row["severity"] != "error")
    passed = [row for row in rows if row["passed"]]
    blocks = []
    if failed:
        columns = [
            Column("check"),
            Column("result"),
            Column("failing rows", "number"),
            Column("message"),
        ]
        sampled = any(present(row["sample"]) for row in failed)
        columns += [Column("such as", "code")] if sampled else []
        cells = [_failed(row, sampled) for row in failed[:MOST_ROWS]]
        blocks.append(Table(columns, cells, f"{len(failed)} of {len(rows)} checks failed"))
    if passed:
        columns = [Column("check"), Column("result"), Column("message")]
        cells = [[_check(row), Badge("ok", "good"), text(row["message"])] for row in passed]
        blocks.append(
            Table(columns, cells[:MOST_ROWS], f"{len(passed)} checks passed", folded=True)
        )
    return Section("Input checks", blocks)


def _check(row: dict[Any, Any]) -> Key:
    return Key(str(row["check"]), str(row["column"]) if present(row["column"]) else "")


def _failed(row: dict[Any, Any], sampled: bool) -> list[Any]:
    error = row["severity"] == "error"
    badge = Badge("failed", "bad") if error else Badge("warning", "warn")
    cells = [_check(row), badge, number(row["failing_rows"]), text(row["message"])]
    return [*cells, _sample(row["sample"])] if sampled else cells


def _sample(sample: Any) -> str:
    """Return failing cells a line each: the row's index and the value."""
    if not present(sample):
        return ""
    try:
        cells = json.loads(str(sample))
        lines = [f"{text(x['index'])}: {text(x['value'])}" for x in cells]
    except (ValueError, TypeError, KeyError):  # of another form: as it is
        return text(sample, MOST_SAMPLE)
    return text("\n".join(lines), MOST_SAMPLE)


def drift_section(drift: pd.DataFrame) -> Section | None:
    """Return what moved, the worst first, and, folded, what did not."""
    if drift.empty:
        return None
    rows = sorted(drift.to_dict("records"), key=_severity)
    moved = [row for row in rows if row["verdict"] != "ok"]
    still = [row for row in rows if row["verdict"] == "ok"]
    blocks = []
    if moved:
        alarms = sum(row["verdict"] == "alarm" for row in moved)
        first = moved[: max(MOST_MOVED, alarms)]
        caption = f"{alarms} of {len(rows)} measures are in alarm"
        blocks.append(_drift_table(first, caption, folded=False))
        if rest := moved[len(first) :]:
            caption = f"{len(rest)} more measures give a warning or are not known"
            blocks.append(_drift_table(rest, caption, folded=True))
    if still:
        blocks.append(_drift_table(still, f"{len(still)} measures are as expected", folded=True))
    return Section("Drift", blocks)


def _severity(row: dict[Any, Any]) -> tuple[int, float]:
    verdict = str(row["verdict"])
    place = VERDICTS.index(verdict) if verdict in VERDICTS else 0
    return place, -abs(row["value"]) if present(row["value"]) else 0.0


def _drift_table(rows: list[dict[Any, Any]], caption: str, *, folded: bool) -> Table:
    against = list(dict.fromkeys(row["reference_session_id"] for row in rows))
    several = len(against) > 1
    columns = [
        Column("variable and measure"),
        Column("verdict", "short"),
        Column("value", "number"),
        Column("alarm above", "number"),
    ]
    columns += [Column("compared with")] if several else []
    cells: list[list[Cell]] = [
        [
            Key(str(row["variable"]), str(row["measure"])),
            Badge(str(row["verdict"]), LEVEL_OF_VERDICT.get(str(row["verdict"]), "info")),
            number(row["value"]),
            number(row["threshold"]),
            *([_id(row["reference_session_id"])] if several else []),
        ]
        for row in rows[:MOST_ROWS]
    ]
    left = f", {MOST_ROWS} of them shown" if len(rows) > MOST_ROWS else ""
    with_one = f", compared with {_id(against[0])}" if not several and present(against[0]) else ""
    return Table(columns, cells, f"{caption}{with_one}{left}", folded)


def _id(value: Any) -> str:
    return str(value) if present(value) else MISSING


def scores_section(facts: SessionReport) -> Section | None:
    """Return the distribution of published scores, over those of earlier sessions."""
    if not facts.scores:
        note = facts.scores_note
        return Section("Scores", [Note(note)]) if note else None
    named: list[tuple[str, Any]] = [
        (f"{scoring.name} ({scoring.session_id})", list(scoring.counts)) for scoring in facts.scores
    ]
    edges = list(facts.score_edges)
    tested = facts.training.tested if facts.training else None
    if tested is not None:
        named.append(("test rows of the training", above(tested, "population", edges)))
    series = [(role, *scoring) for role, scoring in zip(ROLES, named, strict=False)]
    chart = distribution_chart(edges, series, "Distribution of the scores")
    notes = [Note(facts.scores_note)] if facts.scores_note else []
    return Section("Scores", [Gallery([chart]), *notes])


def summary_section(facts: SessionReport) -> Section | None:
    """Return each input variable with a small histogram, over that of the reference."""
    if facts.summary.empty:
        return None
    side = facts.training or facts.previous
    compared = side is not None and not side.summary.empty
    before = _by_name(side.summary) if side is not None and compared else {}
    rows = facts.summary.to_dict("records")[:MOST_ROWS]
    named = [{str(k): v for k, v in row.items()} for row in rows]
    if many := len(named) > MOST_VARIABLES:  # what has moved is among those that are seen
        worst = _worst(facts.drift)
        named.sort(key=lambda row: worst.get(str(row["variable"]), len(VERDICTS)))
    pictures = sparklines.draw(
        [sparklines.histogram(_words(row), row, before.get(str(row["variable"]))) for row in named]
    )
    columns = [Column("variable"), Column("distribution", "picture"), Column("values")]
    columns += [Column(x, "number") for x in ("mean", "sd", "missing", "distinct")]
    cells = [_variable(row, picture) for row, picture in zip(named, pictures, strict=True)]
    caption = f"{len(facts.summary)} variables"
    if many:
        caption += f", {MOST_VARIABLES} of them; those that drifted come first"
    blocks: list[Block] = [Note(_explained(facts) if compared else EXPLAINED)]
    blocks.append(Table(columns, cells[:MOST_VARIABLES], caption))
    if rest := cells[MOST_VARIABLES:]:
        left = f", {len(rest)} of them" if len(facts.summary) > MOST_ROWS else ""
        rest_caption = f"{len(facts.summary) - MOST_VARIABLES} more variables{left}"
        blocks.append(Table(columns, rest, rest_caption, folded=True))
    return Section("Input variables", blocks)


def _worst(drift: pd.DataFrame) -> dict[str, int]:
    """Return how bad the worst measure of each variable is: 0 is an alarm."""
    worst: dict[str, int] = {}
    for row in drift.to_dict("records"):
        place = _severity(row)[0]
        name = str(row["variable"])
        worst[name] = min(place, worst.get(name, place))
    return worst


EXPLAINED = (
    "Bars show how densely the values lie, of categories and of few different numbers how frequent "
    "each is. Far tails are cut. Values are the smallest, the median and the largest."
)


def _explained(facts: SessionReport) -> str:
    what = "the training session" if facts.training else "the session before"
    return f"{EXPLAINED} The line is {what}."


def _by_name(summary: pd.DataFrame) -> dict[str, dict[str, Any]]:
    rows = summary.to_dict("records")
    return {str(row["variable"]): {str(k): v for k, v in row.items()} for row in rows}


def _variable(row: dict[str, Any], picture: Picture) -> list[Any]:
    total = int(row["n"]) + int(row["n_na"])
    missing = int(row["n_na"]) / total if total else None
    return [
        Key(str(row["variable"]), str(row["dtype"])),
        picture,
        _values(row),
        number(row["mean"]) if present(row["mean"]) else "",
        number(row["sd"]) if present(row["sd"]) else "",
        percent(missing),
        number(row["n_distinct"]),
    ]


def _words(row: dict[str, Any]) -> str:
    return f"histogram: {_values(row)}"


def _values(row: dict[str, Any]) -> str:
    """Return the most frequent levels, or the range of numbers and times."""
    counted = json.loads(row["bin_counts"]) if present(row["bin_counts"]) else {}
    levels = counted.get("levels")
    if isinstance(levels, dict):
        total = sum(levels.values()) + counted.get("other", 0)
        shown = [
            f"{text(k, 40)} {percent(v / total)}" for k, v in list(levels.items())[:MOST_LEVELS]
        ]
        more = int(row["n_distinct"]) - len(shown)
        return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
    if present(row["min"]) and present(row["median"]):
        return " \u00b7 ".join(brief(row[name]) for name in ("min", "median", "max"))
    values_shown = json.loads(row["quantiles"]) if present(row["quantiles"]) else {}
    ends = [_instant(str(values_shown[name])) for name in ("min", "max") if values_shown.get(name)]
    return " \u2013 ".join(ends)


def _instant(text: str) -> str:
    """Return a day, with its time where that is not midnight."""
    return text[:19].removesuffix("T00:00:00").replace("T", " ")
