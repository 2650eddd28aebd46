"""Who wins when a key is parked and unmarked at the same time: never the wrong order."""

from collections.abc import AsyncIterator

import pytest

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import QueueEngine, Record, StoreEngine
from isthmus.errors import ConflictError
from isthmus.message import Message
from isthmus.streams.parking import TICKET, Parking, unmarked
from isthmus.streams.place import Place, place


class Yard:
    """The parking of one group, and the queue where its records wait."""

    def __init__(self, store: StoreEngine, queue: QueueEngine, of: Place) -> None:
        self.store, self.queue, self.of = store, queue, of
        self.parking = self.owner()

    def owner(self) -> Parking:
        return Parking(self.store, self.queue, self.of)

    async def park(self, record: Record) -> None:
        async with self.store.begin() as tx:
            await self.parking.park(record, {}, delay=0.0, tx=tx)

    async def waiting(self) -> list[Message]:
        found = await self.queue.browse(self.of.topic, self.of.name)
        return [each.message for each in found]

    async def marks(self) -> list[str]:
        return [key for key, _ in await self.store.scan(self.of.marks)]


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    engine = await connect("memory://", clock=ManualClock())
    assert engine.store is not None
    assert engine.queue is not None
    of = place("ledger", "balances")
    await engine.queue.declare(of.topic, of.name, ordered=True)
    yield Yard(engine.store, engine.queue, of)
    await engine.aclose()


def record(offset: int, key: str = "a") -> Record:
    return Record(Message(id=str(offset), key=key), 0, offset, 0.0)


async def test_records_of_a_parked_key_have_to_follow(yard: Yard) -> None:
    await yard.park(record(0))
    direct, followers = await yard.parking.sort([record(1), record(2, "b"), record(3)])
    assert [each.offset for each in direct] == [2]
    assert [each.offset for each in followers] == [1, 3]


async def test_a_record_without_a_key_marks_nothing(yard: Yard) -> None:
    await yard.park(record(0, ""))
    assert await yard.marks() == []
    assert len(await yard.waiting()) == 1


async def test_only_the_last_of_a_key_bears_the_ticket_that_is_in_the_mark(yard: Yard) -> None:
    await yard.park(record(0))
    async with yard.store.begin() as tx:
        await yard.parking.follow([record(1), record(2)], tx=tx)
    first, second, third = await yard.waiting()
    (mark,) = (await yard.store.get(yard.of.marks, ["a"])).values()
    assert mark.value.decode() == third.headers[TICKET]
    assert mark.value.decode() != first.headers[TICKET]
    assert TICKET not in second.headers


async def test_the_last_that_is_settled_removes_the_mark(yard: Yard) -> None:
    await yard.park(record(0))
    (message,) = await yard.waiting()
    async with yard.store.begin() as tx:
        await unmarked(yard.store, yard.of, {"a": message.headers[TICKET]}, tx=tx)
    assert await yard.marks() == []
    assert await yard.parking.sort([record(1)]) == ([record(1)], [])


async def test_one_that_is_not_the_last_leaves_the_mark(yard: Yard) -> None:
    await yard.park(record(0))
    (message,) = await yard.waiting()
    async with yard.store.begin() as tx:
        await yard.parking.follow([record(1)], tx=tx)
    async with yard.store.begin() as tx:
        await unmarked(yard.store, yard.of, {"a": message.headers[TICKET]}, tx=tx)
    assert await yard.marks() == ["a"]


async def test_the_mark_stays_if_one_more_was_parked_meanwhile(yard: Yard) -> None:
    await yard.park(record(0))
    (message,) = await yard.waiting()
    settling = yard.store.begin()
    await unmarked(yard.store, yard.of, {"a": message.headers[TICKET]}, tx=settling)
    async with yard.store.begin() as tx:
        await yard.parking.follow([record(1)], tx=tx)
    with pytest.raises(ConflictError):
        await settling.commit()
    assert await yard.marks() == ["a"]


async def test_nothing_follows_a_key_that_was_unmarked_meanwhile(yard: Yard) -> None:
    await yard.park(record(0))
    (message,) = await yard.waiting()
    following = yard.store.begin()
    await yard.parking.follow([record(1)], tx=following)
    async with yard.store.begin() as tx:
        await unmarked(yard.store, yard.of, {"a": message.headers[TICKET]}, tx=tx)
    with pytest.raises(ConflictError):
        await following.commit()
    assert len(await yard.waiting()) == 1
    with pytest.raises(ConflictError, match="parked no longer"):
        await yard.parking.follow([record(1)], tx=yard.store.begin())


async def test_a_new_owner_learns_which_keys_are_parked(yard: Yard) -> None:
    await yard.park(record(0))
    other = yard.owner()
    await other.load()
    assert await other.sort([record(1)]) == ([], [record(1)])
