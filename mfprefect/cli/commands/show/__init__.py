"""`mfprefect show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.commands.show.checks import folded_checks
from mfprefect.cli.commands.show.columns import ATTEMPTS, METRIC_COLUMNS, SEGMENT_COLUMNS, TABLES
from mfprefect.cli.commands.show.parameters import folded_parameters
from mfprefect.cli.output import Column, Output
from mfprefect.cli.readable import Readable
from mfprefect.vocabulary import Purpose

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["METRIC_COLUMNS", "importance_columns", "parameters", "show", "text_of"]

TOP = 10
VERDICTS = ("alarm", "warning", "unknown", "ok")
ACCEPTED = "accepted"
CHECKS = ("failed", "warning", ACCEPTED, "ok")
GATES = ("gates", "verdicts")
"""Group and name of metadata that has a table of its own."""
_UNKNOWN = "the first attempt; of later ones it is unknown"


@click.command()
@click.argument("session")
@click.option("--segments", is_flag=True, help="Show the metrics of every segment.")
@click.option("--all", "everything", is_flag=True, help="Show that, and every parameter.")
@common
def show(out: Output, url: str | None, session: str, segments: bool, everything: bool) -> None:
    """Show everything about one session: first what happened, whether it can be used, what to do.

    SESSION is an id, `latest`, `latest:MODEL` or `production:MODEL`.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_session
    from mfprefect.errors import PermissionDenied

    def read(moment: Store) -> dict[str, Any]:
        return gather(moment, resolve_session(moment, session))

    with mfprefect.connect(url) as store:
        try:
            document = store.snapshot(read)
        except PermissionDenied:  # to a single table; a refused statement ends the snapshot
            document = read(store)
    if out.as_json:
        out.document(document)
    else:
        write(out, document, segments=segments or everything, everything=everything)


def gather(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    """Return everything stored about a session except curves and single scores.

    What this user may not read is empty, and named in `hidden`.
    """
    from mfprefect.cli.verdict import verdict

    readable = Readable(store, row["session_id"])
    checks = readable.rows("checks")
    document: dict[str, Any] = {
        "session": row,
        "environment": readable("environment", None),
        "attempts": _attempts(readable),
        "inputs": readable.rows("inputs"),
        "checks": sorted(checks, key=lambda check: CHECKS.index(_verdict(check))),
        "metrics": readable.rows("metrics"),
        "drift": sorted(readable.rows("drift"), key=lambda row: VERDICTS.index(row["verdict"])),
        "gates": readable.rows("gates"),
        "metadata": [
            row
            for row in readable.rows("metadata")
            if (row["meta_group"], row["meta_name"]) != GATES
        ],
        "importance": readable.rows("variable_importance"),
        "artifacts": readable.rows("artifacts"),
        "files": readable.rows("files"),
        "notifications": readable.rows("notifications"),
        "scores": _scores(readable, row),
        "stage": _stage(readable, store, row),
        "hidden": readable.hidden,
    }
    return document | {"verdict": verdict(document, _seconds(row))._asdict()}


def _scores(readable: Readable, row: dict[str, Any]) -> dict[str, Any]:
    parts = readable.rows("score_parts")
    closed = "score_parts" in readable.hidden
    return {
        "rows": None if closed else sum(part["rows"] for part in parts),
        "parts": None if closed else len(parts),
        "empty_parts": None if closed else sum(not part["rows"] for part in parts),
        "published": row["published_at"] is not None,
    }


def _attempts(readable: Readable) -> list[dict[str, Any]]:
    """Return a session's attempts, each with the number of score parts that it wrote."""
    writers = [part["attempt"] for part in readable.rows("score_parts")]
    return [row | {"parts": writers.count(row["attempt"])} for row in readable.rows("attempts")]


def _stage(readable: Readable, store: Store, row: dict[str, Any]) -> dict[str, Any] | None:
    """Return the last stage of the session itself; of production where nothing else is readable."""
    if row["purpose"] != Purpose.TRAIN:
        return None
    stages = readable.rows("stages", row["model_id"], drop=())
    if "stages" in readable.hidden and store.production(row["model_id"]) == row["session_id"]:
        return {"stage": "production", "until": None, "set_at": None, "set_by": None}
    return next((stage for stage in stages if stage["session_id"] == row["session_id"]), None)


def write(
    out: Output, document: dict[str, Any], *, segments: bool = False, everything: bool = False
) -> None:
    """Write the verdict, then the sections that have content."""
    row, environment = document["session"], document["environment"]
    judged = document["verdict"]
    out.pairs(
        {
            "what happened": judged["happened"],
            "can it be used": judged["usable"],
            "what to do": judged["next"],
        },
        f"Session {row['session_id']}",
    )
    out.pairs(_run(row), "Run")
    attempts = document["attempts"]
    out.pairs(_provenance(row, attempts), "Provenance")
    if len(attempts) > 1:
        out.table([_attempt(attempt) for attempt in attempts], ATTEMPTS, "Attempts")
    if environment:
        packages = f"{len(environment['packages'])} (--json lists them)"
        out.pairs({**environment, "packages": packages}, "Environment")
    params = parameters(row)
    if not everything:
        params, document = folded_parameters(params, document)
    if params:
        out.pairs(params, "Parameters")
    for key, (title, columns) in TABLES.items():
        if rows := document[key]:
            if key == "metrics" and not segments:
                _folded_metrics(out, rows)
            else:
                _section(out, key, title, rows, columns or importance_columns(rows))
    if document["scores"]["parts"]:
        out.pairs(_published(document["scores"]), "Scores")
    if document["hidden"]:
        hidden = ", ".join(document["hidden"]).replace("_", " ")
        out.note(f"not shown to the role reader, but to auditors: {hidden}.")


def _folded_metrics(out: Output, rows: list[dict[str, Any]]) -> None:
    """Write the metrics of all rows, and a line for each group of segments."""
    from mfprefect.cli.segments import folded

    overall = [row for row in rows if not row["segment"]]
    if overall:
        out.table(overall, [c for c in METRIC_COLUMNS if c.key != "segment"], "Metrics")
    if groups := folded(rows):
        out.table(groups, SEGMENT_COLUMNS, "Segments (--segments shows all of their metrics)")


def _run(row: dict[str, Any]) -> dict[str, Any]:
    from mfprefect.cli.formats import duration
    from mfprefect.cli.formats import show as format_value

    took = _seconds(row)
    ended = row["ended_at"] and f"{format_value(row['ended_at'], 'time')} UTC"
    return {
        "model": row["model_id"],
        "purpose": row["purpose"],
        "status": row["status"],
        "failure": _failure(row),
        "attempt": row["attempt"],
        "started": f"{format_value(row['started_at'], 'time')} UTC",
        "ended": ended,
        "took": None if took is None else duration(took),
        "data as of": row["as_of"],
        "model from": row["parent_session_id"],
        "deployment": row["deployment"],
        "flow run": row["flow_run_id"],
        "run by": f"{row['run_by']} on {row['host']}",
        "seal": row["seal"] and f"{row['seal'][:16]}.. (mfprefect audit verify checks it)",
    }


def _seconds(row: dict[str, Any]) -> float | None:
    from mfprefect.cli.formats import seconds_between

    return seconds_between(row["started_at"], row["ended_at"])


def _failure(row: dict[str, Any]) -> str | None:
    kind, text = row["failure_kind"], row["failure_text"]
    if kind is None:  # a session that is being deleted has a text alone
        return text and str(text)
    return f"{kind}: {text or ''}"


def _attempt(row: dict[str, Any]) -> dict[str, Any]:
    commit = (row["git_commit"] or "")[:8] + ("*" if row["git_dirty"] else "")
    return row | {
        "commit": commit or None,
        "environment": (row["environment_digest"] or "")[:8] or None,
        "by": f"{row['run_by'] or 'unknown'} on {row['host']}",
        "failure": _failure(row),
    }


def _provenance(row: dict[str, Any], attempts: list[dict[str, Any]]) -> dict[str, Any]:
    if row["vcs"] is None and row["git_commit"] is None:
        return {"commit": "unknown: not run from a git or Mercurial checkout"}
    working_copy = {True: "with uncommitted changes", False: "clean"}
    return {
        "repository": row["git_remote"],
        "branch": row["git_branch"],
        "commit": row["git_commit"],
        "author": row["git_author"],
        "working copy": working_copy.get(row["git_dirty"]),
        # An earlier version ran the session.
        "of": _UNKNOWN if attempts and not attempts[-1]["started_at"] else None,
    }


def parameters(row: dict[str, Any]) -> dict[str, Any]:
    """Return a session's parameters as texts by name, with None as `null`."""
    params = row["params"] if isinstance(row["params"], dict) else {}
    return {name: text_of(value) for name, value in params.items()}


def text_of(value: Any) -> str:
    """Return a parameter as text, with None as `null`."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def importance_columns(rows: list[dict[str, Any]]) -> list[Column]:
    """Return the columns of a table of importances, without empty ones."""
    figures = [
        Column(key, key, "number")
        for key in ("importance", "std", "coefficient")
        if any(row[key] is not None for row in rows)
    ]
    return [Column("kind", "kind"), Column("variable", "variable"), *figures]


def _section(out: Output, key: str, title: str, rows: list[dict[str, Any]], columns: Any) -> None:
    from mfprefect.quality.checks.result import CheckCounts

    queries = [(row.get("source"), row.get("query")) for row in rows]
    if key == "inputs":
        rows = [
            row
            | {
                "column_count": len(row["columns"] or ()),
                "digest8": (row["digest"] or "")[:8],
                "query": _short_query(row["query"]),
            }
            for row in rows
        ]
        columns = [c for c in columns if any(row[c.key] not in (None, "", 0) for row in rows)]
    elif key == "checks":
        title = f"{title}: {CheckCounts.of(rows).words}"
        rows = folded_checks([row | {"verdict": _verdict(row)} for row in rows])
    elif key == "drift":
        title, rows = _drift(title, rows)
    elif key == "metrics" and not any(row["segment"] for row in rows):
        columns = [c for c in columns if c.key != "segment"]
    elif key == "importance":
        title, rows = _importance(title, rows)
    if rows:
        out.table(rows, columns, title)
    else:
        out.heading(title)
    if key == "inputs":
        _queries(out, queries)


def _short_query(query: str | None) -> str | None:
    """Return a file or table; SQL has its place below the table."""
    from mfprefect.cli.sql_text import is_sql

    return None if query is None or is_sql(query) else query


def _queries(out: Output, queries: list[tuple[str | None, str | None]]) -> None:
    """Write each statement once, with its sources."""
    from mfprefect.cli.sql_text import is_sql, sql_lines

    sources: dict[str, list[str]] = {}
    for source, query in queries:
        if query is not None and is_sql(query):
            sources.setdefault(query, []).append(source or "the database")
    for query, names in sources.items():
        out.line()
        out.line(f"  SQL of {', '.join(dict.fromkeys(names))}")
        for line in sql_lines(query):
            out.line(f"    {line}")


def _drift(title: str, rows: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Count alarms in the title; leave out measures that are ok if there are many."""
    alarms = sum(row["verdict"] == "alarm" for row in rows)
    title = f"{title}: {alarms} of {len(rows)} measures in alarm"
    notable = [row for row in rows if row["verdict"] != "ok"]
    ok = len(rows) - len(notable)
    if ok <= TOP:
        return title, rows
    return f"{title}, {ok} as expected (--json lists them)", notable


def _importance(title: str, rows: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Leave out all but the top variables of each kind."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_kind.setdefault(row["kind"], []).append(row)
    if any(len(of_kind) > TOP for of_kind in by_kind.values()):
        title += f": the top {TOP}"
    return title, [row for of_kind in by_kind.values() for row in of_kind[:TOP]]


def _verdict(check: dict[str, Any]) -> str:
    if check["passed"]:
        return "ok"
    return {"error": "failed", ACCEPTED: ACCEPTED}.get(check["severity"], "warning")


def _published(scores: dict[str, Any]) -> dict[str, Any]:
    return {
        "rows": scores["rows"],
        "parts": scores["parts"],
        "published": "yes"
        if scores["published"]
        else "no: only successful sessions publish scores",
    }
