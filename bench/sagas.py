"""Durable sagas of three steps, beside DBOS, on a file and on PostgreSQL: one after the other,
and sixteen at a time."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.callers import rate
from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.ours import app_in, run, running
from isthmus import App, Saga
from isthmus.testing.servers import PostgresServer

WORDS = "x" * 200
COUNTS = {1: {"isthmus": 300, "dbos": 25}, 16: {"isthmus": 2_000, "dbos": 48}}
"""How many of each; each turn takes a second or two."""


class Parcel(msgspec.Struct):
    words: str


async def weigh(words: str) -> str:
    return words


async def label(words: str) -> str:
    return words


async def ship(words: str) -> str:
    return words


Once = Callable[[int], Awaitable[None]]


async def _isthmus(app: App) -> Measures:
    @app.saga("parcel", version=1)
    async def parcel(saga: Saga, given: Parcel) -> str:
        weighed = await saga.step(weigh, given.words)
        labelled = await saga.step(label, weighed)
        return await saga.step(ship, labelled)

    async def once(number: int) -> None:
        handle = await parcel.start(Parcel(WORDS), id=f"parcel-{number}")
        assert await handle.result() == WORDS

    async with app, running(app):
        return await _measured(once, "isthmus")


async def _dbos(url: str) -> Measures:
    from dbos import DBOS  # pyright: ignore[reportMissingImports]

    config: Any = {
        "name": "bench",
        "system_database_url": url,
        "log_level": "ERROR",
        "run_admin_server": False,
    }
    DBOS(config=config)
    steps = [DBOS.step()(each) for each in (weigh, label, ship)]

    @DBOS.workflow()
    async def parcel(words: str) -> str:
        for step in steps:
            words = await step(words)
        return words

    async def once(_: int) -> None:
        assert await parcel(WORDS) == WORDS

    DBOS.launch()
    try:
        return await _measured(once, "dbos")
    finally:
        DBOS.destroy()


async def _measured(once: Once, name: str) -> Measures:
    await once(-1)
    found, number = dict[str, float](), 0
    for callers, counts in COUNTS.items():
        count = counts[name]
        numbers = range(number, number + count)
        found[f"c{callers}"] = await rate(once, numbers, callers=callers)
        number += count
    return found


@contextmanager
def _server() -> Generator[str]:
    with PostgresServer(durable=True) as server:
        yield server.url()


def _isthmus_on_postgres(_: Path) -> Measures:
    with _server() as url:
        return run(_isthmus(App("bench", engine=url)))


def _dbos_on_postgres(_: Path) -> Measures:
    with _server() as url:
        return run(_dbos(url))


TARGETS = {
    ("sqlite", 1): ">= 5",
    ("sqlite", 16): ">= 40",
    ("postgres", 1): ">= 2",
    ("postgres", 16): ">= 5",
}


def figures(results: Results) -> Sequence[Figure]:
    return [
        *(
            figure(
                f"saga.{store}.c{callers}.vs_dbos",
                results.ratios(f"isthmus.{store}", [f"dbos.{store}"], f"c{callers}"),
                target=target,
            )
            for (store, callers), target in TARGETS.items()
        ),
        *(
            figure(
                f"saga.{store}.c{callers}.{name}",
                results.of(f"{name}.{store}", f"c{callers}"),
                "/s",
            )
            for store, callers in TARGETS
            for name in ("isthmus", "dbos")
        ),
    ]


BENCHMARK = Benchmark(
    name="sagas",
    title=(
        "sagas of three steps that return 200 characters, each remembered on disk before the next "
        "begins; by one caller, and by sixteen. SQLite: isthmus with durability=full; DBOS with "
        "its defaults, a rollback journal with synchronous=FULL. PostgreSQL: a server of its own "
        "for each turn, with fsync and synchronous_commit"
    ),
    contenders={
        "isthmus.sqlite": lambda folder: run(_isthmus(app_in(folder, "full"))),
        "dbos.sqlite": lambda folder: run(_dbos(f"sqlite:///{folder}/dbos.db")),
        "isthmus.postgres": _isthmus_on_postgres,
        "dbos.postgres": _dbos_on_postgres,
    },
    figures=figures,
)
