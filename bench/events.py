"""Event sourcing, beside the `eventsourcing` library: appending, loading, reading the feed."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import msgspec

from bench.callers import rate
from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.ours import app_in, turn

AGGREGATES, LONG = 64, 50
"""How many accounts are there, and how many events each has when it is loaded."""

APPENDS = {1: {"isthmus": 600, "eventsourcing": 300}, 64: {"isthmus": 6_400, "eventsourcing": 320}}
"""How many commands are handled, by so many callers."""

WORDS = "x" * 150


class Deposit(msgspec.Struct, frozen=True, tag=True):
    amount: int
    why: str


class Deposited(msgspec.Struct, frozen=True, tag=True):
    amount: int
    why: str


class Account(msgspec.Struct, frozen=True):
    balance: int = 0

    def decide(self, command: Deposit) -> Sequence[Deposited]:
        return [Deposited(command.amount, command.why)]

    def evolve(self, event: Deposited) -> "Account":
        return Account(self.balance + event.amount)


def name(number: int) -> str:
    return f"account-{number}"


async def _isthmus(folder: Path) -> Measures:
    app = app_in(folder, "full")
    accounts = app.aggregate("account", Account, partitions=1)
    deposit = Deposit(1, WORDS)

    async def handle(number: int) -> None:
        await accounts.handle(name(number % AGGREGATES), deposit)

    async with app:
        for _ in range(LONG):
            await asyncio.gather(*(handle(each) for each in range(AGGREGATES)))
        found = {}
        for callers, counts in APPENDS.items():
            found[f"append.c{callers}"] = await rate(
                handle, range(counts["isthmus"]), callers=callers
            )
    async with app:  # opened anew: nothing is in memory
        began = time.perf_counter()
        states = [await accounts.load(name(each)) for each in range(AGGREGATES)]
        found["load"] = len(states) / (time.perf_counter() - began)
        balance = sum(state.balance for state in states)
        began, count = time.perf_counter(), 0
        async for recorded in accounts.read():
            assert isinstance(recorded.value, Deposited)
            count += 1
        found["feed"] = count / (time.perf_counter() - began)
        assert count == balance
    return found


def eventsourcing(folder: Path) -> Measures:
    """As its documentation has it: an application with a repository, on its SQLite module; with
    its cache of aggregates, as ours has one."""
    from bench.events_peer import Accounts

    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": f"{folder}/events.db",
        "AGGREGATE_CACHE_MAXSIZE": "1000",
    }
    accounts = Accounts(env=environment)
    ids = [accounts.open() for _ in range(AGGREGATES)]
    for each in ids:
        accounts.deposit_often(each, 1, WORDS, times=LONG)
    found = {}
    for callers, counts in APPENDS.items():
        found[f"append.c{callers}"] = _rate_of_threads(
            lambda each: accounts.deposit(each, 1, WORDS), ids, callers, counts["eventsourcing"]
        )
    accounts.close()
    accounts = Accounts(env=environment)
    began = time.perf_counter()
    states = [accounts.repository.get(each) for each in ids]
    found["load"] = len(states) / (time.perf_counter() - began)
    began, count = time.perf_counter(), 0
    for _event in accounts.feed():
        count += 1
    found["feed"] = count / (time.perf_counter() - began)
    assert count == sum(state.balance for state in states) + AGGREGATES
    accounts.close()
    return found


def _rate_of_threads(
    deposit: Callable[[UUID], None], ids: Sequence[UUID], callers: int, count: int
) -> float:
    def caller(place: int) -> None:
        for each in range(place, count, callers):
            deposit(ids[each % AGGREGATES])

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(caller, range(callers)))
    return count / (time.perf_counter() - began)


TARGETS = {
    "append.c1": ("events.append.sqlite.c1.vs_eventsourcing", ">= 2"),
    "append.c64": ("events.append.sqlite.c64.vs_eventsourcing", ">= 20"),
    "feed": ("events.feed.vs_eventsourcing", ">= 2"),
    "load": ("events.load.vs_eventsourcing", ">= 3"),
}


def figures(results: Results) -> Sequence[Figure]:
    return [
        *(
            figure(name, results.ratios("isthmus", ["eventsourcing"], measure), target=target)
            for measure, (name, target) in TARGETS.items()
        ),
        *(
            figure(f"events.{measure}.{each}", results.of(each, measure), "/s")
            for measure in TARGETS
            for each in BENCHMARK.contenders
        ),
    ]


BENCHMARK = Benchmark(
    name="events",
    title=(
        f"{AGGREGATES} accounts of {LONG} events of 150 characters and more; a command decided and "
        "its event on disk before the next, by one caller and by 64 (tasks, and threads of the "
        "peer); accounts loaded by an application that was just opened; all events read as typed "
        "objects. isthmus: durability=full; eventsourcing: its application on its SQLite module, "
        "which is WAL with synchronous=FULL"
    ),
    contenders={"isthmus": turn(_isthmus), "eventsourcing": eventsourcing},
    figures=figures,
)
