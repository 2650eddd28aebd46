"""Each call that takes a transaction happens with its commit, or not at all."""

# what raises is the end of a block, not one call

import asyncio

import pytest

from isthmus.errors import LeaseLostError
from isthmus.testing.conformance.desk import Desk, DeskTests
from isthmus.testing.conformance.ledger import texts
from isthmus.testing.conformance.orders import bodies
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["CallTests"]


class CallTests(DeskTests):
    async def test_a_send_leaves_with_the_commit(self, desk: Desk) -> None:
        taker = await desk.orders.taker()
        tx = desk.begin()
        await desk.orders.send("a", "b", tx=tx)
        assert await taker.finds_nothing()
        await tx.commit()
        assert bodies(await taker.take_all()) == ["a", "b"]

    async def test_a_send_rolled_back_never_was(self, desk: Desk) -> None:
        tx = desk.begin()
        await desk.orders.send("a", tx=tx)
        await tx.rollback()
        assert await (await desk.orders.taker()).finds_nothing()

    async def test_a_delayed_send_waits_for_both(self, desk: Desk) -> None:
        async with desk.begin() as tx:
            await desk.orders.send("a", delay=10, tx=tx)
        taker = await desk.orders.taker()
        await desk.orders.elapse(9)
        assert await taker.finds_nothing()
        await desk.orders.elapse(1)
        assert bodies(await taker.take()) == ["a"]

    async def test_a_commit_wakes_a_waiting_receive(self, desk: Desk) -> None:
        taker = await desk.orders.taker()
        receiving = await desk.orders.start(taker.receiver.receive(1, wait=1000 * desk.orders.tick))
        async with desk.begin() as tx:
            await desk.orders.send("a", tx=tx)
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["a"]

    async def test_an_ack_happens_with_the_commit(self, desk: Desk) -> None:
        taker, delivery = await desk.held()
        tx = desk.begin()
        await taker.ack(delivery, tx=tx)
        assert (await desk.orders.stats()).leased in {1, -1}
        await tx.commit()
        assert (await desk.orders.stats()).leased in {0, -1}
        with pytest.raises(LeaseLostError):
            await taker.ack(delivery)
        await desk.orders.elapse(40)
        assert await taker.finds_nothing()

    async def test_an_ack_rolled_back_leaves_the_delivery_held(self, desk: Desk) -> None:
        taker, delivery = await desk.held()
        tx = desk.begin()
        await taker.ack(delivery, tx=tx)
        await tx.rollback()
        assert await taker.finds_nothing()
        await taker.extend(delivery)
        await taker.nack(delivery)
        assert (await taker.one()).attempt == 2

    async def test_a_nack_happens_with_the_commit(self, desk: Desk) -> None:
        taker, delivery = await desk.held()
        tx = desk.begin()
        await taker.nack(delivery, headers={"x": "1"}, tx=tx)
        assert await taker.finds_nothing()
        await tx.commit()
        again = await taker.one()
        assert (again.attempt, again.message.headers) == (2, {"x": "1"})

    async def test_a_nack_rolled_back_changes_nothing(self, desk: Desk) -> None:
        taker, delivery = await desk.held()
        tx = desk.begin()
        await taker.nack(delivery, headers={"x": "1"}, tx=tx)
        await tx.rollback()
        await taker.nack(delivery, headers={"y": "2"})
        again = await taker.one()
        assert (again.attempt, again.message.headers) == (2, {"y": "2"})

    async def test_a_removal_happens_with_the_commit(self, desk: Desk) -> None:
        a, b = await desk.orders.send("a", "b")
        tx = desk.begin()
        assert await desk.orders.remove(a, tx=tx) == 0
        await tx.rollback()
        tx = desk.begin()
        assert await desk.orders.remove(b, tx=tx) == 0
        assert bodies(await desk.orders.browse()) == ["a", "b"]
        await tx.commit()
        assert bodies(await (await desk.orders.taker()).take_all()) == ["a"]

    async def test_spans_are_counted_from_the_commit(self, desk: Desk) -> None:
        await desk.shelf.put("old", "1", ttl=10)
        tx = desk.begin()
        await desk.shelf.put("new", "1", ttl=10, tx=tx)
        await desk.shelf.put("old", "2", if_version=0, tx=tx)
        await desk.shelf.elapse(15)
        await tx.commit()
        await desk.shelf.elapse(9)
        assert await desk.shelf.scan() == {"new": "1", "old": "2"}

    async def test_an_append_happens_with_the_commit(self, desk: Desk) -> None:
        tx = desk.begin()
        await desk.ledger.append("a", "b", tx=tx)
        assert not await desk.ledger.read()
        await tx.commit()
        assert texts(await desk.ledger.read()) == ["a", "b"]

    async def test_an_append_rolled_back_never_was(self, desk: Desk) -> None:
        tx = desk.begin()
        await desk.ledger.append("a", tx=tx)
        await tx.rollback()
        await desk.ledger.append("b")
        assert texts(await desk.ledger.read()) == ["b"]

    async def test_a_commit_wakes_a_waiting_read(self, desk: Desk) -> None:
        log = desk.ledger
        reading = await log.start(
            log.engine_log.read(log.log, 0, offset=0, limit=9, wait=1000 * log.tick)
        )
        async with desk.begin() as tx:
            await log.append("a", tx=tx)
        async with asyncio.timeout(PROMPT):
            assert texts(await reading) == ["a"]

    async def test_a_position_is_set_with_the_commit(self, desk: Desk) -> None:
        member = await desk.owner()
        tx = desk.begin()
        await member.commit({0: 1}, tx=tx)
        assert await desk.ledger.positions() == {0: 0}
        await tx.commit()
        assert await desk.ledger.positions() == {0: 1}
        tx = desk.begin()
        await member.commit({0: 2}, tx=tx)
        await tx.rollback()
        assert await desk.ledger.positions() == {0: 1}

    async def test_the_calls_apply_in_their_order_whatever_they_are(self, desk: Desk) -> None:
        taker, delivery = await desk.held()
        async with desk.begin() as tx:
            (sent,) = await desk.orders.send("sent", tx=tx)
            await taker.nack(delivery, delay=10, tx=tx)
            await desk.orders.remove(sent, delivery.message, tx=tx)
            await desk.orders.send("kept", tx=tx)
        await desk.orders.elapse(10)
        assert bodies(await taker.take_all()) == ["kept"]
