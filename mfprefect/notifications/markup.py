"""A message as plain text, as Markdown, for Slack, and as the HTML that chats understand.

Markdown puts the texts of people and errors into code, which they cannot end. Slack's control
characters are escaped: without `&`, `<` and `>` there is no link and no mention. HTML escapes them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

from mfprefect.notifications.text import block, flat
from mfprefect.notifications.wording import Body, Table, TableRow

__all__ = ["markdown", "plain", "simple_html", "slack", "slack_escaped"]

_BACKTICK = "\u02cb"
# Chats read `<!channel>`, `<@user>` and `<url|text>` even inside code.
_CONTROL = re.compile(r"<(?=[!@#]|\w+[:/])")
Escape = Callable[[str], str]


def plain(body: Body) -> str:
    """Return the text for people who read mail as text: aligned tables, no markup."""
    parts = [body.first_line + (f"\n  {body.command}" if body.command else "")]
    parts += ["\n".join(_plain_table(table)) for table in body.tables]
    if body.cause:
        parts.append("\n".join(f"  {line}" for line in block(body.cause).splitlines()))
    width = max((len(label) for label, _ in body.facts), default=0)
    parts.append("\n".join(f"{label:{width}}  {flat(value)}" for label, value in body.facts))
    parts.append("\n".join(f"{label}: {value}" for label, value in _ends(body)))
    return "\n\n".join(filter(None, parts))


def _ends(body: Body) -> Iterator[tuple[str, str]]:
    if body.more:
        yield "More", flat(body.more)
    yield from body.links


def _plain_table(table: Table) -> Iterator[str]:
    yield table.heading
    cells = [[flat(cell) for cell in row.cells] for row in table.rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    for shown, row in zip(cells, table.rows, strict=True):
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(shown, widths, strict=True))
        yield f"  {line.rstrip()}"
        if row.note:
            yield f"    {flat(row.note)}"
    if table.more:
        yield f"  {table.more}"


def markdown(body: Body) -> str:
    """Return the text for services that show Markdown or only text."""
    return _marked(body, _markdown_escaped)


def slack(body: Body) -> str:
    """Return the text in Slack's dialect, escaped."""
    return _marked(body, slack_escaped)


def slack_escaped(text: str) -> str:
    """Escape the three characters that Slack's links and mentions need."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown_escaped(text: str) -> str:
    return _CONTROL.sub("<\u200b", text)


def _marked(body: Body, escape: Escape) -> str:
    def code(text: str) -> str:
        return f"`{escape(flat(text)).replace('`', _BACKTICK)}`"

    lines = [body.first_line]
    lines += ["", code(body.command)] if body.command else []
    for table in body.tables:
        lines += ["", f"{table.heading}:", ""]
        lines += [f"- {code(row.cells[0])}: {code(_rest(row))}" for row in table.rows]
        lines += [f"- {table.more}"] if table.more else []
    if body.cause:
        lines += ["", "```", escape(block(body.cause)).replace("`", _BACKTICK), "```"]
    if body.facts:
        lines += ["", *(f"- {label}: {code(value)}" for label, value in body.facts)]
    lines += ["", f"More: {code(body.more)}"] if body.more else []
    for label, url in body.links:
        lines += ["", f"{label}: {escape(url)}"]
    return "\n".join(lines)


def _rest(row: TableRow) -> str:
    """Return what a row says of its first cell, the verdict first, on one line."""
    *figures, last = row.cells[1:]
    parts = [last, *figures] if row.tone else [*figures, last]
    return ", ".join(filter(None, parts)) + (f": {row.note}" if row.note else "")


def simple_html(body: Body) -> str:
    """Return HTML of few tags, for chats; mail has a page of its own."""
    parts = [f"<p><b>{_text(body.lead)}</b> {_text(body.action)}</p>"]
    parts += [f"<p><code>{_text(body.command)}</code></p>"] if body.command else []
    for table in body.tables:
        items = [(_text(row.cells[0]), _text(_rest(row))) for row in table.rows]
        parts += [f"<p>{_text(table.heading)}:</p>", _list(items, table.more)]
    parts += [f"<pre>{html.escape(block(body.cause))}</pre>"] if body.cause else []
    if body.facts:
        parts.append(_list([(label, _text(value)) for label, value in body.facts]))
    parts += [f"<p>More: <code>{_text(body.more)}</code></p>"] if body.more else []
    for label, url in ((label, html.escape(url)) for label, url in body.links):
        parts.append(f'<p>{label}: <a href="{url}">{url}</a></p>')
    return "\n".join(parts)


def _text(text: str) -> str:
    return html.escape(flat(text))


def _list(items: list[tuple[str, str]], more: str = "") -> str:
    rows = [f"<li><b>{name}</b>: {text}</li>" for name, text in items]
    rows += [f"<li>{more}</li>"] if more else []
    return "\n".join(["<ul>", *rows, "</ul>"])
