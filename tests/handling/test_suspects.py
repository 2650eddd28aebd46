"""Messages whose holders keep dying: found, run alone, and no innocent buried."""

import msgspec
import pytest

from isthmus import App
from isthmus.contracts import Delivery, Put


class Order(msgspec.Struct):
    id: str


@pytest.fixture
def app() -> App:
    return App("shop")


async def die_holding(t, limit: int, *, times: int) -> None:
    """Take messages as a process would that then dies: they come back by their lease."""
    for _ in range(times):
        receiver = await t.host.queue.receiver("orders", "orders", limit=limit, lease=5)
        assert await receiver.receive(limit, wait=0)
        await t.clock.advance(6)


async def test_an_innocent_that_was_in_hand_when_others_died_is_handled(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[int]()

    @orders.handler()
    async def accept(order: Order, delivery: Delivery) -> None:
        handled.append(delivery.lapses)

    async with app.test() as t:
        await orders.pause()
        await t.settle()
        await orders.send_many([Order(str(n)) for n in range(5)])
        await die_holding(t, 5, times=4)
        await orders.resume()
        await t.advance(10)
        assert await orders.dead_letters.count() == 0
    assert handled == [4] * 5


async def test_a_suspect_runs_with_nothing_beside_it(app: App) -> None:
    orders, running, beside = app.queue("orders", Order), set[str](), list[int]()

    @orders.handler()
    async def accept(order: Order) -> None:
        running.add(order.id)
        await t.clock.sleep(1)
        beside.append(len(running))
        running.remove(order.id)

    async with app.test() as t:
        await orders.pause()
        await t.settle()
        await orders.send_many([Order(str(n)) for n in range(5)])
        await die_holding(t, 5, times=2)
        await orders.resume()
        await t.advance(20)
    assert beside == [1] * 5


async def test_a_suspect_that_takes_long_keeps_its_lease(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[int]()

    @orders.handler(lease=10)
    async def accept(order: Order, delivery: Delivery) -> None:
        await t.clock.sleep(100)
        handled.append(delivery.attempt)

    async with app.test() as t:
        await orders.pause()
        await t.settle()
        await orders.send_many([Order("1"), Order("2")])
        await die_holding(t, 2, times=2)
        await orders.resume()
        await t.advance(300)
        assert await orders.dead_letters.count() == 0
    assert handled == [3, 3]


async def test_what_was_tried_alone_and_killed_three_times_is_buried(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[str]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order.id)

    async with app.test() as t:
        await orders.pause()
        await t.settle()
        await orders.send(Order("1"), id="1")
        await die_holding(t, 1, times=4)
        for _ in range(3):  # the notes of three processes that died with it alone
            await t.host.store.put("suspects/orders", [_note("1")])
        await orders.resume()
        await t.advance(10)
        (letter,) = await orders.dead_letters.list()
    assert handled == []
    assert letter.reason.startswith("killed its process: 4 holders died or hung, 3 of them")


def _note(id: str):

    return Put(id, b"", ttl=1000)
