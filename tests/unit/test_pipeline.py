"""Stages in threads: order, bounds, errors, interrupts, contexts, and no thread left behind."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mfprefect.util.pipeline import AHEAD, Prefetched, Sink

CONTEXT: contextvars.ContextVar[str] = contextvars.ContextVar("context", default="none")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def until(ready: Any) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in 30 seconds")
        time.sleep(0.001)


def test_items_arrive_in_order_and_only_a_few_ahead() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    with Prefetched(numbers, "reader") as items:
        until(lambda: len(made) == AHEAD + 1)
        time.sleep(0.05)
        assert len(made) == AHEAD + 1
        assert list(items) == list(range(50))
        assert list(items) == []


def test_the_generator_is_closed_in_its_own_thread_when_nobody_wants_more() -> None:
    threads: list[Any] = []

    def numbers() -> Iterator[int]:
        try:
            threads.append(threading.current_thread())
            yield from range(1_000_000)
        finally:
            threads.append(threading.current_thread())

    with Prefetched(numbers, "reader") as items:
        assert next(iter(items)) == 0
    assert threads[0] is threads[1] is not threading.current_thread()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_of_a_generator_is_raised_after_what_it_yielded(error: BaseException) -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise error

    seen = []
    with pytest.raises(type(error)) as raised, Prefetched(numbers, "reader") as items:
        for item in items:
            seen.append(item)
    assert seen == [1] and raised.value is error


def test_an_error_of_the_user_ends_the_thread() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        Prefetched(lambda: iter(range(10**9)), "reader") as items,
        Sink[int](lambda item: time.sleep(0.001), "writer") as sink,
    ):
        for item in items:
            sink.put(item)
            if item == 5:
                raise ZeroDivisionError


def test_an_error_of_the_sink_is_raised_by_put_and_by_finish() -> None:
    def work(item: int) -> None:
        if item == 3:
            raise ValueError("three")

    with Sink(work, "writer") as sink:
        with pytest.raises(ValueError, match="three"):
            for item in range(1_000_000):
                sink.put(item)
        with pytest.raises(ValueError, match="three"):
            sink.finish()


def test_finish_waits_for_all_items() -> None:
    seen: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.002)
        seen.append(item)

    with Sink(work, "writer") as sink:
        for item in range(20):
            sink.put(item)
        sink.finish()
        assert seen == list(range(20))


def test_threads_have_the_context_of_their_maker() -> None:
    token = CONTEXT.set("a run")
    seen: list[str] = []
    try:
        with (
            Prefetched(lambda: iter([CONTEXT.get()]), "reader") as items,
            Sink[str](lambda _: seen.append(CONTEXT.get()), "writer") as sink,
        ):
            (context,) = items
            sink.put(context)
            sink.finish()
    finally:
        CONTEXT.reset(token)
    assert (context, seen) == ("a run", ["a run"])
