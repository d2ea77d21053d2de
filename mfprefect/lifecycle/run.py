"""One run of a model: its session and its Prefect artifacts."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.lifecycle import prefect_artifacts, tasks
from mfprefect.provenance import flow_run
from mfprefect.provenance.entrypoint import CODE, entrypoint
from mfprefect.util import values
from mfprefect.util.zones import local_day, zone_of

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.settings import Settings
    from mfprefect.store import Store

__all__ = ["as_of_date", "register", "running", "today"]


def register(store: Store, model_class: type[Model]) -> None:
    """Register the model in the store with its class's current description."""
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
    """Open the run's session; on leaving the block, end it and write its Prefect artifacts."""
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
    prefect_artifacts.tag_run(session)
    try:
        with session:
            if (place := entrypoint(model_class)) is not None:
                session.log_metadata({CODE[1]: place}, group=CODE[0])
            yield session
    finally:
        prefect_artifacts.show_session(store, session)


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
