"""What an append costs when there are ten million events, and when there are a thousand.

Both stores are of one shape: accounts of 20 events, loaded in rounds, so that each account's
events lie far apart. The large one is really loaded, in rows as the engine writes them, and
counted afterwards; it takes minutes and 6 GB of disk, which is given back.
`EVENTS=1000000` makes it smaller.

Accounts are drawn from all of the store. For `append` their states are at hand, as they are for
an account that is in use; for `cold` no state is, so that all 20 events are read before. Where
the small store has too few accounts, it is opened anew until it has given as many commands.
"""

import asyncio
import os
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench.callers import rate
from bench.contest import Benchmark, Measures, Results
from bench.events import WORDS, Account, Deposit, Deposited, name
from bench.figure import Figure, figure
from bench.ours import app_in, run
from isthmus import App
from isthmus.clock import SystemClock
from isthmus.engines.sqlite.packing import pack
from isthmus.engines.sqlite.records.records import OFFSETS
from isthmus.handling.envelope import Envelope
from isthmus.schema import schema_of
from isthmus.sourcing import Aggregate

SIZES = {"large": int(os.environ.get("EVENTS", "10_000_000")), "small": 1_000}
LONG = 20
"""Events of each account."""

PAGE = 500_000
"""Events after which it is told how far that is."""

ROUNDS = 5
COUNTS = {1: 200, 64: 3_200}
"""How many commands are handled, by so many callers, in each round."""

COLD = 100
BYTES = 600
"""What an event takes on disk, with its place in the indexes, and a share of the log; at most."""


class Store:
    """One of the two, and what is measured in it."""

    def __init__(self, folder: Path, events: int) -> None:
        folder.mkdir()
        self._app: App = app_in(folder, "full")
        self._path = folder / "isthmus.db"
        self._accounts: Aggregate[Account] = self._app.aggregate("account", Account, partitions=1)
        self.events, self._count = events, events // LONG

    async def load(self) -> None:
        """Load it, telling how far that is; raises if not all is there."""
        async with self._app:
            pass  # which makes the file, and declares the log
        await asyncio.to_thread(load, self._path, self.events, self._count)
        async with self._app:
            ends = await self._accounts.home.log.offsets("account", at="end")
            found = sum([await self._length(name(each)) for each in self._some(100)])
        if sum(ends.values()) != self.events or found != 100 * LONG:
            raise SystemExit(f"{ends} of {self.events} events were loaded, {found} of 2,000 found")

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


def load(path: Path, events: int, accounts: int) -> None:
    """Write rows as the engine does, one transaction for all, and its index of keys at the end:
    a fifth of the time. They differ in id, key, version and place; each can be read."""
    began = time.monotonic()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -1000000")
        ((part,),) = db.execute("SELECT part FROM isthmus_partition").fetchall()
        ((index,),) = db.execute(_INDEX).fetchall()
        db.execute("BEGIN IMMEDIATE")
        db.execute("DROP INDEX isthmus_record_key")
        for start in range(0, events, PAGE):
            end = min(events, start + PAGE)
            rows = (
                (
                    (part << OFFSETS) + n,
                    n / 1e6,
                    n // accounts + 1,
                    name(n % accounts),
                    len(BODY),
                    packed(n, name(n % accounts)),
                )
                for n in range(start, end)
            )
            db.executemany("INSERT INTO isthmus_record VALUES (?, ?, ?, ?, ?, ?)", rows)
            _tell(f"loaded {end:,} of {events:,} events", began)
        _tell("making the index of keys", began)
        db.execute(index)
        db.execute(
            "UPDATE isthmus_partition SET tail = ?, bytes = "
            "(SELECT sum(size + length(CAST(key AS BLOB))) FROM isthmus_record)",
            (events,),
        )
        db.execute("COMMIT")
        ((count,),) = db.execute("SELECT count(*) FROM isthmus_record").fetchall()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _tell(f"{count:,} events are there, {path.stat().st_size:,} bytes", began)


_INDEX = "SELECT sql FROM sqlite_schema WHERE name = 'isthmus_record_key'"
MESSAGE = Envelope(schema_of(Deposited), of="account", source="bench", clock=SystemClock()).message(
    Deposited(1, WORDS), key=""
)
BODY = MESSAGE.body


def packed(number: int, key: str) -> bytes:
    return pack(replace(MESSAGE, id=f"{number:028x}", key=key))


def _tell(what: str, began: float) -> None:
    print(f"{what}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


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
    tells=True,
)
