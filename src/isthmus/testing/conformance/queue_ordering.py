"""What `declare(ordered=True)` promises: each key in order, keys side by side."""

import asyncio

import pytest

from isthmus.errors import ConfigError, UnsupportedError
from isthmus.testing.conformance.orders import Orders, QueueTests, bodies
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["OrderingTests"]


class OrderingTests(QueueTests):
    async def test_order_is_refused_where_it_cannot_be_kept(self, orders: Orders) -> None:
        if orders.able.ordered:
            pytest.skip("order is kept")
        with pytest.raises(UnsupportedError, match="ordered"):
            await orders.declare("line", ordered=True)

    async def test_a_subscription_stays_as_ordered_as_it_was_declared(self, orders: Orders) -> None:
        await orders.declare_ordered()
        with pytest.raises(ConfigError, match="line"):
            await orders.declare("line", ordered=False)
        with pytest.raises(ConfigError, match="billing"):
            await orders.declare("billing", ordered=True)
        await orders.declare("line", ordered=True)

    async def test_a_message_waits_for_those_before_it_with_its_key(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("a1", "a2", "a3", key="a")
        taker = await orders.taker("line")
        for text in ("a1", "a2", "a3"):
            (delivery,) = await taker.take_all()
            assert bodies([delivery]) == [text]
            await taker.ack(delivery)

    async def test_keys_flow_side_by_side(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("a1", "a2", key="a")
        await orders.send("b1", "b2", key="b")
        taker = await orders.taker("line")
        a1, b1 = await taker.take_all()
        assert bodies([a1, b1]) == ["a1", "b1"]
        await taker.ack(b1)
        assert bodies(await taker.take_all()) == ["b2"]

    async def test_those_without_a_key_wait_for_nobody(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("x", "y", "z")
        assert bodies(await (await orders.taker("line")).take_all()) == ["x", "y", "z"]

    async def test_another_receiver_does_not_get_the_next_of_a_key(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("a1", "a2", key="a")
        one, two = await orders.taker("line"), await orders.taker("line")
        held = await one.one()
        assert await two.finds_nothing()
        await one.ack(held)
        assert bodies(await two.take()) == ["a2"]

    async def test_a_key_waits_while_its_first_is_retried(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("a1", "a2", key="a")
        await orders.send("b1", key="b")
        taker = await orders.taker("line", lease=100)
        a1, b1 = await taker.take_all()
        await taker.nack(a1, delay=10)
        await taker.ack(b1)
        await orders.elapse(9)
        assert await taker.finds_nothing()
        await orders.elapse(1)
        (again,) = await taker.take_all()
        assert (bodies([again]), again.attempt) == (["a1"], 2)
        await taker.ack(again)
        assert bodies(await taker.take_all()) == ["a2"]

    async def test_a_key_waits_while_its_first_is_held(self, orders: Orders) -> None:
        if not orders.able.timed:
            pytest.skip("capability: timed")
        await orders.declare_ordered()
        await orders.send("a1", "a2", key="a")
        taker = await orders.taker("line", lease=10)
        await taker.one()
        await orders.elapse(10)
        assert bodies(await taker.take_all()) == ["a1"]

    async def test_a_delayed_message_holds_back_those_after_it(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send_later("a1", delay=10, key="a")
        await orders.send("a2", key="a")
        taker = await orders.taker("line")
        assert await taker.finds_nothing()
        await orders.elapse(10)
        a1 = await taker.one()
        assert bodies([a1]) == ["a1"]
        await taker.ack(a1)
        assert bodies(await taker.take_all()) == ["a2"]

    async def test_priority_does_not_break_the_order(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("a1", key="a", priority=0)
        await orders.send("a2", key="a", priority=9)
        taker = await orders.taker("line")
        a1 = await taker.one()
        assert bodies([a1]) == ["a1"]
        await taker.ack(a1)
        assert bodies(await taker.take()) == ["a2"]

    async def test_settling_the_first_wakes_a_receive_for_the_next(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("a1", "a2", key="a")
        one, two = await orders.taker("line"), await orders.taker("line")
        held = await one.one()
        receiving = await orders.start(two.receiver.receive(1, wait=1000 * orders.tick))
        await one.ack(held)
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["a2"]

    async def test_removing_the_first_frees_the_next(self, orders: Orders) -> None:
        await orders.declare_ordered()
        (first,) = await orders.send_later("a1", delay=10, key="a")
        await orders.send("a2", key="a")
        assert await orders.remove(first, subscription="line") == 1
        assert bodies(await (await orders.taker("line")).take()) == ["a2"]

    async def test_of_many_who_send_a_key_at_once_one_is_held_at_a_time(
        self, orders: Orders
    ) -> None:
        await orders.declare_ordered()
        takers = [await orders.taker("line") for _ in range(3)]

        async def send(sender: int) -> None:
            for number in range(8):
                await orders.send(f"{sender}{number}", key="k")

        sending, taken = asyncio.gather(*map(send, range(6))), list[str]()
        while len(taken) < 48:
            sent = sending.done()
            calls = (taker.receiver.receive(9, wait=orders.patience) for taker in takers)
            found = await asyncio.gather(*calls)
            held = [
                (taker, each) for taker, some in zip(takers, found, strict=True) for each in some
            ]
            assert len(held) <= 1
            for taker, delivery in held:
                taken += bodies([delivery])
                await taker.ack(delivery)
            assert held or not sent
        await sending
        for sender in map(str, range(6)):
            assert [text[1] for text in taken if text[0] == sender] == list("01234567")

    async def test_order_holds_when_a_key_is_sent_to_while_it_is_held(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("a1", key="a")
        taker = await orders.taker("line")
        a1 = await taker.one()
        await orders.send("a2", key="a")
        assert await taker.finds_nothing()
        await taker.nack(a1)
        (again,) = await taker.take_all()
        assert bodies([again]) == ["a1"]
