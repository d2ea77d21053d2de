"""Which form of a notice a service gets, and what apprise would make of it otherwise."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from mfprefect.errors import ConfigurationError
from mfprefect.notifications.notice import Notice
from mfprefect.util.references import as_written

if TYPE_CHECKING:
    from mfprefect.settings import Target

__all__ = ["MAIL", "Form", "form_for", "is_mail", "plain_text", "prepared", "use_plain_text"]

MAIL = {
    *("azure", "brevo", "mailersend", "mailgun", "mailto", "mailtos", "o365", "postmark"),
    *("resend", "sendgrid", "sendpulse", "ses", "smtp2go", "sparkpost"),
}
"""The schemes of apprise's mail services."""
SLACK, JSON_HOOKS, FORM_HOOKS = {"slack"}, {"json", "jsons"}, {"form", "forms"}
_NEVER = re.compile(r"(?!)")
_SLACK_RULES = (
    "_re_formatting_rules",
    "_re_channel_support",
    "_re_user_id_support",
    "_re_url_support",
)
_CONVERT = "convert_between"
_plain: ContextVar[str | None] = ContextVar("mfprefect_plain", default=None)


class Form(NamedTuple):
    """What a service gets."""

    title: str
    body: str


def is_mail(target: Target) -> bool:
    """Say whether a target is a mailbox, which can receive a report."""
    try:
        url = target.url.get_secret_value()
    except ConfigurationError:  # it refers to a variable that is not set
        url = as_written(target.url)
    return url.partition("://")[0].lower() in MAIL


def form_for(notice: Notice, service: Any, preferred: str) -> Form:
    """Return the title and the body for one of apprise's services.

    Args:
        notice: the message.
        service: the recipient.
        preferred: the service's preferred format: `html`, `markdown` or `text`.
    """
    schemes = _schemes(service)
    if schemes & SLACK:
        # A header of a block shows entities as they are.
        return Form(notice.title.replace("&", "\uff06"), notice.slack)
    if schemes & MAIL:
        return Form(notice.title, notice.mail if preferred == "html" else notice.plain)
    return Form(notice.title, notice.html if preferred == "html" else notice.markdown)


def _schemes(service: Any) -> set[str]:
    """Return the schemes of a service: its URL may be a web address that apprise knows."""
    schemes: set[str] = set()
    for names in (service.protocol, service.secure_protocol):
        schemes |= {names} if isinstance(names, str) else set(names or ())
    return schemes


def prepared(service: Any, notice: Notice) -> Any:
    """Return a copy of apprise's service that sends fields to hooks, and leaves Slack's text alone.

    apprise escapes Slack's control characters, and then turns everything that looks like a link or
    a mention back into one. Our text is escaped: without the rules it stays so; if another version
    of apprise names its rules otherwise, it is escaped twice, which is ugly and harmless.
    """
    service, schemes = copy.copy(service), _schemes(service)
    if schemes & SLACK:
        for name in _SLACK_RULES:
            setattr(service, name, _NEVER)
        service.dialect_convert = _unchanged  # apprise 2
    elif schemes & JSON_HOOKS:
        service.payload_extras = {**notice.fields, **service.payload_extras}
    elif schemes & FORM_HOOKS:
        fields = {name: _form_value(value) for name, value in notice.fields.items()}
        service.payload_extras = {**fields, **service.payload_extras}
    return service


def _unchanged(text: str, *_: Any, **__: Any) -> str:
    return text


def _form_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def plain_text(text: str) -> Iterator[None]:
    """Make this the text part of the HTML mail that is sent inside the block."""
    token = _plain.set(text)
    try:
        yield
    finally:
        _plain.reset(token)


def use_plain_text() -> None:
    """Let apprise take the text part of a mail from `plain_text`.

    It has no parameter for it: it makes the text from the HTML, each cell of a table on a line.
    """
    from apprise.plugins.email import base

    convert: Callable[..., str] | None = getattr(base, _CONVERT, None)
    if convert is None or getattr(convert, "mfprefect", False):
        return

    def ours(from_format: Any, to_format: Any, content: str) -> str:
        text = _plain.get()
        is_text_part = (from_format, to_format) == ("html", "text")
        if text is not None and is_text_part:
            return text
        return convert(from_format, to_format, content)

    ours.mfprefect = True  # type: ignore[attr-defined]
    setattr(base, _CONVERT, ours)
