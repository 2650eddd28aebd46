"""What becomes of a message on its way from a topic to subscriptions."""

import asyncio

import pytest

from isthmus.errors import ConfigError, NotFoundError, UnsupportedError
from isthmus.message import Message
from isthmus.testing.conformance.orders import Orders, QueueTests, bodies

__all__ = ["SendingTests"]


class SendingTests(QueueTests):
    async def test_every_subscription_gets_each_message(self, orders: Orders) -> None:
        await orders.declare("shipping")
        await orders.send("a", "b")
        for subscription in ("billing", "shipping"):
            taker = await orders.taker(subscription)
            assert bodies(await taker.take(2)) == ["a", "b"]

    async def test_subscriptions_settle_on_their_own(self, orders: Orders) -> None:
        await orders.declare("shipping")
        await orders.send("a")
        billing = await orders.taker("billing")
        await billing.ack(await billing.one())
        shipping = await orders.taker("shipping")
        assert (await shipping.one()).attempt == 1

    async def test_what_was_sent_before_a_subscription_is_not_for_it(self, orders: Orders) -> None:
        await orders.send("before")
        await orders.declare("late")
        await orders.send("after")
        assert bodies(await (await orders.taker("late")).take_all()) == ["after"]

    async def test_a_topic_feeds_only_its_own_subscriptions(self, orders: Orders) -> None:
        other = f"returns-{orders.name}"
        await orders.queue.declare(other, "billing")
        await orders.send("order")
        await orders.queue.send(other, [Message(body=b"return")])
        assert bodies(await (await orders.taker()).take_all()) == ["order"]
        receiver = await orders.queue.receiver(other, "billing", limit=9, lease=orders.tick)
        assert bodies(await receiver.receive(9, wait=orders.patience)) == ["return"]

    async def test_without_a_subscription_a_message_is_dropped(self, orders: Orders) -> None:
        nowhere = f"nowhere-{orders.name}"
        await orders.queue.send(nowhere, [Message(body=b"lost")])
        await orders.queue.declare(nowhere, "late")
        receiver = await orders.queue.receiver(nowhere, "late", limit=9, lease=orders.tick)
        assert not await receiver.receive(9, wait=orders.patience)

    async def test_a_message_arrives_as_it_was_sent(self, orders: Orders) -> None:
        sent = Message(
            body=bytes(range(256)),
            id=f"id/é-{orders.name}",
            type="shop.order",
            source="shop",
            subject="42",
            time=1_700_000_000.125,
            dataschema="schema:shop.order/2",
            datacontenttype="application/octet-stream",
            key="customer ß",
            priority=3,
            expires_at=4_000_000_000.5,
            headers={"traceparent": "00-1-2-01", "näme": "välue ☂", "empty": ""},
        )
        await orders.queue.send(orders.topic, [sent])
        assert (await (await orders.taker()).one()).message == sent

    async def test_a_bare_message_arrives_as_it_was_sent(self, orders: Orders) -> None:
        sent = Message()
        await orders.queue.send(orders.topic, [sent])
        assert (await (await orders.taker()).one()).message == sent

    async def test_an_expired_message_is_handed_out_all_the_same(self, orders: Orders) -> None:
        await orders.send("stale", expires_at=1.0)
        assert bodies(await (await orders.taker()).take()) == ["stale"]

    async def test_names_may_hold_anything(self, orders: Orders) -> None:
        topic, subscription = f"o'r\"d;%s ☂ {orders.name}", "b/i.l:l*i>ng\\"
        await orders.queue.declare(topic, subscription)
        await orders.queue.send(topic, [Message(body=b"a")])
        receiver = await orders.queue.receiver(topic, subscription, limit=1, lease=orders.tick)
        assert bodies(await receiver.receive(1, wait=orders.patience)) == ["a"]
        assert (topic, subscription) in await orders.queue.subscriptions()

    async def test_a_batch_keeps_its_order(self, orders: Orders) -> None:
        sent = [str(number) for number in range(50)]
        await orders.send(*sent)
        assert bodies(await (await orders.taker()).take(50)) == sent

    async def test_an_empty_batch_does_nothing(self, orders: Orders) -> None:
        await orders.send()
        taker = await orders.taker()
        await taker.ack()
        await taker.extend()
        assert await taker.finds_nothing()

    async def test_many_tasks_may_send_at_once(self, orders: Orders) -> None:
        await asyncio.gather(*(orders.send(f"{n}a", f"{n}b") for n in range(40)))
        taken = bodies(await (await orders.taker()).take(80))
        assert sorted(taken) == sorted(f"{n}{part}" for n in range(40) for part in "ab")

    async def test_a_body_may_be_large(self, orders: Orders) -> None:
        body = b"x" * min(orders.able.max_body, 2**22)
        await orders.queue.send(orders.topic, [Message(body=body)])
        assert (await (await orders.taker()).one()).message.body == body

    async def test_a_body_beyond_max_body_is_refused_and_none_is_stored(
        self, orders: Orders
    ) -> None:
        if orders.able.max_body > 2**26:
            pytest.skip("max_body is beyond what a test should send")
        large = Message(body=b"x" * (orders.able.max_body + 1))
        with pytest.raises(ConfigError, match=str(orders.able.max_body)):
            await orders.queue.send(orders.topic, [Message(body=b"small"), large])
        assert await (await orders.taker()).finds_nothing()

    # --- delay

    async def test_a_delayed_message_comes_at_its_moment_and_not_before(
        self, orders: Orders
    ) -> None:
        await orders.send_later("a", delay=10)
        taker = await orders.taker()
        await orders.elapse(9.5)
        assert await taker.finds_nothing()
        await orders.elapse(0.5)
        delivery = await taker.one()
        assert (delivery.attempt, delivery.lapses) == (1, 0)

    async def test_delays_of_one_topic_are_each_their_own(self, orders: Orders) -> None:
        await orders.send_later("last", delay=30)
        await orders.send_later("first", delay=10)
        await orders.send_later("second", delay=20)
        taker = await orders.taker(lease=1000)
        for text in ("first", "second", "last"):
            await orders.elapse(10)
            assert bodies(await taker.take_all()) == [text]

    async def test_a_delay_holds_for_every_subscription(self, orders: Orders) -> None:
        await orders.declare("shipping")
        await orders.send_later("a", delay=10)
        assert await (await orders.taker("shipping")).finds_nothing()
        await orders.elapse(10)
        assert bodies(await (await orders.taker("shipping")).take()) == ["a"]

    async def test_a_delay_beyond_max_delay_is_refused(self, orders: Orders) -> None:
        longest = orders.able.max_delay
        if longest == float("inf"):
            pytest.skip("every delay is honoured")
        with pytest.raises(UnsupportedError, match="delay"):
            await orders.queue.send(orders.topic, [Message(body=b"a")], delay=longest + 1)
        assert await (await orders.taker()).finds_nothing()

    # --- declaring

    async def test_declaring_again_keeps_the_messages(self, orders: Orders) -> None:
        await orders.send("a")
        await orders.declare()
        assert bodies(await (await orders.taker()).take_all()) == ["a"]

    async def test_what_was_declared_is_listed(self, orders: Orders) -> None:
        await orders.declare("shipping")
        found = await orders.queue.subscriptions()
        assert {(orders.topic, "billing"), (orders.topic, "shipping")} <= set(found)
        assert len(found) == len(set(found))

    async def test_a_subscription_must_be_declared_to_be_received_from(
        self, orders: Orders
    ) -> None:
        with pytest.raises(NotFoundError, match="nobody"):
            await orders.taker("nobody")
        with pytest.raises(NotFoundError, match="nobody"):
            await orders.stats("nobody")

    async def test_an_undeclared_subscription_is_forgotten_with_its_messages(
        self, orders: Orders
    ) -> None:
        await orders.declare("shipping")
        await orders.send("a")
        await orders.queue.undeclare(orders.topic, "billing")
        assert (orders.topic, "billing") not in await orders.queue.subscriptions()
        with pytest.raises(NotFoundError):
            await orders.taker("billing")
        await orders.declare("billing")
        assert await (await orders.taker("billing")).finds_nothing()
        assert bodies(await (await orders.taker("shipping")).take()) == ["a"]

    async def test_undeclaring_the_unknown_does_nothing(self, orders: Orders) -> None:
        await orders.queue.undeclare(orders.topic, "nobody")
        await orders.queue.undeclare(f"no-{orders.name}", "billing")
        assert (orders.topic, "billing") in await orders.queue.subscriptions()
