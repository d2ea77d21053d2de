"""A mail as a page that mail clients keep: tables, inline styles, nothing from elsewhere.

Clients differ. Outlook for Windows knows no `max-width` and inverts light colours by itself, so
verdicts are coloured words, readable on both backgrounds, never colour alone. Clients that keep
`<style>` get dark colours and a narrow layout from it; the others keep the inline light ones.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from mfprefect.notifications.text import block, flat
from mfprefect.notifications.wording import FAILURE, INFO, SUCCESS, WARNING, Body, Table, TableRow

__all__ = ["DARK", "LIGHT", "Palette", "page"]

WIDTH = 640
FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
MONO = "font-family:Consolas,Menlo,'Liberation Mono',monospace"


class Palette(NamedTuple):
    """The colours of a page."""

    page: str
    card: str
    code: str
    line: str
    text: str
    muted: str
    link: str
    tones: dict[str, str]


LIGHT = Palette(
    page="#eef1f4",
    card="#fdfdfe",
    code="#eef1f4",
    line="#d5dbe1",
    text="#1d2530",
    muted="#55606d",
    link="#0a5cad",
    tones={FAILURE: "#b3261e", WARNING: "#8a5a00", SUCCESS: "#1b7a3d", INFO: "#0a5cad"},
)
DARK = Palette(
    page="#14181d",
    card="#1d2329",
    code="#2a323a",
    line="#3b454f",
    text="#e4e8ec",
    muted="#a3aeb9",
    link="#78b7ff",
    tones={FAILURE: "#ff8a80", WARNING: "#e8b648", SUCCESS: "#5fcf86", INFO: "#78b7ff"},
)
"""Each colour replaces that of the same name where the reader prefers dark."""


def page(body: Body, subject: str, tone: str) -> str:
    """Return the whole page; the first text in it is what readers of the scores see now."""
    blocks = [
        _bar(tone),
        _row(_lead(body.lead), top=24),
        _row(_action(body)),
        _row(_verdict(subject, tone), top=22),
        *(_row(_data_table(table)) for table in body.tables),
    ]
    if body.cause:
        blocks.append(_row(_cause(body.cause)))
    if body.facts:
        blocks.append(_row(_facts(body)))
    blocks.append(_row(_ends(body), bottom=26))
    return _HEAD + _frame("\n".join(blocks)) + "</body></html>\n"


def _style() -> str:
    """Return the rules for dark and narrow, for clients that keep `<style>`."""
    rules = [
        (".pg", f"background:{DARK.page}"),
        (".cd", f"background:{DARK.card};border-color:{DARK.line}"),
        (".co", f"background:{DARK.code};color:{DARK.text}"),
        (".tx", f"color:{DARK.text}"),
        (".mu", f"color:{DARK.muted}"),
        (".ln", f"border-color:{DARK.line}"),
        (".lk", f"color:{DARK.link}"),
        *((f".t-{name}", f"color:{colour}") for name, colour in DARK.tones.items()),
        *((f".b-{name}", f"background:{colour}") for name, colour in DARK.tones.items()),
    ]
    dark = "".join(f"{name}{{{_important(rule)}}}" for name, rule in rules)
    # The dark mode of Outlook on the web and on phones marks what it has changed.
    outlook = "".join(
        f"[data-ogs{'b' if rule.startswith('background') else 'c'}] {name}{{{_important(rule)}}}"
        for name, rule in rules
    )
    narrow = (
        ".pd{padding-left:16px!important;padding-right:16px!important}.wr{width:100%!important}"
    )
    return (
        ":root{color-scheme:light dark;supported-color-schemes:light dark}"
        f"@media (prefers-color-scheme:dark){{{dark}}}{outlook}"
        f"@media (max-width:{WIDTH}px){{{narrow}.ou{{padding:0!important}}}}"
    )


def _important(rule: str) -> str:
    return ";".join(f"{part}!important" for part in rule.split(";"))


_HEAD = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    '<meta name="supported-color-schemes" content="light dark">'
    f"<style>{_style()}</style></head>\n"
)


def _frame(rows: str) -> str:
    """Return the body: a card in the middle, as wide as the window if that is narrow."""
    table = 'role="presentation" cellpadding="0" cellspacing="0" border="0"'
    return (
        f'<body class="pg" style="margin:0;padding:0;background:{LIGHT.page}">\n'
        f'<table {table} width="100%" class="pg" bgcolor="{LIGHT.page}" '
        f'style="background:{LIGHT.page}"><tr>'
        '<td align="center" class="ou" style="padding:20px 8px">\n'
        f'<table {table} width="{WIDTH}" class="cd wr" bgcolor="{LIGHT.card}" '
        f'style="width:100%;max-width:{WIDTH}px;background:{LIGHT.card};'
        f'border:1px solid {LIGHT.line};border-radius:6px">\n'
        f"{rows}\n</table>\n</td></tr></table>"
    )


def _bar(tone: str) -> str:
    colour = LIGHT.tones[tone]
    return (
        f'<tr><td class="b-{tone}" height="5" bgcolor="{colour}" style="height:5px;line-height:5px;'
        f'font-size:0;background:{colour};border-radius:5px 5px 0 0">&nbsp;</td></tr>'
    )


def _row(content: str, *, top: int = 14, bottom: int = 0) -> str:
    return (
        f'<tr><td class="pd tx" align="left" style="padding:{top}px 28px {bottom}px 28px;{FONT};'
        f'font-size:14px;line-height:21px;color:{LIGHT.text}">{content}</td></tr>'
    )


def _text(text: str) -> str:
    return html.escape(flat(text))


def _paragraph(text: str, style: str = "", classes: str = "tx", colour: str = LIGHT.text) -> str:
    extra = f";{style}" if style else ""
    return f'<div class="{classes}" style="color:{colour}{extra}">{_text(text)}</div>'


def _action(body: Body) -> str:
    text = _paragraph(body.action, "font-size:15px;line-height:22px")
    return text + (_code(body.command) if body.command else "")


def _code(command: str) -> str:
    return (
        f'<div class="co" style="margin-top:8px;padding:9px 12px;background:{LIGHT.code};'
        f"color:{LIGHT.text};border-radius:4px;{MONO};font-size:13px;line-height:19px;"
        f'word-break:break-word">{_text(command)}</div>'
    )


def _lead(text: str) -> str:
    style = "font-size:17px;line-height:24px;font-weight:600"
    nowrap = r'<span style="white-space:nowrap">\g<0></span>'
    return re.sub(r"\d{4}-\d\d-\d\d", nowrap, _paragraph(text, style))


def _verdict(subject: str, tone: str) -> str:
    style = "font-size:15px;line-height:22px;font-weight:700"
    return _paragraph(subject, style, f"t-{tone}", LIGHT.tones[tone])


def _data_table(table: Table) -> str:
    rows = "".join(_data_rows(row, len(table.columns)) for row in table.rows)
    heads = "".join(_head_cell(name, i) for i, name in enumerate(table.columns))
    more = _paragraph(table.more, "font-size:13px", "mu", LIGHT.muted)
    return (
        _paragraph(table.heading, "font-weight:600;padding-bottom:4px")
        + '<table cellpadding="0" cellspacing="0" border="0" width="100%" style="width:100%">'
        + f"<tr>{heads}</tr>{rows}</table>"
        + (more if table.more else "")
    )


def _head_cell(name: str, place: int) -> str:
    return (
        f'<th scope="col" class="mu ln" align="left" style="{_padding(place)};'
        f"border-bottom:1px solid {LIGHT.line};{FONT};font-size:12px;line-height:18px;"
        f'font-weight:600;color:{LIGHT.muted};text-align:left">{name}</th>'
    )


def _padding(place: int) -> str:
    # The first column names the row: a long text beside it would leave it a few letters' width.
    width = "" if place else ";min-width:110px"
    return f"padding:6px 0 6px {14 if place else 0}px{width}"


def _data_rows(row: TableRow, columns: int) -> str:
    line = "" if row.note else f"border-bottom:1px solid {LIGHT.line};"
    last = columns - 1
    cells = "".join(
        _cell(cell, place, line, row.tone if place == last else "")
        for place, cell in enumerate(row.cells)
    )
    return f"<tr>{cells}</tr>" + (_note(row.note, columns) if row.note else "")


def _cell(text: str, place: int, line: str, tone: str) -> str:
    colour, weight = (LIGHT.tones[tone], "700") if tone else (LIGHT.text, "400")
    return (
        f'<td class="{f"t-{tone}" if tone else "tx"} ln" align="left" valign="top" '
        f'style="{_padding(place)};{line}{FONT};font-size:14px;line-height:20px;color:{colour};'
        f'font-weight:{weight};word-break:break-word">{_text(text)}</td>'
    )


def _note(text: str, columns: int) -> str:
    return (
        f'<tr><td colspan="{columns}" class="mu ln" align="left" style="padding:0 0 8px 0;'
        f"border-bottom:1px solid {LIGHT.line};{FONT};font-size:13px;line-height:18px;"
        f'color:{LIGHT.muted};word-break:break-word">{_text(text)}</td></tr>'
    )


def _cause(text: str) -> str:
    lines = html.escape(block(text)).replace("\n", "<br>").replace("  ", "&nbsp; ")
    return (
        f'<div class="co" style="padding:10px 12px;background:{LIGHT.code};color:{LIGHT.text};'
        f'border-radius:4px;{MONO};font-size:13px;line-height:19px;word-break:break-word">'
        f"{lines}</div>"
    )


def _facts(body: Body) -> str:
    rows = "".join(_fact(label, value) for label, value in body.facts)
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0" width="100%" '
        f'style="width:100%">{rows}</table>'
    )


def _fact(label: str, value: str) -> str:
    style = f"{FONT};font-size:13px;line-height:19px"
    return (
        f'<tr><td class="mu" width="92" valign="top" style="width:92px;padding:2px 0;{style};'
        f'color:{LIGHT.muted}">{label}</td><td class="tx" valign="top" '
        f'style="padding:2px 0 2px 8px;{style};color:{LIGHT.text};word-break:break-word">'
        f"{_text(value)}</td></tr>"
    )


def _ends(body: Body) -> str:
    return "".join(_end_lines(body))


def _end_lines(body: Body) -> Iterator[str]:
    style = "font-size:13px;line-height:20px;padding-top:4px;word-break:break-word"
    for label, url in ((label, html.escape(url)) for label, url in body.links):
        # The URL is also the text: a client that strips links leaves something to copy.
        yield (
            f'<div class="mu" style="{style};color:{LIGHT.muted}">{label}: <a class="lk" '
            f'href="{url}" style="color:{LIGHT.link}">{url}</a></div>'
        )
    if body.more:
        code = f'<span class="tx" style="{MONO};color:{LIGHT.text}">{_text(body.more)}</span>'
        yield f'<div class="mu" style="{style};color:{LIGHT.muted}">More: {code}</div>'
