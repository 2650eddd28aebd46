"""Positions never step back, never pass what is not done, and are never moved by a former owner."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import LogEngine, Member, StoreEngine, Transaction
from isthmus.errors import ConflictError, LeaseLostError
from isthmus.message import Message
from isthmus.streams.notes import Notes
from isthmus.streams.place import place
from isthmus.streams.positions import Positions
from isthmus.streams.progress import Progress
from isthmus.testing import Chaos, Chaotic, Fault

SLOW = 5.0


class Reader:
    """A member that has read all of a log of ten records."""

    def __init__(
        self, log: LogEngine, store: StoreEngine, member: Member, clock: ManualClock
    ) -> None:
        self.log, self.store, self.member, self.clock = log, store, member, clock
        self.notes = Notes(store, place("ledger", "balances"))
        self.broken = list[Exception]()
        self.positions = Positions(
            store,
            member,
            self.notes,
            one_scope=True,
            moved=lambda _: None,
            broken=self.broken.append,
        )
        self.progress = Progress(0, 0, handled=set())

    async def read(self) -> None:
        records = await self.member.read(100, wait=0.0)
        self.progress = Progress(0, self.member.owned[0], handled=await self.notes.load(0))
        self.progress.begin(records)

    async def commit(self, *offsets: int, tx: Transaction | None = None) -> None:
        await self.positions.commit(tx or self.store.begin(), self.progress, offsets)

    async def position(self) -> int:
        return (await self.log.positions("ledger", "balances"))[0]


class Fates:
    """What befalls the next calls."""

    def __init__(self) -> None:
        self.coming = list[Fault]()

    def __iter__(self) -> "Fates":
        return self

    def __next__(self) -> Fault:
        return self.coming.pop(0) if self.coming else Fault.NONE


@pytest.fixture
def fates() -> Fates:
    return Fates()


@pytest.fixture
async def reader(fates: Fates) -> AsyncIterator[Reader]:
    clock = ManualClock()
    engine = Chaotic(await connect("memory://", clock=clock), Chaos(fates, clock=clock, delay=SLOW))
    assert engine.log is not None
    assert engine.store is not None
    await engine.log.declare("ledger")
    await engine.log.append("ledger", [Message(key=str(n)) for n in range(10)])
    member = await engine.log.join("ledger", "balances", session=60.0)
    reader = Reader(engine.log, engine.store, member, clock)
    await reader.read()
    yield reader
    await engine.aclose()


async def test_the_lowest_moves_the_position_in_its_own_transaction(reader: Reader) -> None:
    await reader.commit(0)
    assert await reader.position() == 1
    assert await reader.notes.load(0) == set()


async def test_what_is_done_beyond_the_lowest_is_noted(reader: Reader) -> None:
    await reader.commit(3)
    assert await reader.position() == 0
    assert await reader.notes.load(0) == {3}


async def test_the_position_passes_notes_and_takes_them_away(reader: Reader) -> None:
    for offset in (1, 2, 4, 0):
        await reader.commit(offset)
    assert await reader.position() == 3
    assert await reader.notes.load(0) == {4}


async def test_what_wrote_nothing_moves_the_position_afterwards(reader: Reader) -> None:
    reader.positions.finished(reader.progress, (1,))
    await reader.positions.done()
    assert await reader.position() == 0
    reader.positions.finished(reader.progress, (0,))
    await reader.positions.done()
    assert await reader.position() == 2


async def test_a_slow_move_never_sets_the_position_back(reader: Reader, fates: Fates) -> None:
    fates.coming = [Fault.NONE, Fault.DELAY]  # the positions are staged, the commit waits
    slow = asyncio.create_task(reader.commit(0))
    await reader.clock.settle()
    reader.positions.finished(reader.progress, (1,))
    await reader.commit(2)
    assert await reader.notes.load(0) == {2}
    await reader.clock.advance(SLOW)
    await slow
    await reader.positions.done()
    assert await reader.position() == 3
    assert await reader.notes.load(0) == set()


async def test_nobody_moves_a_position_that_is_being_moved(reader: Reader, fates: Fates) -> None:
    fates.coming = [Fault.DELAY]
    reader.positions.finished(reader.progress, (0,))
    await reader.clock.settle()
    await reader.commit(1)
    assert await reader.notes.load(0) == {1}
    await reader.clock.advance(SLOW)
    await reader.positions.done()
    assert await reader.position() == 2
    assert await reader.notes.load(0) == set()


async def test_of_two_who_finish_at_once_one_moves_and_one_notes(
    reader: Reader, fates: Fates
) -> None:
    fates.coming = [Fault.NONE, Fault.DELAY]
    first = asyncio.create_task(reader.commit(0))
    await reader.clock.settle()
    fates.coming = [Fault.NONE, Fault.NONE, Fault.DELAY]
    second = asyncio.create_task(reader.commit(1))
    await reader.clock.settle()
    await reader.clock.advance(SLOW)
    await asyncio.gather(first, second)
    await reader.positions.done()
    assert await reader.position() == 2


async def test_a_former_owner_commits_nothing(reader: Reader) -> None:
    other = await reader.log.join("ledger", "balances", session=60.0)
    lowest, beyond = reader.store.begin(), reader.store.begin()
    for tx in (lowest, beyond):
        await reader.store.put("effects", [], tx=tx)
    await reader.log.seek("ledger", "balances", {0: 0})
    await other.read(0, wait=0.0)
    with pytest.raises(LeaseLostError):
        await reader.commit(0, tx=lowest)
    with pytest.raises(LeaseLostError):
        await reader.commit(5, tx=beyond)
    assert await reader.position() == 0
    assert await reader.notes.load(0) == set()


async def test_who_lost_a_partition_and_has_it_again_commits_nothing_of_before(
    reader: Reader,
) -> None:
    before = reader.progress
    await reader.log.seek("ledger", "balances", {0: 0})
    await reader.read()
    assert reader.member.owned[0] != before.epoch
    with pytest.raises(LeaseLostError):
        await reader.positions.commit(reader.store.begin(), before, (0,))
    with pytest.raises(LeaseLostError):
        await reader.positions.commit(reader.store.begin(), before, (5,))


async def test_what_was_noted_before_is_not_done_again(reader: Reader) -> None:
    await reader.commit(5)
    with pytest.raises(ConflictError) as refused:
        await reader.commit(5)
    assert reader.notes.refused(refused.value)


async def test_it_is_told_when_nobody_knows_whether_a_position_was_set(
    reader: Reader, fates: Fates
) -> None:
    fates.coming = [Fault.AFTER]
    reader.positions.finished(reader.progress, (0,))
    await reader.positions.done()
    assert len(reader.broken) == 1
