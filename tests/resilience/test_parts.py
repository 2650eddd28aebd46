import asyncio
import inspect
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.clock import SystemClock
from isthmus.deadline import deadline
from isthmus.errors import ConfigError
from isthmus.resilience.degraded import degrading, note_degraded
from isthmus.resilience.facts import signals
from isthmus.resilience.parts import PartLeftOut, compose, optional


@dataclass
class Home:
    profile: str
    offers: Any = "none"
    title: str = ""


async def get(value: Any) -> Any:
    return value


async def fails(error: BaseException) -> Any:
    raise error


async def never(ended: list[str] | None = None) -> Any:
    try:
        await asyncio.Event().wait()
    finally:
        if ended is not None:
            ended.append("ended")


async def test_the_parts_of_an_answer_are_got_at_once():
    met = asyncio.Barrier(2)

    async def part(value: str) -> str:
        await met.wait()
        return value

    async with asyncio.timeout(5):
        home = await compose(Home, profile=part("ann"), offers=optional(part("tea")), title="Hi")
    assert home == Home("ann", "tea", "Hi")


async def test_a_critical_part_that_fails_fails_the_answer_and_ends_the_others():
    ended: list[str] = []
    with degrading() as parts, pytest.raises(OSError, match="away"):
        await compose(Home, profile=fails(OSError("away")), offers=optional(never(ended)))
    assert ended == ["ended"]
    assert parts == {}
    assert len(asyncio.all_tasks()) == 1


async def test_an_optional_part_that_fails_is_left_out_and_named():
    heard: list[PartLeftOut] = []
    leave = signals.listen(PartLeftOut, heard.append)
    with degrading() as parts:
        home = await compose(Home, profile=get("ann"), offers=optional(fails(OSError("away"))))
    leave()
    assert home == Home("ann")
    assert parts == {"offers": "OSError"}
    assert [(one.part, one.error) for one in heard] == [("offers", "OSError")]


async def test_something_else_may_stand_for_it_under_another_name():
    with degrading() as parts:
        home = await compose(
            Home,
            profile=get("ann"),
            offers=optional(fails(OSError("away")), else_=[], name="deals"),
        )
    assert home == Home("ann", [])
    assert parts == {"deals": "OSError"}


async def test_an_optional_part_is_not_waited_for_longer_than_it_may_take():
    ended: list[str] = []
    with degrading() as parts:
        home = await compose(Home, profile=get("ann"), offers=optional(never(ended), within=0.001))
    assert home == Home("ann")
    assert parts == {"offers": "TimeoutError"}
    assert ended == ["ended"]


async def test_nor_longer_than_the_caller_waits():
    with deadline(0.001, clock=SystemClock()):
        home = await compose(Home, profile=get("ann"), offers=optional(never(), within=60))
    assert home == Home("ann")


async def test_an_answer_that_is_cancelled_ends_its_parts():
    ended: list[str] = []
    task = asyncio.ensure_future(compose(Home, profile=never(ended), offers=optional(never(ended))))
    while len(asyncio.all_tasks()) < 4:
        await asyncio.wait([task], timeout=0)
    await asyncio.wait([task], timeout=0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(ended) == 2
    assert len(asyncio.all_tasks()) == 1


async def test_parts_that_never_began_are_closed():
    # a task that is cancelled before its first step runs nothing: neither may its part be
    # forgotten, or asyncio would warn, and warnings are errors here
    loop = asyncio.get_running_loop()
    parts = never(), never()
    task = asyncio.ensure_future(compose(Home, profile=parts[0], offers=optional(parts[1])))
    loop.call_soon(task.cancel)
    await asyncio.wait([task])
    assert task.cancelled()
    assert [inspect.getcoroutinestate(part) for part in parts] == [inspect.CORO_CLOSED] * 2


async def test_what_is_degraded_within_a_part_is_seen_outside():
    async def stale() -> str:
        note_degraded("prices", "stale")
        return "tea"

    with degrading() as parts:
        await compose(Home, profile=get("ann"), offers=stale())
    assert parts == {"prices": "stale"}


async def test_an_answer_may_be_of_values_alone():
    assert await compose(Home, profile="ann") == Home("ann")


async def test_a_span_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"optional\(within=0\)"):
        optional(asyncio.get_running_loop().create_future(), within=0)
