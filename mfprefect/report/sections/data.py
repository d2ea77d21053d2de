"""The data of a session: input checks, input variables, drift and scores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mfprefect.quality.checks.result import ACCEPTED, CheckCounts
from mfprefect.report.blocks import Badge, Block, Cell, Column, Gallery, Key, Note, Section, Table
from mfprefect.report.drawing import sparklines
from mfprefect.report.drawing.charts import bin_counts, distribution_chart
from mfprefect.report.formats import MISSING, brief, number, percent, present, text
from mfprefect.report.sections.headline import LEVEL_OF_VERDICT

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import SessionReport
    from mfprefect.report.drawing import Picture

__all__ = ["checks_section", "drift_section", "scores_section", "summary_section"]

VERDICTS = ("alarm", "warning", "unknown", "ok")
BADGES = {
    "error": Badge("failed", "bad"),
    "warning": Badge("warning", "warn"),
    ACCEPTED: Badge(ACCEPTED, "info"),
}
"""How a failed check is shown, by severity: the worst first."""
MOST_ROWS = 500
MOST_MOVED = 20
"""The most drift measures to show, unless more are in alarm; the others are collapsed."""
MOST_VARIABLES = 40
"""The most variables to show; the others are collapsed."""
MOST_LEVELS = 4
MOST_SAMPLE = 300
ROLES = ("a", "b", "c")


def checks_section(checks: pd.DataFrame) -> Section | None:
    """Return the failed checks with the accepted ones, and collapsed the passed ones."""
    if checks.empty:
        return None
    rows = checks.to_dict("records")
    failed = [row for row in rows if not row["passed"]]
    failed.sort(key=lambda row: list(BADGES).index(row["severity"]))
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
        columns += [Column("examples", "code")] if sampled else []
        cells = [_failed(row, sampled) for row in failed[:MOST_ROWS]]
        blocks.append(Table(columns, cells, CheckCounts.of(rows).words))
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
    cells = [
        _check(row),
        BADGES[row["severity"]],
        number(row["failing_rows"]),
        text(row["message"]),
    ]
    return [*cells, _sample(row["sample"])] if sampled else cells


def _sample(sample: Any) -> str:
    """Return failing cells, one per line: the index of the row and the value."""
    if not present(sample):
        return ""
    try:
        cells = json.loads(str(sample))
        lines = [f"{text(x['index'])}: {text(x['value'])}" for x in cells]
    except (ValueError, TypeError, KeyError):  # another format: show it unchanged
        return text(sample, MOST_SAMPLE)
    return text("\n".join(lines), MOST_SAMPLE)


def drift_section(drift: pd.DataFrame) -> Section | None:
    """Return drifted measures, worst first, and collapsed the others."""
    if drift.empty:
        return None
    rows = sorted(drift.to_dict("records"), key=_severity)
    drifted = [row for row in rows if row["verdict"] != "ok"]
    stable = [row for row in rows if row["verdict"] == "ok"]
    blocks = []
    if drifted:
        alarms = sum(row["verdict"] == "alarm" for row in drifted)
        first = drifted[: max(MOST_MOVED, alarms)]
        caption = f"{alarms} of {len(rows)} measures raised an alarm"
        blocks.append(_drift_table(first, caption, folded=False))
        if rest := drifted[len(first) :]:
            caption = f"{len(rest)} more measures with a warning or an unknown value"
            blocks.append(_drift_table(rest, caption, folded=True))
    if stable:
        blocks.append(_drift_table(stable, f"{len(stable)} measures without drift", folded=True))
    return Section("Drift", blocks)


def _severity(row: dict[Any, Any]) -> tuple[int, float]:
    verdict = str(row["verdict"])
    rank = VERDICTS.index(verdict) if verdict in VERDICTS else 0
    return rank, -abs(row["value"]) if present(row["value"]) else 0.0


def _drift_table(rows: list[dict[Any, Any]], caption: str, *, folded: bool) -> Table:
    references = list(dict.fromkeys(row["reference_session_id"] for row in rows))
    several = len(references) > 1
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
    if not several and present(references[0]):
        caption += f", compared with {_id(references[0])}"
    if len(rows) > MOST_ROWS:
        caption += f", first {MOST_ROWS} shown"
    return Table(columns, cells, caption, folded)


def _id(value: Any) -> str:
    return str(value) if present(value) else MISSING


def scores_section(report: SessionReport) -> Section | None:
    """Return the distribution of published scores, compared with earlier sessions."""
    if not report.scores:
        note = report.scores_note
        return Section("Scores", [Note(note)]) if note else None
    named: list[tuple[str, Any]] = [
        (f"{scoring.name} ({scoring.session_id})", list(scoring.counts))
        for scoring in report.scores
    ]
    edges = list(report.score_edges)
    tested = report.training.tested if report.training else None
    if tested is not None:
        named.append(("test rows of the training", bin_counts(tested, "population", edges)))
    series = [(role, *scoring) for role, scoring in zip(ROLES, named, strict=False)]
    chart = distribution_chart(edges, series, "Distribution of the scores")
    notes = [Note(text) for text in (report.scores_note, _way(report)) if text]
    return Section("Scores", [Gallery([chart]), *notes])


def _way(report: SessionReport) -> str:
    """Return in a sentence which way the scores were computed, empty if that is not on record."""
    if not (way := report.scoring_note("way")):
        return ""
    details = [report.scoring_note(name) for name in ("where", "reason")]
    return f"Computed in {'; '.join([way, *filter(None, details)])}."


def summary_section(report: SessionReport) -> Section | None:
    """Return each input variable with a small histogram, over that of the compared session."""
    if report.summary.empty:
        return None
    compared = report.training or report.previous
    before = {} if compared is None else _by_name(compared.summary)
    rows = report.summary.to_dict("records")[:MOST_ROWS]
    variables = [{str(k): v for k, v in row.items()} for row in rows]
    if len(variables) > MOST_VARIABLES:  # drifted variables must not be collapsed
        worst = _worst(report.drift)
        variables.sort(key=lambda row: worst.get(str(row["variable"]), len(VERDICTS)))
    pictures = sparklines.draw(
        [
            sparklines.histogram(
                f"histogram: {_values(row)}", row, before.get(str(row["variable"]))
            )
            for row in variables
        ]
    )
    cells = [_variable(row, picture) for row, picture in zip(variables, pictures, strict=True)]
    explanation = EXPLANATION
    if before:
        line = "the training session" if report.training else "the previous session"
        explanation += f" The line is {line}."
    if sample := report.scoring_note("input_summary"):
        explanation += f" All figures are {sample}."
    tables = _variable_tables(cells, len(report.summary))
    return Section("Input variables", [Note(explanation), *tables])


def _variable_tables(cells: list[list[Any]], count: int) -> list[Block]:
    columns = [Column("variable"), Column("distribution", "picture"), Column("values")]
    columns += [Column(x, "number") for x in ("mean", "sd", "missing", "distinct")]
    rest = cells[MOST_VARIABLES:]
    caption = f"{count} variables"
    if rest:
        caption += f", first {MOST_VARIABLES} shown; drifted ones come first"
    tables: list[Block] = [Table(columns, cells[:MOST_VARIABLES], caption)]
    if rest:
        limit = f", first {len(rest)} shown" if count > MOST_ROWS else ""
        caption = f"{count - MOST_VARIABLES} more variables{limit}"
        tables.append(Table(columns, rest, caption, folded=True))
    return tables


def _worst(drift: pd.DataFrame) -> dict[str, int]:
    """Return the rank of each variable's worst verdict in `VERDICTS`: 0 is an alarm."""
    worst: dict[str, int] = {}
    for row in drift.to_dict("records"):
        rank = _severity(row)[0]
        name = str(row["variable"])
        worst[name] = min(rank, worst.get(name, rank))
    return worst


EXPLANATION = (
    "Bars show the density of values, or the frequency of each category or number if there are "
    "few. Far tails are cut off. Values are minimum, median and maximum."
)


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


def _values(row: dict[str, Any]) -> str:
    """Return the most frequent levels, or the range of numbers and times."""
    counts = json.loads(row["bin_counts"]) if present(row["bin_counts"]) else {}
    levels = counts.get("levels")
    if isinstance(levels, dict):
        total = sum(levels.values()) + counts.get("other", 0)
        listed = [
            f"{text(k, 40)} {percent(v / total)}" for k, v in list(levels.items())[:MOST_LEVELS]
        ]
        more = int(row["n_distinct"]) - len(listed)
        return ", ".join(listed) + (f" and {more:,} more" if more > 0 else "")
    if present(row["min"]) and present(row["median"]):
        return " \u00b7 ".join(brief(row[name]) for name in ("min", "median", "max"))
    quantiles = json.loads(row["quantiles"]) if present(row["quantiles"]) else {}
    ends = [_instant(str(quantiles[name])) for name in ("min", "max") if quantiles.get(name)]
    return " \u2013 ".join(ends)


def _instant(text: str) -> str:
    """Return the day, with the time unless it is midnight."""
    return text[:19].removesuffix("T00:00:00").replace("T", " ")
