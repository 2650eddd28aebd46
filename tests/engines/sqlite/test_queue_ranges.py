"""Messages are leased as ranges; what needs a state of its own leaves its range."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import ManualClock
from isthmus.contracts import Ack, Delivery, Nack, QueueEngine, Receiver
from isthmus.message import Message

Rows = Callable[[str], list[Any]]

LEASES = "SELECT taken, left FROM isthmus_lease ORDER BY first"
RANGED = "SELECT message_id FROM isthmus_message ORDER BY id"
SINGLES = "SELECT message_id FROM isthmus_single ORDER BY id"


@pytest_asyncio.fixture
async def receiver(queue: QueueEngine) -> Receiver:
    """Of "orders", where m0 to m9 lie."""
    await queue.declare("orders", "billing")
    await queue.send("orders", [Message(id=f"m{number}") for number in range(10)])
    return await queue.receiver("orders", "billing", limit=100, lease=10)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.message.id for delivery in deliveries]


async def ack(receiver: Receiver, *deliveries: Delivery) -> None:
    await receiver.settle([Ack(delivery.receipt) for delivery in deliveries])


async def test_a_claim_is_one_lease(receiver: Receiver, rows: Rows) -> None:
    await receiver.receive(4, wait=0)
    await receiver.receive(6, wait=0)
    assert rows(LEASES) == [(4, 4), (6, 6)]


async def test_a_settled_range_leaves_nothing(receiver: Receiver, rows: Rows) -> None:
    await ack(receiver, *await receiver.receive(10, wait=0))
    assert rows(LEASES) == rows(RANGED) == rows(SINGLES) == []


async def test_a_range_settled_piece_by_piece_leaves_nothing(
    receiver: Receiver, rows: Rows
) -> None:
    taken = await receiver.receive(10, wait=0)
    for piece in (taken[3:5], taken[8:], taken[:3], taken[6:8]):
        await ack(receiver, *piece)
    assert rows(LEASES) == [(10, 1)]
    await ack(receiver, taken[5])
    assert rows(LEASES) == rows(RANGED) == []


async def test_what_is_given_back_leaves_its_range(receiver: Receiver, rows: Rows) -> None:
    taken = await receiver.receive(3, wait=0)
    await receiver.settle([Nack(taken[1].receipt, delay=5)])
    assert rows(LEASES) == [(3, 2)]
    assert rows(SINGLES) == [("m1",)]


async def test_a_range_extended_whole_stays_one(receiver: Receiver, rows: Rows) -> None:
    taken = await receiver.receive(3, wait=0)
    await ack(receiver, taken[1])
    await receiver.extend([taken[0].receipt, taken[2].receipt])
    assert rows(LEASES) == [(3, 2)]
    assert rows(SINGLES) == []


async def test_what_is_extended_alone_leaves_its_range(
    receiver: Receiver, clock: ManualClock, rows: Rows
) -> None:
    taken = await receiver.receive(3, wait=0)
    await clock.advance(5)
    await receiver.extend([taken[1].receipt])
    assert rows(SINGLES) == [("m1",)]
    await clock.advance(5)
    assert ids(await receiver.receive(2, wait=0)) == ["m0", "m2"]
    await ack(receiver, taken[1])


async def test_a_lapsed_range_is_taken_piece_by_piece(
    queue: QueueEngine, receiver: Receiver, clock: ManualClock, rows: Rows
) -> None:
    first = await receiver.receive(10, wait=0)
    await clock.advance(10)
    another = await queue.receiver("orders", "billing", limit=4, lease=10)
    second = await another.receive(10, wait=0)
    assert ids(second) == ["m0", "m1", "m2", "m3"]
    assert {(each.attempt, each.lapses) for each in second} == {(2, 1)}
    await ack(receiver, *first[4:])  # which nobody took since
    await ack(another, *second)
    assert rows(LEASES) == rows(RANGED) == []


async def test_ranges_of_several_lapses_are_told_apart(
    receiver: Receiver, clock: ManualClock
) -> None:
    await receiver.receive(6, wait=0)
    await clock.advance(10)
    await receiver.receive(3, wait=0)
    await clock.advance(10)
    taken = await receiver.receive(10, wait=0)
    assert [each.lapses for each in taken] == [2, 2, 2, 1, 1, 1, 0, 0, 0, 0]
    assert ids(taken) == [f"m{number}" for number in range(10)]


async def test_a_delayed_message_takes_its_place_among_the_others(
    queue: QueueEngine, receiver: Receiver, clock: ManualClock
) -> None:
    await queue.send("orders", [Message(id="delayed")], delay=5)
    await queue.send("orders", [Message(id="last")])
    await clock.advance(5)
    assert ids(await receiver.receive(20, wait=0))[-2:] == ["delayed", "last"]


async def test_a_flood_that_comes_back_does_not_starve_what_is_fresh(
    queue: QueueEngine, receiver: Receiver
) -> None:
    for _ in range(60):
        taken = await receiver.receive(5, wait=0)
        if "m9" in ids(taken):
            return
        await receiver.settle([Nack(delivery.receipt) for delivery in taken])
    pytest.fail("what was sent last was never handed out")


async def test_messages_removed_before_they_were_taken_are_no_obstacle(
    queue: QueueEngine, receiver: Receiver
) -> None:
    assert await queue.remove("orders", "billing", ["m1", "m2", "m5"]) == 3
    assert (await queue.stats("orders", "billing")).ready == 7
    assert ids(await receiver.receive(4, wait=0)) == ["m0", "m3", "m4", "m6"]
    assert (await queue.stats("orders", "billing")).ready == 3


async def test_what_is_sent_while_others_are_looked_for_is_removed_too(
    queue: QueueEngine, receiver: Receiver, store: Any
) -> None:
    async with store.begin() as tx:
        await queue.remove("orders", "billing", ["m1", "late"], tx=tx)
        await queue.send("orders", [Message(id="late"), Message(id="later")])
    assert ids(await receiver.receive(20, wait=0))[-2:] == ["m9", "later"]


async def test_a_lapsed_range_can_be_purged(
    queue: QueueEngine, receiver: Receiver, clock: ManualClock, rows: Rows
) -> None:
    taken = await receiver.receive(4, wait=0)
    await clock.advance(5)
    await receiver.receive(2, wait=0)
    await clock.advance(5)
    assert await queue.purge("orders", "billing") == 8
    assert rows(LEASES) == [(2, 2)]
    with pytest.raises(Exception, match="lost"):
        await ack(receiver, *taken)


async def test_nothing_stays_of_a_subscription_that_is_undeclared(
    queue: QueueEngine, receiver: Receiver, rows: Rows
) -> None:
    taken = await receiver.receive(4, wait=0)
    await receiver.settle([Nack(taken[0].receipt)])
    await queue.send("orders", [Message(priority=5)], delay=10)
    await queue.undeclare("orders", "billing")
    lanes = rows("SELECT * FROM isthmus_lane")
    assert rows(LEASES) == rows(RANGED) == rows(SINGLES) == lanes == []


async def test_a_new_subscription_gets_nothing_of_a_former_one(
    queue: QueueEngine, receiver: Receiver
) -> None:
    await queue.undeclare("orders", "billing")
    await queue.declare("orders", "billing")
    await queue.send("orders", [Message(id="new")])
    with pytest.raises(Exception, match="undeclared"):
        await receiver.receive(10, wait=0)
    again = await queue.receiver("orders", "billing", limit=10, lease=10)
    assert ids(await again.receive(10, wait=0)) == ["new"]
