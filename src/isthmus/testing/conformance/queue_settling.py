"""How a delivery ends: settled, given back, or lapsed."""

import asyncio

import pytest

from isthmus.contracts import Ack, Delivery, Nack
from isthmus.errors import LeaseLostError
from isthmus.testing.conformance.orders import Orders, QueueTests, Taker, bodies
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["SettlingTests"]


PASTS = pytest.mark.parametrize("past", ["fresh", "retried", "delayed", "ordered"])
"""What a message may have been through: an engine may keep each in another way."""


async def lapsed(orders: Orders, past: str) -> tuple[Taker, Delivery, Taker, Delivery]:
    """A former holder and its delivery, the new holder and its own."""
    if past == "ordered":
        await orders.declare_ordered()
    subscription = "line" if past == "ordered" else "billing"
    former = await orders.timed_taker(subscription, lease=10)
    if past == "delayed":
        await orders.send_later("a", delay=1, headers={"from": "sender"})
        await orders.elapse(1)
    else:
        await orders.send("a", key="k", headers={"from": "sender"})
    if past == "retried":
        await former.nack(await former.one())
    stale = await former.one()
    await orders.elapse(10)
    holder = await orders.taker(subscription, lease=10)
    return former, stale, holder, await holder.one()


class SettlingTests(QueueTests):
    # --- acknowledging

    async def test_an_acknowledged_message_is_gone_for_good(self, orders: Orders) -> None:
        await orders.send("a", "b")
        taker = await orders.taker(lease=10)
        a, b = await taker.take(2)
        await taker.ack(a)
        await taker.ack(b)
        await orders.elapse(30)
        assert await taker.finds_nothing()
        assert (await orders.stats()).leased in {0, -1}

    async def test_only_what_is_acknowledged_goes(self, orders: Orders) -> None:
        await orders.send("a", "b", "c", "d")
        taker = await orders.timed_taker(lease=10)
        a, b, c, d = await taker.take(4)
        await taker.ack(b, d)
        await orders.elapse(10)
        assert bodies(await taker.take_all()) == ["a", "c"]
        assert {a.message.body, c.message.body} == {b"a", b"c"}

    async def test_a_settled_receipt_is_stale(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.taker()
        delivery = await taker.one()
        await taker.ack(delivery)
        for again in (taker.ack, taker.nack, taker.extend):
            with pytest.raises(LeaseLostError) as caught:
                await again(delivery)
            assert caught.value.lost == (delivery.receipt,)
        assert await taker.finds_nothing()

    async def test_a_given_back_receipt_is_stale(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.taker()
        delivery = await taker.one()
        await taker.nack(delivery)
        for again in (taker.ack, taker.nack, taker.extend):
            with pytest.raises(LeaseLostError) as caught:
                await again(delivery)
            assert caught.value.lost == (delivery.receipt,)
        assert (await taker.one()).attempt == 2

    async def test_a_receipt_that_never_was_is_stale(self, orders: Orders) -> None:
        taker = await orders.taker()
        with pytest.raises(LeaseLostError) as caught:
            await taker.receiver.settle([Ack("nonsense")])
        assert caught.value.lost == ("nonsense",)

    async def test_the_stale_are_named_and_the_others_settled(self, orders: Orders) -> None:
        await orders.send("a", "b", "c")
        taker = await orders.timed_taker(lease=10)
        a, b, c = await taker.take(3)
        await taker.ack(b)
        with pytest.raises(LeaseLostError) as caught:
            await taker.ack(a, b, c)
        assert caught.value.lost == (b.receipt,)
        await orders.elapse(10)
        assert await taker.finds_nothing()

    async def test_a_receipt_settles_once_within_a_call_too(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.taker()
        delivery = await taker.one()
        with pytest.raises(LeaseLostError) as caught:
            await taker.receiver.settle([Ack(delivery.receipt), Nack(delivery.receipt)])
        assert caught.value.lost == (delivery.receipt,)
        assert await taker.finds_nothing()

    async def test_acks_and_nacks_go_together(self, orders: Orders) -> None:
        await orders.send("a", "b", "c")
        taker = await orders.taker()
        a, b, c = await taker.take(3)
        await taker.receiver.settle([Ack(a.receipt), Nack(b.receipt), Ack(c.receipt)])
        again = await taker.take_all()
        assert [(each.message.body, each.attempt) for each in again] == [(b"b", 2)]

    async def test_many_tasks_may_settle_at_once(self, orders: Orders) -> None:
        await orders.send(*(str(number) for number in range(50)))
        taker = await orders.timed_taker(lease=10)
        held = await taker.take(50)
        await asyncio.gather(*(taker.ack(each) for each in held))
        await orders.elapse(10)
        assert await taker.finds_nothing()

    # --- giving back

    async def test_a_given_back_message_comes_at_once(self, orders: Orders) -> None:
        sent = await orders.send("a", key="k", headers={"x": "1"})
        taker = await orders.taker()
        await taker.nack(await taker.one())
        again = await taker.one()
        assert again.message == sent[0]
        assert (again.attempt, again.lapses) == (2, 0)

    async def test_a_given_back_message_comes_after_its_delay(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.taker(lease=30)
        await taker.nack(await taker.one(), delay=10)
        await orders.elapse(9.5)
        assert await taker.finds_nothing()
        await orders.elapse(0.5)
        assert bodies(await taker.take()) == ["a"]

    async def test_headers_of_a_nack_are_merged(self, orders: Orders) -> None:
        await orders.send("a", headers={"kept": "1", "changed": "1"})
        taker = await orders.taker()
        await taker.nack(await taker.one(), headers={"changed": "2", "new": "2"})
        second = await taker.one()
        assert second.message.headers == {"kept": "1", "changed": "2", "new": "2"}
        await taker.nack(second, headers={"new": "3"}, delay=1)
        await orders.elapse(1)
        assert (await taker.one()).message.headers == {"kept": "1", "changed": "2", "new": "3"}

    async def test_headers_of_a_nack_are_its_subscriptions_alone(self, orders: Orders) -> None:
        await orders.declare("shipping")
        await orders.send("a", headers={"x": "1"})
        billing = await orders.taker("billing")
        await billing.nack(await billing.one(), headers={"x": "2"})
        assert (await (await orders.taker("shipping")).one()).message.headers == {"x": "1"}

    async def test_every_counted_nack_is_an_attempt(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.taker()
        for attempt in (1, 2, 3, 4):
            delivery = await taker.one()
            assert delivery.attempt == attempt
            await taker.nack(delivery)

    async def test_an_uncounted_nack_keeps_the_attempt(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.taker()
        await taker.nack(await taker.one(), counted=False)
        await taker.nack(await taker.one(), counted=True)
        await taker.nack(await taker.one(), counted=False)
        assert (await taker.one()).attempt == 2

    # --- leases

    async def test_a_lease_lasts_to_its_very_end(self, orders: Orders) -> None:
        await orders.send("a")
        holder, other = await orders.timed_taker(lease=10), await orders.taker()
        await holder.one()
        await orders.elapse(9.5)
        assert await other.finds_nothing()

    async def test_at_its_end_the_message_is_handed_to_another(self, orders: Orders) -> None:
        await orders.send("a")
        holder, other = await orders.timed_taker(lease=10), await orders.taker()
        await holder.one()
        await orders.elapse(10)
        again = await other.one()
        assert again.attempt == (2 if orders.able.counted else again.attempt)
        assert again.lapses == int(orders.able.counted)

    async def test_every_lapse_is_counted(self, orders: Orders) -> None:
        await orders.send("a", "b")
        taker = await orders.timed_taker(lease=10)
        for lapses in range(5):
            for delivery in await taker.take(2):
                assert delivery.lapses == (lapses if orders.able.counted else 0)
                assert delivery.attempt == lapses + 1 or not orders.able.counted
            await orders.elapse(10)

    async def test_lapses_and_nacks_are_counted_apart(self, orders: Orders) -> None:
        if not orders.able.counted:
            pytest.skip("capability: counted")
        await orders.send("a")
        taker = await orders.timed_taker(lease=10)
        await taker.one()
        await orders.elapse(10)
        await taker.nack(await taker.one())
        delivery = await taker.one()
        assert (delivery.attempt, delivery.lapses) == (3, 1)

    @PASTS
    async def test_a_stale_receipt_changes_nothing(self, orders: Orders, past: str) -> None:
        former, stale, holder, held = await lapsed(orders, past)
        for late in (former.ack, former.nack, former.extend):
            with pytest.raises(LeaseLostError) as caught:
                await late(stale)
            assert caught.value.lost == (stale.receipt,)
        with pytest.raises(LeaseLostError):
            await former.nack(stale, headers={"from": "the dead"})
        assert await former.finds_nothing()
        await orders.elapse(9)
        await holder.nack(held)
        assert (await holder.one()).message.headers == {"from": "sender"}

    @PASTS
    async def test_a_stale_extend_does_not_prolong_the_others_lease(
        self, orders: Orders, past: str
    ) -> None:
        former, stale, holder, _ = await lapsed(orders, past)
        await orders.elapse(9)
        with pytest.raises(LeaseLostError):
            await former.extend(stale)
        await orders.elapse(1)
        assert bodies(await holder.take()) == ["a"]

    async def test_a_lease_that_ran_out_is_its_holders_until_another_has_it(
        self, orders: Orders
    ) -> None:
        await orders.send("a", "b")
        taker = await orders.timed_taker(lease=10)
        a, b = await taker.take(2)
        await orders.elapse(15)
        await taker.ack(a)
        await taker.extend(b)
        assert await (await orders.taker()).finds_nothing()

    async def test_an_extended_lease_lasts_from_now(self, orders: Orders) -> None:
        await orders.send("a")
        holder, other = await orders.timed_taker(lease=10), await orders.taker()
        held = await holder.one()
        await orders.elapse(6)
        await holder.extend(held)
        await orders.elapse(9.5)
        assert await other.finds_nothing()
        await orders.elapse(0.5)
        assert bodies(await other.take()) == ["a"]

    async def test_a_lease_may_be_extended_again_and_again(self, orders: Orders) -> None:
        await orders.send("a")
        holder, other = await orders.timed_taker(lease=10), await orders.taker()
        held = await holder.one()
        for _ in range(5):
            await orders.elapse(8)
            await holder.extend(held)
            assert await other.finds_nothing()
        await holder.ack(held)

    async def test_extending_names_the_stale_and_extends_the_others(self, orders: Orders) -> None:
        await orders.send("a", "b", "c")
        holder, other = await orders.timed_taker(lease=10), await orders.taker()
        a, b, c = await holder.take(3)
        await holder.ack(b)
        await orders.elapse(9)
        with pytest.raises(LeaseLostError) as caught:
            await holder.extend(a, b, c)
        assert caught.value.lost == (b.receipt,)
        await orders.elapse(9)
        assert await other.finds_nothing()
        await holder.ack(a, c)

    async def test_only_what_is_extended_is_held_on(self, orders: Orders) -> None:
        await orders.send("a", "b", "c")
        holder, other = await orders.timed_taker(lease=10), await orders.taker()
        _, b, _ = await holder.take(3)
        await orders.elapse(5)
        await holder.extend(b)
        await orders.elapse(5)
        assert bodies(await other.take_all()) == ["a", "c"]
        await holder.ack(b)

    async def test_a_lease_outlives_no_clock_that_steps_back(self, orders: Orders) -> None:
        await orders.send("a")
        holder, other = await orders.timed_taker(lease=10), await orders.taker()
        await holder.one()
        await orders.step_back(1000)
        assert await other.finds_nothing()
        await orders.elapse(10)
        assert bodies(await other.take()) == ["a"]

    async def test_what_is_ready_waits_for_no_clock(self, orders: Orders) -> None:
        await orders.send("a", "b")
        taker = await orders.taker()
        await taker.nack(await taker.one())
        await orders.step_back(1000)
        assert bodies(await taker.take(2)) == ["a", "b"]

    async def test_what_is_ready_and_ordered_waits_for_no_clock(self, orders: Orders) -> None:
        await orders.declare_ordered()
        await orders.send("a", "b", key="k")
        await orders.step_back(1000)
        taker = await orders.taker("line")
        a = await taker.one()
        await taker.ack(a)
        assert bodies([a, *await taker.take()]) == ["a", "b"]

    # --- draining and closing

    async def test_drain_ends_a_waiting_receive(self, orders: Orders) -> None:
        taker = await orders.taker()
        receiving = await orders.start(taker.receiver.receive(1, wait=1000 * orders.tick))
        await taker.receiver.drain()
        async with asyncio.timeout(PROMPT):
            assert not await receiving

    async def test_a_drained_receiver_takes_no_more(self, orders: Orders) -> None:
        taker = await orders.taker()
        await taker.receiver.drain()
        await orders.send("a")
        async with asyncio.timeout(PROMPT):
            assert not await taker.receiver.receive(1, wait=1000 * orders.tick)
        assert bodies(await (await orders.taker()).take()) == ["a"]

    async def test_drain_gives_back_what_was_not_handed_out(self, orders: Orders) -> None:
        await orders.send("a", "b", "c")
        taker = await orders.taker(limit=10)
        held = await taker.one()
        await taker.receiver.drain()
        others = await (await orders.taker()).take(2)
        assert sorted(bodies([held, *others])) == ["a", "b", "c"]
        assert {each.attempt for each in others} == {1}

    async def test_settling_and_extending_go_on_after_drain(self, orders: Orders) -> None:
        await orders.send("a", "b")
        taker = await orders.timed_taker(lease=10)
        a, b = await taker.take(2)
        await taker.receiver.drain()
        await taker.ack(a)
        await orders.elapse(8)
        await taker.extend(b)
        await orders.elapse(8)
        assert await (await orders.taker()).finds_nothing()
        await taker.nack(b)
        assert bodies(await (await orders.taker()).take()) == ["b"]

    async def test_what_a_closed_receiver_held_comes_back(self, orders: Orders) -> None:
        await orders.send("a")
        taker = await orders.taker(lease=10)
        await taker.one()
        await taker.receiver.aclose()
        await taker.receiver.aclose()
        await orders.elapse(10)
        assert bodies(await (await orders.taker()).take()) == ["a"]
