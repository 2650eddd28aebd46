"""Every strategy of the family around one call, and many of those at once."""

import asyncio
import gc
import random

import pytest

from isthmus.clock import ManualClock
from isthmus.errors import IsthmusError
from isthmus.resilience.cache import Cache
from isthmus.resilience.chaos import Chaos
from isthmus.resilience.fallback import Fallback, LastKnownGood
from isthmus.resilience.feature import Feature
from isthmus.resilience.hedge import Hedge
from isthmus.resilience.policy import Policy
from isthmus.resilience.rate_limit import RateLimit


@pytest.mark.parametrize("seed", range(3))
async def test_many_calls_cancelled_at_random_leave_nothing_behind(seed: int):
    clock, chance = ManualClock(), random.Random(seed)
    running, unseen = 0, list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, told: unseen.append(told))

    async def supplier(item: int) -> int:
        nonlocal running
        running += 1
        try:
            await clock.sleep(chance.random())
            if chance.random() < 0.2:
                raise ConnectionError
            return item
        finally:
            running -= 1

    cache, chaos = Cache(0.2, stale=0.2, stale_if_error=1), Chaos(error=OSError, rate=0.1)
    policy = Policy(
        Feature("everything"),
        Fallback(LastKnownGood(5)),
        cache,
        RateLimit(2000, wait=0.5),
        Hedge(0.4, most=2),
        chaos,
        idempotent=True,
        clock=clock,
        draw=chance.random,
    )
    guarded = policy(supplier)
    tasks: list[asyncio.Task[int]] = []
    with chaos:
        for _ in range(20):
            tasks += [asyncio.ensure_future(guarded(chance.randrange(300))) for _ in range(500)]
            await clock.advance(0.1)
            for task in chance.sample(tasks, 300):
                task.cancel()
        await clock.advance(60)
    done = await asyncio.gather(*tasks, return_exceptions=True)
    await cache.close()
    known = int | OSError | IsthmusError | asyncio.CancelledError
    assert all(isinstance(one, known) for one in done)
    assert sum(isinstance(one, int) for one in done) > 1000
    assert running == 0
    assert clock.sleepers == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(cache._flights) == 0
    gc.collect()  # an error that nobody saw is told as late as this
    assert unseen == []
