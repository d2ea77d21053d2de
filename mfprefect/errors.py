"""All errors that mfprefect raises on purpose.

    MfprefectError
    ├── ConfigurationError          a setting, a file or an argument is wrong
    │   └── BackendNotFound         no backend for this URL, or its driver is missing
    ├── SchemaOutdated              the database has no schema, or one of another version
    ├── DatabaseError               terminal: the same statement would fail again
    │   ├── DatabaseUnavailable     transient: the server cannot be reached
    │   │   └── SpoolUnusable       the spool is full or not writable, too
    │   ├── DatabaseConflict        transient: deadlock, serialization, lock timeout
    │   ├── IntegrityError          a constraint of the schema was violated
    │   └── PermissionDenied        the database user lacks a privilege
    ├── InvalidValue                refused before anything was written
    │   ├── InvalidScores           refused scores: duplicate or NULL ids, NaN, too long ids
    │   └── AlreadyPromoted         the session is in that stage already
    ├── UnknownModel
    ├── UnknownSession
    ├── SessionClosed               a closed session accepts no writes
    ├── ChecksFailed                an error-level input check failed
    ├── GateFailed                  a trained model did not pass a gate
    ├── NotReproducible             a session cannot be run again
    ├── CommandFailed               a model's command ended with an exit code other than 0
    ├── ArtifactUntrusted           loading it could run untrusted code
    ├── ArtifactCorrupt             its size or digest differs from the recorded one
    ├── SpoolRefused                a spool entry is corrupt, or cannot be delivered
    └── SealBroken                  a sealed session was altered

A message names the value, the choices and the fix; attributes hold the data that programs need.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

__all__ = [
    "AlreadyPromoted",
    "ArtifactCorrupt",
    "ArtifactUntrusted",
    "BackendNotFound",
    "ChecksFailed",
    "CommandFailed",
    "ConfigurationError",
    "DatabaseConflict",
    "DatabaseError",
    "DatabaseUnavailable",
    "GateFailed",
    "IntegrityError",
    "InvalidScores",
    "InvalidValue",
    "MfprefectError",
    "NotReproducible",
    "PermissionDenied",
    "SchemaOutdated",
    "SealBroken",
    "SessionClosed",
    "SpoolRefused",
    "SpoolUnusable",
    "UnknownModel",
    "UnknownSession",
]


class MfprefectError(Exception):
    """The base class of all errors that mfprefect raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel between processes (Dask workers, process pools); the default would call
        # __init__ with the message alone.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[MfprefectError], args: tuple[Any, ...], data: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(data)
    return error


class ConfigurationError(MfprefectError):
    """A setting, a file or an argument is wrong; nothing was attempted."""


class BackendNotFound(ConfigurationError):
    """No installed backend serves the URL, or the backend's driver is missing."""


class SchemaOutdated(MfprefectError):
    """The database has no mfprefect schema, or one of another version.

    Attributes:
        found: the revision in the database, None without a schema.
        expected: the revision that this version of mfprefect needs.
    """

    def __init__(self, message: str, *, found: str | None, expected: str) -> None:  # public name
        super().__init__(message)
        self.found = found
        self.expected = expected


class DatabaseError(MfprefectError):
    """The database refused a request, and would refuse it again."""

    transient: ClassVar[bool] = False
    """Whether the request may succeed later; only transient errors are retried."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or the connection was lost."""

    transient = True


class SpoolUnusable(DatabaseUnavailable):
    """The database is unreachable, and the spool is full or not writable: the results are lost."""


class DatabaseConflict(DatabaseError):
    """The database aborted this transaction for another: deadlock, serialization, lock timeout."""

    transient = True


class IntegrityError(DatabaseError):
    """A constraint of the schema was violated."""


class PermissionDenied(DatabaseError):
    """The database user lacks a privilege: see `mfprefect grants`."""


class InvalidValue(MfprefectError, ValueError):
    """A value was refused before anything was written."""


class InvalidScores(InvalidValue):
    """Scores were refused before anything was written.

    Attributes:
        examples: some of the offending entity ids or values.
    """

    def __init__(self, message: str, *, examples: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.examples = tuple(examples)


class AlreadyPromoted(InvalidValue):
    """The session is in that stage already; nothing was changed.

    Attributes:
        session_id: the session.
        since: when it was promoted.
        by: by whom.
    """

    def __init__(self, message: str, *, session_id: str, since: dt.datetime, by: str) -> None:
        super().__init__(message)
        self.session_id = session_id
        self.since = since
        self.by = by


class UnknownModel(MfprefectError, LookupError):
    """The model is not registered in this store."""

    def __init__(self, model_id: str, known: Sequence[str] = ()) -> None:  # public name
        names = ", ".join(known) if known else "none"
        super().__init__(
            f"unknown model {model_id!r}; registered models: {names}. "
            f"Register it with store.add_model({model_id!r}) or "
            "`mfprefect session open --register`."
        )
        self.model_id = model_id
        self.known = tuple(known)


class UnknownSession(MfprefectError, LookupError):
    """The session is not in this store."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"unknown session {session_id!r}; list sessions with `mfprefect sessions` or "
            "store.sessions()."
        )
        self.session_id = session_id


class SessionClosed(MfprefectError):
    """The session accepts no writes: it is closed, or a later attempt took it over.

    Attributes:
        session_id: the session.
        reason: why it is closed.
        done: `succeeded` or `spooled` if opening it would repeat what an earlier attempt of the
            flow run has completed, else None.
    """

    def __init__(self, session_id: str, reason: str, *, done: str | None = None) -> None:
        super().__init__(f"session {session_id!r} takes no more writes: {reason}")
        self.session_id = session_id
        self.reason = reason
        self.done = done


class ChecksFailed(MfprefectError):
    """At least one error-level input check failed.

    Attributes:
        failures: the failed checks, each a row of `check_results` as a dictionary.
        results: the same of all checks that ran, passed or not.
    """

    def __init__(
        self,
        message: str,
        *,
        failures: Sequence[dict[str, Any]] = (),
        results: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.failures = tuple(failures)
        self.results = tuple(results)


class GateFailed(MfprefectError):
    """A trained model did not pass a gate.

    Attributes:
        failures: one sentence per gate that did not pass.
    """

    def __init__(self, message: str, *, failures: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.failures = tuple(failures)


class NotReproducible(MfprefectError):
    """A session cannot be run again with its recorded code and parameters.

    Attributes:
        session_id: the session.
        reasons: one sentence per reason.
    """

    def __init__(self, session_id: str, reasons: Sequence[str]) -> None:
        super().__init__(f"session {session_id!r} cannot be reproduced: {'; '.join(reasons)}.")
        self.session_id = session_id
        self.reasons = tuple(reasons)


class CommandFailed(MfprefectError):
    """A command of a model ended with an exit code other than 0, or was killed.

    Attributes:
        command: the program and its arguments.
        exit_code: 1 to 255, or the negative number of the signal that killed it.
        tail: the last lines of its output.
        transient: whether its exit code means that it may succeed later.
    """

    def __init__(
        self,
        message: str,
        *,
        command: Sequence[str],
        exit_code: int,
        tail: Sequence[str] = (),
        transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.command = tuple(command)
        self.exit_code = exit_code
        self.tail = tuple(tail)
        self.transient = transient


class ArtifactUntrusted(MfprefectError):
    """Loading this artifact could run untrusted code.

    Attributes:
        types: the type names that are not on the allow-list.
    """

    def __init__(self, message: str, *, types: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.types = tuple(types)


class ArtifactCorrupt(MfprefectError):
    """The size or digest of an artifact differs from the recorded one."""


class SpoolRefused(MfprefectError):
    """A spool entry is corrupt, of another version, or refused by the database; it stays there."""


class SealBroken(MfprefectError):
    """The database differs from the sealed content.

    Attributes:
        problems: a `mfprefect.audit.Problem` for each change, addition and removal.
        report: the extent of the verification: `mfprefect.store.audit.verification.Report`.
    """

    def __init__(self, message: str, *, problems: Sequence[Any] = (), report: Any = None) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.report = report
