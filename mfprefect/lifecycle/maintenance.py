"""Maintenance: what every store needs done every few minutes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from mfprefect.errors import PermissionDenied, SpoolRefused
from mfprefect.lifecycle.error_redaction import redacted_errors
from mfprefect.lifecycle.prefect_artifacts import show_maintenance
from mfprefect.lifecycle.prefect_defaults import set_prefect_defaults
from mfprefect.lifecycle.tasks import log
from mfprefect.retention import DELETE, KEEP
from mfprefect.spool.state import EntryState
from mfprefect.store import connect
from mfprefect.store import session_params as params
from mfprefect.store.notifications import send
from mfprefect.store.notifications.catch_up import send_missed
from mfprefect.store.results.monitoring import stale
from mfprefect.store.retention.prune import finish

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["maintain"]


@task(name="reconcile", cache_policy=NO_CACHE, persist_result=False)
def reconcile(store: Store) -> str:
    """End sessions whose process is gone."""
    results = store.reconcile(wait=True)
    for row in results.itertuples():
        log().info("session %s: %s, %s", row.session_id, row.verdict, row.evidence)
    ended = int((results["verdict"] != "watched").sum())
    return f"{ended} sessions without a process ended, {len(results) - ended} watched"


@task(name="spool", cache_policy=NO_CACHE, persist_result=False)
def spool(store: Store) -> str:
    """Deliver sessions that ended while the database was away; fail if one is refused."""
    deliveries = store.push_spool()
    for row in deliveries.itertuples():
        log().info("session %s: %s %s", row.session_id, row.verdict, row.reason)
    refused = deliveries[deliveries["verdict"] == EntryState.REFUSED]
    if len(refused):
        raise SpoolRefused(
            f"{len(refused)} sessions stay in the spool, such as {refused['session_id'].iloc[0]!r}:"
            f" {refused['reason'].iloc[0]}"
        )
    delivered = int((deliveries["verdict"] == EntryState.DELIVERED).sum())
    return f"{delivered} sessions delivered from the spool"


@task(name="freshness", cache_policy=NO_CACHE, persist_result=False)
def freshness(store: Store) -> str:
    """Notify of models whose last scores are older than their `max_age`."""
    overdue = stale(store.database)
    for model_id, session_no in overdue:
        log().warning("the last scores of model %s are older than its max_age", model_id)
        send.notify(store.database, session_no, "stale")
    return f"{len(overdue)} models with stale scores"


@task(name="retention", cache_policy=NO_CACHE, persist_result=False)
def prune(store: Store) -> str:
    """Finish interrupted deletions and delete what the retention settings allow."""
    for name in store.database.read_transaction(store.database.backend.drop_stale_staging):
        log().info("removed %s, which a killed process left behind", name)
    with suppress(PermissionDenied):  # `mfprefect init`, which upgrades, has done it already
        params.add_missing(store.database)
    if not store.database.settings.retention.active:
        return f"{len(finish(store.database))} interrupted deletions finished"
    decisions = store.prune()
    deleted = decisions[decisions["verdict"] != KEEP]
    for row in deleted.itertuples():
        log().info("session %s: %s, %s", row.session_id, row.verdict, row.reason)
    sessions = int((deleted["verdict"] == DELETE).sum())
    return f"{sessions} sessions deleted, only the scores of {len(deleted) - sessions}"


@task(name="notices", cache_policy=NO_CACHE, persist_result=False)
def send_notices(store: Store, digest: bool) -> str:
    """Send missed and undelivered notices, and the summary if requested."""
    send_missed(store.database)
    delivered, failed = send.retry_undelivered(store.database)
    if digest:
        send.send_summary(store.database)
    return f"{delivered} notices delivered on retry, {failed} failed again"


set_prefect_defaults()


# Retried as a whole: every step is harmless when repeated.
@flow(name="maintain", retries=2, retry_delay_seconds=30)
def maintain(digest: bool = False) -> str:
    """End crashed sessions, deliver the spool, report stale scores, send notices, prune.

    If a step fails, the others still run, and then the run fails.

    Args:
        digest: also send the summary of the sessions since the last summary, to the targets that
            want the event `digest`.
    """
    with redacted_errors(), connect() as store:
        steps: list[Any] = [
            # First: a delivered session has not crashed.
            spool(store, return_state=True),
            reconcile(store, return_state=True),
            freshness(store, return_state=True),
            send_notices(store, digest, return_state=True),
            prune(store, return_state=True),
        ]
        lines = [str(step.result(raise_on_failure=False)) for step in steps]
        show_maintenance(store, lines)
    for line in lines:
        log().info(line)
    for step in steps:
        step.result()
    return "; ".join(lines)
