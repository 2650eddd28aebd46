"""What is gathered while something is done."""

import asyncio

from isthmus.clock import ManualClock
from isthmus.handling.consuming.gathering import Gathering


async def test_what_comes_in_one_turn_is_done_in_one_go() -> None:
    goes = list[list[int]]()

    async def work(items: list[int]) -> None:
        goes.append(items)

    gathering = Gathering(work)
    gathering.add([1])
    gathering.add([2, 3])
    await gathering.done()
    assert goes == [[1, 2, 3]]
    assert gathering.count == 0


async def test_what_comes_meanwhile_shares_the_next_go() -> None:
    goes, gate = list[list[int]](), asyncio.Event()

    async def work(items: list[int]) -> None:
        goes.append(items)
        await gate.wait()

    gathering = Gathering(work)
    for item in range(4):
        gathering.add([item])
        await ManualClock().settle()
    assert goes == [[0]]
    assert (gathering.count, list(gathering)) == (4, [1, 2, 3, 0])
    gate.set()
    await gathering.done()
    assert goes == [[0], [1, 2, 3]]


async def test_more_than_fit_into_one_go_are_done_beside_each_other() -> None:
    goes, gate = list[list[int]](), asyncio.Event()

    async def work(items: list[int]) -> None:
        goes.append(items)
        await gate.wait()

    gathering = Gathering(work, most=2)
    gathering.add([1, 2, 3, 4, 5])
    await ManualClock().settle()
    assert goes == [[1, 2], [3, 4], [5]]
    gate.set()
    await gathering.done()


async def test_who_waits_for_fewer_is_told_when_they_are_fewer() -> None:
    counts = list[int]()

    async def work(_: list[int]) -> None: ...

    gathering = Gathering(work, fewer=lambda: counts.append(gathering.count))
    gathering.add([1, 2, 3])
    await gathering.done()
    await ManualClock().settle()
    assert counts == [0]
