"""Another process of the shop: takes orders, and prints what it took, until its stdin ends."""

import asyncio
import sys

from isthmus import App


async def take(engine: str) -> None:
    app = App("shop", engine=engine)
    orders = app.queue("orders", str)

    @orders.handler()
    async def accept(order: str) -> None:
        print(order, flush=True)

    running = asyncio.create_task(app.run())
    await asyncio.to_thread(sys.stdin.read)
    await app.drain()
    await running


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1]))
