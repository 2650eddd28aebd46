"""What a message costs when a thousand wait, and when a million do."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.order import Order, orders
from bench.ours import app_in, run, running
from isthmus.messaging import Queue

THOUSAND, MILLION = 1000, 1_000_000
SENT, DELAYED, TIMES, SENDERS = 5000, 10, 5, 256
"""Orders of one measurement; every so many is delayed, and so not handled in it."""

PAGE = 10_000
PRIORITIES = (-3, 0, 0, 5)
HOUR = 3600.0


class _Backlog:
    """A queue in which so many wait, while a handler takes as many as are sent."""

    def __init__(self, folder: Path, waiting: int) -> None:
        self._app = app_in(folder, "normal")
        self._queue = self._app.queue("orders", Order)
        self._waiting = waiting
        self._handled, self._wanted = 0, 0
        self._more, self._done = asyncio.Event(), asyncio.Event()
        self._queue.handler(concurrency=16)(self._handle)

    async def _handle(self, _: Order) -> None:
        self._handled += 1
        if self._handled == self._wanted:
            self._more.clear()
            self._done.set()
        await self._more.wait()

    async def measure(self) -> Sequence[float]:
        """Return the microseconds of one message, sent and handled, several times."""
        async with self._app:
            await _fill(self._queue, self._waiting)
            async with running(self._app):
                await self._once("warm")
                found = [await self._once(f"again-{number}") for number in range(TIMES)]
                self._wanted = -1
                self._more.set()
        return found

    async def _once(self, prefix: str) -> float:
        began = time.perf_counter()
        await _send(self._queue, prefix)
        self._wanted += SENT - SENT // DELAYED
        self._done.clear()
        self._more.set()
        await self._done.wait()
        return (time.perf_counter() - began) / SENT * 1e6


async def _fill(queue: Queue[Order], waiting: int) -> None:
    """A tenth of them delayed for an hour, the others of three priorities."""
    left, page = iter(orders(waiting, prefix="waits")), min(PAGE, waiting // 10)
    for number in range(waiting // page):
        some = [next(left) for _ in range(page)]
        delay = HOUR if number % DELAYED == 0 else 0.0
        await queue.send_many(some, delay=delay, priority=PRIORITIES[number % 4])


async def _send(queue: Queue[Order], prefix: str) -> None:
    left = enumerate(orders(SENT, prefix=prefix))

    async def sender() -> None:
        for number, order in left:
            delay = HOUR if number % DELAYED == 0 else 0.0
            await queue.send(order, id=order.id, delay=delay, priority=PRIORITIES[number % 4])

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


def contend(waiting: int, folder: Path) -> Measures:
    async def main() -> Sequence[float]:
        return await _Backlog(folder, waiting).measure()

    return {"cost": statistics.median(run(main()))}


def figures(results: Results) -> Sequence[Figure]:
    return [
        figure("queue.cost.1k", results.of("1k", "cost"), "us"),
        figure("queue.cost.1m", results.of("1m", "cost"), "us"),
        figure("queue.cost.1m_over_1k", results.ratios("1m", ["1k"], "cost"), target="<= 2"),
    ]


BENCHMARK = Benchmark(
    name="backlog",
    title=(
        "5,000 orders sent by 256 senders and as many handled, while 1,000 or 1,000,000 wait, a "
        "tenth of them delayed, the others of three priorities; durability=normal"
    ),
    contenders={
        "1k": lambda folder: contend(THOUSAND, folder),
        "1m": lambda folder: contend(MILLION, folder),
    },
    figures=figures,
    rounds=3,
)
