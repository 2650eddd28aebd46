"""What a transaction saw must still be so when it commits; and whom it leaves alone."""

# ruff: noqa: PT012  # what raises is the end of a block, not one call

import asyncio
from typing import Any

import pytest

from isthmus.connect import connect
from isthmus.contracts import Put
from isthmus.errors import ConfigError, ConflictError, UnsupportedError
from isthmus.message import Message
from isthmus.testing.conformance.desk import Desk, DeskTests
from isthmus.testing.conformance.ledger import texts
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["ReadingTests"]


class ReadingTests(DeskTests):
    # --- reading

    async def test_a_read_does_not_see_what_is_staged(self, desk: Desk) -> None:
        await desk.shelf.put("a", "1")
        async with desk.begin() as tx:
            await desk.shelf.put("a", "2", tx=tx)
            assert await desk.shelf.values("a", tx=tx) == {"a": "1"}
        assert await desk.shelf.values("a") == {"a": "2"}

    async def test_what_was_read_and_stays_lets_the_commit_pass(self, desk: Desk) -> None:
        await desk.shelf.put("a", "1")
        async with desk.begin() as tx:
            assert await desk.shelf.values("a", "absent", tx=tx) == {"a": "1"}
            await desk.shelf.put("a", "2", tx=tx)
            await desk.shelf.put("elsewhere", "1")
        assert await desk.shelf.values("a") == {"a": "2"}

    @pytest.mark.parametrize("change", [Put("a", b"2"), Put("a", None), Put("absent", b"2")])
    async def test_what_was_read_and_changed_is_a_conflict(self, desk: Desk, change: Put) -> None:
        await desk.shelf.put("a", "1")
        with pytest.raises(ConflictError):
            async with desk.begin() as tx:
                await desk.shelf.values("a", "absent", tx=tx)
                await desk.shelf.put("b", "1", tx=tx)
                await desk.shelf.puts(change)
        assert await desk.shelf.values("b") == {}

    async def test_what_only_read_commits_whatever_changed(self, desk: Desk) -> None:
        await desk.shelf.put("a", "1")
        async with desk.begin() as tx:
            await desk.shelf.values("a", tx=tx)
            await desk.shelf.put("a", "2")

    async def test_a_history_that_was_read_and_grew_is_a_conflict(self, desk: Desk) -> None:
        log = await desk.versioned()
        await log.append("a", key="k")
        async with desk.begin() as tx:
            assert texts(await log.history("k", tx=tx)) == ["a"]
            await log.append("b", key="k", expected={"k": 1}, tx=tx)
        with pytest.raises(ConflictError):
            async with desk.begin() as tx:
                assert texts(await log.history("k", tx=tx)) == ["a", "b"]
                await desk.shelf.put("put", "1", tx=tx)
                await log.append("c", key="k")
        assert await desk.shelf.values("put") == {}

    async def test_of_many_who_count_none_is_lost(self, desk: Desk) -> None:
        await desk.shelf.put("count", "0")

        async def count() -> None:
            for attempt in range(1, 100):
                try:
                    async with desk.shelf.store.begin(attempt=attempt) as tx:
                        counted = await desk.shelf.values("count", tx=tx)
                        await asyncio.sleep(0)
                        await desk.shelf.put("count", str(int(counted["count"]) + 1), tx=tx)
                except ConflictError:
                    continue
                return
            pytest.fail("99 conflicts in a row")

        await asyncio.gather(*(count() for _ in range(10)))
        assert await desk.shelf.values("count") == {"count": "10"}

    # --- others

    async def test_an_open_transaction_makes_nobody_wait(self, desk: Desk) -> None:
        async with asyncio.timeout(PROMPT), desk.begin() as tx:
            await desk.shelf.put("a", "1", tx=tx)
            await desk.orders.send("a", tx=tx)
            await desk.ledger.append("a", tx=tx)
            await desk.shelf.put("b", "1")
            await desk.orders.send("b")
            await desk.ledger.append("b")
            async with desk.begin() as other:
                await desk.shelf.put("c", "1", tx=other)
        assert await desk.shelf.scan() == {"a": "1", "b": "1", "c": "1"}
        assert texts(await desk.ledger.read()) == ["b", "a"]

    async def test_a_transaction_of_another_database_is_refused(self, desk: Desk) -> None:
        elsewhere = await connect("memory://", clock=desk.shelf.clock)
        assert elsewhere.store is not None
        taker, delivery = await desk.held()
        member = await desk.owner()
        async with elsewhere.store.begin() as tx:
            refused: list[Any] = [
                lambda: desk.orders.send("b", tx=tx),
                lambda: taker.ack(delivery, tx=tx),
                lambda: desk.ledger.append("b", tx=tx),
                lambda: member.commit({0: 1}, tx=tx),
                lambda: member.guard([0], tx=tx),
                lambda: desk.shelf.put("b", "1", tx=tx),
                lambda: desk.shelf.values("b", tx=tx),
            ]
            for call in refused:
                with pytest.raises(ConfigError, match="memory://"):
                    await call()
        await elsewhere.aclose()
        await taker.ack(delivery)
        assert await taker.finds_nothing()

    async def test_what_shares_no_transactions_refuses_them(self, desk: Desk) -> None:
        queue, log, scope = desk.shelf.engine.queue, desk.shelf.engine.log, desk.shelf.able.scope
        async with desk.begin() as tx:
            if queue is not None and queue.capabilities.scope != scope:
                with pytest.raises(ConfigError, match=scope):
                    await queue.send(f"orders-{desk.name}", [Message()], tx=tx)
            if log is not None and log.capabilities.scope != scope:
                with pytest.raises(ConfigError, match=scope):
                    await log.append(f"ledger-{desk.name}", [Message()], tx=tx)

    async def test_what_is_no_connection_is_not_adopted(self, desk: Desk) -> None:
        with pytest.raises(UnsupportedError):
            desk.shelf.store.adopt(object())
