"""What a notification says: the same facts as a title, as Markdown and as HTML.

Names and messages come from people and from errors. In HTML they are escaped; in Markdown they
stand in code, which nothing in them can leave; in the title no character means anything.
"""

from __future__ import annotations

import datetime as dt
import html
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Check", "Drift", "MetricChange", "Notice", "flat"]

MAX_NAME = 130
MAX_MESSAGE = 300
MAX_CAUSE = 2_000
MAX_ROWS = 10
# The services' dialects of Markdown agree on no escape; these look the same and mean nothing.
_INERT = {ord(c): chr(ord(c) + 0xFEE0) for c in "<>`*[]|~\\@"}
_BACKTICK = "\u02cb"
# Slack takes `<!channel>` for a call to everybody, inside code as well.
_CALLS = ("<!", "<@", "<#")
_BIDIRECTIONAL = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_TITLES = {
    "failed": "{model}: {purpose} failed",
    "crashed": "{model}: {purpose} crashed",
    "cancelled": "{model}: {purpose} was cancelled",
    "checks_failed": "{model}: {purpose} failed its input checks",
    "warnings": "{model}: {purpose} succeeded with warnings of its input checks",
    "gate_failed": "{model}: {purpose} did not pass its gates",
    "drift": "{model}: drift found by {purpose}",
    "stale": "{model}: scores are out of date",
    "recovered": "{model}: {purpose} is well again",
    "promoted": "{model}: promoted to production",
    "rolled_back": "{model}: rolled back in production",
    "succeeded": "{model}: {purpose} succeeded",
    "digest": "mfprefect: digest of {count}",
    "spooled": "{model}: {purpose} is spooled, its database is away",
    "test": "mfprefect: a test notice",
}
Row = tuple[str, str]


class MetricChange(NamedTuple):
    """A figure of the session and of the one before."""

    name: str
    old: float
    new: float

    @property
    def change(self) -> float:
        """The change as a share of the old value; infinite where that is 0."""
        return (self.new - self.old) / abs(self.old) if self.old else float("inf")


class Check(NamedTuple):
    """An input check that failed."""

    name: str
    severity: str
    failing_rows: int
    message: str


class Drift(NamedTuple):
    """A variable that moved further than it may."""

    variable: str
    measure: str
    value: float | None
    threshold: float | None


@dataclass(frozen=True)
class Notice:
    """One fact about a session, for one target."""

    event: str
    """One of `settings.EVENTS`, or `test`."""
    model_id: str = ""
    session_id: str = ""
    purpose: str = ""
    attempt: int = 0
    status: str = ""
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    run_by: str = ""
    host: str = ""
    deployment: str | None = None
    as_of: dt.date | None = None
    cause_kind: str = ""
    cause_text: str = ""
    moved: tuple[MetricChange, ...] = ()
    checks: tuple[Check, ...] = ()
    drift: tuple[Drift, ...] = ()
    counts: tuple[Row, ...] = ()
    """Of a digest: model and purpose, and how many sessions ended how."""
    failures: tuple[Row, ...] = ()
    """Of a digest: the sessions that did not end well, and why."""
    count: int = 0
    """Of a digest: how many sessions it covers."""
    run_url: str | None = None
    """Where Prefect shows the flow run."""

    @property
    def warns(self) -> bool:
        """Whether all that is wrong is a warning."""
        return self.event == "checks_failed" and self.status == "succeeded"

    @property
    def title(self) -> str:
        """One line of text without any markup."""
        form = _TITLES["warnings" if self.warns else self.event]
        model = flat(self.model_id, MAX_NAME).translate(_INERT)
        purpose = flat(self.purpose, MAX_NAME).translate(_INERT)
        count = "1 session" if self.count == 1 else f"{self.count} sessions"
        return form.format(model=model, purpose=purpose, count=count)

    @property
    def markdown(self) -> str:
        """The body for services that know Markdown, or plain text only."""
        lines = [f"- {label}: {_code(value)}" for label, value in self._facts()]
        if self.cause_text:
            lines += ["", "```", _block(self.cause_text).replace("`", _BACKTICK), "```"]
        for heading, rows, more in self._sections():
            lines += ["", f"{heading}:", ""]
            lines += [f"- {_code(name)}: {_code(text)}" for name, text in rows]
            lines += [f"- and {more} more"] if more else []
        if self.session_id:
            lines += ["", f"More: {_code(f'mfprefect show {self.session_id}')}"]
        if self.run_url:
            lines += ["", f"Prefect: {self.run_url}"]
        return "\n".join(lines) or self.title

    @property
    def html(self) -> str:
        """The body for mail and other services that show HTML."""
        parts = _list([(_escaped(n, MAX_NAME), _escaped(v, MAX_NAME)) for n, v in self._facts()])
        if self.cause_text:
            parts.append(f"<pre>{html.escape(_block(self.cause_text))}</pre>")
        for heading, rows, more in self._sections():
            items = [(_escaped(n, MAX_NAME), _escaped(v, MAX_MESSAGE)) for n, v in rows]
            parts += [f"<p>{heading}:</p>", *_list(items, more)]
        if self.session_id:
            show = _escaped(f"mfprefect show {self.session_id}", MAX_NAME)
            parts.append(f"<p>More: <code>{show}</code></p>")
        if self.run_url:
            parts.append(f'<p><a href="{html.escape(self.run_url)}">The run in Prefect</a></p>')
        return "\n".join(parts)

    def _facts(self) -> Iterator[Row]:
        who = " on ".join(filter(None, [self.run_by, self.host]))
        facts = {
            "model": self.model_id,
            "session": self.session_id,
            "attempt": str(self.attempt) if self.attempt else "",
            "status": self.status,
            "data as of": str(self.as_of or ""),
            "started": _time(self.started_at),
            "ended": _time(self.ended_at),
            "run by": who,
            "deployment": self.deployment or "",
            "cause": self.cause_kind,
        }
        yield from ((label, value) for label, value in facts.items() if value)

    def _sections(self) -> Iterator[tuple[str, list[Row], int]]:
        checks = [
            (c.name, f"{c.severity}, {c.failing_rows} rows: {c.message}") for c in self.checks
        ]
        drift = [(d.variable, f"{d.measure} {_number(d.value)}{_limit(d)}") for d in self.drift]
        moved = [(m.name, _movement(m)) for m in self.moved]
        for heading, rows in (
            ("Checks that failed", checks),
            ("Drift", drift),
            ("Figures that moved", moved),
            ("Sessions", list(self.counts)),
            ("Not well", list(self.failures)),
        ):
            if rows:
                yield heading, rows[:MAX_ROWS], len(rows[MAX_ROWS:])


def _movement(moved: MetricChange) -> str:
    change = f" ({moved.change:+.1%})" if moved.old else ""
    return f"{_number(moved.old)} -> {_number(moved.new)}{change}"


def _limit(drift: Drift) -> str:
    return "" if drift.threshold is None else f", at most {_number(drift.threshold)} expected"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"


def _time(value: dt.datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else ""


def _list(items: list[Row], more: int = 0) -> list[str]:
    rows = [f"<li><b>{name}</b>: {text}</li>" for name, text in items]
    rows += [f"<li>and {more} more</li>"] if more else []
    return ["<ul>", *rows, "</ul>"]


def _escaped(text: str, most: int) -> str:
    return html.escape(flat(text, most))


def _code(text: str) -> str:
    return f"`{_disarmed(flat(text, MAX_MESSAGE)).replace('`', _BACKTICK)}`"


def _block(text: str) -> str:
    lines = [_visible(line.expandtabs(4).rstrip()) for line in text.strip().splitlines()]
    return _cut(_disarmed("\n".join(lines)), MAX_CAUSE)


def _disarmed(text: str) -> str:
    for call in _CALLS:
        text = text.replace(call, f"<\u200b{call[1]}")
    return text


def flat(text: str, most: int) -> str:
    """Return text on one line, without characters that cannot be seen."""
    return _cut(_visible(" ".join(text.split())), most)


def _visible(text: str) -> str:
    hidden = ("Cc", "Cs", "Zl", "Zp")
    return "".join(
        "\ufffd" if c in _BIDIRECTIONAL or unicodedata.category(c) in hidden else c for c in text
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "\u2026"
