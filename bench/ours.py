"""Apps as `isthmus run` runs them: on uvloop where it is installed, with its garbage collection."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from bench.contest import Contender, Measures
from bench.order import Order
from isthmus import App
from isthmus.cli.process import collect_seldom
from isthmus.handling.running.runtime import Runtime
from isthmus.messaging import Queue

__all__ = ["Durability", "app_in", "run", "running", "send_all", "turn"]

T = TypeVar("T")
Durability = Literal["normal", "full"]


def app_in(folder: Path, durability: Durability) -> App:
    return App("bench", engine=f"sqlite:///{folder}/isthmus.db?durability={durability}")


def run(main: Coroutine[Any, Any, T]) -> T:
    collect_seldom()
    factory = None
    with suppress(ImportError):
        from uvloop import new_event_loop as factory
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def turn(main: Callable[[Path], Coroutine[Any, Any, Measures]]) -> Contender:
    """Return a contender that runs `main` as we do."""
    return lambda folder: run(main(folder))


@asynccontextmanager
async def running(app: App) -> AsyncGenerator[None]:
    """Run the workers of an open App, as `isthmus run` does; all is settled at the end."""
    runtime = Runtime(app.declarations, app.declarations.host)
    task = asyncio.create_task(runtime.run())
    try:
        yield
    finally:
        await runtime.drain()
        await task


async def send_all(queue: Queue[Order], orders: Iterable[Order], *, senders: int) -> None:
    """Each of the senders waits for its order to be stored before it sends another."""
    left = iter(orders)

    async def sender() -> None:
        for order in left:
            await queue.send(order, id=order.id)

    await asyncio.gather(*(sender() for _ in range(senders)))
