"""What people do here: each needs a right and a reason, and becomes an audit event."""

from __future__ import annotations

from mfprefect.console.acting import acting
from mfprefect.console.answers import Answer, redirect
from mfprefect.console.jobs import Job
from mfprefect.console.page import Page
from mfprefect.console.pages.audit import VERIFY
from mfprefect.console.pages.database import MEASURE
from mfprefect.console.params import BadRequest
from mfprefect.store.browse.events import record_event

__all__ = ["measure", "promote", "retire", "rollback", "threshold", "verify"]

LONGEST_REASON = 2_000


def promote(request: Page) -> Answer:
    """Put a training session into production."""
    form, model_id, reason = request.form_params, request.model_id, _reason(request)
    session_id = form.text("session", 96)
    if session_id is None:
        raise BadRequest("session is missing; name the training to promote.")
    override = form.text("override", LONGEST_REASON)
    with acting(request.person):
        request.console.writer.promote(model_id, session_id, reason=reason, override=override)
    return redirect(request.url("models", model_id))


def rollback(request: Page) -> Answer:
    """Put back what was in production before."""
    model_id, reason = request.model_id, _reason(request)
    with acting(request.person):
        request.console.writer.rollback(model_id, reason=reason)
    return redirect(request.url("models", model_id))


def retire(request: Page) -> Answer:
    """Take a model out of production."""
    model_id, reason = request.model_id, _reason(request)
    with acting(request.person):
        request.console.writer.retire(model_id, reason=reason)
    return redirect(request.url("models", model_id))


def threshold(request: Page) -> Answer:
    """Set the operating threshold of a model, and record why."""
    form, model_id, reason = request.form_params, request.model_id, _reason(request)
    value, kind = form.figure("value"), form.choice("kind", ("probability", "population"))
    if value is None or kind is None:
        raise BadRequest("value and kind are needed: a number from 0 to 1, and what it is of.")
    with acting(request.person):
        request.console.writer.set_threshold(model_id, value, kind, reason=reason)
    return redirect(request.url("models", model_id))


def verify(request: Page) -> Answer:
    """Start a verification of all seals, in the background."""
    reason, writer = _reason(request), request.console.writer
    person, store = request.person, request.console.store

    def work(job: Job) -> object:
        return store.verify(progress=job.progress)

    _, is_new = request.console.jobs.start(VERIFY, person.name, work)
    if is_new:
        with acting(person):
            record_event(writer.database, "verify", "all seals", reason=reason)
    return redirect(request.url("audit"))


def measure(request: Page) -> Answer:
    """Start to measure the size of all tables, in the background; this writes nothing."""
    store = request.console.store
    request.console.jobs.start(MEASURE, request.person.name, lambda _: store.size())
    return redirect(request.url("database"))


def _reason(request: Page) -> str:
    """Return the reason that the form gives.

    Raises:
        BadRequest: there is none.
    """
    reason = request.form_params.text("reason", LONGEST_REASON)
    if reason is None:
        raise BadRequest("reason is missing; say why, it is recorded with your name.")
    return reason
