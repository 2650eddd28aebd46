"""A stale receipt changes nothing, in whatever order things happen."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import ManualClock
from isthmus.contracts import Ack, Delivery, Nack, Outcome, QueueEngine, Receiver, StoreEngine
from isthmus.errors import LeaseLostError
from isthmus.message import Message

Rows = Callable[[str], list[Any]]
LEASE = 10


class Desk:
    """One receiver, and what it was handed first."""

    def __init__(self, receiver: Receiver, clock: ManualClock, rows: Rows) -> None:
        self.receiver, self._clock, self._rows = receiver, clock, rows
        self.taken: list[Delivery] = []

    async def take(self) -> list[Delivery]:
        return list(await self.receiver.receive(10, wait=0))

    async def refused(self, outcome: Outcome) -> bool:
        """Whether it is, and changes nothing."""
        before = self._state()
        try:
            await self.receiver.settle([outcome])
        except LeaseLostError as error:
            return error.lost == (outcome.receipt,) and self._state() == before
        return False

    def _state(self) -> list[Any]:
        tables = ("message", "single", "lease", "lane")
        return [self._rows(f"SELECT * FROM isthmus_{table}") for table in tables]

    # --- how a receipt becomes stale

    async def ack(self) -> None:
        await self.receiver.settle([Ack(self.taken[1].receipt)])

    async def nack(self) -> None:
        await self.receiver.settle([Nack(self.taken[1].receipt)])

    async def nack_and_take_again(self) -> None:
        await self.nack()
        assert len(await self.take()) == 1

    async def lapse_and_take_again(self) -> None:
        await self._clock.advance(LEASE)
        assert len(await self.take()) == 3

    async def extend_alone_lapse_and_take_again(self) -> None:
        await self.receiver.extend([self.taken[1].receipt])
        await self.lapse_and_take_again()


@pytest_asyncio.fixture(params=["ranges", "ordered"])
async def desk(
    request: pytest.FixtureRequest, queue: QueueEngine, clock: ManualClock, rows: Rows
) -> Desk:
    """Three messages, held."""
    await queue.declare("orders", "billing", ordered=request.param == "ordered")
    await queue.send("orders", [Message(key=key) for key in "abc"])
    desk = Desk(await queue.receiver("orders", "billing", limit=10, lease=LEASE), clock, rows)
    desk.taken = await desk.take()
    assert len(desk.taken) == 3
    return desk


@pytest.mark.parametrize(
    "spoil",
    [
        Desk.ack,
        Desk.nack,
        Desk.nack_and_take_again,
        Desk.lapse_and_take_again,
        Desk.extend_alone_lapse_and_take_again,
    ],
)
@pytest.mark.parametrize("kind", [Ack, Nack])
async def test_a_stale_receipt_changes_nothing(
    desk: Desk, spoil: Callable[[Desk], Awaitable[None]], kind: type[Outcome]
) -> None:
    await spoil(desk)
    assert await desk.refused(kind(desk.taken[1].receipt))


@pytest.mark.parametrize("kind", [Ack, Nack])
async def test_what_lapsed_can_be_settled_while_nobody_took_it(
    desk: Desk, clock: ManualClock, kind: type[Outcome]
) -> None:
    await clock.advance(LEASE)
    assert not await desk.refused(kind(desk.taken[1].receipt))


@pytest.mark.parametrize("words", [[Ack, Ack], [Ack, Nack], [Nack, Ack], [Nack, Nack]])
async def test_the_first_word_counts(desk: Desk, words: list[type[Outcome]]) -> None:
    receipt = desk.taken[1].receipt
    with pytest.raises(LeaseLostError) as caught:
        await desk.receiver.settle([word(receipt) for word in words])
    assert caught.value.lost == (receipt,)
    assert len(await desk.take()) == (words[0] is Nack)


@pytest.mark.parametrize("receipt", ["", ".", "0.10000000001", "x.10000000001", "7f.", "7f.x"])
async def test_a_forged_receipt_changes_nothing(desk: Desk, receipt: str) -> None:
    await desk.nack()  # message 2 of lane 1 now lies there, under no token
    assert await desk.refused(Ack(receipt))
    assert await desk.refused(Ack(receipt.replace("1", "2")))


async def test_of_two_transactions_with_one_receipt_one_commits(
    desk: Desk, store: StoreEngine
) -> None:
    one, two = store.begin(), store.begin()
    for tx in (one, two):
        await desk.receiver.settle([Ack(desk.taken[1].receipt)], tx=tx)
    await one.commit()
    with pytest.raises(LeaseLostError):
        await two.commit()


async def test_a_stale_receipt_undoes_its_transaction_and_no_other(
    desk: Desk, store: StoreEngine, queue: QueueEngine
) -> None:
    await queue.declare("done", "all")
    await desk.ack()
    first, stale, last = (store.begin() for _ in range(3))
    for tx, delivery in zip((first, stale, last), desk.taken, strict=True):
        await queue.send("done", [Message(id=delivery.message.key)], tx=tx)
        await desk.receiver.settle([Ack(delivery.receipt)], tx=tx)
    ends = await asyncio.gather(
        *(tx.commit() for tx in (first, stale, last)), return_exceptions=True
    )
    assert [type(end) for end in ends] == [type(None), LeaseLostError, type(None)]
    assert [each.message.id for each in await queue.browse("done", "all")] == ["a", "c"]


# --- what a receiver holds


@pytest_asyncio.fixture
async def small(queue: QueueEngine) -> Receiver:
    """A receiver that holds one of three."""
    await queue.declare("small", "all")
    await queue.send("small", [Message() for _ in range(3)])
    return await queue.receiver("small", "all", limit=1, lease=LEASE)


async def test_a_rollback_leaves_a_delivery_held(small: Receiver, store: StoreEngine) -> None:
    (held,) = await small.receive(5, wait=0)
    tx = store.begin()
    await small.settle([Ack(held.receipt)], tx=tx)
    await tx.rollback()
    assert not await small.receive(5, wait=0)
    await small.settle([Ack(held.receipt)])


async def test_a_transaction_makes_room_when_it_commits(
    small: Receiver, store: StoreEngine
) -> None:
    (held,) = await small.receive(5, wait=0)
    tx = store.begin()
    await small.settle([Ack(held.receipt)], tx=tx)
    assert not await small.receive(5, wait=0)
    await tx.commit()
    assert len(await small.receive(5, wait=0)) == 1


@pytest.mark.parametrize("by_transaction", [True, False])
async def test_who_waits_for_room_is_woken_by_it(
    small: Receiver, store: StoreEngine, clock: ManualClock, *, by_transaction: bool
) -> None:
    (held,) = await small.receive(5, wait=0)
    waiting = asyncio.create_task(small.receive(5, wait=LEASE / 2))
    await clock.settle()
    tx = store.begin()
    await small.settle([Ack(held.receipt)], tx=tx if by_transaction else None)
    await tx.commit()
    assert len(await waiting) == 1


async def test_what_lapsed_and_is_extended_is_held_again(
    small: Receiver, clock: ManualClock
) -> None:
    (held,) = await small.receive(5, wait=0)
    await clock.advance(LEASE)
    await small.extend([held.receipt])
    assert not await small.receive(5, wait=0)
    await small.settle([Ack(held.receipt)])
    assert len(await small.receive(5, wait=0)) == 1


async def test_calls_at_once_hold_no_more_than_one_would(
    small: Receiver, store: StoreEngine
) -> None:
    calls = await asyncio.gather(*(small.receive(5, wait=0) for _ in range(4)))
    assert sorted(map(len, calls)) == [0, 0, 0, 1]


async def test_room_that_a_call_did_not_use_is_anothers(
    small: Receiver, queue: QueueEngine, clock: ManualClock
) -> None:
    await queue.purge("small", "all")
    await queue.send("small", [Message()], delay=LEASE)
    waiting = asyncio.create_task(small.receive(1, wait=2 * LEASE))
    assert not await small.receive(1, wait=0)
    while not waiting.done():
        await clock.advance(1)
        await queue.subscriptions()
    assert len(await waiting) == 1
