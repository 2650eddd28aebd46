"""Event sourcing, beside the `eventsourcing` library: appending, loading, reading the feed.

Both have a cache of aggregates, and while commands are handled all accounts are in it; each
event is still appended only to the version that it was decided on. For loading both are opened
anew, so that neither has anything in its cache: every state is made of its stored events.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from bench.callers import rate
from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.ours import app_in, run
from isthmus import App
from isthmus.testing.servers import PostgresServer

AGGREGATES, LONG = 64, 50
"""How many accounts are there that commands are for, and as many that are loaded; and how many
events each has before."""

OURS, THEIRS = {1: 600, 64: 6_400}, {1: 300, 64: 640}
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


LOADED = [f"loaded-{number}" for number in range(AGGREGATES)]


async def _isthmus(app: App) -> Measures:
    accounts = app.aggregate("account", Account, partitions=1)
    deposit = Deposit(1, WORDS)

    async def handle(number: int) -> None:
        await accounts.handle(name(number % AGGREGATES), deposit)

    async def handle_once(number: int) -> None:
        await accounts.handle(name(number % AGGREGATES), deposit, id=f"command-{number}")

    async with app:
        for _ in range(LONG):
            await asyncio.gather(*(handle(each) for each in range(AGGREGATES)))
            await asyncio.gather(*(accounts.handle(each, deposit) for each in LOADED))
        found, begun = {}, 0
        for callers, count in OURS.items():
            found[f"append.c{callers}"] = await rate(handle, range(count), callers=callers)
            ids = range(begun, begun + count)
            found[f"append.ids.c{callers}"] = await rate(handle_once, ids, callers=callers)
            begun += count
    async with app:  # opened anew: nothing is in memory
        began = time.perf_counter()
        states = [await accounts.load(each) for each in LOADED]
        found["load"] = len(states) / (time.perf_counter() - began)
        assert all(state.balance == LONG for state in states)
        began, count = time.perf_counter(), 0
        async for recorded in accounts.read():
            assert isinstance(recorded.value, Deposited)
            count += 1
        found["feed"] = count / (time.perf_counter() - began)
        assert count == 2 * (AGGREGATES * LONG + sum(OURS.values()))  # with ids, and without
    return found


def _eventsourcing(environment: Mapping[str, str]) -> Measures:
    """As its documentation has it: an application with a repository, and its cache."""
    from bench.events_peer import Accounts

    environment = {**environment, "AGGREGATE_CACHE_MAXSIZE": "1000"}
    accounts = Accounts(env=environment)
    ids, loaded = ([accounts.open() for _ in range(AGGREGATES)] for _ in range(2))
    for each in [*ids, *loaded]:
        accounts.deposit_often(each, 1, WORDS, times=LONG)
    found = {}
    for callers, count in THEIRS.items():
        found[f"append.c{callers}"] = _rate_of_threads(
            lambda each: accounts.deposit(each, 1, WORDS), ids, callers, count
        )
    accounts.close()
    accounts = Accounts(env=environment)
    began = time.perf_counter()
    states: list[Any] = [accounts.repository.get(each) for each in loaded]
    found["load"] = len(states) / (time.perf_counter() - began)
    assert all(state.balance == LONG for state in states)
    began, count = time.perf_counter(), 0
    for _event in accounts.feed():
        count += 1
    found["feed"] = count / (time.perf_counter() - began)
    assert count == 2 * AGGREGATES * (LONG + 1) + sum(THEIRS.values())
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


def _on_sqlite(folder: Path) -> Measures:
    return run(_isthmus(app_in(folder, "full")))


def _on_postgres(_: Path) -> Measures:
    with PostgresServer(durable=True) as server:
        return run(_isthmus(App("bench", engine=server.url())))


def _peer_on_sqlite(folder: Path) -> Measures:
    return _eventsourcing(
        {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": f"{folder}/events.db"}
    )


def _peer_on_postgres(_: Path) -> Measures:
    with PostgresServer(durable=True) as server:
        address = urlsplit(server.url())
        return _eventsourcing(
            {
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "POSTGRES_DBNAME": address.path.strip("/"),
                "POSTGRES_HOST": address.hostname or "",
                "POSTGRES_PORT": str(address.port),
                "POSTGRES_USER": address.username or "",
                "POSTGRES_PASSWORD": address.password or "-",  # it wants one; the server none
            }
        )


DATABASES = ("sqlite", "postgres")

TARGETS = {
    ("append.sqlite.c1", "append.c1", "sqlite"): ">= 2",
    ("append.sqlite.c64", "append.c64", "sqlite"): ">= 20",
    ("append.postgres.c1", "append.c1", "postgres"): ">= 2",
    ("append.postgres.c64", "append.c64", "postgres"): None,
    ("feed", "feed", "sqlite"): ">= 2",
    ("load", "load", "sqlite"): ">= 3",
    ("feed.postgres", "feed", "postgres"): None,
    ("load.postgres", "load", "postgres"): None,
}
IDS = ("append.ids.c1", "append.ids.c64")
"""What only ours does: commands that have an effect once, however often they are sent."""


def figures(results: Results) -> Sequence[Figure]:
    return [
        *(
            figure(
                f"events.{name}.vs_eventsourcing",
                results.ratios(f"isthmus.{database}", [f"eventsourcing.{database}"], measure),
                target=target,
            )
            for (name, measure, database), target in TARGETS.items()
        ),
        *(
            figure(f"events.{measure}.{each}", results.of(each, measure), "/s")
            for each in BENCHMARK.contenders
            for measure in ("append.c1", "append.c64", "feed", "load")
        ),
        *(
            figure(f"events.{measure}.{each}", results.of(each, measure), "/s")
            for each in BENCHMARK.contenders
            for measure in IDS
            if each.startswith("isthmus")
        ),
    ]


BENCHMARK = Benchmark(
    name="events",
    title=(
        f"{AGGREGATES} accounts of {LONG} events of 150 characters and more; a command decided and "
        "its event on disk before the next, by one caller and by 64 (tasks, and threads of the "
        f"peer), without ids, and ours with ids too; accounts of {LONG} events loaded by an "
        "application that was just opened; all events read as typed objects. isthmus: "
        "durability=full; eventsourcing: its application with its cache of aggregates, on its "
        "SQLite module, which is WAL with synchronous=FULL; and both on PostgreSQL with fsync and "
        "synchronous_commit, the peer by psycopg with its pool"
    ),
    contenders={
        "isthmus.sqlite": _on_sqlite,
        "eventsourcing.sqlite": _peer_on_sqlite,
        "isthmus.postgres": _on_postgres,
        "eventsourcing.postgres": _peer_on_postgres,
    },
    figures=figures,
)
