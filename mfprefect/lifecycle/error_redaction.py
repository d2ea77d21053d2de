"""Remove secrets from errors before Prefect stores them: their texts and those of their causes.

Prefect logs the error that ends a task or a flow and stores it in the messages of the state and of
an event. A driver or a model's own code may have put a password into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mfprefect.errors import MfprefectError
from mfprefect.redaction import Redactor, redact_urls, secrets
from mfprefect.settings import load_settings

__all__ = ["redacted_errors"]


@contextmanager
def redacted_errors() -> Iterator[None]:
    """Replace secrets by `***` in an error that leaves the block; its type stays the same.

    Raises:
        RuntimeError: in place of an error whose text cannot be changed.
    """
    try:
        yield
    except Exception as exc:
        clean = _redactor()
        for error in list(_with_causes(exc)):
            _clean(error, clean)
        if clean(str(exc)) != str(exc):
            raise RuntimeError(f"{type(exc).__name__}: {clean(str(exc))}") from None
        raise


def _redactor() -> Callable[[str], str]:
    redact: Callable[[str], str] = str
    with suppress(MfprefectError):  # unreadable settings leak no secret
        redact = Redactor(secrets(load_settings()))
    return lambda text: redact_urls(redact(text))


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    stack, seen = [error], set()
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = (current.__cause__, current.__context__, *getattr(current, "exceptions", ()))
        stack += [e for e in (*linked, *vars(current).values()) if isinstance(e, BaseException)]


def _clean(error: BaseException, clean: Callable[[str], str]) -> None:
    def clean_text(value: Any) -> Any:
        return clean(value) if isinstance(value, str) else value

    error.args = tuple(map(clean_text, error.args))
    names = [*vars(error), *(("filename", "strerror") if isinstance(error, OSError) else ())]
    for name in names:
        value = getattr(error, name)
        if isinstance(value, str) and clean(value) != value:
            with suppress(AttributeError, TypeError):  # read-only
                setattr(error, name, clean(value))
    for name in ("__cause__", "__context__"):
        cause = getattr(error, name)
        if cause is not None and clean(str(cause)) != str(cause):
            _clean(cause, clean)
            if clean(str(cause)) != str(cause):
                setattr(error, name, None)
    if hasattr(error, "__notes__"):
        error.__notes__ = [clean_text(note) for note in error.__notes__]
