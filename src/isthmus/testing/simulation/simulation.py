"""A seed is run: processes come, crash and go, until all is done; then the books."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from isthmus.app import App
from isthmus.contracts import Engine
from isthmus.message import new_id
from isthmus.settings import Settings
from isthmus.testing.simulation.audit import Audit
from isthmus.testing.simulation.books import Books
from isthmus.testing.simulation.process import Process, Wrap
from isthmus.testing.simulation.weather import Weather
from isthmus.testing.simulation.world import World

__all__ = ["Simulation", "simulate"]

T = TypeVar("T")

Declare = Callable[[App], T]
"""Declares queues, topics, streams, schedules and handlers; gives what the traffic needs."""
Traffic = Callable[[T, World], Awaitable[None]]
"""What comes from outside, under ids of its own."""

_databases = itertools.count(1)

PATIENCE = 6 * 3600.0
"""Virtual seconds of calm after which what is not done will never be."""
WORST = 0.08
"""The most trouble a seed may bring: as a part of all calls."""


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one seed."""

    seed: int
    lost: Sequence[str] = ()
    """Sent, and neither handled nor a dead letter: "address message"."""
    twice: Sequence[str] = ()
    """Handled in two transactions that both committed."""
    left: Mapping[str, int] = {}
    """Queues and groups that did not come to rest, and how much is left there."""
    faults: Sequence[str] = ()
    """Errors that ended a process."""
    handled: Mapping[str, int] = {}
    """How many messages were handled, by address."""
    dead: Mapping[str, Sequence[str]] = {}
    """Those that were given up, by address."""
    crashes: int = 0
    seconds: float = 0.0
    """Virtual seconds it took."""
    trace: Sequence[str] = ()
    """All that happened: moment, process, call and what befell it."""
    digest: str = ""
    """Of the trace: equal where the same happened."""

    @property
    def holds(self) -> bool:
        """Nothing was lost, had its effect twice, or was left over."""
        return not (self.lost or self.twice or self.left or self.faults)

    def __str__(self) -> str:
        wrong = {
            "lost": self.lost,
            "twice": self.twice,
            "left over": [f"{count} in {name}" for name, count in self.left.items()],
            "processes that ended": self.faults,
        }
        told = [f"{name}: {', '.join(each)}" for name, each in wrong.items() if each]
        return f"seed {self.seed}: {'; '.join(told) or 'all holds'} (SEED={self.seed} replays it)"


async def simulate(
    declare: Declare[T],
    traffic: Traffic[T],
    *,
    seed: int,
    seconds: float = 120.0,
    processes: int = 3,
    apart: bool = False,
    wrap: Wrap | None = None,
) -> Simulation:
    """Run the App that `declare` declares through what the seed decides, then make up the books.

    Args:
        declare: Called for every process.
        traffic: Runs beside them, in calm weather of its own making: see `World.insist`.
        seconds: Virtual seconds of bad weather, at least as long as the traffic lasts.
        processes: Most that run at once.
        apart: Whether rows and messages lie in two databases, with an outbox between.
        wrap: Put around every process's engine, to try what a faulty one does.
    """
    new_id.renew(f"{seed:020x}")
    try:
        return await _Course(
            declare, World(seed), processes=processes, apart=apart, wrap=wrap or _as_it_is
        ).run(traffic, seconds)
    finally:
        new_id.renew()


class _Course(Generic[T]):
    """One seed's course of events."""

    def __init__(
        self, declare: Declare[T], world: World, *, processes: int, apart: bool, wrap: Wrap
    ) -> None:
        self._declare, self._world, self._most, self._wrap = declare, world, processes, wrap
        database = f"memory://simulation-{next(_databases)}"
        store = f"{database}-store" if apart else ""
        self._settings = Settings(engine=database, store=store)
        self._rate = world.random.uniform(0, WORST)
        self._names = (f"process-{number}" for number in itertools.count(1))
        self._audit = Audit(world)
        self._up: list[Process[T]] = []
        self._faults: list[str] = []
        self._crashes = 0

    async def run(self, traffic: Traffic[T], seconds: float) -> Simulation:
        keeper = self._process("keeper", wrap=_as_it_is)
        books = Books(self._world, self._audit, await keeper.open(), keeper.app.describe())
        await books.open()
        client = self._process("client", wrap=_as_it_is)
        await client.open()
        client.weather.calm = False
        coming = asyncio.create_task(self._come(traffic, client))
        await self._start()
        while self._world.elapsed < seconds or not coming.done():
            await self._something_happens()
        await coming
        await self._calm_down(books)
        simulation = await self._closed(books)
        for process in [*self._up, client, keeper]:
            await process.drain()
        return simulation

    async def _come(self, traffic: Traffic[T], client: Process[T]) -> None:
        await traffic(client.declared, self._world)

    async def _something_happens(self) -> None:
        random = self._world.random
        await self._world.clock.advance(random.expovariate(0.5))
        await self._bury()
        chance = random.random()
        if chance < 0.1 and self._up:
            self._crashes += 1
            await self._up.pop(random.randrange(len(self._up))).crash()
        elif chance < 0.15 and self._up:
            await self._up.pop(random.randrange(len(self._up))).drain()
        elif chance < 0.5 and len(self._up) < self._most:
            await self._start()

    async def _calm_down(self, books: Books) -> None:
        """No more trouble: all that was sent has to come to its end."""
        self._audit.calm = True
        for process in self._up:
            process.weather.calm = True
        if not self._up:
            await self._start(calm=True)
        end = self._world.elapsed + PATIENCE
        rest = 0
        while rest < 3 and self._world.elapsed < end:
            await self._world.clock.advance(5.0)
            await self._bury(calm=True)
            rest = 0 if await books.left() else rest + 1

    async def _bury(self, *, calm: bool = False) -> None:
        """Notice what ended by itself; something has to run."""
        for process in [each for each in self._up if each.fault is not None]:
            self._faults.append(f"{process.name}: {process.fault!r}")
            self._up.remove(process)
            await process.crash()
        if calm and not self._up:
            await self._start(calm=True)

    async def _start(self, *, calm: bool = False) -> None:
        process = self._process(next(self._names), wrap=self._wrap)
        await process.start()
        process.weather.calm = calm
        self._up.append(process)

    def _process(self, name: str, *, wrap: Wrap) -> Process[T]:
        return Process(
            self._world,
            name,
            self._declare,
            settings=self._settings,
            weather=Weather(self._world, name, rate=self._rate),
            wrap=wrap,
            before=self._audit.around,
        )

    async def _closed(self, books: Books) -> Simulation:
        balance = await books.balance()
        return Simulation(
            seed=self._world.seed,
            lost=balance.lost,
            twice=balance.twice,
            left=await books.left(),
            faults=self._faults,
            handled=balance.handled,
            dead=balance.dead,
            crashes=self._crashes,
            seconds=self._world.elapsed,
            trace=self._world.trace,
            digest=self._world.digest,
        )


def _as_it_is(engine: Engine) -> Engine:
    return engine
