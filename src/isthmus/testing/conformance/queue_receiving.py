"""Who is handed which message, and when."""

import asyncio

import pytest

from isthmus.testing.conformance.orders import Orders, QueueTests, bodies
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["ReceivingTests"]


class ReceivingTests(QueueTests):
    async def test_a_leased_message_is_hidden(self, orders: Orders) -> None:
        await orders.send("a")
        holder, other = await orders.taker(), await orders.taker()
        await holder.one()
        assert await holder.finds_nothing()
        assert await other.finds_nothing()

    async def test_receivers_share_the_messages(self, orders: Orders) -> None:
        sent = [str(number) for number in range(20)]
        await orders.send(*sent)
        one, two = await orders.taker(limit=10), await orders.taker(limit=10)
        assert sorted(bodies([*await one.take(10), *await two.take(10)])) == sorted(sent)

    async def test_many_receivers_at_once_get_each_message_once(self, orders: Orders) -> None:
        sent = [str(number) for number in range(60)]
        takers = [await orders.taker(limit=10) for _ in range(6)]
        await orders.send(*sent)
        taken = await asyncio.gather(*(taker.take(10) for taker in takers))
        assert sorted(text for each in taken for text in bodies(each)) == sorted(sent)

    async def test_receipts_differ(self, orders: Orders) -> None:
        await orders.send("a", "b", "c")
        taken = await (await orders.taker()).take(3)
        assert len({each.receipt for each in taken}) == 3

    async def test_a_first_delivery_is_attempt_1(self, orders: Orders) -> None:
        await orders.send("a")
        delivery = await (await orders.taker()).one()
        assert (delivery.attempt, delivery.lapses) == (1, 0)

    # --- limits

    async def test_a_call_gets_at_most_its_limit(self, orders: Orders) -> None:
        await orders.send("a", "b", "c")
        taker = await orders.taker()
        assert len(await taker.receiver.receive(2, wait=orders.patience)) <= 2

    async def test_a_receiver_never_holds_more_than_it_was_opened_for(self, orders: Orders) -> None:
        await orders.send("a", "b", "c", "d", "e")
        taker = await orders.taker(limit=3)
        held = await taker.take(3)
        assert await taker.finds_nothing()
        await taker.ack(held[0])
        assert bodies(await taker.take_all()) == ["d"]

    async def test_giving_back_makes_room(self, orders: Orders) -> None:
        await orders.send("a", "b")
        taker = await orders.taker(limit=1)
        await taker.nack(await taker.one(), delay=100)
        assert bodies(await taker.take_all()) == ["b"]

    async def test_a_lease_that_ran_out_makes_room(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.timed_taker(lease=10, limit=1)
        await taker.one()
        await orders.elapse(10)
        assert bodies(await taker.take()) == ["a"]

    # --- waiting

    async def test_nothing_is_found_once_the_wait_is_over(self, orders: Orders) -> None:
        taker = await orders.taker()
        receiving = await orders.start(taker.receiver.receive(1, wait=5 * orders.tick))
        await orders.elapse(4)
        assert not receiving.done()
        await orders.elapse(2)
        async with asyncio.timeout(PROMPT):
            assert not await receiving

    async def test_a_waiting_receive_wakes_when_something_is_sent(self, orders: Orders) -> None:
        taker = await orders.taker()
        receiving = await orders.start(taker.receiver.receive(10, wait=1000 * orders.tick))
        await orders.send("a")
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["a"]

    async def test_a_waiting_receive_wakes_when_a_delay_ends(self, orders: Orders) -> None:
        await orders.send_later("a", delay=10)
        taker = await orders.taker()
        receiving = await orders.start(taker.receiver.receive(10, wait=1000 * orders.tick))
        await orders.elapse(10)
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["a"]

    async def test_a_waiting_receive_wakes_for_a_message_with_a_nearer_moment(
        self, orders: Orders
    ) -> None:
        await orders.send_later("far", delay=500)
        taker = await orders.taker()
        receiving = await orders.start(taker.receiver.receive(10, wait=1000 * orders.tick))
        await orders.send("near", delay=10)
        await orders.pause()
        await orders.elapse(10)
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["near"]

    async def test_a_waiting_receive_wakes_when_a_lease_runs_out(self, orders: Orders) -> None:
        await orders.send("a")
        holder = await orders.timed_taker(lease=10)
        await holder.one()
        other = await orders.taker()
        receiving = await orders.start(other.receiver.receive(10, wait=1000 * orders.tick))
        await orders.elapse(10)
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["a"]

    async def test_a_waiting_receive_wakes_when_another_gives_back(self, orders: Orders) -> None:
        await orders.send("a")
        holder, other = await orders.taker(), await orders.taker()
        held = await holder.one()
        receiving = await orders.start(other.receiver.receive(10, wait=1000 * orders.tick))
        await holder.nack(held)
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["a"]

    async def test_a_full_receiver_wakes_when_it_settles(self, orders: Orders) -> None:
        await orders.send("a", "b")
        taker = await orders.taker(limit=1)
        held = await taker.one()
        receiving = await orders.start(taker.receiver.receive(10, wait=1000 * orders.tick))
        await taker.ack(held)
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["b"]

    async def test_a_cancelled_receive_loses_nothing(self, orders: Orders) -> None:
        await orders.send(*(str(number) for number in range(12)))
        taker = await orders.taker(lease=10)
        for turns in range(12):
            receiving = asyncio.create_task(taker.receiver.receive(1, wait=orders.tick))
            for _ in range(turns):
                await asyncio.sleep(0)
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
        await taker.receiver.aclose()
        await orders.elapse(11)
        taken = await (await orders.taker()).take_all()
        assert sorted(map(int, bodies(taken))) == list(range(12))

    async def test_a_cancelled_receive_leaves_the_receiver_usable(self, orders: Orders) -> None:
        taker = await orders.taker()
        receiving = await orders.start(taker.receiver.receive(1, wait=1000 * orders.tick))
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        await orders.send("a")
        assert bodies(await taker.take()) == ["a"]

    # --- priorities

    async def test_higher_priority_comes_first(self, orders: Orders) -> None:
        if not orders.able.priorities:
            pytest.skip("capability: priorities")
        for priority in (0, -9, 9, 1, -1):
            await orders.send(str(priority), priority=priority)
        taken = bodies(await (await orders.taker()).take(5))
        assert taken == ["9", "1", "0", "-1", "-9"]

    async def test_within_a_priority_those_sent_first_come_first(self, orders: Orders) -> None:
        priorities = (0, 5) if orders.able.priorities else (0, 0)
        for number in range(6):
            await orders.send(str(number), priority=priorities[number % 2])
        taken = bodies(await (await orders.taker()).take(6))
        assert [text for text in taken if int(text) % 2] == ["1", "3", "5"]
        assert [text for text in taken if int(text) % 2 == 0] == ["0", "2", "4"]

    async def test_priority_outranks_a_retry(self, orders: Orders) -> None:
        if not orders.able.priorities:
            pytest.skip("capability: priorities")
        await orders.send("low")
        taker = await orders.taker()
        await taker.nack(await taker.one())
        await orders.send("high", priority=1)
        assert bodies(await taker.take(2)) == ["high", "low"]

    async def test_a_retry_keeps_its_priority(self, orders: Orders) -> None:
        if not orders.able.priorities:
            pytest.skip("capability: priorities")
        await orders.send("high", priority=5)
        taker = await orders.taker()
        await taker.nack(await taker.one())
        await orders.send("low")
        assert bodies(await taker.take(2)) == ["high", "low"]

    async def test_what_comes_back_goes_before_what_was_sent_after_it(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.taker()
        held = await taker.one()
        await orders.send("b")
        await taker.nack(held)
        assert bodies(await taker.take(2)) == ["a", "b"]

    async def test_a_delayed_message_takes_its_place_among_those_sent_later(
        self, orders: Orders
    ) -> None:
        await orders.send_later("a", delay=10)
        await orders.elapse(5)
        await orders.send("b")
        await orders.elapse(5)
        assert bodies(await (await orders.taker()).take(2)) == ["a", "b"]

    async def test_what_is_ready_does_not_wait_for_what_is_not(self, orders: Orders) -> None:
        await orders.send_later("a", delay=10, priority=9)
        await orders.send("b")
        assert bodies(await (await orders.taker()).take_all()) == ["b"]
