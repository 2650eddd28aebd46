"""Partitions move between processes: nothing is lost, nothing is done twice."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from isthmus import App, Retry, Transaction
from isthmus.contracts import Put
from isthmus.streams import PartitionsLost, PartitionsTaken, Stream
from isthmus.testing import Fault

SESSION = 6.0


class Entry(msgspec.Struct, frozen=True):
    account: str
    amount: int = 0


class Ledger:
    """A ledger whose group writes each entry into a journal; handlers wait while `held`."""

    def __init__(self, processes: Callable[..., Any], *, partitions: int = 4) -> None:
        self.streams = list[tuple[Stream[Entry], Stream[Entry]]]()
        self.partitions = partitions
        self.go = asyncio.Event()
        self.go.set()
        self.runs = list[int]()
        self.taken = list[tuple[str, int]]()
        self.lost = list[int]()
        self.deadly: Callable[[Entry], Any] | None = None
        self.names = iter("abcdefghijklmnop")
        self.processes = processes(self.declare, session=SESSION)
        self.entries, self.journal = self.streams[0]

    def declare(self, app: App) -> None:
        ledger = app.stream("ledger", Entry, key="account", partitions=self.partitions)
        journal = app.stream("journal", Entry, partitions=1)
        name = next(self.names)

        @ledger.group("balances", retry=Retry(attempts=2))
        async def post(entry: Entry, tx: Transaction) -> None:
            self.runs.append(entry.amount)
            if self.deadly is not None:
                await self.deadly(entry)
            await self.go.wait()
            await journal.append(entry)

        app.signals.listen(
            PartitionsTaken, lambda s: self.taken.extend((name, p) for p in s.partitions)
        )
        app.signals.listen(PartitionsLost, lambda s: self.lost.extend(s.partitions))
        self.streams.append((ledger, journal))

    async def append(self, count: int) -> None:
        before = len([entry async for entry in self.entries.read()])
        for n in range(before, before + count):
            await self.entries.append(Entry(f"acc-{n % 16}", n))

    async def advance(self, span: float) -> None:
        await self.processes.clock.advance(span)

    async def done(self) -> list[int]:
        return [entry.amount async for entry in self.journal.read()]

    async def rest(self) -> None:
        for process in list(self.processes.up):
            await self.processes.drain(process)


async def test_processes_share_the_partitions(processes: Callable[..., Any]) -> None:
    ledger = Ledger(processes)
    async with ledger.processes.keeper:
        await ledger.processes.start()
        await ledger.advance(1)
        assert sorted(ledger.taken) == [("b", p) for p in range(4)]
        await ledger.processes.start()
        await ledger.advance(3)
        assert len([p for name, p in ledger.taken if name == "c"]) == 2
        await ledger.append(40)
        await ledger.advance(1)
        assert sorted(await ledger.done()) == list(range(40))
        await ledger.rest()


async def test_what_runs_is_finished_before_its_partition_is_handed_over(
    processes: Callable[..., Any],
) -> None:
    ledger = Ledger(processes)
    async with ledger.processes.keeper:
        await ledger.processes.start()
        ledger.go.clear()
        await ledger.append(16)
        await ledger.advance(1)
        assert sorted(ledger.runs) == list(range(16))
        await ledger.processes.start()
        await ledger.advance(SESSION * 3)
        assert [name for name, _ in ledger.taken if name == "c"] == []
        ledger.go.set()
        await ledger.advance(3)
        assert len([name for name, _ in ledger.taken if name == "c"]) == 2
        assert sorted(ledger.runs) == list(range(16)), "nothing ran twice"
        assert sorted(await ledger.done()) == list(range(16))
        await ledger.rest()


async def test_what_wrote_nothing_is_not_handled_again_by_the_next_owner(
    processes: Callable[..., Any],
) -> None:
    streams, runs, go = list[Stream[Entry]](), list[int](), asyncio.Event()

    def declare(app: App) -> None:
        ledger = app.stream("ledger", Entry, key="account", partitions=4)
        streams.append(ledger)

        @ledger.group("balances")
        async def mail(entry: Entry) -> None:
            runs.append(entry.amount)
            await go.wait()

    world = processes(declare)
    async with world.keeper:
        await world.start()
        await streams[0].append(*[Entry(f"acc-{n}", n) for n in range(16)])
        await world.clock.advance(1)
        await world.start()
        await world.clock.advance(SESSION)
        go.set()
        await world.clock.advance(SESSION * 2)
        assert sorted(runs) == list(range(16))
        assert sum((await streams[0].lag("balances")).values()) == 0
        for process in list(world.up):
            await world.drain(process)


async def test_who_drains_finishes_and_hands_over_at_once(processes: Callable[..., Any]) -> None:
    ledger = Ledger(processes)
    async with ledger.processes.keeper:
        first = await ledger.processes.start()
        await ledger.processes.start()
        await ledger.advance(3)
        await ledger.append(40)
        await ledger.processes.drain(first)
        took = sum(1 for name, _ in ledger.taken if name == "c")
        assert took == 4, "no session had to run out"
        await ledger.advance(0.5)
        assert sorted(await ledger.done()) == list(range(40))
        assert sorted(ledger.runs) == list(range(40))
        await ledger.rest()


async def test_a_dead_members_partitions_are_taken_within_its_session(
    processes: Callable[..., Any],
) -> None:
    ledger = Ledger(processes)
    async with ledger.processes.keeper:
        first = await ledger.processes.start()
        await ledger.processes.start()
        await ledger.advance(3)
        ledger.go.clear()
        await ledger.append(40)
        await ledger.advance(1)
        await ledger.processes.kill(first)
        ledger.go.set()
        await ledger.advance(SESSION)
        assert sorted(await ledger.done()) == list(range(40))
        await ledger.rest()


async def test_lost_partitions_are_dropped_with_what_runs_of_them(
    processes: Callable[..., Any],
) -> None:
    ledger = Ledger(processes)
    async with ledger.processes.keeper:
        await ledger.processes.start()
        ledger.go.clear()
        await ledger.append(16)
        await ledger.advance(1)
        await ledger.entries.seek("balances", "start")  # fences whoever reads
        await ledger.advance(5)
        assert sorted(ledger.lost) == [0, 1, 2, 3]
        ledger.go.set()
        await ledger.advance(5)
        assert sorted(await ledger.done()) == list(range(16))
        assert sorted(ledger.runs) == sorted([*range(16), *range(16)])
        await ledger.rest()


async def test_what_is_read_ahead_is_bounded(processes: Callable[..., Any]) -> None:
    ledger = Ledger(processes, partitions=1)
    async with ledger.processes.keeper:
        process = await ledger.processes.start()
        ledger.go.clear()
        await ledger.entries.append_many(Entry(f"acc-{n}", n) for n in range(5000))
        await ledger.advance(SESSION * 2)
        assert len(ledger.runs) == 16
        (worker,) = process.app.declarations.workers
        (told,) = worker.in_hand
        assert told == "0:0:0:1024:16"
        ledger.go.set()
        await ledger.advance(10)
        assert sorted(await ledger.done()) == list(range(5000))
        await ledger.rest()


async def test_a_record_that_kills_its_process_is_given_up_and_no_other(
    processes: Callable[..., Any],
) -> None:
    ledger, deaths = Ledger(processes), 0

    async def deadly(entry: Entry) -> None:
        nonlocal deaths
        if entry.amount == 17:
            deaths += 1
            await asyncio.Event().wait()

    ledger.deadly = deadly
    async with ledger.processes.keeper:
        await ledger.append(40)
        for _ in range(10):
            before = deaths
            process = await ledger.processes.start()
            for _ in range(30):
                await ledger.advance(0.5)
                if deaths > before:
                    await ledger.processes.kill(process)
                    break
        letters = await ledger.streams[0][0]["balances"].dead_letters.list()
        assert [each.reason for each in letters] == [
            "killed its process: 5 holders died or hung, 3 of them with nothing else in hand"
        ]
        assert deaths == 5
        assert sorted(await ledger.done()) == [n for n in range(40) if n != 17]
        await ledger.rest()


async def test_nobody_reads_while_a_replay_begins(processes: Callable[..., Any]) -> None:
    ledger = Ledger(processes)
    async with ledger.processes.keeper:
        store = ledger.processes.keeper.declarations.host.store
        await store.put("replays", [Put("ledger/balances", b"", ttl=30.0)])
        await ledger.append(5)
        await ledger.processes.start()
        await ledger.advance(29)
        assert ledger.runs == []
        await ledger.advance(2)  # who began it died: its word holds no longer
        assert sorted(await ledger.done()) == list(range(5))
        await ledger.rest()


async def test_who_left_in_peace_is_not_counted_as_dead(processes: Callable[..., Any]) -> None:
    ledger = Ledger(processes)
    async with ledger.processes.keeper:
        for _ in range(5):
            process = await ledger.processes.start()
            await ledger.append(3)
            await ledger.advance(1)
            await ledger.processes.drain(process)
        store = ledger.processes.keeper.declarations.host.store
        assert await store.scan("holders/ledger/balances") == []
        assert sorted(await ledger.done()) == list(range(15))


async def test_a_membership_that_breaks_is_not_counted_as_a_death(
    processes: Callable[..., Any],
) -> None:
    ledger = Ledger(processes)
    async with ledger.processes.keeper:
        await ledger.processes.start()
        for _ in range(4):
            ledger.go.clear()
            await ledger.append(8)
            await ledger.advance(0.5)
            ledger.processes.storm = lambda: Fault.AFTER  # who commits cannot know: it joins anew
            ledger.go.set()
            await ledger.advance(0.5)
            ledger.processes.storm = lambda: Fault.NONE
            await ledger.advance(10)
        store = ledger.processes.keeper.declarations.host.store
        notes = [entry.value for _, entry in await store.scan("holders/ledger/balances")]
        deaths = [msgspec.msgpack.decode(note)[0] for note in notes]
        assert deaths == [0, 0, 0, 0]
        assert len(ledger.taken) > 4
        assert sorted(await ledger.done()) == list(range(32))
        await ledger.rest()
