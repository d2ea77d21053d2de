"""The text of a notification, as a title, as Markdown and as HTML.

Names and messages come from people and from errors. HTML escapes them; Markdown puts them into
code, which they cannot end; the title has no markup.
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
# Markdown dialects share no escape sequence; these lookalikes have no meaning in any of them.
_INERT = {ord(c): chr(ord(c) + 0xFEE0) for c in "<>`*[]|~\\@"}
_BACKTICK = "\u02cb"
# Slack notifies everybody on `<!channel>`, even inside code.
_CALLS = ("<!", "<@", "<#")
_BIDIRECTIONAL = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_TITLES = {
    "failed": "{model}: {purpose} failed",
    "crashed": "{model}: {purpose} crashed",
    "cancelled": "{model}: {purpose} was cancelled",
    "checks_failed": "{model}: {purpose} failed its input checks",
    "warnings": "{model}: {purpose} succeeded with input check warnings",
    "gate_failed": "{model}: {purpose} did not pass its gates",
    "drift": "{model}: drift found by {purpose}",
    "stale": "{model}: scores are out of date",
    "recovered": "{model}: {purpose} recovered",
    "promoted": "{model}: promoted to production",
    "rolled_back": "{model}: rolled back in production",
    "succeeded": "{model}: {purpose} succeeded",
    "digest": "mfprefect: summary of {count}",
    "spooled": "{model}: {purpose} is spooled, the database is unavailable",
    "test": "mfprefect: a test notice",
}
Row = tuple[str, str]


class MetricChange(NamedTuple):
    """A metric in this session and in the previous one."""

    name: str
    old: float
    new: float

    @property
    def change(self) -> float:
        """The change as a share of the old value; infinite if that is 0."""
        return (self.new - self.old) / abs(self.old) if self.old else float("inf")


class Check(NamedTuple):
    """A failed input check."""

    name: str
    severity: str
    failing_rows: int
    message: str


class Drift(NamedTuple):
    """A variable whose drift exceeds its threshold."""

    variable: str
    measure: str
    value: float | None
    threshold: float | None


@dataclass(frozen=True)
class Notice:
    """A message about an event, for one target."""

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
    """In a summary: model and purpose, and the number of sessions by status."""
    failures: tuple[Row, ...] = ()
    """In a summary: the sessions with problems, and the reasons."""
    count: int = 0
    """In a summary: the number of sessions."""
    run_url: str | None = None
    """The URL of the flow run in Prefect."""

    @property
    def warns(self) -> bool:
        """Whether only checks of severity warning failed."""
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
        """The body for services that support Markdown or only plain text."""
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
            parts.append(f'<p><a href="{html.escape(self.run_url)}">Flow run in Prefect</a></p>')
        return "\n".join(parts)

    def _facts(self) -> Iterator[Row]:
        user = " on ".join(filter(None, [self.run_by, self.host]))
        facts = {
            "model": self.model_id,
            "session": self.session_id,
            "attempt": str(self.attempt) if self.attempt else "",
            "status": self.status,
            "data as of": str(self.as_of or ""),
            "started": _time(self.started_at),
            "ended": _time(self.ended_at),
            "run by": user,
            "deployment": self.deployment or "",
            "cause": self.cause_kind,
        }
        yield from ((label, value) for label, value in facts.items() if value)

    def _sections(self) -> Iterator[tuple[str, list[Row], int]]:
        checks = [
            (c.name, f"{c.severity}, {c.failing_rows} rows: {c.message}") for c in self.checks
        ]
        drift = [(d.variable, f"{d.measure} {_number(d.value)}{_limit(d)}") for d in self.drift]
        changes = [(m.name, _change(m)) for m in self.moved]
        for heading, rows in (
            ("Failed checks", checks),
            ("Drift", drift),
            ("Changed metrics", changes),
            ("Sessions", list(self.counts)),
            ("Problems", list(self.failures)),
        ):
            if rows:
                yield heading, rows[:MAX_ROWS], len(rows[MAX_ROWS:])


def _change(metric: MetricChange) -> str:
    change = f" ({metric.change:+.1%})" if metric.old else ""
    return f"{_number(metric.old)} -> {_number(metric.new)}{change}"


def _limit(drift: Drift) -> str:
    return "" if drift.threshold is None else f", alarm above {_number(drift.threshold)}"


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
    return f"`{_without_calls(flat(text, MAX_MESSAGE)).replace('`', _BACKTICK)}`"


def _block(text: str) -> str:
    lines = [_visible(line.expandtabs(4).rstrip()) for line in text.strip().splitlines()]
    return _cut(_without_calls("\n".join(lines)), MAX_CAUSE)


def _without_calls(text: str) -> str:
    for call in _CALLS:
        text = text.replace(call, f"<\u200b{call[1]}")
    return text


def flat(text: str, most: int) -> str:
    """Return a text on one line, at most `most` characters, with hidden characters replaced."""
    return _cut(_visible(" ".join(text.split())), most)


def _visible(text: str) -> str:
    hidden = ("Cc", "Cs", "Zl", "Zp")
    return "".join(
        "\ufffd" if c in _BIDIRECTIONAL or unicodedata.category(c) in hidden else c for c in text
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "\u2026"
