"""Durable sagas of three steps, beside DBOS: one after the other, and sixteen at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.contest import Benchmark, Contender, Measures, Results
from bench.figure import Figure, figure
from bench.ours import app_in, run, running
from isthmus import Saga

WORDS = "x" * 200
COUNTS = {1: {"isthmus": 200, "dbos": 25}, 16: {"isthmus": 2_000, "dbos": 48}}
"""How many of each; each turn takes a second or so."""


class Parcel(msgspec.Struct):
    words: str


async def weigh(words: str) -> str:
    return words


async def label(words: str) -> str:
    return words


async def ship(words: str) -> str:
    return words


Once = Callable[[int], Awaitable[None]]


async def _isthmus(folder: Path) -> Measures:
    app = app_in(folder, "full")

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


async def _dbos(folder: Path) -> Measures:
    from dbos import DBOS, DBOSConfig  # pyright: ignore[reportMissingImports]

    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{folder}/dbos.db",
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
        began = time.perf_counter()
        await _all(once, iter(range(number, number + count)), callers)
        found[f"c{callers}"] = count / (time.perf_counter() - began)
        number += count
    return found


async def _all(once: Once, left: Iterator[int], callers: int) -> None:
    async def caller() -> None:
        for each in left:
            await once(each)

    await asyncio.gather(*(caller() for _ in range(callers)))


def contender(main: Callable[[Path], Coroutine[Any, Any, Measures]]) -> Contender:
    return lambda folder: run(main(folder))


def figures(results: Results) -> Sequence[Figure]:
    targets = {1: ">= 5", 16: ">= 40"}
    return [
        *(
            figure(
                f"saga.sqlite.c{callers}.vs_dbos",
                results.ratios("isthmus", ["dbos"], f"c{callers}"),
                target=target,
            )
            for callers, target in targets.items()
        ),
        *(
            figure(f"saga.sqlite.c{callers}.{name}", results.of(name, f"c{callers}"), "/s")
            for callers in targets
            for name in BENCHMARK.contenders
        ),
    ]


BENCHMARK = Benchmark(
    name="sagas",
    title=(
        "sagas of three steps that return 200 characters, each remembered on disk before the next "
        "begins; by one caller, and by sixteen. isthmus: durability=full; DBOS: its defaults on "
        "SQLite, a rollback journal with synchronous=FULL"
    ),
    contenders={"isthmus": contender(_isthmus), "dbos": contender(_dbos)},
    figures=figures,
)
