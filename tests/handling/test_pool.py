"""What the slots promise, with work that waits and work that does not."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from isthmus.clock import ManualClock
from isthmus.handling.consuming.pool import QUANTUM, Pool


def pool_of(work: Callable[[Sequence[int]], Awaitable[None]], concurrency: int) -> Pool[int]:
    return Pool(
        work,
        concurrency=concurrency,
        batch=1,
        linger=0.0,
        clock=ManualClock(),
        taken=lambda: None,
        failed=lambda _: None,
    )


async def test_work_that_waits_runs_beside_each_other() -> None:
    running, most, gate = 0, 0, asyncio.Event()

    async def work(_: Sequence[int]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    pool = pool_of(work, concurrency=5)
    pool.offer(range(20))
    await ManualClock().settle()
    assert (running, pool.waiting) == (5, 15)
    gate.set()
    await pool.idle()
    await pool.close()
    assert (running, most) == (0, 5)


async def test_work_that_never_waits_gives_way_to_the_loop() -> None:
    done = list[int]()

    async def work(batch: Sequence[int]) -> None:
        done.extend(batch)

    pool = pool_of(work, concurrency=5)
    pool.offer(range(10 * QUANTUM))
    turns = list[int]()
    while len(done) < 10 * QUANTUM:
        await ManualClock().settle(turns=1)
        turns.append(len(done))
    await pool.close()
    assert done == list(range(10 * QUANTUM))
    assert len(turns) >= 10


async def test_what_is_offered_one_by_one_is_taken_by_as_many_slots() -> None:
    running, gate = 0, asyncio.Event()

    async def work(_: Sequence[int]) -> None:
        nonlocal running
        running += 1
        await gate.wait()

    pool = pool_of(work, concurrency=5)
    for item in range(3):
        pool.offer([item])
        await ManualClock().settle()
    assert running == 3
    gate.set()
    await pool.idle()
    await pool.close()


async def test_what_goes_through_alone_is_waited_for_and_what_is_discarded_is_not() -> None:
    handled, go = list[int](), asyncio.Event()

    async def work(batch: Sequence[int]) -> None:
        handled.extend(batch)
        await go.wait()

    pool = pool_of(work, concurrency=1)
    first = asyncio.create_task(pool.through(1))
    await ManualClock().settle()
    assert handled == [1]
    assert not first.done()
    go.set()
    assert await first
    go.clear()
    pool.offer([2])
    await ManualClock().settle()
    second = asyncio.create_task(pool.through(3))
    await ManualClock().settle()
    pool.discard(lambda item: item == 3)
    assert not await second
    go.set()
    third = asyncio.create_task(pool.through(4))
    assert await third
    assert handled == [1, 2, 4]
    await pool.close()
