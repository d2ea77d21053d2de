"""Differences from the previous session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.quality.checks.result import is_open
from mfprefect.quality.metrics.order import ordered
from mfprefect.report.blocks import Column, Key, Note, Section, Table
from mfprefect.report.content import overall
from mfprefect.report.formats import MISSING, change, moment, number, present, text
from mfprefect.report.sections.data import _check
from mfprefect.vocabulary import is_of_training

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import ComparedSession, SessionReport

__all__ = ["changes_section"]

MOST_MOVED = 5
MOST_NAMES = 12
MOST_TEXT = 200
Change = tuple[Key, str, str, str]
COLUMNS = (
    Column("what"),
    Column("before", "value"),
    Column("now", "value"),
    Column("change", "value"),
)


def changes_section(report: SessionReport) -> Section | None:
    """Return the differences from the last successful session of the same purpose."""
    if report.previous is None:
        return None
    before = report.previous
    name = f"{before.session['session_id']} of {moment(before.session['started_at'])}"
    rows = [
        *_rows(before, report),
        *_metrics(before, report),
        *_parameters(before, report),
        *_columns("input columns", _types(before.inputs), _types(report.inputs)),
        *_provenance(before, report),
        *_packages(before.environment, report.environment),
        *_checks(before, report),
    ]
    if not rows:
        return Section("What changed", [Note(f"No recorded differences since {name}.")])
    return Section("What changed", [Table(COLUMNS, rows, f"Since {name}")])


def _rows(before: ComparedSession, report: SessionReport) -> Iterator[Change]:
    old, new = _rows_by_source(before.inputs), _rows_by_source(report.inputs)
    for source in dict.fromkeys([*new, *old]):
        if old.get(source) != new.get(source):
            a, b = old.get(source), new.get(source)
            yield Key(source, "rows read"), number(a), number(b), change(a, b)


def _rows_by_source(inputs: pd.DataFrame) -> dict[str, float]:
    counts = inputs[inputs["rows"].notna()].groupby("source", sort=False)["rows"].sum()
    return {str(k): float(v) for k, v in counts.items()}


def _metrics(before: ComparedSession, report: SessionReport) -> Iterator[Change]:
    old, new = overall(before.metrics), overall(report.metrics)
    changed = [name for name in ordered(new) if name in old and old[name] != new[name]]
    for name in changed[:MOST_MOVED]:
        yield (
            Key(name, "metric"),
            number(old[name]),
            number(new[name]),
            change(old[name], new[name]),
        )
    if len(changed) > MOST_MOVED:
        yield Key("other metrics"), "", f"{len(changed) - MOST_MOVED} changed", "see Metrics"


def _parameters(before: ComparedSession, report: SessionReport) -> Iterator[Change]:
    old, new = before.session["params"], report.session["params"]
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return
    # Earlier versions recorded estimator and split elsewhere.
    both = all(any(map(is_of_training, params)) for params in (old, new))
    for name in dict.fromkeys([*new, *old]):
        if is_of_training(name) and not both:
            continue
        a, b = (text(x[name], MOST_TEXT) if name in x else MISSING for x in (old, new))
        if a != b:
            yield Key(str(name), "parameter"), a, b, ""


def _types(inputs: pd.DataFrame) -> dict[str, str]:
    types: dict[str, str] = {}
    for columns in inputs["columns"]:
        types.update(columns if isinstance(columns, Mapping) else {})
    return types


def _columns(title: str, old: dict[str, str], new: dict[str, str]) -> Iterator[Change]:
    if not old or not new:
        return
    removed, added = [x for x in old if x not in new], [x for x in new if x not in old]
    if removed or added:
        counts = f"{len(added)} new, {len(removed)} removed"
        yield Key(title), _list(removed), _list(added), counts
    for name in [x for x in new if x in old and old[x] != new[x]][:MOST_NAMES]:
        yield Key(name, "column type"), old[name], new[name], ""


def _list(names: list[str]) -> str:
    listed = ", ".join(names[:MOST_NAMES])
    return (listed + (" \u2026" if len(names) > MOST_NAMES else "")) or MISSING


def _provenance(before: ComparedSession, report: SessionReport) -> Iterator[Change]:
    for label, name in (
        ("data as of", "as_of"),
        ("commit", "git_commit"),
        ("branch", "git_branch"),
        ("training session", "parent_session_id"),
        ("deployment", "deployment"),
        ("run by", "run_by"),
        ("host", "host"),
    ):
        old, new = before.session[name], report.session[name]
        if present(old) and present(new) and old != new:
            short = 12 if name == "git_commit" else MOST_TEXT
            yield Key(label), str(old)[:short], str(new)[:short], ""


def _packages(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    if old["python"] != new["python"]:
        yield Key("Python"), str(old["python"]), str(new["python"]), ""
    a, b = old["packages"], new["packages"]
    changed = sorted(name for name in {*a, *b} if a.get(name) != b.get(name))
    for name in changed[:MOST_NAMES]:
        yield Key(name, "package"), str(a.get(name, MISSING)), str(b.get(name, MISSING)), ""
    if len(changed) > MOST_NAMES:
        yield Key("other packages"), "", f"{len(changed) - MOST_NAMES} changed", ""


def _checks(before: ComparedSession, report: SessionReport) -> Iterator[Change]:
    for row in report.checks.to_dict("records"):
        key = _check(row)
        failed = is_open(row)
        name = f"{key.below}: {key.text}" if key.below else key.text
        if failed != (name in before.failed_checks):
            now, then = ("failed", "passed") if failed else ("passed", "failed")
            yield Key(name, "check"), then, now, ""
