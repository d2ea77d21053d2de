"""Sending notices through apprise. Nothing here raises when a service is away, or names a secret.

apprise returns something false when it could not deliver, and raises nothing; the reason is in its
log. These records are taken from the log, with those of the HTTP library below it, which tell
whole URLs when somebody debugs: a token must get into no log.
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
from mfprefect.notifications.notice import Notice, flat

if TYPE_CHECKING:
    from mfprefect.settings import Target

__all__ = ["Notice", "deliver", "is_mail", "masked_url"]

MALFORMED = (
    "its URL is malformed, or of no service that apprise knows (not shown: it may hold a secret)"
)
UNEXPLAINED = "the service did not take it, and apprise does not say why"
MAX_REASON = 1_000
SHORTEST_SECRET = 3
SHORTEST_TOKEN = 8
LOGGERS = ("apprise", "urllib3.connectionpool")
MAIL = {"mailto", "mailtos", "mailgun", "o365", "azure", "resend", "sendgrid", "ses", "smtp2go"}
"""The schemes of mail services of apprise that take files."""
_FAILURES = {"failed", "crashed", "checks_failed", "gate_failed"}
_WARNINGS = {"cancelled", "drift", "stale", "rolled_back", "spooled"}
_SUCCESSES = {"succeeded", "recovered", "promoted"}
_loading = threading.Lock()
# A variable of the context, because apprise 2 may send in a thread that it copies the context to.
_heard: ContextVar[list[str] | None] = ContextVar("mfprefect_heard", default=None)


class _Listener(logging.Filter):
    """Keeps what is logged during a delivery for its caller, and from everybody else."""

    def filter(self, record: logging.LogRecord) -> bool:
        heard = _heard.get()
        if heard is None:
            return True
        if record.levelno >= logging.WARNING and record.name == LOGGERS[0]:
            heard.append(record.getMessage())
        return False


_listener = _Listener()


def deliver(target: Target, notice: Notice, attach: Path | str | None = None) -> str | None:
    """Send a notice to a target.

    Args:
        target: whom to tell.
        notice: what to say.
        attach: a file to go with it, where the service takes files.

    Returns:
        None when the service took it, else why not, without any secret of the target's URL.
    """
    url = target.url.get_secret_value()
    heard: list[str] = []
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_listener)  # once only, however often it is added
    token, service = _heard.set(heard), None
    try:
        service = _service(url)
        if service is None:
            return MALFORMED
        if _send(service, notice, attach):
            return None
        failure = "; ".join(dict.fromkeys(heard)) or UNEXPLAINED
    except Exception as exc:  # noqa: BLE001 - a service's module may raise anything
        failure = f"{type(exc).__name__}: {exc}"
    finally:
        _heard.reset(token)
    return flat(_without(_secrets(url, service), failure), MAX_REASON)


def is_mail(target: Target) -> bool:
    """Return whether a target is a mailbox, whose owner can open a report."""
    return target.url.get_secret_value().partition("://")[0].lower() in MAIL


def masked_url(name: str, target: Target) -> str:
    """Return the service and host of a target's URL: nothing of it that could be a secret.

    Args:
        name: what the target is called in the settings.
        target: the target.

    Raises:
        ConfigurationError: the URL is malformed; the message names the target, not the URL.
    """
    token = _heard.set([])
    try:
        for logger in LOGGERS:
            logging.getLogger(logger).addFilter(_listener)
        service = _service(target.url.get_secret_value())
        shown = service.url(privacy=True) if service else None
    except Exception:  # noqa: BLE001 - its text would quote the URL
        shown = None
    finally:
        _heard.reset(token)
    if shown is None:
        raise ConfigurationError(
            f"notification target {name!r}: {MALFORMED}; "
            f"correct `url` in [notify.{name}], see docs/notifications.md."
        )
    scheme, _, rest = str(shown).partition("://")
    user, at, host = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")
    # A user without a password may be a token.
    return f"{scheme}://{user if ':' in user else '****' if at else ''}{at}{host}"


def _service(url: str) -> Any:
    apprise = _load()
    asset = apprise.AppriseAsset(app_id="mfprefect", app_desc="Model Factory on Prefect")
    return apprise.Apprise.instantiate(url, asset=asset)


@functools.cache
def _load() -> Any:
    """Import apprise and all of its services, which it imports when the first one is used."""
    with _loading, warnings.catch_warnings():
        # One of them imports a module that Python 3.11 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        apprise.Apprise.instantiate("json://localhost")
    return apprise


def _send(service: Any, notice: Notice, attach: Path | str | None) -> bool:
    apprise = _load()
    known = service.notify_format  # apprise 2 has a tuple, the favourite first
    favourite = known[0] if isinstance(known, tuple) else known
    as_html = favourite == apprise.NotifyFormat.HTML
    sender = apprise.Apprise()
    sender.add(service)
    result = sender.notify(
        title=notice.title,
        body=notice.html if as_html else notice.markdown,
        # The service's own format, so that apprise converts nothing.
        body_format=favourite,
        notify_type=_kind(notice),
        attach=str(attach) if attach is not None and service.attachment_support else None,
        interpret_escapes=False,
    )
    # True, False or None in apprise 1, an object in apprise 2.
    return bool(result)


def _kind(notice: Notice) -> Any:
    kinds = _load().NotifyType
    if notice.warns or notice.event in _WARNINGS:
        return kinds.WARNING
    if notice.event in _FAILURES:
        return kinds.FAILURE
    return kinds.SUCCESS if notice.event in _SUCCESSES else kinds.INFO


def _secrets(url: str, service: Any) -> list[str]:
    """Return what of a URL no message may hold, the longest first."""
    try:
        shown = _forms(_values(service.url(privacy=True)))
    except Exception:  # noqa: BLE001 - then nothing of it may be shown
        shown = set()
    path, headers = _tokens(url)
    values = [*_values(url), *path, *headers]
    values.append(str(getattr(service, "password", None) or ""))
    secret = (_forms(values) - shown) | _forms(headers)
    # apprise shows paths, where many a webhook has its token.
    secret |= {value for value in _forms(path) if len(value) >= SHORTEST_TOKEN}
    secret = {v for v in secret if len(v) >= SHORTEST_SECRET and not re.fullmatch(r"\d{1,5}", v)}
    return sorted(secret, key=len, reverse=True)


def _values(url: str) -> list[str]:
    """Return the user, password, host, path segments and parameters' values of any URL."""
    main, _, query = url.partition("://")[2].partition("?")
    user, _, rest = main.rpartition("@")
    found = [*user.split(":", 1), *re.split(r"[/:]", user), *re.split(r"[/:]", rest)]
    return [*found, *(pair.partition("=")[2] for pair in query.split("&"))]


def _tokens(url: str) -> tuple[list[str], list[str]]:
    """Return the path segments, and the values of headers and other fields that are passed on."""
    main, _, query = url.partition("://")[2].partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    passed = [value for key, _, value in pairs if unquote(key)[:1] in ("+", "-", ":")]
    words = [word for value in passed for word in re.split(r"[ +]|%20", value)]
    return main.rpartition("@")[2].split("/")[1:], passed + words


def _forms(values: list[str]) -> set[str]:
    """Return values as they are, and with every percent-encoding that they may be met in."""
    plain = {*values, *map(unquote, values)}
    return {form for v in plain for form in (v, quote(v), quote(v, safe=""), quote_plus(v)) if form}


def _without(secrets: list[str], text: str) -> str:
    if not secrets:
        return text
    return re.sub("|".join(map(re.escape, secrets)), "****", text, flags=re.IGNORECASE)
