"""Send notices through apprise. Never raise when a service is unreachable, and never show a secret.

When a delivery fails, apprise returns a false value, and only its log has the reason. Deliveries
therefore intercept these log records, and those of the HTTP library, whose debug messages contain
whole URLs: no log may contain a token. `forms` chooses what a service gets.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
import warnings
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote

from mfprefect.errors import ConfigurationError
from mfprefect.notifications import forms
from mfprefect.notifications.forms import is_mail
from mfprefect.notifications.notice import Notice
from mfprefect.notifications.text import flat

if TYPE_CHECKING:
    from mfprefect.settings import Target

__all__ = ["Notice", "deliver", "is_mail", "masked_url"]

MALFORMED = (
    "its URL is malformed, or of a service unknown to apprise (not shown: it may hold a secret)"
)
UNEXPLAINED = "the service rejected it, and apprise gives no reason"
MAX_REASON = 1_000
SHORTEST_SECRET = 3
SHORTEST_TOKEN = 8
LOGGERS = ("apprise", "urllib3.connectionpool")
_loading = threading.Lock()
# A context variable, because apprise 2 may send in a thread, with a copy of the context.
_messages: ContextVar[list[str] | None] = ContextVar("mfprefect_messages", default=None)


class _LogCapture(logging.Filter):
    """Collect the records logged during a delivery, and hide them from all handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        messages = _messages.get()
        if messages is None:
            return True
        if record.levelno >= logging.WARNING and record.name == LOGGERS[0]:
            messages.append(record.getMessage())
        return False


_capture = _LogCapture()


def deliver(target: Target, notice: Notice, attach: Path | str | None = None) -> str | None:
    """Send a notice to a target.

    Args:
        target: the recipient.
        notice: the message.
        attach: a file to attach, if the service accepts files.

    Returns:
        None if the service accepted it, otherwise the reason, without secrets of the target's URL.
    """
    try:
        url = target.url.get_secret_value()
    except ConfigurationError as exc:  # it refers to a variable that is not set
        return str(exc)
    messages: list[str] = []
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_capture)  # logging ignores a repeated filter
    token, service = _messages.set(messages), None
    try:
        service = _service(url)
        if service is None:
            return MALFORMED
        if _send(service, notice, attach):
            return None
        failure = "; ".join(dict.fromkeys(messages)) or UNEXPLAINED
    except Exception as exc:  # noqa: BLE001 - the module of a service may raise anything
        failure = f"{type(exc).__name__}: {exc}"
    finally:
        _messages.reset(token)
    return flat(_mask(_secrets(url, service), failure), MAX_REASON)


def masked_url(name: str, target: Target) -> str:
    """Return the service and host of a target's URL, without anything that may be secret.

    Args:
        name: the name of the target in the settings.
        target: the target.

    Raises:
        ConfigurationError: the URL is malformed, or refers to a variable that is not set; the
            message names the target, not the URL.
    """
    url = target.url.get_secret_value()
    token = _messages.set([])
    try:
        for logger in LOGGERS:
            logging.getLogger(logger).addFilter(_capture)
        service = _service(url)
        private_url = service.url(privacy=True) if service else None
    except Exception:  # noqa: BLE001 - its text would quote the URL
        private_url = None
    finally:
        _messages.reset(token)
    if private_url is None:
        raise ConfigurationError(
            f"notification target {name!r}: {MALFORMED}; "
            f"correct `url` in [notify.{name}], see docs/notifications.md."
        )
    scheme, _, rest = str(private_url).partition("://")
    user, at, host = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")
    # A user without a password may be a token.
    return f"{scheme}://{user if ':' in user else '****' if at else ''}{at}{host}"


def _service(url: str) -> Any:
    apprise = _load()
    asset = apprise.AppriseAsset(app_id="mfprefect", app_desc="Model Factory on Prefect")
    return apprise.Apprise.instantiate(url, asset=asset)


@functools.cache
def _load() -> Any:
    """Import apprise with all of its services, which it imports on first use."""
    with _loading, warnings.catch_warnings():
        # A service imports a module that Python 3.11 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        apprise.Apprise.instantiate("json://localhost")
        forms.use_plain_text()
    return apprise


def _send(service: Any, notice: Notice, attach: Path | str | None) -> bool:
    apprise = _load()
    # In apprise 2 a service may know several formats, and its URL choose one.
    resolve = getattr(service, "resolve_format", None)
    preferred = service.notify_format if resolve is None else resolve()
    form = forms.form_for(notice, service, str(preferred.value))
    sender = apprise.Apprise()
    sender.add(forms.prepared(service, notice))
    with forms.plain_text(notice.plain):
        result = sender.notify(
            title=form.title,
            body=form.body,
            # The service's preferred format, so that apprise converts nothing.
            body_format=preferred,
            notify_type=apprise.NotifyType(notice.tone),
            attach=str(attach) if attach is not None and service.attachment_support else None,
            interpret_escapes=False,
        )
    # True, False or None in apprise 1, an object in apprise 2.
    return bool(result)


def _secrets(url: str, service: Any) -> list[str]:
    """Return the parts of a URL that no message may contain, the longest first."""
    try:
        public = _encodings(_values(service.url(privacy=True)))
    except Exception:  # noqa: BLE001 - then treat every part as secret
        public = set()
    path, headers = _tokens(url)
    values = [*_values(url), *path, *headers]
    values.append(str(getattr(service, "password", None) or ""))
    secret = (_encodings(values) - public) | _encodings(headers)
    # apprise considers paths public, but many webhooks have their token there.
    secret |= {value for value in _encodings(path) if len(value) >= SHORTEST_TOKEN}
    secret = {v for v in secret if len(v) >= SHORTEST_SECRET and not re.fullmatch(r"\d{1,5}", v)}
    return sorted(secret, key=len, reverse=True)


def _values(url: str) -> list[str]:
    """Return the user, password, host, path segments and parameter values of a URL."""
    main, _, query = url.partition("://")[2].partition("?")
    user, _, rest = main.rpartition("@")
    parts = [*user.split(":", 1), *re.split(r"[/:]", user), *re.split(r"[/:]", rest)]
    return [*parts, *(pair.partition("=")[2] for pair in query.split("&"))]


def _tokens(url: str) -> tuple[list[str], list[str]]:
    """Return the path segments, and the values of headers and other forwarded fields."""
    main, _, query = url.partition("://")[2].partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    fields = [value for key, _, value in pairs if unquote(key)[:1] in ("+", "-", ":")]
    words = [word for value in fields for word in re.split(r"[ +]|%20", value)]
    return main.rpartition("@")[2].split("/")[1:], fields + words


def _encodings(values: list[str]) -> set[str]:
    """Return values unchanged, decoded, and in every percent-encoding that may occur."""
    plain = {*values, *map(unquote, values)}
    return {form for v in plain for form in (v, quote(v), quote(v, safe=""), quote_plus(v)) if form}


def _mask(secrets: list[str], text: str) -> str:
    if not secrets:
        return text
    return re.sub("|".join(map(re.escape, secrets)), "****", text, flags=re.IGNORECASE)
