"""`/metrics`: freshness, failures, drift and the spool, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mfprefect.console.answers import Answer
from mfprefect.console.page import Page
from mfprefect.errors import MfprefectError
from mfprefect.store.browse.operations import notices, running_sessions
from mfprefect.store.browse.overview import ModelState, model_states
from mfprefect.store.spool.listing import waiting

__all__ = ["MEDIA", "page", "samples"]

MEDIA = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MOST = 1_000
Sample = tuple[dict[str, str], float]


def page(request: Page) -> Answer:
    """Return the state of all models in OpenMetrics form."""
    states = request.console.states.get(lambda: model_states(request.db))
    lines = [*_families(request, states), "# EOF", ""]
    return Answer("\n".join(lines).encode("utf-8", "replace"), MEDIA)


def _families(request: Page, states: Sequence[ModelState]) -> Iterator[str]:
    for name, help_text, values in samples(states):
        yield from _family(name, help_text, values)
    running = running_sessions(request.db, MOST)
    suspected = sum(row["suspected_at"] is not None for row in running)
    yield from _family("mfprefect_sessions_running", "Sessions that run.", [({}, len(running))])
    yield from _family(
        "mfprefect_sessions_suspected", "Of these, without a sign of life.", [({}, suspected)]
    )
    undelivered = len(notices(request.db, MOST, undelivered=True))
    yield from _family(
        "mfprefect_notices_undelivered", "Notices of recent sessions.", [({}, undelivered)]
    )
    try:
        spooled: list[Sample] = [({}, float(len(waiting(request.db))))]
    except (MfprefectError, OSError):
        spooled = []
    yield from _family("mfprefect_spool_entries", "Sessions in this machine's spool.", spooled)


def samples(states: Sequence[ModelState]) -> Iterator[tuple[str, str, list[Sample]]]:
    """Yield name, help and values of what is known of each model."""
    ages = [({"model": x.model_id}, age) for x in states if (age := x.age()) is not None]
    yield "mfprefect_scores_age_seconds", "Age of the last published scores.", ages
    limits = [
        ({"model": x.model_id}, float(x.model["max_age_seconds"]))
        for x in states
        if x.model["max_age_seconds"]
    ]
    yield "mfprefect_scores_age_limit_seconds", "Age above which scores are late.", limits
    yield "mfprefect_scores_late", "Whether scores are late.", _flags(states, lambda x: x.stale)
    yield (
        "mfprefect_last_session_failed",
        "Whether the newest session of a purpose failed or crashed.",
        [
            ({"model": x.model_id, "purpose": purpose}, float(row in x.failing))
            for x in states
            for purpose, row in x.last.items()
        ],
    )
    drift = [({"model": x.model_id}, float(x.alarms)) for x in states]
    yield "mfprefect_drift_alarms", "Drift alarms of the newest scoring and monitoring.", drift
    waits = _flags(states, lambda x: x.candidate is not None)
    yield "mfprefect_candidate_waits", "Whether a newer training could be promoted.", waits


def _flags(states: Sequence[ModelState], test: object) -> list[Sample]:
    return [({"model": x.model_id}, float(test(x))) for x in states]  # type: ignore[operator]


def _family(name: str, help_text: str, values: Iterable[Sample]) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    yield f"# HELP {name} {help_text}"
    for labels, value in values:
        yield f"{name}{_labels(labels)} {value:.17g}"


def _labels(labels: dict[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
