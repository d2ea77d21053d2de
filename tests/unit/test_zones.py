"""The day that is a run's `as_of` by default."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from mfprefect.lifecycle.run import today
from mfprefect.provenance import flow_run
from mfprefect.settings import load_settings
from mfprefect.util import values

UTC_DAY, NEXT_DAY = dt.date(2026, 11, 29), dt.date(2026, 11, 30)


@pytest.fixture(autouse=True)
def evening(monkeypatch: pytest.MonkeyPatch) -> None:
    """20:00 in Greenwich is 09:00 of the next day in Auckland."""
    now = dt.datetime(2026, 11, 29, 20, tzinfo=dt.UTC)
    monkeypatch.setattr(values, "utc_now", lambda: now)
    monkeypatch.delenv("TZ", raising=False)


@pytest.mark.parametrize(
    ("setting", "schedule", "variable", "day"),
    [
        (None, None, None, UTC_DAY),
        (None, None, "Pacific/Auckland", NEXT_DAY),
        (None, None, ":Pacific/Auckland", NEXT_DAY),
        (None, "Pacific/Auckland", "UTC", NEXT_DAY),
        ("UTC", "Pacific/Auckland", "Pacific/Auckland", UTC_DAY),
        ("Pacific/Auckland", None, None, NEXT_DAY),
    ],
)
def test_the_first_zone_that_is_set_counts(
    setting: str | None,
    schedule: str | None,
    variable: str | None,
    day: dt.date,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable is not None:
        monkeypatch.setenv("TZ", variable)
    monkeypatch.setattr(flow_run, "schedule_zone", lambda: schedule)
    assert today(load_settings(time_zone=setting)) == day


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        ([("Pacific/Auckland", True)], "Pacific/Auckland"),
        ([("Pacific/Auckland", True), ("Europe/Berlin", False)], "Pacific/Auckland"),
        ([("Pacific/Auckland", True), ("Europe/Berlin", True)], None),
        ([(None, True)], None),
        ([], None),
    ],
)
def test_the_zone_of_the_schedules(
    zones: list[tuple[str | None, bool]], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client import orchestration
    from prefect.context import FlowRunContext

    schedules = [
        SimpleNamespace(schedule=SimpleNamespace(timezone=zone), active=active)
        for zone, active in zones
    ]

    class Client:
        def __init__(self, **_: Any) -> None:
            pass

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read_deployment(self, _: object) -> Any:
            return SimpleNamespace(schedules=schedules)

    run = SimpleNamespace(flow_run=SimpleNamespace(deployment_id=uuid4()))
    monkeypatch.setattr(FlowRunContext, "get", lambda: run)
    monkeypatch.setattr(orchestration, "get_client", Client)
    assert flow_run.schedule_zone() == expected
    monkeypatch.setattr(orchestration, "get_client", None)  # away
    assert flow_run.schedule_zone() is None


def test_outside_a_deployment_no_schedule_counts() -> None:
    assert flow_run.schedule_zone() is None
