import asyncio
import logging
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

from isthmus.clock import ManualClock, SystemClock, seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.mark.parametrize(
    ("span", "expected"), [(2, 2.0), (0.5, 0.5), (timedelta(minutes=2), 120.0)], ids=str
)
def test_a_span_is_seconds_or_a_timedelta(span: float | timedelta, expected: float):
    found = seconds(span)
    assert found == expected
    assert isinstance(found, float)


# --- the machine's ------------------------------------------------------------------------------


def test_the_system_clock_tells_unix_time():
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_a_step_back_is_logged_once_and_followed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    moments = iter([5000.0, 4000.0, 4001.0])
    monkeypatch.setattr("isthmus.clock.time", SimpleNamespace(time=lambda: next(moments)))
    clock = SystemClock()
    with caplog.at_level(logging.WARNING, "isthmus.clock"):
        assert [clock.now() for _ in range(3)] == [5000.0, 4000.0, 4001.0]
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "the system clock went back 1000.0 s"
    ]


def test_a_slew_of_less_than_a_second_is_no_step(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    moments = iter([5000.0, 4999.5])
    monkeypatch.setattr("isthmus.clock.time", SimpleNamespace(time=lambda: next(moments)))
    clock = SystemClock()
    assert [clock.now() for _ in range(2)] == [5000.0, 4999.5]
    assert not caplog.records


async def test_the_system_clock_waits_for_an_event_or_for_the_time():
    clock, event = SystemClock(), asyncio.Event()
    assert not await clock.wait(event, 0.001)
    asyncio.get_running_loop().call_soon(event.set)
    assert await clock.wait(event, 60)
    assert await clock.wait(event, 0)


# --- the test's ---------------------------------------------------------------------------------


async def test_manual_time_stands_until_it_is_moved(clock: ManualClock):
    assert clock.now() == clock.now() == 1000.0
    await clock.advance(2.5)
    assert clock.now() == 1002.5


async def test_sleepers_wake_in_the_order_of_their_moments_at_those_moments(clock: ManualClock):
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, span: float) -> None:
        await clock.sleep(span)
        woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        for name, span in [("late", 3.0), ("soon", 1.0), ("also soon", 1.0)]:
            group.create_task(sleeper(name, span))
        await clock.advance(10)
    assert woken == [("soon", 1001.0), ("also soon", 1001.0), ("late", 1003.0)]


async def test_who_sleeps_again_when_woken_wakes_within_one_advance(clock: ManualClock):
    ticks: list[float] = []

    async def tick() -> None:
        for _ in range(3):
            await clock.sleep(1)
            ticks.append(clock.now())

    task = asyncio.create_task(tick())
    await clock.advance(5)
    assert ticks == [1001.0, 1002.0, 1003.0]
    await task


async def test_who_is_not_due_sleeps_on(clock: ManualClock):
    task = asyncio.create_task(clock.sleep(5))
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.1)
    assert task.done()


async def test_sleeping_no_time_takes_one_turn(clock: ManualClock):
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.now() == 1000.0


async def test_a_wait_ends_with_the_event(clock: ManualClock):
    event = asyncio.Event()
    task = asyncio.create_task(clock.wait(event, 60))
    await clock.settle()
    event.set()
    assert await task
    assert clock.now() == 1000.0


async def test_a_wait_ends_with_the_time(clock: ManualClock):
    task = asyncio.create_task(clock.wait(asyncio.Event(), 60))
    await clock.advance(60)
    assert not await task


async def test_a_wait_for_what_is_there_ends_at_once(clock: ManualClock):
    event = asyncio.Event()
    event.set()
    assert await clock.wait(event, 60)


async def test_a_cancelled_sleeper_leaves_time_as_it_is(clock: ManualClock):
    task = asyncio.create_task(clock.sleep(1))
    await clock.settle()
    task.cancel()
    await clock.advance(2)
    assert task.cancelled()
    assert clock.now() == 1002.0


async def test_manual_time_can_step_back(clock: ManualClock):
    clock.set_back(100)
    assert clock.now() == 900.0


async def test_a_sleep_lasts_its_span_though_the_clock_steps_back(clock: ManualClock):
    sleeping = asyncio.create_task(clock.sleep(10))
    await clock.settle()
    clock.set_back(100)
    await clock.advance(9)
    assert not sleeping.done()
    await clock.advance(2)
    assert sleeping.done()
