"""Chaos: a wrapper that is transparent until its script says otherwise."""

import asyncio
import contextlib

import pytest

from isthmus.clock import Clock, ManualClock
from isthmus.connect import connect
from isthmus.contracts import Ack, Engine, Put, QueueEngine, StoreEngine
from isthmus.errors import LeaseLostError, UnavailableError
from isthmus.message import Message, new_id
from isthmus.testing import (
    Chaos,
    Chaotic,
    EngineConformance,
    Fault,
    LogConformance,
    QueueConformance,
    StoreConformance,
    TransactionConformance,
)


class OnCalmChaos:
    @pytest.fixture
    def url(self) -> str:
        return f"memory://{new_id()}"

    async def open(self, url: str, clock: Clock) -> Engine:
        return Chaotic(await connect(url, clock=clock), Chaos())


class TestQueueIsTransparent(OnCalmChaos, QueueConformance): ...


class TestLogIsTransparent(OnCalmChaos, LogConformance): ...


class TestStoreIsTransparent(OnCalmChaos, StoreConformance): ...


class TestTransactionsAreTransparent(OnCalmChaos, TransactionConformance): ...


class TestEngineIsTransparent(OnCalmChaos, EngineConformance): ...


class Shop:
    """A queue and a store that suffer `script` once they stand."""

    def __init__(self, queue: QueueEngine, store: StoreEngine, chaos: Chaos) -> None:
        self.queue, self.store, self.chaos = queue, store, chaos

    @classmethod
    async def suffering(cls, *script: Fault, clock: ManualClock | None = None) -> "Shop":
        clock = clock or ManualClock()
        plain = await connect("memory://", clock=clock)
        assert plain.queue is not None
        await plain.queue.declare("orders", "billing")
        chaos = Chaos(script, clock=clock, delay=5.0)
        engine = Chaotic(plain, chaos)
        assert engine.queue is not None
        assert engine.store is not None
        return cls(engine.queue, engine.store, chaos)

    async def ready(self) -> int:
        return (await self.queue.stats("orders", "billing")).ready


async def test_a_call_that_fails_before_did_nothing():
    shop = await Shop.suffering(Fault.BEFORE)
    with pytest.raises(UnavailableError, match="before"):
        await shop.queue.send("orders", [Message()])
    assert await shop.ready() == 0


async def test_a_call_that_fails_after_was_done():
    shop = await Shop.suffering(Fault.AFTER)
    with pytest.raises(UnavailableError, match="after"):
        await shop.queue.send("orders", [Message()])
    assert await shop.ready() == 1


async def test_a_duplicated_send_is_two_messages():
    shop = await Shop.suffering(Fault.TWICE)
    await shop.queue.send("orders", [Message()])
    assert await shop.ready() == 2


async def test_what_must_not_happen_twice_is_spared():
    shop = await Shop.suffering(Fault.TWICE)
    await shop.store.put("inbox", [Put("a", b"", if_version=0)])
    assert shop.chaos.played == [Fault.NONE]


async def test_a_delayed_call_is_done_later():
    clock = ManualClock()
    shop = await Shop.suffering(Fault.DELAY, clock=clock)
    sending = asyncio.ensure_future(shop.queue.send("orders", [Message()]))
    await clock.advance(4.0)
    assert await shop.ready() == 0
    await clock.advance(1.0)
    await sending
    assert await shop.ready() == 1


async def test_dropped_deliveries_lapse():
    clock = ManualClock()
    shop = await Shop.suffering(Fault.NONE, Fault.NONE, Fault.NONE, Fault.LOST, clock=clock)
    await shop.queue.send("orders", [Message()])
    receiver = await shop.queue.receiver("orders", "billing", limit=9, lease=10.0)
    assert not await receiver.receive(9, wait=0)
    assert shop.chaos.played[-1] is Fault.LOST
    await clock.advance(10.0)
    (delivery,) = await receiver.receive(9, wait=0)
    assert delivery.lapses == 1


@pytest.mark.parametrize(("fault", "written"), [(Fault.BEFORE, False), (Fault.AFTER, True)])
async def test_a_commit_fails_before_or_after(fault: Fault, written: bool):
    shop = await Shop.suffering(Fault.NONE, fault)
    tx = shop.store.begin()
    await shop.store.put("inbox", [Put("a", b"")], tx=tx)
    with pytest.raises(UnavailableError):
        await tx.commit()
    assert bool(await shop.store.get("inbox", ["a"])) == written


async def test_what_was_played_replays_exactly():
    async def work(chaos: Chaos) -> tuple[list[str], int]:
        engine = Chaotic(await connect("memory://", clock=ManualClock()), chaos)
        assert engine.queue is not None
        went_wrong: list[str] = []
        for number in range(200):
            try:
                await engine.queue.declare("orders", "billing")
                await engine.queue.send("orders", [Message(id=str(number))])
            except UnavailableError as error:
                went_wrong.append(str(error))
        return went_wrong, len(chaos.calls)

    first = Chaos.seeded(42, rate=0.3, clock=InstantClock())
    once = await work(first)
    assert once[0]
    assert await work(Chaos.seeded(42, rate=0.3, clock=InstantClock())) == once
    assert await work(Chaos(first.played, clock=InstantClock())) == once
    assert await work(Chaos.seeded(43, rate=0.3, clock=InstantClock())) != once


class InstantClock(ManualClock):
    async def sleep(self, seconds: float) -> None:
        self._now += seconds


@pytest.mark.parametrize("seed", range(10))
async def test_at_least_once_holds_in_chaos(seed: int):
    """A sender that repeats what is unavailable, and a taker that does: nothing is lost."""
    clock = InstantClock()
    engine = Chaotic(
        await connect("memory://", clock=clock), Chaos.seeded(seed, rate=0.3, clock=clock)
    )
    queue = engine.queue
    assert queue is not None

    async def insist(call):
        while True:
            try:
                return await call()
            except UnavailableError:
                continue

    await insist(lambda: queue.declare("orders", "billing"))
    for number in range(50):
        message = Message(id=str(number))
        await insist(lambda message=message: queue.send("orders", [message]))
    receiver = await insist(lambda: queue.receiver("orders", "billing", limit=9, lease=10.0))
    seen = set[str]()
    while (stats := await insist(lambda: queue.stats("orders", "billing"))) and (
        stats.ready or stats.leased
    ):
        for delivery in await insist(lambda: receiver.receive(5, wait=0)):
            seen.add(delivery.message.id)
            with contextlib.suppress(LeaseLostError):
                await insist(lambda each=delivery: receiver.settle([Ack(each.receipt)]))
        await clock.advance(1.0)
    assert seen == {str(number) for number in range(50)}
