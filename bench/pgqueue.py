"""Queues on PostgreSQL, beside pgqueuer and procrastinate: sending, and handling what was sent."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.callers import rate
from bench.contest import Benchmark, Contender, Measures, Results
from bench.figure import Figure, figure
from bench.order import Order, orders
from bench.ours import run, running
from isthmus import App
from isthmus.testing.servers import PostgresServer

SENDERS, BATCH = 256, 500
WORDS = "x" * 200
ORDER = next(orders(1))

Send = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def _isthmus(url: str) -> "AsyncGenerator[tuple[Send, Send, Callable[[int], Send]]]":
    app = App("bench", engine=url)
    queue = app.queue("orders", Order)
    handled, done, wanted = 0, asyncio.Event(), 0

    @queue.handler(concurrency=64)
    async def handle(_: Order) -> None:
        nonlocal handled
        handled += 1
        if handled == wanted:
            done.set()

    def consume(count: int) -> Send:
        async def all_of_them() -> None:
            nonlocal wanted
            wanted = count
            async with running(app):
                await done.wait()

        return all_of_them

    async with app:
        yield lambda: queue.send(ORDER), lambda: queue.send_many([ORDER] * BATCH), consume


@asynccontextmanager
async def _pgqueuer(url: str) -> "AsyncGenerator[tuple[Send, Send, Callable[[int], Send]]]":
    """As its documentation has it: its queries and its manager, on a pool of asyncpg."""
    import asyncpg
    from pgqueuer import (  # pyright: ignore[reportMissingImports]
        AsyncpgPoolDriver,
        PgQueuer,
        Queries,
    )

    async with asyncpg.create_pool(url, min_size=4, max_size=16) as pool:
        driver = AsyncpgPoolDriver(pool)
        queries = Queries(driver)
        await queries.install()
        words = WORDS.encode()
        manager, handled, wanted = PgQueuer(driver), 0, 0

        @manager.entrypoint("orders")
        async def handle(_: Any) -> None:
            nonlocal handled
            handled += 1
            if handled == wanted:
                manager.shutdown.set()

        def consume(count: int) -> Send:
            async def all_of_them() -> None:
                nonlocal wanted
                wanted = count
                await manager.run(batch_size=100, dequeue_timeout=timedelta(seconds=2))

            return all_of_them

        yield (
            lambda: queries.enqueue("orders", words),
            lambda: queries.enqueue(["orders"] * BATCH, [words] * BATCH, [0] * BATCH),
            consume,
        )


@asynccontextmanager
async def _procrastinate(url: str) -> "AsyncGenerator[tuple[Send, Send, Callable[[int], Send]]]":
    import procrastinate  # pyright: ignore[reportMissingImports]

    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=16)
    )

    @app.task(queue="orders")
    async def handle(words: str) -> None: ...

    def consume(_: int) -> Send:
        async def all_of_them() -> None:
            await app.run_worker_async(
                wait=False, concurrency=64, install_signal_handlers=False, delete_jobs="always"
            )

        return all_of_them

    arguments: list[Any] = [{"words": WORDS}] * BATCH
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        yield (
            lambda: handle.defer_async(words=WORDS),
            lambda: handle.batch_defer_async(*arguments),
            consume,
        )


async def _measured(opened: Any, counts: "tuple[int, int]") -> Measures:
    single, batches = counts
    async with opened as (send, send_batch, consume):
        await send()
        one = await rate(lambda _: send(), range(single), callers=SENDERS)
        many = BATCH * await rate(lambda _: send_batch(), range(batches), callers=1)
        total = 1 + single + batches * BATCH
        began = time.perf_counter()
        await consume(total)()
        return {
            "enqueue.c256": one,
            "enqueue.batch": many,
            "consume": total / (time.perf_counter() - began),
        }


def contender(opened: Callable[[str], Any], counts: "tuple[int, int]") -> Contender:
    def turn(_: Path) -> Measures:
        with PostgresServer(durable=True) as server:
            main: Coroutine[Any, Any, Measures] = _measured(opened(server.url()), counts)
            return run(main)

    return turn


TARGETS = {
    ("enqueue.c256", "pgqueuer"): ">= 20",
    ("enqueue.batch", "pgqueuer"): ">= 1",
    ("consume", "pgqueuer"): ">= 3",
    ("enqueue.c256", "procrastinate"): ">= 20",
    ("enqueue.batch", "procrastinate"): None,
    ("consume", "procrastinate"): None,
}


def figures(results: Results) -> Sequence[Figure]:
    measures = sorted({measure for measure, _ in TARGETS})
    return [
        *(
            figure(
                f"pgqueue.{measure}.vs_{peer}",
                results.ratios("isthmus", [peer], measure),
                target=target,
            )
            for (measure, peer), target in TARGETS.items()
        ),
        *(
            figure(f"pgqueue.{measure}.{name}", results.of(name, measure), "/s")
            for measure in measures
            for name in BENCHMARK.contenders
        ),
    ]


BENCHMARK = Benchmark(
    name="pgqueue",
    title=(
        "jobs of 200 bytes on PostgreSQL, with fsync and synchronous_commit; 256 callers that "
        "each wait until their job is safe; 500 at a time by one caller; then all handled, each "
        "acknowledged, with its inbox (isthmus). A server of its own for each turn"
    ),
    contenders={
        "isthmus": contender(_isthmus, (20_000, 40)),
        "pgqueuer": contender(_pgqueuer, (2_000, 20)),
        "procrastinate": contender(_procrastinate, (1_000, 4)),
    },
    figures=figures,
)
