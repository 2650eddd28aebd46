"""Looking at what waits, dropping it, and what outlives what."""

import asyncio
from typing import Any

import pytest

from isthmus.errors import NotFoundError, UnsupportedError
from isthmus.message import Message
from isthmus.testing.conformance.orders import Orders, QueueTests, bodies
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["KeepingTests"]


def known(number: int, expected: int) -> bool:
    return number in {expected, -1}


async def declare_bounded(orders: Orders, **limits: Any) -> None:
    if not orders.able.browsable:
        pytest.skip("capability: browsable")
    await orders.declare(**limits)


class KeepingTests(QueueTests):
    # --- stats

    async def test_stats_count_the_ready_the_held_and_the_delayed(self, orders: Orders) -> None:
        await orders.send("a", "b", "c")
        await orders.send_later("d", "e", delay=10)
        await (await orders.taker()).one()
        stats = await orders.stats()
        assert known(stats.ready, 2)
        assert known(stats.leased, 1)
        assert known(stats.delayed, 2)

    async def test_stats_follow_what_happens(self, orders: Orders) -> None:
        await orders.send_later("a", "b", delay=10)
        await orders.elapse(10)
        assert known((await orders.stats()).ready, 2)
        taker = await orders.timed_taker(lease=10)
        a, _ = await taker.take(2)
        await taker.nack(a, delay=5)
        assert known((await orders.stats()).delayed, 1)
        assert known((await orders.stats()).leased, 1)
        await orders.elapse(10)
        stats = await orders.stats()
        assert known(stats.ready, 2)
        assert known(stats.leased, 0)
        await taker.ack(*await taker.take(2))
        assert known((await orders.stats()).ready, 0)

    async def test_stats_tell_when_the_oldest_ready_was_sent(self, orders: Orders) -> None:
        assert (await orders.stats()).oldest_at == 0.0
        begun = orders.clock.now()
        await orders.send("a")
        await orders.elapse(5)
        between = orders.clock.now()
        await orders.send("b")
        if not (oldest_at := (await orders.stats()).oldest_at):
            pytest.skip("the engine does not know")
        rounded = 0.001
        assert begun - rounded <= oldest_at < between
        taker = await orders.taker()
        await taker.one()
        assert between - rounded <= (await orders.stats()).oldest_at <= orders.clock.now() + rounded
        await taker.one()
        assert (await orders.stats()).oldest_at == 0.0

    # --- browsing

    async def test_browsing_shows_everything_and_takes_nothing(self, orders: Orders) -> None:
        await orders.send("ready")
        await orders.send_later("delayed", delay=10)
        await orders.send("held", priority=9 if orders.able.priorities else 0)
        await (await orders.taker(limit=1)).one()
        for _ in range(2):
            assert sorted(bodies(await orders.browse())) == ["delayed", "held", "ready"]
        assert len(await (await orders.taker()).take_all()) == 1

    async def test_browsing_tells_how_a_message_lies(self, orders: Orders) -> None:
        now = orders.clock.now()
        held = await orders.send("held", key="k", headers={"x": "1"})
        await (await orders.taker(lease=20)).one()
        await orders.send("ready")
        await orders.send_later("delayed", delay=10)
        seen = {each.message.body: each for each in await orders.browse()}
        assert seen[b"held"].message == held[0]
        close, tick = orders.tick / 2, orders.tick
        assert all(each.sent_at == pytest.approx(now, abs=close) for each in seen.values())
        assert {body: each.leased for body, each in seen.items()} == {
            b"held": True,
            b"ready": False,
            b"delayed": False,
        }
        assert seen[b"held"].ready_at == pytest.approx(now + 20 * tick, abs=close)
        assert seen[b"delayed"].ready_at == pytest.approx(now + 10 * tick, abs=close)
        assert seen[b"ready"].ready_at <= orders.clock.now()

    async def test_browsing_tells_the_attempt(self, orders: Orders) -> None:
        await orders.send("a", "b")
        taker = await orders.taker()
        a, b = await taker.take(2)
        await taker.nack(a, delay=10)
        await taker.nack(b, counted=False)
        await taker.one()
        seen = {each.message.body: each.attempt for each in await orders.browse()}
        assert seen == {b"a": 2, b"b": 1}

    async def test_a_lease_that_ran_out_is_browsed_as_free(self, orders: Orders) -> None:
        await orders.send("a")
        await (await orders.timed_taker(lease=10)).one()
        await orders.elapse(10)
        (seen,) = await orders.browse()
        assert not seen.leased
        assert seen.attempt == 2 or not orders.able.counted

    async def test_pages_follow_each_other(self, orders: Orders) -> None:
        await orders.send(*"abcde")
        await orders.send_later(*"fgh", delay=10)
        await (await orders.taker(limit=2)).take(2)
        seen, places, after = list[str](), list[str](), ""
        while page := await orders.browse(after=after, limit=3):
            assert len(page) <= 3
            seen += bodies(page)
            places += [each.place for each in page]
            after = page[-1].place
        assert sorted(seen) == list("abcdefgh")
        assert places == sorted(set(places))

    async def test_what_stays_is_seen_though_others_go(self, orders: Orders) -> None:
        await orders.send(*"abcdef")
        taker = await orders.taker()
        first = await orders.browse(limit=3)
        await taker.ack(*await taker.take(3))
        rest = await orders.browse(after=first[-1].place)
        assert bodies(rest) == list("def")

    async def test_an_empty_subscription_shows_nothing(self, orders: Orders) -> None:
        assert not await orders.browse()
        with pytest.raises(NotFoundError):
            await orders.browse("nobody")

    async def test_looking_is_refused_where_it_cannot_be(self, orders: Orders) -> None:
        if orders.able.browsable:
            pytest.skip("browsing is honoured")
        with pytest.raises(UnsupportedError, match="browsable"):
            await orders.queue.browse(orders.topic, "billing")
        with pytest.raises(UnsupportedError, match="browsable"):
            await orders.queue.remove(orders.topic, "billing", ["id"])
        with pytest.raises(UnsupportedError, match="browsable"):
            await orders.declare(retention=60.0)
        with pytest.raises(UnsupportedError, match="browsable"):
            await orders.declare(max_length=60)

    # --- removing

    async def test_removed_messages_never_come(self, orders: Orders) -> None:
        a, _, c = await orders.send("a", "b", "c")
        (d,) = await orders.send_later("d", delay=10)
        assert await orders.remove(a, c, d) == 3
        await orders.elapse(10)
        assert bodies(await (await orders.taker()).take_all()) == ["b"]

    async def test_a_retry_can_be_removed(self, orders: Orders) -> None:
        (a,) = await orders.send("a")
        taker = await orders.taker()
        await taker.nack(await taker.one(), delay=10)
        assert await orders.remove(a) == 1
        await orders.elapse(10)
        assert await taker.finds_nothing()

    async def test_what_is_held_is_not_removed(self, orders: Orders) -> None:
        a, b = await orders.send("a", "b")
        taker = await orders.taker(limit=1)
        held = await taker.one()
        assert await orders.remove(a, b) == 1
        await taker.nack(held)
        assert bodies(await taker.take_all()) == ["a"]

    async def test_what_is_held_after_a_retry_is_not_removed(self, orders: Orders) -> None:
        (a,) = await orders.send("a")
        taker = await orders.taker()
        await taker.nack(await taker.one())
        held = await taker.one()
        assert await orders.remove(a) == 0
        assert await orders.queue.purge(orders.topic, "billing") == 0
        await taker.ack(held)

    async def test_what_is_held_in_order_is_not_removed(self, orders: Orders) -> None:
        await orders.declare_ordered()
        a, b = await orders.send("a", "b", key="k")
        taker = await orders.taker("line")
        held = await taker.one()
        assert await orders.remove(a, b, subscription="line") == 1
        assert await orders.queue.purge(orders.topic, "line") == 0
        await taker.ack(held)
        assert await taker.finds_nothing()

    async def test_removing_the_unknown_removes_nothing(self, orders: Orders) -> None:
        await orders.send("a")
        assert await orders.remove(Message(), Message()) == 0
        assert await orders.remove() == 0
        assert bodies(await (await orders.taker()).take_all()) == ["a"]

    async def test_removing_is_for_one_subscription(self, orders: Orders) -> None:
        await orders.declare("shipping")
        (a,) = await orders.send("a")
        assert await orders.remove(a) == 1
        assert bodies(await (await orders.taker("shipping")).take_all()) == ["a"]

    async def test_every_copy_of_an_id_is_removed(self, orders: Orders) -> None:
        (twice,) = await orders.send("a")
        await orders.queue.send(orders.topic, [twice])
        assert await orders.remove(twice) == 2
        assert await (await orders.taker()).finds_nothing()

    async def test_purging_drops_all_but_the_held(self, orders: Orders) -> None:
        await orders.send("held", "b", "c")
        await orders.send_later("d", delay=10)
        taker = await orders.taker(limit=1)
        held = await taker.one()
        assert await orders.queue.purge(orders.topic, "billing") == 3
        await orders.elapse(1)
        await taker.nack(held)
        await orders.elapse(9)
        assert bodies(await (await orders.taker()).take_all()) == ["held"]

    async def test_purging_is_for_one_subscription(self, orders: Orders) -> None:
        await orders.declare("shipping")
        await orders.send("a")
        assert await orders.queue.purge(orders.topic, "billing") == 1
        assert await orders.queue.purge(orders.topic, "billing") == 0
        assert bodies(await (await orders.taker("shipping")).take_all()) == ["a"]

    # --- retention and length

    async def test_retention_lets_the_old_go(self, orders: Orders) -> None:
        await declare_bounded(orders, retention=10 * orders.tick)
        await orders.send("old")
        await orders.elapse(6)
        await orders.send("young")
        assert orders.went(await orders.maintain(), 0)
        await orders.elapse(6)
        assert orders.went(await orders.maintain(), 1)
        assert bodies(await (await orders.taker()).take_all()) == ["young"]

    async def test_retention_counts_from_sending_whatever_the_delay(self, orders: Orders) -> None:
        await declare_bounded(orders, retention=10 * orders.tick)
        await orders.send_later("a", delay=100)
        await orders.elapse(12)
        assert orders.went(await orders.maintain(), 1)
        assert not await orders.browse()

    async def test_retention_leaves_the_held(self, orders: Orders) -> None:
        await declare_bounded(orders, retention=10 * orders.tick)
        await orders.send("held", "other")
        taker = await orders.taker(limit=1, lease=100)
        held = await taker.one()
        await orders.elapse(12)
        assert orders.went(await orders.maintain(), 1)
        assert bodies(await orders.browse()) == ["held"]
        await taker.ack(held)

    async def test_max_length_lets_the_oldest_go(self, orders: Orders) -> None:
        await declare_bounded(orders, max_length=2)
        await orders.send("a", "b")
        assert orders.went(await orders.maintain(), 0)
        await orders.send("c", "d")
        assert orders.went(await orders.maintain(), 2)
        assert bodies(await (await orders.taker()).take_all()) == ["c", "d"]

    async def test_max_length_counts_the_delayed(self, orders: Orders) -> None:
        await declare_bounded(orders, max_length=2)
        await orders.send("a")
        await orders.send_later("b", "c", delay=10)
        assert orders.went(await orders.maintain(), 1)
        await orders.elapse(10)
        assert bodies(await (await orders.taker()).take_all()) == ["b", "c"]

    async def test_max_length_leaves_the_held(self, orders: Orders) -> None:
        await declare_bounded(orders, max_length=1)
        await orders.send("a", "b", "c")
        taker = await orders.taker(lease=100)
        held = await taker.take(3)
        assert orders.went(await orders.maintain(), 0)
        await taker.ack(*held)

    async def test_limits_can_be_changed_and_lifted(self, orders: Orders) -> None:
        await declare_bounded(orders, retention=10 * orders.tick, max_length=1)
        await orders.declare(max_length=2)
        await orders.send("a", "b", "c")
        await orders.elapse(20)
        assert orders.went(await orders.maintain(), 1)
        await orders.declare()
        await orders.send("d", "e")
        assert orders.went(await orders.maintain(), 0)
        assert bodies(await (await orders.taker()).take_all()) == ["b", "c", "d", "e"]

    async def test_limits_are_for_one_subscription(self, orders: Orders) -> None:
        await declare_bounded(orders, max_length=1)
        await orders.declare("shipping")
        await orders.send("a", "b")
        assert orders.went(await orders.maintain(), 1)
        assert bodies(await (await orders.taker("shipping")).take_all()) == ["a", "b"]

    # --- other openings

    async def test_another_opening_shares_the_messages(self, orders: Orders) -> None:
        other = await orders.another()
        await orders.send("a", "b")
        taker, elsewhere = await orders.taker(limit=1), await other.taker()
        assert sorted(bodies([await taker.one(), await elsewhere.one()])) == ["a", "b"]
        assert await elsewhere.finds_nothing()

    async def test_a_subscription_declared_elsewhere_is_fed_from_here(self, orders: Orders) -> None:
        await orders.send("before")
        other = await orders.another()
        await other.declare("late")
        await orders.send("after")
        assert bodies(await (await other.taker("late")).take_all()) == ["after"]

    async def test_a_message_sent_elsewhere_wakes_a_waiting_receive(self, orders: Orders) -> None:
        other = await orders.another()
        taker = await orders.taker()
        receiving = await orders.start(taker.receiver.receive(1, wait=1000 * orders.tick))
        await other.send("a")
        async with asyncio.timeout(PROMPT):
            assert bodies(await receiving) == ["a"]

    async def test_a_lease_fences_between_openings(self, orders: Orders) -> None:
        await orders.send("a")
        holder, other = await orders.timed_taker(lease=10), await orders.another()
        held = await holder.one()
        assert await (await other.taker()).finds_nothing()
        await holder.ack(held)
        await orders.elapse(10)
        assert await (await other.taker()).finds_nothing()

    async def test_what_was_sent_outlives_the_engine(self, orders: Orders) -> None:
        if orders.able.durable == "memory":
            pytest.skip("durable: memory")
        await orders.send("ready", headers={"x": "1"})
        await orders.send_later("delayed", delay=10)
        taker = await orders.taker(limit=1)
        await taker.nack(await taker.one(), headers={"y": "2"})
        await orders.engine.aclose()
        orders = await orders.another()
        ready = await (await orders.taker()).one()
        assert (ready.attempt, ready.message.headers) == (2, {"x": "1", "y": "2"})
        await orders.elapse(10)
        assert "delayed" in bodies(await (await orders.taker()).take_all())

    async def test_a_lease_outlives_the_engine(self, orders: Orders) -> None:
        if orders.able.durable == "memory":
            pytest.skip("durable: memory")
        await orders.send("a", "b")
        taker = await orders.timed_taker(lease=10)
        a, _ = await taker.take(2)
        await taker.ack(a)
        await orders.engine.aclose()
        orders = await orders.another()
        taker = await orders.taker()
        assert await taker.finds_nothing()
        await orders.elapse(10)
        assert bodies(await taker.take_all()) == ["b"]
