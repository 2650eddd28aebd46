"""Once, suspects whose partition was lost counted as in hand for ever: there was no room
left, and the process read nothing more, of any partition."""

import asyncio
from collections.abc import Callable
from typing import Any

from isthmus import App
from isthmus.streams import Stream


async def test_a_process_reads_on_though_its_suspects_were_lost(
    processes: Callable[..., Any],
) -> None:
    streams, go = list[Stream[int]](), asyncio.Event()

    def declare(app: App) -> None:
        ledger = app.stream("ledger", int, key=lambda _: "acc", partitions=1)
        streams.append(ledger)

        @ledger.group("balances")
        async def post(_: int) -> None:
            await go.wait()

    world = processes(declare)
    ledger = streams[0]
    async with world.keeper:
        await ledger.append_many(range(1000))
        for _ in range(2):  # two holders die: all that they may have had in hand is suspect
            await world.kill(await world.start())
            await world.clock.advance(20)
        survivor = await world.start()
        for _ in range(3):
            await ledger.seek("balances", "start")
            await world.clock.advance(20)
        go.set()
        for _ in range(300):
            await world.clock.advance(1)
        assert await ledger.lag("balances") == {0: 0}
        await world.drain(survivor)
