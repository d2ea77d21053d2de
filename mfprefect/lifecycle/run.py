"""One run of a model: its session and its Prefect artifacts."""

from __future__ import annotations

import datetime as dt
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.errors import SessionClosed
from mfprefect.lifecycle import prefect_artifacts, tasks
from mfprefect.lifecycle.ended import Ended
from mfprefect.lifecycle.run_log import log_outcome
from mfprefect.provenance import capture_once, flow_run
from mfprefect.provenance.entrypoint import CODE, entrypoint
from mfprefect.store.lookup import find_session
from mfprefect.store.notifications import send
from mfprefect.store.states import NOT_IN_DATABASE, SPOOLED
from mfprefect.util import values
from mfprefect.util.zones import local_day, zone_of

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.settings import Settings
    from mfprefect.store import Store

__all__ = ["as_of_date", "completed", "register", "running", "today"]


def register(store: Store, model_class: type[Model]) -> None:
    """Register the model in the store with its class's current description.

    Meanwhile another thread reads the checkout, which the session then records.
    """
    if (run := flow_run.current_flow_run()) is not None:
        place = store.database.settings.repository or _source(model_class)
        threading.Thread(target=capture_once, args=(place, run.flow_run_id), daemon=True).start()
    store.register(
        model_class.model_id,
        model_class.description,
        entity_type=model_class.entity_type or model_class.entity_id,
        owner=model_class.owner,
        max_age=model_class.max_age or dt.timedelta(0),
    )


@contextmanager
def running(
    store: Store,
    model_class: type[Model],
    purpose: str,
    *,
    as_of: dt.date | None,
    params: Mapping[str, Any],
    parent: str | None = None,
) -> Iterator[Session]:
    """Open the run's session; on leaving the block, end it and write its Prefect artifacts.

    Raises:
        SessionClosed: an earlier attempt of the flow run completed it (`done`).
    """
    session = store.session(
        model_class.model_id,
        purpose=purpose,
        params={"as_of": as_of, **params},
        as_of=as_of or today(store.database.settings),
        parent=parent,
        source=_source(model_class),
        tags=model_class.tags,
    )
    tasks.log().info("session %s, attempt %d", session.session_id, session.attempt)
    tagging = prefect_artifacts.begin_tagging(session)
    try:
        with session:
            if (place := entrypoint(model_class)) is not None:
                session.log_metadata({CODE[1]: place}, group=CODE[0])
            yield session
    finally:
        tagging.join()
        log_outcome(store, session)
        prefect_artifacts.show_session(store, session)


def completed(
    store: Store,
    model_class: type[Model],
    purpose: str,
    work: Callable[[Session], object],
    *,
    promoting: bool = False,
    **options: Any,
) -> Ended:
    """Do the work of a run in a session, unless an earlier attempt of the flow run has done it.

    An attempt may die after its session has succeeded and before Prefect hears of it. The next one
    only makes up for what was left: notices, the page.

    Args:
        store: the store.
        model_class: the model.
        purpose: the purpose of the session.
        work: does the work.
        promoting: whether the run promotes the session next.
        options: those of `running`.
    """
    with ExitStack() as stack:
        try:
            session = stack.enter_context(running(store, model_class, purpose, **options))
        except SessionClosed as exc:
            if exc.done is None:
                raise
            return _taken_over(store, model_class, purpose, exc, promoting)
        session.promoting = promoting
        work(session)
    return Ended.of(session)


def _taken_over(
    store: Store, model_class: type[Model], purpose: str, error: SessionClosed, promoting: bool
) -> Ended:
    text = "session %s succeeded in an earlier attempt of this flow run: it is not run again"
    tasks.log().warning(text, error.session_id)
    if error.done == SPOOLED:
        return Ended(error.session_id, NOT_IN_DATABASE, model_class.model_id, purpose, SPOOLED)
    handle = find_session(store.database, error.session_id)
    send.session_ended(store.database, handle.session_no, promoting=promoting)
    session = Ended.of(handle, repeated=True)
    prefect_artifacts.show_session(store, session)
    return session


def _source(model_class: type[Model]) -> Path | None:
    try:
        return Path(inspect.getfile(model_class))
    except (TypeError, OSError):  # defined in a notebook or a console
        return None


def as_of_date(session: Session) -> dt.date:
    """Return the date of the run's data; a retry after midnight keeps the first attempt's date."""
    return session.as_of or values.utc_now().date()


def today(settings: Settings) -> dt.date:
    """Return the day it is in the first of these zones that is known.

    The setting `time_zone`, the zone of the deployment's schedule, `TZ`, UTC.
    """
    now = values.utc_now()
    if name := settings.time_zone or flow_run.schedule_zone():
        return now.astimezone(zone_of(name)).date()
    return local_day(now)
