"""What is different from the session before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Column, Key, Note, Section, Table
from mfprefect.report.formats import MISSING, change, moment, number, present, text
from mfprefect.report.sections.data import _check
from mfprefect.report.sections.metrics import ordered, whole

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


def changes_section(facts: SessionReport) -> Section | None:
    """Return what differs from the last session of the same purpose that succeeded."""
    if facts.previous is None:
        return None
    before = facts.previous
    named = f"{before.session['session_id']} of {moment(before.session['started_at'])}"
    rows = [
        *_rows(before, facts),
        *_metrics(before, facts),
        *_parameters(before, facts),
        *_names("columns of the input", _types(before.inputs), _types(facts.inputs)),
        *_provenance(before, facts),
        *_packages(before.environment, facts.environment),
        *_checks(before, facts),
    ]
    if not rows:
        return Section("What changed", [Note(f"Nothing that is recorded, since {named}.")])
    return Section("What changed", [Table(COLUMNS, rows, f"Since {named}")])


def _rows(before: ComparedSession, facts: SessionReport) -> Iterator[Change]:
    old, new = _read(before.inputs), _read(facts.inputs)
    for source in dict.fromkeys([*new, *old]):
        if old.get(source) != new.get(source):
            a, b = old.get(source), new.get(source)
            yield Key(source, "rows read"), number(a), number(b), change(a, b)


def _read(inputs: pd.DataFrame) -> dict[str, float]:
    counted = inputs[inputs["rows"].notna()]
    return {
        str(k): float(v) for k, v in counted.groupby("source", sort=False)["rows"].sum().items()
    }


def _metrics(before: ComparedSession, facts: SessionReport) -> Iterator[Change]:
    old, new = whole(before.metrics), whole(facts.metrics)
    moved = [name for name in ordered(new) if name in old and old[name] != new[name]]
    for name in moved[:MOST_MOVED]:
        yield (
            Key(name, "metric"),
            number(old[name]),
            number(new[name]),
            change(old[name], new[name]),
        )
    if len(moved) > MOST_MOVED:
        yield Key("other metrics"), "", f"{len(moved) - MOST_MOVED} moved", "see Metrics"


def _parameters(before: ComparedSession, facts: SessionReport) -> Iterator[Change]:
    old, new = before.session["params"], facts.session["params"]
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return
    for name in dict.fromkeys([*new, *old]):
        a, b = (text(x[name], MOST_TEXT) if name in x else MISSING for x in (old, new))
        if a != b:
            yield Key(str(name), "parameter"), a, b, ""


def _types(inputs: pd.DataFrame) -> dict[str, str]:
    types: dict[str, str] = {}
    for columns in inputs["columns"]:
        types.update(columns if isinstance(columns, Mapping) else {})
    return types


def _names(what: str, old: dict[str, str], new: dict[str, str]) -> Iterator[Change]:
    if not old or not new:
        return
    gone, added = [x for x in old if x not in new], [x for x in new if x not in old]
    if gone or added:
        yield Key(what), _list(gone), _list(added), f"{len(added)} new, {len(gone)} gone"
    for name in [x for x in new if x in old and old[x] != new[x]][:MOST_NAMES]:
        yield Key(name, "type of the column"), old[name], new[name], ""


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return (shown + (" \u2026" if len(names) > MOST_NAMES else "")) or MISSING


def _provenance(before: ComparedSession, facts: SessionReport) -> Iterator[Change]:
    for what, name in (
        ("data as of", "as_of"),
        ("commit", "git_commit"),
        ("branch", "git_branch"),
        ("training session", "parent_session_id"),
        ("deployment", "deployment"),
        ("run by", "run_by"),
        ("host", "host"),
    ):
        old, new = before.session[name], facts.session[name]
        if present(old) and present(new) and old != new:
            short = 12 if name == "git_commit" else MOST_TEXT
            yield Key(what), str(old)[:short], str(new)[:short], ""


def _packages(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    if old["python"] != new["python"]:
        yield Key("Python"), str(old["python"]), str(new["python"]), ""
    a, b = old["packages"], new["packages"]
    moved = sorted(name for name in {*a, *b} if a.get(name) != b.get(name))
    for name in moved[:MOST_NAMES]:
        yield Key(name, "package"), str(a.get(name, MISSING)), str(b.get(name, MISSING)), ""
    if len(moved) > MOST_NAMES:
        yield Key("other packages"), "", f"{len(moved) - MOST_NAMES} differ", ""


def _checks(before: ComparedSession, facts: SessionReport) -> Iterator[Change]:
    for row in facts.checks.to_dict("records"):
        key = _check(row)
        failed = not row["passed"]
        name = f"{key.below}: {key.text}" if key.below else key.text
        if failed != (name in before.failed_checks):
            words = ("failed", "passed")
            yield Key(name, "check"), words[failed], words[not failed], ""
