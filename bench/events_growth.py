"""What an append costs when there are ten million events, and when there are a thousand.

Both stores are of one shape: accounts of 20 events, loaded in rounds, so that each account's
events lie far apart. The large one is really loaded, through the engine's own log, as copies
are, and counted afterwards; it takes minutes and 5 GB of disk, which is given back.
`EVENTS=1000000` makes it smaller.

Accounts are drawn from all of the store. For `append` their states are at hand, as they are for
an account that is in use; for `cold` no state is, so that all 20 events are read before. Where
the small store has too few accounts, it is opened anew until it has given as many commands.
"""

import asyncio
import os
import random
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.callers import rate
from bench.contest import Benchmark, Measures, Results
from bench.events import WORDS, Account, Deposit, Deposited, name
from bench.figure import Figure, figure
from bench.ours import app_in, run
from isthmus import App
from isthmus.clock import SystemClock
from isthmus.contracts import LogEngine
from isthmus.handling.envelope import Envelope
from isthmus.schema import schema_of
from isthmus.sourcing import Aggregate

SIZES = {"large": int(os.environ.get("EVENTS", "10_000_000")), "small": 1_000}
LONG = 20
"""Events of each account."""

PAGE = 5_000
"""Events that are loaded at once."""

ROUNDS = 5
COUNTS = {1: 400, 64: 6_400}
"""How many commands are handled, by so many callers, in each round."""

COLD = 400
BYTES = 600
"""What an event takes on disk, with its place in the indexes, and a share of the log; at most."""


class Store:
    """One of the two, and what is measured in it."""

    def __init__(self, folder: Path, events: int) -> None:
        folder.mkdir()
        self._app: App = app_in(folder, "full")
        self._accounts: Aggregate[Account] = self._app.aggregate("account", Account, partitions=1)
        self.events, self._count = events, events // LONG

    async def load(self) -> None:
        """Load it, telling how far that is; raises if not all is there."""
        began = time.monotonic()
        async with self._app:
            log = self._accounts.home.log
            for start in range(0, self.events, PAGE):
                await self._load(log, range(start, min(self.events, start + PAGE)))
                _tell(start, self.events, began)
            _tell(self.events, self.events, began)
            ends = await log.offsets("account", at="end")
            found = sum([await self._length(name(each)) for each in self._some(100)])
        if sum(ends.values()) != self.events or found != 100 * LONG:
            raise SystemExit(f"{ends} of {self.events} events were loaded, {found} of 2,000 found")

    async def _load(self, log: LogEngine, numbers: range) -> None:
        message = ENVELOPE.message
        await log.append(
            "account",
            [message(Deposited(1, WORDS), key=name(n % self._count)) for n in numbers],
        )

    async def _length(self, key: str) -> int:
        return sum([1 async for _ in self._accounts.history(key)])

    def _some(self, count: int) -> Sequence[int]:
        return random.choices(range(self._count), k=count)

    async def cold(self) -> float:
        """Return how many commands a second are handled whose accounts are not at hand."""
        left, spent = COLD, 0.0
        while left:
            chosen = random.sample(range(self._count), min(left, self._count))
            async with self._app:
                spent += len(chosen) / await rate(
                    lambda n, of=chosen: self._deposit(of[n]), range(len(chosen)), callers=1
                )
            left -= len(chosen)
        return COLD / spent

    async def appends(self) -> Measures:
        found = dict[str, float]()
        async with self._app:
            for callers, count in COUNTS.items():
                chosen = self._some(count)
                await asyncio.gather(*(self._accounts.load(name(n)) for n in set(chosen)))
                found[f"append.c{callers}"] = await rate(
                    lambda n, of=chosen: self._deposit(of[n]), range(count), callers=callers
                )
        return found

    async def _deposit(self, number: int) -> Any:
        return await self._accounts.handle(name(number), Deposit(1, WORDS))


ENVELOPE = Envelope(schema_of(Deposited), of="account", source="bench", clock=SystemClock())


def _tell(done: int, all_of_them: int, began: float) -> None:
    if done % 250_000 == 0 or done == all_of_them:
        spent = time.monotonic() - began
        print(f"loaded {done:,} of {all_of_them:,} events, {spent:.0f} s", file=sys.stderr)


async def _measured(folder: Path) -> Measures:
    stores = {each: Store(folder / each, events) for each, events in SIZES.items()}
    found = dict[str, float]()
    for store in stores.values():
        await store.load()
    for number in range(ROUNDS):
        for each in random.sample(list(stores), 2):
            cold, appends = await stores[each].cold(), await stores[each].appends()
            for measure, value in {"cold": cold, **appends}.items():
                found[f"{measure}.{each}.{number}"] = value
    return found


def on_sqlite(folder: Path) -> Measures:
    wanted, free = sum(SIZES.values()) * BYTES, shutil.disk_usage(folder).free
    if free < wanted:
        raise SystemExit(f"{folder} has {free:,} bytes free, and {wanted:,} are needed")
    return run(_measured(folder))


TARGETS = {"append.c1": "<= 1.5", "append.c64": None, "cold": None}


def figures(results: Results) -> Sequence[Figure]:
    def of(measure: str, store: str) -> Sequence[float]:
        return [
            value
            for number in range(ROUNDS)
            for value in results.of("sqlite", f"{measure}.{store}.{number}")
        ]

    size = f"{SIZES['large'] // 1_000_000}m" if SIZES["large"] >= 1_000_000 else SIZES["large"]
    names = {"append.c1": "append.cost", "append.c64": "append.c64.cost", "cold": "cold.cost"}
    return [
        *(
            figure(
                f"events.{names[measure]}.{size}_over_1k",
                [
                    small / large
                    for small, large in zip(of(measure, "small"), of(measure, "large"), strict=True)
                ],
                target=target,
            )
            for measure, target in TARGETS.items()
        ),
        *(
            figure(f"events.{measure}.{store}", of(measure, store), "/s")
            for measure in TARGETS
            for store in SIZES
        ),
    ]


BENCHMARK = Benchmark(
    name="events_growth",
    title=(
        f"commands for accounts drawn from a store of {SIZES['large']:,} events, and from one of "
        "1,000; durability=full; states at hand, and cold. How often the time is taken that the "
        "small store takes"
    ),
    contenders={"sqlite": on_sqlite},
    figures=figures,
    rounds=1,
    longest=1800.0,
)
