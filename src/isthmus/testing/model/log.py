"""Random calls on two logs."""

from collections.abc import Mapping, Sequence
from typing import Any
from unittest import TestCase

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from isthmus.contracts import Edge, Engine, LogEngine, Member, Record
from isthmus.message import Message
from isthmus.testing.model.machine import Machine, test_case, transactions
from isthmus.testing.model.twins import OpenEmpty, Side

__all__ = ["log_model"]

PARTITIONS = 2
FOREVER = 1e9
LOGS: Mapping[str, Mapping[str, Any]] = {
    "ledger": {"retention": 60.0, "max_bytes": 30},
    "accounts": {"versioned": True},
    "settings": {"compaction": True},
}

logs = st.sampled_from(sorted(LOGS))
groups = st.sampled_from(["one", "two"])
messages = st.lists(
    st.builds(
        Message, body=st.sampled_from([b"", b"a", b"bb"]), key=st.sampled_from(["", *"klmn"])
    ),
    max_size=4,
)
expectations = st.dictionaries(st.sampled_from("klmn"), st.integers(0, 3), max_size=2)
maybe_tx = st.one_of(st.none(), st.none(), transactions)


class LogSide(Side):
    """A log whose records are known by their place: offsets may have gaps."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.members: dict[tuple[str, str], Member] = {}
        self.read_up_to: dict[tuple[str, str], dict[int, int]] = {}
        self.places: dict[tuple[str, int], list[int]] = {}

    @property
    def log(self) -> LogEngine:
        assert self.engine.log is not None
        return self.engine.log

    async def open(self) -> None:
        for log, options in LOGS.items():
            await self.log.declare(log, partitions=PARTITIONS, **options)

    async def read_all(self, log: str, partition: int) -> list[Record]:
        found: list[Record] = []
        offset = 0
        while more := await self.log.read(log, partition, offset=offset, limit=3):
            found += more
            offset = more[-1].offset + 1
        return found

    async def look(self, log: str) -> Any:
        seen: list[Any] = []
        for partition in range(PARTITIONS):
            records = await self.read_all(log, partition)
            known = self.places.setdefault((log, partition), [])
            known += [r.offset for r in records if not known or r.offset > known[-1]]
            seen.append([(known.index(r.offset), *_plain(r)) for r in records])
        return seen

    def place(self, log: str, partition: int, offset: int) -> int:
        """How many records ever seen lie before `offset`."""
        return sum(known < offset for known in self.places.get((log, partition), []))

    async def history(self, log: str, key: str, after: int, tx: int | None) -> Any:
        found = await self.log.history(log, key, after=after, limit=2, tx=self.tx(tx))
        return [_plain(record) for record in found]

    async def offsets(self, log: str, at: Edge | float) -> Any:
        found = await self.log.offsets(log, at=at)
        return {p: self.place(log, p, offset) for p, offset in found.items()}

    async def positions(self, log: str, group: str) -> Any:
        found = await self.log.positions(log, group)
        return {p: self.place(log, p, offset) for p, offset in found.items()}

    async def join(self, log: str, group: str, start: Edge) -> None:
        if (member := self.members.pop((log, group), None)) is not None:
            await member.aclose()
        self.read_up_to[log, group] = {}
        member = await self.log.join(log, group, start=start, session=FOREVER)
        await member.read(0, wait=0)
        self.members[log, group] = member

    async def drink(self, log: str, group: str, limit: int) -> Any:
        """Read to the end, in sips of `limit`; what came, by partition."""
        member = self.members[log, group]
        found: dict[int, list[Any]] = {p: [] for p in range(PARTITIONS)}
        empty = 0
        while empty < 2:
            records = await member.read(limit, wait=0)
            empty = 0 if records else empty + 1
            for record in records:
                found[record.partition].append(_plain(record))
                self.read_up_to[log, group][record.partition] = record.offset + 1
        return found, sorted(member.owned)

    async def commit(self, log: str, group: str, tx: int | None) -> None:
        positions = dict(self.read_up_to[log, group])
        await self.members[log, group].commit(positions, tx=self.tx(tx))

    async def seek(self, log: str, group: str, edge: Edge) -> None:
        await self.log.seek(log, group, await self.log.offsets(log, at=edge))

    async def trim(self, log: str, partition: int, count: int) -> None:
        records = await self.read_all(log, partition)
        if records:
            cut = records[min(count, len(records) - 1)].offset
            await self.log.trim(log, {partition: cut})


def _plain(record: Record) -> tuple[Any, ...]:
    return record.message, record.version, record.at


class LogMachine(Machine):
    side = LogSide

    def __init__(self) -> None:
        super().__init__()
        self._joined: set[tuple[str, str]] = set()

    @initialize()
    def open(self) -> None:
        self.ask(lambda side: side.open())

    @rule(log=logs, sent=messages, tx=maybe_tx)
    def append(self, log: str, sent: Sequence[Message], tx: int | None) -> None:
        self.ask(lambda side: side.log.append(log, sent, tx=side.tx(tx)))

    @rule(
        sent=messages,
        expected=expectations,
        tx=maybe_tx,
    )
    def append_expecting(
        self, sent: Sequence[Message], expected: dict[str, int], tx: int | None
    ) -> None:
        self.ask(lambda side: side.log.append("accounts", sent, expected=expected, tx=side.tx(tx)))

    @rule(key=st.sampled_from("klmn"), after=st.integers(0, 3), tx=maybe_tx)
    def history(self, key: str, after: int, tx: int | None) -> None:
        self.ask(lambda side: side.history("accounts", key, after, tx))

    @rule(log=logs, back=st.sampled_from([None, 0.0, 1.0, 5.0, 10.0]))
    def offsets(self, log: str, back: float | None) -> None:
        at = "end" if back is None else self.twins.clock.now() - back
        self.ask(lambda side: side.offsets(log, at))

    @rule(log=logs, group=groups, start=st.sampled_from(["first", "end"]))
    def join(self, log: str, group: str, start: Edge) -> None:
        self.ask(lambda side: side.join(log, group, start))
        self._joined.add((log, group))

    def _member(self, data: st.DataObject) -> tuple[str, str] | None:
        joined = sorted(self._joined)
        return data.draw(st.sampled_from(joined)) if joined else None

    @rule(data=st.data(), limit=st.integers(1, 4))
    def drink(self, data: st.DataObject, limit: int) -> None:
        if (at := self._member(data)) is not None:
            self.ask(lambda side: side.drink(*at, limit))

    @rule(data=st.data(), tx=maybe_tx)
    def commit_positions(self, data: st.DataObject, tx: int | None) -> None:
        if (at := self._member(data)) is not None:
            self.ask(lambda side: side.commit(*at, tx))

    def any_call(self, data: st.DataObject, tx: int | None) -> None:
        match data.draw(st.sampled_from(["append", "expect", "history", "commit"])):
            case "append":
                self.append(data.draw(logs), data.draw(messages), tx)
            case "expect":
                self.append_expecting(data.draw(messages), data.draw(expectations), tx)
            case "history":
                self.history(data.draw(st.sampled_from("klmn")), 0, tx)
            case _:
                self.commit_positions(data, tx)

    @rule(log=logs, group=groups, edge=st.sampled_from(["first", "end"]))
    def seek(self, log: str, group: str, edge: Edge) -> None:
        if (log, group) in self._joined:
            self.ask(lambda side: side.seek(log, group, edge))

    @rule(log=logs, partition=st.integers(0, PARTITIONS - 1), count=st.integers(1, 3))
    def trim(self, log: str, partition: int, count: int) -> None:
        self.ask(lambda side: side.trim(log, partition, count))

    @rule()
    def maintain(self) -> None:
        async def all_of_it(side: LogSide) -> None:
            while await side.log.maintain():
                pass

        self.ask(all_of_it)

    @invariant()
    def hold_the_same(self) -> None:
        async def held(side: LogSide) -> Any:
            records = [await side.look(log) for log in LOGS]
            return records, [await side.positions(*at) for at in sorted(self._joined)]

        self.ask(held)


def log_model(open_empty: OpenEmpty, *, runs: int = 60, steps: int = 30) -> type[TestCase]:
    """A test case that makes the same random calls on an engine's log and on memory's.

    The engine must place keys by `partition_of`, and honour versions, retention
    and compaction. Groups have one member at a time: who gets which partition is
    an engine's own affair.

    Args:
        open_empty: Opens the engine, on an empty database, on the clock it is given.
        runs: Sequences of calls that are tried.
        steps: Calls in each, at most.
    """
    return test_case(LogMachine, open_empty, runs=runs, steps=steps)
