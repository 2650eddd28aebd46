"""How an engine ends, and what it does to the loop that it lives on."""

import asyncio
from typing import Any

import pytest

from isthmus.clock import Clock
from isthmus.connect import connect
from isthmus.errors import ConfigError, UnavailableError
from isthmus.message import Message
from isthmus.testing.conformance.desk import Desk, DeskTests
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["EngineTests"]


class EngineTests(DeskTests):
    async def test_closing_twice_is_once(self, desk: Desk) -> None:
        await desk.shelf.engine.aclose()
        await desk.shelf.engine.aclose()

    async def test_after_closing_every_call_says_so(self, desk: Desk) -> None:
        taker = await desk.orders.taker()
        member = await desk.ledger.owner()
        tx = desk.begin()
        await desk.shelf.engine.aclose()
        calls: list[Any] = [
            lambda: desk.orders.send("a"),
            desk.orders.declare,
            desk.orders.taker,
            desk.orders.stats,
            taker.finds_nothing,
            lambda: desk.orders.queue.browse(desk.orders.topic, "billing"),
            lambda: desk.ledger.append("a"),
            desk.ledger.read,
            desk.ledger.positions,
            lambda: member.read(1, wait=0),
            lambda: member.commit({0: 0}),
            lambda: desk.shelf.put("a", "1"),
            lambda: desk.shelf.values("a"),
            desk.shelf.scan,
            tx.commit,
        ]
        for call in calls:
            with pytest.raises(UnavailableError):
                await call()

    async def test_closing_ends_who_waits(self, desk: Desk) -> None:
        taker = await desk.orders.taker()
        member = await desk.ledger.owner()
        span = 1000 * desk.orders.tick
        waiting: list[asyncio.Task[Any]] = [
            await desk.orders.start(taker.receiver.receive(1, wait=span)),
            await desk.orders.start(member.read(1, wait=span)),
            await desk.orders.start(
                desk.ledger.engine_log.read(desk.ledger.log, 0, offset=0, limit=1, wait=span)
            ),
        ]
        await desk.shelf.engine.aclose()
        async with asyncio.timeout(PROMPT):
            results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [UnavailableError] * 3

    async def test_what_was_asked_for_is_finished(self, desk: Desk) -> None:
        other = await desk.shelf.another()
        asked = [asyncio.create_task(desk.shelf.put(str(n), "1")) for n in range(20)]
        await asyncio.sleep(0)
        await desk.shelf.engine.aclose()
        async with asyncio.timeout(PROMPT):
            results = await asyncio.gather(*asked, return_exceptions=True)
        done = {str(n) for n, result in enumerate(results) if result is None}
        assert all(result is None or isinstance(result, UnavailableError) for result in results)
        assert done <= set(await other.scan())

    async def test_closing_one_opening_leaves_the_others(self, desk: Desk) -> None:
        other = await desk.shelf.another()
        await other.engine.aclose()
        await desk.shelf.put("a", "1")
        assert await desk.shelf.values("a") == {"a": "1"}

    async def test_the_loop_turns_while_the_engine_works(self, desk: Desk) -> None:
        if desk.orders.able.durable == "memory":
            pytest.skip("durable: memory")
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        messages = [Message(body=b"x" * 100) for _ in range(min(desk.orders.able.max_batch, 5000))]
        await asyncio.sleep(0)
        before = turns
        await desk.orders.queue.send(desk.orders.topic, messages)
        assert turns > before + 2
        ticking.cancel()

    async def test_an_unknown_option_is_refused(self, url: str, clock: Clock) -> None:
        mark = "&" if "?" in url else "?"
        with pytest.raises(ConfigError, match="flavour"):
            await connect(f"{url}{mark}flavour=salty", clock=clock)
