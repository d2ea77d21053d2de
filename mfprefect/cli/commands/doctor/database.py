"""The doctor's checks of the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mfprefect.cli.commands.doctor.finding import CheckResult, masked, settings_for
from mfprefect.errors import (
    BackendNotFound,
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailable,
    MfprefectError,
    PermissionDenied,
)
from mfprefect.report.formats import size

if TYPE_CHECKING:
    from mfprefect.spool import Spool
    from mfprefect.store.database import Database

__all__ = ["database", "deep", "spool"]

NEARLY_FULL = 0.9
GRANTS = "grant the rights that `mfprefect grants` prints for the user's role"


def database(url: str | None) -> Iterator[CheckResult]:
    """Check that the database answers, has the right schema and can be written to."""
    from mfprefect.store.database import Database

    try:
        settings = settings_for(url)
        masked(settings.url.get_secret_value())
    except ConfigurationError:
        yield CheckResult("database", "failed", "not checked: the settings are wrong", "see above")
        return
    try:
        db = Database(settings)
    except BackendNotFound as exc:
        yield CheckResult(
            "database", "failed", str(exc), "install the missing package, or correct the URL"
        )
        return
    except ConfigurationError as exc:
        yield CheckResult("database", "failed", str(exc), "correct the setting")
        return
    try:
        yield from _connected(db)
    finally:
        db.close()


def deep(url: str | None) -> Iterator[CheckResult]:
    """Try what only a server can tell."""
    from mfprefect.store.database import Database

    try:
        db = Database(settings_for(url))
    except (BackendNotFound, ConfigurationError):
        yield CheckResult("deep", "failed", "not tried: the settings are wrong", "see above")
        return
    try:
        results = [CheckResult(*verdict) for verdict in db.backend.trials(db.engine)]
    finally:
        db.close()
    yield from results or [CheckResult("deep", "ok", f"nothing to try on {db.backend.name}")]


def spool(url: str | None) -> Iterator[CheckResult]:
    """Check which sessions wait in the spool, and whether it has room for more."""
    from mfprefect.store.database import Database

    try:
        db = Database(settings_for(url))
    except ConfigurationError:
        yield CheckResult("spool", "failed", "not checked: the settings are wrong", "see above")
        return
    try:
        yield from _spool(db)
    finally:
        db.close()


def _spool(db: Database) -> Iterator[CheckResult]:
    from mfprefect.store.spool.listing import problem, waiting
    from mfprefect.store.spool.location import spool_of

    spool = spool_of(db.settings)
    if spool is None:
        text = "off: a run whose database is unavailable at its end fails and loses its results"
        yield CheckResult("spool", "warning", text, "unset MFPREFECT_SPOOL, or set it to a folder")
        return
    yield _spool_folder(spool)
    entries = waiting(db)
    if entries:
        here = sum(info.here for _, info in entries)
        wait = f"{len(entries)} {'session waits' if len(entries) == 1 else 'sessions wait'}"
        text = f"{wait} to be delivered, {here} to this database"
        yield CheckResult("spool", "warning", text, "mfprefect spool list; mfprefect spool push")
    for entry, info in entries:
        if (why := problem(db, entry)) is not None:
            yield CheckResult("spool", "failed", f"{info.session_id}: {why}", "see docs/spool.md")


def _spool_folder(spool: Spool) -> CheckResult:
    used, most = spool.used(), spool.most_bytes
    text = f"keeps results while the database is away, in {spool.folder}: {size(used)} of "
    text += f"{size(most)} used"
    if (reason := spool.unusable()) is not None:
        cure = "make it writable, or set MFPREFECT_SPOOL to another folder"
        return CheckResult("spool", "failed", f"{spool.folder} cannot be written: {reason}", cure)
    if spool.exposed:
        cure = f"chmod 700 {spool.folder}, unless a group shares it on purpose"
        return CheckResult("spool", "warning", f"others can read or write {spool.folder}", cure)
    if used > most * NEARLY_FULL:
        cure = "mfprefect spool push, or raise MFPREFECT_SPOOL_MAX_BYTES"
        return CheckResult("spool", "warning", text, cure)
    return CheckResult("spool", "ok", text)


def _connected(db: Database) -> Iterator[CheckResult]:
    if not db.backend.exists():
        yield CheckResult(
            "database", "failed", f"the file of {db.place} does not exist", "mfprefect init"
        )
        return
    try:
        version = db.read_transaction(lambda connection: connection.dialect.server_version_info)
    except MfprefectError as exc:
        text = str(exc).replace("; `mfprefect doctor` shows more", "")  # this is the doctor
        yield CheckResult("database", "failed", text, _cure(exc))
        return
    number = ".".join(map(str, version or ()))
    yield CheckResult("database", "ok", f"{db.place} answers: {db.engine.dialect.name} {number}")
    yield from _server(db)
    yield from _schema(db)


def _server(db: Database) -> Iterator[CheckResult]:
    try:
        problems = db.read_transaction(db.backend.server_problems)
    except MfprefectError as exc:
        yield CheckResult("server", "warning", f"its settings cannot be read: {exc}")
        return
    for problem in problems:
        status = "failed" if problem.blocks else "warning"
        yield CheckResult("server", status, problem.text, problem.cure)


def _cure(exc: MfprefectError) -> str:
    if isinstance(exc, DatabaseUnavailable):
        return "start the server, or correct host and port of the URL"
    return "correct user, password or database of the URL, or ask the DBA for the rights"


def _schema(db: Database) -> Iterator[CheckResult]:
    from mfprefect.store.database.migrate import check_schema, expected_revision, found_revision

    try:
        revision, expected = found_revision(db), expected_revision()
        if revision != expected:
            newer = revision is not None and revision > expected
            detail = "it has no tables of mfprefect yet"
            if revision is not None:
                age = "newer" if newer else "older"
                detail = f"its tables are {age}: of revision {revision}, expected {expected}"
            cure = "pip install --upgrade mfprefect" if newer else "mfprefect init"
            yield CheckResult("schema", "failed", detail, cure)
            return
        check_schema(db)
    except PermissionDenied:
        text = "this user may not read which revision its tables are of"
        yield CheckResult("schema", "warning", text, GRANTS)
        yield _rights(db)
        return
    except MfprefectError as exc:
        yield CheckResult("schema", "failed", str(exc), GRANTS)
        return
    text = f"its tables are those of this version (revision {revision})"
    yield CheckResult("schema", "ok", text)
    yield _rights(db)


def _rights(db: Database) -> CheckResult:
    import secrets

    import sqlalchemy as sa

    from mfprefect.util.values import utc_now

    models = db.schema.models
    row = {
        "model_id": f"mfprefect-doctor-{secrets.token_hex(8)}",
        "description": "",
        "entity_type": "",
        "owner": "mfprefect doctor",
        "created_at": utc_now(),
    }

    def attempt(connection: sa.Connection) -> None:
        connection.execute(models.insert(), row)
        connection.rollback()  # the check writes nothing

    try:
        db.read_transaction(attempt)
    except PermissionDenied as exc:
        return _reader(db) or CheckResult("rights", "failed", str(exc), GRANTS)
    except DatabaseError as exc:
        cure = f"{GRANTS}; free disk space if it is full"
        return CheckResult("rights", "failed", str(exc), cure)
    text = "this user can write rows (tried with one, which was rolled back)"
    return CheckResult("rights", "ok", text)


def _reader(db: Database) -> CheckResult | None:
    """Return what a user may do who only reads; None if it may not even do that."""
    from mfprefect.store import views

    cure = "nothing for reading; runs need a user of the role writer"
    if views.tables_are_closed(db):
        text = "this user reads the views (role reader) and starts no runs"
    elif views.readable(db, db.schema.sessions):
        text = "this user reads everything (role auditor) and starts no runs"
    else:
        return None
    return CheckResult("rights", "warning", text, cure)
