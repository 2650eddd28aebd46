"""Order and once, whatever happens: random failures, restarts, kills and rebalances.

Each seed is one course of events on virtual time, and replays exactly.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from isthmus import App, Retry, Transaction
from isthmus.contracts import Put
from isthmus.handling.host import Host
from isthmus.streams import Stream
from isthmus.testing import Fault


class Entry(msgspec.Struct, frozen=True):
    account: str
    amount: int
    fails: int = 0
    """How many attempts fail."""


ATTEMPTS = 3


class World:
    """A ledger, a group that writes every entry into a journal, and what goes wrong."""

    def __init__(
        self, seed: int, processes: Callable[..., Any], *, batch: int, apart: bool
    ) -> None:
        self.random = random.Random(seed)
        self.batch = batch
        self.failed = defaultdict[int, int](int)
        self.appended = list[Entry]()
        self.streams = list[Stream[Entry]]()
        self.effects = itertools.count()
        self.processes = processes(self.declare, apart=apart)

    def declare(self, app: App) -> None:
        ledger = app.stream("ledger", Entry, key="account", partitions=3)
        retry = Retry(attempts=ATTEMPTS, delay=2, factor=1, jitter="none")

        async def post(entry: Entry, tx: Transaction, host: Host) -> None:
            await post_many([entry], tx, host)

        async def post_many(entries: list[Entry], tx: Transaction, host: Host) -> None:
            await self.dawdle()
            for entry in entries:
                self.maybe_fail(entry)
            puts = [self.effect(entry) for entry in entries]
            await host.store.put("effects", puts, tx=tx)
            await self.dawdle()

        handler: Callable[..., object] = post if self.batch == 1 else post_many
        ledger.group("balances", concurrency=4, retry=retry, batch=self.batch)(handler)
        self.streams.append(ledger)

    def effect(self, entry: Entry) -> Put:
        """What is written for `entry`: another key each time, that no double is hidden."""
        return Put(f"{next(self.effects):09d}", msgspec.json.encode(entry))

    async def done(self) -> list[Entry]:
        """Return the entries whose effect was committed, in the order of their runs."""
        store = self.processes.keeper.declarations.host.store
        found = await store.scan("effects", limit=100_000)
        return [msgspec.json.decode(each.value, type=Entry) for _, each in found]

    async def dawdle(self) -> None:
        await self.processes.clock.sleep(self.random.choice((0, 0, 0, 0.1, 0.5)))

    def maybe_fail(self, entry: Entry) -> None:
        if self.failed[entry.amount] < entry.fails:
            self.failed[entry.amount] += 1
            raise ValueError(f"{entry} fails")

    async def live(self, ledger: Stream[Entry], steps: int) -> None:
        for _ in range(steps):
            await self.random.choice((self.append, self.append, self.append, self.change))(ledger)
            await self.processes.clock.advance(self.random.choice((0.1, 0.5, 1.5)))

    async def append(self, ledger: Stream[Entry]) -> None:
        for _ in range(self.random.randrange(1, 12)):
            fails = self.random.choice((0, 0, 0, 0, 0, 0, 0, 1, 2, 99))
            entry = Entry(f"acc-{self.random.randrange(5)}", len(self.appended), fails)
            self.appended.append(entry)
            await ledger.append(entry)

    async def change(self, _: Stream[Entry]) -> None:
        up = self.processes.up
        action = self.random.choice(("start", "drain", "kill", "pass"))
        if action == "start" and len(up) < 3:
            await self.processes.start()
        elif action == "drain" and up:
            await self.processes.drain(self.random.choice(up))
        elif action == "kill" and up:
            await self.processes.kill(self.random.choice(up))

    async def settle(self, ledger: Stream[Entry]) -> None:
        if not self.processes.up:
            await self.processes.start()
        for _ in range(300):
            await self.processes.clock.advance(2.0)
            behind = sum((await ledger.lag("balances")).values())
            if not behind and not await ledger["balances"].parked():
                return
        raise AssertionError("it never came to rest")


CALM = (Fault.NONE,)
SLOW = (Fault.NONE, Fault.DELAY)
STORM = (*[Fault.NONE] * 60, *[Fault.DELAY] * 30, Fault.BEFORE, Fault.AFTER, Fault.LOST)


@pytest.mark.parametrize("apart", [False, True], ids=["one-scope", "apart"])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("weather", [CALM, SLOW, STORM], ids=["calm", "slow", "storm"])
@pytest.mark.parametrize("seed", range(8))
async def test_each_key_is_handled_once_and_in_order_whatever_happens(
    seed: int, *, batch: int, apart: bool, weather: Sequence[Fault], processes: Callable[..., Any]
) -> None:
    world = World(seed, processes, batch=batch, apart=apart)
    ledger = world.streams[0]
    async with world.processes.keeper:
        await world.processes.start()
        world.processes.storm = lambda: world.random.choice(weather)
        await world.live(ledger, steps=40)
        world.processes.storm = lambda: Fault.NONE
        await world.settle(ledger)
        done = await world.done()
        letters = await ledger["balances"].dead_letters.list(limit=10_000)
        for process in list(world.processes.up):
            await world.processes.drain(process)
    dead = {msgspec.json.decode(each.message.body, type=Entry).amount for each in letters}
    assert len(dead) == len(letters)
    for account in {entry.account for entry in world.appended}:
        wanted = [
            entry.amount
            for entry in world.appended
            if entry.account == account and entry.amount not in dead
        ]
        assert [effect.amount for effect in done if effect.account == account] == wanted
    doomed = {entry.amount for entry in world.appended if entry.fails >= ATTEMPTS}
    assert doomed <= dead
