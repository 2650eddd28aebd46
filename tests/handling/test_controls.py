import asyncio

import msgspec

from isthmus import App
from isthmus.clock import ManualClock
from isthmus.errors import UnavailableError
from isthmus.handling.host import Host
from isthmus.handling.running.controls import Controls, pause, paused, resume


class Order(msgspec.Struct):
    id: str


class Taker:
    """A worker that can pause."""

    def __init__(self, name: str) -> None:
        self.name, self.paused = name, False

    async def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


async def test_what_is_paused_is_known_to_all(host: Host) -> None:
    await pause(host.store, "orders")
    await pause(host.store, "events/mail")
    assert set(await paused(host.store)) == {"orders", "events/mail"}
    await resume(host.store, "orders")
    await resume(host.store, "never paused")
    assert set(await paused(host.store)) == {"events/mail"}


async def test_consumers_do_what_the_store_says_within_a_second(
    memory: Host, clock: ManualClock
) -> None:
    mail, orders = Taker("queue:events/mail"), Taker("queue:orders")
    controls = Controls([mail, orders])
    running = asyncio.create_task(controls.run(memory))
    await pause(memory.store, "events/mail")
    await clock.advance(1)
    assert (mail.paused, orders.paused) == (True, False)
    await resume(memory.store, "events/mail")
    await clock.advance(1)
    assert not mail.paused
    await controls.drain()
    await running


async def test_a_consumer_that_was_paused_in_its_process_is_left_alone(memory: Host) -> None:
    orders = Taker("queue:orders")
    await orders.pause()
    controls = Controls([orders])
    await controls.apply(memory)
    assert orders.paused
    await pause(memory.store, "orders")
    await controls.apply(memory)
    await resume(memory.store, "orders")
    await controls.apply(memory)
    assert orders.paused


async def test_controls_outlive_a_store_that_is_out_of_reach(
    memory: Host, clock: ManualClock
) -> None:
    class Broken(Taker):
        async def pause(self) -> None:
            await super().pause()
            raise UnavailableError("gone")

    orders = Broken("queue:orders")
    await pause(memory.store, "orders")
    controls = Controls([orders])
    running = asyncio.create_task(controls.run(memory))
    await clock.advance(3)
    assert not running.done()
    await controls.drain()
    await running


async def test_a_consumer_that_starts_while_paused_begins_nothing() -> None:
    app, handled = App("shop"), list[str]()
    orders = app.queue("orders", Order)

    @orders.handler()
    async def handle(order: Order) -> None:
        handled.append(order.id)

    async def prepared(host: Host) -> None:
        await pause(host.store, "orders")
        await orders.send(Order("a"))

    app.declarations.open_with(prepared)
    async with app.test() as t:
        await t.advance(5)
        assert not handled
        await orders.resume()
        await t.advance(1)
        assert handled == ["a"]
