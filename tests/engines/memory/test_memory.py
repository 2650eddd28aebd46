"""What is particular to memory: its names, and that it waits well on any clock."""

import asyncio

import pytest

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import Ack, Engine, Put
from isthmus.errors import ConfigError, NotFoundError, UnsupportedError
from isthmus.message import Message


async def scope_of(engine: Engine) -> str:
    assert engine.store is not None
    return engine.store.capabilities.scope


async def values(engine: Engine) -> dict[str, bytes]:
    assert engine.store is not None
    return {key: entry.value for key, entry in await engine.store.scan("space")}


async def put(engine: Engine, key: str) -> None:
    assert engine.store is not None
    await engine.store.put("space", [Put(key, b"1")])


async def test_without_a_name_every_opening_is_a_database_of_its_own():
    one, two = await connect("memory://"), await connect("memory://")
    await put(one, "a")
    assert await values(two) == {}
    assert await scope_of(one) != await scope_of(two)


async def test_a_name_is_one_database():
    one, two = await connect("memory://shop"), await connect("memory://shop")
    other = await connect("memory://till")
    await put(one, "a")
    assert await values(two) == {"a": b"1"}
    assert await values(other) == {}
    assert await scope_of(one) == await scope_of(two) == "memory://shop"
    for engine in (one, two, other):
        await engine.aclose()


async def test_a_named_database_goes_with_the_last_who_closes_it():
    one, two = await connect("memory://shop"), await connect("memory://shop")
    await put(one, "a")
    await one.aclose()
    await one.aclose()
    assert await values(two) == {"a": b"1"}
    await two.aclose()
    anew = await connect("memory://shop")
    assert await values(anew) == {}
    await anew.aclose()


async def test_openings_of_one_name_may_have_clocks_of_their_own():
    early, late = ManualClock(0.0), ManualClock(100.0)
    one, two = (
        await connect("memory://shop", clock=early),
        await connect("memory://shop", clock=late),
    )
    assert one.queue is not None
    assert two.queue is not None
    await one.queue.declare("orders", "billing")
    await one.queue.send("orders", [Message()], delay=50.0)
    assert (await one.queue.stats("orders", "billing")).delayed == 1
    assert (await two.queue.stats("orders", "billing")).ready == 1
    await one.aclose()
    await two.aclose()


async def test_it_joins_no_connection_and_names_who_does():
    engine = await connect("memory://")
    assert engine.store is not None
    with pytest.raises(UnsupportedError, match="sqlite://"):
        engine.store.adopt(object())


async def test_a_receiver_of_what_was_undeclared_says_so():
    engine = await connect("memory://", clock=ManualClock())
    queue = engine.queue
    assert queue is not None
    await queue.declare("orders", "billing")
    receiver = await queue.receiver("orders", "billing", limit=1, lease=10.0)
    receiving = asyncio.create_task(receiver.receive(1, wait=100.0))
    await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no span
    await queue.undeclare("orders", "billing")
    with pytest.raises(NotFoundError, match="orders/billing"):
        await receiving


async def test_a_receipt_of_a_former_subscription_is_stale_in_the_new_one():
    engine = await connect("memory://", clock=ManualClock())
    queue = engine.queue
    assert queue is not None
    receipts = set[str]()
    for _ in range(2):
        await queue.declare("orders", "billing")
        await queue.send("orders", [Message()])
        receiver = await queue.receiver("orders", "billing", limit=1, lease=10.0)
        receipts |= {each.receipt for each in await receiver.receive(1, wait=0)}
        await queue.undeclare("orders", "billing")
    assert len(receipts) == 2


async def test_a_member_that_waits_for_long_keeps_its_membership():
    clock = ManualClock()
    engine = await connect("memory://", clock=clock)
    assert engine.log is not None
    await engine.log.declare("ledger")
    one = await engine.log.join("ledger", "g", session=10.0)
    await one.read(0, wait=0)
    waiting = asyncio.create_task(one.read(1, wait=100.0))
    two = await engine.log.join("ledger", "g", session=10.0)
    for _ in range(9):
        await clock.advance(10.0)
        await two.read(0, wait=0)
    assert not two.owned
    await engine.log.append("ledger", [Message(body=b"a")])
    assert [record.message.body for record in await waiting] == [b"a"]


async def test_a_hundred_thousand_messages_pass():
    engine = await connect("memory://", clock=ManualClock())
    queue = engine.queue
    assert queue is not None
    await queue.declare("orders", "billing")
    for priority in range(10):
        await queue.send("orders", [Message(priority=priority) for _ in range(10_000)])
    receiver = await queue.receiver("orders", "billing", limit=1000, lease=10.0)
    passed = 0
    while taken := await receiver.receive(1000, wait=0):
        passed += len(taken)
        await receiver.settle([Ack(each.receipt) for each in taken])
    assert passed == 100_000


@pytest.mark.parametrize("count", [0, -1])
async def test_a_log_needs_a_partition(count: int):
    engine = await connect("memory://")
    assert engine.log is not None
    with pytest.raises(ConfigError, match="partition"):
        await engine.log.declare("ledger", partitions=count)
